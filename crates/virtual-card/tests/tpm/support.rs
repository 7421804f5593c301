// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card in a chip of the test's own.

use std::sync::Arc;

use lanyard_piv::{Guid, ManagementKey, NewPin, Pin, Puk};
use lanyard_tpm::{Connect, Device};
use lanyard_virtual_card::{
    AttestationChoice, CardName, KdfCost, MemoryStorage, NewCard, NewTpmCardError, OpenError,
    PinDigits, TpmCard, first_objects,
};

use crate::swtpm::Swtpm;

pub const FIRST_PIN: &str = "12345678";
pub const PUK: &str = "87612345";
pub const PIN: &str = "35914782";
pub const OTHER_PIN: &str = "407316";
pub const WRONG: &str = "999111";

pub type Card = TpmCard<MemoryStorage>;

pub fn pin(text: &str) -> Pin {
    Pin::parse(text).unwrap()
}

pub fn new(text: &str) -> NewPin {
    NewPin::check(pin(text), None).unwrap()
}

pub fn puk(text: &str) -> Puk {
    Puk::parse(text).unwrap()
}

/// A chip and the bytes of a card.
pub struct Bench {
    pub chip: Swtpm,
    pub storage: MemoryStorage,
    pub folder: tempfile::TempDir,
}

pub fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let chip = Swtpm::start(folder.path());
    Bench {
        chip,
        storage: MemoryStorage::default(),
        folder,
    }
}

pub fn blank(number: u8) -> NewCard {
    let guid = Guid::new([number; 16]);
    NewCard {
        name: CardName::parse("test").unwrap(),
        guid,
        pin: pin(FIRST_PIN),
        pin_is_transport: true,
        puk: puk(PUK),
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [0x11; 14]),
    }
}

impl Bench {
    pub fn device(&self) -> Device {
        self.chip.device().parse().unwrap()
    }

    pub fn try_card(&self, number: u8) -> Result<Card, NewTpmCardError> {
        self.card_through(number, Arc::new(self.device()), &self.storage)
    }

    pub fn card_through(
        &self,
        number: u8,
        connect: Arc<dyn Connect>,
        storage: &MemoryStorage,
    ) -> Result<Card, NewTpmCardError> {
        TpmCard::create_through(
            blank(number),
            Some(AttestationChoice::AikAndCert),
            storage.clone(),
            connect,
            self.chip.device(),
        )
    }

    /// A new card with its first PIN.
    pub fn card(&self) -> Card {
        self.try_card(0x47).unwrap()
    }

    /// A card whose PIN was changed.
    pub fn own_card(&self) -> Card {
        use lanyard_virtual_card::Keeper;
        let mut card = self.card();
        card.change_pin(&pin(FIRST_PIN), &new(PIN)).unwrap();
        card
    }

    /// The stored card, opened anew.
    pub fn try_reopen(&self) -> Result<Card, OpenError> {
        self.try_reopen_bytes(&self.storage.bytes())
    }

    pub fn try_reopen_bytes(&self, bytes: &[u8]) -> Result<Card, OpenError> {
        self.storage.replace(bytes);
        TpmCard::open(bytes, self.storage.clone(), Arc::new(self.device()))
    }

    pub fn reopen(&self) -> Card {
        self.try_reopen().unwrap()
    }

    /// Wrong secrets that the chip's common lockout has counted.
    pub fn common_lockout(&self) -> u32 {
        let mut tpm = self.device().connect().unwrap();
        tpm.capabilities().unwrap().lockout_counter
    }

    /// Handles of indices, objects and sessions that are in the chip.
    pub fn handles(&self, first: u32) -> Vec<u32> {
        let mut tpm = self.device().connect().unwrap();
        tpm.handles_from(first).unwrap()
    }

    /// The indices of cards.
    pub fn indices(&self) -> Vec<u32> {
        let handles = self.handles(0x0100_0000);
        let ours = 0x0180_0000..0x01C0_0000;
        handles
            .into_iter()
            .filter(|handle| ours.contains(handle))
            .collect()
    }
}
