// SPDX-License-Identifier: MIT OR Apache-2.0
//! What only the holder of the management key may do: keys, certificates, objects.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use lanyard_piv::{
    Algorithm, CertificateObject, Command, DynamicAuthentication, ManagementAlgorithm,
    ManagementKey, OBJECT_BYTES_MAX, ObjectId, PublicKey, Slot, StatusWord, key_reference,
};

use crate::channel::GENERATE_SECS_MAX;
use crate::fault::CardFault;
use crate::make::Administration;
use crate::session::CardSession;

impl CardSession {
    /// Authenticates with the management key: mutually, so that the card proves itself as well. A
    /// 24-byte key is spoken as the kind that the card names, or as 3DES and then AES-192.
    ///
    /// # Errors
    ///
    /// [`CardFault::AdminRefused`] when the card does not take the key or does not know it itself.
    pub fn authenticate_admin(
        &mut self,
        key: &ManagementKey,
    ) -> Result<ManagementAlgorithm, CardFault> {
        if !self.recognised().make.is_administered_by_piv() {
            return Err(CardFault::Unsupported);
        }
        self.must_reset();
        let named = self
            .metadata(key_reference::MANAGEMENT)?
            .and_then(|metadata| ManagementAlgorithm::from_id(metadata.algorithm?));
        for algorithm in key.algorithms() {
            if named.is_some_and(|named| named != *algorithm) {
                continue;
            }
            if self.authenticate_as(*algorithm, key)? {
                return Ok(*algorithm);
            }
        }
        Err(CardFault::AdminRefused)
    }

    /// SP 800-73-4 part 2, appendix A.1. `false` when the card does not speak this algorithm.
    fn authenticate_as(
        &mut self,
        algorithm: ManagementAlgorithm,
        key: &ManagementKey,
    ) -> Result<bool, CardFault> {
        let request = DynamicAuthentication::request_witness();
        let answer = self.exchange(Command::authenticate_management(algorithm, &request))?;
        if !answer.status().is_success() {
            return Ok(false);
        }
        let answer =
            DynamicAuthentication::parse(answer.data()).map_err(|_| CardFault::BadAnswer)?;
        let witness = answer.witness.as_deref().ok_or(CardFault::BadAnswer)?;
        let witness = key
            .decrypt(algorithm, witness)
            .map_err(|_| CardFault::BadAnswer)?;

        let mut challenge = vec![0; algorithm.block_bytes()];
        SystemRandom::new()
            .fill(&mut challenge)
            .map_err(|_| CardFault::Cryptography)?;
        let expected = key
            .encrypt(algorithm, &challenge)
            .map_err(|_| CardFault::Cryptography)?;
        let proof = DynamicAuthentication::prove(witness, challenge);
        let answer = self.exchange(Command::authenticate_management(algorithm, &proof))?;
        if !answer.status().is_success() {
            return Err(CardFault::AdminRefused);
        }
        let answer =
            DynamicAuthentication::parse(answer.data()).map_err(|_| CardFault::BadAnswer)?;
        let quirk = self.recognised().make.row().administration;
        let response = match (answer.response.as_deref(), quirk) {
            (None, Administration::AnswerUnderWitness) => answer.witness.as_deref(),
            (response, _) => response,
        };
        let response = response.ok_or(CardFault::BadAnswer)?;
        verify_slices_are_equal(response, &expected).map_err(|_| CardFault::AdminRefused)?;
        Ok(true)
    }

    /// Makes a new key on the card, in place of the one that was there.
    ///
    /// # Errors
    ///
    /// [`CardFault::AdminNotAuthenticated`], [`CardFault::Unsupported`] for a kind of key that the
    /// card does not make, or the card is gone.
    pub fn generate(&mut self, slot: Slot, algorithm: Algorithm) -> Result<PublicKey, CardFault> {
        self.must_reset();
        let limit = Duration::from_secs(GENERATE_SECS_MAX);
        let answer = self.exchange_within(Command::generate(slot, algorithm), limit)?;
        match answer.status() {
            StatusWord::SUCCESS => {}
            StatusWord::WRONG_DATA | StatusWord::WRONG_PARAMETERS => {
                return Err(CardFault::Unsupported);
            }
            status => return Err(self.admin_refusal(status)),
        }
        PublicKey::parse(algorithm, answer.data()).map_err(|_| CardFault::BadAnswer)
    }

    /// Writes the certificate of a slot.
    ///
    /// # Errors
    ///
    /// [`CardFault::AdminNotAuthenticated`], [`CardFault::Full`], or the card is gone.
    pub fn put_certificate(&mut self, slot: Slot, der: &[u8]) -> Result<(), CardFault> {
        let object = CertificateObject::new(der).map_err(|_| CardFault::BadCertificate(slot))?;
        self.put_object(ObjectId::certificate(slot), &object.encode())
    }

    /// Writes a data object; empty contents remove it.
    ///
    /// # Errors
    ///
    /// [`CardFault::AdminNotAuthenticated`], [`CardFault::Full`], or the card is gone.
    pub fn put_object(&mut self, object: ObjectId, contents: &[u8]) -> Result<(), CardFault> {
        self.must_reset();
        // A certificate of exactly the limit has its own few bytes of wrapping on top.
        if contents.len() > OBJECT_BYTES_MAX.saturating_add(16) {
            return Err(CardFault::Full);
        }
        match self.exchange(Command::put_data(object, contents))?.status() {
            StatusWord::SUCCESS => Ok(()),
            status => Err(self.admin_refusal(status)),
        }
    }

    /// Sets another management key.
    ///
    /// # Errors
    ///
    /// [`CardFault::AdminNotAuthenticated`]; [`CardFault::Unsupported`] when the card has no such
    /// command or does not take keys of this kind.
    pub fn set_management_key(
        &mut self,
        algorithm: ManagementAlgorithm,
        key: &ManagementKey,
    ) -> Result<(), CardFault> {
        if !self.recognised().make.row().sets_management_key {
            return Err(CardFault::Unsupported);
        }
        self.must_reset();
        match self
            .exchange(Command::set_management_key(algorithm, key))?
            .status()
        {
            StatusWord::SUCCESS => Ok(()),
            StatusWord::WRONG_DATA | StatusWord::WRONG_PARAMETERS => Err(CardFault::Unsupported),
            status => Err(self.admin_refusal(status)),
        }
    }

    fn admin_refusal(&self, status: StatusWord) -> CardFault {
        match status {
            StatusWord::SECURITY_STATUS_NOT_SATISFIED => CardFault::AdminNotAuthenticated,
            status => self.refusal(status),
        }
    }
}
