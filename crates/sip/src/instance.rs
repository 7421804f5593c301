// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endpoint identity: `epid`, `+sip.instance` and GRUU.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use uuid::{Builder, Uuid};

/// The name space of [MS-SIPRE] for instance identifiers derived from an epid.
const EPID_NAMESPACE: Uuid = Uuid::from_u128(0xfcacfb03_8a73_46ef_91b1_e5ebeeaba4fe);

/// A text is no instance identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an instance identifier of the form <urn:uuid:…>")]
pub struct InstanceIdError;

/// The identity of one endpoint: the UUID in the Contact's `+sip.instance` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Uuid);

impl InstanceId {
    /// Derives the identifier from an endpoint's `epid`, as both sides of the Lync wire do
    /// ([MS-SIPRE] 3.2; the server checks it by [MS-SIPAE] 3.3.5.2).
    #[must_use]
    pub fn of_epid(epid: &str) -> InstanceId {
        let mut sha1 = sha1_smol::Sha1::new();
        // A GUID's bytes are little-endian here, in and out, unlike RFC 4122's version 5.
        sha1.update(&EPID_NAMESPACE.to_bytes_le());
        sha1.update(epid.as_bytes());
        let digest = sha1.digest().bytes();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(digest) {
            *to = from;
        }
        let raw = Uuid::from_bytes_le(bytes);
        InstanceId(Builder::from_sha1_bytes(raw.into_bytes()).into_uuid())
    }

    /// Reads `<urn:uuid:…>`, `urn:uuid:…` or the bare UUID with hyphens, in any case.
    ///
    /// # Errors
    /// When the text is none of them.
    pub fn parse(text: &str) -> Result<InstanceId, InstanceIdError> {
        let bare = match text.strip_prefix('<') {
            Some(rest) => rest.strip_suffix('>').ok_or(InstanceIdError)?,
            None => text,
        };
        let prefix = "urn:uuid:";
        let bare = match bare.split_at_checked(prefix.len()) {
            Some((head, tail)) if head.eq_ignore_ascii_case(prefix) => tail,
            _ => bare,
        };
        if bare.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(InstanceIdError);
        }
        Uuid::try_parse(bare)
            .map(InstanceId)
            .map_err(|_| InstanceIdError)
    }

    /// The UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// `<urn:uuid:…>` as it stands in the Contact. Independent clients compare it byte by byte:
    /// lower case.
    #[must_use]
    pub fn to_contact_value(self) -> String {
        format!("<urn:uuid:{}>", self.0.hyphenated())
    }

    /// The endpoint's part of a GRUU: base64url of the 16 little-endian bytes and two zero bytes.
    #[must_use]
    pub fn to_gruu_token(self) -> String {
        let mut bytes = [0; 18];
        for (to, from) in bytes.iter_mut().zip(self.0.to_bytes_le()) {
            *to = from;
        }
        URL_SAFE.encode(bytes)
    }

    /// Reads what [`InstanceId::to_gruu_token`] wrote.
    #[must_use]
    pub fn of_gruu_token(token: &str) -> Option<InstanceId> {
        let bytes: [u8; 18] = URL_SAFE.decode(token).ok()?.try_into().ok()?;
        let (guid, zeros) = bytes.split_first_chunk::<16>()?;
        (zeros == [0, 0]).then(|| InstanceId(Uuid::from_bytes_le(*guid)))
    }
}

/// Writes the UUID in lower case with hyphens.
impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

/// The GRUU of one endpoint of a person: `sip:user@domain;opaque=user:epid:…;gruu`.
/// `address` is `user@domain` without a scheme.
#[must_use]
pub fn gruu(address: &str, instance: InstanceId) -> String {
    format!(
        "sip:{address};opaque=user:epid:{};gruu",
        instance.to_gruu_token()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SipUri;

    /// The first pair is the example of [MS-SIPRE], the second that of [MS-SIPAE] 4.4, the third
    /// was seen in the traffic of an independent client.
    const PUBLISHED: &[(&str, &str)] = &[
        ("01010101", "4b1682a8-f968-5701-83fc-7c6741dc6697"),
        ("2ebb6f264f", "124841e4-264d-52e8-96c5-d22aa8cdc316"),
        ("abb2cb12b77f", "0e324752-e1ab-56eb-8f4a-267c85a97459"),
    ];

    #[test]
    fn published_epids_give_the_published_instance_identifiers() {
        for (epid, uuid) in PUBLISHED {
            assert_eq!(InstanceId::of_epid(epid).to_string(), *uuid);
        }
    }

    #[test]
    fn a_published_instance_gives_the_published_gruu() {
        let id = InstanceId::parse("<urn:uuid:34d859db-6585-5f91-a3b4-de853c15347d>").unwrap();
        assert_eq!(id.to_gruu_token(), "21nYNIVlkV-jtN6FPBU0fQAA");
        let text = gruu("alice@contoso.test", id);
        assert_eq!(
            text,
            "sip:alice@contoso.test;opaque=user:epid:21nYNIVlkV-jtN6FPBU0fQAA;gruu"
        );
        assert_eq!(SipUri::parse(&text).unwrap().gruu_instance(), Some(id));
    }

    #[test]
    fn instance_identifiers_are_read_in_any_case_and_nothing_else_is() {
        let id = InstanceId::of_epid("01010101");
        assert_eq!(InstanceId::parse(&id.to_contact_value()), Ok(id));
        assert_eq!(
            InstanceId::parse(&id.to_contact_value().to_uppercase()),
            Ok(id)
        );
        assert_eq!(InstanceId::parse(&id.to_string()), Ok(id));
        for bad in [
            "",
            "<urn:uuid:>",
            "<urn:uuid:4b1682a8-f968-5701-83fc-7c6741dc6697",
            "{x}",
        ] {
            assert_eq!(InstanceId::parse(bad), Err(InstanceIdError), "{bad}");
        }
        assert_eq!(InstanceId::of_gruu_token("21nYNIVlkV-jtN6FPBU0fQAB"), None);
        assert_eq!(InstanceId::of_gruu_token("x"), None);
    }
}
