// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log: lines for people or JSON for machines, on standard error; the level can change.

use lanyard_fault::Fault;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat};
use crate::problem::Problem;

/// Changes what is logged.
#[derive(Debug, Clone)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

impl LogLevel {
    /// Begins to log.
    ///
    /// # Errors
    /// When the level cannot be understood, or something logs already.
    pub fn start(log: &Log) -> Result<Self, Problem> {
        let (filter, handle) = reload::Layer::new(filter(&log.level)?);
        let registry = tracing_subscriber::registry().with(filter);
        let started = match log.format {
            LogFormat::Text => registry
                .with(fmt::layer().with_writer(std::io::stderr).with_ansi(false))
                .try_init(),
            LogFormat::Json => registry
                .with(fmt::layer().json().with_writer(std::io::stderr))
                .try_init(),
        };
        started.map_err(|error| Problem::with(Fault::ServerInternal, error))?;
        Ok(Self { handle })
    }

    /// Logs at another level from now on.
    ///
    /// # Errors
    /// When the level cannot be understood.
    pub fn change(&self, level: &str) -> Result<(), Problem> {
        self.handle
            .reload(filter(level)?)
            .map_err(|error| Problem::with(Fault::ServerInternal, error))
    }
}

fn filter(level: &str) -> Result<EnvFilter, Problem> {
    EnvFilter::try_new(level)
        .map_err(|error| Problem::with(Fault::ConfigInvalid, format_args!("log.level: {error}")))
}
