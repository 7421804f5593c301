// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fields that every message must have.

use crate::addr::{NameAddr, NameAddrError};
use crate::headers::Headers;
use crate::message::{Message, StartLine};
use crate::name::Name;
use crate::scan::split_list;
use crate::typed::{CSeq, Via};
use crate::uri::SipUri;

/// What is wrong with a message that could be framed. A request with a defect is answered 400 with
/// this text as the reason; a response with a defect is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// A header that must be there is not.
    #[error("missing {0} header")]
    Missing(Name),
    /// A header that may stand there once stands there more often.
    #[error("{0} header given more than once")]
    Repeated(Name),
    /// A header cannot be read.
    #[error("malformed {0} header")]
    Malformed(Name),
    /// From or To cannot be read.
    #[error("malformed {name} header: {error}")]
    Address {
        /// Which of the two.
        name: Name,
        /// What is wrong with it.
        error: NameAddrError,
    },
    /// The method in CSeq is not the one of the request line.
    #[error("CSeq method does not match the request")]
    MethodMismatch,
    /// The Request-URI is a malformed SIP URI or carries headers.
    #[error("malformed Request-URI")]
    RequestUri,
}

/// The fields that every message must have, read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sender.
    pub from: NameAddr<'a>,
    /// The receiver.
    pub to: NameAddr<'a>,
    /// The call.
    pub call_id: &'a str,
    /// The sequence number.
    pub cseq: CSeq<'a>,
    /// The hop that sent the message.
    pub via: Via<'a>,
}

/// Headers that may stand in a message once. The signature is over some of them: with two of one
/// name, which was signed and which is obeyed could differ.
const SINGLE: &[Name] = &[
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::MaxForwards,
    Name::Expires,
    Name::Event,
    Name::ContentType,
    Name::PAssertedIdentity,
    Name::PPreferredIdentity,
];

impl<'a> Envelope<'a> {
    pub(crate) fn of(message: &'a Message) -> Result<Envelope<'a>, Defect> {
        for &name in SINGLE {
            if message.repeats(name) {
                return Err(Defect::Repeated(name));
            }
        }
        let required = |name| message.header(name).ok_or(Defect::Missing(name));
        let address = |name| {
            NameAddr::parse(required(name)?).map_err(|error| Defect::Address { name, error })
        };
        let from = address(Name::From)?;
        let to = address(Name::To)?;
        let call_id = required(Name::CallId)?;
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(Defect::Malformed(Name::CallId));
        }
        let cseq = CSeq::parse(required(Name::CSeq)?).ok_or(Defect::Malformed(Name::CSeq))?;
        let mut via = None;
        for line in message.headers(Name::Via) {
            for element in split_list(line) {
                let hop = Via::parse(element).ok_or(Defect::Malformed(Name::Via))?;
                via.get_or_insert(hop);
            }
        }
        let via = via.ok_or(Defect::Missing(Name::Via))?;
        for name in [Name::MaxForwards, Name::Expires] {
            let digits = |v: &str| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit());
            if message.header(name).is_some_and(|value| !digits(value)) {
                return Err(Defect::Malformed(name));
            }
        }
        if message.header(Name::MaxForwards).is_some() && message.max_forwards().is_none() {
            return Err(Defect::Malformed(Name::MaxForwards));
        }
        if message.header(Name::Event).is_some() && message.event().is_none() {
            return Err(Defect::Malformed(Name::Event));
        }
        if message.header(Name::ContentType).is_some() && message.content_type().is_none() {
            return Err(Defect::Malformed(Name::ContentType));
        }
        check_contacts(message)?;
        if let StartLine::Request { method, uri } = message.start() {
            if cseq.method != method {
                return Err(Defect::MethodMismatch);
            }
            check_request_uri(uri)?;
        }
        Ok(Envelope {
            from,
            to,
            call_id,
            cseq,
            via,
        })
    }
}

fn check_contacts(message: &Message) -> Result<(), Defect> {
    if message.contact_is_star() {
        return Ok(());
    }
    let mut elements = message.headers(Name::Contact).flat_map(split_list);
    if elements.any(|one| NameAddr::parse(one).is_err()) {
        return Err(Defect::Malformed(Name::Contact));
    }
    Ok(())
}

/// Other schemes are for the router to refuse (416); headers in a Request-URI are not allowed
/// (RFC 3261, 19.1.1).
fn check_request_uri(uri: &str) -> Result<(), Defect> {
    let is_sip = uri
        .split_once(':')
        .is_some_and(|(s, _)| s.eq_ignore_ascii_case("sip") || s.eq_ignore_ascii_case("sips"));
    if !is_sip {
        return Ok(());
    }
    match SipUri::parse(uri) {
        Ok(uri) if uri.headers().is_empty() => Ok(()),
        _ => Err(Defect::RequestUri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "SUBSCRIBE sip:a@b SIP/2.0\r\nVia: SIP/2.0/tls h\r\nFrom: <sip:a@b>;tag=1\r\n\
        To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\nExpires: 1\r\n\
        Max-Forwards: 70\r\n\r\n";

    fn defect(from: &str, to: &str) -> Result<(), Defect> {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD);
        Message::parse(text).unwrap().envelope().map(|_| ())
    }

    #[test]
    fn a_via_without_branch_is_tolerated() {
        let message = Message::parse(GOOD).unwrap();
        assert_eq!(message.envelope().unwrap().via.branch(), None);
    }

    #[test]
    fn each_defect_is_named() {
        for (from, to, expected) in [
            ("Via:", "X-Via:", Defect::Missing(Name::Via)),
            (
                "Via: SIP/2.0/tls h",
                "Via: SIP/2.0/tls h, x",
                Defect::Malformed(Name::Via),
            ),
            ("From:", "X:", Defect::Missing(Name::From)),
            ("Call-ID: c", "Call-ID:", Defect::Malformed(Name::CallId)),
            (
                "Call-ID: c",
                "Call-ID: c d",
                Defect::Malformed(Name::CallId),
            ),
            (
                "Call-ID: c",
                "Call-ID: c\r\ni: c",
                Defect::Repeated(Name::CallId),
            ),
            ("1 SUB", "x SUB", Defect::Malformed(Name::CSeq)),
            ("1 SUBSCRIBE", "1 NOTIFY", Defect::MethodMismatch),
            (
                "Event: presence",
                "Event: ;id=1",
                Defect::Malformed(Name::Event),
            ),
            (
                "Event: presence",
                "o: presence\r\nEvent: x",
                Defect::Repeated(Name::Event),
            ),
            (
                "Expires: 1",
                "Expires: -1",
                Defect::Malformed(Name::Expires),
            ),
            (
                "Max-Forwards: 70",
                "Max-Forwards: 256",
                Defect::Malformed(Name::MaxForwards),
            ),
            (
                "Event",
                "Content-Type: text\r\nEvent",
                Defect::Malformed(Name::ContentType),
            ),
            (
                "Event",
                "Contact: *, <sip:a@b>\r\nEvent",
                Defect::Malformed(Name::Contact),
            ),
            ("sip:a@b SIP", "sip:a@b@c SIP", Defect::RequestUri),
        ] {
            assert_eq!(defect(from, to), Err(expected), "{from} -> {to}");
        }
        let error = NameAddrError::Unterminated;
        assert_eq!(
            defect("To: <sip:a@b>", "To: <sip:a@b"),
            Err(Defect::Address {
                name: Name::To,
                error
            })
        );
    }

    #[test]
    fn other_schemes_and_great_numbers_are_for_others_to_judge() {
        assert_eq!(defect("sip:a@b SIP", "tel:+1 SIP"), Ok(()));
        assert_eq!(
            defect("Expires: 1", "Expires: 99999999999999999999"),
            Ok(())
        );
        assert_eq!(defect("Event", "Contact: *\r\nEvent"), Ok(()));
    }
}
