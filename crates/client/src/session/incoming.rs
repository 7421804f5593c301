// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of the server: invitations, messages, notifications, the end of the session.

use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::keyboard::KeyboardActivity;
use lanyard_sip::{Headers, Message, Method, Name, OutMessage, reason_phrase};

use super::dialog::{Dialog, offers_messages, sdp};
use super::multiparty::{MULTIPARTY, Party, ROSTER_ACTION};
use super::registration::diagnosed;
use super::requests::USER_AGENT;
use super::{Now, Session, rich};
use crate::problem::Problem;

/// The event of a session that the server ends.
const REGISTRATION_NOTIFY: &str = "registration-notify";

impl Session {
    pub(super) fn request(&mut self, now: Now, request: &Message) {
        match request.method() {
            Some(Method::Invite) => self.invited(now, request),
            Some(Method::Message) => self.message_came(now, request),
            Some(Method::Info) => self.info_came(now, request),
            Some(Method::Bye) => {
                let known = self.conversations.of_request(request).cloned();
                self.answer(now, request, if known.is_some() { 200 } else { 481 });
                if let Some(dialog) = known {
                    self.dialog_over(&dialog);
                }
            }
            Some(Method::Refer) => self.referred(now, request),
            Some(Method::Notify) => {
                self.answer(now, request, 200);
                self.notification(now, request);
            }
            Some(Method::BeNotify) => self.notification(now, request),
            Some(Method::Options | Method::Cancel) => self.answer(now, request, 200),
            // Neither is ever answered.
            Some(Method::Ack) | None => {}
            Some(_) => self.answer(now, request, 501),
        }
    }

    fn notification(&mut self, now: Now, message: &Message) {
        let Some(event) = message.event() else { return };
        if event.is(REGISTRATION_NOTIFY) {
            let problem = diagnosed(message).unwrap_or_else(|| put_out(message.body()));
            let for_now = [
                Fault::SessionEndedServerStops,
                Fault::SessionEndedSlowReader,
            ];
            if for_now.into_iter().any(|fault| problem.is(fault)) {
                // Nobody put us out: the chat key brings us back when the server is there again.
                return self.give_up(problem);
            }
            return self.end(problem);
        }
        let package = event.package.to_ascii_lowercase();
        self.notified(now, &package, message);
    }

    fn invited(&mut self, now: Now, request: &Message) {
        let Some(with) = sender(request) else {
            return self.answer(now, request, 400);
        };
        if self.conversations.of_request(request).is_some() {
            // A refresh inside the dialog: the same answer.
            return self.answer_invite(now, request, None);
        }
        if request.to_addr().is_some_and(|to| to.tag().is_some()) {
            return self.answer(now, request, 481);
        }
        if !offers_messages(request.body()) {
            return self.answer(now, request, 488);
        }
        if self.conversations.is_full() {
            return self.answer(now, request, 486);
        }
        let Some(dialog) = Dialog::answering(&with, request) else {
            return self.answer(now, request, 400);
        };
        self.learn_name(&with, request);
        let tag = dialog.id().to_owned();
        match Party::of(request) {
            Some(party) => self.drawn_in(now, request, dialog, &party),
            None if self.conversations.groups.contains_key(&dialog.call_id) => {
                self.drawn_in(now, request, dialog, &Party::default());
            }
            None => {
                self.conversations.establish(dialog);
                self.answer_invite(now, request, Some(&tag));
            }
        }
    }

    pub(super) fn answer_invite(&mut self, now: Now, request: &Message, tag: Option<&str>) {
        let mut answer = OutMessage::response_to(request, 200, "OK");
        for route in request.headers(Name::RecordRoute) {
            answer.push(Name::RecordRoute, route);
        }
        if let Some(tag) = tag {
            answer = answer.with_to_tag(tag);
        }
        let answer = answer
            .with(Name::Contact, format!("<{}>", self.me.contact))
            .with(Name::Supported, MULTIPARTY)
            .with(Name::UserAgent, USER_AGENT)
            .with_body("application/sdp", sdp());
        self.send(now, answer);
    }

    fn message_came(&mut self, now: Now, request: &Message) {
        let Some(dialog) = self.conversations.of_request(request).cloned() else {
            return self.answer(now, request, 481);
        };
        let with = dialog.with.clone();
        let Some(media) = request.content_type() else {
            return self.answer(now, request, 400);
        };
        if media.is("application/im-iscomposing+xml") {
            self.answer(now, request, 200);
            let on = memchr_active(request.body());
            return self.typing(now, &with, on);
        }
        // Acknowledged only when it is on the screen's way: an unreadable one is told to the sender.
        match rich::words(&media, request.body()) {
            Ok(text) => {
                self.answer(now, request, 200);
                self.typing(now, &with, false);
                self.learn_name(&with, request);
                let several = self.conversations.groups.contains_key(&dialog.call_id);
                if !several {
                    self.conversations.prefer(dialog.id());
                }
                let conversation = several.then(|| dialog.call_id.clone());
                self.received_text(&with, conversation, text, now.wall);
            }
            Err(rich::Unreadable::Kind) => self.answer(now, request, 415),
            Err(rich::Unreadable::Content) => self.answer(now, request, 400),
        }
    }

    fn info_came(&mut self, now: Now, request: &Message) {
        let Some(dialog) = self.conversations.of_request(request).cloned() else {
            return self.answer(now, request, 481);
        };
        let media = request.content_type();
        if media.as_ref().is_some_and(|media| media.is(ROSTER_ACTION)) {
            return self.roster_action(now, request, &dialog);
        }
        self.answer(now, request, 200);
        if media.is_some_and(|media| media.is(content_type::XML))
            && let Ok(activity) = KeyboardActivity::parse(request.body())
        {
            self.typing(now, &dialog.with, activity == KeyboardActivity::Typing);
        }
    }

    pub(super) fn answer(&mut self, now: Now, request: &Message, code: u16) {
        let answer = OutMessage::response_to(request, code, reason_phrase(code))
            .with_to_tag(&super::fresh_id())
            .with(Name::UserAgent, USER_AGENT);
        self.send(now, answer);
    }
}

fn sender(request: &Message) -> Option<PersonUri> {
    PersonUri::parse(&request.from_addr()?.sip_uri().ok()?.address()).ok()
}

/// The reason of an end that came without one of our codes.
fn put_out(body: &[u8]) -> Problem {
    let event = std::str::from_utf8(body).unwrap_or_default();
    Problem::new(match event.split("event=").nth(1).map(str::trim) {
        Some(word) if word.starts_with("unregistered") => Fault::SessionEndedServerStops,
        _ => Fault::SessionEndedByAdministrator,
    })
}

fn memchr_active(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| text.contains(">active<"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_without_a_code_is_still_in_words() {
        let rejected = put_out(b"deregistered;event=rejected");
        assert!(rejected.is(Fault::SessionEndedByAdministrator));
        assert!(put_out(b"deregistered;event=unregistered").is(Fault::SessionEndedServerStops));
    }
}
