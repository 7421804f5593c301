// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names, connections, TLS and HTTP for the agent and for enrolment. All with time and size limits.

mod dns;
mod fault;
mod http;
mod tls;

pub use dns::{Dns, SrvRecord};
pub use fault::NetFault;
pub use http::{HttpAnswer, HttpRequest, Method, authority, exchange};
pub use tls::{TlsTrust, TrustError};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::ClientConfig;

/// Time for a TCP connection to one address, in milliseconds.
const CONNECT_MS_MAX: u64 = 5_000;
/// Time for a TLS handshake, in milliseconds.
const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Addresses of one name that are tried.
const ADDRESSES_TRIED_MAX: usize = 4;

/// The ways to the network of one agent.
#[derive(Debug, Clone)]
pub struct Net {
    config: Arc<ClientConfig>,
    dns: Dns,
    trust: TlsTrust,
}

impl Net {
    /// Reads the trusted roots and the system's DNS configuration.
    ///
    /// # Errors
    /// When a trust anchor of the configuration cannot be read.
    pub fn new(config: Arc<ClientConfig>) -> Result<Self, TrustError> {
        let trust = TlsTrust::load(&config)?;
        Ok(Self {
            config,
            dns: Dns::from_system(),
            trust,
        })
    }

    /// DNS.
    #[must_use]
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Trusted roots.
    #[must_use]
    pub fn trust(&self) -> &TlsTrust {
        &self.trust
    }

    /// Opens a TCP connection to a named port.
    ///
    /// # Errors
    /// When the name has no address or none of its addresses answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, NetFault> {
        let addresses = self.addresses(host, port).await?;
        let mut last = NetFault::NameUnknown;
        for address in addresses.into_iter().take(ADDRESSES_TRIED_MAX) {
            let limit = Duration::from_millis(CONNECT_MS_MAX);
            last = match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Small messages must not wait for each other.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => NetFault::from_io(&error),
                Err(_) => NetFault::TimedOut,
            };
        }
        Err(last)
    }

    /// Opens a TLS connection with the given client configuration.
    ///
    /// # Errors
    /// When the connection or the handshake fails.
    pub async fn connect_tls(
        &self,
        host: &str,
        port: u16,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<TlsStream<TcpStream>, NetFault> {
        let name = tls::server_name(host)?;
        let stream = self.connect(host, port).await?;
        let limit = Duration::from_millis(HANDSHAKE_MS_MAX);
        match timeout(limit, TlsConnector::from(config).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(NetFault::from_io(&error)),
            Err(_) => Err(NetFault::TimedOut),
        }
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetFault> {
        if let Some(target) = self.config.resolved(host, port) {
            return Ok(vec![target]);
        }
        self.dns.addresses(host, port).await
    }
}
