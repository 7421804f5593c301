// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a card says about where its keys live.

use lanyard_piv::{
    CertificateObject, ChipEvidence, Command, ObjectId, OpenedSecret, Slot, StatusWord,
    WrappedSecret,
};

use crate::fault::CardFault;
use crate::session::CardSession;

/// A card's certificate for one of its keys, and the certificate of the key that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardAttestation {
    /// What the card made for the key, in DER.
    pub statement: Vec<u8>,
    /// The certificate of the card's attestation key (slot F9), in DER.
    pub device: Vec<u8>,
}

impl CardSession {
    /// A TPM's word for the key in a slot; `None` when the card has no TPM behind it or no key to attest with. The
    /// management key was shown before.
    ///
    /// # Errors
    ///
    /// When the card is gone or its answer malformed.
    pub fn chip_evidence(
        &mut self,
        slot: Slot,
        qualifying: &[u8],
    ) -> Result<Option<ChipEvidence>, CardFault> {
        let answer = self.exchange(Command::chip_vouch(slot, qualifying))?;
        match answer.status() {
            StatusWord::SUCCESS => ChipEvidence::parse(answer.data())
                .map(Some)
                .map_err(|_| CardFault::BadAnswer),
            // Other cards do not know the command.
            _ => Ok(None),
        }
    }

    /// Has the chip open what a verifier wrapped for it.
    ///
    /// # Errors
    ///
    /// When the card is gone, or it was wrapped for another chip.
    pub fn chip_open(&mut self, wrapped: &WrappedSecret) -> Result<OpenedSecret, CardFault> {
        let answer = self.exchange(Command::chip_open(wrapped))?;
        match answer.status() {
            StatusWord::SUCCESS => Ok(OpenedSecret::new(answer.data().to_vec())),
            status => Err(self.refusal(status)),
        }
    }

    /// The card's own word for the key in a slot; `None` when it gives none: it does not know the command, or the key
    /// was not made on it.
    ///
    /// # Errors
    ///
    /// When the card is gone.
    pub fn card_attestation(&mut self, slot: Slot) -> Result<Option<CardAttestation>, CardFault> {
        let answer = self.exchange(Command::attest(slot))?;
        if answer.status() != StatusWord::SUCCESS {
            return Ok(None);
        }
        let statement = answer.data().to_vec();
        let Some(object) = self.object(ObjectId::ATTESTATION_CERTIFICATE)? else {
            return Ok(None);
        };
        Ok(CertificateObject::parse(&object)
            .ok()
            .map(|device| CardAttestation {
                statement,
                device: device.into_der(),
            }))
    }
}
