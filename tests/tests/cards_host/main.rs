// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our host side before cards: an independent one (another maker's firmware) in a PC/SC reader, and
//! our own by its socket. Each test has a namespace and a pcscd of its own.
#![cfg(feature = "pcsc")]

mod desk;
mod events;
mod keys;
mod pads;
mod pins;
mod readers;
mod socket;
mod tls;
mod tokens;
