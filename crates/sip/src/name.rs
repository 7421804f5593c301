// SPDX-License-Identifier: MIT OR Apache-2.0
//! Header names: the ones we know by number, and all others by text.

use std::borrow::Cow;
use std::fmt;

use crate::scan::is_token_byte;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?;)*) => {
        /// A header that this product reads or writes by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the names are the headers")]
        pub enum Name { $($variant),* }

        impl Name {
            /// Every known name.
            pub const ALL: &[Name] = &[$(Name::$variant),*];

            /// The long form, as it is always written (independent clients read nothing else).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Name::$variant => $text),* }
            }

            /// The one-letter form of RFC 3261 7.3.3 and its successors, read but never written.
            #[must_use]
            pub const fn compact(self) -> Option<u8> {
                match self { $($(Name::$variant => Some($compact),)?)* _ => None }
            }

            fn from_compact(letter: u8) -> Option<Name> {
                match letter.to_ascii_lowercase() {
                    $($($compact => Some(Name::$variant),)?)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Accept "Accept";
    Allow "Allow";
    AllowEvents "Allow-Events" b'u';
    AuthenticationInfo "Authentication-Info";
    Authorization "Authorization";
    CallId "Call-ID" b'i';
    Contact "Contact" b'm';
    ContentDisposition "Content-Disposition";
    ContentEncoding "Content-Encoding" b'e';
    ContentId "Content-ID";
    ContentLength "Content-Length" b'l';
    ContentType "Content-Type" b'c';
    CSeq "CSeq";
    Date "Date";
    Event "Event" b'o';
    Expires "Expires";
    From "From" b'f';
    MaxForwards "Max-Forwards";
    MimeVersion "MIME-Version";
    MinExpires "Min-Expires";
    MsConversationId "Ms-Conversation-ID";
    MsDiagnostics "ms-diagnostics";
    MsDiagnosticsPublic "ms-diagnostics-public";
    MsKeepAlive "ms-keep-alive";
    MsPiggybackCseq "ms-piggyback-cseq";
    MsTextFormat "ms-text-format";
    MsUserLogonData "ms-user-logon-data";
    PAssertedIdentity "P-Asserted-Identity";
    PPreferredIdentity "P-Preferred-Identity";
    PresenceState "presence-state";
    ProxyAuthenticate "Proxy-Authenticate";
    ProxyAuthenticationInfo "Proxy-Authentication-Info";
    ProxyAuthorization "Proxy-Authorization";
    ProxyRequire "Proxy-Require";
    Reason "Reason";
    RecordRoute "Record-Route";
    ReferTo "Refer-To" b'r';
    ReferredBy "Referred-By" b'b';
    Require "Require";
    RetryAfter "Retry-After";
    Route "Route";
    Server "Server";
    Subject "Subject" b's';
    SubscriptionState "subscription-state";
    Supported "Supported" b'k';
    Timestamp "Timestamp";
    To "To" b't';
    Unsupported "Unsupported";
    UserAgent "User-Agent";
    Via "Via" b'v';
    Warning "Warning";
    WwwAuthenticate "WWW-Authenticate";
}

// Each name has a bit of a 64-bit set.
const _: () = assert!(Name::ALL.len() <= 64);
const NAME_BYTES_MAX: usize = 25;
const NAMES_PER_LENGTH_MAX: usize = 8;
const BY_LENGTH: [[Option<Name>; NAMES_PER_LENGTH_MAX]; NAME_BYTES_MAX + 1] = by_length();

/// Groups the names by their length. Evaluated by the compiler only, which also catches overflow.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn by_length() -> [[Option<Name>; NAMES_PER_LENGTH_MAX]; NAME_BYTES_MAX + 1] {
    let mut table = [[None; NAMES_PER_LENGTH_MAX]; NAME_BYTES_MAX + 1];
    let mut next = 0;
    while next < Name::ALL.len() {
        let name = Name::ALL[next];
        let length = name.as_str().len();
        let mut slot = 0;
        while table[length][slot].is_some() {
            slot += 1;
        }
        table[length][slot] = Some(name);
        next += 1;
    }
    table
}

impl Name {
    /// A bit of its own for each name.
    pub(crate) const fn bit(self) -> u64 {
        1u64.wrapping_shl(self as u32)
    }

    /// Finds a name in its long or compact form, in any case.
    #[must_use]
    pub fn lookup(text: &[u8]) -> Option<Name> {
        if let &[letter] = text {
            return Name::from_compact(letter);
        }
        let row = BY_LENGTH.get(text.len())?;
        row.iter()
            .map_while(|name| *name)
            .find(|n| n.as_str().as_bytes().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a header that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderName {
    /// A known name.
    Known(Name),
    /// Any other token.
    Other(OtherName),
}

/// A token that is no known name. Made by [`HeaderName::of`] or from a `&'static str`.
#[derive(Clone, Debug)]
pub struct OtherName(Cow<'static, str>);

impl PartialEq for OtherName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for OtherName {}

impl HeaderName {
    /// Reads a name; `None` when it is no token. Compact forms become long ones.
    #[must_use]
    pub fn of(text: &str) -> Option<HeaderName> {
        if let Some(name) = Name::lookup(text.as_bytes()) {
            return Some(HeaderName::Known(name));
        }
        (!text.is_empty() && text.bytes().all(is_token_byte))
            .then(|| HeaderName::Other(OtherName(Cow::Owned(text.to_owned()))))
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            HeaderName::Known(name) => name.as_str(),
            HeaderName::Other(name) => &name.0,
        }
    }
}

impl From<Name> for HeaderName {
    fn from(name: Name) -> Self {
        HeaderName::Known(name)
    }
}

/// For names that stand in our own source. Bytes that no name may hold become `-`, so that even a
/// slip there cannot make a second line.
impl From<&'static str> for HeaderName {
    fn from(text: &'static str) -> Self {
        HeaderName::of(text).unwrap_or_else(|| {
            let clean = text
                .chars()
                .map(|c| {
                    if u8::try_from(c).is_ok_and(is_token_byte) {
                        c
                    } else {
                        '-'
                    }
                })
                .collect::<String>();
            HeaderName::Other(OtherName(Cow::Owned(if clean.is_empty() {
                "-".into()
            } else {
                clean
            })))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_by_its_compact_form() {
        for &name in Name::ALL {
            assert_eq!(Name::lookup(name.as_str().as_bytes()), Some(name));
            assert_eq!(
                Name::lookup(name.as_str().to_uppercase().as_bytes()),
                Some(name)
            );
            assert_eq!(
                Name::lookup(name.as_str().to_lowercase().as_bytes()),
                Some(name)
            );
            if let Some(letter) = name.compact() {
                assert_eq!(Name::lookup(&[letter]), Some(name));
                assert_eq!(Name::lookup(&[letter.to_ascii_uppercase()]), Some(name));
            }
        }
        assert_eq!(Name::lookup(b"z"), None);
        assert_eq!(Name::lookup(b""), None);
        assert_eq!(Name::lookup(&[b'x'; 300]), None);
    }

    #[test]
    fn a_static_name_cannot_hold_a_line_break() {
        assert_eq!(HeaderName::from("X\r\nEvil: 1").as_str(), "X--Evil--1");
        assert_eq!(HeaderName::from("").as_str(), "-");
        assert_eq!(HeaderName::of("X Y"), None);
    }
}
