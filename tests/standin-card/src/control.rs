// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hand at the reader.

use std::path::PathBuf;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a test wants the card to do, as one word in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// `in`, or no file: work.
    In,
    /// `out`: not in the reader.
    Out,
    /// `mute`: in the reader, and silent.
    Mute,
    /// `out-when-signing`: work, and leave the reader when a key slot shall be used.
    OutWhenSigning,
    /// `mute-when-signing`: work, and fall silent when a key slot shall be used.
    MuteWhenSigning,
}

/// Reads the file that holds the wish.
pub struct Control(PathBuf);

impl Control {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub fn wish(&self) -> Wish {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        match text.trim() {
            "out" => Wish::Out,
            "mute" => Wish::Mute,
            "out-when-signing" => Wish::OutWhenSigning,
            "mute-when-signing" => Wish::MuteWhenSigning,
            _ => Wish::In,
        }
    }

    pub fn set(&self, word: &str) {
        if let Err(error) = std::fs::write(&self.0, word) {
            eprintln!("control: {error}");
        }
    }

    pub fn wait_until_in(&self) {
        while self.wish() == Wish::Out {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits while the wish is `mute`; gives the one that ended it.
    pub fn wait_while_mute(&self) -> Wish {
        loop {
            match self.wish() {
                Wish::Mute => std::thread::sleep(LOOK_EVERY),
                wish => return wish,
            }
        }
    }
}
