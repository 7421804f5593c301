// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answer to a batched subscription: a resource list and one document per person, in a
//! multipart body.

use bytes::Bytes;
use lanyard_sip::MediaType;
use lanyard_sip::multipart::{self, MultipartWriter};

use crate::model::uri::PersonUri;
use crate::xml::categories::Categories;
use crate::xml::content_type;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// The identifier of the first part, which other clients name in `start`.
const LIST_ID: &str = "resourceList";

/// One person in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Who.
    pub uri: PersonUri,
    /// What became of the subscription.
    pub state: ResourceState,
}

/// What became of the subscription to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceState {
    /// The document of this person follows in the part with this identifier.
    Active {
        /// The part's identifier.
        cid: String,
    },
    /// Subscribe again.
    Resubscribe,
    /// There is no such person.
    Terminated,
}

/// Writes the list alone.
#[must_use]
pub fn write_list(watcher: &PersonUri, version: u32, resources: &[Resource]) -> String {
    let mut w = Writer::with_capacity(resources.len().saturating_mul(160).saturating_add(256));
    w.start("list")
        .attr("xmlns", ns::RLMI)
        .attr("uri", watcher.sip())
        .attr_number("version", version)
        .attr("fullState", "true");
    for resource in resources {
        w.start("resource").attr("uri", resource.uri.sip());
        w.start("instance").attr("id", "0");
        match &resource.state {
            ResourceState::Active { cid } => w.attr("state", "active").attr("cid", cid),
            ResourceState::Resubscribe => w.attr("state", "resubscribe"),
            ResourceState::Terminated => w.attr("state", "terminated").attr("reason", "noresource"),
        };
        w.end().end();
    }
    w.finish()
}

/// Reads the list alone.
///
/// # Errors
/// When it is no such list.
pub fn read_list(bytes: &[u8]) -> Result<Vec<Resource>, XmlError> {
    let root = Element::parse(bytes)?;
    if root.local != "list" {
        return Err(XmlError::Unexpected("resource list"));
    }
    root.named("resource").map(read_resource).collect()
}

fn read_resource(element: &Element) -> Result<Resource, XmlError> {
    let instance = element.child("instance");
    let state = match instance.and_then(|i| i.attribute("state")) {
        Some("active") => ResourceState::Active {
            cid: instance
                .and_then(|i| i.attribute("cid"))
                .unwrap_or_default()
                .to_owned(),
        },
        Some("resubscribe") => ResourceState::Resubscribe,
        _ => ResourceState::Terminated,
    };
    let uri = PersonUri::parse(element.required("uri")?).map_err(|_| XmlError::Value("uri"))?;
    Ok(Resource { uri, state })
}

/// Writes the whole body: `None` for a person that does not exist. Gives the value of
/// `Content-Type` and the bytes.
#[must_use]
pub fn write_body(watcher: &PersonUri, people: &[(PersonUri, Option<Bytes>)]) -> (String, Bytes) {
    let cid = |index: usize, uri: &PersonUri| format!("{index}-{}", uri.address());
    let state = |(index, (uri, document)): (usize, &(PersonUri, Option<Bytes>))| Resource {
        uri: uri.clone(),
        state: match document {
            Some(_) => ResourceState::Active {
                cid: cid(index, uri),
            },
            None => ResourceState::Terminated,
        },
    };
    let resources: Vec<Resource> = people.iter().enumerate().map(state).collect();
    let list = write_list(watcher, 0, &resources);
    let mut writer = MultipartWriter::related(content_type::RLMI, LIST_ID, list);
    for (index, (uri, document)) in people.iter().enumerate() {
        if let Some(document) = document {
            writer.push(content_type::CATEGORIES, &cid(index, uri), document.clone());
        }
    }
    writer.finish()
}

/// Presence documents as a client gets them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PresenceUpdate {
    /// One for each person that the message tells of.
    pub documents: Vec<Categories>,
    /// People to subscribe to once more.
    pub resubscribe: Vec<PersonUri>,
    /// People who do not exist.
    pub unknown: Vec<PersonUri>,
}

impl PresenceUpdate {
    /// Reads the body of a presence message: one `categories` document or a multipart body.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(media: &MediaType<'_>, body: &[u8]) -> Result<Self, XmlError> {
        let mut update = Self::default();
        if media.is(content_type::CATEGORIES) {
            update.documents.push(Categories::parse(body)?);
            return Ok(update);
        }
        if media.is(content_type::RLMI) {
            update.add_list(body)?;
            return Ok(update);
        }
        let parts =
            multipart::read(media, body).map_err(|_| XmlError::Unexpected("multipart body"))?;
        for part in parts {
            let Some(kind) = part.content_type() else {
                continue;
            };
            if kind.is(content_type::CATEGORIES) {
                update.documents.push(Categories::parse(part.body)?);
            } else if kind.is(content_type::RLMI) {
                update.add_list(part.body)?;
            }
        }
        Ok(update)
    }

    fn add_list(&mut self, body: &[u8]) -> Result<(), XmlError> {
        for resource in read_list(body)? {
            match resource.state {
                ResourceState::Active { .. } => {}
                ResourceState::Resubscribe => self.resubscribe.push(resource.uri),
                ResourceState::Terminated => self.unknown.push(resource.uri),
            }
        }
        Ok(())
    }
}
