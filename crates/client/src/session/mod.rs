// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signed-in half: registration, contacts, presence and conversations over one SIP connection.
//!
//! Sans-IO: bytes and intents go in with the time, [`Action`]s come out. The chat key lives only here and in memory.

mod access;
mod card_policy;
mod cards;
mod conversations;
mod dialog;
mod groups;
mod incoming;
mod multiparty;
mod publisher;
mod registration;
mod requests;
mod rich;
#[cfg(test)]
pub(crate) mod rig;
mod roster;
mod security;
mod subscriptions;
#[cfg(test)]
mod tests;
mod typing;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_sip::{Frame, Framer, Headers, InstanceId, Message, Method, OutMessage};
use lanyard_sip_auth::client::Authenticator;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::address::SignInAddress;
use crate::people::PersonView;
use crate::problem::Problem;
use crate::view::{Availability, ContactView, ConversationView, MessageView, OwnView};

pub use card_policy::{CardPolicy, Removal};
pub use groups::GroupChange;
pub use multiparty::Place;
pub use security::Credential;

use access::Access;
use cards::Cards;
use conversations::Conversations;
use publisher::Publisher;
use registration::Registration;
use roster::Roster;
use typing::Typing;

/// Time for the answer to a request, in seconds.
const REQUEST_SECS_MAX: u64 = 32;
/// Time for the answer to an invitation, in seconds.
const INVITE_SECS_MAX: u64 = 60;
/// Requests that may wait for answers at one time.
const PENDING_MAX: usize = 512;

/// The time, handed in.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For timers.
    pub at: Instant,
    /// For people.
    pub wall: OffsetDateTime,
}

impl Now {
    /// The system's time; called by drivers only.
    #[must_use]
    pub fn from_system() -> Self {
        Self {
            at: Instant::now(),
            wall: OffsetDateTime::now_utc(),
        }
    }
}

/// Names the request of a face that waits for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// What the driver or the core above is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open the TLS connection to the server.
    Connect,
    /// Send these bytes.
    Send(Bytes),
    /// Close the connection.
    Disconnect,
    /// The server wants a certificate that this service gives out.
    NeedCredential {
        /// URL of the certificate provisioning service.
        sts_uri: String,
    },
    /// Signed in.
    Registered,
    /// The answer to the sign-out came, or its time is over.
    SignedOut,
    /// The server refused or ended the session; it is not to be tried again by itself.
    Ended(Problem),
    /// The connection is of no use any more; it may be tried again.
    Lost(Problem),
    /// The own status changed.
    Own(OwnView),
    /// The whole contact list changed.
    Contacts(Vec<ContactView>),
    /// One contact changed.
    Contact(ContactView),
    /// The contact card of somebody says something else than before.
    Person(PersonView),
    /// A message came, went or changed its state.
    Message(MessageView),
    /// A conversation of several people began, changed or ended.
    Conversation(ConversationView),
    /// Somebody types.
    Typing {
        /// Who.
        with: SignInAddress,
        /// Began or ended.
        on: bool,
    },
    /// What policy says about the card in use.
    CardPolicy(CardPolicy),
    /// Something worth telling.
    Notice(String),
    /// The outcome of a request.
    Done {
        /// Whose.
        token: Token,
        /// How it went.
        outcome: Result<(), Problem>,
    },
}

/// The person and the endpoint.
#[derive(Debug, Clone)]
struct Me {
    address: SignInAddress,
    uri: PersonUri,
    epid: String,
    instance: InstanceId,
    /// Host and port of this end, for Via.
    local: String,
    /// Where others reach this endpoint.
    contact: String,
    /// How the server calls this person; empty until it has said so.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Opening,
    Up,
}

/// What a request in flight was for.
#[derive(Debug, Clone)]
enum Purpose {
    Register,
    SubscribeContacts,
    SubscribeSelf,
    SubscribePresence,
    Provisioning,
    Containers,
    Level(access::LevelWish),
    Publish {
        retried: bool,
    },
    Contact(roster::ContactWish),
    Invite {
        dialog: String,
    },
    Message {
        dialog: String,
        id: String,
    },
    InDialog,
    /// The one who invites was asked to invite somebody.
    Refer {
        token: Token,
    },
}

#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    until: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PendingKey {
    call_id: String,
    /// Of From: all dialogs of a conversation of several have one Call-ID.
    tag: String,
    number: u32,
    method: String,
}

/// One session of one person at one endpoint.
pub struct Session {
    me: Me,
    link: Link,
    framer: Framer,
    registration: Registration,
    security: Authenticator,
    credential: Option<Arc<Credential>>,
    pending: HashMap<PendingKey, Pending>,
    roster: Roster,
    publisher: Publisher,
    conversations: Conversations,
    last_sent: Option<Instant>,
    typing: Typing,
    access: Access,
    cards: Cards,
    /// How people call themselves who are not in the list.
    names: HashMap<PersonUri, String>,
    actions: Vec<Action>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Session({}, {:?}, {:?})",
            self.me.address, self.link, self.registration
        )
    }
}

impl Session {
    /// A session that is not connected yet. `endpoint` makes this installation one endpoint of the person.
    ///
    /// # Errors
    /// When the address cannot stand in SIP.
    pub fn new(address: &SignInAddress, endpoint: Uuid) -> Result<Self, Problem> {
        let uri = PersonUri::parse(address.as_str()).map_err(|_| Fault::AddressMalformed)?;
        // Six bytes in hex, as other clients of this family have it.
        let epid: String = endpoint.simple().to_string().chars().take(12).collect();
        let me = Me {
            address: address.clone(),
            uri,
            instance: InstanceId::of_epid(&epid),
            epid,
            local: "127.0.0.1:5061".to_owned(),
            contact: String::new(),
            name: String::new(),
        };
        Ok(Self {
            me,
            link: Link::Down,
            framer: Framer::new(),
            registration: Registration::default(),
            security: Authenticator::new(),
            credential: None,
            pending: HashMap::new(),
            roster: Roster::default(),
            publisher: Publisher::default(),
            conversations: Conversations::default(),
            last_sent: None,
            typing: Typing::default(),
            access: Access::default(),
            cards: Cards::default(),
            names: HashMap::new(),
            actions: Vec::new(),
        })
    }

    /// The identifier under which the server knows this endpoint.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.me.instance
    }

    /// What is to be done now, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Whether the registration stands.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.registration.is_registered()
    }

    /// When the chat certificate ends.
    #[must_use]
    pub fn credential_ends(&self) -> Option<OffsetDateTime> {
        self.credential
            .as_ref()
            .map(|credential| credential.not_after())
    }

    /// Throws the chat key away.
    pub fn forget_credential(&mut self) {
        self.credential = None;
        self.security = Authenticator::new();
    }

    /// The own status.
    #[must_use]
    pub fn own(&self) -> OwnView {
        self.publisher.own()
    }

    /// The contacts in order of display.
    #[must_use]
    pub fn contacts(&self) -> Vec<ContactView> {
        self.roster.views()
    }

    /// Shows contacts of the last session until the server's list is there.
    pub fn seed_contacts(&mut self, contacts: &[ContactView]) {
        self.roster.seed(contacts);
    }

    /// Connects and learns how the server wants to be convinced.
    pub fn connect(&mut self) {
        if self.link == Link::Down {
            self.link = Link::Opening;
            self.actions.push(Action::Connect);
        }
    }

    /// The connection stands. `local` is this end's host and port.
    pub fn connected(&mut self, now: Now, local: &str) {
        self.link = Link::Up;
        self.me.local = local.to_owned();
        self.framer = Framer::new();
        self.security = Authenticator::new();
        self.pending.clear();
        self.register_first(now);
    }

    /// The connection is gone, or could not be made.
    pub fn disconnected(&mut self, problem: Problem) {
        if self.link == Link::Down {
            return;
        }
        self.link = Link::Down;
        self.security = Authenticator::new();
        self.fail_pending(&Problem::new(Fault::SessionLost));
        self.drop_conversations();
        let was = std::mem::take(&mut self.registration);
        if was.is_signing_out() {
            self.actions.push(Action::SignedOut);
        } else if was.is_waiting() {
            // The person is typing the PIN; the connection is made again afterwards.
            self.registration = was;
        } else {
            self.actions.push(Action::Lost(problem));
        }
    }

    /// Bytes of the server.
    pub fn received(&mut self, now: Now, bytes: &[u8]) {
        self.framer.push(bytes);
        loop {
            match self.framer.next_frame() {
                Ok(Some(Frame::Message(message))) => self.message(now, &message),
                Ok(Some(Frame::KeepAlive)) => {}
                Ok(None) => return,
                Err(_) => return self.give_up(Problem::new(Fault::SessionLost)),
            }
            if self.link == Link::Down {
                return;
            }
        }
    }

    /// Time goes by: call about once a second while connected.
    pub fn tick(&mut self, now: Now) {
        self.time_out_pending(now);
        self.registration_tick(now);
        self.subscriptions_tick(now);
        self.typing_tick(now);
        let idle = Duration::from_secs(self.registration.keep_alive_secs());
        if self.link == Link::Up && self.last_sent.is_some_and(|last| now.at >= last + idle) {
            self.last_sent = Some(now.at);
            self.actions
                .push(Action::Send(Bytes::from_static(b"\r\n\r\n")));
        }
    }

    fn message(&mut self, now: Now, message: &Message) {
        if message.envelope().is_err() {
            tracing::debug!("a malformed message was dropped");
            return;
        }
        if !self.verify(message) {
            return;
        }
        if message.is_request() {
            self.request(now, message);
        } else {
            self.response(now, message);
        }
    }

    fn response(&mut self, now: Now, message: &Message) {
        let (Some(status), Some(key)) = (message.status(), PendingKey::of(message)) else {
            return;
        };
        if status < 200 {
            return;
        }
        let Some(pending) = self.pending.remove(&key) else {
            tracing::debug!(status, "an answer that nobody waits for was dropped");
            return;
        };
        if status == 401 && !matches!(pending.purpose, Purpose::Register) {
            // The server lost the association: prove ourselves once more, the request fails.
            self.outcome(now, pending.purpose, None);
            return self.register_again(now);
        }
        self.outcome(now, pending.purpose, Some(message));
    }

    /// Hands an answer (`None`: there is none) to whom it concerns.
    fn outcome(&mut self, now: Now, purpose: Purpose, answer: Option<&Message>) {
        match purpose {
            Purpose::Register => self.register_answered(now, answer),
            Purpose::SubscribeContacts => self.contacts_answered(now, answer),
            Purpose::SubscribeSelf => self.self_answered(now, answer),
            Purpose::SubscribePresence => self.presence_answered(now, answer),
            Purpose::Provisioning => self.provisioned(answer),
            Purpose::Containers => {}
            Purpose::Publish { retried } => self.publish_answered(now, answer, retried),
            Purpose::Contact(wish) => self.contact_answered(now, wish, answer),
            Purpose::Invite { dialog } => self.invite_answered(now, &dialog, answer),
            Purpose::Message { dialog, id } => self.message_answered(now, &dialog, &id, answer),
            Purpose::InDialog => {}
            Purpose::Level(wish) => self.level_answered(now, wish, answer),
            Purpose::Refer { token } => self.refer_answered(token, answer),
        }
    }

    /// Signs, sends and waits for the answer.
    fn send_request(&mut self, now: Now, request: OutMessage, purpose: Purpose) {
        if self.expect(now, &request, purpose) {
            self.send(now, request);
        }
    }

    /// Remembers what the answer is for; `false` when nothing can be sent.
    fn expect(&mut self, now: Now, request: &OutMessage, purpose: Purpose) -> bool {
        let wait = match purpose {
            Purpose::Invite { .. } => INVITE_SECS_MAX,
            _ => REQUEST_SECS_MAX,
        };
        if self.link != Link::Up || self.pending.len() >= PENDING_MAX {
            self.outcome(now, purpose, None);
            return false;
        }
        if let Some(key) = PendingKey::of(request) {
            let until = now.at + Duration::from_secs(wait);
            self.pending.insert(key, Pending { purpose, until });
        }
        true
    }

    /// Signs and sends.
    fn send(&mut self, now: Now, mut message: OutMessage) {
        if let Err(error) = self.security.sign(&mut message) {
            tracing::warn!(%error, "a message could not be signed");
            return self.give_up(Problem::new(Fault::SessionLost));
        }
        self.transmit(now, &message);
    }

    fn transmit(&mut self, now: Now, message: &OutMessage) {
        self.last_sent = Some(now.at);
        self.actions.push(Action::Send(message.to_bytes()));
    }

    /// Every message is signed, but challenges and refusals of a registration may come before the association.
    fn verify(&mut self, message: &Message) -> bool {
        let Err(error) = self.security.verify(message) else {
            return true;
        };
        let is_register = message
            .cseq()
            .is_some_and(|cseq| cseq.method == Method::Register);
        match message.status() {
            Some(401) => true,
            Some(300..) if is_register => true,
            _ => {
                tracing::warn!(%error, "an unsigned or wrongly signed message was dropped");
                false
            }
        }
    }

    fn time_out_pending(&mut self, now: Now) {
        let late: Vec<PendingKey> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.until <= now.at)
            .map(|(key, _)| key.clone())
            .collect();
        for key in late {
            if let Some(pending) = self.pending.remove(&key) {
                self.outcome(now, pending.purpose, None);
            }
        }
    }

    fn fail_pending(&mut self, problem: &Problem) {
        let waiting: Vec<Pending> = self.pending.drain().map(|(_, pending)| pending).collect();
        for pending in waiting {
            let token = match &pending.purpose {
                Purpose::Contact(wish) => wish.token,
                Purpose::Level(wish) => Some(wish.token),
                Purpose::Refer { token } => Some(*token),
                _ => None,
            };
            if let Some(token) = token {
                self.actions.push(Action::Done {
                    token,
                    outcome: Err(problem.clone()),
                });
            }
        }
        let failed = self.conversations.fail_all(problem);
        self.actions.extend(failed);
    }

    /// The connection cannot be used any more.
    fn give_up(&mut self, problem: Problem) {
        if self.link == Link::Down {
            return;
        }
        self.actions.push(Action::Disconnect);
        self.disconnected(problem);
    }

    fn tell(&mut self, token: Option<Token>, outcome: Result<(), Problem>) {
        if let Some(token) = token {
            self.actions.push(Action::Done { token, outcome });
        }
    }

    /// Sets the own status; `None` leaves a part as it is, an availability of `None` inside makes it automatic.
    pub fn set_status(
        &mut self,
        now: Now,
        availability: Option<Option<Availability>>,
        note: Option<String>,
    ) {
        self.publisher.want(availability, note);
        self.publish(now, false);
    }
}

impl PendingKey {
    fn of(message: &impl Headers) -> Option<Self> {
        let cseq = message.cseq()?;
        Some(Self {
            call_id: message.call_id()?.to_owned(),
            tag: message.from_addr()?.tag().unwrap_or_default().to_owned(),
            number: cseq.number,
            method: cseq.method.as_str().to_owned(),
        })
    }
}

/// A fresh identifier for calls, tags and branches.
fn fresh_id() -> String {
    Uuid::new_v4().simple().to_string()
}
