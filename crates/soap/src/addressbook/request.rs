// SPDX-License-Identifier: MIT OR Apache-2.0
//! The search.

use uuid::Uuid;

use super::{ACTION_SEARCH, AddressBookError, NAMESPACE};
use crate::names;
use crate::trust::{WebTicket, body_of, open_envelope, security_of};
use crate::xml::{Document, Element};

/// Entries that are given when the request names no number.
pub const RESULTS_DEFAULT: usize = 20;
/// The most entries of one answer.
pub const RESULTS_MAX: usize = 100;
/// The most terms of one search.
pub const TERMS_MAX: usize = 8;
/// The longest value that is looked for, in characters.
pub const VALUE_CHARS_MAX: usize = 128;
/// The longest list of attributes, in bytes.
const LIST_BYTES_MAX: usize = 2048;
/// The longest name of an attribute, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// An attribute of a person, by its name in a directory.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// `displayName`.
    DisplayName,
    /// `givenName`.
    GivenName,
    /// `sn`.
    Surname,
    /// `mail`.
    Mail,
    /// `mailNickname`.
    MailNickname,
    /// `msRTCSIP-PrimaryUserAddress`: the sign-in address as a SIP URI.
    SipAddress,
    /// `title`.
    Title,
    /// `telephoneNumber`.
    Telephone,
    /// `company`.
    Company,
    /// `photoRelPath`: where the photograph is, below the address of the address book.
    PhotoPath,
    /// `photoSize`, in bytes.
    PhotoSize,
    /// `photoHash`.
    PhotoHash,
    /// Anything else; nobody has it.
    Other,
}

const NAMES: [(Attribute, &str); 12] = [
    (Attribute::DisplayName, "displayName"),
    (Attribute::GivenName, "givenName"),
    (Attribute::Surname, "sn"),
    (Attribute::Mail, "mail"),
    (Attribute::MailNickname, "mailNickname"),
    (Attribute::SipAddress, "msRTCSIP-PrimaryUserAddress"),
    (Attribute::Title, "title"),
    (Attribute::Telephone, "telephoneNumber"),
    (Attribute::Company, "company"),
    (Attribute::PhotoPath, "photoRelPath"),
    (Attribute::PhotoSize, "photoSize"),
    (Attribute::PhotoHash, "photoHash"),
];

impl Attribute {
    /// Reads a name, without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let name = name.trim();
        // Other telephone numbers are looked for in the one that there is.
        if ["homePhone", "mobile", "otherTelephone"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
        {
            return Self::Telephone;
        }
        NAMES
            .iter()
            .find(|(_, known)| name.eq_ignore_ascii_case(known))
            .map_or(Self::Other, |(attribute, _)| *attribute)
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(known, _)| *known == self)
            .map_or("", |(_, name)| name)
    }
}

/// One thing that an entry must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Where it is looked for; `None`: anywhere.
    pub on: Option<Attribute>,
    /// Beginnings of words.
    pub value: String,
}

/// A search. All terms must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// What is looked for.
    pub terms: Vec<Term>,
    /// How many entries at most, never more than [`RESULTS_MAX`].
    pub results_max: usize,
    /// The attributes that are wanted; empty: all.
    pub wanted: Vec<Attribute>,
}

impl SearchRequest {
    /// A search for words anywhere.
    #[must_use]
    pub fn anywhere(value: &str, results_max: usize) -> Self {
        Self {
            terms: vec![Term {
                on: None,
                value: value.to_owned(),
            }],
            results_max: results_max.min(RESULTS_MAX),
            wanted: Vec::new(),
        }
    }

    /// The SOAP envelope with its ticket, to be posted to `to` with `SOAPAction` [`ACTION_SEARCH`].
    #[must_use]
    pub fn to_xml(&self, to: &str, message_id: Uuid, ticket: &WebTicket) -> String {
        let mut xml = open_envelope();
        xml.open("s:Header", &[]);
        xml.open("wsse:Security", &[("xmlns:wsse", names::WSSE)])
            .raw(ticket.assertion())
            .close();
        let message_id = message_id.urn().to_string();
        for (name, text) in [
            ("wsa:To", to),
            ("wsa:MessageID", message_id.as_str()),
            ("wsa:Action", ACTION_SEARCH),
        ] {
            xml.leaf(name, &[("xmlns:wsa", names::ADDRESSING)], text);
        }
        xml.close();
        xml.open("s:Body", &[])
            .open("SearchAbEntry", &[("xmlns", NAMESPACE)])
            .open("AbEntryRequest", &[]);
        match self.terms.as_slice() {
            [Term { on: None, value }] => {
                xml.open("BasicSearch", &[])
                    .leaf(
                        "SearchList",
                        &[],
                        "displayName,mail,msRTCSIP-PrimaryUserAddress,telephoneNumber,title",
                    )
                    .leaf("Value", &[], value)
                    .leaf("Verb", &[], "BeginsWith")
                    .close();
            }
            terms => {
                xml.open("ChangeSearch", &[]);
                for term in terms {
                    let on = term.on.unwrap_or(Attribute::DisplayName);
                    xml.open("AbEntryRequest.ChangeSearchQuery", &[])
                        .leaf("SearchOn", &[], on.name())
                        .leaf("Value", &[], &term.value)
                        .close();
                }
                xml.close();
            }
        }
        xml.open("Metadata", &[])
            .leaf("FromDialPad", &[], "false")
            .leaf("MaxResultNum", &[], &self.results_max.to_string());
        if !self.wanted.is_empty() {
            let list: Vec<&str> = self.wanted.iter().map(|a| a.name()).collect();
            xml.leaf("ReturnList", &[], &list.join(","));
        }
        xml.finish()
    }

    /// Reads a request: the search and the ticket, as received, for
    /// [`crate::ticket::TicketVerifier::web_ticket`]. Without a ticket nothing else is looked at.
    ///
    /// # Errors
    /// When the message is no search, or looks for nothing.
    pub fn parse(body: &str) -> Result<(Self, String), AddressBookError> {
        let document = Document::parse(body)?;
        let body = body_of(&document)?;
        let assertion = assertion_of(&document).ok_or(AddressBookError::Missing("Assertion"))?;
        let search = one(body, "SearchAbEntry")?;
        let request = one(search, "AbEntryRequest")?;
        let terms = match (
            request.child_of(NAMESPACE, "BasicSearch"),
            request.child_of(NAMESPACE, "ChangeSearch"),
        ) {
            (Some(basic), None) => vec![Term {
                on: None,
                value: value_of(basic)?,
            }],
            (None, Some(change)) => fields(change)?,
            _ => return Err(AddressBookError::Missing("BasicSearch")),
        };
        if terms.is_empty() {
            return Err(AddressBookError::Missing("Value"));
        }
        let metadata = request.child("Metadata");
        let text = |name: &str| Some(metadata?.child(name)?.trimmed_text());
        let results_max = match text("MaxResultNum").filter(|text| !text.is_empty()) {
            None => RESULTS_DEFAULT,
            Some(number) => number
                .parse::<usize>()
                .map_err(|_| AddressBookError::Value("MaxResultNum"))?,
        };
        let list = text("ReturnList").unwrap_or_default();
        if list.len() > LIST_BYTES_MAX {
            return Err(AddressBookError::Value("ReturnList"));
        }
        let wanted = list
            .split(',')
            .map(Attribute::from_name)
            .filter(|attribute| *attribute != Attribute::Other)
            .collect();
        let request = Self {
            terms,
            results_max: results_max.clamp(1, RESULTS_MAX),
            wanted,
        };
        Ok((request, assertion))
    }

    /// The ticket of a message, whatever else is in it; `None` when there is not exactly one.
    #[must_use]
    pub fn ticket_of(body: &str) -> Option<String> {
        assertion_of(&Document::parse(body).ok()?)
    }
}

fn assertion_of(document: &Document<'_>) -> Option<String> {
    let security = security_of(document)?;
    let mut found = security
        .children()
        .filter(|child| child.is(names::SAML, "Assertion"));
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one.outer().to_owned()),
        _ => None,
    }
}

fn fields(change: Element<'_>) -> Result<Vec<Term>, AddressBookError> {
    let mut terms = Vec::new();
    for query in change
        .children()
        .filter(|child| child.local() == "AbEntryRequest.ChangeSearchQuery")
    {
        if terms.len() >= TERMS_MAX {
            return Err(AddressBookError::Value("ChangeSearch"));
        }
        let on = one(query, "SearchOn")?.trimmed_text();
        if on.len() > NAME_BYTES_MAX {
            return Err(AddressBookError::Value("SearchOn"));
        }
        terms.push(Term {
            on: Some(Attribute::from_name(&on)),
            value: value_of(query)?,
        });
    }
    Ok(terms)
}

fn value_of(parent: Element<'_>) -> Result<String, AddressBookError> {
    let value = one(parent, "Value")?.trimmed_text();
    if value.is_empty() || value.chars().count() > VALUE_CHARS_MAX {
        return Err(AddressBookError::Value("Value"));
    }
    Ok(value)
}

/// The one child of this local name in the namespace of the service.
fn one<'d>(parent: Element<'d>, local: &'static str) -> Result<Element<'d>, AddressBookError> {
    let mut found = parent.children().filter(|child| child.is(NAMESPACE, local));
    match (found.next(), found.next()) {
        (Some(element), None) => Ok(element),
        _ => Err(AddressBookError::Missing(local)),
    }
}
