// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two sides of one connection in memory.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;
use std::time::Instant;

use lanyard_sip::{Message, Method, Name, OutMessage};
use lanyard_sip_auth::client::{self, Challenge, ClientError};
use lanyard_sip_auth::server::{self, Refusal, Settings, Step};
use lanyard_sip_auth::tls12::{Acceptor, Connector};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::DefaultTimeProvider;

pub const HOST: &str = "lync.contoso.test";

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub root: CertificateDer<'static>,
}

pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Authority {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    pub fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        self.issue_for(KeyPair::generate().unwrap(), name, usage)
    }

    pub fn issue_rsa(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let size = rcgen::RsaKeySize::_2048;
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        self.issue_for(key, name, usage)
    }

    fn issue_for(&self, key: KeyPair, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let names = if name.contains('@') {
            vec![]
        } else {
            vec![name.to_owned()]
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], key)
    }

    pub fn server(&self) -> Identity {
        self.issue(HOST, ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub fn person(&self, name: &str) -> Identity {
        self.issue(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub fn rsa_person(&self, name: &str) -> Identity {
        self.issue_rsa(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }

    pub fn acceptor(&self) -> Acceptor {
        let clients = WebPkiClientVerifier::builder_with_provider(
            Arc::new(self.roots()),
            Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        )
        .build()
        .unwrap();
        let (chain, key) = self.server();
        Acceptor::new(chain, key, clients, Arc::new(DefaultTimeProvider)).unwrap()
    }

    pub fn connector(&self, name: &str) -> Connector {
        let (chain, key) = self.person(name);
        connector(self, (chain, key), HOST)
    }

    pub fn settings(&self) -> Arc<Settings> {
        Arc::new(Settings {
            targetname: HOST.to_owned(),
            sts_uri: format!("https://{HOST}/CertProv/CertProvisioningService.svc"),
            acceptor: Box::new(self.acceptor()),
        })
    }
}

pub fn connector(trusts: &Authority, (chain, key): Identity, host: &str) -> Connector {
    let host = ServerName::try_from(host.to_owned()).unwrap();
    Connector::new(
        chain,
        key,
        trusts.roots(),
        host,
        Arc::new(DefaultTimeProvider),
    )
    .unwrap()
}

/// What goes over the wire, seen from the other side.
pub fn received(out: &OutMessage) -> Message {
    let message = Message::parse(out.to_bytes()).unwrap();
    message.envelope().unwrap();
    message
}

pub fn register(number: u32) -> OutMessage {
    OutMessage::request(Method::Register, "sip:contoso.test")
        .with(
            Name::Via,
            "SIP/2.0/tls 127.0.0.1:52378;branch=z9hG4bKA82274C7",
        )
        .with(
            Name::From,
            "<sip:alice@contoso.test>;tag=1966937059;epid=abb2cb12b77f",
        )
        .with(Name::To, "<sip:alice@contoso.test>")
        .with(Name::CallId, "14BBgA0C5aE244i1904m")
        .with(Name::CSeq, format_args!("{number} REGISTER"))
}

pub fn request(method: Method<'_>, number: u32) -> OutMessage {
    OutMessage::request(method, "sip:bob@contoso.test")
        .with(Name::Via, "SIP/2.0/tls 127.0.0.1:52378")
        .with(
            Name::From,
            "<sip:alice@contoso.test>;tag=1;epid=abb2cb12b77f",
        )
        .with(Name::To, "<sip:bob@contoso.test>")
        .with(Name::CallId, "another-call")
        .with(Name::CSeq, format_args!("{number} {method}"))
}

#[derive(Debug)]
pub enum Failure {
    Client(ClientError),
    Server(Refusal),
}

/// One connection with both its ends.
pub struct Link {
    pub client: client::Authenticator,
    pub server: server::Authenticator,
    pub cseq: u32,
    /// Everything the server sent, for snapshots.
    pub sent: Vec<OutMessage>,
}

impl Link {
    pub fn new(settings: &Arc<Settings>, seed: u8) -> Link {
        Link {
            client: client::Authenticator::new(),
            server: server::Authenticator::new(Arc::clone(settings), [seed; 8]),
            cseq: 0,
            sent: Vec::new(),
        }
    }

    pub fn next_register(&mut self) -> OutMessage {
        self.cseq += 1;
        register(self.cseq)
    }

    /// The first REGISTER and its 401.
    pub fn challenge(&mut self, now: Instant) -> Challenge {
        let first = self.next_register();
        let Step::Challenge(answer) = self.server.register(now, &received(&first)) else {
            panic!("no challenge");
        };
        Challenge::of(&received(&answer)).unwrap()
    }

    /// The whole sign-in; gives the client's chain as the server saw it.
    pub fn sign_in(
        &mut self,
        now: Instant,
        connector: &Connector,
    ) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let challenge = self.challenge(now);
        self.client
            .begin(now, &challenge, connector)
            .map_err(Failure::Client)?;
        loop {
            let mut next = self.next_register();
            self.client.authorize(&mut next).map_err(Failure::Client)?;
            let next = received(&next);
            match self.server.register(now, &next) {
                Step::Continue(answer) => {
                    let seen = received(&answer);
                    self.sent.push(answer);
                    self.client
                        .challenged(now, &seen)
                        .map_err(Failure::Client)?;
                }
                Step::Established { peer_chain } => {
                    let mut ok = OutMessage::response_to(&next, 200, "OK").with_to_tag("t");
                    self.server.sign(&mut ok).unwrap();
                    self.client.verify(&received(&ok)).unwrap();
                    self.sent.push(ok);
                    return Ok(peer_chain);
                }
                Step::Refused(refusal) => return Err(Failure::Server(refusal)),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}
