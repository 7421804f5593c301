// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entropy of both sides and the proof key that comes of it.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use zeroize::{Zeroize, Zeroizing};

use crate::encoding;

/// Bytes of entropy that we send.
pub const ENTROPY_BYTES: usize = 32;
/// Least entropy that we take from the other side.
pub const ENTROPY_BYTES_MIN: usize = 16;
/// Most entropy that we take from the other side.
pub const ENTROPY_BYTES_MAX: usize = 128;
/// Bytes of a proof key.
pub const PROOF_KEY_BYTES: usize = 32;

/// The generator of random numbers failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers")]
pub struct RandomError;

/// What one side adds to the proof key.
#[derive(Clone)]
pub struct Entropy(Zeroizing<Vec<u8>>);

impl Entropy {
    /// Fresh entropy.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new(vec![0; ENTROPY_BYTES]);
        rand::fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// Entropy from elsewhere; `None` when it is too little or too much.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (ENTROPY_BYTES_MIN..=ENTROPY_BYTES_MAX)
            .contains(&bytes.len())
            .then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        Self::from_bytes(&Zeroizing::new(encoding::from_base64(text)?))
    }

    pub(crate) fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(encoding::base64(&self.0))
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// The symmetric key that proves that a ticket is in the right hands.
#[derive(Clone)]
pub struct ProofKey(Box<[u8; PROOF_KEY_BYTES]>);

impl ProofKey {
    /// WS-Trust 1.3, 4.4.2: `P_SHA1(client entropy, server entropy)`.
    #[must_use]
    pub fn derive(client: &Entropy, server: &Entropy) -> Self {
        let mut key = Self(Box::new([0; PROOF_KEY_BYTES]));
        p_sha1(&client.0, &server.0, key.0.as_mut_slice());
        key
    }

    /// A key from elsewhere.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; PROOF_KEY_BYTES]) -> Self {
        let key = Self(Box::new(bytes));
        bytes.zeroize();
        key
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Drop for ProofKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(..)")
    }
}

/// P_SHA1 of RFC 2246, section 5: fills `out` from a secret and a seed.
pub fn p_sha1(secret: &[u8], seed: &[u8], out: &mut [u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let mut link = hmac::sign(&key, seed);
    for chunk in out.chunks_mut(SHA1_BYTES) {
        let mut context = hmac::Context::with_key(&key);
        context.update(link.as_ref());
        context.update(seed);
        for (to, from) in chunk.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        link = hmac::sign(&key, link.as_ref());
    }
}

const SHA1_BYTES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    // Computed with Python's hmac module, independently of this code.
    #[test]
    fn p_sha1_agrees_with_an_independent_computation() {
        let secret: Vec<u8> = (0..32).collect();
        let seed: Vec<u8> = (100..132).collect();
        let mut out = [0; 48];
        p_sha1(&secret, &seed, &mut out);
        assert_eq!(hex(&out), P_SHA1_VECTOR);
        let key = ProofKey::derive(
            &Entropy::from_bytes(&secret).unwrap(),
            &Entropy::from_bytes(&seed).unwrap(),
        );
        assert_eq!(hex(key.as_bytes()), P_SHA1_VECTOR[..64]);
    }

    const P_SHA1_VECTOR: &str = "5f2f3bae6385bb76c4c85bd8393fc091b7ac48d8270dd39613328dd67ce8b566381fe5cb436e69ca17775d1fe5fcc5dc";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn entropy_has_a_least_and_a_most_size() {
        assert!(Entropy::from_bytes(&[0; ENTROPY_BYTES_MIN]).is_some());
        assert!(Entropy::from_bytes(&[0; ENTROPY_BYTES_MIN - 1]).is_none());
        assert!(Entropy::from_bytes(&[0; ENTROPY_BYTES_MAX]).is_some());
        assert!(Entropy::from_bytes(&[0; ENTROPY_BYTES_MAX + 1]).is_none());
    }

    #[test]
    fn secrets_are_not_printed() {
        let entropy = Entropy::from_bytes(&[7; 32]).unwrap();
        assert_eq!(format!("{entropy:?}"), "Entropy(..)");
        assert_eq!(
            format!("{:?}", ProofKey::derive(&entropy, &entropy)),
            "ProofKey(..)"
        );
    }
}
