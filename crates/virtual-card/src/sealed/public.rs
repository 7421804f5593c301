// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stored card tells without a PIN, read without claiming it.

use lanyard_piv::{Algorithm, Chuid, Guid, ObjectId, PublicKey, Slot};

use super::format::{CardState, FormatError};
use super::object_name;
use super::reference::Which;
use crate::keeper::ReferenceStatus;

/// What a stored card tells without a PIN, read without claiming it.
pub(crate) struct PublicState {
    pub(crate) name: String,
    pub(crate) guid: Guid,
    pub(crate) pin: ReferenceStatus,
    pub(crate) puk: ReferenceStatus,
    pub(crate) management_is_initial: bool,
    /// Slot, its key, and the contents of its certificate object.
    pub(crate) slots: Vec<(Slot, Option<PublicKey>, Option<Vec<u8>>)>,
}

/// Reads what a stored card tells without a PIN.
pub(crate) fn public_state(bytes: &[u8]) -> Result<PublicState, FormatError> {
    let state = CardState::decode(bytes)?;
    let slots = (0x82..=0x9E)
        .filter_map(Slot::from_key_reference)
        .filter_map(|slot| {
            let certificate = state.objects.get(&object_name(ObjectId::certificate(slot)));
            let certificate = certificate.map(|blob| blob.0.clone());
            let key = state.public_key(slot);
            (key.is_some() || certificate.is_some()).then_some((slot, key, certificate))
        });
    Ok(PublicState {
        name: state.name.clone(),
        guid: state.shown_guid(),
        pin: Which::Pin.status(&state),
        puk: Which::Puk.status(&state),
        management_is_initial: state.management.initial,
        slots: slots.collect(),
    })
}

impl CardState {
    /// The GUID that the card shows: the one of its CHUID, which enrolment may rewrite.
    pub(super) fn shown_guid(&self) -> Guid {
        let chuid = self.objects.get(&object_name(ObjectId::CHUID));
        chuid
            .and_then(|blob| Chuid::parse(&blob.0).ok())
            .map_or_else(
                // The length was checked when the state was read.
                || Guid::new(self.guid.0.as_slice().try_into().unwrap_or_default()),
                |chuid| chuid.guid,
            )
    }

    pub(super) fn public_key(&self, slot: Slot) -> Option<PublicKey> {
        let key = self.keys.get(&slot.to_string())?;
        match Algorithm::from_id(key.algorithm)? {
            Algorithm::Rsa2048 => PublicKey::parse(Algorithm::Rsa2048, &key.public.0).ok(),
            curve => PublicKey::ecc(curve, &key.public.0).ok(),
        }
    }
}
