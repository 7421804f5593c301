// SPDX-License-Identifier: MIT OR Apache-2.0
//! The decision: facts in, an order or a refusal out.

use lanyard_attest::Level;
use lanyard_authority::Status;
use lanyard_directory::{CardKind, CodeVerdict, KeyAssurance};

use crate::attestation::AttestationError;
use crate::desk::PersonFacts;
use crate::order::EnrolmentOrder;
use crate::refusal::Refusal;
use crate::request::Asked;

/// Decides on a request.
///
/// `proved` is what the evidence about the key is worth.
/// `verdict` is what the code was worth; `None` when there was no code to judge, or nobody whose
/// code it could have been. All ways of not having the right code end in one refusal, and nothing
/// else about a person is told before the right code was shown.
pub fn decide(
    asked: Asked,
    person: Option<PersonFacts>,
    verdict: Option<CodeVerdict>,
    proved: Result<Level, AttestationError>,
) -> Result<EnrolmentOrder, Refusal> {
    let person = admit(asked.card.kind, person, verdict)?;
    let level = proved?;
    if !is_enough(level, person.key_assurance) {
        return Err(Refusal::KeyAssurance);
    }
    Ok(EnrolmentOrder {
        account: person.account,
        card: asked.card,
        label: asked.label,
        make: asked.make,
        computer: asked.computer,
        care: asked.care,
        key: asked.key,
        authentication_key: asked.authentication_key,
        level,
        status: if asked.pin_changed {
            Status::Active
        } else {
            Status::Issued
        },
    })
}

/// Whether what was proved about a key is what policy demands.
#[must_use]
pub fn is_enough(level: Level, demanded: KeyAssurance) -> bool {
    level >= demanded_level(demanded)
}

/// Two rooms have a word of their own for what is proved about a key; here they meet.
fn demanded_level(demanded: KeyAssurance) -> Level {
    match demanded {
        KeyAssurance::None => Level::None,
        KeyAssurance::TpmUser => Level::TpmUser,
        KeyAssurance::PivCertificate => Level::PivCertificate,
        KeyAssurance::TpmCertificate => Level::TpmCertificate,
        KeyAssurance::TpmKnown => Level::TpmKnown,
    }
}

/// Whether this person may be enrolled on this kind of card: the part of the decision that needs no key.
pub fn admit(
    kind: lanyard_authority::CardKind,
    person: Option<PersonFacts>,
    verdict: Option<CodeVerdict>,
) -> Result<PersonFacts, Refusal> {
    let (Some(person), Some(Ok(()))) = (person, verdict) else {
        return Err(Refusal::Code);
    };
    if !person.enabled {
        return Err(Refusal::AccountDisabled);
    }
    if !person.card_kinds.contains(policy_kind(kind)) {
        return Err(Refusal::CardKind);
    }
    Ok(person)
}

/// Two rooms have a word of their own for the kinds of card; here they meet.
fn policy_kind(kind: lanyard_authority::CardKind) -> CardKind {
    match kind {
        lanyard_authority::CardKind::VirtualFile => CardKind::VirtualFile,
        lanyard_authority::CardKind::VirtualTpm => CardKind::VirtualTpm,
        lanyard_authority::CardKind::Physical => CardKind::Physical,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
