// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the agent knows and decides: it joins the sign-in, the session, the files and the faces. No sockets, no clock.

mod directory;
mod intents;
mod keeping;
mod leaving;
mod reminder;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;

pub(super) use directory::DirectoryRequest;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rustls::RootCertStore;
use uuid::Uuid;

use super::protocol::ReplyBody;
use crate::cards::CardFacts;
use crate::config::ClientConfig;
use crate::files::AccountFiles;
use crate::net::NetFault;
use crate::places::{Places, Profile};
use crate::problem::Problem;
use crate::session::{Now, Session, Token};
use crate::signin::{self, Output, SignIn};
use crate::view::{Event, SessionView, Stage};

/// A step that takes longer than this is said to take long, in seconds.
const SLOW_SECS: u64 = 10;

/// A face and its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) face: u64,
    pub(super) request: u64,
}

/// What the driver is to do.
#[derive(Debug)]
pub(super) enum Effect {
    /// Something of the sign-in machine that needs the world.
    SignIn(Output),
    /// Connect to the registrar; events come back with this number.
    SipConnect {
        generation: u64,
        host: String,
        port: u16,
    },
    /// Send to the registrar.
    SipSend(Bytes),
    /// Close that connection.
    SipClose,
    /// To every attached face.
    Event(Event),
    /// To one face.
    EventTo(u64, Event),
    /// To one face.
    Reply {
        asker: Asker,
        result: Result<Box<ReplyBody>, Problem>,
    },
    /// Ask the address book.
    Directory(DirectoryRequest),
    /// Let the card show that it is there; `service` is an address of the server.
    ProvePresence {
        card: Box<CardFacts>,
        service: String,
    },
    /// The agent ends.
    Exit,
}

/// What happened to the connection to the registrar.
#[derive(Debug)]
pub(super) enum SipEvent {
    Connected { local: String },
    Bytes(Bytes),
    Closed(NetFault),
}

/// What to do once the session has ended.
#[derive(Debug, Clone)]
struct Leaving {
    askers: Vec<Asker>,
    delete: bool,
    exit: bool,
    until: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    attempt: u32,
}

/// The agent's state.
#[derive(Debug)]
pub(super) struct Core {
    places: Places,
    profile: Profile,
    config: Arc<ClientConfig>,
    roots: Arc<RootCertStore>,
    endpoint: Uuid,
    view: SessionView,
    sign_in: Option<SignIn>,
    /// The sign-in renews the certificate of a session that goes on.
    renewing: bool,
    session: Option<Session>,
    /// The person was signed in with this session at least once.
    was_registered: bool,
    server: Option<(String, u16)>,
    generation: u64,
    sts_uri: Option<String>,
    files: Option<AccountFiles>,
    retry: Option<Retry>,
    renew_at: Option<time::OffsetDateTime>,
    /// The last reminder, in days before the card's end.
    reminded: Option<i64>,
    waiting: HashMap<Token, Asker>,
    /// Conversations that invitations lead to.
    inviting: HashMap<Token, String>,
    next_token: u64,
    /// Faces that show messages to the person.
    displays: Vec<u64>,
    attached: Vec<u64>,
    unread: HashMap<crate::address::SignInAddress, u32>,
    leaving: Option<Leaving>,
    directory: directory::Desk,
    keeping: keeping::Keeping,
    stage_since: Option<Instant>,
    effects: Vec<Effect>,
}

impl Core {
    pub(super) fn new(
        places: Places,
        profile: Profile,
        config: Arc<ClientConfig>,
        roots: Arc<RootCertStore>,
    ) -> Self {
        let last = AccountFiles::last_account(&places, &profile);
        Self {
            places,
            profile,
            config,
            roots,
            endpoint: Uuid::new_v4(),
            view: SessionView::idle(last),
            sign_in: None,
            renewing: false,
            session: None,
            was_registered: false,
            server: None,
            generation: 0,
            sts_uri: None,
            files: None,
            retry: None,
            renew_at: None,
            reminded: None,
            waiting: HashMap::new(),
            inviting: HashMap::new(),
            next_token: 0,
            displays: Vec::new(),
            attached: Vec::new(),
            unread: HashMap::new(),
            leaving: None,
            directory: directory::Desk::default(),
            keeping: keeping::Keeping::default(),
            stage_since: None,
            effects: Vec::new(),
        }
    }

    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        if self.view.locked {
            effects.retain(|effect| !self.is_hidden(effect));
        }
        effects
    }

    /// Something of the sign-in's world happened.
    pub(super) fn sign_in_input(&mut self, now: Now, input: signin::Input) {
        if let Some(sign_in) = &mut self.sign_in {
            let outputs = sign_in.handle(now, input);
            self.sign_in_outputs(now, outputs);
        }
    }

    pub(super) fn sip_event(&mut self, now: Now, generation: u64, event: SipEvent) {
        // What an older connection still says does not matter.
        if generation != self.generation {
            return;
        }
        let host = self
            .server
            .as_ref()
            .map(|(host, _)| host.clone())
            .unwrap_or_default();
        let Some(session) = &mut self.session else {
            return;
        };
        match event {
            SipEvent::Connected { local } => session.connected(now, &local),
            SipEvent::Bytes(bytes) => session.received(now, &bytes),
            SipEvent::Closed(fault) => session.disconnected(fault.problem(&host)),
        }
        self.session_actions(now);
    }

    /// About once a second.
    pub(super) fn tick(&mut self, now: Now) {
        if let Some(session) = &mut self.session {
            session.tick(now);
            self.session_actions(now);
        }
        self.retry_tick(now);
        self.renewal_tick(now);
        self.reminder_tick(now);
        self.keeping_tick(now);
        self.leaving_tick(now);
        let slow = self.view.stage.is_signing_in()
            && !self.view.stage.asks()
            && self
                .stage_since
                .is_some_and(|since| now.at.duration_since(since).as_secs() >= SLOW_SECS);
        if slow != self.view.slow {
            self.view.slow = slow;
            self.tell_session();
        }
    }

    /// Whether anything needs the clock.
    pub(super) fn needs_ticks(&self) -> bool {
        self.session.is_some() || self.sign_in.is_some() || self.leaving.is_some()
    }

    fn stage(&mut self, now: Now, stage: Stage) {
        if self.view.stage != stage {
            self.view.stage = stage;
            self.view.slow = false;
            self.stage_since = Some(now.at);
            self.tell_session();
        }
    }

    fn tell_session(&mut self) {
        self.effects
            .push(Effect::Event(Event::Session(self.view.clone())));
    }

    fn reply(&mut self, asker: Asker, result: Result<ReplyBody, Problem>) {
        self.effects.push(Effect::Reply {
            asker,
            result: result.map(Box::new),
        });
    }

    fn token(&mut self, asker: Asker) -> Token {
        self.next_token = self.next_token.wrapping_add(1);
        let token = Token(self.next_token);
        self.waiting.insert(token, asker);
        token
    }
}
