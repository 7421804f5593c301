// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers that pcscd has opened, by the numbers that it calls them by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::host;
use crate::reader::device::{Device, DeviceError};
use crate::reader::door::DoorError;
use crate::reader::{Reader, locked};

/// A logical unit: the reader in the upper half, the slot in the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    pub reader: u16,
    pub slot: u16,
}

impl Unit {
    pub fn new(number: u64) -> Self {
        let [.., reader_high, reader_low, slot_high, slot_low] = number.to_be_bytes();
        Self {
            reader: u16::from_be_bytes([reader_high, reader_low]),
            slot: u16::from_be_bytes([slot_high, slot_low]),
        }
    }
}

static READERS: Mutex<BTreeMap<u16, Opened>> = Mutex::new(BTreeMap::new());

struct Opened {
    reader: Arc<Reader>,
    /// pcscd opens and closes each slot apart.
    slots: BTreeSet<u16>,
}

/// Why a reader is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error("the reader has no such slot")]
    Slot,
    #[error("the number of the reader is in use")]
    Taken,
}

/// Opens a slot of a reader, and the reader with its first slot.
pub fn open(unit: Unit, name: &str) -> Result<(), OpenError> {
    let device = Device::parse(name)?;
    if unit.slot >= u16::from(device.slots) {
        return Err(OpenError::Slot);
    }
    let mut readers = locked(&READERS);
    if let Some(opened) = readers.get_mut(&unit.reader) {
        if *opened.reader.device() != device || !opened.slots.insert(unit.slot) {
            return Err(OpenError::Taken);
        }
        return Ok(());
    }
    let reader = Arc::new(Reader::open(device)?);
    host::info(&format!(
        "cards come in at {}",
        reader.device().socket.display()
    ));
    let slots = BTreeSet::from([unit.slot]);
    readers.insert(unit.reader, Opened { reader, slots });
    Ok(())
}

/// Closes a slot, and the reader with its last slot. False when it was not open.
pub fn close(unit: Unit) -> bool {
    let mut readers = locked(&READERS);
    let Some(opened) = readers.get_mut(&unit.reader) else {
        return false;
    };
    let was_open = opened.slots.remove(&unit.slot);
    if opened.slots.is_empty() {
        let closed = readers.remove(&unit.reader);
        drop(readers);
        // Others may still be in a call; the thread ends and the cards go now all the same.
        if let Some(closed) = closed {
            closed.reader.close();
        }
    }
    was_open
}

/// The reader of an open slot.
pub fn reader(unit: Unit) -> Option<Arc<Reader>> {
    let readers = locked(&READERS);
    let opened = readers.get(&unit.reader)?;
    opened
        .slots
        .contains(&unit.slot)
        .then(|| Arc::clone(&opened.reader))
}
