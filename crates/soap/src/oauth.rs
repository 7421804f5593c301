// SPDX-License-Identifier: MIT OR Apache-2.0
//! The OAuth form of the web ticket: `POST /WebTicket/oauthtoken`.

use serde_json::{Value, json};

use crate::encoding;

/// The grant type of the passive sign-in.
pub const GRANT_PASSIVE: &str = "urn:microsoft.rtc:passive";
/// Content type of a request.
pub const CONTENT_TYPE_FORM: &str = "application/x-www-form-urlencoded;charset=UTF-8";
/// Content type of an answer.
pub const CONTENT_TYPE_JSON: &str = "application/json";
/// Largest request or answer.
pub const OAUTH_BYTES_MAX: usize = 16 * 1024;

/// The error words of OAuth that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OauthError {
    /// The request is malformed.
    InvalidRequest,
    /// No credentials, or none that are accepted.
    InvalidGrant,
    /// A grant type that is not offered.
    UnsupportedGrantType,
    /// The server failed by itself.
    ServerError,
}

impl OauthError {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::ServerError => "server_error",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::ServerError => 500,
            _ => 400,
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [
            Self::InvalidRequest,
            Self::InvalidGrant,
            Self::UnsupportedGrantType,
            Self::ServerError,
        ]
        .into_iter()
        .find(|error| error.as_str() == word)
    }
}

/// A request for a ticket in exchange for the cookie of the passive sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OauthRequest;

impl OauthRequest {
    /// The body of the request.
    #[must_use]
    pub fn to_form_body() -> String {
        format!("grant_type={GRANT_PASSIVE}")
    }

    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, OauthError> {
        if body.len() > OAUTH_BYTES_MAX {
            return Err(OauthError::InvalidRequest);
        }
        let grant = encoding::form_value(body, "grant_type").ok_or(OauthError::InvalidRequest)?;
        if grant == GRANT_PASSIVE {
            Ok(Self)
        } else {
            Err(OauthError::UnsupportedGrantType)
        }
    }
}

/// The answer.
#[derive(Clone, PartialEq, Eq)]
pub enum OauthAnswer {
    /// A ticket.
    Granted {
        /// The ticket, without `cwt=`.
        cwt: String,
        /// How long it lives.
        expires_in_secs: i64,
    },
    /// A refusal.
    Refused {
        /// The word.
        error: OauthError,
        /// Where the passive sign-in begins.
        passive_auth_url: Option<String>,
    },
}

impl std::fmt::Debug for OauthAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted {
                expires_in_secs, ..
            } => {
                write!(
                    f,
                    "Granted {{ cwt: .., expires_in_secs: {expires_in_secs} }}"
                )
            }
            Self::Refused {
                error,
                passive_auth_url,
            } => {
                write!(
                    f,
                    "Refused {{ error: {error:?}, passive_auth_url: {passive_auth_url:?} }}"
                )
            }
        }
    }
}

impl OauthAnswer {
    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Granted {
                cwt,
                expires_in_secs,
            } => json!({
                "access_token": format!("cwt={cwt}"),
                "expires_in": expires_in_secs,
                "ms_rtc_identityscope": "local",
                "token_type": "Bearer",
            }),
            Self::Refused {
                error,
                passive_auth_url: Some(url),
            } => {
                json!({ "error": error.as_str(), "ms_rtc_passiveauthuri": url })
            }
            Self::Refused {
                error,
                passive_auth_url: None,
            } => json!({ "error": error.as_str() }),
        }
        .to_string()
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Granted { .. } => 200,
            Self::Refused { error, .. } => error.http_status(),
        }
    }

    /// Reads the body of an answer; `None` when it is neither a ticket nor a refusal.
    #[must_use]
    pub fn parse(body: &str) -> Option<Self> {
        if body.len() > OAUTH_BYTES_MAX {
            return None;
        }
        let value: Value = serde_json::from_str(body).ok()?;
        if let Some(token) = value.get("access_token").and_then(Value::as_str) {
            let expires_in_secs = value.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
            let cwt = token.strip_prefix("cwt=")?.to_owned();
            return Some(Self::Granted {
                cwt,
                expires_in_secs,
            });
        }
        let error = OauthError::from_word(value.get("error")?.as_str()?)?;
        let url = value
            .get("ms_rtc_passiveauthuri")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Some(Self::Refused {
            error,
            passive_auth_url: url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passive_grant_is_served() {
        assert_eq!(
            OauthRequest::parse(&OauthRequest::to_form_body()),
            Ok(OauthRequest)
        );
        assert_eq!(
            OauthRequest::parse("grant_type=urn%3Amicrosoft.rtc%3Apassive"),
            Ok(OauthRequest)
        );
        let password = "grant_type=password&username=alice&password=x";
        assert_eq!(
            OauthRequest::parse(password),
            Err(OauthError::UnsupportedGrantType)
        );
        assert_eq!(OauthRequest::parse(""), Err(OauthError::InvalidRequest));
        let long = format!("grant_type={}", "a".repeat(OAUTH_BYTES_MAX));
        assert_eq!(OauthRequest::parse(&long), Err(OauthError::InvalidRequest));
    }

    #[test]
    fn answers_are_written_and_read() {
        let refused = OauthAnswer::Refused {
            error: OauthError::InvalidGrant,
            passive_auth_url: Some("https://lync.contoso.test/PassiveAuth/PassiveAuth.aspx".into()),
        };
        let granted = OauthAnswer::Granted {
            cwt: "AbC-_".into(),
            expires_in_secs: 28799,
        };
        insta::assert_snapshot!(refused.to_json());
        insta::assert_snapshot!(granted.to_json());
        for answer in [refused, granted] {
            assert_eq!(OauthAnswer::parse(&answer.to_json()), Some(answer));
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for body in [
            "",
            "[]",
            "{}",
            "{\"access_token\":\"jwt\"}",
            "{\"error\":\"no such word\"}",
        ] {
            assert_eq!(OauthAnswer::parse(body), None, "{body}");
        }
    }
}
