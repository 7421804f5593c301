// SPDX-License-Identifier: MIT OR Apache-2.0
//! A registrar for tests: real handshakes and signatures, scripted answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use lanyard_sip::{Frame, Framer, Headers, Message, Method, Name, OutMessage, reason_phrase};
use lanyard_sip_auth::server::{Authenticator, Settings, Step};
use lanyard_sip_auth::tls12::Acceptor;
use lanyard_x509::{
    AlternativeName, BasicConstraints, Certificate, CertificateSpec, DistinguishedName, Extensions,
    Serial, Signer, SoftwareKey,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::DefaultTimeProvider;
use time::{Duration, OffsetDateTime};

use super::{Action, Credential, Now, Session};

pub(crate) const STS: &str = "https://lync.contoso.test/CertProv/CertProvisioningService.svc";
const HOST: &str = "lync.contoso.test";

/// An authority of the test's own.
pub(crate) struct Authority {
    key: SoftwareKey,
    root: Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = SoftwareKey::generate().unwrap();
        let extensions = Extensions {
            basic_constraints: Some(BasicConstraints {
                ca: true,
                path_len: None,
            }),
            ..Extensions::default()
        };
        let root = sign(&key, "Root", &key, "Root", extensions, Duration::DAY);
        Self { key, root }
    }

    fn issue(
        &self,
        name: &str,
        names: Vec<AlternativeName>,
        life: Duration,
    ) -> (Certificate, SoftwareKey) {
        let key = SoftwareKey::generate().unwrap();
        let extensions = Extensions {
            alternative_names: names,
            ..Extensions::default()
        };
        (sign(&self.key, "Root", &key, name, extensions, life), key)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.to_rustls()).unwrap();
        Arc::new(roots)
    }

    /// A chat certificate of Alice.
    pub(crate) fn credential(&self, life: Duration) -> Arc<Credential> {
        let (certificate, key) = self.issue("alice@contoso.test", Vec::new(), life);
        Arc::new(Credential::new(certificate, key, self.roots()))
    }
}

fn sign(
    by: &SoftwareKey,
    issuer: &str,
    key: &SoftwareKey,
    subject: &str,
    extensions: Extensions,
    life: Duration,
) -> Certificate {
    let now = OffsetDateTime::now_utc();
    let spec = CertificateSpec {
        serial: Serial::from_random(*uuid::Uuid::new_v4().as_bytes()),
        issuer: DistinguishedName::from_common_name(issuer).unwrap(),
        subject: DistinguishedName::from_common_name(subject).unwrap(),
        not_before: now - Duration::HOUR,
        not_after: now + life,
        public_key: key.public_key().clone(),
        extensions,
    };
    spec.sign(by).unwrap()
}

/// One connection's far end.
pub(crate) struct Registrar {
    auth: Authenticator,
    framer: Framer,
    out: Vec<Bytes>,
    /// Everything that came, in order.
    pub(crate) heard: Vec<Message>,
    /// Status for requests of this method; 200 without one.
    pub(crate) status: HashMap<&'static str, u16>,
    /// Bodies of answers to subscriptions, by event package.
    pub(crate) bodies: HashMap<&'static str, (&'static str, String)>,
    /// Faults that answer the next service requests, the last one first.
    pub(crate) service_faults: Vec<(u16, String)>,
    /// Headers added to answers that refuse.
    pub(crate) diagnostics: Option<&'static str>,
    /// Registrations are answered without a signature.
    pub(crate) unsigned: bool,
}

impl Registrar {
    pub(crate) fn new(authority: &Authority) -> Self {
        let names = vec![AlternativeName::Dns(HOST.to_owned())];
        let (certificate, key) = authority.issue(HOST, names, Duration::DAY);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(authority.roots(), provider).build();
        let acceptor = Acceptor::new(
            vec![certificate.to_rustls()],
            key.to_rustls(),
            clients.unwrap(),
            Arc::new(DefaultTimeProvider),
        );
        let settings = Settings {
            targetname: HOST.to_owned(),
            sts_uri: STS.to_owned(),
            acceptor: Box::new(acceptor.unwrap()),
        };
        Self {
            auth: Authenticator::new(Arc::new(settings), [7; 8]),
            framer: Framer::new(),
            out: Vec::new(),
            heard: Vec::new(),
            status: HashMap::new(),
            bodies: HashMap::new(),
            service_faults: Vec::new(),
            diagnostics: None,
            unsigned: false,
        }
    }

    /// Sends a request of the server's own.
    pub(crate) fn push(&mut self, mut message: OutMessage) {
        self.auth.sign(&mut message).unwrap();
        self.out.push(message.to_bytes());
    }

    /// Sends a request that nobody signed.
    pub(crate) fn push_unsigned(&mut self, message: &OutMessage) {
        self.out.push(message.to_bytes());
    }

    /// How often a method came.
    pub(crate) fn count(&self, method: &str) -> usize {
        let is = |message: &&Message| message.method().is_some_and(|one| one.as_str() == method);
        self.heard.iter().filter(is).count()
    }

    /// Takes bytes of the client and gives what is sent back, also what was pushed before.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Vec<Bytes> {
        self.receive(bytes);
        std::mem::take(&mut self.out)
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
        while let Some(frame) = self.framer.next_frame().unwrap() {
            if let Frame::Message(message) = frame {
                self.message(&message);
                self.heard.push(message);
            }
        }
    }

    fn message(&mut self, message: &Message) {
        if message.method() == Some(Method::Register) {
            return self.register(message);
        }
        self.auth
            .verify(message)
            .expect("everything after the association is signed");
        let Some(method) = message.method() else {
            return;
        };
        if method == Method::Ack {
            return;
        }
        let is_container = message
            .body()
            .windows(19)
            .any(|w| w == b"setContainerMembers");
        if method == Method::Service
            && is_container
            && let Some((status, body)) = self.service_faults.pop()
        {
            let answer = OutMessage::response_to(message, status, reason_phrase(status));
            let answer = answer.with_to_tag("far");
            return self.push(answer.with_body("application/msrtc-fault+xml", body));
        }
        let status = self.status.get(method.as_str()).copied().unwrap_or(200);
        let mut answer = OutMessage::response_to(message, status, reason_phrase(status))
            .with_to_tag("far")
            .with(
                Name::Contact,
                "<sip:bob@contoso.test;opaque=user:epid:x;gruu>",
            );
        if status >= 300
            && let Some(diagnostics) = self.diagnostics
        {
            answer.push(Name::MsDiagnostics, diagnostics);
        }
        if method == Method::Subscribe {
            answer.push(Name::Expires, 3600);
            let package = message.event().map(|event| event.package.to_owned());
            if let Some((content_type, body)) =
                self.bodies.get(package.unwrap_or_default().as_str())
            {
                answer = answer.with_body(content_type, body.clone());
            }
        }
        self.push(answer);
    }

    fn register(&mut self, message: &Message) {
        match self.auth.register(Instant::now(), message) {
            Step::Challenge(answer) | Step::Continue(answer) => self.push_unsigned(&answer),
            Step::Refused(refusal) => panic!("refused: {refusal}"),
            Step::Established { .. } | Step::Verified => {
                let status = self.status.get("REGISTER").copied().unwrap_or(200);
                let mut answer = OutMessage::response_to(message, status, reason_phrase(status))
                    .with_to_tag("far")
                    .with(Name::Expires, message.expires_secs().unwrap_or(300))
                    .with(
                        Name::AllowEvents,
                        "vnd-microsoft-provisioning-v2,vnd-microsoft-roaming-contacts,\
                         presence,vnd-microsoft-roaming-self",
                    )
                    .with(Name::MsKeepAlive, "UAS; timeout=30");
                if let Some(diagnostics) = self.diagnostics {
                    answer.push(Name::MsDiagnostics, diagnostics);
                }
                if self.unsigned {
                    self.push_unsigned(&answer);
                } else {
                    self.push(answer);
                }
            }
            _ => {}
        }
    }
}

/// Carries bytes both ways until nothing moves; gives what else the session said.
pub(crate) fn pump(session: &mut Session, registrar: &mut Registrar, now: Now) -> Vec<Action> {
    let mut said = Vec::new();
    loop {
        let actions = session.take_actions();
        let moved = !actions.is_empty() || !registrar.out.is_empty();
        for action in actions {
            match action {
                Action::Connect => session.connected(now, "127.0.0.1:50000"),
                Action::Send(bytes) => registrar.receive(&bytes),
                other => said.push(other),
            }
        }
        for bytes in std::mem::take(&mut registrar.out) {
            session.received(now, &bytes);
        }
        if !moved {
            return said;
        }
    }
}
