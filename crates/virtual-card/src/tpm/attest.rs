// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the chip itself says about a card's key.

use lanyard_piv::Slot;
use lanyard_tpm::attestation::{
    self, Credential, EndorsementKind, certified_endorsement_key, create_attestation_key,
};
use zeroize::Zeroizing;

use super::card::{TpmCard, input_or_chip};
use super::chip::Talk;
use super::counters::Which;
use super::state::{Attestation, Guard};
use crate::keeper::KeeperError;
use crate::sealed::Storage;

/// `--attestation`: what a card will be able to show of its chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestationChoice {
    /// An attestation key of the card's own.
    AikOnly,
    /// The same, and the maker's certificate of the chip with it.
    AikAndCert,
}

/// What a chip says about a key (see `lanyard_tpm::attestation` for its shape and meaning).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEvidence {
    /// `TPMT_PUBLIC` of the endorsement key.
    pub endorsement_key: Vec<u8>,
    /// The maker's certificate for it, DER, where the chip has one and the card shows it.
    pub endorsement_certificate: Option<Vec<u8>>,
    /// `TPMT_PUBLIC` of the attestation key.
    pub attestation_key: Vec<u8>,
    /// `TPMT_PUBLIC` of the key.
    pub key: Vec<u8>,
    /// `TPMS_ATTEST`: holds the key's name and the qualifying data.
    pub attest: Vec<u8>,
    /// `TPMT_SIGNATURE` of the attestation key over it.
    pub signature: Vec<u8>,
    /// `TPMS_NV_PUBLIC` of the index that counts wrong PINs, whose name stands in the key's policy;
    /// none on a chip without such indices.
    pub pin_index: Option<Vec<u8>>,
}

impl AttestationChoice {
    /// Makes the attestation key.
    pub(super) fn make(self, talk: &mut Talk) -> Result<Attestation, KeeperError> {
        let key = create_attestation_key(&mut talk.tpm, &talk.storage, &mut talk.session)?;
        Ok(Attestation {
            with_certificate: self == Self::AikAndCert,
            key: key.into(),
        })
    }
}

impl<S: Storage> TpmCard<S> {
    /// Has the chip say that the key of a slot is in it.
    pub(super) fn evidence(
        &mut self,
        slot: Slot,
        qualifying: &[u8],
    ) -> Result<KeyEvidence, KeeperError> {
        let stored = self.state.keys.get(&slot.to_string());
        let blob = stored.ok_or(KeeperError::NoKey)?.blob.to_blob()?;
        let attestation = self.attestation()?;
        let mut talk = self.chip.begin()?;
        let (_, endorsement) = certified_endorsement_key(&mut talk.tpm)?;
        let attestation_blob = attestation.key.to_blob()?;
        let key = talk.load(&blob)?;
        let attestation_key = talk.load(&attestation_blob)?;
        let certified = attestation::certify(&mut talk.tpm, &key, &attestation_key, qualifying)?;
        let pin_index = match &self.state.guard {
            Guard::Counters(counters) => Some(counters.index(Which::Pin)?.to_bytes()),
            Guard::Lockout(_) => None,
        };
        Ok(KeyEvidence {
            endorsement_key: endorsement.public.as_bytes().to_vec(),
            endorsement_certificate: endorsement
                .certificate
                .filter(|_| attestation.with_certificate),
            attestation_key: attestation_blob.public.as_bytes().to_vec(),
            key: blob.public.as_bytes().to_vec(),
            attest: certified.attest,
            signature: certified.signature,
            pin_index,
        })
    }

    /// Opens what a verifier encrypted to this chip for this card's attestation key.
    pub(super) fn activate_credential(
        &mut self,
        id_object: &[u8],
        encrypted_secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
        let blob = self.attestation()?.key.to_blob()?;
        let mut talk = self.chip.begin()?;
        let kind: EndorsementKind = certified_endorsement_key(&mut talk.tpm)?.0;
        let key = talk.load(&blob)?;
        let credential = Credential {
            id_object: id_object.to_vec(),
            encrypted_secret: encrypted_secret.to_vec(),
        };
        let Talk { tpm, session, .. } = &mut talk;
        attestation::activate_credential(tpm, kind, &key, &credential, session)
            .map_err(input_or_chip)
    }

    fn attestation(&self) -> Result<Attestation, KeeperError> {
        self.state
            .attestation
            .clone()
            .ok_or(KeeperError::Unsupported)
    }
}
