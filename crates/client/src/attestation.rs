// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proving to the authority where a card's key lives.
//!
//! A card in the TPM is challenged by the authority and vouches for its key; a plastic card may have its own word. A card
//! that can do neither is enrolled without: whether that is enough is for the organisation's policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_card::CardSession;
use lanyard_card::piv::{Slot, WrappedSecret};
use lanyard_fault::Fault;
use lanyard_x509::Thumbprint;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::cards::card_problem;
use crate::net::{HttpRequest, Net};
use crate::problem::Problem;
use crate::signin::refusal;

/// What an enrolment says about where its key lives.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Evidence {
    /// A key in a TPM.
    Tpm {
        id: String,
        #[serde(serialize_with = "as_text")]
        secret: Zeroizing<String>,
        key_public: String,
        statement: String,
        signature: String,
    },
    /// A key in a card that vouches for it.
    Piv { statement: String, device: String },
}

#[derive(Serialize)]
struct Introduction {
    ek_public: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ek_certificate: Option<String>,
    ak_public: String,
}

#[derive(Deserialize)]
struct Challenge {
    id: String,
    nonce: String,
    credential: String,
    encrypted_seed: String,
}

/// Gathers the evidence for the key in a slot and the request that it signed. `service` is the enrolment interface. The
/// management key was shown to the card before.
///
/// # Errors
/// The card is gone, or the authority refuses the chip's keys.
pub(crate) async fn gather(
    net: &Net,
    service: &str,
    session: &mut CardSession,
    slot: Slot,
    csr_der: &[u8],
) -> Result<Option<Evidence>, Problem> {
    // The first word only introduces the chip; what it says of the key is asked again with the nonce.
    let Some(chip) = session.chip_evidence(slot, &[]).map_err(card_problem)? else {
        let attested = session.card_attestation(slot).map_err(card_problem)?;
        return Ok(attested.map(|said| Evidence::Piv {
            statement: STANDARD.encode(said.statement),
            device: STANDARD.encode(said.device),
        }));
    };
    let introduction = Introduction {
        ek_public: STANDARD.encode(&chip.endorsement_key),
        ek_certificate: chip.endorsement_certificate.map(|der| STANDARD.encode(der)),
        ak_public: STANDARD.encode(&chip.attestation_key),
    };
    let Some(challenge) = begin(net, service, &introduction).await? else {
        return Ok(None);
    };
    let wrapped = WrappedSecret {
        id_object: unsized_part(&challenge.credential)?,
        encrypted_seed: unsized_part(&challenge.encrypted_seed)?,
    };
    let secret = session.chip_open(&wrapped).map_err(card_problem)?;
    let mut qualifying = decode(&challenge.nonce)?;
    // SHA-256 over the nonce and the hash of the request.
    qualifying.extend_from_slice(&Thumbprint::of(csr_der).0);
    let qualifying = Thumbprint::of(&qualifying).0;
    let said = session
        .chip_evidence(slot, &qualifying)
        .map_err(card_problem)?
        .ok_or_else(|| Problem::new(Fault::CardUnusable))?;
    Ok(Some(Evidence::Tpm {
        id: challenge.id,
        secret: Zeroizing::new(STANDARD.encode(&*secret)),
        key_public: STANDARD.encode(said.key),
        statement: STANDARD.encode(said.statement),
        signature: STANDARD.encode(said.signature),
    }))
}

/// Introduces the chip; `None` where the authority does not know the question.
async fn begin(
    net: &Net,
    service: &str,
    introduction: &Introduction,
) -> Result<Option<Challenge>, Problem> {
    let malformed = || Problem::new(Fault::EnrolmentAnswer);
    let (_, host, _) = crate::net::authority(service).ok_or_else(malformed)?;
    let json = serde_json::to_string(introduction).map_err(|_| malformed())?;
    let (base, _) = service
        .trim_end_matches('/')
        .rsplit_once('/')
        .ok_or_else(malformed)?;
    let url = format!("{base}/attestations");
    let request = HttpRequest::post(url, "application/json", json);
    let answer = crate::net::exchange(net, request, net.trust().web())
        .await
        .map_err(|fault| fault.problem(&host))?;
    match answer.status {
        201 => serde_json::from_str(&answer.body)
            .map(Some)
            .map_err(|_| malformed()),
        404 | 405 => Ok(None),
        _ => Err(refusal(&answer, &host)),
    }
}

fn as_text<S: serde::Serializer>(secret: &Zeroizing<String>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(secret)
}

fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD
        .decode(text)
        .map_err(|_| Problem::new(Fault::EnrolmentAnswer))
}

/// A TPM2B without the two bytes of its length.
fn unsized_part(text: &str) -> Result<Vec<u8>, Problem> {
    let bytes = decode(text)?;
    match bytes.split_at_checked(2) {
        Some((_, contents)) => Ok(contents.to_vec()),
        None => Err(Problem::new(Fault::EnrolmentAnswer)),
    }
}
