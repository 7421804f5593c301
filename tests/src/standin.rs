// SPDX-License-Identifier: MIT OR Apache-2.0
//! The independent PIV card: another maker's firmware in a virtual reader.

use crate::process::Running;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the card does, until told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// It lies in the reader and works.
    In,
    /// It is not in the reader.
    Out,
    /// It lies in the reader and is silent.
    Mute,
    /// It works, and is pulled out at the moment when a key shall be used.
    OutWhenSigning,
    /// It works, and falls silent at the moment when a key shall be used.
    MuteWhenSigning,
}

impl Hand {
    fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Mute => "mute",
            Self::OutWhenSigning => "out-when-signing",
            Self::MuteWhenSigning => "mute-when-signing",
        }
    }
}

/// An independent card in a reader. Blank: PIN 123456, PUK 12345678, and the 3DES management key
/// 01 to 08, three times.
#[derive(Debug)]
pub struct StandIn {
    /// The program that plays the card.
    pub running: Running,
    state: PathBuf,
}

impl StandIn {
    /// The PIN of a blank one.
    pub const PIN: &str = "123456";
    /// The PUK of a blank one.
    pub const PUK: &str = "12345678";

    /// Puts the card whose memory is in this folder into the reader at this address.
    ///
    /// # Errors
    /// The program cannot be built or started.
    pub fn insert(state: &Path, slot: &str) -> Result<Self> {
        std::fs::create_dir_all(state)?;
        let mut command = Command::new(program()?);
        command.arg(slot).arg(state);
        let log = state.with_extension("log");
        let running = Running::start("standin-card", &mut command, &log)?;
        let card = Self {
            running,
            state: state.into(),
        };
        card.tell(Hand::In)?;
        Ok(card)
    }

    /// Tells the card what to do from now on. It looks at its next message from the reader, which
    /// asks whether a card is there every 400 ms.
    ///
    /// # Errors
    /// The wish cannot be written.
    pub fn tell(&self, hand: Hand) -> Result<()> {
        // Written aside and moved, so that the card never reads half a word.
        let draft = self.state.join("control.new");
        std::fs::write(&draft, hand.word())?;
        std::fs::rename(&draft, self.state.join("control"))?;
        Ok(())
    }
}

/// The program, built when it is not there: it is a workspace of its own, with a large tree.
fn program() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("standin-card");
    let program = folder.join("target/debug/standin-card");
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--locked"])
            .current_dir(&folder)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .context("cargo")?;
        if !built.status.success() {
            bail!("standin-card: {}", String::from_utf8_lossy(&built.stderr));
        }
    }
    Ok(program)
}
