// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose word counts about where a key lives.

use aws_lc_rs::rand;
use lanyard_directory::StorageError;
use lanyard_enrol::{Makers, Randomness};
use lanyard_store::{MakerOf, Store};

/// The makers and TPMs that the administrator has added.
pub(crate) fn makers(store: &Store) -> Result<Makers, StorageError> {
    let mut makers = Makers::default();
    for record in store.makers()? {
        match record.of {
            MakerOf::Tpms => makers.tpms.push(record.certificate),
            MakerOf::Cards => makers.cards.push(record.certificate),
        }
    }
    makers.known = store
        .known_tpms()?
        .into_iter()
        .map(|tpm| tpm.endorsement_key)
        .collect();
    Ok(makers)
}

/// Randomness for one challenge; `None` when the system gives none.
pub(crate) fn randomness() -> Option<Randomness> {
    Some(Randomness {
        id: draw()?,
        nonce: draw()?,
        secret: draw()?,
        seed: draw()?,
    })
}

fn draw<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}
