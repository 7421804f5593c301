// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crate against a real software TPM: every command, proofs, slots, and a chip that goes away.
#![allow(clippy::unwrap_used)]

#[path = "support/swtpm.rs"]
mod swtpm;

use lanyard_tpm::policy::Policy;
use lanyard_tpm::{
    Auth, AuthValue, Connect, Device, Hierarchy, KeyUse, NvPublic, PinCounter, Public, Session,
    SessionKind, Template, Tpm, TpmAlgId, TpmCc, TpmEccCurve, TpmError, TpmRcBase,
};
use swtpm::Swtpm;

const INDEX: u32 = 0x0180_0042;

struct Bench {
    chip: Swtpm,
    device: Device,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let chip = Swtpm::start(folder.path());
    let device = chip.device().parse().unwrap();
    Bench {
        chip,
        device,
        _folder: folder,
    }
}

fn begun(tpm: &mut Tpm) -> (lanyard_tpm::Object, Session) {
    let parent = tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .unwrap();
    let session = tpm.start_session(SessionKind::Hmac, Some(&parent)).unwrap();
    (parent, session)
}

#[test]
fn a_chip_says_what_it_can_do() {
    let bench = bench();
    let found = bench.device.connect().unwrap().capabilities().unwrap();
    assert!(found.has_pin_indices(), "{found:?}");
    assert!(found.has_curve(TpmEccCurve::NistP256) && found.has_curve(TpmEccCurve::NistP384));
    assert!(found.has_algorithm(TpmAlgId::Rsa as u16));
    assert_eq!(&found.family.to_be_bytes(), b"2.0\0");
    assert!(!found.owner_auth_set && !found.is_locked_out);
    assert!(found.lockout_at > 0);
}

#[test]
fn a_key_signs_with_its_secret_and_not_without() {
    let bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let (parent, mut session) = begun(&mut tpm);
    let secret = AuthValue::new(b"a secret that ends in zero\0");
    let template = Template::ecc(TpmEccCurve::NistP256, KeyUse::SignAndDecrypt, None);
    let blob = tpm
        .create(&parent, &secret, &[], &template, &mut session)
        .unwrap();
    let key = tpm.load(&parent, &blob).unwrap();
    let signature = tpm
        .sign(
            &key,
            Auth::Hmac(&mut session, &secret),
            None,
            TpmAlgId::Sha256,
            &[7; 32],
        )
        .unwrap();
    assert!(!signature.r.is_empty() && !signature.s.is_empty());
    let wrong = AuthValue::new(b"wrong");
    let refused = tpm.sign(
        &key,
        Auth::Hmac(&mut session, &wrong),
        None,
        TpmAlgId::Sha256,
        &[7; 32],
    );
    assert!(refused.unwrap_err().is_wrong_auth());
    // The session outlives a refusal.
    let again = tpm.sign(
        &key,
        Auth::Hmac(&mut session, &secret),
        None,
        TpmAlgId::Sha256,
        &[7; 32],
    );
    assert!(again.is_ok());
}

#[test]
fn sealed_data_comes_back_encrypted_on_its_way() {
    let bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let (parent, mut session) = begun(&mut tpm);
    let secret = AuthValue::new(b"1234");
    let template = Template::sealed(None, false);
    let blob = tpm
        .create(&parent, &secret, b"sealed data", &template, &mut session)
        .unwrap();
    let object = tpm.load(&parent, &blob).unwrap();
    let data = tpm.unseal(&object, Auth::Hmac(&mut session, &secret), None);
    assert_eq!(data.unwrap().as_slice(), b"sealed data");
    // With a new secret, the new half opens with the new one alone.
    let new = AuthValue::new(b"5678");
    let private = tpm
        .change_object_auth(&parent, &object, &secret, &new, &mut session)
        .unwrap();
    tpm.flush(object.handle().value()).unwrap();
    let changed = lanyard_tpm::Blob {
        private,
        public: blob.public,
    };
    let object = tpm.load(&parent, &changed).unwrap();
    let data = tpm.unseal(&object, Auth::Password(&new), Some(&mut session));
    assert_eq!(data.unwrap().as_slice(), b"sealed data");
    let old = tpm.unseal(&object, Auth::Hmac(&mut session, &secret), None);
    assert!(old.unwrap_err().is_wrong_auth());
}

/// Two keys agree on the same secret, and RSA's bare operation is its own inverse in public.
#[test]
fn agreement_and_the_bare_rsa_operation_work() {
    let bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let (parent, mut session) = begun(&mut tpm);
    let nothing = AuthValue::empty();
    for (curve, bytes) in [(TpmEccCurve::NistP256, 32), (TpmEccCurve::NistP384, 48)] {
        let template = Template::ecc(curve, KeyUse::SignAndDecrypt, None);
        let keys = [(); 2].map(|()| {
            tpm.create(&parent, &nothing, &[], &template, &mut session)
                .unwrap()
        });
        let secrets = [(0, 1), (1, 0)].map(|(ours, theirs): (usize, usize)| {
            let lanyard_tpm::PublicKey::Ecc { x, y, .. } = keys[theirs].public.key().unwrap()
            else {
                unreachable!("an ECC key was made")
            };
            let key = tpm.load(&parent, &keys[ours]).unwrap();
            let secret = tpm
                .agree(&key, Auth::Nothing, Some(&mut session), &x, &y)
                .unwrap();
            tpm.flush(key.handle().value()).unwrap();
            secret
        });
        assert_eq!(secrets[0], secrets[1]);
        assert!(secrets[0].len() <= bytes);
    }
    let template = Template::rsa_2048(None);
    let blob = tpm
        .create(&parent, &nothing, &[], &template, &mut session)
        .unwrap();
    let key = tpm.load(&parent, &blob).unwrap();
    let mut block = vec![0x11; 256];
    block[0] = 0;
    let answer = tpm.rsa(&key, Auth::Nothing, Some(&mut session), &block);
    assert_ne!(answer.unwrap().as_slice(), block);
}

fn counter_policy() -> (Vec<Policy>, Policy) {
    let branches = vec![
        Policy::new().command(TpmCc::NvWrite),
        Policy::new().command(TpmCc::NvRead),
        Policy::new().command(TpmCc::NvChangeAuth).auth_value(),
    ];
    let whole = Policy::any_of(&branches);
    (branches, whole)
}

/// A policy session that may do this one thing with the index.
fn may(tpm: &mut Tpm, code: TpmCc) -> Session {
    let policy = tpm.start_session(SessionKind::Policy, None).unwrap();
    tpm.policy_command(&policy, code).unwrap();
    if code == TpmCc::NvChangeAuth {
        tpm.policy_auth_value(&policy).unwrap();
    }
    tpm.policy_or(&policy, &counter_policy().0).unwrap();
    policy
}

fn prove(
    tpm: &mut Tpm,
    index: &lanyard_tpm::Handle,
    session: &mut Session,
    pin: &AuthValue,
) -> Result<(), TpmError> {
    let policy = tpm.start_session(SessionKind::Policy, None).unwrap();
    let proved = tpm.policy_secret(index, Auth::Hmac(session, pin), &policy);
    tpm.flush(policy.handle()).unwrap();
    proved
}

#[test]
fn a_pin_index_counts_blocks_and_leaves_the_common_lockout_alone() {
    let bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let (_, mut session) = begun(&mut tpm);
    let index = NvPublic::pin_counter(INDEX, counter_policy().1.as_bytes());
    let (pin, wrong) = (AuthValue::new(b"12345678"), AuthValue::new(b"87654321"));
    tpm.define(&index, &pin, &mut session).unwrap();
    let mut policy = may(&mut tpm, TpmCc::NvWrite);
    let counter = PinCounter {
        failed: 0,
        limit: 3,
    };
    tpm.write_index(&index.place(), &mut policy, &counter.to_bytes())
        .unwrap();
    tpm.flush(policy.handle()).unwrap();
    let place = index.clone().written().place();
    assert_eq!(tpm.read_index(INDEX).unwrap(), index.written());

    let left = |tpm: &mut Tpm| {
        let mut policy = may(tpm, TpmCc::NvRead);
        let counter = tpm.read_pin_counter(&place, &mut policy).unwrap();
        tpm.flush(policy.handle()).unwrap();
        counter.left()
    };
    assert!(
        prove(&mut tpm, &place, &mut session, &wrong)
            .unwrap_err()
            .is_wrong_auth()
    );
    assert_eq!(left(&mut tpm), 2);
    prove(&mut tpm, &place, &mut session, &pin).unwrap();
    assert_eq!(left(&mut tpm), 3);

    // A new PIN is taken with the old one, and the old one is worth nothing from then on.
    let new = AuthValue::new(b"35914782");
    let mut policy = may(&mut tpm, TpmCc::NvChangeAuth);
    let change = Auth::Changing {
        session: &mut policy,
        old: &pin,
        new: &new,
    };
    tpm.change_index_auth(&place, change, &new, &mut session)
        .unwrap();
    tpm.flush(policy.handle()).unwrap();
    prove(&mut tpm, &place, &mut session, &new).unwrap();

    for tries in [2, 1, 0] {
        assert!(prove(&mut tpm, &place, &mut session, &pin).is_err());
        assert_eq!(left(&mut tpm), tries);
    }
    let blocked = prove(&mut tpm, &place, &mut session, &new).unwrap_err();
    assert!(blocked.is(TpmRcBase::AuthUnavailable), "{blocked}");
    let found = tpm.capabilities().unwrap();
    assert_eq!(found.lockout_counter, 0);
}

#[test]
fn what_a_policy_gathers_is_what_this_side_computes() {
    let bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let trial = tpm.start_session(SessionKind::Trial, None).unwrap();
    let owner = Hierarchy::Owner.handle();
    tpm.policy_secret(&owner, Auth::Nothing, &trial).unwrap();
    tpm.policy_auth_value(&trial).unwrap();
    let gathered = Policy::new().secret(owner.name()).auth_value();
    assert_eq!(tpm.policy_digest(&trial).unwrap(), gathered.as_bytes());
    let branches = [gathered, Policy::new().command(TpmCc::Sign)];
    tpm.policy_or(&trial, &branches).unwrap();
    let whole = Policy::any_of(&branches);
    assert_eq!(tpm.policy_digest(&trial).unwrap(), whole.as_bytes());
}

#[test]
fn nothing_stays_in_the_chip_after_a_conversation_even_after_errors() {
    let bench = bench();
    // Three slots: without flushing, the second round would find no room.
    for _ in 0..5 {
        let mut tpm = bench.device.connect().unwrap();
        let (parent, mut session) = begun(&mut tpm);
        let broken = lanyard_tpm::Blob {
            private: vec![1; 100],
            public: Public::parse(Template::storage().as_bytes()).unwrap(),
        };
        assert!(tpm.load(&parent, &broken).is_err());
        let mut bytes = [0; 100];
        tpm.random(&mut bytes, Some(&mut session)).unwrap();
        assert_ne!(bytes, [0; 100]);
        tpm.stir_random(&zeroize::Zeroizing::new(vec![1; 32]), &mut session)
            .unwrap();
    }
    let mut tpm = bench.device.connect().unwrap();
    for first in [0x8000_0000, 0x0200_0000, 0x0300_0000] {
        assert_eq!(tpm.handles_from(first).unwrap(), [0; 0]);
    }
}

#[test]
fn a_saved_object_comes_back_until_the_chips_next_power_up() {
    let mut bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let (parent, _) = begun(&mut tpm);
    let saved = tpm.save(&parent).unwrap();
    drop(tpm);
    let mut tpm = bench.device.connect().unwrap();
    let restored = tpm.restore(&saved).unwrap();
    assert!(
        tpm.start_session(SessionKind::Hmac, Some(&restored))
            .is_ok()
    );
    drop(tpm);
    bench.chip.restart();
    let mut tpm = bench.device.connect().unwrap();
    assert!(tpm.restore(&saved).is_err());
    let again = tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .unwrap();
    assert_eq!(
        again.public(),
        parent.public(),
        "the same seed, the same key"
    );
}

#[test]
fn a_chip_that_dies_is_told_and_one_that_has_no_room_is_told_too() {
    let mut bench = bench();
    let mut tpm = bench.device.connect().unwrap();
    let (parent, _session) = begun(&mut tpm);
    let blob_less = (0..4)
        .map(|_| tpm.create_primary(Hierarchy::Owner, &Template::storage()))
        .collect::<Result<Vec<_>, _>>();
    assert!(matches!(blob_less, Err(TpmError::Busy(_))), "{blob_less:?}");
    bench.chip.kill();
    let dead = tpm.save(&parent).map(drop);
    assert!(
        dead.as_ref().is_err_and(TpmError::is_unreachable),
        "{dead:?}"
    );
    drop(tpm);
    assert!(matches!(
        bench.device.connect().err(),
        Some(TpmError::Absent(_))
    ));
}

/// Changes one bit of the answers to one command.
struct Bent {
    device: Device,
    code: u32,
}

struct BentLine {
    inner: Box<dyn lanyard_tpm::Transport>,
    code: u32,
}

impl Connect for Bent {
    fn transport(&self) -> Result<Box<dyn lanyard_tpm::Transport>, TpmError> {
        Ok(Box::new(BentLine {
            inner: self.device.transport()?,
            code: self.code,
        }))
    }
}

impl lanyard_tpm::Transport for BentLine {
    fn exchange(
        &mut self,
        command: &[u8],
        limit: std::time::Duration,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, TpmError> {
        let mut answer = self.inner.exchange(command, limit)?;
        if command.get(6..10) == Some(&self.code.to_be_bytes()[..])
            && let Some(byte) = answer.get_mut(16)
        {
            *byte ^= 1;
        }
        Ok(answer)
    }
}

#[test]
fn an_answer_that_was_changed_on_the_way_is_not_believed() {
    let bench = bench();
    for (code, what) in [(0x17B, "random numbers"), (0x15D, "a signature")] {
        let bent = Bent {
            device: bench.device.clone(),
            code,
        };
        let mut tpm = bent.connect().unwrap();
        let (parent, mut session) = begun(&mut tpm);
        let refused = if code == 0x17B {
            tpm.random(&mut [0; 16], Some(&mut session)).map(drop)
        } else {
            let template = Template::ecc(TpmEccCurve::NistP256, KeyUse::Sign, None);
            let nothing = AuthValue::empty();
            let blob = tpm
                .create(&parent, &nothing, &[], &template, &mut session)
                .unwrap();
            let key = tpm.load(&parent, &blob).unwrap();
            let session = Some(&mut session);
            tpm.sign(&key, Auth::Nothing, session, TpmAlgId::Sha256, &[7; 32])
                .map(drop)
        };
        assert!(
            matches!(refused, Err(TpmError::Forged)),
            "{what}: {refused:?}"
        );
    }
}
