// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands as they are written in the standard, and answers taken apart. Nothing of our own
//! reading of the standard is used here: the bytes are spelt out.

use anyhow::{Context, Result};

/// The bytes that are written in hexadecimal digits; blanks do not count.
#[must_use]
pub fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|sign| !sign.is_whitespace())
        .map(|sign| sign.to_digit(16).expect("a hexadecimal digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits"))
        .collect()
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Data and status word.
///
/// # Errors
/// There are not even two bytes.
pub fn split(answer: &[u8]) -> Result<(Vec<u8>, u16)> {
    let (data, status) = answer
        .split_last_chunk::<2>()
        .context("an answer without status word")?;
    Ok((data.to_vec(), u16::from_be_bytes(*status)))
}

/// A BER-TLV element; lengths up to 65,535.
#[must_use]
pub fn element(tag: &str, value: &[u8]) -> Vec<u8> {
    let mut out = bytes(tag);
    match value.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(value);
    out
}
