// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grammar that `Authorization`, `Authentication-Info` and `WWW-Authenticate` share on the
//! Lync wire: a scheme word and a list of parameters.

use crate::limits::AUTH_PARAMS_MAX;
use crate::scan::{is_token, push_quoted, split_list, trim, unquote};

/// Why an authentication header could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The value does not begin with a scheme word.
    #[error("no authentication scheme")]
    Scheme,
    /// A parameter is not of the form `name=value`, or its quotes do not match.
    #[error("malformed authentication parameter")]
    Parameter,
    /// A parameter stands there twice: which one was signed would be a guess.
    #[error("authentication parameter given twice")]
    Repeated,
    /// More than [`AUTH_PARAMS_MAX`] parameters.
    #[error("too many authentication parameters")]
    TooMany,
}

/// Scheme and parameters of a received authentication header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthParams<'a> {
    /// The scheme word as it stands.
    pub scheme: &'a str,
    params: Vec<(&'a str, &'a str)>,
}

impl<'a> AuthParams<'a> {
    /// Reads one header value.
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(value: &'a str) -> Result<AuthParams<'a>, AuthError> {
        let value = trim(value);
        let (scheme, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        if !is_token(scheme) {
            return Err(AuthError::Scheme);
        }
        let mut params: Vec<(&str, &str)> = Vec::with_capacity(12);
        for element in split_list(rest) {
            let (name, value) = element.split_once('=').ok_or(AuthError::Parameter)?;
            let (name, value) = (trim(name), trim(value));
            let value = if value.starts_with('"') {
                unquote(value).ok_or(AuthError::Parameter)?
            } else {
                value
            };
            if !is_token(name) || value.contains(['\n', '\r']) {
                return Err(AuthError::Parameter);
            }
            if params.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                return Err(AuthError::Repeated);
            }
            if params.len() >= AUTH_PARAMS_MAX {
                return Err(AuthError::TooMany);
            }
            params.push((name, value));
        }
        Ok(AuthParams { scheme, params })
    }

    /// True for this scheme, in any case.
    #[must_use]
    pub fn is_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter without its quotes, exactly as it stands between them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| *v)
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.params.iter().copied()
    }
}

/// Writes the value of an authentication header.
#[derive(Clone, Debug)]
pub struct AuthValue {
    text: String,
    has_params: bool,
}

impl AuthValue {
    /// Begins with the scheme word.
    #[must_use]
    pub fn new(scheme: &'static str) -> Self {
        let mut text = String::with_capacity(256);
        text.push_str(scheme);
        AuthValue {
            text,
            has_params: false,
        }
    }

    /// Appends `name="value"`.
    #[must_use]
    pub fn quoted(mut self, name: &'static str, value: &str) -> Self {
        self.begin(name);
        push_quoted(&mut self.text, value);
        self
    }

    /// Appends `name=number`.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: u32) -> Self {
        self.begin(name);
        self.text.push_str(&value.to_string());
        self
    }

    /// The finished value.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn begin(&mut self, name: &'static str) {
        self.text.push_str(if self.has_params { ", " } else { " " });
        self.has_params = true;
        self.text.push_str(name);
        self.text.push('=');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let text = AuthValue::new("TLS-DSK")
            .quoted("qop", "auth")
            .quoted("realm", "SIP, \"Communications\" Service")
            .number("version", 4)
            .finish();
        assert_eq!(
            text,
            r#"TLS-DSK qop="auth", realm="SIP, \"Communications\" Service", version=4"#
        );
        let auth = AuthParams::parse(&text).unwrap();
        assert!(auth.is_scheme("tls-dsk"));
        assert_eq!(auth.get("QOP"), Some("auth"));
        assert_eq!(
            auth.get("realm"),
            Some(r#"SIP, \"Communications\" Service"#)
        );
        assert_eq!(auth.get("version"), Some("4"));
        assert_eq!(auth.iter().count(), 3);
    }

    #[test]
    fn ambiguous_headers_are_refused() {
        let parse = |text| AuthParams::parse(text).map(|_| ());
        assert_eq!(
            parse(r#"TLS-DSK cnum="1", cnum="2""#),
            Err(AuthError::Repeated)
        );
        assert_eq!(
            parse(r#"TLS-DSK cnum"#),
            Ok(()).and(Err(AuthError::Parameter))
        );
        assert_eq!(parse(r#"TLS-DSK cnum="1"#), Err(AuthError::Parameter));
        assert_eq!(parse(r#"TLS-DSK cnum="1" x"#), Err(AuthError::Parameter));
        assert_eq!(parse(""), Err(AuthError::Scheme));
        assert_eq!(parse("TLS-DSK"), Ok(()));
        let many: String = (0..=AUTH_PARAMS_MAX).map(|n| format!("p{n}=1,")).collect();
        assert_eq!(parse(&format!("TLS-DSK {many}")), Err(AuthError::TooMany));
    }
}
