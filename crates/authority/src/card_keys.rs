// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secrets of cards: each card's own keys, derived from one secret of the authority.
//!
//! Nothing that is derived is stored: management key, desk key and PUK of a card come from the secret, the
//! card's number and its holder's account by HKDF (RFC 5869, SHA-256) whenever they are needed. The account
//! is part of it because a card's number is what a request claims: whoever claims somebody else's gets
//! keys that fit no card.
//!
//! Secrets have versions. A new version serves cards that are enrolled from then on; the registry knows the
//! version of each card, so that older cards are still administered.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use lanyard_x509::Sid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::card::CardGuid;

/// Length of one secret, and of what is derived from it.
pub const CARD_SECRET_BYTES: usize = 32;
/// Digits of a PUK.
pub const PUK_DIGITS: usize = 8;

const SALT: &[u8] = b"lanyard card keys v1";
/// Bytes from which the digits of a PUK are taken: enough that running out is out of the question.
const PUK_SOURCE_BYTES: usize = 64;
/// Bytes at or above this are left out, so that each digit is as likely as the others.
const DIGIT_LIMIT: u8 = 250;
/// What every blank card has.
const TRANSPORT_PUK: &str = "12345678";

/// The number of a secret; the first is 1.
pub type CardSecretVersion = u32;

/// One secret. Zeroed on drop, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct CardSecret([u8; CARD_SECRET_BYTES]);

/// All secrets of a deployment, by version. Zeroed on drop, never printed.
#[derive(Clone)]
pub struct CardSecrets(BTreeMap<CardSecretVersion, CardSecret>);

/// The keys of one card. Zeroed on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CardKeys {
    management: Zeroizing<[u8; CARD_SECRET_BYTES]>,
    desk: Zeroizing<[u8; CARD_SECRET_BYTES]>,
    puk: Zeroizing<String>,
}

/// Why there are no keys.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardSecretError {
    /// No such version.
    #[error("there is no secret of version {0}")]
    UnknownVersion(CardSecretVersion),
    /// The text is not what [`CardSecrets::to_text`] writes.
    #[error("the secrets of cards cannot be read")]
    Text,
    /// No random bytes, or no more versions.
    #[error("no secret can be made")]
    Exhausted,
}

impl CardSecrets {
    /// A first secret.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, CardSecretError> {
        Self(BTreeMap::new()).rotated()
    }

    /// The same with one more secret, which serves from now on.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn rotated(mut self) -> Result<Self, CardSecretError> {
        let version = self
            .0
            .last_key_value()
            .map_or(Some(1), |(last, _)| last.checked_add(1))
            .ok_or(CardSecretError::Exhausted)?;
        let mut secret = CardSecret([0; CARD_SECRET_BYTES]);
        rand::fill(&mut secret.0).map_err(|_| CardSecretError::Exhausted)?;
        self.0.insert(version, secret);
        Ok(self)
    }

    /// Reads what [`CardSecrets::to_text`] wrote.
    ///
    /// # Errors
    /// When a line is something else, a version stands twice, or there is none.
    pub fn from_text(text: &str) -> Result<Self, CardSecretError> {
        let mut all = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (version, digits) = line.split_once(' ').ok_or(CardSecretError::Text)?;
            let version: u32 = version.parse().map_err(|_| CardSecretError::Text)?;
            let secret = CardSecret(from_hex(digits).ok_or(CardSecretError::Text)?);
            if version == 0 || all.insert(version, secret).is_some() {
                return Err(CardSecretError::Text);
            }
        }
        if all.is_empty() {
            return Err(CardSecretError::Text);
        }
        Ok(Self(all))
    }

    /// One line for each version: number, blank, hexadecimal digits.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len().saturating_mul(80)));
        text.push_str("# The secrets from which the keys of cards are derived. Guard them like the keys beside.\n");
        for (version, secret) in &self.0 {
            text.push_str(&format!("{version} "));
            for byte in &secret.0 {
                text.push_str(&format!("{byte:02x}"));
            }
            text.push('\n');
        }
        text
    }

    /// The version that serves new cards.
    #[must_use]
    pub fn current(&self) -> CardSecretVersion {
        self.0.last_key_value().map_or(0, |(version, _)| *version)
    }

    /// The keys of a card. `puk_generation` counts how often its PUK was replaced.
    ///
    /// # Errors
    /// When there is no secret of this version.
    pub fn keys(
        &self,
        version: CardSecretVersion,
        card: &CardGuid,
        holder: &Sid,
        puk_generation: u32,
    ) -> Result<CardKeys, CardSecretError> {
        let secret = self
            .0
            .get(&version)
            .ok_or(CardSecretError::UnknownVersion(version))?;
        let whose = [&card.0, holder.as_str().as_bytes()].concat();
        Ok(CardKeys {
            management: expand(secret, &[b"management", &whose]),
            desk: expand(secret, &[b"desk", &whose]),
            puk: puk(secret, &whose, puk_generation),
        })
    }
}

impl fmt::Debug for CardSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardSecrets({} versions)", self.0.len())
    }
}

impl CardKeys {
    /// The management key (PIV key reference `9B`), AES-256.
    #[must_use]
    pub fn management(&self) -> &[u8; CARD_SECRET_BYTES] {
        &self.management
    }

    /// The key under which the desk answers the card's challenges.
    #[must_use]
    pub fn desk(&self) -> &[u8; CARD_SECRET_BYTES] {
        &self.desk
    }

    /// The PUK: eight digits.
    #[must_use]
    pub fn puk(&self) -> &str {
        &self.puk
    }
}

impl fmt::Debug for CardKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKeys(..)")
    }
}

/// Tells HKDF how many bytes are wanted.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn fill(secret: &CardSecret, info: &[&[u8]], out: &mut [u8]) {
    // It cannot fail: far less is asked for than the 255 blocks of RFC 5869, and the lengths agree.
    let filled = Salt::new(HKDF_SHA256, SALT)
        .extract(&secret.0)
        .expand(info, Bytes(out.len()))
        .and_then(|okm| okm.fill(out));
    debug_assert!(filled.is_ok());
}

fn expand(secret: &CardSecret, info: &[&[u8]]) -> Zeroizing<[u8; CARD_SECRET_BYTES]> {
    let mut out = Zeroizing::new([0; CARD_SECRET_BYTES]);
    fill(secret, info, out.as_mut());
    out
}

fn puk(secret: &CardSecret, whose: &[u8], generation: u32) -> Zeroizing<String> {
    let mut round = 0u32;
    loop {
        let mut source = Zeroizing::new([0u8; PUK_SOURCE_BYTES]);
        let info: &[&[u8]] = &[
            b"puk",
            &generation.to_be_bytes(),
            &round.to_be_bytes(),
            whose,
        ];
        fill(secret, info, source.as_mut());
        let digits = source
            .iter()
            .filter(|byte| **byte < DIGIT_LIMIT)
            .map(|byte| char::from(b'0'.wrapping_add(byte % 10)));
        let puk = Zeroizing::new(digits.take(PUK_DIGITS).collect::<String>());
        if puk.len() == PUK_DIGITS && puk.as_str() != TRANSPORT_PUK {
            return puk;
        }
        round = round.wrapping_add(1);
    }
}

fn from_hex(digits: &str) -> Option<[u8; CARD_SECRET_BYTES]> {
    if digits.len() != CARD_SECRET_BYTES * 2 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; CARD_SECRET_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GUID: CardGuid = CardGuid([0x11; 16]);

    fn sid(last: u32) -> Sid {
        format!("S-1-5-21-1-2-3-{last}").parse().unwrap()
    }

    fn known() -> CardSecrets {
        CardSecrets::from_text(&format!("1 {}\n2 {}\n", "07".repeat(32), "08".repeat(32))).unwrap()
    }

    #[test]
    fn the_keys_are_those_of_the_recipe() {
        // Computed apart, with Python's hmac after RFC 5869.
        let keys = known().keys(1, &GUID, &sid(1001), 1).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(keys.management()),
            "22e60afdeb2888b4bd1efae78f4fc93d5c1b6bfd0c89aa908473ba7a368c31a8"
        );
        assert_eq!(
            hex(keys.desk()),
            "1122f20c5ce5fd06e2a04f5a1951d4c2537cbd4a5230f7ace975f8b9c5302285"
        );
        assert_eq!(keys.puk(), "60452857");
    }

    #[test]
    fn version_card_holder_and_generation_all_matter() {
        let secrets = known();
        let mut seen = HashSet::new();
        let mut puks = HashSet::new();
        for version in [1, 2] {
            for guid in [GUID, CardGuid([0x12; 16])] {
                for last in [1001, 1002] {
                    for generation in [1, 2] {
                        let keys = secrets
                            .keys(version, &guid, &sid(last), generation)
                            .unwrap();
                        seen.insert(*keys.management());
                        seen.insert(*keys.desk());
                        puks.insert(keys.puk().to_owned());
                    }
                }
            }
        }
        // Only the PUK has generations.
        assert_eq!((seen.len(), puks.len()), (16, 16));
        let unknown = secrets.keys(3, &GUID, &sid(1001), 1).unwrap_err();
        assert_eq!(unknown, CardSecretError::UnknownVersion(3));
    }

    #[test]
    fn a_rotation_keeps_the_older_secrets() {
        let first = CardSecrets::generate().unwrap();
        let before = first.keys(1, &GUID, &sid(1), 1).unwrap();
        let second = first.rotated().unwrap();
        assert_eq!(second.current(), 2);
        assert_eq!(second.keys(1, &GUID, &sid(1), 1).unwrap(), before);
        assert!(second.keys(2, &GUID, &sid(1), 1).unwrap() != before);
        let again = CardSecrets::from_text(&second.to_text()).unwrap();
        assert_eq!(again.to_text(), second.to_text());
    }

    #[test]
    fn what_is_no_list_of_secrets_is_refused_and_none_is_shown() {
        let line = format!("1 {}", "ab".repeat(32));
        for text in [
            String::new(),
            "1".into(),
            format!("0 {}", "ab".repeat(32)),
            format!("{line}\n{line}"),
            format!("{line}a"),
            format!("1 {}", "zz".repeat(32)),
        ] {
            assert_eq!(
                CardSecrets::from_text(&text).unwrap_err(),
                CardSecretError::Text,
                "{text}"
            );
        }
        let keys = known().keys(1, &GUID, &sid(1), 1).unwrap();
        let shown = format!("{:?} {keys:?}", known());
        assert_eq!(shown, "CardSecrets(2 versions) CardKeys(..)");
    }
}
