// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ticket port for who is signed in already: the chat certificate, by mutual TLS.
//!
//! It stands on the card listener, because that one asks for a certificate; the handshake proves the
//! key. What the certificate stands on is asked as at every REGISTER: itself, the card behind it, the
//! account. The ticket names what stands behind the certificate, so that it ends with it, too.

use super::answer::{self, soap_fault};
use super::http::Peer;
use super::{Web, webticket};
use crate::federation::standing::{self, StandingError};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use lanyard_fault::Fault;
use lanyard_soap::fault::Diagnostic;
use lanyard_soap::ticket::{Grant, TicketSource};
use lanyard_soap::trust::TicketRequest;
use lanyard_x509::Certificate;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// `POST …/Cert` on the card listener: a chat certificate against a SAML ticket for the address book.
pub async fn port(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    body: String,
) -> Response {
    let leaf = peer
        .certificates
        .first()
        .and_then(|der| Certificate::from_der(der.as_ref()).ok());
    let Some(leaf) = leaf else {
        return soap_fault(&web, Diagnostic::NoValidSecurityToken, None);
    };
    let shared = Arc::clone(&web);
    let standing = tokio::task::spawn_blocking(move || {
        let now = OffsetDateTime::now_utc();
        let people = shared.app.directory.load();
        let (standing, row) =
            standing::of_chat_certificate(&leaf.serial(), &people, &shared.app.store, now)?;
        // A serial number is only a claim: the certificate must be the very one that was issued.
        if row.der.as_deref() != Some(leaf.der()) {
            return Err(StandingError::Refused(Fault::CardCertificateForeign));
        }
        Ok((standing, row))
    })
    .await;
    let (standing, row) = match standing {
        Ok(Ok(found)) => found,
        Ok(Err(StandingError::Refused(fault))) => {
            tracing::info!(peer = %peer.address, code = %fault.code(), "chat certificate refused at the ticket port");
            return soap_fault(&web, Diagnostic::NotEnabled, Some(fault));
        }
        Ok(Err(error)) => return answer::internal("registry", &error),
        Err(error) => return answer::internal("registry", &error),
    };
    let Ok(request) = TicketRequest::parse(&body) else {
        return soap_fault(&web, Diagnostic::RequestInvalid, None);
    };
    let account = &standing.account;
    let other = request
        .claimed_address
        .as_ref()
        .is_some_and(|asked| asked.as_str() != account.sip_address.as_str());
    if other {
        let fault = Some(Fault::AddressNotOfCard);
        return soap_fault(&web, Diagnostic::AddressMismatch, fault);
    }
    // A chat certificate earns no other chat certificate: that takes the card, or the password.
    let audience = web.audiences.of_request(&request.applies_to);
    let Some(audience) = audience.filter(|asked| *asked == web.audiences.address_book) else {
        return soap_fault(&web, Diagnostic::RequestInvalid, None);
    };
    let address = lanyard_soap::Address::parse(account.sip_address.as_str());
    let (Ok(address), Ok(sid)) = (address, account.id.as_str().parse()) else {
        return soap_fault(&web, Diagnostic::Internal, Some(Fault::ServerInternal));
    };
    let left = row.not_after - OffsetDateTime::now_utc();
    // A certificate of an older password was withdrawn with it: the epoch is the one of now.
    let epoch = crate::credential::epoch(&web.app, account);
    let source = match (&standing.card, epoch) {
        (Some(card), _) => TicketSource::Card {
            serial: card.serial,
        },
        (None, Some(epoch)) => TicketSource::Password { epoch },
        (None, None) => {
            return soap_fault(&web, Diagnostic::NotEnabled, Some(Fault::TicketInvalid));
        }
    };
    let grant = Grant {
        account: sid,
        address,
        audience,
        source,
        lifetime: Duration::minutes(webticket::WEB_TICKET_MINUTES).min(left),
    };
    webticket::answer_ticket(&web, &request, &grant)
}
