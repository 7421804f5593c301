// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents, apart from how they are written.

use super::{AutodiscoverError, json, xml};
use crate::xml::is_xml_char;

/// Most links that are read from one document.
pub const LINKS_MAX: usize = 64;
/// Longest address of a link.
pub(super) const HREF_BYTES_MAX: usize = 2048;
/// Longest token of a link.
const TOKEN_BYTES_MAX: usize = 256;
/// Longest name of a host.
const FQDN_BYTES_MAX: usize = 253;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// XML, what SIPE and Lync's own client ask for.
    Xml,
    /// JSON, the default of the protocol.
    Json,
}

impl Format {
    /// Chooses by the header `Accept`: XML when it is named, otherwise JSON.
    #[must_use]
    pub fn from_accept(accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or("").to_ascii_lowercase();
        let position = |what: &str| accept.find(what).unwrap_or(usize::MAX);
        if position("+xml") < position("json") {
            Self::Xml
        } else {
            Self::Json
        }
    }

    /// The content type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "application/vnd.microsoft.rtc.autodiscover+xml; v=1",
            Self::Json => "application/vnd.microsoft.rtc.autodiscover+json; v=1",
        }
    }
}

/// Where the server thinks the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLocation {
    /// On the organisation's network.
    Internal,
    /// Elsewhere.
    External,
}

impl AccessLocation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "Internal",
            Self::External => "External",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::Internal, Self::External]
            .into_iter()
            .find(|l| l.as_str().eq_ignore_ascii_case(text))
    }
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkToken {
    /// Another place to ask.
    Redirect,
    /// The user document; wants a ticket.
    User,
    /// Information on the domain.
    Domain,
    /// The OAuth way to a ticket.
    OAuth,
    /// Our own: enrolment of a card (`POST`, see the API document).
    Enrolment,
    /// Any other.
    Other(String),
}

impl LinkToken {
    /// The token as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Redirect => "Redirect",
            Self::User => "User",
            Self::Domain => "Domain",
            Self::OAuth => "OAuth",
            Self::Enrolment => "Enrolment",
            Self::Other(token) => token,
        }
    }

    pub(super) fn read(text: &str) -> Self {
        [
            Self::Redirect,
            Self::User,
            Self::Domain,
            Self::OAuth,
            Self::Enrolment,
        ]
        .into_iter()
        .find(|token| token.as_str() == text)
        .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

/// A link of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it leads to.
    pub token: LinkToken,
    /// Where.
    pub href: String,
}

impl Link {
    /// A link.
    #[must_use]
    pub fn new(token: LinkToken, href: &str) -> Self {
        Self {
            token,
            href: href.to_owned(),
        }
    }

    /// Takes a link from outside; `None` when the address is not one that can be followed, or
    /// when the token is nothing that could be shown.
    pub(super) fn read(token: &str, href: &str) -> Option<Self> {
        let shown = |c: char| is_xml_char(c) && !c.is_control();
        let web = href.starts_with("https://") || href.starts_with("http://");
        let usable = web
            && href.len() <= HREF_BYTES_MAX
            && href.chars().all(|c| shown(c) && !c.is_whitespace())
            && token.len() <= TOKEN_BYTES_MAX
            && token.chars().all(shown);
        usable.then(|| Self {
            token: LinkToken::read(token),
            href: href.to_owned(),
        })
    }
}

/// A host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the host.
    pub fqdn: String,
    /// Its port.
    pub port: u16,
}

impl Endpoint {
    /// Takes a host from outside; `None` when it is not a name.
    pub(super) fn read(fqdn: &str, port: u16) -> Option<Self> {
        let named = fqdn
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        let usable = named && !fqdn.is_empty() && fqdn.len() <= FQDN_BYTES_MAX && port != 0;
        usable.then(|| Self {
            fqdn: fqdn.to_ascii_lowercase(),
            port,
        })
    }
}

/// The first document: where to ask further.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootDocument {
    /// Where the client is, as the server sees it.
    pub access_location: Option<AccessLocation>,
    /// The links.
    pub links: Vec<Link>,
}

impl RootDocument {
    /// The address behind a token.
    #[must_use]
    pub fn link(&self, token: &LinkToken) -> Option<&str> {
        find(&self.links, token)
    }
}

/// The document of one person: the servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDocument {
    /// Where the client is, as the server sees it.
    pub access_location: Option<AccessLocation>,
    /// The SIP server for servers and trusted programs, inside.
    pub sip_server_internal: Option<Endpoint>,
    /// The same, outside.
    pub sip_server_external: Option<Endpoint>,
    /// The SIP server for clients, inside.
    pub sip_client_internal: Option<Endpoint>,
    /// The same, outside.
    pub sip_client_external: Option<Endpoint>,
    /// The links.
    pub links: Vec<Link>,
}

impl UserDocument {
    /// The address behind a token.
    #[must_use]
    pub fn link(&self, token: &LinkToken) -> Option<&str> {
        find(&self.links, token)
    }

    /// The SIP servers that a client tries, in order and each once.
    #[must_use]
    pub fn sip_candidates(&self) -> Vec<&Endpoint> {
        let inside = [&self.sip_client_internal, &self.sip_server_internal];
        let outside = [&self.sip_client_external, &self.sip_server_external];
        let order: Vec<&Option<Endpoint>> = match self.access_location {
            Some(AccessLocation::Internal) => inside.to_vec(),
            Some(AccessLocation::External) => outside.to_vec(),
            None => inside.into_iter().chain(outside).collect(),
        };
        let mut candidates: Vec<&Endpoint> = Vec::new();
        for endpoint in order.into_iter().flatten() {
            if !candidates.contains(&endpoint) {
                candidates.push(endpoint);
            }
        }
        candidates
    }
}

/// An answer of autodiscover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutodiscoverResponse {
    /// Ask there instead.
    Redirect {
        /// Where.
        href: String,
    },
    /// The first document.
    Root(RootDocument),
    /// The document of a person.
    User(UserDocument),
}

impl AutodiscoverResponse {
    /// The body in a format.
    #[must_use]
    pub fn to_body(&self, format: Format) -> String {
        match format {
            Format::Xml => xml::write(self),
            Format::Json => json::write(self),
        }
    }

    /// Reads an answer by its content type. What is not known is passed over; links that lead
    /// nowhere on the web and hosts that are no names are left out.
    pub fn parse(content_type: &str, body: &str) -> Result<Self, AutodiscoverError> {
        let kind = content_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        match kind.as_str() {
            "application/vnd.microsoft.rtc.autodiscover+xml" => xml::read(body),
            "application/vnd.microsoft.rtc.autodiscover+json" | "application/json" => {
                json::read(body)
            }
            _ => Err(AutodiscoverError::ContentType),
        }
    }

    /// A document whose links hold a redirection is a redirection.
    pub(super) fn of_root(root: RootDocument) -> Self {
        match root.link(&LinkToken::Redirect) {
            Some(href) => Self::Redirect {
                href: href.to_owned(),
            },
            None => Self::Root(root),
        }
    }

    /// The same for a user document.
    pub(super) fn of_user(user: UserDocument) -> Self {
        match user.link(&LinkToken::Redirect) {
            Some(href) => Self::Redirect {
                href: href.to_owned(),
            },
            None => Self::User(user),
        }
    }
}

fn find<'l>(links: &'l [Link], token: &LinkToken) -> Option<&'l str> {
    links
        .iter()
        .find(|link| link.token == *token)
        .map(|link| link.href.as_str())
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
