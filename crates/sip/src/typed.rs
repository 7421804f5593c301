// SPDX-License-Identifier: MIT OR Apache-2.0
//! Header values with a small grammar of their own.

use crate::limits::CSEQ_MAX;
use crate::method::Method;
use crate::params::Params;
use crate::scan::{decimal, is_token, split_outside, trim};

/// A sequence number and the method that it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number.
    pub number: u32,
    /// The number as it stands (it may have leading zeros; signatures are over this text).
    pub number_text: &'a str,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads `4711 INVITE`; `None` when it is malformed or the number is too great.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<CSeq<'a>> {
        let (number_text, method) = trim(value).split_once([' ', '\t'])?;
        let method = trim(method);
        let number = decimal(number_text).filter(|n| *n <= CSEQ_MAX)?;
        is_token(method).then(|| CSeq {
            number,
            number_text,
            method: Method::of(method),
        })
    }
}

/// One hop of the way that a request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `TLS`, `TCP`, … in the case it was sent with.
    pub transport: &'a str,
    /// Host and port.
    pub sent_by: &'a str,
    /// `branch`, `received`, `ms-received-cid` and others.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one element of a Via header; `None` when it is malformed.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Via<'a>> {
        let (name, rest) = value.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !trim(name).eq_ignore_ascii_case("SIP") || trim(version) != "2.0" {
            return None;
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let (transport, rest) = rest.split_once([' ', '\t'])?;
        let (sent_by, params) = split_outside(rest, b';');
        let sent_by = trim(sent_by);
        if !is_token(transport) || sent_by.is_empty() {
            return None;
        }
        Some(Via {
            transport,
            sent_by,
            params: Params::new(params.unwrap_or_default()),
        })
    }

    /// The transaction's `branch`; some clients leave it out.
    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        self.params.get("branch")
    }
}

/// The type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// `charset`, `boundary`, `type` and others.
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads `type/subtype;param=value`; `None` when it is malformed.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<MediaType<'a>> {
        let (name, params) = split_outside(value, b';');
        let (kind, subtype) = name.split_once('/')?;
        let (kind, subtype) = (trim(kind), trim(subtype));
        (is_token(kind) && is_token(subtype)).then(|| MediaType {
            kind,
            subtype,
            params: Params::new(params.unwrap_or_default()),
        })
    }

    /// Compares with `type/subtype`, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        name.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
        })
    }

    /// `type/subtype` in lower case.
    #[must_use]
    pub fn essence(&self) -> String {
        format!("{}/{}", self.kind, self.subtype).to_ascii_lowercase()
    }
}

/// An event package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The package's name.
    pub package: &'a str,
    /// `id` and others.
    pub params: Params<'a>,
}

impl<'a> Event<'a> {
    /// Reads `package;id=1`; `None` when the package is no token.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Event<'a>> {
        let (package, params) = split_outside(value, b';');
        let package = trim(package);
        is_token(package).then(|| Event {
            package,
            params: Params::new(params.unwrap_or_default()),
        })
    }

    /// Compares the package's name, in any case.
    #[must_use]
    pub fn is(&self, package: &str) -> bool {
        self.package.eq_ignore_ascii_case(package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_keeps_its_text_and_has_a_limit() {
        let c = CSeq::parse("0009  INVITE").unwrap();
        assert_eq!(
            (c.number, c.number_text, c.method),
            (9, "0009", Method::Invite)
        );
        assert_eq!(
            CSeq::parse("2147483647 X").unwrap().method,
            Method::Other("X")
        );
        for bad in [
            "2147483648 INVITE",
            "36893488147419103232 REGISTER",
            "-1 X",
            "1",
            "1 A B",
            "",
        ] {
            assert_eq!(CSeq::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_via_may_lack_a_branch_and_hold_spaces() {
        let v = Via::parse("SIP  / 2.0  / tls   10.0.0.1:5061 ; branch = z9 ; x").unwrap();
        assert_eq!(
            (v.transport, v.sent_by, v.branch()),
            ("tls", "10.0.0.1:5061", Some("z9"))
        );
        assert_eq!(Via::parse("SIP/2.0/tls h").unwrap().branch(), None);
        assert_eq!(Via::parse("SIP/3.0/tls h"), None);
        assert_eq!(Via::parse("SIP/2.0/tls"), None);
    }

    #[test]
    fn media_types_and_events_compare_in_any_case() {
        let m = MediaType::parse("Application/SOAP+xml; charset=utf-8").unwrap();
        assert!(m.is("application/soap+xml"));
        assert_eq!(m.params.get("charset"), Some("utf-8"));
        assert_eq!(m.essence(), "application/soap+xml");
        assert_eq!(MediaType::parse("text"), None);
        assert!(Event::parse("Presence;id=1").unwrap().is("presence"));
        assert_eq!(Event::parse(";id=1"), None);
    }
}
