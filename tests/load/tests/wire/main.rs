// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the server answers to a client that follows no rule: card certificates in every state,
//! tickets that are misused, signatures that are wrong; and what is left when it is killed.

mod address_book;
mod attestation;
mod blocked;
mod card_life;
mod cards;
mod clocks;
mod crash;
mod crowds;
mod documents;
mod epochs;
mod floods;
mod passwords;
mod registration;
mod roster;
mod secrecy;
mod sip;
mod tickets;
mod versions;
