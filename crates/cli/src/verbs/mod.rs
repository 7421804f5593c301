// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, one file for each kind.

pub mod agent;
mod card;
mod card_life;
mod contacts;
mod enrol;
pub mod groups;
mod people;
mod session;
mod sign_in;
pub mod talk;

use std::env;
use std::sync::Arc;

use lanyard_client::agent::protocol::{Intent, ReplyBody};
use lanyard_client::config::ClientConfig;
use lanyard_client::face::{AgentProgram, Face};
use lanyard_client::view::Event;
use lanyard_client::{Fault, Places, Problem, Profile};

use crate::args::Verb;

/// What every verb needs.
pub struct Context {
    /// Directories.
    pub places: Places,
    /// Profile.
    pub profile: Profile,
    /// Configuration.
    pub config: Arc<ClientConfig>,
}

impl Context {
    /// Reads the configuration.
    pub fn new(places: Places, profile: Profile) -> Result<Self, Problem> {
        let config = Arc::new(ClientConfig::load(&places)?);
        Ok(Self {
            places,
            profile,
            config,
        })
    }

    /// The running agent.
    pub fn agent(
        &self,
        on_event: impl FnMut(Option<Event>) + Send + 'static,
    ) -> Result<Face, Problem> {
        Face::connect(&self.places, &self.profile, on_event)?
            .ok_or_else(|| Problem::new(Fault::NoSession))
    }

    /// The running agent, or a fresh one.
    pub fn agent_or_start(
        &self,
        on_event: impl FnMut(Option<Event>) + Send + 'static,
    ) -> Result<Face, Problem> {
        let program = env::current_exe().map_err(|_| Problem::new(Fault::AgentUnreachable))?;
        let program = AgentProgram {
            program,
            arguments: vec!["agent".to_owned()],
        };
        Face::connect_or_start(&self.places, &self.profile, &program, on_event)
    }

    /// One request to the running agent.
    pub fn ask(&self, intent: Intent) -> Result<ReplyBody, Problem> {
        self.agent(|_| {})?.request(intent)
    }
}

/// Runs a verb.
pub fn run(context: &Context, verb: Verb) -> Result<(), Problem> {
    match verb {
        Verb::SignIn(options) => sign_in::sign_in(context, options),
        Verb::Open => sign_in::open(context),
        Verb::SignOut {
            delete_sign_in_info,
        } => session::sign_out(context, delete_sign_in_info),
        Verb::Exit => session::exit(context),
        Verb::Status { status, note, json } => session::status(context, status, note, json),
        Verb::Send { address, text } => session::send(context, address, &text),
        Verb::Watch => session::watch(context),
        Verb::DeleteSignInInfo { address } => session::delete_sign_in_info(context, address),
        Verb::Find {
            words,
            limit,
            add,
            json,
        } => people::find(context, &words, limit, add, json),
        Verb::Whois {
            address,
            photo,
            json,
        } => people::whois(context, address, photo.as_deref(), json),
        Verb::Contacts(verb) => contacts::run(context, verb),
        Verb::Group(verb) => groups::run(context, verb),
        Verb::Block { address } => groups::block(context, address),
        Verb::Unblock { address } => groups::unblock(context, address),
        Verb::Level {
            address,
            level,
            json,
        } => groups::level(context, address, level, json),
        Verb::Typing { address, stop } => talk::typing(context, address, stop),
        Verb::Invite {
            address,
            with,
            conversation,
        } => talk::invite(context, address, with, conversation),
        Verb::Conversations { json } => talk::list(context, json),
        Verb::Say { conversation, text } => talk::say(context, conversation, &text),
        Verb::Leave { conversation } => talk::leave(context, conversation),
        Verb::Enrol(options) => enrol::run(context, options),
        Verb::Card(verb) => card::run(context, verb),
        Verb::MyCards(verb) => card_life::my_cards(context, verb),
        // Taken care of before any of this is read.
        Verb::Agent | Verb::Pkcs11Module { .. } => Ok(()),
    }
}
