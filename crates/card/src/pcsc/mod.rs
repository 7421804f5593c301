// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards in the readers of the PC/SC service.
//!
//! PC/SC has no time limits: a card that hangs hangs the call. So each connection lives on a
//! thread of its own, and the caller waits for it with a limit. A thread that is stuck is left
//! behind; it ends, and resets the card, when the service lets it go.

mod connection;
mod fault;
mod provider;

pub use provider::PcscProvider;
