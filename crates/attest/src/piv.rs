// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys in a PIV card that attests them.
//!
//! The form is Yubico's ("PIV attestation"), which other makers took over: the card signs a certificate for the key in a
//! slot with the key in slot F9, whose certificate the maker signed. Only keys that were made on the card are attested.

use lanyard_x509::{Certificate, Oid, PublicKey};
use time::OffsetDateTime;

use crate::roots::{EkRootError, chain_to_roots};

/// The branch of Yubico's attestation extensions.
const YUBICO: [u32; 8] = [1, 3, 6, 1, 4, 1, 41482, 3];
/// Firmware version: three bytes.
const FIRMWARE: u32 = 3;
/// Serial number of the device: a DER INTEGER.
const SERIAL: u32 = 7;
/// PIN policy and touch policy: two bytes.
const POLICIES: u32 = 8;

/// When the card wants the PIN for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinPolicy {
    /// Never: whoever holds the card uses the key.
    Never,
    /// Once after each insertion or reset.
    Once,
    /// Before each use.
    Always,
}

/// What a card says about a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attested {
    /// When the PIN is wanted, where the card says so.
    pub pin_policy: Option<PinPolicy>,
    /// Major, minor and patch number of the firmware, where the card says so.
    pub firmware: Option<[u8; 3]>,
    /// The device's number, where the card says so.
    pub serial: Option<u64>,
}

/// Why a card's word does not count.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestedError {
    /// The card speaks of another key.
    #[error("the card's attestation is for another key")]
    AnotherKey,
    /// The attestation certificate is not signed by the card's attestation key.
    #[error("the card's attestation key did not sign this certificate")]
    Signature,
    /// The maker's chain does not hold.
    #[error(transparent)]
    Chain(#[from] EkRootError),
    /// The key works without a PIN.
    #[error("the key works without a PIN")]
    NoPin,
}

/// Checks a card's certificate about one of its keys.
///
/// `statement` is what the card made for the key, `device` the certificate of its attestation key (slot F9),
/// `roots` the makers' roots that an administrator added. With `pin_wanted` a key that works without a PIN is refused.
///
/// # Errors
/// The key is another one, a signature is wrong, or no root leads there.
pub fn attested_key(
    statement: &Certificate,
    device: &Certificate,
    roots: &[Certificate],
    key: &PublicKey,
    pin_wanted: bool,
    now: OffsetDateTime,
) -> Result<Attested, AttestedError> {
    if statement.spki_der() != key.spki_der() {
        return Err(AttestedError::AnotherKey);
    }
    // The device's certificate may say that it is no authority: the makers' form predates that care. Only its
    // signature and its place under the maker's root count.
    let signer = device.public_key().map_err(|_| AttestedError::Signature)?;
    if statement.issuer() != device.subject() {
        return Err(AttestedError::Signature);
    }
    statement
        .verify_signature(&signer)
        .map_err(|_| AttestedError::Signature)?;
    chain_to_roots(device, &[], roots, now)?;
    let attested = read(statement);
    if pin_wanted && attested.pin_policy == Some(PinPolicy::Never) {
        return Err(AttestedError::NoPin);
    }
    Ok(attested)
}

fn read(statement: &Certificate) -> Attested {
    let value = |last: u32| -> Option<Vec<u8>> {
        let oid = Oid::from_arcs(YUBICO.into_iter().chain([last])).ok()?;
        statement.extension_value(&oid)
    };
    Attested {
        pin_policy: value(POLICIES).and_then(|value| match value.as_slice() {
            [1, _] => Some(PinPolicy::Never),
            [2, _] => Some(PinPolicy::Once),
            [3, _] => Some(PinPolicy::Always),
            _ => None,
        }),
        firmware: value(FIRMWARE).and_then(|value| value.try_into().ok()),
        serial: value(SERIAL).and_then(|value| match value.as_slice() {
            [0x02, length, digits @ ..]
                if usize::from(*length) == digits.len() && digits.len() <= 8 =>
            {
                Some(
                    digits
                        .iter()
                        .fold(0, |number, byte| (number << 8) | u64::from(*byte)),
                )
            }
            _ => None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    };

    struct Maker {
        root: Certificate,
        device: Certificate,
        statement: Certificate,
        key: PublicKey,
    }

    fn named(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters
    }

    fn maker(pin_policy: u8) -> Maker {
        let root_key = KeyPair::generate().unwrap();
        let mut root = named("Maker of cards");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root, root_key);
        let device_key = KeyPair::generate().unwrap();
        let device = named("Card 42 attestation");
        let device_certificate = device.signed_by(&device_key, &root_issuer).unwrap();
        let device_issuer = Issuer::new(device, device_key);
        let key = KeyPair::generate().unwrap();
        let mut statement = named("Card 42, slot 9a");
        let yubico = |last: u64| [1, 3, 6, 1, 4, 1, 41482, 3, last];
        statement.custom_extensions = vec![
            CustomExtension::from_oid_content(&yubico(3), vec![5, 7, 1]),
            CustomExtension::from_oid_content(&yubico(7), vec![2, 2, 0x01, 0x02]),
            CustomExtension::from_oid_content(&yubico(8), vec![pin_policy, 1]),
        ];
        let statement = statement.signed_by(&key, &device_issuer).unwrap();
        let read = |certificate: &rcgen::Certificate| {
            Certificate::from_der(certificate.der().as_ref()).unwrap()
        };
        let statement = read(&statement);
        Maker {
            root: read(&root_certificate),
            device: read(&device_certificate),
            key: statement.public_key().unwrap(),
            statement,
        }
    }

    fn check(
        of: &Maker,
        device: &Maker,
        root: &Maker,
        key: &Maker,
    ) -> Result<Attested, AttestedError> {
        attested_key(
            &of.statement,
            &device.device,
            std::slice::from_ref(&root.root),
            &key.key,
            true,
            OffsetDateTime::now_utc(),
        )
    }

    #[test]
    fn a_card_vouches_for_its_own_key_and_says_what_it_is() {
        let card = maker(2);
        assert_eq!(
            check(&card, &card, &card, &card),
            Ok(Attested {
                pin_policy: Some(PinPolicy::Once),
                firmware: Some([5, 7, 1]),
                serial: Some(0x0102),
            })
        );
    }

    #[test]
    fn another_key_another_card_and_another_maker_are_refused() {
        let (card, other) = (maker(2), maker(2));
        assert_eq!(
            check(&card, &card, &card, &other),
            Err(AttestedError::AnotherKey)
        );
        assert_eq!(
            check(&card, &other, &other, &card),
            Err(AttestedError::Signature)
        );
        assert_eq!(
            check(&card, &card, &other, &card),
            Err(AttestedError::Chain(EkRootError::UnknownMaker))
        );
    }

    #[test]
    fn a_key_that_works_without_a_pin_is_refused_where_the_pin_is_wanted() {
        let card = maker(1);
        assert_eq!(check(&card, &card, &card, &card), Err(AttestedError::NoPin));
    }
}
