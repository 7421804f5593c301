// SPDX-License-Identifier: MIT OR Apache-2.0
//! `standin-card HOST:PORT|SOCKET STATE_DIR`: a PIV card that we did not write.
//!
//! The application is piv-authenticator, the firmware of the Nitrokey 3. Around it stands what the
//! firmware's other parts would do, and the card end of the vpcd protocol. A blank card has PIN
//! 123456, PUK 12345678 and the 3DES management key 01 to 08 three times.
//!
//! The file `STATE_DIR/control` plays the hand at the reader; see [`control::Control`].

mod backends;
mod card;
mod control;
mod platform;
mod vpcd;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(state), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: standin-card HOST:PORT|SOCKET STATE_DIR".into());
    };
    let state = PathBuf::from(state);
    std::fs::create_dir_all(&state)?;
    let control = control::Control::new(state.join("control"));
    loop {
        control.wait_until_in();
        let mut line = vpcd::Line::connect(&address)?;
        loop {
            // One turn for each session of the card: the application keeps a verified PIN until it
            // is dropped, so power-off and reset are a new application over the same memory.
            let ended = platform::with_card(&state, |card| vpcd::serve(&mut line, card, &control));
            match ended? {
                vpcd::Ended::Reset => {}
                vpcd::Ended::Pulled => break,
                // Lanyard's reader puts out a card that is silent, and goes on.
                vpcd::Ended::ReaderGone if address.contains('/') && is_there(&address) => break,
                vpcd::Ended::ReaderGone => return Ok(()),
            }
        }
    }
}

fn is_there(socket: &str) -> bool {
    std::path::Path::new(socket).exists()
}
