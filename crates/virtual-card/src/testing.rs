// SPDX-License-Identifier: MIT OR Apache-2.0
//! A blank card in memory, for this crate's own tests.

use lanyard_piv::{Guid, ManagementKey, Pin, Puk};

use crate::sealed::{KdfCost, MemoryStorage, NewCard, SealedCard};
use crate::{CardName, first_objects};

/// The PIN of a blank card.
pub(crate) const TRANSPORT_PIN: &str = "12345678";
/// A PIN that a person may choose.
pub(crate) const NEW_PIN: &str = "35914782";
/// A PIN that is never right.
pub(crate) const WRONG_PIN: &str = "999999";

pub(crate) fn pin(text: &str) -> Pin {
    Pin::parse(text).unwrap()
}

/// A card with all defaults, and the storage it writes to.
pub(crate) fn blank() -> (SealedCard<MemoryStorage>, MemoryStorage) {
    let storage = MemoryStorage::default();
    let guid = Guid::new([0x47; 16]);
    let card = NewCard {
        name: CardName::parse("test").unwrap(),
        guid,
        pin: pin(TRANSPORT_PIN),
        pin_is_transport: true,
        puk: Puk::parse("12345678").unwrap(),
        management_key: ManagementKey::blank_card(),
        force_pin_change: true,
        pin_digits: crate::PinDigits::default(),
        kdf: KdfCost::LEAST,
        objects: first_objects(guid, [0x11; 14]),
    };
    (SealedCard::create(card, storage.clone()).unwrap(), storage)
}
