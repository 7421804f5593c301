// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an attestation key says about a card's key.

use aws_lc_rs::digest;
use lanyard_x509::{KeyAlgorithm, SignatureAlgorithm};
use subtle::ConstantTimeEq;
use tpm2_protocol::TpmUnmarshal;
use tpm2_protocol::data::{TpmAlgId, TpmsAttest, TpmtSignature, TpmuAttest, TpmuSignature};

use super::credential::AttestationKey;
use super::public::{Public, padded};

/// Bytes of the largest statement that is looked at.
pub const STATEMENT_BYTES_MAX: usize = 1024;

/// A statement and its signature, as `TPM2_Certify` gave them.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// `TPMS_ATTEST` (without the size in front).
    pub attest: &'a [u8],
    /// `TPMT_SIGNATURE`.
    pub signature: &'a [u8],
}

/// Why a statement does not count.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertifyError {
    /// It is no statement of a TPM about a key.
    #[error("this is no statement of a TPM about a key")]
    Malformed,
    /// It is not signed by this attestation key.
    #[error("the attestation key did not sign this statement")]
    Signature,
    /// It was made for another request, or earlier.
    #[error("the statement was made for something else")]
    Qualifying,
    /// It is about another key.
    #[error("the statement is about another key")]
    AnotherKey,
    /// The key could be outside the chip, or was once.
    #[error("the key is not bound to the chip")]
    NotBound,
    /// The key serves the TPM, not the person.
    #[error("the key is not one for use")]
    NotForUse,
}

/// What a statement has to carry: our nonce and the request that it is made for.
#[must_use]
pub fn qualifying_data(nonce: &[u8], request_der: &[u8]) -> [u8; 32] {
    let request = digest::digest(&digest::SHA256, request_der);
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(nonce);
    context.update(request.as_ref());
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// Checks a statement about a key: signed by this attestation key, for this purpose, about this key, and the key never
/// was and never will be outside its chip.
///
/// # Errors
/// One of these is not so.
pub fn certified_key(
    statement: Statement<'_>,
    attestation: &AttestationKey,
    qualifying: &[u8],
    key: &Public,
) -> Result<(), CertifyError> {
    if statement.attest.len() > STATEMENT_BYTES_MAX {
        return Err(CertifyError::Malformed);
    }
    check_signature(statement, attestation)?;
    // The magic number at the front, which `unmarshal` asks for, is what a restricted key refuses to sign for others.
    let (attest, rest) =
        TpmsAttest::unmarshal(statement.attest).map_err(|_| CertifyError::Malformed)?;
    let TpmuAttest::Certify(about) = &attest.attested else {
        return Err(CertifyError::Malformed);
    };
    if !rest.is_empty() {
        return Err(CertifyError::Malformed);
    }
    if !bool::from(attest.extra_data.as_ref().ct_eq(qualifying)) {
        return Err(CertifyError::Qualifying);
    }
    if about.name.as_ref() != key.name() {
        return Err(CertifyError::AnotherKey);
    }
    if !key.never_leaves() {
        return Err(CertifyError::NotBound);
    }
    if !key.is_for_use() {
        return Err(CertifyError::NotForUse);
    }
    Ok(())
}

fn check_signature(
    statement: Statement<'_>,
    attestation: &AttestationKey,
) -> Result<(), CertifyError> {
    let (signature, rest) =
        TpmtSignature::unmarshal(statement.signature).map_err(|_| CertifyError::Malformed)?;
    if !rest.is_empty() {
        return Err(CertifyError::Malformed);
    }
    let key = attestation.public().key();
    let (algorithm, bytes) = match (&signature.signature, key.algorithm()) {
        (TpmuSignature::Ecdsa(ecdsa), KeyAlgorithm::P256 | KeyAlgorithm::P384) => {
            let algorithm = match ecdsa.hash {
                TpmAlgId::Sha256 => SignatureAlgorithm::EcdsaSha256,
                TpmAlgId::Sha384 => SignatureAlgorithm::EcdsaSha384,
                _ => return Err(CertifyError::Signature),
            };
            let der = ecdsa_der(ecdsa.signature_r.as_ref(), ecdsa.signature_s.as_ref());
            (algorithm, der.ok_or(CertifyError::Malformed)?)
        }
        (TpmuSignature::Rsassa(rsa), KeyAlgorithm::Rsa { bits }) => {
            let algorithm = match rsa.hash {
                TpmAlgId::Sha256 => SignatureAlgorithm::RsaSha256,
                TpmAlgId::Sha384 => SignatureAlgorithm::RsaSha384,
                _ => return Err(CertifyError::Signature),
            };
            let bytes = usize::try_from(bits.div_ceil(8)).unwrap_or(0);
            let padded = padded(rsa.sig.as_ref(), bytes).ok_or(CertifyError::Malformed)?;
            (algorithm, padded)
        }
        _ => return Err(CertifyError::Signature),
    };
    key.verify(algorithm, statement.attest, &bytes)
        .map_err(|_| CertifyError::Signature)
}

/// An ECDSA signature as DER (RFC 3279, 2.2.3). `None` when a number is too long for one.
fn ecdsa_der(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let mut body = integer(r)?;
    body.extend(integer(s)?);
    let length = u8::try_from(body.len())
        .ok()
        .filter(|length| *length < 0x80)?;
    let mut out = vec![0x30, length];
    out.extend(body);
    Some(out)
}

fn integer(number: &[u8]) -> Option<Vec<u8>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..)?;
    let mut digits = Vec::new();
    if number.first().is_none_or(|first| first & 0x80 != 0) {
        digits.push(0);
    }
    digits.extend_from_slice(number);
    let length = u8::try_from(digits.len())
        .ok()
        .filter(|length| *length < 0x80)?;
    let mut out = vec![0x02, length];
    out.extend(digits);
    Some(out)
}
