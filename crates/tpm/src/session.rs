// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions: shared secrets with the chip that prove and encrypt (part 1, 19 and 21).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::{self, Cfb, DIGEST_BYTES};
use crate::error::TpmError;
use crate::wire::SessionAnswer;

/// `TPMA_SESSION`.
pub(crate) mod attribute {
    pub(crate) const CONTINUE: u8 = 0x01;
    /// The command's first parameter is encrypted.
    pub(crate) const DECRYPT: u8 = 0x20;
    /// The answer's first parameter is encrypted.
    pub(crate) const ENCRYPT: u8 = 0x40;
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// Proves secrets by HMAC.
    Hmac,
    /// Gathers what a policy asks for.
    Policy,
    /// Only computes a policy's digest.
    Trial,
}

impl SessionKind {
    /// `TPM_SE`.
    pub(crate) fn wire(self) -> u8 {
        match self {
            Self::Hmac => 0x00,
            Self::Policy => 0x01,
            Self::Trial => 0x03,
        }
    }
}

/// A session of one conversation. Its key and nonces never leave this side.
pub struct Session {
    pub(crate) handle: u32,
    pub(crate) nonce_caller: Vec<u8>,
    pub(crate) nonce_tpm: Vec<u8>,
    /// Empty unless the session is salted.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:08x})", self.handle)
    }
}

impl Session {
    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// A new nonce of this side, for the next command.
    pub(crate) fn renew(&mut self) -> Result<(), TpmError> {
        self.nonce_caller.resize(DIGEST_BYTES, 0);
        crypto::random(&mut self.nonce_caller)
    }

    fn value(&self, auth: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.key.as_slice(), auth].concat())
    }

    /// The proof of a command; `others` are the nonces of sessions that encrypt for this one.
    pub(crate) fn command_hmac(
        &self,
        auth: &[u8],
        cp_hash: &[u8],
        others: &[u8],
        attributes: u8,
    ) -> Zeroizing<Vec<u8>> {
        crypto::hmac(
            &self.value(auth),
            &[
                cp_hash,
                &self.nonce_caller,
                &self.nonce_tpm,
                others,
                &[attributes],
            ],
        )
    }

    /// Takes the chip's new nonce over, if the proof of the answer is right.
    pub(crate) fn accept(
        &mut self,
        auth: &[u8],
        rp_hash: &[u8],
        answer: &SessionAnswer<'_>,
    ) -> Result<(), TpmError> {
        let wanted = crypto::hmac(
            &self.value(auth),
            &[
                rp_hash,
                answer.nonce,
                &self.nonce_caller,
                &[answer.attributes],
            ],
        );
        if !bool::from(wanted.ct_eq(answer.hmac)) {
            return Err(TpmError::Forged);
        }
        self.nonce_tpm = answer.nonce.to_vec();
        Ok(())
    }

    /// Takes the chip's new nonce over where the session proves nothing (a policy without secret).
    pub(crate) fn accept_unproved(&mut self, answer: &SessionAnswer<'_>) -> Result<(), TpmError> {
        if !answer.hmac.is_empty() {
            return Err(TpmError::Forged);
        }
        self.nonce_tpm = answer.nonce.to_vec();
        Ok(())
    }

    /// Encrypts the first parameter of a command.
    pub(crate) fn encrypt(&self, auth: &[u8], data: &mut [u8]) -> Result<(), TpmError> {
        let value = self.value(auth);
        crypto::cfb(
            Cfb::Encrypt,
            &value,
            &self.nonce_caller,
            &self.nonce_tpm,
            data,
        )
    }

    /// Decrypts the first parameter of an answer; the chip's new nonce was accepted before.
    pub(crate) fn decrypt(&self, auth: &[u8], data: &mut [u8]) -> Result<(), TpmError> {
        let value = self.value(auth);
        crypto::cfb(
            Cfb::Decrypt,
            &value,
            &self.nonce_tpm,
            &self.nonce_caller,
            data,
        )
    }

    /// Whether answers carry a proof under this secret.
    pub(crate) fn proves(&self, auth: &[u8]) -> bool {
        !self.key.is_empty() || !auth.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session {
            handle: 0x0200_0000,
            nonce_caller: vec![1; 32],
            nonce_tpm: vec![2; 32],
            key: Zeroizing::new(vec![3; 32]),
        }
    }

    #[test]
    fn an_answer_with_another_proof_is_forged() {
        let answer = SessionAnswer {
            nonce: &[9; 32],
            attributes: 1,
            hmac: &[0; 32],
        };
        let mut one = session();
        assert!(matches!(
            one.accept(b"pin", &[5; 32], &answer),
            Err(TpmError::Forged)
        ));
        assert_eq!(one.nonce_tpm, vec![2; 32], "nothing of it was taken over");
    }

    #[test]
    fn a_session_shows_no_secret() {
        assert_eq!(format!("{:?}", session()), "Session(02000000)");
    }
}
