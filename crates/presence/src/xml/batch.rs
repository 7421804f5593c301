// SPDX-License-Identifier: MIT OR Apache-2.0
//! A subscription to the presence of many people in one request.

use crate::limits::{RESOURCES_PER_SUBSCRIPTION_MAX, TEXT_CHARS_MAX};
use crate::model::uri::PersonUri;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// Categories in one list, at most.
const CATEGORIES_MAX: usize = 32;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRequest {
    /// The watcher.
    pub uri: PersonUri,
    /// Whether to add to the subscription or to take away.
    pub action: BatchAction,
    /// Whom.
    pub resources: Vec<BatchResource>,
    /// What; empty for everything that the watcher may see.
    pub categories: Vec<String>,
}

/// What a batched request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAction {
    /// Watch these people.
    Subscribe,
    /// Watch these people no more.
    Unsubscribe,
}

/// One person to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchResource {
    /// Whom.
    pub uri: PersonUri,
    /// Whether the watcher has just added this person.
    pub newly_added: bool,
}

impl BatchRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is none, a value is not valid or a limit is passed.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if !root.is(ns::BATCH, "batchSub") {
            return Err(XmlError::Unexpected("batchSub"));
        }
        let uri = PersonUri::parse(root.required("uri")?).map_err(|_| XmlError::Value("uri"))?;
        let action = root
            .child("action")
            .ok_or(XmlError::MissingElement("action"))?;
        let kind = match action.attribute("name") {
            Some("subscribe") => BatchAction::Subscribe,
            Some("unsubscribe") => BatchAction::Unsubscribe,
            _ => return Err(XmlError::Value("name")),
        };
        let list = action
            .child("adhocList")
            .ok_or(XmlError::MissingElement("adhocList"))?;
        let mut resources: Vec<BatchResource> = Vec::new();
        for resource in list.named("resource") {
            if resources.len() >= RESOURCES_PER_SUBSCRIPTION_MAX {
                return Err(XmlError::TooMany);
            }
            // Somebody with one odd entry in a list of hundreds still sees all the others.
            let Ok(uri) = PersonUri::parse(resource.required("uri")?) else {
                continue;
            };
            resources.push(BatchResource {
                uri,
                newly_added: resource.child("context").is_some(),
            });
        }
        let names = action
            .child("categoryList")
            .into_iter()
            .flat_map(|l| l.named("category"));
        let mut categories = Vec::new();
        for name in names {
            let name = name.required("name")?;
            if categories.len() >= CATEGORIES_MAX || name.chars().count() > TEXT_CHARS_MAX {
                return Err(XmlError::TooMany);
            }
            categories.push(name.to_owned());
        }
        Ok(Self {
            uri,
            action: kind,
            resources,
            categories,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let capacity = self.resources.len().saturating_mul(64).saturating_add(512);
        let mut w = Writer::with_capacity(capacity);
        w.start("batchSub")
            .attr("xmlns", ns::BATCH)
            .attr("uri", self.uri.sip())
            .attr("name", "");
        let action = match self.action {
            BatchAction::Subscribe => "subscribe",
            BatchAction::Unsubscribe => "unsubscribe",
        };
        w.start("action")
            .attr("name", action)
            .attr("id", "1")
            .start("adhocList");
        for resource in &self.resources {
            w.start("resource").attr("uri", resource.uri.sip());
            if resource.newly_added {
                w.start("context").end();
            }
            w.end();
        }
        w.end();
        if !self.categories.is_empty() {
            w.start("categoryList").attr("xmlns", ns::CATEGORY_LIST);
            for category in &self.categories {
                w.start("category").attr("name", category).end();
            }
            w.end();
        }
        w.finish()
    }
}
