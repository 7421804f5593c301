// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card shows that it is there: a handshake with its own key (slot 9E), which needs no PIN.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lanyard_card::{CardSigner, Cards};
use lanyard_fault::Fault;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cards::{CardFacts, card_problem};
use crate::net::{HttpRequest, Net, authority, exchange};
use crate::problem::Problem;
use crate::signin::refusal;

/// Time for the whole proof, in seconds.
const PROOF_SECS_MAX: u64 = 20;
/// Where the card listener's address is told.
const SERVICES_PATH: &str = "/api/v1/services";
/// Where the proof is taken.
const PRESENCE_PATH: &str = "/api/v1/card/presence";

#[derive(Deserialize)]
struct Services {
    card: String,
}

/// Proves it to the server that `service` is an address of.
///
/// # Errors
/// The card is gone or has no key for it, or the server refuses.
pub(super) async fn prove(
    net: Net,
    cards: Arc<Cards>,
    card: CardFacts,
    service: &str,
) -> Result<(), Problem> {
    let malformed = || Problem::new(Fault::DiscoveryRefused);
    let (_, host, port) = authority(service).ok_or_else(malformed)?;
    let request = HttpRequest::get(format!("https://{host}:{port}{SERVICES_PATH}"));
    let answer = exchange(&net, request, net.trust().web())
        .await
        .map_err(|fault| fault.problem(&host))?;
    let services: Services = serde_json::from_str(&answer.body).map_err(|_| malformed())?;
    let listener = authority(&services.card);
    // The card is shown to the server of the session, and to no other.
    if !listener.is_some_and(|(secure, named, _)| secure && named == host) {
        return Err(Problem::new(Fault::DiscoveryForeignDomain));
    }
    let url = format!("{}{PRESENCE_PATH}", services.card.trim_end_matches('/'));
    let request = HttpRequest::post(url, "application/json", "{}".to_owned())
        .header("accept", "application/json".to_owned());
    let signer = CardSigner::card_authentication(cards, &card.summary).map_err(card_problem)?;
    let tls = net
        .trust()
        .with_certificate(signer.client_certificate(Vec::new()));
    // A card signs while it blocks.
    let (done, outcome) = oneshot::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            let _ = done.send(runtime.block_on(exchange(&net, request, tls)));
        }
    });
    let answer = timeout(Duration::from_secs(PROOF_SECS_MAX), outcome).await;
    if let Some(fault) = signer.fault() {
        return Err(card_problem(fault));
    }
    let answer = match answer {
        Ok(Ok(answer)) => answer.map_err(|fault| fault.problem(&host))?,
        _ => return Err(Problem::new(Fault::CardMute)),
    };
    match answer.status {
        200 => Ok(()),
        _ => Err(refusal(&answer, &host)),
    }
}
