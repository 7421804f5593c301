// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client without a face: sign-in, roster and conversations as machines, and the agent that runs them.
//!
//! Faces (terminal, desktop) hand in plain intents and get plain view data; they know no SIP, no certificate and no
//! PIN rule. The machines in [`signin`] and [`session`] are sans-IO: sockets, clocks, cards and randomness belong to
//! [`agent`].

pub mod address;
pub mod agent;
mod attestation;
pub mod card_life;
pub mod cards;
pub mod config;
pub mod enrolment;
pub mod face;
pub mod files;
pub mod net;
pub mod people;
pub mod places;
pub mod problem;
pub mod session;
pub mod signin;
pub mod view;

pub use address::SignInAddress;
pub use lanyard_fault::Fault;
pub use places::{Places, Profile};
pub use problem::Problem;
