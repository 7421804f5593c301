// SPDX-License-Identifier: MIT OR Apache-2.0
//! Base64 and URL encoding as these protocols use them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Standard base64 with padding, in one line.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads standard base64; white space of XML line breaks may stand inside.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.contains([' ', '\t', '\r', '\n']) {
        let joined: String = text.split_ascii_whitespace().collect();
        return STANDARD.decode(joined).ok();
    }
    STANDARD.decode(text).ok()
}

/// Base64 of the URL alphabet without padding, for cookies and headers.
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64 of the URL alphabet without padding.
pub(crate) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Percent-encodes a query or form value (RFC 3986 unreserved characters stay).
pub(crate) fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.push(
                    HEX.get(usize::from(nibble))
                        .map_or('0', |digit| char::from(*digit)),
                );
            }
        }
    }
    out
}

/// Decodes a query or form value; `+` is a blank. `None` when a `%` is not followed by two hex
/// digits or the bytes are not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

/// The first value of `key` in `a=1&b=2`, decoded. Keys are matched without regard to case.
pub(crate) fn form_value(form: &str, key: &str) -> Option<String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .and_then(|(_, value)| percent_decode(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_be_broken_into_lines_but_not_damaged() {
        assert_eq!(
            from_base64("YWJj\r\n ZGVm\n").as_deref(),
            Some(&b"abcdef"[..])
        );
        assert_eq!(from_base64("YWJ"), None);
        assert_eq!(from_base64("YW*j"), None);
    }

    #[test]
    fn form_values_round_trip() {
        let value = "https://x/?a=1&b= ü+%";
        let form = format!("k=v&WResult={}", percent_encode(value));
        assert_eq!(form_value(&form, "wresult").as_deref(), Some(value));
        assert_eq!(form_value("a=%4", "a"), None);
        assert_eq!(form_value("a=%ff", "a"), None);
        assert_eq!(form_value("a=b+c", "a").as_deref(), Some("b c"));
    }
}
