// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the computer's owner (root: whose secret in the chip is empty) can do with a card's file and
//! the chip in his hands: destroy the card.

use lanyard_piv::{Algorithm, Slot};
use lanyard_tpm::policy::Policy;
use lanyard_tpm::{
    Auth, AuthValue, Connect, Hierarchy, NvPublic, Session, SessionKind, Template, Tpm, TpmCc,
    TpmaNv,
};
use lanyard_virtual_card::{Keeper, KeeperError, Opened};
use zeroize::Zeroizing;

use crate::support::{PIN, bench, pin};

struct Owner {
    tpm: Tpm,
    session: Session,
}

fn owner(bench: &crate::support::Bench) -> Owner {
    let mut tpm = bench.device().connect().unwrap();
    let storage = tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .unwrap();
    let session = tpm
        .start_session(SessionKind::Hmac, Some(&storage))
        .unwrap();
    tpm.flush(storage.handle().value()).unwrap();
    Owner { tpm, session }
}

/// The PIN's index: the one whose policy names the other.
fn pin_index(owner: &mut Owner, indices: &[u32]) -> NvPublic {
    let all: Vec<NvPublic> = indices
        .iter()
        .map(|handle| owner.tpm.read_index(*handle).unwrap())
        .collect();
    let names_another = |one: &NvPublic| {
        all.iter().any(|other| {
            let branches = [
                Policy::new().command(TpmCc::NvWrite).secret(&other.name()),
                Policy::new()
                    .command(TpmCc::NvChangeAuth)
                    .secret(&other.name()),
                Policy::new().command(TpmCc::NvChangeAuth).auth_value(),
                Policy::new().command(TpmCc::NvRead),
            ];
            one.policy == Policy::any_of(&branches).as_bytes()
        })
    };
    all.iter().find(|one| names_another(one)).unwrap().clone()
}

#[test]
fn an_owner_who_defines_the_pins_index_anew_gains_nothing() {
    let bench = bench();
    let mut card = bench.own_card();
    card.generate(Slot::Authentication, Algorithm::EccP256)
        .unwrap();
    let mut owner = owner(&bench);
    let indices = bench_indices(&mut owner);
    let index = pin_index(&mut owner, &indices);
    let own = AuthValue::new(b"the owner's own PIN");
    let fresh = NvPublic {
        attributes: index.attributes & !TpmaNv::WRITTEN.bits(),
        ..index.clone()
    };

    // 1. The same index with a secret of his own: it was never written, so it is another entity, and
    //    the chip neither lets him write it nor proves its secret.
    owner.tpm.undefine(&index.place()).unwrap();
    owner.tpm.define(&fresh, &own, &mut owner.session).unwrap();
    let policy = owner.tpm.start_session(SessionKind::Policy, None).unwrap();
    let proved = owner.tpm.policy_secret(
        &fresh.place(),
        Auth::Hmac(&mut owner.session, &own),
        &policy,
    );
    assert!(proved.is_err(), "an unwritten index proves nothing");
    owner.tpm.flush(policy.handle()).unwrap();
    let mut policy = owner.tpm.start_session(SessionKind::Policy, None).unwrap();
    owner.tpm.policy_command(&policy, TpmCc::NvWrite).unwrap();
    let written = owner
        .tpm
        .write_index(&fresh.place(), &mut policy, &[0, 0, 0, 0, 0, 0, 0, 99]);
    assert!(written.is_err(), "only the PUK's secret writes it");
    owner.tpm.flush(policy.handle()).unwrap();
    // 2. An index that he may write: its name is another one, and the key's policy names the first.
    owner.tpm.undefine(&fresh.place()).unwrap();
    let own_policy = Policy::any_of(&[
        Policy::new().command(TpmCc::NvWrite),
        Policy::new().command(TpmCc::NvRead),
    ]);
    let other = NvPublic::pin_counter(index.handle, own_policy.as_bytes());
    owner.tpm.define(&other, &own, &mut owner.session).unwrap();
    let mut policy = owner.tpm.start_session(SessionKind::Policy, None).unwrap();
    owner.tpm.policy_command(&policy, TpmCc::NvWrite).unwrap();
    let branches = [
        Policy::new().command(TpmCc::NvWrite),
        Policy::new().command(TpmCc::NvRead),
    ];
    owner.tpm.policy_or(&policy, &branches).unwrap();
    owner
        .tpm
        .write_index(&other.place(), &mut policy, &[0, 0, 0, 0, 0, 0, 0, 99])
        .unwrap();
    owner.tpm.flush(policy.handle()).unwrap();
    let mut policy = owner.tpm.start_session(SessionKind::Policy, None).unwrap();
    let place = other.written().place();
    owner
        .tpm
        .policy_secret(&place, Auth::Hmac(&mut owner.session, &own), &policy)
        .unwrap();
    let key = stored_key(&bench, &mut owner);
    let signed = owner.tpm.sign(
        &key,
        Auth::Policy(&mut policy, None),
        None,
        lanyard_tpm::TpmAlgId::Sha256,
        &[7; 32],
    );
    assert!(signed.is_err(), "his own index opens no key");
    drop(owner);
    // 3. The card is destroyed by it, which he could have done with a hammer.
    assert!(card.verify(&pin(PIN)).is_err());
    let forged = Opened::new(Zeroizing::new(b"the owner's own PIN".to_vec()));
    let refused = card.sign(Slot::Authentication, Some(&forged), &[7; 32]);
    assert!(matches!(
        refused,
        Err(KeeperError::NotOpened | KeeperError::Device)
    ));
}

fn bench_indices(owner: &mut Owner) -> Vec<u32> {
    owner
        .tpm
        .handles_from(0x0180_0000)
        .unwrap()
        .into_iter()
        .filter(|handle| *handle < 0x01C0_0000)
        .collect()
}

/// The key of slot 9A, loaded by whoever can read the file.
fn stored_key(bench: &crate::support::Bench, owner: &mut Owner) -> lanyard_tpm::Object {
    use base64::Engine;
    let bytes = bench.storage.bytes();
    let body = bytes.splitn(2, |byte| *byte == b'\n').nth(1).unwrap();
    let state: serde_json::Value = serde_json::from_slice(body).unwrap();
    let half = |name: &str| {
        let text = state["keys"]["9A"]["blob"][name].as_str().unwrap();
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap()
    };
    let storage = owner
        .tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .unwrap();
    let blob = lanyard_tpm::Blob {
        private: half("private"),
        public: lanyard_tpm::Public::parse(&half("public")).unwrap(),
    };
    let key = owner.tpm.load(&storage, &blob).unwrap();
    owner.tpm.flush(storage.handle().value()).unwrap();
    // Its own secret is empty and opens nothing.
    let bare = owner.tpm.sign(
        &key,
        Auth::Nothing,
        None,
        lanyard_tpm::TpmAlgId::Sha256,
        &[7; 32],
    );
    assert!(bare.is_err());
    key
}

#[test]
fn another_chip_with_the_same_voice_is_not_given_the_pin() {
    let bench = bench();
    let mut card = bench.own_card();
    let mut imposter = crate::support::bench();
    // Somebody puts another chip in the place of the card's.
    let place = bench.chip.socket();
    let aside = bench.folder.path().join("aside.sock");
    std::fs::rename(&place, &aside).unwrap();
    std::os::unix::fs::symlink(imposter.chip.socket(), &place).unwrap();
    assert!(card.verify(&pin(PIN)).is_err());
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&aside, &place).unwrap();
    imposter.chip.kill();
    assert!(card.verify(&pin(PIN)).is_ok(), "and no try was spent");
}
