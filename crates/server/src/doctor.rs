// SPDX-License-Identifier: MIT OR Apache-2.0
//! The doctor: looks at the whole installation and says what is wrong, each with a next step.

mod checks;
mod files;

use std::path::Path;

use lanyard_store::Store;
use serde::Serialize;
use time::OffsetDateTime;

use crate::admin::{Request, ServerAnswer, ask_server};
use crate::config;
use crate::data::DataDir;
use crate::problem::Problem;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and will soon not, or is not as safe as it could be.
    Warning,
    /// Does not work, or is not safe.
    Wrong,
}

impl Level {
    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "WRONG",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub next: Option<String>,
}

impl Check {
    pub(crate) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            level: Level::Ok,
            found: found.into(),
            next: None,
        }
    }

    pub(crate) fn warning(
        name: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            name,
            level: Level::Warning,
            found: found.into(),
            next: Some(next.into()),
        }
    }

    pub(crate) fn wrong(
        name: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            name,
            level: Level::Wrong,
            found: found.into(),
            next: Some(next.into()),
        }
    }

    pub(crate) fn problem(name: &'static str, problem: &Problem) -> Self {
        let found = format!("{} ({})", problem.message(), problem.fault().code());
        Self::wrong(name, found, problem.fault().next_step())
    }
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong; warnings are not counted.
    pub healthy: bool,
    /// The findings.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }

    /// The result in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |level| {
            self.checks
                .iter()
                .filter(|check| check.level == level)
                .count()
        };
        match (count(Level::Wrong), count(Level::Warning)) {
            (0, 0) => "all is well".to_owned(),
            (0, warnings) => format!("nothing is wrong; warnings: {warnings}"),
            (wrong, warnings) => format!("wrong: {wrong}; warnings: {warnings}"),
        }
    }
}

/// Looks at everything. Changes nothing, and works beside a running server.
#[must_use]
pub fn examine(data: &DataDir, config_file: Option<&Path>) -> Report {
    let now = OffsetDateTime::now_utc();
    let mut checks = files::permissions(data);
    checks.push(files::disk_space(data));

    let config = config::find_file(config_file, data)
        .and_then(|file| config::load(&file).map(|config| (file, config)));
    let config = match config {
        Ok((file, config)) => {
            checks.push(Check::ok("configuration", file.display().to_string()));
            Some(config)
        }
        Err(error) => {
            checks.push(Check::problem("configuration", &Problem::from(error)));
            None
        }
    };

    let running = matches!(ask_server(data, &Request::Ping), Ok(ServerAnswer::Done(_)));
    checks.push(match running {
        true => Check::ok("server", "running"),
        false => Check::ok("server", "not running"),
    });

    checks.extend(checks::clock(now, data));
    checks.extend(checks::certificates(data, config.as_ref(), now));
    match Store::open_to_read(&data.database_file()) {
        Err(error) => checks.push(Check::problem("database", &Problem::from(error))),
        Ok(store) => {
            checks.extend(checks::database(&store, data, now));
        }
    }
    if let Some(config) = &config {
        checks.extend(checks::legacy_sign_in(config));
        checks.extend(checks::ports(config, running));
    }
    let healthy = checks.iter().all(|check| check.level != Level::Wrong);
    Report { healthy, checks }
}
