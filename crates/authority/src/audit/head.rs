// SPDX-License-Identifier: MIT OR Apache-2.0
//! Heads signed by the authority's key: what makes it impossible to write the whole trail anew, or to cut its end.

use lanyard_x509::{PublicKey, SignError, Signer};
use time::OffsetDateTime;

use super::chain::{ChainBroken, ChainFault, Head};
use super::event::{AuditEvent, millis};

/// Names what is signed, so that the signature can never be taken for one over something else: no certificate and no
/// revocation list begins so.
const DOMAIN: &[u8] = b"lanyard audit head 1\0";

/// The end of the trail at some time, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// The last row then.
    pub head: Head,
    /// When it was signed, in whole milliseconds.
    pub signed_at: OffsetDateTime,
    /// The signature of the issuing authority.
    pub signature: Vec<u8>,
}

/// Signs the end of the trail: once a day, and whenever somebody asks.
pub fn sign_head(
    head: Head,
    signer: &dyn Signer,
    now: OffsetDateTime,
) -> Result<SignedHead, SignError> {
    let signature = signer.sign(&message(head, now))?;
    Ok(SignedHead {
        head,
        signed_at: now,
        signature,
    })
}

/// Checks all signed heads against the trail. `event_at` gives the row at a place.
///
/// A head whose row is missing means that the end of the trail was cut.
pub fn check_heads<E>(
    heads: &[SignedHead],
    key: &PublicKey,
    mut event_at: impl FnMut(u64) -> Result<Option<AuditEvent>, E>,
) -> Result<(), HeadError<E>> {
    for signed in heads {
        let broken = |fault| {
            HeadError::Broken(ChainBroken {
                seq: signed.head.seq,
                fault,
            })
        };
        let message = message(signed.head, signed.signed_at);
        key.verify(
            key.algorithm().preferred_signature(),
            &message,
            &signed.signature,
        )
        .map_err(|_| broken(ChainFault::BadSignature))?;
        if signed.head == Head::EMPTY {
            continue;
        }
        let event = event_at(signed.head.seq).map_err(HeadError::Read)?;
        match event {
            None => return Err(broken(ChainFault::Missing)),
            Some(event) if event.hash != signed.head.hash => {
                return Err(broken(ChainFault::NotAsSigned));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Why signed heads do not vouch for the trail.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError<E> {
    /// The trail is not the one that was signed.
    #[error(transparent)]
    Broken(ChainBroken),
    /// The trail could not be read.
    #[error("the audit trail cannot be read")]
    Read(E),
}

fn message(head: Head, signed_at: OffsetDateTime) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + 48);
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(&head.seq.to_be_bytes());
    message.extend_from_slice(&head.hash.0);
    message.extend_from_slice(&millis(signed_at).to_be_bytes());
    message
}
