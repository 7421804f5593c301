// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop of the interactive session: keys and events in, lines and intents out.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, IsTerminal, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use lanyard_client::agent::protocol::{Intent, ReplyBody};
use lanyard_client::face::Face;
use lanyard_client::view::{
    Availability, ContactView, ConversationView, Delivery, Event, MessageView, PadUse, SessionView,
    Stage,
};
use lanyard_client::{Fault, Problem, SignInAddress};
use zeroize::Zeroizing;

use super::editor::Editor;
use super::screen::Screen;
use super::words;
use crate::output;
use crate::verbs::Context;

/// While the person goes on typing the agent is told after so long again, in seconds; it decides what goes out.
pub(super) const TYPING_TOLD_SECS: u64 = 2;
/// Somebody else counts as typing for so long when nothing more is heard, in seconds.
const TYPING_SHOWN_SECS: u64 = 15;
/// How often the clock is looked at, in milliseconds.
const TICK_MS: u64 = 250;

/// How secrets are come by, and how long a card is waited for.
#[derive(Debug, Default)]
pub struct Options {
    /// Begin to sign in as this person.
    pub address: Option<SignInAddress>,
    /// The PIN comes from here.
    pub pin_fd: Option<u32>,
    /// The new PIN comes from here.
    pub new_pin_fd: Option<u32>,
    /// The password comes from here.
    pub password_fd: Option<u32>,
    /// Consent to use the last try.
    pub use_last_try: bool,
    /// How long to wait for a card, in seconds.
    pub card_wait: u64,
    /// Which card, when several fit.
    pub card: Option<String>,
}

/// What the loop hears.
pub(super) enum Ui {
    Keys(Zeroizing<Vec<u8>>),
    Line(String),
    End,
    Event(Option<Box<Event>>),
    Failed(Problem),
    /// It was done.
    Told(String),
    Replied(Box<ReplyBody>),
}

/// What the typed line is for.
pub(super) enum Mode {
    Idle,
    Working,
    Insert,
    /// The number of one of several cards.
    Choose,
    Password,
    /// The person is asked to go on at the reader's keys.
    Pad {
        last_try: bool,
    },
    Pin {
        last_try: bool,
    },
    NewPin {
        first: Option<Zeroizing<String>>,
    },
    Talk,
}

pub(super) struct Terminal {
    pub(super) face: Arc<Face>,
    pub(super) ui: Sender<Ui>,
    pub(super) screen: Screen,
    pub(super) editor: Editor,
    pub(super) options: Options,
    pub(super) mode: Mode,
    pub(super) view: SessionView,
    pub(super) contacts: HashMap<SignInAddress, ContactView>,
    /// Who was found last, by number.
    pub(super) found: Vec<SignInAddress>,
    /// All groups by name.
    pub(super) groups: Vec<String>,
    pub(super) partner: Option<Partner>,
    /// Conversations of several people, in the order of their numbers. Ended ones keep their place.
    pub(super) conversations: Vec<ConversationView>,
    /// The next conversation that begins is one that the person asked for.
    pub(super) inviting: bool,
    /// The conversation that the person is leaving.
    pub(super) leaving: Option<String>,
    pub(super) printed: HashSet<String>,
    pub(super) typing: Option<(SignInAddress, Instant)>,
    pub(super) told_typing: Option<Instant>,
    pub(super) insert_since: Option<Instant>,
    /// Signed in at least once, or attached to a session: leaving is no failure.
    pub(super) was_in: bool,
    pub(super) signing_out: bool,
}

/// Where what is typed goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Partner {
    /// To one person.
    Person(SignInAddress),
    /// Into the conversation of several with this id.
    Conversation(String),
}

/// How the loop ends.
pub(super) enum Leave {
    Quietly,
    With(Problem),
}

/// Opens the session in this terminal; returns when the person leaves.
pub fn open(context: &Context, options: Options, start: bool) -> Result<(), Problem> {
    let (ui, heard) = channel();
    let events = ui.clone();
    let on_event = move |event: Option<Event>| drop(events.send(Ui::Event(event.map(Box::new))));
    let face = if start {
        context.agent_or_start(on_event)?
    } else {
        context.agent(on_event)?
    };
    let face = Arc::new(face);
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    // Begun before attaching: what is heard afterwards is about this attempt and not about an earlier one.
    if let Some(address) = options.address.clone() {
        face.request(Intent::SignIn { address })?;
    }
    let view = face.request(Intent::Attach { display: true })?.session;
    if let (
        None,
        Some(SessionView {
            stage: Stage::Idle,
            problem,
            ..
        }),
    ) = (&options.address, view)
    {
        return Err(problem.unwrap_or_else(|| Problem::new(Fault::NoSession)));
    }
    let screen = if interactive {
        Screen::interactive()
    } else {
        Ok(Screen::plain())
    };
    let screen = screen.map_err(|_| Problem::new(Fault::SecretMissing))?;
    let mut terminal = Terminal {
        face,
        ui,
        screen,
        editor: Editor::default(),
        options,
        mode: Mode::Working,
        view: SessionView::idle(None),
        contacts: HashMap::new(),
        found: Vec::new(),
        groups: Vec::new(),
        partner: None,
        conversations: Vec::new(),
        inviting: false,
        leaving: None,
        printed: HashSet::new(),
        typing: None,
        told_typing: None,
        insert_since: None,
        was_in: false,
        signing_out: false,
    };
    if interactive {
        terminal.listen_to_keys();
    }
    match terminal.run(&heard) {
        Leave::Quietly => Ok(()),
        Leave::With(problem) => Err(problem),
    }
}

impl Terminal {
    fn run(&mut self, heard: &Receiver<Ui>) -> Leave {
        loop {
            self.prompt();
            let next = heard.recv_timeout(Duration::from_millis(TICK_MS));
            let leave = match next {
                Ok(Ui::Keys(bytes)) => self.keys(&bytes),
                Ok(Ui::Line(line)) => self.entered(line),
                Ok(Ui::End) => self.end_of_input(),
                Ok(Ui::Event(Some(event))) => self.event(*event),
                Ok(Ui::Event(None)) => Some(Leave::With(Problem::new(Fault::AgentUnreachable))),
                Ok(Ui::Failed(problem)) => {
                    let text = self.screen.style.bad(&problem.to_string());
                    self.screen.line(&text);
                    None
                }
                Ok(Ui::Told(words)) => {
                    let text = self.screen.style.quiet(&output::printable(&words));
                    self.screen.line(&text);
                    None
                }
                Ok(Ui::Replied(body)) => self.replied(*body),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => Some(Leave::Quietly),
            };
            if let Some(leave) = leave {
                return leave;
            }
        }
    }

    fn listen_to_keys(&self) {
        let ui = self.ui.clone();
        thread::spawn(move || {
            let mut buffer = Zeroizing::new([0_u8; 1024]);
            while let Ok(count) = std::io::stdin().read(&mut *buffer) {
                let bytes = Zeroizing::new(buffer.get(..count).unwrap_or_default().to_vec());
                if count == 0 || ui.send(Ui::Keys(bytes)).is_err() {
                    break;
                }
            }
            let _ = ui.send(Ui::End);
        });
    }

    /// Commands of a program or a file, from the moment when the session stands.
    fn listen_to_lines(&self) {
        let ui = self.ui.clone();
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if ui.send(Ui::Line(line)).is_err() {
                    return;
                }
            }
            let _ = ui.send(Ui::End);
        });
    }

    fn event(&mut self, event: Event) -> Option<Leave> {
        match event {
            Event::Session(view) => return self.session(view),
            Event::Contacts { contacts, groups } => {
                self.groups = groups;
                self.contacts = contacts
                    .into_iter()
                    .map(|one| (one.address.clone(), one))
                    .collect();
            }
            Event::Contact(contact) => self.contact(contact),
            // A card that changed is shown when it is asked for.
            Event::Person(_) => {}
            Event::Message(message) => self.message(&message),
            Event::Conversation(view) => self.conversation(view),
            Event::Typing { with, on } => {
                let until = Instant::now() + Duration::from_secs(TYPING_SHOWN_SECS);
                self.typing = on.then_some((with, until));
            }
            Event::Notice { text } => {
                let text = self.screen.style.warn(&text);
                self.screen.line(&text);
            }
            Event::Exit => {
                self.screen.line("Lanyard has ended.");
                return Some(Leave::Quietly);
            }
        }
        None
    }

    fn session(&mut self, view: SessionView) -> Option<Leave> {
        let before = std::mem::replace(&mut self.view, view);
        if self.view.slow && !before.slow {
            let text = self.screen.style.quiet("This is taking longer than usual…");
            self.screen.line(&text);
        }
        if before.stage != self.view.stage || (before.problem != self.view.problem) {
            let asks_again = self.view.stage.asks();
            let back_in = before.stage != Stage::Idle
                && self.view.stage == Stage::SignedIn
                && self.was_in
                && !matches!(before.stage, Stage::Reconnecting { .. });
            if !back_in || asks_again {
                for line in words::stage(&self.view, self.screen.style) {
                    self.screen.line(&line);
                }
            }
        }
        match self.view.stage.clone() {
            Stage::ChooseCard(choice) => self.ask_card(&choice),
            Stage::EnterPin(enter)
                if enter.pad != PadUse::None && self.options.pin_fd.is_none() =>
            {
                if before.stage == self.view.stage {
                    return None;
                }
                self.ask_at_reader(&enter)
            }
            Stage::EnterPin(enter) => self.ask_pin(enter.last_try, enter.miss),
            Stage::EnterPassword(enter) => self.ask_password(enter.miss),
            Stage::ChangePin(change) => self.ask_new_pin(change.refused),
            Stage::InsertCard(insert) => {
                self.mode = Mode::Insert;
                let since = *self.insert_since.get_or_insert_with(Instant::now);
                if self.screen.is_interactive() {
                    return None;
                }
                if insert.detected.is_some() {
                    self.post(Intent::UseCard);
                } else if let Some(left) = insert.left_out.first() {
                    // Nobody is there to put in another one.
                    return self.give_up(left.reason.clone());
                }
                self.insert_since = Some(since);
                None
            }
            Stage::SignedIn | Stage::Reconnecting { .. } => {
                self.insert_since = None;
                if !self.was_in {
                    self.was_in = true;
                    if !self.screen.is_interactive() {
                        self.listen_to_lines();
                    }
                }
                self.editor.set_secret(false);
                self.mode = Mode::Talk;
                None
            }
            Stage::Idle => self.idle(&before),
            _ => {
                self.editor.set_secret(false);
                self.mode = Mode::Working;
                None
            }
        }
    }

    /// The session is over, or the sign-in failed: the sign-in prompt appears.
    fn idle(&mut self, before: &SessionView) -> Option<Leave> {
        if before.stage == Stage::Idle && self.view.problem.is_none() && !self.signing_out {
            // The first look at an agent that has not begun yet.
            return None;
        }
        self.editor.set_secret(false);
        self.partner = None;
        self.conversations.clear();
        self.contacts.clear();
        self.insert_since = None;
        if let Some(problem) = self.view.problem.clone() {
            if !self.screen.is_interactive() {
                return Some(Leave::With(problem));
            }
            let text = self.screen.style.bad(&problem.to_string());
            self.screen.line(&text);
        } else {
            self.screen.line("Signed out.");
            if !self.screen.is_interactive() {
                return Some(Leave::Quietly);
            }
        }
        self.was_in = false;
        self.signing_out = false;
        self.mode = Mode::Idle;
        None
    }

    pub(super) fn contact(&mut self, contact: ContactView) {
        let known = self
            .contacts
            .insert(contact.address.clone(), contact.clone());
        let Some(known) = known else { return };
        let changed = known.availability != contact.availability;
        if changed && known.availability != Availability::Unknown {
            let badge = self.screen.style.badge(contact.availability);
            let words = format!("{} is now {}", contact.name, contact.availability.words());
            let text = format!("{badge} {}", self.screen.style.quiet(&words));
            self.screen.line(&text);
        }
    }

    pub(super) fn message(&mut self, message: &MessageView) {
        let who = self.who_to_whom(message);
        if self.printed.insert(message.id.clone()) {
            if !message.mine {
                self.typing = None;
                if self.partner.is_none() {
                    self.partner = Some(match &message.conversation {
                        Some(id) => Partner::Conversation(id.clone()),
                        None => Partner::Person(message.with.clone()),
                    });
                }
            }
            for line in words::message(message, &who, self.screen.columns(), self.screen.style) {
                self.screen.line(&line);
            }
        } else if let Delivery::NotDelivered { reason } = &message.delivery {
            let line = words::undelivered(reason, self.screen.style);
            self.screen.line(&line);
        }
    }

    /// The name in the list, else the one that came with the message.
    pub(super) fn name_in(&self, message: &MessageView) -> String {
        match self.contacts.contains_key(&message.with) || message.name.is_empty() {
            true => self.name(&message.with),
            false => message.name.clone(),
        }
    }

    pub(super) fn name(&self, address: &SignInAddress) -> String {
        let known = self
            .contacts
            .get(address)
            .map(|contact| contact.name.clone());
        known.unwrap_or_else(|| address.to_string())
    }

    pub(super) fn tick(&mut self) -> Option<Leave> {
        if self
            .typing
            .as_ref()
            .is_some_and(|(_, until)| *until <= Instant::now())
        {
            self.typing = None;
        }
        let waited = self.insert_since.map(|since| since.elapsed().as_secs());
        if let (Mode::Insert, Some(waited), false) =
            (&self.mode, waited, self.screen.is_interactive())
            && waited >= self.options.card_wait
        {
            return self.give_up(Problem::new(Fault::NoCard));
        }
        None
    }
}
