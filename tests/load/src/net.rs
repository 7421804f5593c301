// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS and just enough HTTP to be a client of the server under load.

use crate::card::Credential;
use anyhow::{Context, Result, bail};
use lanyard_tests::server::{HOST, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom the load trusts, and where the server listens.
#[derive(Debug, Clone)]
pub struct Net {
    /// The deployment's root.
    pub roots: Arc<RootCertStore>,
    plain: Arc<ClientConfig>,
    clock: Ahead,
    /// Ports of the deployment.
    pub ports: lanyard_tests::server::Ports,
}

/// A clock that is ahead of the system's.
#[derive(Debug, Clone, Copy)]
struct Ahead(Duration);

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(UnixTime::now().as_secs());
        Some(UnixTime::since_unix_epoch(now + self.0))
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The answer, when it is the expected one.
    ///
    /// # Errors
    /// It is not.
    pub fn expect(self, status: u16) -> Result<Self> {
        if self.status != status {
            bail!("status {} in place of {status}: {}", self.status, self.body);
        }
        Ok(self)
    }
}

impl Net {
    /// Reads the root of a deployment.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(server: &Server) -> Result<Self> {
        Self::ahead_by(server, Duration::ZERO)
    }

    /// The same of a client whose clock is ahead.
    ///
    /// # Errors
    /// As [`Net::new`].
    pub fn ahead_by(server: &Server, time: Duration) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(server.root_certificate())?)?;
        let roots = Arc::new(roots);
        let clock = Ahead(time);
        let config = builder(clock)?
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        Ok(Self {
            roots,
            plain: Arc::new(config),
            clock,
            ports: server.ports,
        })
    }

    /// How far this client's clock is ahead.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        self.clock.0
    }

    /// This client's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn TimeProvider> {
        Arc::new(self.clock)
    }

    /// A connection without a certificate of our own.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connect(&self, port: u16) -> Result<TlsStream<TcpStream>> {
        open(Arc::clone(&self.plain), port).await
    }

    /// A connection with a certificate of our own: the card, in software.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn connect_with(&self, port: u16, card: &Credential) -> Result<TlsStream<TcpStream>> {
        let mut config = builder(self.clock)?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(card.chain.clone(), card.key.to_rustls())?;
        config.resumption = rustls::client::Resumption::disabled();
        open(Arc::new(config), port).await
    }
}

fn builder(clock: Ahead) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(
        ClientConfig::builder_with_details(provider, Arc::new(clock))
            .with_safe_default_protocol_versions()?,
    )
}

async fn open(config: Arc<ClientConfig>, port: u16) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(HOST)?;
    Ok(TlsConnector::from(config).connect(name, stream).await?)
}

/// One request on a connection that stays open.
///
/// # Errors
/// The connection broke or the answer cannot be read.
pub async fn exchange(
    stream: &mut TlsStream<TcpStream>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    let (head, start, length) = loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            bail!("the server closed the connection");
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
            let length = head
                .lines()
                .find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse())?
                        .ok()
                })
                .unwrap_or(0_usize);
            break (head, end + 4, length);
        }
    };
    while bytes.len() < start + length {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            bail!("the answer was cut");
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    let status = head
        .split_whitespace()
        .nth(1)
        .context("no status")?
        .parse()?;
    let body = String::from_utf8_lossy(bytes.get(start..start + length).unwrap_or_default());
    Ok(Answer {
        status,
        body: body.into_owned(),
        head,
    })
}
