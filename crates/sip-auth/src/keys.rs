// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of an association.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// The exporter's label.
pub const EXPORTER_LABEL: &[u8] = b"client EAP encryption";
/// What is exported: two blocks that nobody uses, the client's key, the server's key.
pub const KEY_BLOCK_BYTES: usize = 128;

/// The hash of the message signatures: that of the negotiated suite's PRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageHash {
    /// Legacy peers only (TLS 1.0 inside).
    Sha1,
    /// Most suites of TLS 1.2.
    Sha256,
    /// AES-256-GCM suites of TLS 1.2.
    Sha384,
}

/// The exported key block, taken apart. Zeroed when dropped; the HMAC contexts zero themselves.
pub struct SigningKeys {
    block: Zeroizing<[u8; KEY_BLOCK_BYTES]>,
    hash: MessageHash,
}

impl SigningKeys {
    /// From the exporter's output for [`crate::EXPORTER_LABEL`] without a context.
    #[must_use]
    pub fn of_block(block: Zeroizing<[u8; KEY_BLOCK_BYTES]>, hash: MessageHash) -> SigningKeys {
        SigningKeys { block, hash }
    }

    /// The hash that belongs to the keys.
    #[must_use]
    pub fn hash(&self) -> MessageHash {
        self.hash
    }

    pub(crate) fn client(&self) -> hmac::Key {
        self.key(64..96)
    }

    pub(crate) fn server(&self) -> hmac::Key {
        self.key(96..128)
    }

    /// A number to begin the row of `crand`/`srand` values with. It comes from a part of the block
    /// that signs nothing, so the values reveal nothing about the keys.
    pub(crate) fn seed(&self) -> u64 {
        self.block
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    fn key(&self, range: std::ops::Range<usize>) -> hmac::Key {
        let algorithm = match self.hash {
            MessageHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            MessageHash::Sha256 => hmac::HMAC_SHA256,
            MessageHash::Sha384 => hmac::HMAC_SHA384,
        };
        hmac::Key::new(algorithm, self.block.get(range).unwrap_or_default())
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(..)")
    }
}
