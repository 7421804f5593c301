// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cookie of the passive sign-in.

use time::OffsetDateTime;

use crate::ticket::OpaqueTicket;

/// Its name.
pub const COOKIE_NAME: &str = "RPSAuth";

/// The value of `Set-Cookie`.
#[must_use]
pub fn set_cookie(ticket: &OpaqueTicket, now: OffsetDateTime) -> String {
    let secs = (ticket.expires() - now).whole_seconds().max(0);
    format!(
        "{COOKIE_NAME}={}; Max-Age={secs}; Path=/; Secure; HttpOnly; SameSite=Lax",
        ticket.value()
    )
}

/// The value of our cookie in a header `Cookie`.
#[must_use]
pub fn cookie_value(header: &str) -> Option<&str> {
    header.split(';').find_map(named)
}

/// The value of our cookie in a header `Set-Cookie`.
#[must_use]
pub fn cookie_of_set_cookie(header: &str) -> Option<&str> {
    header
        .split(';')
        .next()
        .and_then(named)
        .filter(|value| !value.is_empty())
}

fn named(pair: &str) -> Option<&str> {
    let (name, value) = pair.trim().split_once('=')?;
    (name.trim() == COOKIE_NAME).then(|| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::Address;
    use crate::ticket::{
        Audience, CredentialEpoch, Grant, KeyId, TicketId, TicketKey, TicketKeyRing, TicketSource,
    };

    #[test]
    fn the_cookie_is_for_the_server_alone() {
        let ring = TicketKeyRing::new(TicketKey::from_bytes(KeyId([1; 8]), [7; 32]));
        let now = datetime!(2026-11-22 12:00 UTC);
        let grant = Grant {
            account: "S-1-5-21-1-2-3-1001".parse().unwrap(),
            address: Address::parse("alice@contoso.test").unwrap(),
            audience: Audience::from_url("https://h/WebTicket").unwrap(),
            source: TicketSource::Password {
                epoch: CredentialEpoch([7; 16]),
            },
            lifetime: Duration::minutes(10),
        };
        let cookie = ring
            .issuer()
            .cookie(&grant, TicketId([3; 16]), now)
            .unwrap();
        let header = set_cookie(&cookie, now);
        insta::assert_snapshot!(header.replace(cookie.value(), "[sealed]"));
        assert_eq!(cookie_of_set_cookie(&header), Some(cookie.value()));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(cookie_value("a=b; RPSAuth=xyz; c=d"), Some("xyz"));
        assert_eq!(cookie_value("XRPSAuth=xyz"), None);
        assert_eq!(cookie_value(""), None);
        assert_eq!(
            cookie_of_set_cookie("RPSAuth=xyz; Path=/; Secure"),
            Some("xyz")
        );
        assert_eq!(cookie_of_set_cookie("other=1; RPSAuth=xyz"), None);
        assert_eq!(cookie_of_set_cookie("RPSAuth=; Max-Age=0"), None);
    }
}
