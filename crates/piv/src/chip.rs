// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a card whose keys live in a TPM says about them (`INS F1`, ours), and what a card of another make says about its
//! own (`INS F9`, Yubico's). PIV has no command for either.

use zeroize::Zeroizing;

use crate::apdu::{Command, EXPECTED_BYTES_SHORT_MAX};
use crate::commands::ins;
use crate::slot::Slot;
use crate::tlv::{self, Tag, TlvError, Writer};

/// Most bytes of qualifying data in a statement (`TPM2B_DATA`, as far as every chip takes it).
pub const QUALIFYING_BYTES_MAX: usize = 64;

/// What P1 of `INS F1` asks for.
pub mod chip_p1 {
    /// Has the chip vouch for the key in the slot of P2.
    pub const VOUCH: u8 = 0x00;
    /// Opens what a verifier wrapped for the chip.
    pub const OPEN: u8 = 0x01;
}

/// A chip's word for one key. All parts are TPM structures as bytes, for others to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipEvidence {
    /// `TPMT_PUBLIC` of the endorsement key.
    pub endorsement_key: Vec<u8>,
    /// The maker's certificate for it in DER, where the card shows one.
    pub endorsement_certificate: Option<Vec<u8>>,
    /// `TPMT_PUBLIC` of the attestation key.
    pub attestation_key: Vec<u8>,
    /// `TPMT_PUBLIC` of the key itself.
    pub key: Vec<u8>,
    /// `TPMS_ATTEST`.
    pub statement: Vec<u8>,
    /// `TPMT_SIGNATURE`.
    pub signature: Vec<u8>,
}

impl ChipEvidence {
    const ENDORSEMENT_KEY: Tag = Tag::new(0x81);
    const ENDORSEMENT_CERTIFICATE: Tag = Tag::new(0x82);
    const ATTESTATION_KEY: Tag = Tag::new(0x83);
    const KEY: Tag = Tag::new(0x84);
    const STATEMENT: Tag = Tag::new(0x85);
    const SIGNATURE: Tag = Tag::new(0x86);

    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let certificate = self.endorsement_certificate.as_deref();
        Writer::new()
            .element(Self::ENDORSEMENT_KEY, &self.endorsement_key)
            .optional(Self::ENDORSEMENT_CERTIFICATE, certificate)
            .element(Self::ATTESTATION_KEY, &self.attestation_key)
            .element(Self::KEY, &self.key)
            .element(Self::STATEMENT, &self.statement)
            .element(Self::SIGNATURE, &self.signature)
            .into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(data: &[u8]) -> Result<Self, TlvError> {
        let part = |tag| -> Result<Vec<u8>, TlvError> {
            let found = tlv::find(data, tag)?;
            found.map(<[u8]>::to_vec).ok_or(TlvError::Length)
        };
        Ok(Self {
            endorsement_key: part(Self::ENDORSEMENT_KEY)?,
            endorsement_certificate: tlv::find(data, Self::ENDORSEMENT_CERTIFICATE)?
                .map(<[u8]>::to_vec),
            attestation_key: part(Self::ATTESTATION_KEY)?,
            key: part(Self::KEY)?,
            statement: part(Self::STATEMENT)?,
            signature: part(Self::SIGNATURE)?,
        })
    }
}

/// A secret that a verifier wrapped for one chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedSecret {
    /// `TPM2B_ID_OBJECT` without its length.
    pub id_object: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET` without its length.
    pub encrypted_seed: Vec<u8>,
}

impl WrappedSecret {
    const ID_OBJECT: Tag = Tag::new(0x81);
    const ENCRYPTED_SEED: Tag = Tag::new(0x82);

    /// Writes the command's data.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(Self::ID_OBJECT, &self.id_object)
            .element(Self::ENCRYPTED_SEED, &self.encrypted_seed)
            .into_bytes()
    }

    /// Reads the command's data.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(data: &[u8]) -> Result<Self, TlvError> {
        let mut reader = tlv::Reader::new(data);
        let id_object = reader.expect(Self::ID_OBJECT)?.to_vec();
        let encrypted_seed = reader.expect(Self::ENCRYPTED_SEED)?.to_vec();
        reader.end()?;
        Ok(Self {
            id_object,
            encrypted_seed,
        })
    }
}

/// What the chip has opened. Zeroed on drop.
pub type OpenedSecret = Zeroizing<Vec<u8>>;

impl Command {
    /// Has the chip vouch for the key in a slot, with the verifier's qualifying data in its statement.
    #[must_use]
    pub fn chip_vouch(slot: Slot, qualifying: &[u8]) -> Self {
        Self::new(ins::CHIP, chip_p1::VOUCH, slot.key_reference())
            .with_data(qualifying)
            .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// Has the chip open what a verifier wrapped for it.
    #[must_use]
    pub fn chip_open(wrapped: &WrappedSecret) -> Self {
        Self::new(ins::CHIP, chip_p1::OPEN, 0x00)
            .with_data(wrapped.encode())
            .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// Has a card of another make attest the key in a slot (Yubico's ATTEST).
    #[must_use]
    pub fn attest(slot: Slot) -> Self {
        Self::new(ins::ATTEST, slot.key_reference(), 0x00).with_expected(EXPECTED_BYTES_SHORT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn evidence_and_secrets_read_as_they_are_written(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 7),
            certified: bool,
        ) {
            let evidence = ChipEvidence {
                endorsement_key: parts[0].clone(),
                endorsement_certificate: certified.then(|| parts[1].clone()),
                attestation_key: parts[2].clone(),
                key: parts[3].clone(),
                statement: parts[4].clone(),
                signature: parts[5].clone(),
            };
            prop_assert_eq!(ChipEvidence::parse(&evidence.encode()), Ok(evidence));
            let wrapped = WrappedSecret {
                id_object: parts[5].clone(),
                encrypted_seed: parts[6].clone(),
            };
            prop_assert_eq!(WrappedSecret::parse(&wrapped.encode()), Ok(wrapped));
        }

        #[test]
        fn what_is_neither_is_refused_and_never_a_panic(data: Vec<u8>) {
            let _ = ChipEvidence::parse(&data);
            let _ = WrappedSecret::parse(&data);
        }
    }
}
