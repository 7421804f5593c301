// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of the server: invitations, messages, notifications, the end of the session.

use lanyard_fault::Fault;
use lanyard_presence::PersonUri;
use lanyard_presence::xml::content_type;
use lanyard_presence::xml::keyboard::KeyboardActivity;
use lanyard_sip::{Headers, Message, Method, Name, OutMessage, reason_phrase};

use super::dialog::{Dialog, offers_messages, sdp};
use super::registration::diagnosed;
use super::requests::USER_AGENT;
use super::{Action, Now, Session};
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
                let known = request
                    .call_id()
                    .and_then(|id| self.conversations.remove(id));
                self.answer(now, request, if known.is_some() { 200 } else { 481 });
            }
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
            if problem.is(Fault::SessionEndedServerStops) {
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
        let known = request
            .call_id()
            .and_then(|id| self.conversations.by_call(id));
        if known.is_some_and(|dialog| dialog.owns(request)) {
            // A refresh inside the dialog: the same answer.
            return self.answer_invite(now, request, None);
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
        let tag = dialog.local_tag().to_owned();
        self.conversations.establish(dialog);
        self.answer_invite(now, request, Some(&tag));
    }

    fn answer_invite(&mut self, now: Now, request: &Message, tag: Option<&str>) {
        let mut answer = OutMessage::response_to(request, 200, "OK");
        for route in request.headers(Name::RecordRoute) {
            answer.push(Name::RecordRoute, route);
        }
        if let Some(tag) = tag {
            answer = answer.with_to_tag(tag);
        }
        let answer = answer
            .with(Name::Contact, format!("<{}>", self.me.contact))
            .with(Name::UserAgent, USER_AGENT)
            .with_body("application/sdp", sdp());
        self.send(now, answer);
    }

    fn message_came(&mut self, now: Now, request: &Message) {
        let Some(with) = self.dialog_partner(request) else {
            return self.answer(now, request, 481);
        };
        let Some(media) = request.content_type() else {
            return self.answer(now, request, 400);
        };
        if media.is("application/im-iscomposing+xml") {
            self.answer(now, request, 200);
            let on = memchr_active(request.body());
            return self.typing(&with, on);
        }
        let text = match media.essence().as_str() {
            "text/plain" => String::from_utf8(request.body().to_vec()).ok(),
            "text/html" => std::str::from_utf8(request.body()).ok().map(plain_of_html),
            _ => return self.answer(now, request, 415),
        };
        // Acknowledged only when it is on the screen's way: an unreadable one is told to the sender.
        match text {
            Some(text) => {
                self.answer(now, request, 200);
                self.typing(&with, false);
                self.learn_name(&with, request);
                self.conversations
                    .prefer(request.call_id().unwrap_or_default());
                self.received_text(&with, text, now.wall);
            }
            None => self.answer(now, request, 400),
        }
    }

    fn info_came(&mut self, now: Now, request: &Message) {
        let Some(with) = self.dialog_partner(request) else {
            return self.answer(now, request, 481);
        };
        self.answer(now, request, 200);
        let is_xml = request
            .content_type()
            .is_some_and(|media| media.is(content_type::XML));
        if is_xml && let Ok(activity) = KeyboardActivity::parse(request.body()) {
            self.typing(&with, activity == KeyboardActivity::Typing);
        }
    }

    fn typing(&mut self, with: &PersonUri, on: bool) {
        let changed = if on {
            self.typing.insert(with.clone())
        } else {
            self.typing.remove(with)
        };
        if changed && let Ok(with) = with.address().parse() {
            self.actions.push(Action::Typing { with, on });
        }
    }

    fn dialog_partner(&self, request: &Message) -> Option<PersonUri> {
        let dialog = self.conversations.by_call(request.call_id()?)?;
        dialog.owns(request).then(|| dialog.with.clone())
    }

    fn answer(&mut self, now: Now, request: &Message, code: u16) {
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

/// The words of a message that was written with formatting: tags away, the usual entities undone.
fn plain_of_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, behind) = after.split_once('>').unwrap_or((after, ""));
        let tag = tag.trim_start_matches('/').to_ascii_lowercase();
        if ["br", "p", "div"]
            .iter()
            .any(|block| tag.split([' ', '/']).next() == Some(block))
            && !text.is_empty()
            && !text.ends_with('\n')
        {
            text.push('\n');
        }
        rest = behind;
    }
    text.push_str(rest);
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
    ];
    for (entity, character) in entities {
        text = text.replace(entity, character);
    }
    text.replace("&amp;", "&").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_messages_become_plain_words() {
        let html = "<html><body><p>Gr&uuml;&szlig;e &amp; <b>bis</b><br/>morgen &lt;3</p></body>";
        assert_eq!(plain_of_html(html), "Gr&uuml;&szlig;e & bis\nmorgen <3");
        assert_eq!(plain_of_html("no <tag"), "no");
    }

    #[test]
    fn an_end_without_a_code_is_still_in_words() {
        let rejected = put_out(b"deregistered;event=rejected");
        assert!(rejected.is(Fault::SessionEndedByAdministrator));
        assert!(put_out(b"deregistered;event=unregistered").is(Fault::SessionEndedServerStops));
    }

    proptest::proptest! {
        #[test]
        fn no_formatting_drives_the_reader_off_the_road(html in "(<|>|&|/|[a-z]|é| ){0,60}") {
            let _ = plain_of_html(&html);
        }
    }
}
