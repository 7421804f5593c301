// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where to ask: names of hosts, addresses of the first request.

use crate::Address;
use crate::encoding;

/// The hosts to ask for a domain, in order.
#[must_use]
pub fn discovery_hosts(domain: &str) -> [String; 2] {
    [
        format!("lyncdiscoverinternal.{domain}"),
        format!("lyncdiscover.{domain}"),
    ]
}

/// The address of the first request. `origin` is `https://host` or `http://host`.
#[must_use]
pub fn discovery_url(origin: &str, address: &Address) -> String {
    let (user, domain) = address
        .as_str()
        .split_once('@')
        .unwrap_or((address.as_str(), ""));
    let origin = origin.trim_end_matches('/');
    format!(
        "{origin}/?sipuri={}@{}",
        encoding::percent_encode(user),
        encoding::percent_encode(domain)
    )
}

/// The address in the query of a request, as clients write it: with or without `sip:`, escaped
/// or not. A plus sign is a plus sign here, because addresses may have one.
#[must_use]
pub fn sipuri_of_query(query: &str) -> Option<Address> {
    let value = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("sipuri"))
        .map(|(_, value)| value.replace('+', "%2B"))?;
    Address::parse(&encoding::percent_decode(&value)?).ok()
}

/// Whether the host of `url` belongs to `domain`: is the domain or lies below it.
///
/// What to do with a redirection elsewhere is for policy to say.
#[must_use]
pub fn is_same_organisation(url: &str, domain: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains(['@', '[']) || domain.is_empty() {
        return false;
    }
    let host = authority
        .split(':')
        .next()
        .unwrap_or("")
        .to_ascii_lowercase();
    let domain = domain.to_ascii_lowercase();
    host == domain
        || host
            .strip_suffix(&domain)
            .is_some_and(|front| front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_names_the_person() {
        let address = Address::parse("al+ice@contoso.test").unwrap();
        let url = discovery_url("https://lyncdiscover.contoso.test", &address);
        assert_eq!(
            url,
            "https://lyncdiscover.contoso.test/?sipuri=al%2Bice@contoso.test"
        );
        let (_, query) = url.split_once('?').unwrap();
        assert_eq!(sipuri_of_query(query), Some(address.clone()));
        assert_eq!(
            sipuri_of_query("x=1&sipuri=al+ice@contoso.test"),
            Some(address.clone())
        );
        assert_eq!(
            sipuri_of_query("sipuri=sip%3aal%2Bice%40contoso.test"),
            Some(address)
        );
        assert_eq!(sipuri_of_query("sipuri=nobody"), None);
        assert_eq!(sipuri_of_query("a=b"), None);
    }

    #[test]
    fn hosts_follow_the_domain() {
        let hosts = discovery_hosts("contoso.test");
        assert_eq!(
            hosts,
            [
                "lyncdiscoverinternal.contoso.test",
                "lyncdiscover.contoso.test"
            ]
        );
    }

    #[test]
    fn a_host_of_another_organisation_is_recognised() {
        for url in [
            "https://contoso.test/",
            "https://lync.Contoso.test:444/x",
            "http://a.b.contoso.test",
        ] {
            assert!(is_same_organisation(url, "contoso.test"), "{url}");
        }
        for url in [
            "https://evilcontoso.test/",
            "https://contoso.test.evil.example/",
            "https://contoso.test@evil.example/",
            "https://evil.example/?contoso.test",
            "https://evil.example#.contoso.test",
            "contoso.test",
        ] {
            assert!(!is_same_organisation(url, "contoso.test"), "{url}");
        }
    }
}
