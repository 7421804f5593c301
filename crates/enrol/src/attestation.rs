// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a computer says about where the key lives, and what it is worth.
//!
//! For a key in a TPM there are two steps: a *challenge* that only one chip can open ([`Challenges::begin`]), then the
//! evidence with the enrolment. A challenge serves once and for a short time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_attest::tpm::{
    AttestationKey, Credential, EndorsementKey, Public, SECRET_BYTES, SEED_BYTES, Statement,
    certified_key, make_credential, qualifying_data,
};
use lanyard_attest::{Level, chain_to_roots, piv};
use lanyard_x509::{Certificate, PublicKey, Thumbprint};
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How long a challenge can be answered.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(600);
/// Challenges that are open at one time; the oldest makes room.
pub const CHALLENGES_MAX: usize = 1024;
/// Bytes of a challenge's number and of the nonce.
pub const NONCE_BYTES: usize = 32;
/// Certificates between an endorsement certificate and its root.
const CHAIN_MAX: usize = lanyard_attest::INTERMEDIATES_MAX;

/// Whose word counts.
#[derive(Debug, Clone, Default)]
pub struct Makers {
    /// Roots of makers of TPMs.
    pub tpms: Vec<Certificate>,
    /// Roots of makers of PIV cards.
    pub cards: Vec<Certificate>,
    /// TPMs that are known by themselves: SHA-256 of the endorsement key in DER.
    pub known: Vec<[u8; 32]>,
}

/// Why evidence does not count.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// It cannot be read.
    #[error("the attestation cannot be read")]
    Malformed,
    /// The keys that it names are none of a chip, or of a kind that is not known.
    #[error("the attestation's keys are not those of a TPM that is known here")]
    Keys,
    /// The challenge is unknown, used or too old.
    #[error("the attestation's challenge is unknown, used or too old")]
    Challenge,
    /// The chip did not open the challenge, or did not say this about this key for this request.
    #[error("the attestation is not about this key")]
    NotThisKey,
}

/// What is sent to the chip.
#[derive(Debug)]
pub struct Begun {
    /// The challenge's number.
    pub id: [u8; NONCE_BYTES],
    /// What the statement has to carry, with the hash of the request.
    pub nonce: [u8; NONCE_BYTES],
    /// The wrapped secret.
    pub credential: Credential,
}

/// Randomness for one challenge, fresh each time.
#[derive(Debug, Clone, Copy)]
pub struct Randomness {
    /// The number by which the challenge is named.
    pub id: [u8; NONCE_BYTES],
    /// The nonce in the statement.
    pub nonce: [u8; NONCE_BYTES],
    /// The secret that only the chip can read.
    pub secret: [u8; SECRET_BYTES],
    /// The seed under which it is wrapped.
    pub seed: [u8; SEED_BYTES],
}

/// The first step as JSON: the chip's keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginBody {
    /// `TPMT_PUBLIC` of the endorsement key.
    ek_public: String,
    /// What the chip's maker says of it.
    #[serde(default)]
    ek_certificate: Option<String>,
    /// The certificates above that one.
    #[serde(default)]
    ek_chain: Vec<String>,
    /// `TPMT_PUBLIC` of the attestation key.
    ak_public: String,
}

/// The evidence in an enrolment as JSON.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Evidence {
    /// A key in a TPM.
    Tpm {
        /// The challenge's number.
        id: String,
        /// The secret that the chip has opened.
        secret: String,
        /// `TPMT_PUBLIC` of the card's key.
        key_public: String,
        /// `TPMS_ATTEST`.
        statement: String,
        /// `TPMT_SIGNATURE`.
        signature: String,
    },
    /// A key in a PIV card that attests it.
    Piv {
        /// The certificate that the card made for the key.
        statement: String,
        /// The certificate of the card's attestation key (slot F9).
        device: String,
    },
}

#[derive(Debug)]
struct Pending {
    attestation: AttestationKey,
    level: Level,
    nonce: [u8; NONCE_BYTES],
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    begun: Instant,
}

/// Challenges that were begun and not yet answered.
#[derive(Debug, Default)]
pub struct Challenges {
    open: HashMap<[u8; NONCE_BYTES], Pending>,
}

impl Challenges {
    /// Reads the first step and makes a challenge.
    ///
    /// # Errors
    /// The body or the keys are refused.
    pub fn begin(
        &mut self,
        body: &[u8],
        makers: &Makers,
        random: Randomness,
        now: OffsetDateTime,
        instant: Instant,
    ) -> Result<Begun, AttestationError> {
        let body: BeginBody =
            serde_json::from_slice(body).map_err(|_| AttestationError::Malformed)?;
        let endorsement =
            EndorsementKey::new(public(&body.ek_public)?).map_err(|_| AttestationError::Keys)?;
        let attestation =
            AttestationKey::new(public(&body.ak_public)?).map_err(|_| AttestationError::Keys)?;
        let level = level(&endorsement, &body, makers, now)?;
        let credential = make_credential(&endorsement, &attestation, &random.secret, &random.seed)
            .map_err(|_| AttestationError::Keys)?;
        self.make_room(instant);
        let pending = Pending {
            attestation,
            level,
            nonce: random.nonce,
            secret: Zeroizing::new(random.secret),
            begun: instant,
        };
        self.open.insert(random.id, pending);
        Ok(Begun {
            id: random.id,
            nonce: random.nonce,
            credential,
        })
    }

    /// Judges the evidence for a request and its key. A challenge that is named is used up, whatever comes of it.
    ///
    /// # Errors
    /// The evidence does not hold.
    pub fn judge(
        &mut self,
        evidence: &Evidence,
        request_der: &[u8],
        key: &PublicKey,
        makers: &Makers,
        now: OffsetDateTime,
        instant: Instant,
    ) -> Result<Level, AttestationError> {
        match evidence {
            Evidence::Tpm {
                id,
                secret,
                key_public,
                statement,
                signature,
            } => {
                let id: [u8; NONCE_BYTES] = exact(id)?;
                let pending = self.open.remove(&id).ok_or(AttestationError::Challenge)?;
                if instant.saturating_duration_since(pending.begun) > CHALLENGE_LIFETIME {
                    return Err(AttestationError::Challenge);
                }
                let said: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(exact(secret)?);
                if Thumbprint::of(&*said) != Thumbprint::of(&*pending.secret) {
                    return Err(AttestationError::NotThisKey);
                }
                let certified = public(key_public)?;
                let qualifying = qualifying_data(&pending.nonce, request_der);
                let (attest, signature) = (bytes(statement)?, bytes(signature)?);
                let statement = Statement {
                    attest: &attest,
                    signature: &signature,
                };
                certified_key(statement, &pending.attestation, &qualifying, &certified)
                    .map_err(|_| AttestationError::NotThisKey)?;
                if certified.key() != key {
                    return Err(AttestationError::NotThisKey);
                }
                Ok(pending.level)
            }
            Evidence::Piv { statement, device } => {
                let (statement, device) = (certificate(statement)?, certificate(device)?);
                piv::attested_key(&statement, &device, &makers.cards, key, true, now)
                    .map(|_| Level::PivCertificate)
                    .map_err(|_| AttestationError::NotThisKey)
            }
        }
    }

    fn make_room(&mut self, instant: Instant) {
        self.open.retain(|_, pending| {
            instant.saturating_duration_since(pending.begun) <= CHALLENGE_LIFETIME
        });
        while self.open.len() >= CHALLENGES_MAX {
            let oldest = self.open.iter().min_by_key(|(_, pending)| pending.begun);
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.open.remove(&oldest);
        }
    }
}

/// What an endorsement key is worth before it has opened anything.
fn level(
    endorsement: &EndorsementKey,
    body: &BeginBody,
    makers: &Makers,
    now: OffsetDateTime,
) -> Result<Level, AttestationError> {
    let digest = Thumbprint::of(endorsement.public().key().spki_der()).0;
    if makers.known.contains(&digest) {
        return Ok(Level::TpmKnown);
    }
    let Some(text) = &body.ek_certificate else {
        return Ok(Level::TpmUser);
    };
    if body.ek_chain.len() > CHAIN_MAX {
        return Err(AttestationError::Malformed);
    }
    let own = certificate(text)?;
    let between = body
        .ek_chain
        .iter()
        .map(|text| certificate(text))
        .collect::<Result<Vec<_>, _>>()?;
    endorsement
        .check_certificate(&own)
        .map_err(|_| AttestationError::Keys)?;
    // A maker that nobody added is no fault of the person: the word counts for less.
    Ok(match chain_to_roots(&own, &between, &makers.tpms, now) {
        Ok(()) => Level::TpmCertificate,
        Err(_) => Level::TpmUser,
    })
}

fn bytes(text: &str) -> Result<Vec<u8>, AttestationError> {
    STANDARD
        .decode(text)
        .map_err(|_| AttestationError::Malformed)
}

fn exact<const N: usize>(text: &str) -> Result<[u8; N], AttestationError> {
    let bytes = Zeroizing::new(bytes(text)?);
    bytes
        .as_slice()
        .try_into()
        .map_err(|_| AttestationError::Malformed)
}

fn public(text: &str) -> Result<Public, AttestationError> {
    Public::from_bytes(&bytes(text)?).map_err(|_| AttestationError::Keys)
}

fn certificate(text: &str) -> Result<Certificate, AttestationError> {
    Certificate::from_der(&bytes(text)?).map_err(|_| AttestationError::Malformed)
}
