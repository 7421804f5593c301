// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fuzz target checks; an ordinary test replays its corpus. No part of the API.

use std::sync::Arc;
use std::time::Instant;

use lanyard_sip::{Headers as _, Message};
use zeroize::Zeroizing;

use crate::client::Challenge;
use crate::server::{Authenticator, Settings, Step};
use crate::{
    Finished, InnerAcceptor, InnerTls, InnerTlsError, MessageHash, REALM, Role,
    SecurityAssociation, SigningKeys,
};

/// Whatever stands in the authentication headers, nobody gets in by it and nothing panics.
pub fn auth_header(data: &[u8]) {
    let mut bytes = b"REGISTER sip:contoso.test SIP/2.0\r\nVia: SIP/2.0/tls h;branch=1\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nAuthorization: "
        .to_vec();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n\r\n");
    let Ok(request) = Message::parse(bytes) else {
        return;
    };
    let settings = Settings {
        targetname: "lync.contoso.test".to_owned(),
        sts_uri: String::new(),
        acceptor: Box::new(Swallow),
    };
    let mut server = Authenticator::new(Arc::new(settings), [0; 8]);
    for _ in 0..3 {
        let step = server.register(Instant::now(), &request);
        assert!(!matches!(step, Step::Established { .. } | Step::Verified));
    }
    let keys = SigningKeys::of_block(Zeroizing::new([7; 128]), MessageHash::Sha256);
    let mut association =
        SecurityAssociation::new(Role::Server, &keys, "0", REALM, "lync.contoso.test");
    assert!(association.verify(&request).is_err());

    let mut bytes = b"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: ".to_vec();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n\r\n");
    let Ok(response) = Message::parse(bytes) else {
        return;
    };
    if let Ok(challenge) = Challenge::of(&response) {
        assert!(!challenge.realm.contains('"') && !challenge.targetname.contains('"'));
    }
    let _ = response.challenges().count();
}

/// Takes any handshake data and never ends.
struct Swallow;

impl InnerAcceptor for Swallow {
    fn accept(&self, _client_hello: &[u8]) -> Result<Box<dyn InnerTls>, InnerTlsError> {
        Ok(Box::new(Swallow))
    }
}

impl InnerTls for Swallow {
    fn step(&mut self, flight: &[u8]) -> Result<Vec<u8>, InnerTlsError> {
        Ok(flight.to_vec())
    }

    fn is_finished(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Result<Finished, InnerTlsError> {
        Err(InnerTlsError::NotFinished)
    }
}
