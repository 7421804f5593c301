// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests outside a conversation, as the registrar of this family expects them.

use std::fmt::Display;

use lanyard_sip::{Method, Name, OutMessage};

use super::{Me, fresh_id};

/// How this program calls itself.
pub(super) const USER_AGENT: &str = concat!("Lanyard/", env!("CARGO_PKG_VERSION"));
/// Methods that this endpoint answers.
const METHODS: &str =
    "INVITE, MESSAGE, INFO, SUBSCRIBE, OPTIONS, BYE, CANCEL, NOTIFY, ACK, REFER, BENOTIFY";
/// Hops that a request may take.
const MAX_FORWARDS: u8 = 70;

/// A call of our own: its identifiers and its counter.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) number: u32,
}

impl Call {
    pub(super) fn new() -> Self {
        Self {
            id: fresh_id(),
            tag: fresh_id().chars().take(12).collect(),
            number: 0,
        }
    }

    pub(super) fn next_number(&mut self) -> u32 {
        self.number = self.number.saturating_add(1);
        self.number
    }
}

impl Default for Call {
    fn default() -> Self {
        Self::new()
    }
}

impl Me {
    /// From, with the name that people read.
    pub(super) fn from(&self, tag: &str) -> String {
        let address = format!("<{}>;tag={tag};epid={}", self.uri.sip(), self.epid);
        // Quotes and backslashes would need escapes that not every peer undoes.
        let name: String = self
            .name
            .chars()
            .filter(|c| !matches!(c, '"' | '\\'))
            .collect();
        if name.is_empty() {
            address
        } else {
            format!("\"{name}\" {address}")
        }
    }

    /// The header lines that every request begins with.
    pub(super) fn request(
        &self,
        method: Method<'_>,
        uri: impl Display,
        to: impl Display,
        call: &mut Call,
    ) -> OutMessage {
        let number = call.next_number();
        OutMessage::request(method, uri)
            .with(
                Name::Via,
                format!("SIP/2.0/TLS {};branch=z9hG4bK{}", self.local, fresh_id()),
            )
            .with(
                Name::From,
                format!("<{}>;tag={};epid={}", self.uri.sip(), call.tag, self.epid),
            )
            .with(Name::To, to)
            .with(Name::MaxForwards, MAX_FORWARDS)
            .with(Name::CallId, &call.id)
            .with(Name::CSeq, format!("{number} {}", method.as_str()))
            .with(Name::UserAgent, USER_AGENT)
    }

    /// A request to the own address.
    pub(super) fn own_request(&self, method: Method<'_>, call: &mut Call) -> OutMessage {
        let to = format!("<{}>", self.uri.sip());
        self.request(method, self.uri.sip(), to, call)
    }

    /// A registration without proof.
    pub(super) fn register(&self, call: &mut Call) -> OutMessage {
        let domain = format!("sip:{}", self.address.domain());
        let to = format!("<{}>", self.uri.sip());
        self.request(Method::Register, domain, to, call)
            .with(
                Name::Contact,
                format!(
                    "<sip:{};transport=tls;ms-opaque={}>;methods=\"{METHODS}\";proxy=replace;\
                     +sip.instance=\"{}\"",
                    self.local,
                    self.epid,
                    self.instance.to_contact_value()
                ),
            )
            .with(Name::Supported, "gruu-10")
            .with(Name::Supported, "adhoclist")
            .with(Name::Supported, "msrtc-event-categories")
            .with(Name::Event, "registration")
            .with(Name::AllowEvents, "presence")
            .with(Name::MsKeepAlive, "UAC;hop-hop=yes")
    }

    /// A subscription to something of the person's own.
    pub(super) fn subscribe(&self, event: &str, accept: &str, call: &mut Call) -> OutMessage {
        self.own_request(Method::Subscribe, call)
            .with(Name::Event, event)
            .with(Name::Accept, accept)
            .with(Name::Supported, "com.microsoft.autoextend")
            .with(Name::Supported, "ms-benotify")
            .with(Name::ProxyRequire, "ms-benotify")
            .with(Name::Supported, "ms-piggyback-first-notify")
            .with(Name::Contact, format!("<{}>", self.contact))
    }

    /// A service request to the own address.
    pub(super) fn service(&self, content_type: &str, body: String, call: &mut Call) -> OutMessage {
        self.own_request(Method::Service, call)
            .with(Name::Contact, format!("<{}>", self.contact))
            .with_body(content_type, body)
    }
}
