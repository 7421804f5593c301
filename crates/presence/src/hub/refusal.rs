// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a request was refused, and how the client is told.

use std::borrow::Cow;

use lanyard_sip::{Defect, Message, Name, OutMessage, reason_phrase};

use crate::model::store::RosterError;
use crate::xml::node::XmlError;

/// Why a request was refused.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field that every message must have is missing or malformed.
    #[error("{0}")]
    Defect(Defect),
    /// The connection has no registration.
    #[error("this connection is not registered")]
    NotRegistered,
    /// `From` names somebody other than the signed-in person.
    #[error("the sender is not the person who signed in on this connection")]
    ForeignFrom,
    /// The request would read or change what belongs to somebody else.
    #[error("this belongs to somebody else")]
    NotYours,
    /// The REGISTER has no usable `epid` or Contact.
    #[error("the registration names no endpoint")]
    NoEndpoint,
    /// `+sip.instance` does not follow from `epid`.
    #[error("the endpoint's instance does not match its epid")]
    InstanceMismatch,
    /// The lifetime asked for is too short.
    #[error("the lifetime is too short")]
    TooBrief {
        /// The shortest that is allowed.
        min_secs: u32,
    },
    /// A named limit is reached.
    #[error("the limit is reached: {0}")]
    Limit(&'static str),
    /// Nobody has this address.
    #[error("nobody with this address is known here")]
    UnknownPerson,
    /// The person cannot be reached now; somebody who is blocked is told the same.
    #[error("the person is not signed in")]
    Offline,
    /// The request belongs to no dialog that is known.
    #[error("there is no such conversation or subscription")]
    NoDialog,
    /// The request went in circles.
    #[error("the request took too many hops")]
    TooManyHops,
    /// The same request is under way already.
    #[error("this request is under way already")]
    Merged,
    /// The method is not for this address.
    #[error("this method is not allowed here")]
    Method,
    /// The event package is not known.
    #[error("this event is not known here")]
    Event,
    /// The body's type is not known.
    #[error("the type of the body is not known here")]
    MediaType,
    /// The body cannot be read.
    #[error("the body cannot be read: {0}")]
    Body(XmlError),
    /// The body is too large.
    #[error("the message is too large")]
    TooLarge,
    /// Nobody answered in time.
    #[error("there was no answer in time")]
    Timeout,
    /// The caller gave up.
    #[error("the request was cancelled")]
    Cancelled,
    /// The store did not take the change, or could not be read.
    #[error("{0}, nothing was changed")]
    Store(RosterError),
    /// The endpoint answered in a way that must not be passed on.
    #[error("the other side gave no valid answer")]
    BadAnswer,
    /// Too much waits for this connection already.
    #[error("too many requests at the same time")]
    Overload,
}

/// A refusal in the words of an edge, with its number for `ms-diagnostics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The number.
    pub id: u32,
    /// A sentence.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// The status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Defect(_) | Self::NoEndpoint | Self::Body(_) => 400,
            Self::NotRegistered
            | Self::ForeignFrom
            | Self::NotYours
            | Self::InstanceMismatch
            | Self::Limit(_) => 403,
            Self::UnknownPerson => 404,
            Self::Method => 405,
            Self::Timeout => 408,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::TooBrief { .. } => 423,
            Self::Offline => 480,
            Self::NoDialog => 481,
            Self::Merged => 482,
            Self::TooManyHops => 483,
            Self::Cancelled => 487,
            Self::Event => 489,
            Self::Store(RosterError::Busy | RosterError::Full) | Self::Overload => 503,
            Self::Store(_) => 500,
            Self::BadAnswer => 502,
        }
    }

    /// The explanation when the edge has no words of its own.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        // Numbers of our own above those that the family uses, one for each status code.
        let id = u32::from(self.code()).saturating_add(52_000);
        let mut text = self.to_string();
        if let Some(first) = text.get(..1).map(str::to_uppercase) {
            text.replace_range(..1, &first);
        }
        text.push('.');
        Explanation {
            id,
            text: text.into(),
        }
    }
}

/// The value of `ms-diagnostics`.
pub(super) fn diagnostics(id: u32, text: &str, host: &str) -> String {
    let quoted: String = text
        .chars()
        .map(|c| if matches!(c, '"' | '\\') { '\'' } else { c })
        .collect();
    format!("{id};reason=\"{quoted}\";source=\"{host}\"")
}

/// The answer to a request that was refused.
pub(super) fn answer(
    request: &Message,
    refusal: &Refusal,
    explanation: &Explanation,
    host: &str,
    tag: &str,
) -> OutMessage {
    let code = refusal.code();
    let mut out = OutMessage::response_to(request, code, reason_phrase(code)).with_to_tag(tag);
    match refusal {
        Refusal::TooBrief { min_secs } => out.push(Name::MinExpires, min_secs),
        Refusal::Store(RosterError::Busy | RosterError::Full) | Refusal::Overload => {
            out.push(Name::RetryAfter, 5);
        }
        Refusal::Method => out.push("Allow", ALLOWED),
        Refusal::Event => out.push(Name::AllowEvents, super::subscribe::ALLOW_EVENTS),
        _ => {}
    }
    out.push(
        Name::MsDiagnostics,
        diagnostics(explanation.id, &explanation.text, host),
    );
    out
}

const ALLOWED: &str =
    "REGISTER, SUBSCRIBE, SERVICE, INVITE, ACK, BYE, CANCEL, MESSAGE, INFO, OPTIONS, REFER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_cannot_leave_its_quotes() {
        assert_eq!(
            diagnostics(1, "a \"b\" \\", "h"),
            "1;reason=\"a 'b' '\";source=\"h\""
        );
    }

    #[test]
    fn a_reason_is_a_sentence() {
        let explanation = Refusal::Store(RosterError::Full).explain();
        assert_eq!(
            explanation.text,
            "The store's disk is full, nothing was changed."
        );
        assert_eq!(explanation.id, 52_503);
    }
}
