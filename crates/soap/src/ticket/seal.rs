// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seal: AES-256-GCM over the claims, bound to kind, key and visible text.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::claims::{Claims, TicketKind};
use super::issue::TicketIssueError;
use super::keys::{KeyId, TicketKey, TicketKeyRing};
use super::verify::TicketError;

/// Version ‖ kind ‖ key id; the nonce and the ciphertext follow.
const HEADER_BYTES: usize = 10;
const VERSION: u8 = 1;
const LABEL: &[u8] = b"lanyard ticket";
/// Longest sealed ticket that is opened.
pub(super) const SEALED_BYTES_MAX: usize = 4096;

/// Seals claims. `before` and `after` are the visible text around the sealed bytes.
pub(super) fn seal(
    key: &TicketKey,
    kind: TicketKind,
    claims: &Claims,
    (before, after): (&str, &str),
) -> Result<Vec<u8>, TicketIssueError> {
    let header = header(kind, key.id());
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.secret())
        .map_err(|_| TicketIssueError::Cryptography)?;
    let mut text = claims.encode();
    // The vector was made with room for the tag as well, so that sealing does not move it.
    let nonce = cipher
        .seal_in_place_append_tag(Aad::from(associated(&header, before, after)), &mut *text)
        .map_err(|_| TicketIssueError::Cryptography)?;
    let mut out = Vec::with_capacity(HEADER_BYTES + NONCE_LEN + text.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(nonce.as_ref());
    out.extend_from_slice(&text);
    Ok(out)
}

/// Opens a seal.
pub(super) fn open(
    ring: &TicketKeyRing,
    kind: TicketKind,
    sealed: &[u8],
    (before, after): (&str, &str),
) -> Result<Claims, TicketError> {
    if sealed.len() > SEALED_BYTES_MAX {
        return Err(TicketError::Damaged);
    }
    let (header, rest) = sealed
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(TicketError::Damaged)?;
    let (nonce, text) = rest
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(TicketError::Damaged)?;
    let [version, tag, id @ ..] = *header;
    if version != VERSION {
        return Err(TicketError::Damaged);
    }
    if tag != kind.tag() {
        return Err(TicketError::WrongKind);
    }
    let key = ring.find(KeyId(id)).ok_or(TicketError::UnknownKey)?;
    let cipher =
        RandomizedNonceKey::new(&AES_256_GCM, key.secret()).map_err(|_| TicketError::Damaged)?;
    let mut text = Zeroizing::new(text.to_vec());
    // GCM compares the tag in constant time and gives nothing out before it fits.
    let claims = cipher
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(associated(header, before, after)),
            text.as_mut_slice(),
        )
        .map_err(|_| TicketError::Damaged)?;
    Claims::decode(claims).ok_or(TicketError::Damaged)
}

fn header(kind: TicketKind, key: KeyId) -> [u8; HEADER_BYTES] {
    let [a, b, c, d, e, f, g, h] = key.0;
    [VERSION, kind.tag(), a, b, c, d, e, f, g, h]
}

/// Lengths stand before the texts, so that no other split of the text gives the same bytes.
fn associated(header: &[u8; HEADER_BYTES], before: &str, after: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(LABEL.len() + HEADER_BYTES + 16 + before.len() + after.len());
    out.extend_from_slice(LABEL);
    out.extend_from_slice(header);
    for text in [before, after] {
        out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}
