// SPDX-License-Identifier: MIT OR Apache-2.0
//! PEM and base64, strictly read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters on a line of PEM (RFC 7468).
const LINE_CHARS: usize = 64;

/// Why a text is not the PEM that it should be.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `-----BEGIN …-----` of the kind that is asked for.
    #[error("no PEM block of the right kind")]
    NoBlock,
    /// A block begins and never ends.
    #[error("the PEM block does not end")]
    NoEnd,
    /// What stands between the lines is not base64.
    #[error("the text is not base64")]
    NotBase64,
}

/// Wraps DER into one PEM block.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    encode_secret(label, der).as_str().to_owned()
}

/// The same for secrets: nothing of it stays in memory.
pub(crate) fn encode_secret(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let lines = body.len().div_ceil(LINE_CHARS);
    let mut out = Zeroizing::new(String::with_capacity(
        body.len() + lines + 2 * label.len() + 40,
    ));
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    for (index, c) in body.chars().enumerate() {
        if index > 0 && index % LINE_CHARS == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str("\n-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

/// The first block with one of the labels.
pub(crate) fn decode(labels: &[&str], text: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    next_block(labels, text)?
        .map(|(der, _)| der)
        .ok_or(PemError::NoBlock)
}

/// All blocks with the label, in order.
pub(crate) fn decode_all(label: &str, mut text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let mut blocks = Vec::new();
    while let Some((der, rest)) = next_block(&[label], text)? {
        blocks.push(der.to_vec());
        text = rest;
    }
    Ok(blocks)
}

/// Base64 without any decoration; line breaks and spaces at line ends are allowed, nothing else.
pub(crate) fn decode_base64(text: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    compact.extend(
        text.chars()
            .filter(|c| !matches!(c, '\r' | '\n' | ' ' | '\t')),
    );
    STANDARD
        .decode(compact.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| PemError::NotBase64)
}

/// What a block holds, and the text after it.
type Block<'t> = (Zeroizing<Vec<u8>>, &'t str);

fn next_block<'t>(labels: &[&str], text: &'t str) -> Result<Option<Block<'t>>, PemError> {
    let found = labels
        .iter()
        .filter_map(|label| {
            let begin = format!("-----BEGIN {label}-----");
            text.find(&begin).map(|at| (at, at + begin.len(), *label))
        })
        .min();
    let Some((_, body_at, label)) = found else {
        return Ok(None);
    };
    let after_begin = text.get(body_at..).ok_or(PemError::NoEnd)?;
    let (body, rest) = after_begin
        .split_once(&format!("-----END {label}-----"))
        .ok_or(PemError::NoEnd)?;
    Ok(Some((decode_base64(body)?, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_found_among_other_text() {
        let two = format!(
            "hello\n{}between\r\n{}",
            encode("A", b"one"),
            encode("A", b"two")
        );
        assert_eq!(
            decode_all("A", &two).unwrap(),
            [b"one".to_vec(), b"two".to_vec()]
        );
        assert_eq!(*decode(&["B", "A"], &two).unwrap(), b"one");
    }

    #[test]
    fn broken_blocks_are_named() {
        assert_eq!(decode(&["A"], "nothing"), Err(PemError::NoBlock));
        assert_eq!(
            decode(&["A"], "-----BEGIN A-----\nAAAA"),
            Err(PemError::NoEnd)
        );
        let bad = "-----BEGIN A-----\nA*AA\n-----END A-----";
        assert_eq!(decode(&["A"], bad), Err(PemError::NotBase64));
        assert_eq!(decode_base64("AAA"), Err(PemError::NotBase64));
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let pem = encode("X", &bytes);
            prop_assert!(pem.lines().all(|line| line.len() <= LINE_CHARS));
            let decoded = decode(&["X"], &pem).unwrap();
            prop_assert_eq!(&*decoded, &bytes);
        }
    }
}
