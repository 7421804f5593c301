// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of container members: who may see what.

use crate::limits::{
    CONTAINER_ID_MAX, CONTAINERS_PER_PERSON_MAX, MEMBERS_PER_PERSON_MAX, URI_BYTES_MAX,
};
use crate::model::roster::{Member, MemberKind};
use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetContainerMembers {
    /// In order.
    pub containers: Vec<ContainerChange>,
}

/// The changes of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerChange {
    /// Its number.
    pub id: u32,
    /// The version that the client knows.
    pub version: u32,
    /// In order.
    pub members: Vec<MemberChange>,
}

/// One member that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberChange {
    /// Whether it comes.
    pub add: bool,
    /// Who.
    pub member: Member,
}

impl SetContainerMembers {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is none, a value is not valid or a limit is passed.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.is(ns::CONTAINERS, "setContainerMembers") {
            return Err(XmlError::Unexpected("setContainerMembers"));
        }
        let containers: Vec<ContainerChange> = root
            .named("container")
            .map(read_container)
            .collect::<Result<_, _>>()?;
        let members: usize = containers.iter().map(|c| c.members.len()).sum();
        if containers.len() > CONTAINERS_PER_PERSON_MAX || members > MEMBERS_PER_PERSON_MAX {
            return Err(XmlError::TooMany);
        }
        Ok(Self { containers })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("setContainerMembers").attr("xmlns", ns::CONTAINERS);
        for container in &self.containers {
            w.start("container")
                .attr_number("id", container.id)
                .attr_number("version", container.version);
            for change in &container.members {
                w.start("member")
                    .attr("action", if change.add { "add" } else { "remove" })
                    .attr("type", change.member.kind.word());
                if !change.member.value.is_empty() {
                    w.attr("value", &change.member.value);
                }
                w.end();
            }
            w.end();
        }
        w.finish()
    }
}

fn read_container(element: &Element) -> Result<ContainerChange, XmlError> {
    let id = element.number("id")?;
    if id > CONTAINER_ID_MAX {
        return Err(XmlError::Value("id"));
    }
    Ok(ContainerChange {
        id,
        version: element.number_opt("version")?.unwrap_or(0),
        members: element
            .named("member")
            .map(read_member)
            .collect::<Result<_, _>>()?,
    })
}

fn read_member(element: &Element) -> Result<MemberChange, XmlError> {
    let add = match element.attribute("action") {
        Some("add") => true,
        Some("remove") => false,
        _ => return Err(XmlError::Value("action")),
    };
    let kind = MemberKind::from_word(element.required("type")?).ok_or(XmlError::Value("type"))?;
    let value = element.attribute("value").unwrap_or_default().trim();
    if value.len() > URI_BYTES_MAX {
        return Err(XmlError::Value("value"));
    }
    let value = match kind {
        MemberKind::User => {
            let uri = PersonUri::parse(value).map_err(|_| XmlError::Value("value"))?;
            uri.address().to_owned()
        }
        MemberKind::Domain if value.is_empty() => return Err(XmlError::Value("value")),
        MemberKind::Domain => value.to_lowercase(),
        _ => String::new(),
    };
    Ok(MemberChange {
        add,
        member: Member { kind, value },
    })
}
