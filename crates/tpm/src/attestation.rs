// SPDX-License-Identifier: MIT OR Apache-2.0
//! A chip's own words about itself and its keys (cards.md's attestation; part 1, 9.5 and 24).
//!
//! # The shape of the evidence
//!
//! Four things together say "this key lives in that chip and can never leave it":
//!
//! 1. The **endorsement key** (EK): [`EndorsementKey::public`], a `TPMT_PUBLIC` after the TCG's
//!    template, and the maker's certificate for it, DER, from index `0x01C0000A` (P-256) or
//!    `0x01C00002` (RSA-2048), where there is one.
//! 2. The **attestation key** (AK): [`Blob::public`], restricted to signing what the chip says. It is
//!    tied to the EK by credential activation: the verifier encrypts a secret to the EK together with
//!    the AK's *name* (`TPM2_MakeCredential` in software); only the chip that holds both gives the
//!    secret back ([`activate_credential`]).
//! 3. The **key's public area**, `TPMT_PUBLIC`: a verifier asks for `fixedTPM`, `fixedParent` and
//!    `sensitiveDataOrigin` in its attributes and, for a key that wants the PIN, for the policy
//!    digest `PolicySecret(name of the PIN index)` with `userWithAuth` clear.
//! 4. [`Certified`]: `TPMS_ATTEST` of type certify, which holds the key's name and the verifier's
//!    qualifying data (a nonce and the hash of the request), and the AK's signature over it.
//!
//! What is checked and how is the verifier's business; nothing here is a judgement.

use tpm2_protocol::data::{TpmAlgId, TpmCc, TpmRcBase};
use zeroize::Zeroizing;

use crate::auth::Auth;
use crate::commands::{Blob, Hierarchy, Object};
use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::name::{Name, SHA256};
use crate::public::{Public, Template};
use crate::session::{Session, SessionKind};
use crate::wire::Writer;

/// EK certificate for template L-2 (P-256).
const CERTIFICATE_ECC: u32 = 0x01C0_000A;
/// EK certificate for template L-1 (RSA-2048).
const CERTIFICATE_RSA: u32 = 0x01C0_0002;

/// Which endorsement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndorsementKind {
    /// P-256.
    Ecc,
    /// RSA-2048.
    Rsa,
}

/// An endorsement key and what its maker says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndorsementKey {
    /// Its public area.
    pub public: Public,
    /// Its certificate in DER, where the chip holds one.
    pub certificate: Option<Vec<u8>>,
}

/// A statement of the chip about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// `TPMS_ATTEST`.
    pub attest: Vec<u8>,
    /// `TPMT_SIGNATURE` of the attestation key over it.
    pub signature: Vec<u8>,
}

/// What a credential consists of on its way to the chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT` without its length.
    pub id_object: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET` without its length.
    pub encrypted_secret: Vec<u8>,
}

impl EndorsementKind {
    fn template(self) -> Template {
        match self {
            Self::Ecc => Template::endorsement_ecc(),
            Self::Rsa => Template::endorsement_rsa(),
        }
    }

    fn certificate(self) -> u32 {
        match self {
            Self::Ecc => CERTIFICATE_ECC,
            Self::Rsa => CERTIFICATE_RSA,
        }
    }
}

/// Derives the endorsement key of a kind; it stays loaded in this conversation.
pub fn load_endorsement_key(tpm: &mut Tpm, kind: EndorsementKind) -> Result<Object, TpmError> {
    tpm.create_primary(Hierarchy::Endorsement, &kind.template())
}

/// Reads the endorsement key of a kind and its certificate.
pub fn endorsement_key(tpm: &mut Tpm, kind: EndorsementKind) -> Result<EndorsementKey, TpmError> {
    let key = load_endorsement_key(tpm, kind)?;
    tpm.flush(key.handle().value())?;
    Ok(EndorsementKey {
        public: key.public().clone(),
        certificate: certificate(tpm, kind)?,
    })
}

/// The endorsement key that the maker certified: P-256 before RSA; without any certificate, the
/// P-256 one.
pub fn certified_endorsement_key(
    tpm: &mut Tpm,
) -> Result<(EndorsementKind, EndorsementKey), TpmError> {
    for kind in [EndorsementKind::Ecc, EndorsementKind::Rsa] {
        if certificate(tpm, kind)?.is_some() {
            return Ok((kind, endorsement_key(tpm, kind)?));
        }
    }
    let kind = EndorsementKind::Ecc;
    Ok((kind, endorsement_key(tpm, kind)?))
}

fn certificate(tpm: &mut Tpm, kind: EndorsementKind) -> Result<Option<Vec<u8>>, TpmError> {
    let index = match tpm.read_index(kind.certificate()) {
        Ok(index) => index,
        Err(error) if error.is(TpmRcBase::Handle) => return Ok(None),
        Err(error) => return Err(error),
    };
    let at_once = tpm.capabilities()?.nv_buffer_bytes;
    let mut contents = tpm.read_contents(&index, at_once)?;
    // Some makers fill the index up; the certificate says where it ends.
    if let Some(length) = der_length(&contents) {
        contents.truncate(length);
    }
    Ok(Some(contents))
}

/// The whole length of a DER sequence of 256 bytes or more, which certificates are.
fn der_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x30, 0x82, high, low, ..] => {
            Some(usize::from(u16::from_be_bytes([*high, *low])).saturating_add(4))
        }
        _ => None,
    }
}

/// Makes an attestation key under a storage key.
pub fn create_attestation_key(
    tpm: &mut Tpm,
    parent: &Object,
    session: &mut Session,
) -> Result<Blob, TpmError> {
    let nothing = crate::AuthValue::empty();
    tpm.create(parent, &nothing, &[], &Template::attestation(), session)
}

/// `TPM2_Certify`: has a loaded attestation key say that `key` is in this chip. Neither needs a PIN;
/// the statement gives nothing away but the key's name.
pub fn certify(
    tpm: &mut Tpm,
    key: &Object,
    attestation_key: &Object,
    qualifying: &[u8],
) -> Result<Certified, TpmError> {
    let parameters = Writer::new()
        .sized(qualifying)
        .u16(TpmAlgId::Ecdsa as u16)
        .u16(SHA256);
    let handles = [key.handle(), attestation_key.handle()];
    let call = Call::new(TpmCc::Certify, &handles, parameters)
        .by(Auth::Nothing)
        .by(Auth::Nothing);
    let given = tpm.run(call)?;
    let mut reader = given.reader();
    let attest = reader.sized()?.to_vec();
    Ok(Certified {
        attest,
        signature: reader.rest().to_vec(),
    })
}

/// `TPM2_ActivateCredential`: opens what a verifier encrypted to this chip's endorsement key for
/// this attestation key.
pub fn activate_credential(
    tpm: &mut Tpm,
    kind: EndorsementKind,
    attestation_key: &Object,
    credential: &Credential,
    session: &mut Session,
) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let endorsement = load_endorsement_key(tpm, kind)?;
    let mut policy = tpm.start_session(SessionKind::Policy, None)?;
    tpm.policy_secret(&Hierarchy::Endorsement.handle(), Auth::Nothing, &policy)?;
    let parameters = Writer::new()
        .sized(&credential.id_object)
        .sized(&credential.encrypted_secret);
    let handles = [attestation_key.handle(), endorsement.handle()];
    let call = Call::new(TpmCc::ActivateCredential, &handles, parameters)
        .by(Auth::Nothing)
        .by(Auth::Policy(&mut policy, None))
        .by(Auth::Encrypting(session))
        .hiding(false, true);
    let given = tpm.run(call)?;
    let mut reader = given.reader();
    let secret = Zeroizing::new(reader.sized()?.to_vec());
    reader.end()?;
    tpm.flush(policy.handle())?;
    tpm.flush(endorsement.handle().value())?;
    Ok(secret)
}

/// `TPM2_MakeCredential`: what a verifier does with a chip of its own, or in software; here for tests
/// of the other half.
pub fn make_credential(
    tpm: &mut Tpm,
    endorsement_key: &Public,
    attestation_key: &Name,
    secret: &[u8],
) -> Result<Credential, TpmError> {
    let key = tpm.load_external(endorsement_key)?;
    let parameters = Writer::new()
        .sized(secret)
        .sized(attestation_key.as_bytes());
    let handles = [key.handle()];
    let given = tpm.run(Call::new(TpmCc::MakeCredential, &handles, parameters))?;
    let mut reader = given.reader();
    let credential = Credential {
        id_object: reader.sized()?.to_vec(),
        encrypted_secret: reader.sized()?.to_vec(),
    };
    reader.end()?;
    tpm.flush(key.handle().value())?;
    Ok(credential)
}
