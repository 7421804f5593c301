// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody hears who listens on the way to the chip.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanyard_piv::{Algorithm, ManagementAlgorithm, ManagementKey, Slot};
use lanyard_tpm::{Connect, Device, TpmError, Transport};
use lanyard_virtual_card::{Keeper, TpmCard};
use zeroize::Zeroizing;

use crate::support::{FIRST_PIN, OTHER_PIN, PIN, PUK, bench, new, pin, puk};

/// Writes down every byte that goes by.
struct Tap(Device, Arc<Mutex<Vec<u8>>>);

struct TappedLine(Box<dyn Transport>, Arc<Mutex<Vec<u8>>>);

impl Connect for Tap {
    fn transport(&self) -> Result<Box<dyn Transport>, TpmError> {
        let inner = self.0.transport()?;
        Ok(Box::new(TappedLine(inner, Arc::clone(&self.1))))
    }
}

impl Transport for TappedLine {
    fn exchange(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let answer = self.0.exchange(command, limit)?;
        let mut heard = self.1.lock().unwrap();
        heard.extend_from_slice(command);
        heard.extend_from_slice(&answer);
        Ok(answer)
    }
}

/// What the chip is asked with instead of a PIN or PUK.
fn secret_of(place: &str, padded: &[u8]) -> Vec<u8> {
    let parts = [
        b"lanyard tpm card v1 ",
        place.as_bytes(),
        b" ",
        &[0x47; 16],
        b" ",
        padded,
    ];
    let input = parts.concat();
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &input)
        .as_ref()
        .to_vec()
}

#[test]
fn no_secret_crosses_the_bus() {
    let bench = bench();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let tap = Arc::new(Tap(bench.device(), Arc::clone(&heard)));
    let mut card: TpmCard<_> = bench.card_through(0x47, tap, &bench.storage).unwrap();
    let own = ManagementKey::new(b"a management key of thirty-two b").unwrap();
    card.set_management_key(ManagementAlgorithm::Aes256, &own)
        .unwrap();
    card.management_key().unwrap();
    card.change_pin(&pin(FIRST_PIN), &new(PIN)).unwrap();
    let opened = card.verify(&pin(PIN)).unwrap();
    let key = card
        .generate(Slot::KeyManagement, Algorithm::EccP256)
        .unwrap();
    let point = key.point().unwrap().to_vec();
    let agreed = card
        .agree(Slot::KeyManagement, Some(&opened), &point)
        .unwrap();
    card.change_puk(&puk(PUK), &puk("22223333")).unwrap();
    card.unblock(&puk("22223333"), &new(OTHER_PIN)).unwrap();

    let heard = heard.lock().unwrap();
    let mut secrets = vec![own.as_bytes().to_vec(), agreed.to_vec()];
    for text in [FIRST_PIN, PIN, OTHER_PIN] {
        secrets.push(text.as_bytes().to_vec());
        secrets.push(secret_of("pin", pin(text).padded()));
    }
    for text in [PUK, "22223333"] {
        secrets.push(text.as_bytes().to_vec());
        secrets.push(secret_of("puk", puk(text).padded()));
    }
    for secret in secrets {
        let found = heard.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{secret:02x?} was heard");
    }
    // The tap works: what is public is heard.
    let x = &point[1..33];
    assert!(heard.windows(x.len()).any(|window| window == x));
}
