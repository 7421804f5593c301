// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `state` category: what a machine, a person, a calendar or a phone says, and the aggregate.

use time::OffsetDateTime;

use crate::model::availability::Availability;
use crate::xml::categories::{format_time, parse_time};
use crate::xml::node::{Element, XmlError};
use crate::xml::ns;
use crate::xml::writer::Writer;

/// One state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Who says so.
    pub kind: StateKind,
    /// The number, see [`Availability`].
    pub availability: u32,
    /// What the person does.
    pub activity: Option<Activity>,
    /// Whether a person chose it by hand.
    pub manual: bool,
    /// When the person was last seen active.
    pub last_active: Option<OffsetDateTime>,
    /// When it begins, for a calendar.
    pub start_time: Option<OffsetDateTime>,
    /// When it ends, for a calendar.
    pub end_time: Option<OffsetDateTime>,
    /// The instance of the machine that says so, for a machine.
    pub endpoint_id: Option<String>,
    /// The word for the device (`computer`), for a machine.
    pub device: Option<String>,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Computed by the server out of the others.
    Aggregate,
    /// Computed by the server out of machines.
    AggregateMachine,
    /// A computer.
    Machine,
    /// The person by hand.
    User,
    /// The calendar.
    Calendar,
    /// A telephone.
    Phone,
    /// A conference.
    Conference,
    /// None that we know.
    Other,
}

impl StateKind {
    const WORDS: [(Self, &'static str); 7] = [
        (Self::Aggregate, "aggregateState"),
        (Self::AggregateMachine, "aggregateMachineState"),
        (Self::Machine, "machineState"),
        (Self::User, "userState"),
        (Self::Calendar, "calendarState"),
        (Self::Phone, "phoneState"),
        (Self::Conference, "conferenceState"),
    ];

    /// The word in `xsi:type`.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        Self::WORDS
            .into_iter()
            .find(|(kind, _)| *kind == self)
            .map(|(_, word)| word)
    }

    /// Reads the word in `xsi:type`.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        Self::WORDS
            .into_iter()
            .find(|(_, w)| *w == word)
            .map_or(Self::Other, |(kind, _)| kind)
    }

    /// Whether it is the aggregate of everything.
    #[must_use]
    pub fn is_aggregate(self) -> bool {
        self == Self::Aggregate
    }
}

/// What the person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// A word that clients translate: `on-the-phone`, `in-a-meeting`, …
    Token(String),
    /// Words in a language.
    Custom {
        /// The language, as a Windows number: 1033.
        lcid: u32,
        /// The words.
        text: String,
    },
}

impl State {
    /// A state with availability alone.
    #[must_use]
    pub fn new(kind: StateKind, availability: Availability) -> Self {
        Self {
            kind,
            availability: availability.number(),
            activity: None,
            manual: kind == StateKind::User,
            last_active: None,
            start_time: None,
            end_time: None,
            endpoint_id: None,
            device: None,
        }
    }

    /// Reads the content of a `state` category.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(element: &Element) -> Result<Self, XmlError> {
        if element.local != "state" {
            return Err(XmlError::Unexpected("state"));
        }
        let availability = element
            .child("availability")
            .ok_or(XmlError::MissingElement("availability"))?
            .text()
            .trim()
            .parse()
            .map_err(|_| XmlError::Value("availability"))?;
        let time = |name: &str| element.attribute(name).and_then(parse_time);
        let device = element.child_text("device");
        Ok(Self {
            kind: element
                .xsi_type()
                .map_or(StateKind::Other, StateKind::from_word),
            availability,
            activity: element.child("activity").and_then(read_activity),
            manual: matches!(element.attribute("manual"), Some("true" | "1")),
            last_active: time("lastActive"),
            start_time: time("startTime"),
            end_time: time("endTime"),
            endpoint_id: element.attribute("endpointId").map(str::to_owned),
            device: (!device.is_empty()).then_some(device),
        })
    }

    /// The element.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut w = Writer::with_capacity(256);
        w.start("state")
            .attr("xmlns", ns::STATE)
            .attr("xmlns:xsi", ns::XSI);
        if self.manual {
            w.attr("manual", "true");
        }
        for (name, time) in [
            ("lastActive", self.last_active),
            ("startTime", self.start_time),
            ("endTime", self.end_time),
        ] {
            if let Some(time) = time {
                w.attr(name, &format_time(time));
            }
        }
        if let Some(endpoint) = &self.endpoint_id {
            w.attr("endpointId", endpoint);
        }
        if let Some(word) = self.kind.word() {
            w.attr("xsi:type", word);
        }
        w.leaf("availability", &self.availability.to_string());
        match &self.activity {
            Some(Activity::Token(token)) => {
                w.start("activity").attr("token", token).end();
            }
            Some(Activity::Custom { lcid, text }) => {
                w.start("activity")
                    .start("custom")
                    .attr_number("LCID", *lcid)
                    .text(text);
                w.end().end();
            }
            None => {}
        }
        if let Some(device) = &self.device {
            w.leaf("device", device);
        }
        w.finish()
    }
}

fn read_activity(element: &Element) -> Option<Activity> {
    if let Some(token) = element.attribute("token") {
        return Some(Activity::Token(token.to_owned()));
    }
    let custom = element.child("custom")?;
    let lcid = custom.number_opt("LCID").ok().flatten().unwrap_or(1033);
    Some(Activity::Custom {
        lcid,
        text: custom.text().trim().to_owned(),
    })
}
