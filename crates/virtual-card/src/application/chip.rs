// SPDX-License-Identifier: MIT OR Apache-2.0
//! `INS F1`, ours: the chip vouches for a key of the card (docs/card-commands.md).
//!
//! Who may ask: whoever showed the management key. The endorsement certificate names one computer among all; a program
//! that merely finds the card in a reader learns nothing from it.

use lanyard_piv::{
    ChipEvidence, Command, QUALIFYING_BYTES_MAX, Slot, StatusWord, WrappedSecret, chip_p1,
};

use super::access::Access;
use super::{Answer, status_of};
use crate::keeper::{Keeper, Protection};

/// The command.
pub(super) fn chip(access: &mut Access, keeper: &mut dyn Keeper, command: &Command) -> Answer {
    if keeper.protection() != Protection::Tpm {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    }
    match (command.p1(), command.p2()) {
        (chip_p1::VOUCH, slot) => {
            access.require_management()?;
            let slot = Slot::from_key_reference(slot).ok_or(StatusWord::WRONG_PARAMETERS)?;
            if command.data().len() > QUALIFYING_BYTES_MAX {
                return Err(StatusWord::WRONG_DATA);
            }
            let said = keeper.attest(slot, command.data()).map_err(status_of)?;
            let evidence = ChipEvidence {
                endorsement_key: said.endorsement_key,
                endorsement_certificate: said.endorsement_certificate,
                attestation_key: said.attestation_key,
                key: said.key,
                statement: said.attest,
                signature: said.signature,
            };
            Ok(evidence.encode())
        }
        (chip_p1::OPEN, 0x00) => {
            access.require_management()?;
            let wrapped =
                WrappedSecret::parse(command.data()).map_err(|_| StatusWord::WRONG_DATA)?;
            let secret = keeper
                .activate(&wrapped.id_object, &wrapped.encrypted_seed)
                .map_err(status_of)?;
            Ok(secret.to_vec())
        }
        _ => Err(StatusWord::WRONG_PARAMETERS),
    }
}
