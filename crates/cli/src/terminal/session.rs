// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop of the interactive session: keys and events in, lines and intents out.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, IsTerminal, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use lanyard_client::agent::protocol::{Intent, ReplyBody, SecretKind};
use lanyard_client::face::Face;
use lanyard_client::view::{
    Availability, ContactView, Delivery, Event, MessageView, SessionView, Stage,
};
use lanyard_client::{Fault, Problem, SignInAddress};
use zeroize::Zeroizing;

use super::commands::Command;
use super::editor::{Editor, Typed};
use super::screen::Screen;
use super::words;
use crate::output;
use crate::secrets;
use crate::verbs::Context;

/// Somebody counts as typing for so long after the last key, in seconds.
const TYPING_SECS: u64 = 5;
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
    /// Consent to use the last try.
    pub use_last_try: bool,
    /// How long to wait for a card, in seconds.
    pub card_wait: u64,
}

/// What the loop hears.
enum Ui {
    Keys(Vec<u8>),
    Line(String),
    End,
    Event(Option<Event>),
    Failed(Problem),
    Replied(ReplyBody),
}

/// What the typed line is for.
enum Mode {
    Idle,
    Working,
    Insert,
    Pin { last_try: bool },
    NewPin { first: Option<Zeroizing<String>> },
    Talk,
}

struct Terminal {
    face: Arc<Face>,
    ui: Sender<Ui>,
    screen: Screen,
    editor: Editor,
    options: Options,
    mode: Mode,
    view: SessionView,
    contacts: HashMap<SignInAddress, ContactView>,
    partner: Option<SignInAddress>,
    printed: HashSet<String>,
    typing: Option<(SignInAddress, Instant)>,
    told_typing: Option<Instant>,
    insert_since: Option<Instant>,
    /// Signed in at least once, or attached to a session: leaving is no failure.
    was_in: bool,
    signing_out: bool,
}

/// How the loop ends.
enum Leave {
    Quietly,
    With(Problem),
}

/// Opens the session in this terminal; returns when the person leaves.
pub fn open(context: &Context, options: Options, start: bool) -> Result<(), Problem> {
    let (ui, heard) = channel();
    let events = ui.clone();
    let on_event = move |event| drop(events.send(Ui::Event(event)));
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
        partner: None,
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
                Ok(Ui::Event(Some(event))) => self.event(event),
                Ok(Ui::Event(None)) => Some(Leave::With(Problem::new(Fault::AgentUnreachable))),
                Ok(Ui::Failed(problem)) => {
                    let text = self.screen.style.bad(&problem.to_string());
                    self.screen.line(&text);
                    None
                }
                Ok(Ui::Replied(body)) => self.replied(body),
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
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
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
            Event::Contacts { contacts } => {
                self.contacts = contacts
                    .into_iter()
                    .map(|one| (one.address.clone(), one))
                    .collect();
            }
            Event::Contact(contact) => self.contact(contact),
            Event::Message(message) => self.message(&message),
            Event::Typing { with, on } => {
                let until = Instant::now() + Duration::from_secs(TYPING_SECS * 2);
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
            let asks_again = matches!(self.view.stage, Stage::EnterPin(_));
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
            Stage::EnterPin(enter) => self.ask_pin(enter.last_try, enter.miss),
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

    fn ask_pin(&mut self, last_try: bool, miss: Option<Problem>) -> Option<Leave> {
        self.mode = Mode::Pin { last_try };
        if let Some(fd) = self.options.pin_fd {
            return match secrets::from_fd(fd) {
                Ok(pin) => self.hand_over(SecretKind::Pin, pin, self.options.use_last_try),
                // What was in the descriptor is used up: the miss is the reason to tell.
                Err(problem) => self.give_up(miss.unwrap_or(problem)),
            };
        }
        if self.screen.is_interactive() {
            self.editor.set_secret(true);
            return None;
        }
        match secrets::ask("PIN") {
            Ok(pin) => self.hand_over(SecretKind::Pin, pin, self.options.use_last_try),
            Err(problem) => self.give_up(miss.unwrap_or(problem)),
        }
    }

    fn ask_new_pin(&mut self, refused: Option<Problem>) -> Option<Leave> {
        self.mode = Mode::NewPin { first: None };
        if let Some(fd) = self.options.new_pin_fd {
            return match secrets::from_fd(fd) {
                Ok(pin) => self.hand_over(SecretKind::NewPin, pin, false),
                Err(problem) => self.give_up(refused.unwrap_or(problem)),
            };
        }
        if self.screen.is_interactive() {
            self.editor.set_secret(true);
            return None;
        }
        match secrets::choose(None, "New PIN") {
            Ok(pin) => self.hand_over(SecretKind::NewPin, pin, false),
            Err(problem) => self.give_up(refused.unwrap_or(problem)),
        }
    }

    fn hand_over(
        &mut self,
        kind: SecretKind,
        value: Zeroizing<String>,
        last_try: bool,
    ) -> Option<Leave> {
        match self.face.secret(kind, value, last_try) {
            Ok(()) => None,
            Err(problem) if !self.screen.is_interactive() || self.options.pin_fd.is_some() => {
                self.give_up(problem)
            }
            Err(problem) => {
                let text = self.screen.style.bad(&problem.to_string());
                self.screen.line(&text);
                None
            }
        }
    }

    /// Without anybody to ask, the attempt is over.
    fn give_up(&mut self, problem: Problem) -> Option<Leave> {
        let renewing = self.was_in;
        let _ = self.face.request(Intent::Cancel);
        if renewing {
            None
        } else {
            Some(Leave::With(problem))
        }
    }

    fn contact(&mut self, contact: ContactView) {
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

    fn message(&mut self, message: &MessageView) {
        let name = self.name(&message.with);
        if self.printed.insert(message.id.clone()) {
            if !message.mine {
                self.typing = None;
                if self.partner.is_none() {
                    self.partner = Some(message.with.clone());
                }
            }
            for line in words::message(message, &name, self.screen.style) {
                self.screen.line(&line);
            }
        } else if let Delivery::NotDelivered { reason } = &message.delivery {
            let line = words::undelivered(reason, self.screen.style);
            self.screen.line(&line);
        }
    }

    fn name(&self, address: &SignInAddress) -> String {
        let known = self
            .contacts
            .get(address)
            .map(|contact| contact.name.clone());
        known.unwrap_or_else(|| address.to_string())
    }

    fn keys(&mut self, bytes: &[u8]) -> Option<Leave> {
        for byte in bytes {
            let leave = match self.editor.byte(*byte) {
                Typed::Nothing => {
                    self.typed();
                    None
                }
                Typed::Line(line) => self.entered(line),
                Typed::Interrupt => self.interrupt(),
                Typed::End => self.end_of_input(),
                Typed::Redraw => {
                    self.screen.clear();
                    None
                }
            };
            if leave.is_some() {
                return leave;
            }
        }
        None
    }

    /// The other side sees that something is being typed, once in a while.
    fn typed(&mut self) {
        let (Mode::Talk, Some(partner)) = (&self.mode, &self.partner) else {
            return;
        };
        let due = self
            .told_typing
            .is_none_or(|at| at.elapsed().as_secs() >= TYPING_SECS);
        if due && !self.editor.is_empty() && !self.editor.is_command() {
            let to = partner.clone();
            self.told_typing = Some(Instant::now());
            self.face.post(Intent::Typing { to, on: true }, |_| {});
        }
    }

    fn interrupt(&mut self) -> Option<Leave> {
        if !self.editor.is_empty() {
            self.editor.wipe();
            return None;
        }
        match self.mode {
            Mode::Talk => {
                let words = "The session goes on after /close; /sign-out ends it.";
                let text = self.screen.style.quiet(words);
                self.screen.line(&text);
                None
            }
            Mode::Idle => Some(Leave::Quietly),
            _ if self.was_in => {
                // A renewal can wait; the session goes on.
                self.post(Intent::Cancel);
                None
            }
            _ => self.give_up(Problem::new(Fault::Cancelled)),
        }
    }

    fn end_of_input(&mut self) -> Option<Leave> {
        match self.mode {
            Mode::Talk | Mode::Idle => {
                if self.screen.is_interactive() && self.was_in {
                    self.closing_words();
                }
                Some(Leave::Quietly)
            }
            _ if self.was_in => Some(Leave::Quietly),
            _ => self.give_up(Problem::new(Fault::Cancelled)),
        }
    }

    fn closing_words(&mut self) {
        let words = "Closed. The session goes on; 'lanyard open' brings it back.";
        let text = self.screen.style.quiet(words);
        self.screen.line(&text);
    }

    fn entered(&mut self, line: String) -> Option<Leave> {
        match std::mem::replace(&mut self.mode, Mode::Working) {
            Mode::Pin { last_try } => {
                self.screen.take_back();
                self.mode = Mode::Pin { last_try };
                self.editor.set_secret(true);
                let line = Zeroizing::new(line);
                if line.is_empty() {
                    return None;
                }
                // The warning stands right above: typing once more is the consent.
                self.hand_over(SecretKind::Pin, line, last_try)
            }
            Mode::NewPin { first: None } => {
                self.screen.take_back();
                self.mode = Mode::NewPin {
                    first: Some(Zeroizing::new(line)),
                };
                None
            }
            Mode::NewPin { first: Some(first) } => {
                self.screen.take_back();
                self.mode = Mode::NewPin { first: None };
                let again = Zeroizing::new(line);
                if *first != *again {
                    let text = self
                        .screen
                        .style
                        .bad("The two are not the same. Once more:");
                    self.screen.line(&text);
                    return None;
                }
                self.hand_over(SecretKind::NewPin, again, false)
            }
            Mode::Insert => {
                self.screen.take_back();
                self.mode = Mode::Insert;
                self.post(Intent::UseCard);
                None
            }
            Mode::Idle => {
                self.screen.commit();
                self.mode = Mode::Idle;
                self.sign_in_again(&line)
            }
            Mode::Talk => {
                self.screen.take_back();
                self.mode = Mode::Talk;
                self.command(&line)
            }
            Mode::Working => None,
        }
    }

    fn sign_in_again(&mut self, line: &str) -> Option<Leave> {
        let typed = line.trim();
        if matches!(typed, "/exit") {
            self.post(Intent::Exit);
            return None;
        }
        if matches!(typed, "/close" | "/quit") {
            return Some(Leave::Quietly);
        }
        let address = if typed.is_empty() {
            self.view.address.clone()
        } else {
            typed.parse().ok()
        };
        match address {
            Some(address) => {
                self.options.pin_fd = None;
                self.options.new_pin_fd = None;
                self.mode = Mode::Working;
                self.post(Intent::SignIn { address });
            }
            None => {
                let problem = Problem::new(Fault::AddressMalformed);
                let text = self.screen.style.bad(&problem.to_string());
                self.screen.line(&text);
            }
        }
        None
    }

    fn command(&mut self, line: &str) -> Option<Leave> {
        match Command::parse(line) {
            Command::Nothing => {}
            Command::Say(text) => match self.partner.clone() {
                Some(to) => self.send(to, text),
                None => self.say("Say to whom: /to WHO, or /msg WHO TEXT."),
            },
            Command::Message { to, text } => {
                if let Some(to) = self.who(to) {
                    self.partner = Some(to.clone());
                    self.send(to, text);
                }
            }
            Command::To(who) => {
                if let Some(who) = self.who(who) {
                    self.partner = Some(who);
                }
            }
            Command::Contacts => {
                let mut contacts: Vec<ContactView> = self.contacts.values().cloned().collect();
                contacts.sort_by_key(|one| (one.name.to_lowercase(), one.address.clone()));
                for line in output::contact_lines(&contacts, self.screen.style) {
                    self.screen.line(&line);
                }
            }
            Command::Status("reset") => self.post(Intent::SetStatus {
                availability: None,
                automatic: true,
                note: None,
            }),
            Command::Status(word) => match Availability::from_typed(word) {
                Some(availability) => self.post(Intent::SetStatus {
                    availability: Some(availability),
                    automatic: false,
                    note: None,
                }),
                None => self.say(&Problem::new(Fault::StatusUnknown).to_string()),
            },
            Command::Note(text) => self.post(Intent::SetStatus {
                availability: None,
                automatic: false,
                note: Some(text.to_owned()),
            }),
            Command::Add(address) => match address.parse() {
                Ok(address) => {
                    self.post(Intent::AddContact {
                        address,
                        name: String::new(),
                    });
                }
                Err(_) => self.say(&Problem::new(Fault::AddressMalformed).to_string()),
            },
            Command::Remove(who) => {
                if let Some(address) = self.who(who) {
                    self.post(Intent::RemoveContact { address });
                }
            }
            Command::History(who) => {
                if let Some(with) = self.who(who) {
                    self.post(Intent::History { with });
                }
            }
            Command::Close => {
                self.closing_words();
                return Some(Leave::Quietly);
            }
            Command::SignOut { delete } => {
                self.signing_out = true;
                self.post(Intent::SignOut {
                    delete_sign_in_info: delete,
                });
            }
            Command::Exit => self.post(Intent::Exit),
            Command::Help => {
                for line in words::help(self.screen.style) {
                    self.screen.line(&line);
                }
            }
            Command::Wrong(words) => self.say(&words),
        }
        None
    }

    fn send(&mut self, to: SignInAddress, text: &str) {
        self.told_typing = None;
        // Its fate comes as an event; a failure is shown below the message.
        let ui = self.ui.clone();
        self.face.post(
            Intent::Send {
                to,
                text: text.to_owned(),
            },
            move |result| {
                if let Err(problem) = result
                    && !problem.is(Fault::MessageNotDelivered)
                    && !problem.is(Fault::PersonUnknown)
                {
                    let _ = ui.send(Ui::Failed(problem));
                }
            },
        );
    }

    fn post(&self, intent: Intent) {
        let ui = self.ui.clone();
        self.face.post(intent, move |result| {
            let said = match result {
                Ok(body) => Ui::Replied(body),
                Err(problem) => Ui::Failed(problem),
            };
            let _ = ui.send(said);
        });
    }

    fn replied(&mut self, body: ReplyBody) -> Option<Leave> {
        if let Some(messages) = &body.messages {
            for message in messages {
                let name = self.name(&message.with);
                for line in words::message(message, &name, self.screen.style) {
                    self.screen.line(&line);
                }
            }
            if messages.is_empty() {
                self.say("No messages yet.");
            }
        }
        if let Some(forgotten) = body.forgotten {
            self.screen.line("Removed from this computer:");
            for thing in forgotten.removed {
                self.screen.line(&format!("  {thing}"));
            }
            for thing in forgotten.kept {
                let text = self.screen.style.bad(&format!("  Not removed: {thing}"));
                self.screen.line(&text);
            }
        }
        None
    }

    fn say(&mut self, words: &str) {
        let text = self.screen.style.warn(words);
        self.screen.line(&text);
    }

    /// Who is meant: an address, or the beginning of a contact's name or address.
    fn who(&mut self, typed: &str) -> Option<SignInAddress> {
        if let Ok(address) = typed.parse() {
            return Some(address);
        }
        let typed = typed.to_lowercase();
        let begins = |contact: &&ContactView| {
            contact.name.to_lowercase().starts_with(&typed)
                || contact.address.user().starts_with(&typed)
        };
        let found: Vec<_> = self
            .contacts
            .values()
            .filter(begins)
            .map(|one| one.address.clone())
            .collect();
        match found.as_slice() {
            [one] => return Some(one.clone()),
            [] => self.say(&format!("Nobody called “{typed}”. Type the whole address.")),
            several => {
                let names: Vec<_> = several.iter().map(ToString::to_string).collect();
                self.say(&format!("Several fit: {}.", names.join(", ")));
            }
        }
        None
    }

    fn tick(&mut self) -> Option<Leave> {
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

    fn prompt(&mut self) {
        if !self.screen.is_interactive() {
            return;
        }
        let style = self.screen.style;
        let (dressed, plain) = match &self.mode {
            Mode::Working => (String::new(), String::new()),
            Mode::Idle => {
                let known = self.view.address.as_ref();
                let known = known.map(|one| format!(" [{one}]")).unwrap_or_default();
                let plain = format!("Sign-in address{known}: ");
                (style.strong(&plain), plain)
            }
            Mode::Insert => {
                let plain = "Press Enter when the card is detected, Ctrl-C to cancel. ".to_owned();
                (style.quiet(&plain), plain)
            }
            Mode::Pin { .. } => {
                let card = match &self.view.stage {
                    Stage::EnterPin(enter) => format!("PIN of {}: ", enter.card),
                    _ => "PIN: ".to_owned(),
                };
                (style.strong(&card), card)
            }
            Mode::NewPin { first } => {
                let plain = if first.is_none() {
                    "New PIN: "
                } else {
                    "New PIN again: "
                };
                (style.strong(plain), plain.to_owned())
            }
            Mode::Talk => self.talk_prompt(),
        };
        self.screen.set_prompt(dressed, &plain);
        self.screen.draw(&self.editor);
    }

    fn talk_prompt(&self) -> (String, String) {
        let style = self.screen.style;
        let own = self.view.own.availability;
        let typing = self
            .typing
            .as_ref()
            .map(|(who, _)| format!("{} is typing… ", self.name(who)));
        let typing = typing.unwrap_or_default();
        let badge = match self.view.stage {
            Stage::Reconnecting { .. } => style.warn("◌"),
            _ => style.badge(own),
        };
        let partner = match &self.partner {
            Some(partner) => format!("to {}", self.name(partner)),
            None => own.words().to_owned(),
        };
        let plain = format!("{typing}● {partner} ❯ ");
        (
            format!(
                "{}{badge} {} ",
                style.quiet(&typing),
                style.strong(&format!("{partner} ❯"))
            ),
            plain,
        )
    }
}
