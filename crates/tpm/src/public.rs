// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public areas: what an object is, and templates of those that are made.

use tpm2_protocol::TpmUnmarshal;
use tpm2_protocol::data::{
    TpmAlgId, TpmEccCurve, TpmaObject, TpmtPublic, TpmuPublicId, TpmuPublicParms,
};

use crate::error::TpmError;
use crate::name::{Name, SHA256};
use crate::wire::Writer;

const RSA: u16 = TpmAlgId::Rsa as u16;
const ECC: u16 = TpmAlgId::Ecc as u16;
const KEYED_HASH: u16 = TpmAlgId::KeyedHash as u16;
const NULL: u16 = TpmAlgId::Null as u16;
const AES: u16 = TpmAlgId::Aes as u16;
const CFB: u16 = TpmAlgId::Cfb as u16;
const ECDSA: u16 = TpmAlgId::Ecdsa as u16;
const RSASSA: u16 = TpmAlgId::Rsassa as u16;
const AES_KEY_BITS: u16 = 128;
const RSA_KEY_BITS: u16 = 2048;
const RSA_KEY_BYTES: usize = 256;
const P256_BYTES: usize = 32;
/// Zero in a public area means 2^16 + 1.
const EXPONENT_DEFAULT: u32 = 0;

/// `PolicyA_SHA256` of the EK Credential Profile (2.1.5.2): the endorsement hierarchy's secret.
const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24,
    0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
];

/// What a key of a template is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Signing alone.
    Sign,
    /// Signing and agreeing, or signing and decrypting.
    SignAndDecrypt,
}

impl KeyUse {
    fn attributes(self) -> TpmaObject {
        match self {
            Self::Sign => TpmaObject::SIGN_ENCRYPT,
            Self::SignAndDecrypt => TpmaObject::SIGN_ENCRYPT | TpmaObject::DECRYPT,
        }
    }
}

/// Made in this chip, never to leave it.
fn fixed() -> TpmaObject {
    TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT
}

/// The public area of an object that shall be made (`TPMT_PUBLIC`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<u8>);

impl Template {
    /// The bytes of the public area.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn begin(kind: u16, attributes: TpmaObject, policy: &[u8]) -> Writer {
        Writer::new()
            .u16(kind)
            .u16(SHA256)
            .u32(attributes.bits())
            .sized(policy)
    }

    fn of(writer: Writer) -> Self {
        Self(writer.as_bytes().to_vec())
    }

    /// The storage key that everything of ours lies under: P-256, the same on each call.
    #[must_use]
    pub fn storage() -> Self {
        let attributes = fixed()
            | TpmaObject::SENSITIVE_DATA_ORIGIN
            | TpmaObject::USER_WITH_AUTH
            | TpmaObject::NO_DA
            | TpmaObject::RESTRICTED
            | TpmaObject::DECRYPT;
        Self::of(
            Self::begin(ECC, attributes, &[])
                .u16(AES)
                .u16(AES_KEY_BITS)
                .u16(CFB)
                .u16(NULL)
                .u16(TpmEccCurve::NistP256 as u16)
                .u16(NULL)
                .sized(&[])
                .sized(&[]),
        )
    }

    /// A key on a curve. With `policy`, only the policy authorises its use; without, its secret does.
    #[must_use]
    pub fn ecc(curve: TpmEccCurve, wanted: KeyUse, policy: Option<&[u8]>) -> Self {
        Self::of(
            Self::begin(ECC, key_attributes(wanted, policy), policy.unwrap_or(&[]))
                .u16(NULL)
                .u16(NULL)
                .u16(curve as u16)
                .u16(NULL)
                .sized(&[])
                .sized(&[]),
        )
    }

    /// An RSA key of 2048 bits whose bare operation is used.
    #[must_use]
    pub fn rsa_2048(policy: Option<&[u8]>) -> Self {
        let attributes = key_attributes(KeyUse::SignAndDecrypt, policy);
        Self::of(
            Self::begin(RSA, attributes, policy.unwrap_or(&[]))
                .u16(NULL)
                .u16(NULL)
                .u16(RSA_KEY_BITS)
                .u32(EXPONENT_DEFAULT)
                .sized(&[]),
        )
    }

    /// Data that the chip keeps. With `policy`, only the policy gives it out; without, its secret
    /// does. `counts` puts wrong secrets under the chip's common lockout.
    #[must_use]
    pub fn sealed(policy: Option<&[u8]>, counts: bool) -> Self {
        let mut attributes = fixed();
        if policy.is_none() {
            attributes |= TpmaObject::USER_WITH_AUTH;
        }
        if !counts {
            attributes |= TpmaObject::NO_DA;
        }
        Self::of(
            Self::begin(KEYED_HASH, attributes, policy.unwrap_or(&[]))
                .u16(NULL)
                .sized(&[]),
        )
    }

    /// An attestation key: P-256, signs only what the chip itself says.
    #[must_use]
    pub fn attestation() -> Self {
        let attributes = fixed()
            | TpmaObject::SENSITIVE_DATA_ORIGIN
            | TpmaObject::USER_WITH_AUTH
            | TpmaObject::NO_DA
            | TpmaObject::RESTRICTED
            | TpmaObject::SIGN_ENCRYPT;
        Self::of(
            Self::begin(ECC, attributes, &[])
                .u16(NULL)
                .u16(ECDSA)
                .u16(SHA256)
                .u16(TpmEccCurve::NistP256 as u16)
                .u16(NULL)
                .sized(&[])
                .sized(&[]),
        )
    }

    fn endorsement_attributes() -> TpmaObject {
        fixed()
            | TpmaObject::SENSITIVE_DATA_ORIGIN
            | TpmaObject::ADMIN_WITH_POLICY
            | TpmaObject::RESTRICTED
            | TpmaObject::DECRYPT
    }

    /// The endorsement key on P-256: template L-2 of the EK Credential Profile.
    #[must_use]
    pub fn endorsement_ecc() -> Self {
        Self::of(
            Self::begin(ECC, Self::endorsement_attributes(), &EK_POLICY)
                .u16(AES)
                .u16(AES_KEY_BITS)
                .u16(CFB)
                .u16(NULL)
                .u16(TpmEccCurve::NistP256 as u16)
                .u16(NULL)
                .sized(&[0; P256_BYTES])
                .sized(&[0; P256_BYTES]),
        )
    }

    /// The endorsement key for RSA: template L-1 of the EK Credential Profile.
    #[must_use]
    pub fn endorsement_rsa() -> Self {
        Self::of(
            Self::begin(RSA, Self::endorsement_attributes(), &EK_POLICY)
                .u16(AES)
                .u16(AES_KEY_BITS)
                .u16(CFB)
                .u16(NULL)
                .u16(RSA_KEY_BITS)
                .u32(EXPONENT_DEFAULT)
                .sized(&[0; RSA_KEY_BYTES]),
        )
    }

    /// The public half of a key from elsewhere, to check signatures with in the chip: RSASSA with
    /// SHA-256.
    #[must_use]
    pub fn external_rsa(modulus: &[u8]) -> Self {
        let attributes = TpmaObject::USER_WITH_AUTH | TpmaObject::SIGN_ENCRYPT;
        Self::of(
            Self::begin(RSA, attributes, &[])
                .u16(NULL)
                .u16(RSASSA)
                .u16(SHA256)
                .u16(RSA_KEY_BITS)
                .u32(EXPONENT_DEFAULT)
                .sized(modulus),
        )
    }
}

/// A key's attributes. Under a policy its own secret is empty and opens nothing but what the
/// administrator's role may do: saying that the key is in this chip.
fn key_attributes(wanted: KeyUse, policy: Option<&[u8]>) -> TpmaObject {
    let attributes =
        fixed() | TpmaObject::SENSITIVE_DATA_ORIGIN | TpmaObject::NO_DA | wanted.attributes();
    match policy {
        Some(_) => attributes,
        None => attributes | TpmaObject::USER_WITH_AUTH,
    }
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// A point.
    Ecc {
        /// The curve.
        curve: TpmEccCurve,
        /// Its coordinates; a chip may leave zeros at the front out.
        x: Vec<u8>,
        /// See `x`.
        y: Vec<u8>,
    },
    /// A modulus; the exponent is 2^16 + 1 unless said otherwise.
    Rsa {
        /// The modulus, big-endian.
        modulus: Vec<u8>,
        /// The exponent.
        exponent: u32,
    },
}

/// A public area that a chip told or that was stored (`TPMT_PUBLIC`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public(Vec<u8>);

impl Public {
    /// Takes the bytes of a public area.
    ///
    /// # Errors
    /// When they are none.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        read(bytes)?;
        Ok(Self(bytes.to_vec()))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::of_public(&self.0)
    }

    /// The key, when it is one.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        let area = read(&self.0).ok()?;
        match (area.parameters, area.unique) {
            (TpmuPublicParms::Ecc(parameters), TpmuPublicId::Ecc(point)) => Some(PublicKey::Ecc {
                curve: parameters.curve_id,
                x: point.x.to_vec(),
                y: point.y.to_vec(),
            }),
            (TpmuPublicParms::Rsa(parameters), TpmuPublicId::Rsa(modulus)) => {
                Some(PublicKey::Rsa {
                    modulus: modulus.to_vec(),
                    exponent: match parameters.exponent.value() {
                        0 => 65_537,
                        other => other,
                    },
                })
            }
            _ => None,
        }
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> TpmaObject {
        read(&self.0)
            .map(|area| area.object_attributes)
            .unwrap_or_default()
    }

    /// The policy that authorises its use; empty when there is none.
    #[must_use]
    pub fn policy(&self) -> Vec<u8> {
        read(&self.0)
            .map(|area| area.auth_policy.to_vec())
            .unwrap_or_default()
    }
}

fn read(bytes: &[u8]) -> Result<TpmtPublic, TpmError> {
    match TpmtPublic::unmarshal(bytes) {
        Ok((area, [])) => Ok(area),
        _ => Err(TpmError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn templates_are_public_areas_of_the_types_crate() {
        let policy = [7; 32];
        for template in [
            Template::storage(),
            Template::ecc(TpmEccCurve::NistP384, KeyUse::Sign, Some(&policy)),
            Template::rsa_2048(None),
            Template::sealed(Some(&policy), false),
            Template::attestation(),
            Template::endorsement_ecc(),
            Template::endorsement_rsa(),
            Template::external_rsa(&[1; 256]),
        ] {
            assert!(Public::parse(template.as_bytes()).is_ok(), "{template:?}");
        }
    }

    #[test]
    fn a_key_under_a_policy_is_not_opened_by_its_secret() {
        let policy = [7; 32];
        let template = Template::ecc(TpmEccCurve::NistP256, KeyUse::Sign, Some(&policy));
        let public = Public::parse(template.as_bytes()).unwrap();
        assert!(!public.attributes().contains(TpmaObject::USER_WITH_AUTH));
        assert!(public.attributes().contains(TpmaObject::FIXED_TPM));
        assert_eq!(public.policy(), policy);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_public_area_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(public) = Public::parse(&bytes) {
                let _ = (public.key(), public.attributes(), public.policy());
            }
        }

        #[test]
        fn a_public_area_with_any_change_never_panics(at in 0_usize..90, to in any::<u8>()) {
            let mut bytes = Template::endorsement_ecc().as_bytes().to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            if let Ok(public) = Public::parse(&bytes) {
                let _ = public.key();
            }
        }
    }
}
