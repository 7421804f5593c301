// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a proved chat certificate to a session: who it is, what stands behind it, whether they may.

use super::core::{LiveSession, SipCore};
use crate::app::App;
use crate::federation::standing::{self, Standing, StandingError};
use crate::sessions::SessionInfo;
use lanyard_authority::CertificateRow;
use lanyard_directory::SipAddress;
use lanyard_fault::Fault;
use lanyard_presence::{ConnectionId, PersonUri, Registration};
use lanyard_sip::{Headers, Message, Name};
use lanyard_x509::Certificate;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// What all SIP connections share.
#[derive(Debug)]
pub struct SipShared {
    /// The server.
    pub app: Arc<App>,
    /// The hub and the connections.
    pub core: Arc<SipCore>,
    /// The inner handshake's settings.
    pub settings: Arc<lanyard_sip_auth::server::Settings>,
    /// A connection that says nothing for this long is closed.
    pub idle: Duration,
    /// A larger message is refused, and the connection closed.
    pub message_bytes_max: usize,
}

/// A person on a connection.
#[derive(Debug, Clone)]
pub struct SignedIn {
    address: SipAddress,
    person: PersonUri,
}

impl SignedIn {
    /// The sign-in address.
    #[must_use]
    pub fn address(&self) -> &SipAddress {
        &self.address
    }

    /// What the hub is told with a REGISTER.
    #[must_use]
    pub fn registration(&self, connection: ConnectionId) -> Registration {
        Registration {
            connection,
            person: self.person.clone(),
        }
    }
}

/// Admits the holder of a chat certificate, or says why not.
///
/// The session is entered *before* the last check: whoever revokes first changes the registry and
/// then ends the sessions, so one of the two sees the other.
///
/// # Errors
/// The reason, for the person.
pub async fn admit(
    shared: &Arc<SipShared>,
    id: ConnectionId,
    peer: SocketAddr,
    message: &Message,
    chain: Vec<CertificateDer<'static>>,
) -> Result<SignedIn, Fault> {
    let certificate = chain
        .first()
        .and_then(|der| Certificate::from_der(der.as_ref()).ok())
        .ok_or(Fault::CardCertificateForeign)?;
    let (standing, row) = check(shared, &certificate).await?;
    let asked = message
        .envelope()
        .ok()
        .map(|envelope| envelope.from.uri.to_lowercase());
    let own = standing.account.sip_address.uri();
    // [MS-SIPAE] 3.3.5.2: the From URI must be the one of the credentials.
    if asked.as_deref() != Some(own.as_str()) {
        return Err(Fault::AddressNotOfCard);
    }
    let person = PersonUri::parse(&own).map_err(|_| Fault::ServerInternal)?;
    let info = SessionInfo {
        id: format!("s{}", id.0),
        account: standing.account.id.clone(),
        address: standing.account.sip_address.clone(),
        card_serial: standing.card.as_ref().map(|card| card.serial.to_string()),
        chat_serial: Some(row.serial.to_string()),
        peer: peer.to_string(),
        user_agent: message.header(Name::UserAgent).map(str::to_owned),
        since: OffsetDateTime::now_utc(),
    };
    shared.core.open_session(
        id,
        LiveSession {
            info,
            ends: row.not_after,
        },
    );
    check(shared, &certificate).await?;
    Ok(SignedIn {
        address: standing.account.sip_address.clone(),
        person,
    })
}

async fn check(
    shared: &Arc<SipShared>,
    certificate: &Certificate,
) -> Result<(Standing, CertificateRow), Fault> {
    let app = Arc::clone(&shared.app);
    let serial = certificate.serial();
    let der = certificate.der().to_vec();
    let found = tokio::task::spawn_blocking(move || {
        let people = app.directory.load();
        standing::of_chat_certificate(&serial, &people, &app.store, OffsetDateTime::now_utc())
    })
    .await;
    match found {
        Ok(Ok((_, row))) if row.der.as_deref().is_some_and(|known| known != der) => {
            Err(Fault::CardCertificateForeign)
        }
        Ok(Ok(found)) => Ok(found),
        Ok(Err(StandingError::Refused(fault))) => Err(fault),
        Ok(Err(error)) => {
            tracing::error!(%error, "the registry did not answer");
            Err(Fault::ServerInternal)
        }
        Err(error) => {
            tracing::error!(%error, "the registry did not answer");
            Err(Fault::ServerInternal)
        }
    }
}

/// A value for `ms-diagnostics`.
#[must_use]
pub fn diagnostics(id: u32, reason: &str, source: &str) -> String {
    let clean: String = reason
        .chars()
        .map(|c| if c == '"' { '\'' } else { c })
        .collect();
    format!("{id};reason=\"{clean}\";source=\"{source}\"")
}
