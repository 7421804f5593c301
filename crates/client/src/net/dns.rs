// SPDX-License-Identifier: MIT OR Apache-2.0
//! DNS by the system's configuration.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::proto::rr::RData;

use super::NetFault;

/// Time for one try of one question, in milliseconds.
const QUERY_MS_MAX: u64 = 2_000;
/// Tries for one question.
const QUERY_TRIES_MAX: usize = 2;
/// Records of an answer that are looked at.
const RECORDS_MAX: usize = 16;

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrvRecord {
    /// Lower comes first.
    pub priority: u16,
    /// Among equals, higher comes more often.
    pub weight: u16,
    /// Host name without the final dot.
    pub target: String,
    /// Port.
    pub port: u16,
}

/// The resolver of the system's configuration.
#[derive(Debug, Clone)]
pub struct Dns {
    // `None` where the system has no usable configuration: then every name is unknown.
    resolver: Option<TokioResolver>,
}

impl Dns {
    /// Reads `resolv.conf` and `hosts`.
    #[must_use]
    pub fn from_system() -> Self {
        let Ok(mut builder) = TokioResolver::builder_tokio() else {
            return Self { resolver: None };
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = Duration::from_millis(QUERY_MS_MAX);
        options.attempts = QUERY_TRIES_MAX;
        Self {
            resolver: builder.build().ok(),
        }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// When there are none.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetFault> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let resolver = self.resolver.as_ref().ok_or(NetFault::NameUnknown)?;
        let found = resolver
            .lookup_ip(fully_qualified(host))
            .await
            .map_err(|_| NetFault::NameUnknown)?;
        let addresses: Vec<_> = found
            .iter()
            .take(RECORDS_MAX)
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        if addresses.is_empty() {
            Err(NetFault::NameUnknown)
        } else {
            Ok(addresses)
        }
    }

    /// The SRV records of a name, in the order in which they are to be tried.
    ///
    /// # Errors
    /// When there are none.
    pub async fn srv(&self, name: &str) -> Result<Vec<SrvRecord>, NetFault> {
        let resolver = self.resolver.as_ref().ok_or(NetFault::NameUnknown)?;
        let found = resolver
            .srv_lookup(fully_qualified(name))
            .await
            .map_err(|_| NetFault::NameUnknown)?;
        let mut records: Vec<SrvRecord> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(SrvRecord {
                    priority: srv.priority,
                    weight: srv.weight,
                    target: srv
                        .target
                        .to_utf8()
                        .trim_end_matches('.')
                        .to_ascii_lowercase(),
                    port: srv.port,
                }),
                _ => None,
            })
            .filter(|record| !record.target.is_empty() && record.port != 0)
            .take(RECORDS_MAX)
            .collect();
        records.sort_by_key(|record| (record.priority, u16::MAX - record.weight));
        if records.is_empty() {
            Err(NetFault::NameUnknown)
        } else {
            Ok(records)
        }
    }
}

/// With the final dot: the search list of the system must not turn a name into another one. Names without any dot
/// (`localhost`) go through the hosts file as they are.
fn fully_qualified(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') {
        format!("{name}.")
    } else {
        name.to_owned()
    }
}
