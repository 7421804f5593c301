// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration: one TOML file, with single keys overridden by the environment.

mod error;
mod read;
mod template;

pub use error::ConfigError;
pub use read::{ENVIRONMENT_PREFIX, find_file, load, load_from};
pub use template::{TemplateValues, file_text};

use std::net::SocketAddr;
use std::path::PathBuf;

use lanyard_directory::DomainName;
use serde::{Deserialize, Serialize};

/// The whole configuration. Every key except those of `[server]` has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this server is.
    pub server: Server,
    /// Where it listens.
    #[serde(default)]
    pub listen: Listen,
    /// The ports that clients are told, where they differ from those listened on.
    #[serde(default)]
    pub advertise: Advertise,
    /// Certificate and key of the listeners.
    #[serde(default)]
    pub tls: Tls,
    /// How SIP clients sign in.
    #[serde(default)]
    pub sip: Sip,
    /// Limits on clients.
    #[serde(default)]
    pub limits: Limits,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// Who this server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The name that clients connect to.
    pub host: DomainName,
    /// The domains of sign-in addresses that live here.
    pub domains: Vec<DomainName>,
    /// The organisation, shown on pages.
    #[serde(default)]
    pub organisation: Option<String>,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// SIP over TLS.
    pub sip: SocketAddr,
    /// HTTPS: discovery, tickets, chat certificates, enrolment.
    pub https: SocketAddr,
    /// HTTPS with the card's certificate.
    pub card: SocketAddr,
    /// Plain HTTP: discovery redirect, revocation list, issuing certificate.
    pub http: SocketAddr,
    /// Metrics and health; loopback only.
    pub metrics: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            sip: any(5061),
            https: any(443),
            card: any(49443),
            http: any(80),
            metrics: SocketAddr::from(([127, 0, 0, 1], 9464)),
        }
    }
}

/// The ports that clients are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Advertise {
    /// SIP over TLS.
    pub sip: Option<u16>,
    /// HTTPS.
    pub https: Option<u16>,
    /// HTTPS with the card's certificate.
    pub card: Option<u16>,
    /// Plain HTTP.
    pub http: Option<u16>,
}

/// Certificate and key of the listeners; relative paths are meant from the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "tls/server.pem".into(),
            key: "tls/server.key".into(),
        }
    }
}

/// How SIP clients sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Accepts clients whose inner handshake is TLS 1.0 with RSA key transport.
    pub legacy_tls_dsk: bool,
}

/// Limits on clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections that one listener holds.
    pub connections_max: u32,
    /// A SIP connection without a word is closed after this time.
    pub sip_idle_secs: u32,
    /// The largest SIP message.
    pub sip_message_bytes_max: u32,
    /// A registration lasts so long when the client names no time.
    pub sip_registration_secs: u32,
    /// A client proves its key again after this time.
    pub sip_association_secs: u32,
    /// Clients are asked for a sign of life this often. Who promises one and gives none for four times
    /// as long has lost its connection.
    pub sip_keep_alive_secs: u32,
    /// After its connection is lost, an endpoint counts as signed in for so long.
    pub sip_grace_secs: u32,
    /// A card that has to show that it is there may be so late before its session ends.
    pub presence_grace_secs: u32,
    /// Enrolments that one network address may try in a minute.
    pub enrolments_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            sip_idle_secs: 900,
            sip_message_bytes_max: 256 * 1024,
            sip_registration_secs: 600,
            sip_association_secs: 8 * 60 * 60,
            sip_keep_alive_secs: 30,
            sip_grace_secs: 30,
            presence_grace_secs: 60,
            enrolments_per_minute: 30,
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// What is logged: a level, or directives such as `info,lanyard_server=debug`.
    pub level: String,
    /// How it is written.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl Config {
    /// The SIP port that clients are told.
    #[must_use]
    pub fn sip_port(&self) -> u16 {
        self.advertise.sip.unwrap_or(self.listen.sip.port())
    }

    /// The HTTPS port that clients are told.
    #[must_use]
    pub fn https_port(&self) -> u16 {
        self.advertise.https.unwrap_or(self.listen.https.port())
    }

    /// The port of the card listener that clients are told.
    #[must_use]
    pub fn card_port(&self) -> u16 {
        self.advertise.card.unwrap_or(self.listen.card.port())
    }

    /// The plain HTTP port that clients are told.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.advertise.http.unwrap_or(self.listen.http.port())
    }

    /// The address listeners with the names of their keys, in a fixed order.
    #[must_use]
    pub fn listeners(&self) -> [(&'static str, SocketAddr); 5] {
        let listen = &self.listen;
        [
            ("sip", listen.sip),
            ("https", listen.https),
            ("card", listen.card),
            ("http", listen.http),
            ("metrics", listen.metrics),
        ]
    }

    /// The keys in which the other configuration differs and that only a restart brings into force.
    #[must_use]
    pub fn restart_needed(&self, other: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut compare = |differs: bool, key| {
            if differs {
                keys.push(key);
            }
        };
        compare(self.server.host != other.server.host, "server.host");
        compare(
            self.server.domains != other.server.domains,
            "server.domains",
        );
        compare(
            self.server.organisation != other.server.organisation,
            "server.organisation",
        );
        compare(self.listen != other.listen, "listen");
        compare(self.advertise != other.advertise, "advertise");
        compare(self.sip != other.sip, "sip");
        compare(self.limits != other.limits, "limits");
        compare(self.log.format != other.log.format, "log.format");
        keys
    }
}
