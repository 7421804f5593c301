// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer of answers calls.

use lanyard_piv::{
    Algorithm, ApplicationTemplate, CertificateObject, Chuid, Discovery, DynamicAuthentication,
    KeyHistory, Metadata, PublicKey, Response, tlv,
};

/// Bytes from a card: read as every kind of answer. What is read is written and read again.
pub fn run(bytes: &[u8]) {
    let mut reader = tlv::Reader::new(bytes);
    while let Ok(Some(element)) = reader.element() {
        let written = tlv::Writer::new()
            .element(element.tag, element.value)
            .into_bytes();
        assert_eq!(tlv::only(&written, element.tag), Ok(element.value));
    }
    let _ = Response::parse(bytes);
    if let Ok(chuid) = Chuid::parse(bytes) {
        assert_eq!(Chuid::parse(&chuid.encode()), Ok(chuid));
    }
    if let Ok(object) = CertificateObject::parse(bytes) {
        assert_eq!(CertificateObject::parse(&object.encode()), Ok(object));
    }
    if let Ok(template) = ApplicationTemplate::parse(bytes) {
        assert_eq!(ApplicationTemplate::parse(&template.encode()), Ok(template));
    }
    if let Ok(metadata) = Metadata::parse(bytes) {
        assert_eq!(Metadata::parse(&metadata.encode()), Ok(metadata));
    }
    if let Ok(template) = DynamicAuthentication::parse(bytes) {
        assert_eq!(
            DynamicAuthentication::parse(&template.encode()),
            Ok(template)
        );
    }
    for algorithm in Algorithm::ALL {
        if let Ok(key) = PublicKey::parse(algorithm, bytes) {
            assert_eq!(PublicKey::parse(algorithm, &key.encode()), Ok(key));
        }
    }
    if let Ok(key) = PublicKey::from_spki(bytes) {
        assert_eq!(PublicKey::from_spki(&key.to_spki()), Ok(key));
    }
    let _ = PublicKey::of_certificate(bytes);
    let _ = Discovery::parse(bytes);
    let _ = KeyHistory::parse(bytes);
}
