// SPDX-License-Identifier: MIT OR Apache-2.0
//! `sip:` and `sips:` URIs.

use std::fmt;
use std::str::FromStr;

use crate::instance::InstanceId;
use crate::params::Params;
use crate::scan::decimal;

/// Why a text is no SIP URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// The scheme is neither `sip` nor `sips` (it may be `tel`, for example).
    #[error("URI scheme is not sip or sips")]
    Scheme,
    /// The part before `@` is empty or holds a byte that must be escaped.
    #[error("user part of the URI is malformed")]
    User,
    /// The host is empty or holds a byte that no host may hold.
    #[error("host of the URI is malformed")]
    Host,
    /// The port is no number between 1 and 65535.
    #[error("port of the URI is malformed")]
    Port,
    /// Parameters or headers hold a space, a control character, a quote or a bracket.
    #[error("parameters of the URI are malformed")]
    Parameters,
}

/// A `sip:` or `sips:` URI, taken apart.
///
/// Host names are case-insensitive and kept in lower case. The user part is case-sensitive in
/// RFC 3261, but not on the Lync wire, where people are named by it: it keeps its case here, and
/// [`SipUri::address`] gives the lower-case form by which people are compared and found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    secure: bool,
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    params: String,
    headers: String,
}

impl SipUri {
    /// Reads a URI (no angle brackets, no surrounding spaces).
    ///
    /// # Errors
    /// The part that is malformed.
    pub fn parse(text: &str) -> Result<SipUri, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let secure = match scheme {
            s if s.eq_ignore_ascii_case("sip") => false,
            s if s.eq_ignore_ascii_case("sips") => true,
            _ => return Err(UriError::Scheme),
        };
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo {
            Some(userinfo) => split_userinfo(userinfo)?,
            None => (None, None),
        };
        let host_end = rest.find([';', '?']).unwrap_or(rest.len());
        let (hostport, tail) = rest.split_at_checked(host_end).ok_or(UriError::Host)?;
        let (host, port) = split_hostport(hostport)?;
        let (params, headers) = match tail.split_once('?') {
            Some((params, headers)) => (params, headers),
            None => (tail, ""),
        };
        let tail_ok = |b: u8| b > b' ' && b < 0x7f && !matches!(b, b'<' | b'>' | b'"' | b'@');
        if !params.bytes().chain(headers.bytes()).all(tail_ok) {
            return Err(UriError::Parameters);
        }
        Ok(SipUri {
            secure,
            user,
            password,
            host: host.to_ascii_lowercase(),
            port,
            params: params.strip_prefix(';').unwrap_or(params).to_owned(),
            headers: headers.to_owned(),
        })
    }

    /// Reads an address as people write it: `user@domain`, with or without `sip:`.
    ///
    /// # Errors
    /// As [`SipUri::parse`]; a missing user part as well.
    pub fn of_address(text: &str) -> Result<SipUri, UriError> {
        let has_scheme = ["sip:", "sips:"].iter().any(|s| {
            text.get(..s.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(s))
        });
        let uri = if has_scheme {
            Self::parse(text)?
        } else {
            Self::parse(&format!("sip:{text}"))?
        };
        if uri.user.is_none() {
            Err(UriError::User)
        } else {
            Ok(uri)
        }
    }

    /// The part before `@`, escapes left in place, without a password.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, in lower case; an IPv6 address with its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, when one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// True for `sips:`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The URI's own parameters.
    #[must_use]
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.params)
    }

    /// The value of one parameter; empty when it has none.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get(name)
    }

    /// The headers after `?`, as they stand.
    #[must_use]
    pub fn headers(&self) -> &str {
        &self.headers
    }

    /// The `opaque` parameter of a GRUU or service URI.
    #[must_use]
    pub fn opaque(&self) -> Option<&str> {
        self.param("opaque")
    }

    /// True when the URI names one endpoint of a person (`;gruu`).
    #[must_use]
    pub fn is_gruu(&self) -> bool {
        self.params().has("gruu")
    }

    /// The endpoint that a GRUU names (`opaque=user:epid:…;gruu`).
    #[must_use]
    pub fn gruu_instance(&self) -> Option<InstanceId> {
        if !self.is_gruu() {
            return None;
        }
        InstanceId::of_gruu_token(self.opaque()?.strip_prefix("user:epid:")?)
    }

    /// `user@host` in lower case: how a person is named everywhere. Without a user: the host.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.user {
            Some(user) => format!("{}@{}", user.to_ascii_lowercase(), self.host),
            None => self.host.clone(),
        }
    }

    /// `sip:user@host` in lower case, without parameters.
    #[must_use]
    pub fn aor(&self) -> String {
        format!("sip:{}", self.address())
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if !self.params.is_empty() {
            write!(f, ";{}", self.params)?;
        }
        if !self.headers.is_empty() {
            write!(f, "?{}", self.headers)?;
        }
        Ok(())
    }
}

impl FromStr for SipUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

fn split_userinfo(text: &str) -> Result<(Option<String>, Option<String>), UriError> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let ok = |text: &str| escapes_are_whole(text) && text.bytes().all(is_user_byte);
    if user.is_empty() || !ok(user) || !password.is_none_or(ok) {
        return Err(UriError::User);
    }
    Ok((Some(user.to_owned()), password.map(str::to_owned)))
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,;?/".contains(&byte)
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut bytes = after.bytes();
        let mut hex = || bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
        hex() && hex()
    })
}

fn split_hostport(text: &str) -> Result<(&str, Option<u16>), UriError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']').ok_or(UriError::Host)?;
            let ok = !inner.is_empty()
                && inner
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
            let host = text
                .strip_suffix(after)
                .filter(|_| ok)
                .ok_or(UriError::Host)?;
            match after {
                "" => (host, None),
                after => (host, Some(after.strip_prefix(':').ok_or(UriError::Host)?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || !(host.starts_with('[') || host.bytes().all(is_host_byte)) {
        return Err(UriError::Host);
    }
    let port = match port {
        Some(port) => Some(decimal(port).filter(|p| *p != 0).ok_or(UriError::Port)?),
        None => None,
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_and_people_compare_without_case() {
        let uri =
            SipUri::parse("sip:Alice@Contoso.TEST:5061;transport=tls;opaque=user:epid:x;gruu?a=b")
                .unwrap();
        assert_eq!(uri.user(), Some("Alice"));
        assert_eq!(uri.host(), "contoso.test");
        assert_eq!(uri.port(), Some(5061));
        assert_eq!(uri.param("Transport"), Some("tls"));
        assert!(uri.is_gruu());
        assert_eq!(uri.headers(), "a=b");
        assert_eq!(uri.address(), "alice@contoso.test");
        assert_eq!(uri.aor(), "sip:alice@contoso.test");
        assert_eq!(
            uri.to_string(),
            "sip:Alice@contoso.test:5061;transport=tls;opaque=user:epid:x;gruu?a=b"
        );
    }

    #[test]
    fn odd_but_valid_uris_of_rfc_4475_are_read() {
        for text in [
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            "sip:sip%3Auser%40example.com@company.com;other-param=summit",
            "sip:user;par=u%40example.net@example.com",
            "sip:null-%00-null@example.com",
            "sips:vivekg@chair-dnrc.example.com;unknownparam",
            "sip:[2001:db8::9:1]:5061",
            "sip:services.example.com",
        ] {
            assert_eq!(
                SipUri::parse(text).map(|u| u.to_string()).as_deref(),
                Ok(text)
            );
        }
    }

    #[test]
    fn each_malformed_part_is_named() {
        for (text, error) in [
            ("tel:+123", UriError::Scheme),
            ("alice@contoso.test", UriError::Scheme),
            ("sip:@contoso.test", UriError::User),
            ("sip:a b@contoso.test", UriError::User),
            ("sip:a%4@contoso.test", UriError::User),
            ("sip:", UriError::Host),
            ("sip:alice@", UriError::Host),
            ("sip:alice@con toso.test", UriError::Host),
            ("sip:alice@a@b", UriError::Host),
            ("sip:[::1", UriError::Host),
            ("sip:[::1]x", UriError::Host),
            ("sip:a@b:0", UriError::Port),
            ("sip:a@b:65536", UriError::Port),
            ("sip:a@b;x=\"", UriError::Parameters),
            ("sip:a@b;x y", UriError::Parameters),
        ] {
            assert_eq!(SipUri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_address_needs_a_user() {
        assert_eq!(
            SipUri::of_address("Alice@b.test").unwrap().aor(),
            "sip:alice@b.test"
        );
        assert_eq!(
            SipUri::of_address("SIP:Alice@b.test").unwrap().aor(),
            "sip:alice@b.test"
        );
        assert_eq!(SipUri::of_address("b.test"), Err(UriError::User));
    }
}
