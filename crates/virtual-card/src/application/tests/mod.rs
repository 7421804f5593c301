// SPDX-License-Identifier: MIT OR Apache-2.0

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use lanyard_piv::{
    Algorithm, DynamicAuthentication, Guid, ManagementAlgorithm, ManagementKey, Metadata, NewPin,
    ObjectId, PublicKey, Puk, Slot, key_reference,
};

use super::*;
use crate::sealed::{MemoryStorage, SealedCard};
use crate::testing::{NEW_PIN, TRANSPORT_PIN, WRONG_PIN, blank, pin};

/// A card in a reader, and a clock.
struct Reader {
    card: SealedCard<MemoryStorage>,
    storage: MemoryStorage,
    session: Application,
    now: Instant,
}

impl Reader {
    fn new() -> Self {
        let (card, storage) = blank();
        Self {
            card,
            storage,
            session: Application::new(),
            now: Instant::now(),
        }
    }

    /// A card whose first PIN was changed.
    fn personal() -> Self {
        let mut reader = Self::new();
        let new = NewPin::check(pin(NEW_PIN), None).unwrap();
        assert_eq!(
            reader.status(&Command::change_pin(&pin(TRANSPORT_PIN), &new)),
            0x9000
        );
        reader.session.reset();
        reader
    }

    /// A personal card with a P-256 key in each main slot.
    fn with_keys() -> Self {
        let mut reader = Self::personal();
        reader.prove_management(&ManagementKey::blank_card(), ManagementAlgorithm::TripleDes);
        for slot in Slot::MAIN {
            assert_eq!(
                reader.status(&Command::generate(slot, Algorithm::EccP256)),
                0x9000
            );
        }
        reader.session.reset();
        reader
    }

    fn raw(&mut self, bytes: &[u8]) -> Response {
        let answer = self.session.apdu(&mut self.card, self.now, bytes);
        Response::parse(&answer).unwrap()
    }

    fn send(&mut self, command: &Command) -> Response {
        self.raw(&command.to_bytes().unwrap())
    }

    fn status(&mut self, command: &Command) -> u16 {
        self.send(command).status().value()
    }

    /// Sends chained and collects by GET RESPONSE, as hosts do.
    fn exchange(&mut self, command: Command) -> (Vec<u8>, u16) {
        let mut answer = Response::from(StatusWord::SUCCESS);
        for piece in command.split() {
            answer = self.send(&piece);
        }
        let mut data = answer.data().to_vec();
        while answer.status().more_available().is_some() {
            answer = self.send(&Command::new(ins::GET_RESPONSE, 0, 0).with_expected(256));
            data.extend_from_slice(answer.data());
        }
        (data, answer.status().value())
    }

    fn try_management(&mut self, key: &ManagementKey, algorithm: ManagementAlgorithm) -> u16 {
        let ask = DynamicAuthentication::request_witness();
        let answer = self.send(&Command::authenticate_management(algorithm, &ask));
        let witness = DynamicAuthentication::parse(answer.data()).unwrap();
        let witness = key
            .decrypt(algorithm, witness.witness.as_deref().unwrap())
            .unwrap();
        let challenge = vec![5; algorithm.block_bytes()];
        let prove = DynamicAuthentication::prove(witness, challenge.clone());
        let answer = self.send(&Command::authenticate_management(algorithm, &prove));
        if answer.status().is_success() {
            let proof = DynamicAuthentication::parse(answer.data()).unwrap();
            let wanted = key.encrypt(algorithm, &challenge).unwrap();
            assert_eq!(
                proof.response.as_deref(),
                Some(&wanted[..]),
                "the card proves itself"
            );
        }
        answer.status().value()
    }

    fn prove_management(&mut self, key: &ManagementKey, algorithm: ManagementAlgorithm) {
        assert_eq!(self.try_management(key, algorithm), 0x9000);
    }

    fn verify(&mut self, text: &str) -> u16 {
        self.status(&Command::verify(&pin(text)))
    }

    fn sign(&mut self, slot: Slot) -> u16 {
        let template = DynamicAuthentication::sign(vec![7; 32]);
        self.status(&Command::use_key(slot, Algorithm::EccP256, &template))
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

mod commands;
mod desk;
mod edges;
mod properties;
