// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who looks after a card: its holder, with a PUK of their own, or the help desk.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::ADMIN_KEY_FILE;
use crate::{InstanceId, Places, sealed};

const OWN_PUK_FILE: &str = "own-puk";
const OWN_PUK_FILE_NEW: &str = "own-puk.new";

/// Writes down that the holder keeps a PUK of their own.
pub(super) fn keep_own_puk(directory: &Path) -> io::Result<()> {
    let words = b"The holder of this card keeps its PUK; enrolment leaves it alone.\n";
    sealed::write_whole(directory, OWN_PUK_FILE_NEW, OWN_PUK_FILE, words)
}

/// Whether the holder keeps a PUK of their own, chosen when the card was made.
#[must_use]
pub fn keeps_own_puk(places: &Places, instance: InstanceId) -> bool {
    places.card(instance).join(OWN_PUK_FILE).exists()
}

/// Removes the management key that lies beside a card: it has another one now.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn forget_admin_key(places: &Places, instance: InstanceId) -> io::Result<()> {
    let directory = places.card(instance);
    match fs::remove_file(directory.join(ADMIN_KEY_FILE)) {
        Ok(()) => File::open(&directory)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
