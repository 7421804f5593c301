// SPDX-License-Identifier: MIT OR Apache-2.0
//! GENERAL AUTHENTICATE (SP 800-73-4 part 2, 3.2.4): private keys, and the management key.

use std::time::Instant;

use lanyard_piv::{
    Algorithm, Command, DynamicAuthentication, ManagementAlgorithm, PublicKey, Slot, StatusWord,
    key_reference,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::access::{Access, Challenge, ChallengeKind, Use};
use super::{Answer, status_of};
use crate::keeper::Keeper;

/// GENERAL AUTHENTICATE.
pub(super) fn general_authenticate(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    now: Instant,
    command: &Command,
) -> Answer {
    let challenge = access.take_challenge();
    let template =
        DynamicAuthentication::parse(command.data()).map_err(|_| StatusWord::WRONG_DATA)?;
    if command.p2() == key_reference::MANAGEMENT {
        return prove_management(access, keeper, command.p1(), &template, challenge);
    }
    let slot = Slot::from_key_reference(command.p2()).ok_or(StatusWord::WRONG_PARAMETERS)?;
    let key = keeper.key(slot).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    if Algorithm::from_id(command.p1()) != Some(key.algorithm()) {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    use_key(access, keeper, now, slot, &key, &template)
}

/// Signs a digest, agrees on a secret with a point, or does the bare operation of an RSA key.
fn use_key(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    now: Instant,
    slot: Slot,
    key: &PublicKey,
    template: &DynamicAuthentication,
) -> Answer {
    if template.witness.is_some() || template.response.as_deref() != Some(&[]) {
        return Err(StatusWord::WRONG_DATA);
    }
    let answer = match (
        template.challenge.as_deref(),
        template.exponentiation.as_deref(),
    ) {
        (Some(block), None) if key.algorithm() == Algorithm::Rsa2048 => {
            let opened = access.use_key(keeper, slot, Use::Sign, now)?;
            keeper.rsa(slot, opened, block).map_err(status_of)?.to_vec()
        }
        (Some(digest), None) => {
            let opened = access.use_key(keeper, slot, Use::Sign, now)?;
            keeper.sign(slot, opened, digest).map_err(status_of)?
        }
        (None, Some(point)) if agrees(slot) && key.point().is_some() => {
            let opened = access.use_key(keeper, slot, Use::Agree, now)?;
            keeper
                .agree(slot, opened, point)
                .map_err(status_of)?
                .to_vec()
        }
        _ => return Err(StatusWord::WRONG_DATA),
    };
    Ok(DynamicAuthentication::answer(answer).encode())
}

/// Key agreement is for the key-management keys, present and retired.
fn agrees(slot: Slot) -> bool {
    matches!(slot, Slot::KeyManagement | Slot::Retired(_))
}

/// Proves the management key, one way (SP 800-73-4 part 2, appendix A.2) or both ways (A.1). The
/// card never encrypts what the host chose before the host has proved the key: that would let a
/// stranger have his challenge answered by the card itself.
fn prove_management(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    algorithm: u8,
    template: &DynamicAuthentication,
    challenge: Option<Challenge>,
) -> Answer {
    let algorithm = ManagementAlgorithm::from_id(algorithm)
        .filter(|algorithm| keeper.management_algorithms().contains(algorithm))
        .ok_or(StatusWord::WRONG_PARAMETERS)?;
    if template.exponentiation.is_some() {
        return Err(StatusWord::WRONG_DATA);
    }
    let fields = (
        template.witness.as_deref(),
        template.challenge.as_deref(),
        template.response.as_deref(),
    );
    match fields {
        (Some([]), None, None) => start(access, keeper, algorithm, ChallengeKind::Mutual),
        (None, Some([]), None) => start(access, keeper, algorithm, ChallengeKind::External),
        (None, None, Some(response)) => {
            let sent = expect(access, challenge, algorithm, ChallengeKind::External)?;
            let wanted = encrypt(keeper, algorithm, &sent)?;
            decide(access, &wanted, response)?;
            Ok(Vec::new())
        }
        (Some(witness), Some(theirs), None | Some([])) => {
            let sent = expect(access, challenge, algorithm, ChallengeKind::Mutual)?;
            decide(access, &sent, witness)?;
            let answer = encrypt(keeper, algorithm, theirs).inspect_err(|_| {
                access.set_management(false);
            })?;
            Ok(DynamicAuthentication::answer(answer.to_vec()).encode())
        }
        _ => Err(StatusWord::WRONG_DATA),
    }
}

/// Makes a random block for the host to answer.
fn start(
    access: &mut Access,
    keeper: &mut dyn Keeper,
    algorithm: ManagementAlgorithm,
    kind: ChallengeKind,
) -> Answer {
    let mut block = Zeroizing::new(vec![0; algorithm.block_bytes()]);
    keeper.random(&mut block).map_err(status_of)?;
    let shown = match kind {
        ChallengeKind::External => block.to_vec(),
        ChallengeKind::Mutual => encrypt(keeper, algorithm, &block)?.to_vec(),
    };
    access.set_challenge(Challenge {
        kind,
        algorithm,
        block,
    });
    let mut template = DynamicAuthentication::default();
    match kind {
        ChallengeKind::External => template.challenge = Some(shown),
        ChallengeKind::Mutual => template.witness = Some(shown),
    }
    Ok(template.encode())
}

/// The block that was sent for this very proof; an answer to nothing is a failed proof.
fn expect(
    access: &mut Access,
    challenge: Option<Challenge>,
    algorithm: ManagementAlgorithm,
    kind: ChallengeKind,
) -> Result<Zeroizing<Vec<u8>>, StatusWord> {
    match challenge {
        Some(challenge) if challenge.kind == kind && challenge.algorithm == algorithm => {
            Ok(challenge.block)
        }
        _ => {
            access.set_management(false);
            Err(StatusWord::CONDITIONS_NOT_SATISFIED)
        }
    }
}

fn decide(access: &mut Access, wanted: &[u8], given: &[u8]) -> Result<(), StatusWord> {
    let proved = bool::from(wanted.ct_eq(given));
    access.set_management(proved);
    access.require_management()
}

fn encrypt(
    keeper: &dyn Keeper,
    algorithm: ManagementAlgorithm,
    block: &[u8],
) -> Result<Zeroizing<Vec<u8>>, StatusWord> {
    let key = keeper.management_key().map_err(status_of)?;
    key.encrypt(algorithm, block)
        .map(Zeroizing::new)
        .map_err(|_| StatusWord::WRONG_DATA)
}
