// SPDX-License-Identifier: MIT OR Apache-2.0
//! Request methods.

use std::fmt;

/// A request method. Methods are case-sensitive; one that we do not know keeps its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the methods")]
pub enum Method<'a> {
    Ack,
    /// A NOTIFY that wants no answer (\[MS-SIP\]).
    BeNotify,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Publish,
    Refer,
    Register,
    /// Carries SOAP and presence publications (\[MS-SIP\]).
    Service,
    Subscribe,
    Update,
    Other(&'a str),
}

impl<'a> Method<'a> {
    /// Reads a method. Whether the text is a token is checked by the message parser.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        match text {
            "ACK" => Self::Ack,
            "BENOTIFY" => Self::BeNotify,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "INFO" => Self::Info,
            "INVITE" => Self::Invite,
            "MESSAGE" => Self::Message,
            "NOTIFY" => Self::Notify,
            "OPTIONS" => Self::Options,
            "PRACK" => Self::Prack,
            "PUBLISH" => Self::Publish,
            "REFER" => Self::Refer,
            "REGISTER" => Self::Register,
            "SERVICE" => Self::Service,
            "SUBSCRIBE" => Self::Subscribe,
            "UPDATE" => Self::Update,
            other => Self::Other(other),
        }
    }

    /// The method as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Ack => "ACK",
            Self::BeNotify => "BENOTIFY",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Info => "INFO",
            Self::Invite => "INVITE",
            Self::Message => "MESSAGE",
            Self::Notify => "NOTIFY",
            Self::Options => "OPTIONS",
            Self::Prack => "PRACK",
            Self::Publish => "PUBLISH",
            Self::Refer => "REFER",
            Self::Register => "REGISTER",
            Self::Service => "SERVICE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Update => "UPDATE",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
