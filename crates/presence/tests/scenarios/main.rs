// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole node without sockets: two or three people, real SIP texts in, real SIP texts out.

mod bounds;
mod chaos;
mod contacts;
mod conversations;
mod presence;
mod registration;
mod visibility;
mod world;
