// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting connections: bounded, and never waiting for one client in the accept loop.

use crate::guests::{GUESTS_MAX, Guest, Guests};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A TLS handshake that takes longer is dropped.
pub const HANDSHAKE_TIMEOUT_SECS: u64 = 10;
/// How long open connections may take to end when the server stops.
pub const DRAIN_SECS: u64 = 5;

/// The TLS configuration of a listener, exchanged as a whole on reload.
pub type SharedTls = Arc<ArcSwap<ServerConfig>>;

/// Accepts TLS connections until `stop` becomes true, then waits for the open ones. With
/// `connections_max` of them open, one more is closed at once. The handler gets the peer as a guest,
/// who stays one until that value is dropped.
pub async fn serve_tls<H, F>(
    name: &'static str,
    listener: TcpListener,
    connections_max: usize,
    tls: SharedTls,
    mut stop: watch::Receiver<bool>,
    handler: H,
) where
    H: Fn(TlsStream<TcpStream>, SocketAddr, Guest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // Fewer than connections in all: guests make room for guests before there is no room at all.
    let guests = Guests::new(GUESTS_MAX.min(connections_max / 2).max(1));
    let mut tasks = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors or the like: breathe, the listener itself is fine.
                    tracing::warn!(listener = name, %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= connections_max {
            tracing::warn!(listener = name, %peer, "too many connections, one was closed");
            continue;
        }
        let Some(guest) = guests.enter(Instant::now()) else {
            tracing::warn!(listener = name, %peer, "too many handshakes at once, one was closed");
            continue;
        };
        let acceptor = TlsAcceptor::from(tls.load_full());
        let handler = handler.clone();
        tasks.spawn(async move {
            let mut guest = guest;
            let _ = stream.set_nodelay(true);
            let limit = Duration::from_secs(HANDSHAKE_TIMEOUT_SECS);
            let shaken = tokio::select! {
                shaken = tokio::time::timeout(limit, acceptor.accept(stream)) => shaken,
                () = guest.sent_away() => {
                    tracing::info!(listener = name, %peer, "a slow TLS handshake made room");
                    return;
                }
            };
            guest.has_shaken(Instant::now());
            match shaken {
                Ok(Ok(stream)) => handler(stream, peer, guest).await,
                Ok(Err(error)) => {
                    tracing::info!(listener = name, %peer, %error, "TLS handshake failed")
                }
                Err(_) => tracing::info!(listener = name, %peer, "TLS handshake took too long"),
            }
        });
    }
    drain(name, tasks).await;
}

/// Accepts plain connections until `stop` becomes true.
pub async fn serve_plain<H, F>(
    name: &'static str,
    listener: TcpListener,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
    handler: H,
) where
    H: Fn(TcpStream, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) if tasks.len() < connections_max => {
                let handler = handler.clone();
                tasks.spawn(async move { handler(stream, peer).await });
            }
            Ok((_, peer)) => tracing::warn!(listener = name, %peer, "too many connections"),
            Err(error) => {
                tracing::warn!(listener = name, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drain(name, tasks).await;
}

/// Waits until the server is to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could say so is gone: that is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn drain(name: &'static str, mut tasks: JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(DRAIN_SECS), all)
        .await
        .is_err()
    {
        tracing::info!(
            listener = name,
            "closing the connections that are still open"
        );
    }
}
