// SPDX-License-Identifier: MIT OR Apache-2.0
//! What faces show of a person: the contact card, and the photograph.

use serde::{Deserialize, Serialize};

use crate::address::SignInAddress;
use crate::view::Availability;

/// A person as the directory or the person's own contact card tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// Address.
    pub address: SignInAddress,
    /// Display name; the address where nothing better is known.
    pub name: String,
    /// Job title, or empty.
    #[serde(default)]
    pub title: String,
    /// Telephone number, or empty.
    #[serde(default)]
    pub phone: String,
    /// E-mail address, or empty.
    #[serde(default)]
    pub email: String,
    /// Organisation, or empty.
    #[serde(default)]
    pub company: String,
    /// The hash of the photograph, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// Availability; it is known for contacts.
    #[serde(default)]
    pub availability: Availability,
    /// Note; it is known for contacts.
    #[serde(default)]
    pub note: String,
    /// Whether the person is in the contact list.
    #[serde(default)]
    pub contact: bool,
}

impl PersonView {
    /// Somebody of whom nothing but the address is known.
    #[must_use]
    pub fn unknown(address: SignInAddress) -> Self {
        Self {
            name: address.to_string(),
            address,
            title: String::new(),
            phone: String::new(),
            email: String::new(),
            company: String::new(),
            photo: None,
            availability: Availability::Unknown,
            note: String::new(),
            contact: false,
        }
    }
}

/// A photograph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoView {
    /// Its hash.
    pub hash: String,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// The picture in base64 (RFC 4648 section 4).
    pub data: String,
}

/// The largest photograph that is taken from a server, in bytes.
pub const PHOTO_BYTES_MAX: usize = 128 * 1024;

/// What a picture is by its first bytes; `None` for anything that is shown nowhere.
#[must_use]
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xFF\xD8\xFF") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        Some("image/png")
    } else {
        None
    }
}

/// Whether a server's hash can name a file.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    (8..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_pictures() {
        assert_eq!(media_type(b"\xFF\xD8\xFF\xE0.."), Some("image/jpeg"));
        assert_eq!(media_type(b"\x89PNG\r\n\x1A\n"), Some("image/png"));
        for other in [&b""[..], b"<svg>", b"GIF89a", b"\xFF\xD8"] {
            assert_eq!(media_type(other), None);
        }
    }

    #[test]
    fn a_hash_cannot_leave_its_directory() {
        assert!(is_hash("0123456789abcdefABCDEF"));
        for text in ["", "..", "../../../x", "a/b/c/d/e/f", &"a".repeat(129)] {
            assert!(!is_hash(text), "{text}");
        }
    }
}
