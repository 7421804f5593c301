// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzers call, and what the replay of their corpora calls.

use lanyard_piv::{
    Algorithm, ApplicationTemplate, CertificateObject, Chuid, Command, Discovery,
    DynamicAuthentication, GenerateTemplate, Incoming, KeyHistory, Metadata, ObjectId, Outgoing,
    Pin, PublicKey, PutData, Response, SetManagementKey, StatusWord, matches_application,
    reference_change, tlv,
};

/// Bytes from a host: a sequence of commands, each behind a length byte, as a card takes them.
pub fn apdu(mut bytes: &[u8]) {
    let mut incoming = Incoming::new(4096);
    let mut outgoing = Outgoing::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (apdu, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        bytes = rest;
        let Ok(command) = Command::parse(apdu) else {
            continue;
        };
        let written = command.to_bytes().expect("what was read can be written");
        assert_eq!(Command::parse(&written).as_ref(), Ok(&command));
        if let Some(answer) = outgoing.get_response(&command) {
            assert!(answer.data().len() <= 65_536);
            continue;
        }
        let Ok(Some(whole)) = incoming.push(command) else {
            continue;
        };
        assert!(whole.data().len() <= 4096);
        let data = whole.data();
        let _ = matches_application(data);
        if let Ok((first, second)) = reference_change(data) {
            let _ = (Pin::from_padded(first), Pin::from_padded(second));
        }
        let _ = ObjectId::from_tag_list(data);
        let _ = PutData::parse(data);
        let _ = GenerateTemplate::parse(data);
        let _ = DynamicAuthentication::parse(data);
        let _ = SetManagementKey::parse(data);
        let answer = Response::new(data, StatusWord::SUCCESS);
        let first = outgoing.start(&whole, answer);
        assert!(first.data().len() <= data.len());
    }
}

/// Bytes from a card: read as every kind of answer. What is read is written and read again.
pub fn answers(bytes: &[u8]) {
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
