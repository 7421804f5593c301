// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service that a ticket is for.

use std::fmt;

/// Longest address of a service.
pub const AUDIENCE_BYTES_MAX: usize = 1024;

/// The address of a service, in one form: scheme and host in lower case, the default port left
/// out, neither query nor fragment nor slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience(Box<str>);

/// Why a text is not the address of a service.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Neither `https:` nor `http:`.
    #[error("a service has an https or http address")]
    Scheme,
    /// No host, user information, or a port that is none.
    #[error("the address of the service has no proper host")]
    Host,
    /// Blanks, control characters or characters outside ASCII.
    #[error("the address of the service holds a character that is not allowed")]
    Character,
    /// Longer than [`AUDIENCE_BYTES_MAX`].
    #[error("the address of the service is too long")]
    TooLong,
}

impl Audience {
    /// Reads the URL of a service.
    pub fn from_url(url: &str) -> Result<Self, AudienceError> {
        if url.len() > AUDIENCE_BYTES_MAX {
            return Err(AudienceError::TooLong);
        }
        if !url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\\'))
        {
            return Err(AudienceError::Character);
        }
        let (scheme, rest) = url.split_once("://").ok_or(AudienceError::Scheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => "443",
            "http" => "80",
            _ => return Err(AudienceError::Scheme),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or("");
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = split_port(authority)?;
        let mut text = format!("{scheme}://{}", host.to_ascii_lowercase());
        if let Some(port) = port.filter(|port| *port != default_port) {
            text.push(':');
            text.push_str(port);
        }
        text.push_str(path.trim_end_matches('/'));
        Ok(Self(text.into_boxed_str()))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), AudienceError> {
    let bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority.get(bracket..).and_then(|tail| tail.find(':')) {
        Some(at) => {
            let (host, port) = authority.split_at(bracket + at);
            (host, port.strip_prefix(':'))
        }
        None => (authority, None),
    };
    let port_is_number = port.is_none_or(|p| p.parse::<u16>().is_ok() && !p.starts_with('+'));
    if host.is_empty() || host.contains('@') || !port_is_number {
        return Err(AudienceError::Host);
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(url: &str) -> String {
        Audience::from_url(url).unwrap().to_string()
    }

    #[test]
    fn one_service_has_one_form() {
        let plain = "https://lync.contoso.test/CertProv/CertProvisioningService.svc";
        for other in [
            plain,
            "HTTPS://Lync.Contoso.Test:443/CertProv/CertProvisioningService.svc",
            "https://lync.contoso.test/CertProv/CertProvisioningService.svc/?sipuri=a@b#x",
        ] {
            assert_eq!(form(other), plain);
        }
        assert_eq!(form("https://h:8443/"), "https://h:8443");
        assert_eq!(form("http://[::1]:80/x"), "http://[::1]/x");
        assert_eq!(form("https://[::1]:81"), "https://[::1]:81");
    }

    #[test]
    fn services_that_differ_stay_different() {
        assert_ne!(form("https://h/a"), form("https://h/A"));
        assert_ne!(form("https://h/a"), form("http://h/a"));
        assert_ne!(form("https://h/a"), form("https://h:444/a"));
        assert_ne!(form("https://h/a"), form("https://h/a/b"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(Audience::from_url("ftp://h/"), Err(AudienceError::Scheme));
        assert_eq!(Audience::from_url("lync"), Err(AudienceError::Scheme));
        assert_eq!(Audience::from_url("https:///x"), Err(AudienceError::Host));
        assert_eq!(
            Audience::from_url("https://u@h/x"),
            Err(AudienceError::Host)
        );
        assert_eq!(Audience::from_url("https://h:x/"), Err(AudienceError::Host));
        assert_eq!(
            Audience::from_url("https://h/ä"),
            Err(AudienceError::Character)
        );
        let long = format!("https://h/{}", "a".repeat(AUDIENCE_BYTES_MAX));
        assert_eq!(Audience::from_url(&long), Err(AudienceError::TooLong));
    }
}
