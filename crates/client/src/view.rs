// SPDX-License-Identifier: MIT OR Apache-2.0
//! What faces show: plain data, ready to be worded and drawn. Nothing here knows a protocol.

mod choices;

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::address::SignInAddress;
use crate::people::PersonView;
use crate::problem::Problem;

pub use choices::{AccessLevel, Availability};

/// Everything about the session except contacts and messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// The address in use, or the one to pre-fill.
    pub address: Option<SignInAddress>,
    /// Where the sign-in stands.
    #[serde(flatten)]
    pub stage: Stage,
    /// Why the last attempt failed or the session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The step takes longer than usual.
    #[serde(default)]
    pub slow: bool,
    /// The own status as others see it.
    pub own: OwnView,
    /// When the sign-in must be renewed with the card.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub renew_by: Option<OffsetDateTime>,
    /// When the certificate on the card in use ends.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub card_ends: Option<OffsetDateTime>,
    /// Everything is hidden until the card is back and its PIN was typed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// The card was taken out a moment ago.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub card_out: bool,
}

impl SessionView {
    /// A session that has not begun.
    #[must_use]
    pub fn idle(address: Option<SignInAddress>) -> Self {
        Self {
            address,
            stage: Stage::Idle,
            problem: None,
            slow: false,
            own: OwnView::default(),
            renew_by: None,
            card_ends: None,
            locked: false,
            card_out: false,
        }
    }
}

/// The states of a sign-in and of a session (S-09, S-50 to S-53).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// The sign-in prompt; nobody is signed in.
    Idle,
    /// Looking for the server of the address.
    FindingServer,
    /// Talking to the server about the ways in.
    ContactingServer,
    /// No fitting card yet.
    InsertCard(InsertCard),
    /// Several cards fit: the person says which.
    ChooseCard(ChooseCard),
    /// A PIN is needed.
    EnterPin(EnterPin),
    /// The reader waits for the PIN to be typed on its keys.
    TypeOnReader(CardLabel),
    /// A password is needed: this person's policy offers that way, and no card of theirs is there.
    EnterPassword(EnterPassword),
    /// The card still has its transport PIN: the person chooses a new one, once.
    ChangePin(ChangePin),
    /// The card signs, the certificate is fetched, the registration goes out.
    SigningIn,
    /// Signed in.
    SignedIn,
    /// The connection was lost; the agent tries again with the chat key.
    Reconnecting {
        /// What was seen last.
        reason: Problem,
        /// Seconds until the next try.
        retry_in: u64,
    },
    /// Signing out.
    SigningOut,
}

impl Stage {
    /// Whether an attempt to sign in is under way.
    #[must_use]
    pub fn is_signing_in(&self) -> bool {
        !matches!(
            self,
            Self::Idle | Self::SignedIn | Self::Reconnecting { .. } | Self::SigningOut
        )
    }

    /// One line for a status display.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Idle => "Not signed in",
            Self::FindingServer => "Finding your server…",
            Self::ContactingServer => "Contacting server…",
            Self::InsertCard(_) => "Insert your smart card",
            Self::ChooseCard(_) => "Choose a card",
            Self::EnterPin(_) => "Waiting for your PIN",
            Self::TypeOnReader(_) => "Type the PIN on the reader",
            Self::EnterPassword(_) => "Waiting for your password",
            Self::ChangePin(_) => "Waiting for your new PIN",
            Self::SigningIn => "Signing in…",
            Self::SignedIn => "Signed in",
            Self::Reconnecting { .. } => "Connection lost, trying again",
            Self::SigningOut => "Signing out…",
        }
    }
}

/// The state *insert your card*.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsertCard {
    /// Readers by name; none means that no reader was found.
    pub readers: Vec<String>,
    /// The card that was detected meanwhile; OK is possible now.
    pub detected: Option<CardLabel>,
    /// Cards that are there but do not fit, with the reason.
    pub left_out: Vec<LeftOut>,
}

/// A card that is there but cannot be used for this sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which card.
    pub card: CardLabel,
    /// Why not.
    pub reason: Problem,
}

/// The choice among several cards that fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChooseCard {
    /// The cards; they are counted from one.
    pub cards: Vec<CardChoice>,
}

/// One card that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardChoice {
    /// Which card.
    pub card: CardLabel,
    /// Its number in hexadecimal digits, where it has one.
    pub number: Option<String>,
    /// Until when its certificate holds.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
}

/// Whether the PIN can be typed on the reader's own keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PadUse {
    /// It is typed at the computer.
    #[default]
    None,
    /// It can be typed on the reader, or at the computer.
    Offered,
    /// It must be typed on the reader.
    Required,
}

/// The PIN prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterPin {
    /// Which card's PIN.
    pub card: CardLabel,
    /// Whether it is typed on the reader.
    #[serde(default)]
    pub pad: PadUse,
    /// Tries that are left, where the card tells.
    pub tries_left: Option<u8>,
    /// Only one try is left: it is used only with the person's consent.
    pub last_try: bool,
    /// Why the PIN before this one was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<Problem>,
    /// Why the PIN is asked for although the person is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The password prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterPassword {
    /// Why the password before this one was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<Problem>,
    /// Why it is asked for although the person is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Stage {
    /// Whether the person is asked for something.
    #[must_use]
    pub fn asks(&self) -> bool {
        matches!(
            self,
            Self::InsertCard(_)
                | Self::ChooseCard(_)
                | Self::EnterPin(_)
                | Self::TypeOnReader(_)
                | Self::EnterPassword(_)
                | Self::ChangePin(_)
        )
    }
}

/// The forced change of the transport PIN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePin {
    /// Which card's PIN.
    pub card: CardLabel,
    /// Why the last choice was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Problem>,
}

/// A card in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardLabel {
    /// Whose card, from its certificate; empty for a blank card.
    pub holder: String,
    /// The reader, or the name of the virtual card.
    pub place: String,
    /// Virtual cards are always inserted.
    pub is_virtual: bool,
}

impl fmt::Display for CardLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holder.is_empty() {
            write!(f, "{}", self.place)
        } else {
            write!(f, "{} ({})", self.holder, self.place)
        }
    }
}

/// The own status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnView {
    /// The display name that the server gives.
    pub name: String,
    /// Availability.
    pub availability: Availability,
    /// The note above the name.
    #[serde(default)]
    pub note: String,
}

/// One contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactView {
    /// Address.
    pub address: SignInAddress,
    /// Display name; the address where nothing better is known.
    pub name: String,
    /// Availability.
    pub availability: Availability,
    /// Note.
    #[serde(default)]
    pub note: String,
    /// Names of the groups it stands in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What this person may see of the own presence, where that was decided for this person alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<AccessLevel>,
    /// Messages that were not shown yet.
    #[serde(default)]
    pub unread: u32,
}

/// A person and what they may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelView {
    /// Whom it was decided for.
    pub address: SignInAddress,
    /// What was decided.
    pub level: AccessLevel,
}

/// A conversation of several people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationView {
    /// Names it as long as it lasts.
    pub id: String,
    /// Everybody but the person of this session, in order of display.
    pub members: Vec<MemberView>,
    /// It is over: nothing can be said there any more.
    #[serde(default)]
    pub ended: bool,
}

/// Somebody in a conversation of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Address.
    pub address: SignInAddress,
    /// The best name that is known.
    pub name: String,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Unique on this computer.
    pub id: String,
    /// The other person; in a conversation of several, who wrote it.
    pub with: SignInAddress,
    /// Which conversation of several people it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The best name that is known for the other person; empty in records of earlier versions.
    #[serde(default)]
    pub name: String,
    /// Written by the person of this session.
    pub mine: bool,
    /// The text.
    pub text: String,
    /// When it was sent or received.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What became of it.
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delivery", rename_all = "kebab-case")]
pub enum Delivery {
    /// On its way.
    Sending,
    /// The other side took it.
    Delivered,
    /// It did not arrive.
    NotDelivered {
        /// Why.
        reason: Problem,
    },
    /// It came in.
    Received,
}

/// Something that happened, for faces that are attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The session changed.
    Session(SessionView),
    /// The whole contact list.
    Contacts {
        /// All contacts, sorted for display.
        contacts: Vec<ContactView>,
        /// All groups by name, empty ones as well.
        #[serde(default)]
        groups: Vec<String>,
    },
    /// One contact changed.
    Contact(ContactView),
    /// The contact card of somebody says something else than before.
    Person(PersonView),
    /// A message came, went, or changed its delivery state.
    Message(MessageView),
    /// A conversation of several people began, changed or ended.
    Conversation(ConversationView),
    /// Somebody types, or stopped.
    Typing {
        /// Who.
        with: SignInAddress,
        /// Began or ended.
        on: bool,
    },
    /// Something worth a notification that is no message.
    Notice {
        /// A sentence.
        text: String,
    },
    /// The agent ends: faces end too.
    Exit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_written_flat_with_its_stage() {
        let view = SessionView::idle(Some("alice@contoso.test".parse().unwrap()));
        let text = serde_json::to_string(&Event::Session(view.clone())).unwrap();
        assert!(text.contains(r#""event":"session""#) && text.contains(r#""stage":"idle""#));
        assert_eq!(
            serde_json::from_str::<Event>(&text).unwrap(),
            Event::Session(view)
        );
    }
}
