// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chips from before PIN indices: the capability is masked on the way.

use std::sync::Arc;
use std::time::Duration;

use lanyard_piv::{Algorithm, Slot};
use lanyard_tpm::{Connect, Device, TpmError, Transport};
use lanyard_virtual_card::{Keeper, KeeperError, MemoryStorage, ReferenceError, TpmCard};
use zeroize::Zeroizing;

use crate::support::{Bench, FIRST_PIN, OTHER_PIN, PIN, PUK, WRONG, bench, new, pin, puk};

/// A chip that says that it is of library revision 1.16.
struct Old(Device);

struct OldLine(Box<dyn Transport>);

impl Connect for Old {
    fn transport(&self) -> Result<Box<dyn Transport>, TpmError> {
        Ok(Box::new(OldLine(self.0.transport()?)))
    }
}

impl Transport for OldLine {
    fn exchange(
        &mut self,
        command: &[u8],
        limit: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let mut answer = self.0.exchange(command, limit)?;
        // Property TPM_PT_REVISION and its value, in a list of pairs.
        let revision = 0x102_u32.to_be_bytes();
        if let Some(at) = answer.windows(4).position(|four| four == revision)
            && command.get(6..10) == Some(&[0, 0, 1, 0x7A])
            && let Some(value) = answer.get_mut(at + 4..at + 8)
        {
            value.copy_from_slice(&116_u32.to_be_bytes());
        }
        Ok(answer)
    }
}

fn card(bench: &Bench) -> TpmCard<MemoryStorage> {
    let connect = Arc::new(Old(bench.device()));
    bench.card_through(0x4F, connect, &bench.storage).unwrap()
}

#[test]
fn an_old_chip_serves_a_card_whose_tries_this_program_counts() {
    let bench = bench();
    let mut card = card(&bench);
    assert!(bench.indices().is_empty(), "there are no indices");
    let opened = card.change_pin(&pin(FIRST_PIN), &new(PIN)).unwrap();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    assert!(
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
    assert!(card.verify(&pin(FIRST_PIN)).is_err());
    assert_eq!(
        bench.common_lockout(),
        1,
        "the common lockout stands behind"
    );
    assert!(card.verify(&pin(PIN)).is_ok());
    assert_eq!(card.pin_status().tries.left, 3);
    card.change_puk(&puk(PUK), &puk("22223333")).unwrap();
    card.unblock(&puk("22223333"), &new(OTHER_PIN)).unwrap();
    let opened = card.verify(&pin(OTHER_PIN)).unwrap();
    assert!(
        card.sign(Slot::Authentication, Some(&opened), &[7; 32])
            .is_ok()
    );
    let mut card = bench.reopen();
    assert!(card.verify(&pin(OTHER_PIN)).is_ok());
    for first in [0x8000_0000, 0x0200_0000] {
        assert!(bench.handles(first).is_empty());
    }
}

#[test]
fn a_try_is_in_the_file_before_an_old_chip_is_asked() {
    let bench = bench();
    let mut card = card(&bench);
    // The disk takes the count and then nothing more, as when the plug is pulled in between.
    bench.storage.fail_after(1);
    assert_eq!(
        card.verify(&pin(FIRST_PIN)).err(),
        Some(ReferenceError::Keeper(KeeperError::NotWritten))
    );
    assert_eq!(bench.reopen().pin_status().tries.left, 2);
}

#[test]
fn an_old_chips_common_lockout_is_told_and_costs_no_try() {
    let bench = bench();
    let mut card = card(&bench);
    let lockout_at = {
        let mut tpm = bench.device().connect().unwrap();
        tpm.capabilities().unwrap().lockout_at
    };
    // Somebody else fills the common lockout: here by a second card.
    let storage = MemoryStorage::default();
    let connect = Arc::new(Old(bench.device()));
    let mut other = bench.card_through(0x50, connect, &storage).unwrap();
    for _ in 0..lockout_at {
        let _ = other.verify(&pin(WRONG));
    }
    assert_eq!(
        card.verify(&pin(FIRST_PIN)).err(),
        Some(ReferenceError::Keeper(KeeperError::LockedOut))
    );
    assert_eq!(card.pin_status().tries.left, 3);
    bench.device().connect().unwrap().reset_lockout().unwrap();
    assert!(card.verify(&pin(FIRST_PIN)).is_ok());
}
