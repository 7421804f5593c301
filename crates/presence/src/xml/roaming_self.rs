// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person's own publications, containers and watchers (`vnd-microsoft-roaming-self`).

use std::collections::BTreeMap;

use crate::model::roster::{Container, Member, MemberKind, Subscriber};
use crate::model::uri::PersonUri;
use crate::xml::categories::Categories;
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// A `roamingData` document; each part may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoamingData {
    /// Own publications of all containers.
    pub categories: Option<Categories>,
    /// Containers by number.
    pub containers: Option<BTreeMap<u32, Container>>,
    /// Watchers.
    pub subscribers: Option<Vec<Subscriber>>,
}

/// What a subscription of own data asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoamingWanted {
    /// Own publications.
    pub categories: bool,
    /// Containers.
    pub containers: bool,
    /// Watchers.
    pub subscribers: bool,
}

impl RoamingWanted {
    /// Everything.
    pub const ALL: Self = Self {
        categories: true,
        containers: true,
        subscribers: true,
    };

    /// Reads the body of a subscription; an empty one asks for everything.
    ///
    /// # Errors
    /// When it is another document.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::ALL);
        }
        let root = Element::parse(bytes)?;
        if !root.is(ns::ROAMING_SELF, "roamingList") {
            return Err(XmlError::Unexpected("roamingList"));
        }
        let asks = |kind| {
            root.named("roaming")
                .any(|r| r.attribute("type") == Some(kind))
        };
        Ok(Self {
            categories: asks("categories"),
            containers: asks("containers"),
            subscribers: asks("subscribers"),
        })
    }

    /// The body of a subscription.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("roamingList").attr("xmlns", ns::ROAMING_SELF);
        for (wanted, word) in [
            (self.categories, "categories"),
            (self.containers, "containers"),
            (self.subscribers, "subscribers"),
        ] {
            if wanted {
                w.start("roaming").attr("type", word).end();
            }
        }
        w.finish()
    }
}

impl RoamingData {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is none, or a value is not valid.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = Element::parse(bytes)?;
        if root.local != "roamingData" {
            return Err(XmlError::Unexpected("roamingData"));
        }
        let containers = root.child("containers").map(|c| {
            c.named("container")
                .map(|container| Ok((container.number("id")?, read_container(container)?)))
                .collect::<Result<BTreeMap<_, _>, XmlError>>()
        });
        let subscribers = root.child("subscribers").map(|s| {
            s.named("subscriber")
                .map(read_subscriber)
                .collect::<Result<Vec<_>, XmlError>>()
        });
        Ok(Self {
            categories: root.child("categories").map(Categories::read).transpose()?,
            containers: containers.transpose()?,
            subscribers: subscribers.transpose()?,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(1024);
        w.start("roamingData").attr("xmlns", ns::ROAMING_SELF);
        if let Some(categories) = &self.categories {
            categories.write(&mut w);
        }
        if let Some(containers) = &self.containers {
            w.start("containers").attr("xmlns", ns::CONTAINERS);
            for (id, container) in containers {
                write_container(&mut w, *id, container);
            }
            w.end();
        }
        if let Some(subscribers) = &self.subscribers {
            w.start("subscribers").attr("xmlns", ns::SUBSCRIBERS);
            for subscriber in subscribers {
                w.start("subscriber")
                    .attr("user", subscriber.uri.address())
                    .attr("displayName", &subscriber.display_name)
                    .attr(
                        "acknowledged",
                        if subscriber.acknowledged {
                            "true"
                        } else {
                            "false"
                        },
                    )
                    .attr("type", "sameEnterprise")
                    .end();
            }
            w.end();
        }
        w.finish()
    }
}

fn write_container(w: &mut Writer, id: u32, container: &Container) {
    w.start("container")
        .attr_number("id", id)
        .attr_number("version", container.version);
    for member in &container.members {
        w.start("member").attr("type", member.kind.word());
        if !member.value.is_empty() {
            w.attr("value", &member.value);
        }
        w.end();
    }
    w.end();
}

fn read_container(element: &Element) -> Result<Container, XmlError> {
    let members = element.named("member").map(|member| {
        let kind =
            MemberKind::from_word(member.required("type")?).ok_or(XmlError::Value("type"))?;
        let value = member.attribute("value").unwrap_or_default().to_lowercase();
        Ok(Member { kind, value })
    });
    Ok(Container {
        version: element.number("version")?,
        members: members.collect::<Result<_, XmlError>>()?,
    })
}

fn read_subscriber(element: &Element) -> Result<Subscriber, XmlError> {
    Ok(Subscriber {
        uri: PersonUri::parse(element.required("user")?).map_err(|_| XmlError::Value("user"))?,
        display_name: element
            .attribute("displayName")
            .unwrap_or_default()
            .to_owned(),
        acknowledged: element.attribute("acknowledged") == Some("true"),
    })
}
