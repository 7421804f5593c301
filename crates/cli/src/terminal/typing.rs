// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the person types: keys, lines, commands.

use std::time::Instant;

use lanyard_client::agent::protocol::{Intent, ReplyBody, SecretKind};
use lanyard_client::view::{AccessLevel, Availability, ContactView};
use lanyard_client::{Fault, Problem, SignInAddress};
use zeroize::Zeroizing;

use super::commands::Command;
use super::editor::Typed;
use super::session::{Leave, Mode, Partner, TYPING_TOLD_SECS, Terminal, Ui};
use super::words;
use crate::output;

impl Terminal {
    pub(super) fn keys(&mut self, bytes: &[u8]) -> Option<Leave> {
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
    pub(super) fn typed(&mut self) {
        let (Mode::Talk, Some(Partner::Person(partner))) = (&self.mode, &self.partner) else {
            return;
        };
        let to = partner.clone();
        if self.editor.is_empty() {
            // Thought better of it.
            if self.told_typing.take().is_some() {
                self.face.post(Intent::Typing { to, on: false }, |_| {});
            }
            return;
        }
        let due = self
            .told_typing
            .is_none_or(|at| at.elapsed().as_secs() >= TYPING_TOLD_SECS);
        if due && !self.editor.is_command() {
            self.told_typing = Some(Instant::now());
            self.face.post(Intent::Typing { to, on: true }, |_| {});
        }
    }

    pub(super) fn interrupt(&mut self) -> Option<Leave> {
        if !self.editor.is_empty() {
            self.editor.wipe();
            self.typed();
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

    pub(super) fn end_of_input(&mut self) -> Option<Leave> {
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

    pub(super) fn closing_words(&mut self) {
        let words = "Closed. The session goes on; 'lanyard open' brings it back.";
        let text = self.screen.style.quiet(words);
        self.screen.line(&text);
    }

    pub(super) fn entered(&mut self, line: String) -> Option<Leave> {
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
            Mode::Choose => {
                self.screen.take_back();
                self.mode = Mode::Choose;
                if let Ok(number) = line.trim().parse() {
                    self.post(Intent::ChooseCard { number });
                }
                None
            }
            Mode::Pad { last_try } => {
                self.screen.take_back();
                self.post(Intent::UsePad { last_try });
                None
            }
            Mode::Password => {
                self.screen.take_back();
                self.mode = Mode::Password;
                self.editor.set_secret(true);
                let line = Zeroizing::new(line);
                if line.is_empty() {
                    return None;
                }
                self.hand_over(SecretKind::Password, line, false)
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

    pub(super) fn sign_in_again(&mut self, line: &str) -> Option<Leave> {
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
                self.options.password_fd = None;
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

    pub(super) fn command(&mut self, line: &str) -> Option<Leave> {
        match Command::parse(line) {
            Command::Nothing => {}
            Command::Say(text) => match self.partner.clone() {
                Some(Partner::Person(to)) => self.send(to, text),
                Some(Partner::Conversation(id)) => self.say_in(id, text),
                None => self.say("Say to whom: /to WHO, or /msg WHO TEXT."),
            },
            Command::Message { to, text } => {
                if let Some(to) = self.who(to) {
                    self.talk_to(Partner::Person(to.clone()));
                    self.send(to, text);
                }
            }
            Command::To(who) => {
                if let Some(partner) = self.partner_of(who) {
                    self.talk_to(partner);
                }
            }
            Command::Invite(who) => self.invite(who),
            Command::Leave => self.leave(),
            Command::Members => self.show_who(),
            Command::Conversations => self.show_conversations(),
            Command::Groups => self.show_groups(),
            Command::Group(change) => self.change_groups(change),
            Command::Level { who, level } => self.set_level(who, level),
            Command::Block(who) => self.set_level(who, AccessLevel::Blocked.word()),
            Command::Unblock(who) => self.unblock(who),
            Command::Contacts => {
                let contacts: Vec<ContactView> = self.contacts.values().cloned().collect();
                for line in output::contact_lines(&contacts, &self.groups, self.screen.style) {
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
            Command::Find(words) => self.post(Intent::Find {
                words: words.to_owned(),
                limit: None,
            }),
            Command::Who(who) => {
                if let Some(address) = self.who(who) {
                    self.post(Intent::Person { address });
                }
            }
            Command::Add { address, group } => match self.found_or_typed(address) {
                Ok(address) => self.add(address, group),
                Err(_) => self.say(&Problem::new(Fault::AddressMalformed).to_string()),
            },
            Command::Remove(who) => {
                if let Some(address) = self.who(who) {
                    let words =
                        format!("{} is no longer in your contact list.", self.name(&address));
                    self.post_and_tell(Intent::RemoveContact { address }, words);
                }
            }
            Command::History("") => self.show_history(),
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

    pub(super) fn send(&mut self, to: SignInAddress, text: &str) {
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

    pub(super) fn post(&self, intent: Intent) {
        let ui = self.ui.clone();
        self.face.post(intent, move |result| {
            let said = match result {
                Ok(body) => Ui::Replied(Box::new(body)),
                Err(problem) => Ui::Failed(problem),
            };
            let _ = ui.send(said);
        });
    }

    pub(super) fn replied(&mut self, body: ReplyBody) -> Option<Leave> {
        if let Some(messages) = &body.messages {
            for message in messages {
                let who = self.who_to_whom(message);
                for line in words::message(message, &who, self.screen.columns(), self.screen.style)
                {
                    self.screen.line(&line);
                }
            }
            if messages.is_empty() {
                self.say("No messages yet.");
            }
        }
        self.people_replied(&body);
        if let Some(conversation) = body.conversations.as_ref().and_then(|all| all.first()) {
            self.talk_to(Partner::Conversation(conversation.id.clone()));
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

    pub(super) fn say(&mut self, words: &str) {
        let text = self.screen.style.warn(words);
        self.screen.line(&text);
    }

    /// Who is meant: an address, or the beginning of a contact's name or address.
    pub(super) fn who(&mut self, typed: &str) -> Option<SignInAddress> {
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
}
