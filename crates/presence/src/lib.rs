// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registrations, subscriptions, categories, contacts and conversations.
//!
//! This crate opens no socket, reads no clock, draws no random number and writes no file: the hub
//! takes messages and the time, and gives back an ordered list of effects. It signs nothing; the
//! connection that sends a message signs it.
//!
//! * [`model`]: plain owned data: people, the durable roster, changes of it, and the traits that a
//!   store and a directory implement.
//! * [`xml`]: every XML document of the presence wire, read and written, for both sides.
//! * [`hub`]: the node's state machine.
//! * [`limits`]: the bounds, each a named constant.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[doc(hidden)]
pub mod bench;
#[doc(hidden)]
pub mod fuzzing;
pub mod hub;
pub mod limits;
pub mod model;
pub mod xml;

pub use hub::{
    ConnectionId, Effect, Effects, EndEvent, EndReason, Explanation, Hub, HubConfig, Now, Refusal,
    Registration, SessionFilter, SessionInfo, Token,
};
pub use model::availability::Availability;
pub use model::people::{People, PersonCard, PhotoLink};
pub use model::roster::{
    Contact, Container, Group, Member, MemberKind, Publication, PublicationKey, Roster,
    RosterChange, RosterEdit, Subscriber,
};
pub use model::store::{MemoryRosterStore, RosterError, RosterStore};
pub use model::uri::{PersonUri, PersonUriError};
