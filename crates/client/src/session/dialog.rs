// SPDX-License-Identifier: MIT OR Apache-2.0
//! One dialog of an instant-message conversation.

use lanyard_presence::PersonUri;
use lanyard_sip::{Headers, Message, Method, Name, OutMessage};

use super::multiparty::Party;
use super::requests::{Call, USER_AGENT};
use super::{Me, fresh_id};

/// What this endpoint accepts in a conversation.
const ACCEPT_TYPES: &str =
    "text/plain text/html text/rtf multipart/alternative application/im-iscomposing+xml";
/// Hops that a request may take.
const MAX_FORWARDS: u8 = 70;
/// Proxies on the way that are remembered.
const ROUTES_MAX: usize = 8;

/// A dialog, on the way or established.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub(super) with: PersonUri,
    pub(super) call_id: String,
    pub(super) established: bool,
    conversation: String,
    local_tag: String,
    remote_tag: String,
    target: String,
    routes: Vec<String>,
    number: u32,
    invite_number: u32,
}

impl Dialog {
    /// A dialog that this side is about to ask for.
    pub(super) fn outgoing(with: &PersonUri) -> Self {
        let call = Call::new();
        Self {
            with: with.clone(),
            call_id: call.id,
            established: false,
            conversation: fresh_id(),
            local_tag: call.tag,
            remote_tag: String::new(),
            target: with.sip().to_owned(),
            routes: Vec::new(),
            number: 0,
            invite_number: 0,
        }
    }

    /// A dialog of a conversation of several, all of whose dialogs have one Call-ID.
    pub(super) fn outgoing_in(with: &PersonUri, call_id: &str) -> Self {
        Self {
            call_id: call_id.to_owned(),
            conversation: String::new(),
            ..Self::outgoing(with)
        }
    }

    /// A dialog that the other side asked for; it stands when our answer goes out.
    pub(super) fn answering(with: &PersonUri, invite: &Message) -> Option<Self> {
        let from = invite.from_addr()?;
        let contact = invite.contact().map(|contact| contact.uri.to_owned());
        Some(Self {
            with: with.clone(),
            call_id: invite.call_id()?.to_owned(),
            established: true,
            conversation: invite
                .header(Name::MsConversationId)
                .unwrap_or_default()
                .to_owned(),
            local_tag: Call::new().tag,
            remote_tag: from.tag().unwrap_or_default().to_owned(),
            target: contact.unwrap_or_else(|| with.sip().to_owned()),
            routes: routes(invite).collect(),
            number: 0,
            invite_number: invite.cseq()?.number,
        })
    }

    /// The answer to our INVITE makes the dialog.
    pub(super) fn accepted(&mut self, answer: &Message) {
        self.established = true;
        if let Some(tag) = answer.to_addr().and_then(|to| to.tag().map(str::to_owned)) {
            self.remote_tag = tag;
        }
        if let Some(contact) = answer.contact() {
            self.target = contact.uri.to_owned();
        }
        self.routes = routes(answer).collect();
        // The caller sees the way in the opposite order.
        self.routes.reverse();
    }

    /// Whether a request belongs to this dialog, by its tags.
    pub(super) fn owns(&self, request: &Message) -> bool {
        if request.call_id() != Some(self.call_id.as_str()) {
            return false;
        }
        let from = request
            .from_addr()
            .and_then(|from| from.tag().map(str::to_owned));
        let to = request.to_addr().and_then(|to| to.tag().map(str::to_owned));
        from.as_deref() == Some(self.remote_tag.as_str())
            && to.as_deref() == Some(self.local_tag.as_str())
    }

    /// Our tag, which no other dialog of this endpoint has: it names the dialog.
    pub(super) fn id(&self) -> &str {
        &self.local_tag
    }

    /// The invitation; `party` for a conversation of several.
    pub(super) fn invite(&mut self, me: &Me, party: Option<&Party>) -> OutMessage {
        self.number = self.number.saturating_add(1);
        self.invite_number = self.number;
        let mut invite = self
            .request(me, Method::Invite, self.number)
            .with(Name::Contact, format!("<{}>", me.contact))
            .with(Name::Supported, "ms-sender");
        if !self.conversation.is_empty() {
            invite.push(Name::MsConversationId, &self.conversation);
        }
        if let Some(party) = party {
            party.write(&mut invite);
        }
        invite.with_body("application/sdp", sdp())
    }

    /// ACK has the number of the INVITE and no answer.
    pub(super) fn acknowledge(&self, me: &Me) -> OutMessage {
        self.request(me, Method::Ack, self.invite_number)
    }

    pub(super) fn next(&mut self, me: &Me, method: Method<'_>) -> OutMessage {
        self.number = self.number.saturating_add(1);
        self.request(me, method, self.number)
    }

    fn request(&self, me: &Me, method: Method<'_>, number: u32) -> OutMessage {
        let mut to = format!("<{}>", self.with.sip());
        if !self.remote_tag.is_empty() {
            to.push_str(";tag=");
            to.push_str(&self.remote_tag);
        }
        let mut request = OutMessage::request(method, &self.target)
            .with(
                Name::Via,
                format!("SIP/2.0/TLS {};branch=z9hG4bK{}", me.local, fresh_id()),
            )
            .with(Name::From, me.from(&self.local_tag))
            .with(Name::To, to)
            .with(Name::MaxForwards, MAX_FORWARDS)
            .with(Name::CallId, &self.call_id)
            .with(Name::CSeq, format!("{number} {}", method.as_str()))
            .with(Name::UserAgent, USER_AGENT);
        for route in &self.routes {
            request.push(Name::Route, route);
        }
        request
    }
}

fn routes(message: &Message) -> impl Iterator<Item = String> + '_ {
    let routes = message.addresses(Name::RecordRoute);
    routes
        .take(ROUTES_MAX)
        .map(|route| format!("<{}>", route.uri))
}

/// The session description of instant messages: nothing flows besides SIP.
pub(super) fn sdp() -> String {
    format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=session\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=message 5060 sip null\r\na=accept-types:{ACCEPT_TYPES}\r\n"
    )
}

/// Whether an offer is one of instant messages.
pub(super) fn offers_messages(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"m=message"))
}
