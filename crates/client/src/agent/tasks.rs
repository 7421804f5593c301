// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work that takes time: the registrar's connection, the card's part, the watch over the readers.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use lanyard_card::piv::{NewPin, Pin};
use lanyard_card::{Cancel, CardFault, CardSigner, Cards, LastTry, PinEntry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::core::{DirectoryRequest, SipEvent};
use super::driver::Happened;
use crate::cards::{CardFacts, card_problem, ensure_daemon, facts_of, list_with_own};
use crate::net::{HttpAnswer, HttpRequest, Net, NetFault};
use crate::places::Places;
use crate::signin::{CardTrouble, CardsSeen};
use crate::view::{CardLabel, LeftOut};

/// Time for the handshake with the card and the answer to it, in seconds. The PIN is held no longer.
const CARD_EXCHANGE_SECS_MAX: u64 = 30;
/// Bytes that are read from the registrar at a time.
const READ_BYTES: usize = 16 * 1024;
/// Time for the last bytes to the registrar to go out, in seconds.
pub(super) const CLOSE_SECS_MAX: u64 = 2;
/// The readers are looked at again at the latest after this time, in seconds.
const LOOK_SECS_MAX: u64 = 3_600;
/// And after this time, in seconds, when a card was there and could not be read just then.
const LOOK_AGAIN_SECS: u64 = 2;

/// Holds the connection to the registrar until one side closes it.
pub(super) async fn registrar(
    net: Net,
    generation: u64,
    host: String,
    port: u16,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    sender: mpsc::Sender<Happened>,
) {
    let tell = async |event| drop(sender.send(Happened::Sip { generation, event }).await);
    let stream = match net.connect_tls(&host, port, net.trust().web()).await {
        Ok(stream) => stream,
        Err(fault) => return tell(SipEvent::Closed(fault)).await,
    };
    let local = stream
        .get_ref()
        .0
        .local_addr()
        .map(|local| local.to_string());
    tell(SipEvent::Connected {
        local: local.unwrap_or_default(),
    })
    .await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        tokio::select! {
            read = reader.read_buf(&mut buffer) => match read {
                Ok(0) => return tell(SipEvent::Closed(NetFault::Broken)).await,
                Ok(_) => tell(SipEvent::Bytes(buffer.split().freeze())).await,
                Err(error) => return tell(SipEvent::Closed(NetFault::from_io(&error))).await,
            },
            bytes = queue.recv() => {
                let Some(bytes) = bytes else { break };
                if let Err(error) = writer.write_all(&bytes).await {
                    return tell(SipEvent::Closed(NetFault::from_io(&error))).await;
                }
                let _ = writer.flush().await;
            }
        }
    }
    // Our side closes: what the server still says is read, so that our last words are not lost with it.
    let limit = Duration::from_secs(CLOSE_SECS_MAX);
    let _ = timeout(limit, async {
        let _ = writer.shutdown().await;
        let mut rest = BytesMut::with_capacity(READ_BYTES);
        while reader
            .read_buf(&mut rest)
            .await
            .is_ok_and(|count| count > 0)
        {
            rest.clear();
        }
    })
    .await;
}

/// One exchange with the card's certificate. It runs on a thread of its own, because a card signs while it blocks.
pub(crate) async fn card_exchange(
    net: Net,
    cards: Arc<Cards>,
    card: CardFacts,
    pin: PinEntry,
    last_try: bool,
    request: HttpRequest,
) -> Result<HttpAnswer, CardTrouble> {
    let consent = if last_try {
        LastTry::Allow
    } else {
        LastTry::Refuse
    };
    // A PIN at the reader is typed before anybody is dialled: no handshake waits for a person.
    let (made, signer) = oneshot::channel();
    thread::spawn(move || {
        let signer = CardSigner::authentication(cards, &card.summary, pin, consent);
        let _ = made.send(signer);
    });
    let signer = signer
        .await
        .map_err(|_| CardTrouble::Card(CardFault::CardMute))?;
    let signer = signer.map_err(CardTrouble::Card)?;
    let tls = net
        .trust()
        .with_certificate(signer.client_certificate(Vec::new()));
    let (done, outcome) = oneshot::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let answer = match runtime {
            Ok(runtime) => runtime.block_on(crate::net::exchange(&net, request, tls)),
            Err(_) => Err(NetFault::Unreachable),
        };
        let _ = done.send(answer);
    });
    let limit = Duration::from_secs(CARD_EXCHANGE_SECS_MAX);
    let answer = timeout(limit, outcome).await;
    // Used or not, the PIN is gone now.
    let fault = signer.fault();
    signer.forget();
    match (answer, fault) {
        (Ok(Ok(Ok(answer))), _) => Ok(answer),
        (_, Some(fault)) => Err(CardTrouble::Card(fault)),
        (Ok(Ok(Err(fault))), None) => Err(CardTrouble::Net(fault)),
        (Ok(Err(_)), None) => Err(CardTrouble::Net(NetFault::Broken)),
        (Err(_), None) if !signer.has_signed() => Err(CardTrouble::Card(CardFault::CardMute)),
        (Err(_), None) => Err(CardTrouble::Net(NetFault::TimedOut)),
    }
}

/// One exchange with the address book or the ticket service.
pub(super) async fn directory_exchange(
    net: &Net,
    request: DirectoryRequest,
) -> Result<HttpAnswer, NetFault> {
    let tls = match &request.credential {
        None => net.trust().web(),
        Some(credential) => {
            let certificate = credential.client_certificate();
            net.trust()
                .with_certificate(certificate.map_err(|_| NetFault::Broken)?)
        }
    };
    crate::net::exchange(net, request.request, tls).await
}

/// Changes the PIN of a card.
pub(super) async fn change_pin(
    cards: Arc<Cards>,
    card: CardFacts,
    old: Pin,
    new: NewPin,
    last_try: bool,
) -> Result<(), CardFault> {
    let (done, outcome) = oneshot::channel();
    thread::spawn(move || {
        let consent = if last_try {
            LastTry::Allow
        } else {
            LastTry::Refuse
        };
        let result = cards.open(&card.summary.reader).and_then(|mut session| {
            if let Some(guid) = card.summary.guid {
                session.expect_guid(guid)?;
            }
            session.change_pin(&old, &new, consent)
        });
        let _ = done.send(result);
    });
    let limit = Duration::from_secs(CARD_EXCHANGE_SECS_MAX);
    match timeout(limit, outcome).await {
        Ok(Ok(result)) => result,
        _ => Err(CardFault::CardMute),
    }
}

/// A thread that lists the cards, now and after every change, until this is dropped.
#[derive(Debug)]
pub(super) struct CardWatch(Cancel);

impl CardWatch {
    pub(super) fn begin(cards: Arc<Cards>, places: Places, sender: mpsc::Sender<Happened>) -> Self {
        let cancel = Cancel::new();
        let watch = Self(cancel.clone());
        thread::spawn(move || {
            if let Err(problem) = ensure_daemon(&places) {
                tracing::warn!(%problem, "virtual cards are not served");
            }
            loop {
                // Known before the listing: what changes meanwhile is seen by the wait.
                let known = cards.readers().unwrap_or_default();
                let (seen, is_settled) = look(&cards, &places);
                if cancel.is_cancelled() || sender.blocking_send(Happened::Cards(seen)).is_err() {
                    return;
                }
                let secs = if is_settled {
                    LOOK_SECS_MAX
                } else {
                    LOOK_AGAIN_SECS
                };
                let limit = Duration::from_secs(secs);
                if cards.wait_for_change(&known, limit, &cancel).is_err() {
                    return;
                }
            }
        });
        watch
    }
}

impl Drop for CardWatch {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What is in the readers now, and whether every card could be read.
fn look(cards: &Cards, places: &Places) -> (CardsSeen, bool) {
    let mut is_settled = true;
    let listing = match list_with_own(places, cards) {
        Ok(listing) => listing,
        Err(fault) => {
            let seen = CardsSeen {
                pcsc_fault: Some(fault),
                ..CardsSeen::default()
            };
            return (seen, is_settled);
        }
    };
    let mut seen = CardsSeen {
        pcsc_fault: listing.pcsc_fault,
        ..CardsSeen::default()
    };
    for reader in listing.readers {
        seen.readers.push(reader.reader.name.clone());
        match reader.card {
            Ok(summary) => seen.cards.push(facts_of(places, summary)),
            Err(CardFault::NoCard) => {}
            // Gone, or held by another program for a moment: the next look shows what is there.
            Err(CardFault::Removed | CardFault::Interrupted) => is_settled = false,
            Err(fault) => {
                let place = reader.reader.name;
                let card = CardLabel {
                    holder: String::new(),
                    place,
                    is_virtual: false,
                };
                seen.mute.push(LeftOut {
                    card,
                    reason: card_problem(fault),
                });
            }
        }
    }
    (seen, is_settled)
}
