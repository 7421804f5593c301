// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of contacts and groups: SOAP bodies of SERVICE requests and their answers.

use crate::limits::TEXT_CHARS_MAX;
use crate::model::uri::PersonUri;
use crate::xml::contacts::{join_groups, split_groups};
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// One change that a client asks for, with the number of the list that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// The number of the list that the change starts from.
    pub delta: u32,
    /// What to change.
    pub operation: ContactOperation,
}

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactOperation {
    /// Insert or replace a contact.
    SetContact {
        /// Who.
        uri: PersonUri,
        /// A name of the owner's choice, or empty.
        name: String,
        /// Groups.
        groups: Vec<u32>,
        /// Whether presence is wanted.
        subscribed: bool,
        /// Stored and given back.
        external_uri: String,
    },
    /// Delete a contact.
    DeleteContact {
        /// Who.
        uri: PersonUri,
    },
    /// A new group.
    AddGroup {
        /// Its name.
        name: String,
        /// Stored and given back.
        external_uri: String,
    },
    /// Another name for a group.
    ModifyGroup {
        /// Which.
        id: u32,
        /// The new name.
        name: String,
        /// Stored and given back.
        external_uri: String,
    },
    /// Delete a group.
    DeleteGroup {
        /// Which.
        id: u32,
    },
}

impl ContactRequest {
    /// Reads a SOAP request.
    ///
    /// # Errors
    /// When it is no such request or a value is not valid.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.is(ns::SOAP, "Envelope") {
            return Err(XmlError::Unexpected("SOAP envelope"));
        }
        let body = root.child("Body").ok_or(XmlError::MissingElement("Body"))?;
        let call = body
            .elements()
            .next()
            .ok_or(XmlError::MissingElement("operation"))?;
        if &*call.namespace != ns::WINRTC {
            return Err(XmlError::Unexpected("contact operation"));
        }
        let operation = match call.local.as_str() {
            "setContact" => ContactOperation::SetContact {
                uri: person(call)?,
                name: text(call, "displayName")?,
                groups: split_groups(&call.child_text("groups"))?,
                subscribed: flag(&call.child_text("subscribed"))?,
                external_uri: text(call, "externalURI")?,
            },
            "deleteContact" => ContactOperation::DeleteContact { uri: person(call)? },
            "addGroup" => ContactOperation::AddGroup {
                name: text(call, "name")?,
                external_uri: text(call, "externalURI")?,
            },
            "modifyGroup" => ContactOperation::ModifyGroup {
                id: number(call, "groupID")?,
                name: text(call, "name")?,
                external_uri: text(call, "externalURI")?,
            },
            "deleteGroup" => ContactOperation::DeleteGroup {
                id: number(call, "groupID")?,
            },
            _ => return Err(XmlError::Unexpected("contact operation")),
        };
        Ok(Self {
            delta: number(call, "deltaNum")?,
            operation,
        })
    }

    /// The SOAP request.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = envelope();
        let name = self.operation.name();
        w.start(name).attr("xmlns:m", ns::WINRTC);
        match &self.operation {
            ContactOperation::SetContact {
                uri,
                name,
                groups,
                subscribed,
                external_uri,
            } => {
                w.leaf("m:displayName", name)
                    .leaf("m:groups", &join_groups(groups))
                    .leaf("m:subscribed", if *subscribed { "true" } else { "false" })
                    .leaf("m:URI", uri.sip())
                    .leaf("m:externalURI", external_uri);
            }
            ContactOperation::DeleteContact { uri } => {
                w.leaf("m:URI", uri.sip());
            }
            ContactOperation::AddGroup { name, external_uri } => {
                w.leaf("m:name", name).leaf("m:externalURI", external_uri);
            }
            ContactOperation::ModifyGroup {
                id,
                name,
                external_uri,
            } => {
                w.leaf("m:groupID", &id.to_string())
                    .leaf("m:name", name)
                    .leaf("m:externalURI", external_uri);
            }
            ContactOperation::DeleteGroup { id } => {
                w.leaf("m:groupID", &id.to_string());
            }
        }
        w.leaf("m:deltaNum", &self.delta.to_string());
        w.finish()
    }
}

impl ContactOperation {
    fn name(&self) -> &'static str {
        match self {
            Self::SetContact { .. } => "m:setContact",
            Self::DeleteContact { .. } => "m:deleteContact",
            Self::AddGroup { .. } => "m:addGroup",
            Self::ModifyGroup { .. } => "m:modifyGroup",
            Self::DeleteGroup { .. } => "m:deleteGroup",
        }
    }
}

/// The answer to `addGroup`.
#[must_use]
pub fn write_group_added(id: u32) -> String {
    let mut w = envelope();
    w.start("m:addGroup")
        .attr("xmlns:m", ns::WINRTC)
        .leaf("m:groupID", &id.to_string());
    w.finish()
}

/// Reads the answer to `addGroup`.
///
/// # Errors
/// When there is no group number in it.
pub fn read_group_added(bytes: &[u8]) -> Result<u32, XmlError> {
    let root = Element::parse(bytes)?;
    let body = root.child("Body").ok_or(XmlError::MissingElement("Body"))?;
    let call = body
        .child("addGroup")
        .ok_or(XmlError::MissingElement("addGroup"))?;
    number(call, "groupID")
}

/// Why a change was refused, as a SOAP fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactFault {
    /// The code, for example [`ContactFault::WRONG_DELTA`].
    pub code: String,
    /// The reason in words.
    pub text: String,
    /// The number of the list as it is now.
    pub delta: Option<u32>,
}

impl ContactFault {
    /// The change started from another state of the list.
    pub const WRONG_DELTA: &'static str = "Client.BadCall.WrongDelta";
    /// A limit is reached.
    pub const LIMIT: &'static str = "Client.BadCall.LimitReached";
    /// No such group or contact, or a value that is not valid.
    pub const INVALID: &'static str = "Client.BadCall.InvalidValue";

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = envelope();
        w.start("SOAP-ENV:Fault")
            .leaf("faultcode", &self.code)
            .leaf("faultstring", &self.text);
        if let Some(delta) = self.delta {
            w.start("detail")
                .start("m:deltaNum")
                .attr("xmlns:m", ns::WINRTC);
            w.text(&delta.to_string()).end().end();
        }
        w.finish()
    }

    /// Reads the document.
    ///
    /// # Errors
    /// When it is no fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        let body = root.child("Body").ok_or(XmlError::MissingElement("Body"))?;
        let fault = body
            .child("Fault")
            .ok_or(XmlError::MissingElement("Fault"))?;
        let delta = fault
            .child("detail")
            .and_then(|detail| detail.child("deltaNum"));
        Ok(Self {
            code: fault.child_text("faultcode"),
            text: fault.child_text("faultstring"),
            delta: match delta {
                Some(delta) => Some(
                    delta
                        .text()
                        .trim()
                        .parse()
                        .map_err(|_| XmlError::Value("deltaNum"))?,
                ),
                None => None,
            },
        })
    }
}

fn envelope() -> Writer {
    let mut w = Writer::with_capacity(512);
    w.start("SOAP-ENV:Envelope")
        .attr("xmlns:SOAP-ENV", ns::SOAP)
        .start("SOAP-ENV:Body");
    w
}

fn person(call: &Element) -> Result<PersonUri, XmlError> {
    let uri = call.child("URI").ok_or(XmlError::MissingElement("URI"))?;
    PersonUri::parse(&uri.text()).map_err(|_| XmlError::Value("URI"))
}

fn number(call: &Element, name: &'static str) -> Result<u32, XmlError> {
    let element = call.child(name).ok_or(XmlError::MissingElement(name))?;
    element
        .text()
        .trim()
        .parse()
        .map_err(|_| XmlError::Value(name))
}

fn text(call: &Element, name: &'static str) -> Result<String, XmlError> {
    let text = call.child_text(name);
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(XmlError::Value(name));
    }
    Ok(text)
}

fn flag(text: &str) -> Result<bool, XmlError> {
    match text {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(XmlError::Value("subscribed")),
    }
}
