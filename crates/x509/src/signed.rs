// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame that certificates, requests and revocation lists share: what is signed, how, and the signature.
//!
//! The signed part is kept as the bytes that came. Decoding and encoding it again may give others (an unsorted SET is
//! sorted on the way), and then a signature would be checked over what nobody signed.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader};
use spki::AlgorithmIdentifierRef;

use crate::key::SignatureAlgorithm;

/// The three parts of something signed, as slices of the received bytes.
pub(crate) struct Signed<'a> {
    pub(crate) to_be_signed: &'a [u8],
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) signature: &'a [u8],
}

/// Takes the frame apart; nothing may follow it.
pub(crate) fn split(der: &[u8]) -> Result<Signed<'_>, der::Error> {
    let mut reader = SliceReader::new(der)?;
    let signed = reader.sequence(|reader| -> Result<_, der::Error> {
        let to_be_signed = reader.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierRef::decode(reader)?;
        let signature = BitStringRef::decode(reader)?;
        let signature = signature
            .as_bytes()
            .ok_or_else(|| der::ErrorKind::Failed.to_error())?;
        Ok(Signed {
            to_be_signed,
            algorithm,
            signature,
        })
    })?;
    reader.finish()?;
    Ok(signed)
}

/// Puts the frame around something encoded and its signature.
pub(crate) fn join(
    to_be_signed: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
) -> Result<Vec<u8>, der::Error> {
    Frame {
        to_be_signed: AnyRef::from_der(to_be_signed)?,
        algorithm: algorithm.identifier(),
        signature: BitStringRef::from_bytes(signature)?,
    }
    .to_der()
}

#[derive(Sequence)]
struct Frame<'a> {
    to_be_signed: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    signature: BitStringRef<'a>,
}
