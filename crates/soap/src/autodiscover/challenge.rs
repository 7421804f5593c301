// SPDX-License-Identifier: MIT OR Apache-2.0
//! The headers around the user document: what ticket is wanted, what ticket is shown.

use crate::encoding;
use crate::oauth::GRANT_PASSIVE;
use crate::ticket::SamlTicket;
use crate::xml::DOCUMENT_BYTES_MAX;

/// Header of a request that carries a SAML web ticket.
pub const HEADER_WEB_TICKET: &str = "X-MS-WebTicket";
/// Header of a refusal that names the web ticket service.
pub const HEADER_WEB_TICKET_URL: &str = "X-MS-WebTicketURL";
const SCHEME_OAUTH: &str = "MsRtcOAuth";

/// A refusal for want of a ticket: where to get one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketChallenge {
    /// The web ticket service (WS-Trust).
    pub web_ticket_url: Option<String>,
    /// The OAuth way.
    pub oauth_url: Option<String>,
}

impl TicketChallenge {
    /// The headers of the answer 401.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(url) = &self.web_ticket_url {
            headers.push((HEADER_WEB_TICKET_URL, url.clone()));
        }
        if let Some(url) = &self.oauth_url {
            let value = format!("{SCHEME_OAUTH} href=\"{url}\",grant_type=\"{GRANT_PASSIVE}\"");
            headers.push(("WWW-Authenticate", value));
        }
        headers
    }

    /// Reads the headers of an answer 401; names are compared without regard to case.
    pub fn from_headers<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        let mut challenge = Self::default();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(HEADER_WEB_TICKET_URL) {
                challenge
                    .web_ticket_url
                    .get_or_insert_with(|| value.trim().to_owned());
            } else if name.eq_ignore_ascii_case("WWW-Authenticate")
                && let Some(url) = oauth_url(value)
            {
                challenge.oauth_url.get_or_insert(url);
            }
        }
        challenge
    }
}

fn oauth_url(value: &str) -> Option<String> {
    let (scheme, parameters) = value.trim_start().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(SCHEME_OAUTH) {
        return None;
    }
    let (_, rest) = parameters.split_once("href=\"")?;
    rest.split_once('"').map(|(url, _)| url.to_owned())
}

/// Why the ticket of a request cannot be read.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresentedTicketError {
    /// The header has another form.
    #[error("the ticket of the request cannot be read")]
    Malformed,
}

/// The ticket that a request shows. Nothing is proven yet.
#[derive(Clone, PartialEq, Eq)]
pub enum PresentedTicket {
    /// A SAML assertion, for [`crate::ticket::TicketVerifier::web_ticket`].
    Saml(String),
    /// An OAuth ticket, for [`crate::ticket::TicketVerifier::cwt`].
    Cwt(String),
}

impl std::fmt::Debug for PresentedTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Saml(_) => "Saml(..)",
            Self::Cwt(_) => "Cwt(..)",
        })
    }
}

impl PresentedTicket {
    /// Reads the headers `X-MS-WebTicket` and `Authorization`; `None` when neither has a ticket.
    pub fn from_headers(
        web_ticket: Option<&str>,
        authorization: Option<&str>,
    ) -> Result<Option<Self>, PresentedTicketError> {
        if let Some(value) = web_ticket {
            let base64 = value
                .trim()
                .strip_prefix("opaque=")
                .ok_or(PresentedTicketError::Malformed)?;
            return assertion(base64).map(|text| Some(Self::Saml(text)));
        }
        let Some((scheme, value)) = authorization.and_then(|value| value.trim().split_once(' '))
        else {
            return Ok(None);
        };
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Ok(None);
        }
        let value = value.trim();
        let ticket = value
            .strip_prefix("cwt=")
            .ok_or(PresentedTicketError::Malformed)?;
        Ok(Some(Self::Cwt(ticket.to_owned())))
    }
}

fn assertion(base64: &str) -> Result<String, PresentedTicketError> {
    if base64.len() / 4 * 3 > DOCUMENT_BYTES_MAX {
        return Err(PresentedTicketError::Malformed);
    }
    encoding::from_base64(base64)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(PresentedTicketError::Malformed)
}

/// The value of [`HEADER_WEB_TICKET`] for an assertion.
#[must_use]
pub fn web_ticket_header(assertion: &str) -> String {
    format!("opaque={}", encoding::base64(assertion.as_bytes()))
}

/// The value of `Authorization` for an OAuth ticket, with or without its `cwt=`.
#[must_use]
pub fn bearer_header(cwt: &str) -> String {
    format!("Bearer cwt={}", cwt.strip_prefix("cwt=").unwrap_or(cwt))
}

impl From<&SamlTicket> for PresentedTicket {
    fn from(ticket: &SamlTicket) -> Self {
        Self::Saml(ticket.assertion().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_names_both_ways() {
        let challenge = TicketChallenge {
            web_ticket_url: Some("https://h/WebTicket/WebTicketService.svc".into()),
            oauth_url: Some("https://h/WebTicket/oauthtoken".into()),
        };
        insta::assert_debug_snapshot!(challenge.headers());
        let headers = challenge.headers();
        let read = TicketChallenge::from_headers(headers.iter().map(|(n, v)| (*n, v.as_str())));
        assert_eq!(read, challenge);
    }

    #[test]
    fn other_schemes_are_passed_over() {
        let headers = [
            ("www-authenticate", "Basic realm=\"x\""),
            ("x-ms-webticketurl", " https://h/ "),
        ];
        let read = TicketChallenge::from_headers(headers);
        assert_eq!(read.oauth_url, None);
        assert_eq!(read.web_ticket_url.as_deref(), Some("https://h/"));
    }

    #[test]
    fn tickets_of_requests_are_read_in_both_forms() {
        let header = web_ticket_header("<a/>");
        assert_eq!(
            PresentedTicket::from_headers(Some(&header), None),
            Ok(Some(PresentedTicket::Saml("<a/>".into())))
        );
        let header = bearer_header("cwt=abc");
        assert_eq!(header, "Bearer cwt=abc");
        assert_eq!(
            PresentedTicket::from_headers(None, Some(&header)),
            Ok(Some(PresentedTicket::Cwt("abc".into())))
        );
        assert_eq!(PresentedTicket::from_headers(None, None), Ok(None));
        assert_eq!(
            PresentedTicket::from_headers(None, Some("Basic eDp5")),
            Ok(None)
        );
    }

    #[test]
    fn damaged_tickets_are_refused() {
        for value in ["PGEvPg==", "opaque=***", "opaque=/w=="] {
            assert_eq!(
                PresentedTicket::from_headers(Some(value), None),
                Err(PresentedTicketError::Malformed)
            );
        }
        assert_eq!(
            PresentedTicket::from_headers(None, Some("Bearer abc")),
            Err(PresentedTicketError::Malformed)
        );
    }
}
