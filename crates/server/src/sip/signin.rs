// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a proved chat certificate to a session: who it is, what stands behind it, whether they may.

use super::core::{LiveSession, SipCore};
use crate::app::App;
use crate::federation::standing::{self, Standing, StandingError};
use crate::sessions::SessionInfo;
use lanyard_authority::{Actor, CertificateRow};
use lanyard_directory::SipAddress;
use lanyard_fault::Fault;
use lanyard_presence::{ConnectionId, PersonUri, Registration};
use lanyard_sip::{Headers, Message, Name};
use lanyard_x509::{Certificate, RevocationReason, Serial, Sid};
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
    /// The same for one that has promised to keep the connection alive.
    pub promised: Duration,
    /// A client must prove its key again after this time.
    pub association: Duration,
    /// A larger message is refused, and the connection closed.
    pub message_bytes_max: usize,
}

/// Our own header on the last REGISTER of a session.
const CHAT_KEY_HEADER: &str = "Lanyard-Chat-Key";
/// Its value when the client has destroyed the key.
const CHAT_KEY_DESTROYED: &str = "destroyed";

/// A person on a connection.
#[derive(Debug, Clone)]
pub struct SignedIn {
    address: SipAddress,
    person: PersonUri,
    account: Sid,
    chat: Serial,
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
        account: row.account.clone().ok_or(Fault::ServerInternal)?,
        chat: row.serial,
    })
}

/// Whether a client says with its last REGISTER that it has destroyed its chat key. Our own does at
/// Sign Out, Exit and *Delete my sign-in info*.
#[must_use]
pub fn gives_chat_key_up(message: &Message) -> bool {
    message.expires_secs() == Some(0)
        && message
            .headers_named(CHAT_KEY_HEADER)
            .any(|value| value.eq_ignore_ascii_case(CHAT_KEY_DESTROYED))
}

/// Withdraws the chat certificate of a session whose client has destroyed the key.
pub async fn withdraw_chat_certificate(shared: &Arc<SipShared>, who: &SignedIn) {
    let (app, who) = (Arc::clone(&shared.app), who.clone());
    let done = tokio::task::spawn_blocking(move || {
        let by = Actor::Person(who.account.clone());
        let reason = RevocationReason::CessationOfOperation;
        app.authority
            .revoke(&who.chat, reason, by, OffsetDateTime::now_utc())
            .map(|_| ())
    });
    if let Ok(Err(error)) = done.await {
        tracing::error!(%error, "a chat certificate could not be withdrawn");
    }
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
