// SPDX-License-Identifier: MIT OR Apache-2.0
//! The language between faces and the agent: JSON, one message a line, documented in `docs/agent-protocol.md`.
//!
//! A PIN travels in one kind of message only, `secret`, which is read straight from the wiped line buffer.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::address::SignInAddress;
use crate::files::Forgotten;
use crate::people::{PersonView, PhotoView};
use crate::problem::Problem;
use crate::view::{
    AccessLevel, Availability, ContactView, ConversationView, Event, LevelView, MessageView,
    SessionView,
};

/// The version of this language. A face and an agent that differ do not talk.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 1_400;

/// The agent's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The program's version.
    pub version: String,
    /// The profile that this agent serves.
    pub profile: String,
    /// The agent's process.
    pub pid: u32,
}

/// A request of a face.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the face; comes back in the reply.
    pub id: u64,
    /// What is wanted.
    #[serde(flatten)]
    pub intent: Intent,
}

/// What a face wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Intent {
    /// Receive events from now on. The current state comes first, as events.
    Attach {
        /// The face shows messages to the person: those that came meanwhile follow, and count as shown.
        #[serde(default)]
        display: bool,
    },
    /// The session as it is.
    Status,
    /// Begin to sign in.
    SignIn {
        /// Address; without one the remembered one is taken.
        address: SignInAddress,
    },
    /// Stop signing in.
    Cancel,
    /// Go on with the card that was detected (the OK of *insert your card*).
    UseCard,
    /// Go on with one of several cards that fit.
    ChooseCard {
        /// Which one, counted from one.
        number: usize,
    },
    /// Type the PIN on the reader's own keys.
    UsePad {
        /// The person agreed to use the last try.
        #[serde(default)]
        last_try: bool,
    },
    /// Set the own status.
    SetStatus {
        /// Availability; without one it stays as it is.
        #[serde(default)]
        availability: Option<Availability>,
        /// Take back what was set by hand.
        #[serde(default)]
        automatic: bool,
        /// The note; without one it stays as it is.
        #[serde(default)]
        note: Option<String>,
    },
    /// The contact list.
    Contacts,
    /// Look for people in the directory.
    Find {
        /// Beginnings of words of names, addresses, titles, telephone numbers.
        words: String,
        /// How many people at most.
        #[serde(default)]
        limit: Option<usize>,
    },
    /// Ask who somebody is.
    Person {
        /// Address.
        address: SignInAddress,
    },
    /// Ask for somebody's photograph.
    Photo {
        /// Address.
        address: SignInAddress,
    },
    /// Add a contact.
    AddContact {
        /// Address.
        address: SignInAddress,
        /// Own name for it.
        #[serde(default)]
        name: String,
        /// The group to put it into; without one, the one for all others.
        #[serde(default)]
        group: Option<String>,
    },
    /// Remove a contact.
    RemoveContact {
        /// Address.
        address: SignInAddress,
    },
    /// Make a group.
    AddGroup {
        /// Its name.
        group: String,
    },
    /// Give a group another name.
    RenameGroup {
        /// Its name.
        group: String,
        /// Its new name.
        to: String,
    },
    /// Delete a group; its contacts stay.
    DeleteGroup {
        /// Its name.
        group: String,
    },
    /// Put a contact into a group as well.
    AddToGroup {
        /// Who.
        address: SignInAddress,
        /// Into which.
        group: String,
    },
    /// Take a contact out of a group; it stays a contact.
    RemoveFromGroup {
        /// Who.
        address: SignInAddress,
        /// Out of which.
        group: String,
    },
    /// Put a contact into a group and out of all others.
    MoveToGroup {
        /// Who.
        address: SignInAddress,
        /// Into which.
        group: String,
    },
    /// Decide what somebody may see of the own presence.
    SetLevel {
        /// Who.
        address: SignInAddress,
        /// What; without one, what everybody of their organisation may see.
        #[serde(default)]
        level: Option<AccessLevel>,
    },
    /// For whom it was decided what they may see.
    Levels,
    /// The conversations of several people.
    Conversations,
    /// Bring somebody into a conversation; the reply comes when they are in it.
    Invite {
        /// Whom.
        address: SignInAddress,
        /// Into the conversation of several with this id,
        #[serde(default)]
        conversation: Option<String>,
        /// or into a new one with this person.
        #[serde(default)]
        with: Option<SignInAddress>,
    },
    /// Say something in a conversation of several; the reply comes when it was delivered or not.
    Say {
        /// Where.
        conversation: String,
        /// The text.
        text: String,
    },
    /// Leave a conversation of several.
    Leave {
        /// Which.
        conversation: String,
    },
    /// The last messages of a conversation of several.
    ConversationHistory {
        /// Which.
        conversation: String,
    },
    /// Send a message; the reply comes when it was delivered or not.
    Send {
        /// To whom.
        to: SignInAddress,
        /// The text.
        text: String,
    },
    /// Say that the person types or stopped.
    Typing {
        /// To whom.
        to: SignInAddress,
        /// Began or ended.
        on: bool,
    },
    /// The last messages with somebody; they count as read.
    History {
        /// With whom.
        with: SignInAddress,
    },
    /// End the session.
    SignOut {
        /// And remove everything of this address.
        #[serde(default)]
        delete_sign_in_info: bool,
    },
    /// Remove everything of an address; ends its session first.
    DeleteSignInInfo {
        /// Address; without one the remembered one.
        #[serde(default)]
        address: Option<SignInAddress>,
    },
    /// End the session and the agent.
    Exit,
}

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// The card's PIN.
    Pin,
    /// The PIN of a card that takes other characters than digits; its value travels as base64 of its UTF-8.
    CardPin,
    /// The new PIN of a forced change.
    NewPin,
    /// A password; its value travels as base64 of its UTF-8, because it may hold any character.
    Password,
}

/// A secret that a face hands over.
pub struct Secret {
    /// Comes back in the reply.
    pub id: u64,
    /// What it is for.
    pub kind: SecretKind,
    /// The secret itself.
    pub value: Zeroizing<String>,
    /// The person agreed to use the last try.
    pub last_try: bool,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {:?}, ..)", self.id, self.kind)
    }
}

/// One line of a face.
#[derive(Debug)]
pub enum FromFace {
    /// An ordinary request.
    Request(Request),
    /// A secret.
    Secret(Secret),
}

/// A line that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the line is no request of protocol version {PROTOCOL_VERSION}")]
pub struct NotUnderstood {
    /// The request's number where it could be read.
    pub id: u64,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(default)]
    id: u64,
    #[serde(rename = "do", default)]
    verb: &'a str,
}

// Borrowed: the value stays in the line buffer, no JSON value tree takes a copy.
#[derive(Serialize, Deserialize)]
struct SecretLine<'a> {
    id: u64,
    #[serde(rename = "do")]
    verb: &'a str,
    kind: SecretKind,
    value: &'a str,
    #[serde(default)]
    last_try: bool,
}

impl FromFace {
    /// Reads one line.
    ///
    /// # Errors
    /// When it is no request.
    pub fn parse(line: &[u8]) -> Result<Self, NotUnderstood> {
        let peek: Peek<'_> = serde_json::from_slice(line).map_err(|_| NotUnderstood { id: 0 })?;
        let not_understood = NotUnderstood { id: peek.id };
        if peek.verb != "secret" {
            let request = serde_json::from_slice(line).map_err(|_| not_understood)?;
            return Ok(Self::Request(request));
        }
        // An escaped value cannot be borrowed and is refused: PINs are digits.
        let secret: SecretLine<'_> = serde_json::from_slice(line).map_err(|_| not_understood)?;
        if secret.value.len() > SECRET_BYTES_MAX {
            return Err(not_understood);
        }
        let value = match secret.kind {
            SecretKind::Pin | SecretKind::NewPin => Zeroizing::new(secret.value.to_owned()),
            SecretKind::CardPin | SecretKind::Password => {
                let bytes = STANDARD.decode(secret.value).map_err(|_| not_understood)?;
                let bytes = Zeroizing::new(bytes);
                let text = std::str::from_utf8(&bytes).map_err(|_| not_understood)?;
                Zeroizing::new(text.to_owned())
            }
        };
        Ok(Self::Secret(Secret {
            id: secret.id,
            kind: secret.kind,
            value,
            last_try: secret.last_try,
        }))
    }
}

impl Secret {
    /// The line of this secret, without its end.
    ///
    /// # Errors
    /// When the secret is no plain printable text.
    pub fn to_line(&self) -> Result<Zeroizing<Vec<u8>>, NotUnderstood> {
        let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        let value = match self.kind {
            SecretKind::Pin | SecretKind::NewPin => self.value.clone(),
            SecretKind::CardPin | SecretKind::Password => {
                Zeroizing::new(STANDARD.encode(self.value.as_bytes()))
            }
        };
        if value.len() > SECRET_BYTES_MAX || !value.chars().all(plain) {
            return Err(NotUnderstood { id: self.id });
        }
        let line = SecretLine {
            id: self.id,
            verb: "secret",
            kind: self.kind,
            value: &value,
            last_try: self.last_try,
        };
        // Large enough from the start: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * SECRET_BYTES_MAX));
        serde_json::to_writer(&mut *bytes, &line).map_err(|_| NotUnderstood { id: self.id })?;
        Ok(bytes)
    }
}

/// One line of the agent after its [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromAgent {
    /// The answer to a request.
    Reply(Box<Reply>),
    /// Something happened.
    Event(Box<Event>),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's number.
    pub reply: u64,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// What was asked for.
    #[serde(flatten)]
    pub body: ReplyBody,
}

/// What a reply carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyBody {
    /// To `status` and `attach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionView>,
    /// To `contacts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<ContactView>>,
    /// To `contacts`: all groups by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// To `levels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<LevelView>>,
    /// To `conversations`, and to `invite` the one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<Vec<ConversationView>>,
    /// To `find`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<Vec<PersonView>>,
    /// To `find`: there are more than these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    /// To `person`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonView>,
    /// To `photo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<PhotoView>,
    /// To `history` and `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<MessageView>>,
    /// To `delete-sign-in-info` and `sign-out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Forgotten>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_documented() {
        let line = br#"{"id":7,"do":"sign-in","address":"SIP:Alice@contoso.test"}"#;
        let Ok(FromFace::Request(request)) = FromFace::parse(line) else {
            panic!("no request")
        };
        assert_eq!(request.id, 7);
        let address = "alice@contoso.test".parse().unwrap();
        assert_eq!(request.intent, Intent::SignIn { address });
    }

    #[test]
    fn a_secret_goes_there_and_back_and_is_never_printed() {
        let value = Zeroizing::new("271828".to_owned());
        let secret = Secret {
            id: 3,
            kind: SecretKind::Pin,
            value,
            last_try: true,
        };
        assert!(!format!("{secret:?}").contains("271828"));
        let line = secret.to_line().unwrap();
        let Ok(FromFace::Secret(back)) = FromFace::parse(&line) else {
            panic!("no secret")
        };
        assert_eq!(back.value.as_str(), "271828");
        assert!(back.last_try);
        let kind = SecretKind::Password;
        let value = Zeroizing::new("Grüße \"aus\" Málaga".to_owned());
        let password = Secret {
            id: 4,
            kind,
            value,
            last_try: false,
        };
        let line = password.to_line().unwrap();
        let Ok(FromFace::Secret(same)) = FromFace::parse(&line) else {
            panic!("no secret")
        };
        assert_eq!(same.value.as_str(), password.value.as_str());
        let odd = Secret {
            value: Zeroizing::new("27\"18".to_owned()),
            ..back
        };
        assert!(odd.to_line().is_err());
    }

    #[test]
    fn a_line_that_is_not_understood_still_tells_its_number() {
        assert_eq!(
            FromFace::parse(br#"{"id":9,"do":"dance"}"#).unwrap_err().id,
            9
        );
        assert_eq!(FromFace::parse(b"GET / HTTP/1.1").unwrap_err().id, 0);
    }

    #[test]
    fn replies_and_events_are_told_apart() {
        let reply = Reply {
            reply: 4,
            error: None,
            body: ReplyBody::default(),
        };
        let text = serde_json::to_string(&reply).unwrap();
        assert_eq!(text, r#"{"reply":4}"#);
        assert_eq!(
            serde_json::from_str::<FromAgent>(&text).unwrap(),
            FromAgent::Reply(Box::new(reply))
        );
        let event = serde_json::to_string(&Event::Exit).unwrap();
        assert_eq!(
            serde_json::from_str::<FromAgent>(&event).unwrap(),
            FromAgent::Event(Box::new(Event::Exit))
        );
    }

    proptest::proptest! {
        #[test]
        fn lines_of_any_kind_are_read_or_refused(line in proptest::collection::vec(0_u8.., 0..200)) {
            let _ = FromFace::parse(&line);
        }

        #[test]
        fn requests_come_back_as_they_were_sent(id in 0_u64.., text in "\\PC{0,80}") {
            let to = "bob@contoso.test".parse().unwrap();
            let request = Request { id, intent: Intent::Send { to, text } };
            let line = serde_json::to_vec(&request).unwrap();
            let Ok(FromFace::Request(back)) = FromFace::parse(&line) else { panic!("no request") };
            proptest::prop_assert_eq!(back, request);
        }
    }
}
