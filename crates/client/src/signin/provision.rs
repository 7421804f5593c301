// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tickets from the cookie, and the chat certificate from a ticket with proof of possession.

use std::sync::Arc;

use lanyard_fault::Fault;
use lanyard_soap::CONTENT_TYPE_SOAP;
use lanyard_soap::certprov::{CertResponse, GetAndPublishCert, ProofTimestamp};
use lanyard_soap::names::{ACTION_GET_AND_PUBLISH, ACTION_ISSUE};
use lanyard_soap::passive::COOKIE_NAME;
use lanyard_soap::trust::{Entropy, TicketRequest, WebTicket};
use lanyard_x509::{Certificate, CsrBuilder, DistinguishedName, Signer, SoftwareKey};
use uuid::Uuid;

use super::input::Output;
use super::machine::{Proof, SignIn, Waiting};
use super::password::basic;
use crate::net::{HttpAnswer, HttpRequest};
use crate::problem::Problem;
use crate::session::{Credential, Now};

impl SignIn {
    /// A ticket for the person's own document, then the document.
    pub(super) fn user_document(&mut self) {
        if let Some(ticket) = self.known.user_ticket.take() {
            return self.get_user(Some(&ticket));
        }
        let audience = self.known.user_url.clone().unwrap_or_default();
        self.ask_ticket(&audience, Waiting::UserTicket);
    }

    pub(super) fn get_certificate(&mut self) {
        let audience = self.known.cert_port.clone().unwrap_or_default();
        self.ask_ticket(&audience, Waiting::CertTicket);
    }

    fn ask_ticket(&mut self, audience: &str, waiting: fn(Entropy) -> Waiting) {
        let Ok(entropy) = Entropy::random() else {
            return self.fail(Fault::SignInRefused.into());
        };
        let request = TicketRequest {
            context: Some(self.device.to_string()),
            applies_to: audience.to_owned(),
            claimed_address: Some(self.soap_address.clone()),
            entropy: Some(entropy.clone()),
        };
        let ways = self.known.ways.as_ref();
        let (port, header) = match &self.known.proof {
            Some(Proof::Card(cookie)) => {
                let port = ways.and_then(|ways| ways.card.clone());
                (
                    port,
                    ("cookie", format!("{COOKIE_NAME}={}", cookie.as_str())),
                )
            }
            Some(Proof::Password(password)) => {
                let port = ways.and_then(|ways| ways.password.clone());
                (
                    port,
                    ("authorization", basic(self.address.as_str(), password)),
                )
            }
            None => (None, ("cookie", String::new())),
        };
        let Some(port) = port else {
            return self.fail(Fault::TicketInvalid.into());
        };
        let request = HttpRequest::post(port, CONTENT_TYPE_SOAP, request.to_xml())
            .header("soapaction", format!("\"{ACTION_ISSUE}\""))
            .header(header.0, header.1);
        self.request(waiting(entropy), request);
    }

    pub(super) fn user_ticket(&mut self, answer: &HttpAnswer, entropy: &Entropy) {
        if self.password_missed(answer) {
            return;
        }
        match WebTicket::from_response(&answer.body, Some(entropy)) {
            Ok(ticket) if answer.status == 200 => {
                self.known.user_ticket = Some(ticket);
                self.proceed();
            }
            _ => self.refused(answer),
        }
    }

    pub(super) fn cert_ticket(&mut self, now: Now, answer: &HttpAnswer, entropy: &Entropy) {
        if self.password_missed(answer) {
            return;
        }
        let ticket = match WebTicket::from_response(&answer.body, Some(entropy)) {
            Ok(ticket) if answer.status == 200 => ticket,
            _ => return self.refused(answer),
        };
        // The last ticket: nothing more has to be proven.
        self.known.proof = None;
        // A fresh key for each sign-in: it never leaves this process and never touches a disk.
        let Some((key, csr_der)) = fresh_request(self.address.as_str()) else {
            return self.fail(Fault::SignInRefused.into());
        };
        let order = GetAndPublishCert {
            device_id: self.device,
            entity: self.soap_address.clone(),
            csr_der,
        };
        let port = self.known.cert_port.clone().unwrap_or_default();
        let timestamp = ProofTimestamp::fresh(now.wall);
        let Ok(xml) = order.to_xml(&port, Uuid::new_v4(), &ticket, &timestamp) else {
            return self.fail(Fault::TicketInvalid.into());
        };
        let request = HttpRequest::post(port, CONTENT_TYPE_SOAP, xml)
            .header("soapaction", format!("\"{ACTION_GET_AND_PUBLISH}\""));
        self.request(Waiting::Certificate(key), request);
    }

    pub(super) fn certificate(&mut self, now: Now, answer: &HttpAnswer, key: SoftwareKey) {
        if answer.status != 200 {
            return self.refused(answer);
        }
        let certificate = CertResponse::parse(&answer.body)
            .ok()
            .and_then(|der| Certificate::from_der(&der).ok());
        let Some(certificate) = certificate else {
            return self.refused(answer);
        };
        let is_ours = certificate
            .public_key()
            .is_ok_and(|public| public == *key.public_key());
        if !is_ours {
            return self.fail(Fault::SignInRefused.into());
        }
        if certificate.not_after() <= now.wall {
            return self.fail(Problem::new(Fault::ClockWrong));
        }
        self.waiting = Waiting::Ended;
        let credential = Credential::new(certificate, key, Arc::clone(&self.roots));
        self.outputs.push(Output::Credential(Arc::new(credential)));
    }
}

fn fresh_request(address: &str) -> Option<(SoftwareKey, Vec<u8>)> {
    let key = SoftwareKey::generate().ok()?;
    let subject = DistinguishedName::from_common_name(address).ok()?;
    let csr = CsrBuilder::new(subject, key.public_key().clone())
        .sign(&key)
        .ok()?;
    Some((key, csr.der().to_vec()))
}
