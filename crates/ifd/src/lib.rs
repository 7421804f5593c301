// SPDX-License-Identifier: MIT OR Apache-2.0
//! `libifdlanyard.so`: a reader for pcscd whose cards are processes.
//!
//! pcscd loads this driver (IFD handler 3.0) for each reader that its configuration names:
//!
//! ```text
//! FRIENDLYNAME "Lanyard alice"
//! DEVICENAME   lanyard:/run/lanyard/readers/1000.sock:uid=1000:slots=2
//! LIBPATH      /usr/lib/pcsc/drivers/serial/libifdlanyard.so
//! ```
//!
//! # Who is who
//!
//! The driver listens, in a directory into which only root (or pcscd's own user) may write; a card
//! daemon connects. Each side knows the other by what the kernel says of it: the driver takes only
//! a daemon of the person that the reader is for (`uid=`), and a daemon takes only the reader whose
//! listener belongs to the owner of the directory. So nobody else can become the card that is handed
//! a PIN, and nobody else is shown the card. With `shared` in place of `uid=` the reader takes
//! everybody's cards; whose card lies in a slot is told to programs that ask
//! (`reader::features::CONTROL_OWNER`).
//!
//! # What is spoken
//!
//! The framing of vpcd: two bytes of length, big-endian, and a body. After a connection the reader
//! speaks first: `reader::line::Greeting`. A body of one byte is a control: to the card `00` off,
//! `01` on, `02` reset, `04` "send the ATR"; from the card `05` "still working", at least every few
//! seconds while it works on a command. Anything longer is a command or an answer.
//!
//! # What must not happen here
//!
//! This code runs inside pcscd, often as root. It never waits without a limit, it lets no panic out
//! (each entry catches them), it starts no program, and it reads no file but that of a PIN pad in a test. A card that stalls holds
//! up its own slot alone.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[allow(unsafe_code, reason = "pcscd calls and is called through C")]
mod entry;
#[allow(unsafe_code, reason = "pcscd's log is a C function")]
mod host;
mod reader;
mod registry;
