// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzzer of commands calls.

use lanyard_piv::{
    Command, DynamicAuthentication, GenerateTemplate, Incoming, ObjectId, Outgoing, Pin, PutData,
    Response, SetManagementKey, StatusWord, matches_application, reference_change,
};

/// Bytes from a host: a sequence of commands, each behind a length byte, as a card takes them.
pub fn run(mut bytes: &[u8]) {
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
