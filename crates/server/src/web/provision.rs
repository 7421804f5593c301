// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificate provisioning: a ticket with proof of possession earns a chat certificate.

use super::answer::{self, SOAP_TYPE};
use super::urls::{CERT_PROV_PROOF_PATH, WEB_TICKET_PATH};
use super::{Web, webticket};
use crate::chat::{self, ChatError};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lanyard_fault::Fault;
use lanyard_soap::certprov::{CertRequest, CertResponse, ProofError, fault_xml};
use lanyard_soap::fault::Diagnostic;
use lanyard_soap::mex::CertProvMex;
use lanyard_soap::ticket::TicketError;
use lanyard_x509::Csr;
use std::sync::Arc;
use time::OffsetDateTime;

/// `GET …/mex`: who issues tickets for this service, and where it is.
pub async fn mex(State(web): State<Arc<Web>>) -> Response {
    let document = CertProvMex {
        issuer: web.urls.https(WEB_TICKET_PATH),
        endpoint: web.urls.https(CERT_PROV_PROOF_PATH),
    };
    answer::body(StatusCode::OK, SOAP_TYPE, document.to_xml())
}

/// `POST …/WebTicket_Proof`: GetAndPublishCert.
pub async fn get_and_publish(State(web): State<Arc<Web>>, body: String) -> Response {
    // The order matters: nothing of the request is looked at before the ticket is good, and
    // nothing is issued before the proof is used up.
    let Ok(request) = CertRequest::parse(&body) else {
        return refuse(&web, Diagnostic::RequestInvalid, Fault::RequestMalformed);
    };
    let opened = web.tickets.open(|verifier, now| {
        verifier.web_ticket(request.assertion(), &web.audiences.provisioning, now)
    });
    let claims = match opened {
        Ok(claims) => claims,
        Err(TicketError::Expired) => {
            return refuse(&web, Diagnostic::TicketExpired, Fault::TicketInvalid);
        }
        Err(_) => return refuse(&web, Diagnostic::TicketInvalid, Fault::TicketInvalid),
    };
    let proof = match request.verify_proof(&claims, OffsetDateTime::now_utc()) {
        Ok(proof) => proof,
        Err(ProofError::Clock { .. }) => {
            return refuse(&web, Diagnostic::ProofInvalid, Fault::ClockWrong);
        }
        Err(ProofError::Entity) => {
            return refuse(&web, Diagnostic::AddressMismatch, Fault::AddressNotOfCard);
        }
        Err(_) => return refuse(&web, Diagnostic::ProofInvalid, Fault::TicketInvalid),
    };
    let csr = match Csr::from_der(request.csr_der()) {
        Ok(csr) => csr,
        Err(error) => return refuse(&web, Diagnostic::RequestInvalid, chat::csr_fault(&error)),
    };
    // A faulty request costs no ticket; from here on the proof is used up.
    if web
        .tickets
        .use_proof(proof.replay_key(), proof.expires())
        .is_err()
    {
        return refuse(&web, Diagnostic::ProofInvalid, Fault::TicketInvalid);
    }
    let standing = match webticket::still_good(&web, claims).await {
        Ok((_, standing)) => standing,
        Err(response) => return response,
    };
    let shared = Arc::clone(&web);
    let issued = tokio::task::spawn_blocking(move || {
        chat::issue(&shared.app, &standing, &csr, OffsetDateTime::now_utc())
    })
    .await;
    match issued {
        Ok(Ok(certificate)) => {
            tracing::info!(address = %request.entity(), serial = %certificate.serial(), "chat certificate issued");
            let xml = CertResponse::to_xml(certificate.der());
            answer::body(StatusCode::OK, SOAP_TYPE, xml)
        }
        Ok(Err(ChatError::Refused(fault))) => refuse(&web, Diagnostic::NotEnabled, fault),
        Ok(Err(error)) => answer::internal("chat certificate", &error),
        Err(error) => answer::internal("chat certificate", &error),
    }
}

fn refuse(web: &Web, diagnostic: Diagnostic, fault: Fault) -> Response {
    let reason = format!("{} ({})", fault.sentence(), fault.code());
    tracing::info!(code = %fault.code(), "certificate provisioning refused");
    let status =
        StatusCode::from_u16(diagnostic.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer::body(status, SOAP_TYPE, fault_xml(diagnostic, &reason));
    let value = answer::header_value(&diagnostic.header_with(web.urls.host(), &reason));
    response
        .headers_mut()
        .insert(answer::DIAGNOSTICS_HEADER_NAME, value);
    response
}
