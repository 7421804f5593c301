// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one form of XML signature that is used here: HMAC-SHA1 over one timestamp.
//!
//! Everything that XML signature leaves open is closed: one reference, to the timestamp beside
//! the signature; one transform, exclusive canonicalisation without prefix lists; no truncated
//! HMAC; no other algorithm.

use aws_lc_rs::{digest, hmac};
use subtle::ConstantTimeEq as _;

use super::security::ProofError;
use crate::trust::ProofKey;
use crate::xml::{Element, XmlWriter, canonical};
use crate::{encoding, names};

/// `wsu:Id` of the timestamp in what we write.
pub(super) const TIMESTAMP_ID: &str = "timestamp";

/// Signs a timestamp that is in exclusive canonical form; gives the element `Signature`.
pub(super) fn sign(timestamp: &str, assertion_id: &str, key: &ProofKey) -> String {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, timestamp.as_bytes());
    let signed_info = signed_info(&encoding::base64(digest.as_ref()));
    let mac = hmac::sign(&hmac_key(key), signed_info.as_bytes());
    let mut xml = XmlWriter::new();
    xml.open("Signature", &[("xmlns", names::DSIG)])
        .raw(&signed_info)
        .leaf("SignatureValue", &[], &encoding::base64(mac.as_ref()))
        .open("KeyInfo", &[])
        .open(
            "wsse:SecurityTokenReference",
            &[("xmlns:wsse", names::WSSE)],
        )
        .leaf(
            "wsse:KeyIdentifier",
            &[("ValueType", names::KEY_ID_ASSERTION)],
            assertion_id,
        );
    xml.finish()
}

/// `SignedInfo` in exclusive canonical form: start and end tags everywhere.
fn signed_info(digest: &str) -> String {
    let mut xml = XmlWriter::new();
    xml.open("SignedInfo", &[("xmlns", names::DSIG)])
        .leaf(
            "CanonicalizationMethod",
            &[("Algorithm", names::ALG_EXC_C14N)],
            "",
        )
        .leaf(
            "SignatureMethod",
            &[("Algorithm", names::ALG_HMAC_SHA1)],
            "",
        )
        .open("Reference", &[("URI", "#timestamp")])
        .open("Transforms", &[])
        .leaf("Transform", &[("Algorithm", names::ALG_EXC_C14N)], "")
        .close()
        .leaf("DigestMethod", &[("Algorithm", names::ALG_SHA1)], "")
        .leaf("DigestValue", &[], digest);
    xml.finish()
}

/// A signature whose form has been checked.
#[derive(Debug)]
pub(super) struct Signature<'d> {
    signed_info: Element<'d>,
    digest: Vec<u8>,
    value: Vec<u8>,
    /// The `wsu:Id` that the reference names.
    pub(super) reference: &'d str,
    /// The assertion that the key is taken from.
    pub(super) key_identifier: String,
}

impl<'d> Signature<'d> {
    /// Reads the element `Signature` and refuses every form but ours.
    pub(super) fn read(signature: Element<'d>) -> Result<Self, ProofError> {
        let signed_info = dsig(signature, "SignedInfo")?;
        algorithm(
            dsig(signed_info, "CanonicalizationMethod")?,
            names::ALG_EXC_C14N,
        )?;
        algorithm(dsig(signed_info, "SignatureMethod")?, names::ALG_HMAC_SHA1)?;
        let reference = dsig(signed_info, "Reference")?;
        let transforms = dsig(reference, "Transforms")?;
        algorithm(dsig(transforms, "Transform")?, names::ALG_EXC_C14N)?;
        algorithm(dsig(reference, "DigestMethod")?, names::ALG_SHA1)?;
        let known = signed_info.children().count() == 3
            && transforms.children().count() == 1
            && reference.children().count() == 3;
        let uri = reference
            .attribute("URI")
            .and_then(|uri| uri.strip_prefix('#'));
        let key_identifier = dsig(signature, "KeyInfo")?
            .path(&["SecurityTokenReference", "KeyIdentifier"])
            .filter(|id| id.is(names::WSSE, "KeyIdentifier"));
        let (true, Some(uri), Some(key_identifier)) = (known, uri, key_identifier) else {
            return Err(ProofError::Form);
        };
        Ok(Self {
            signed_info,
            digest: bytes(dsig(reference, "DigestValue")?)?,
            value: bytes(dsig(signature, "SignatureValue")?)?,
            reference: uri,
            key_identifier: key_identifier.trimmed_text(),
        })
    }

    /// Checks digest and signature. `timestamp` is the element that [`Self::reference`] names.
    pub(super) fn verify(&self, timestamp: Element<'_>, key: &ProofKey) -> Result<(), ProofError> {
        let digest = digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            canonical(timestamp).as_bytes(),
        );
        let digest_fits = digest.as_ref().ct_eq(&self.digest);
        let signed = canonical(self.signed_info);
        // `hmac::verify` compares in constant time, and the whole length: a cut value fails.
        let signature_fits = hmac::verify(&hmac_key(key), signed.as_bytes(), &self.value).is_ok();
        if bool::from(digest_fits) && signature_fits {
            Ok(())
        } else {
            Err(ProofError::Signature)
        }
    }

    /// The bytes of the signature value.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }
}

fn hmac_key(key: &ProofKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes())
}

fn dsig<'d>(parent: Element<'d>, local: &'static str) -> Result<Element<'d>, ProofError> {
    super::request::only(parent, names::DSIG, local).map_err(|_| ProofError::Form)
}

/// The element names exactly this algorithm, without parameters.
fn algorithm(element: Element<'_>, algorithm: &str) -> Result<(), ProofError> {
    let plain = element.children().next().is_none();
    if plain && element.attribute("Algorithm") == Some(algorithm) {
        Ok(())
    } else {
        Err(ProofError::Form)
    }
}

fn bytes(element: Element<'_>) -> Result<Vec<u8>, ProofError> {
    encoding::from_base64(&element.text())
        .filter(|b| !b.is_empty())
        .ok_or(ProofError::Form)
}
