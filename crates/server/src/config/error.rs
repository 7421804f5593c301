// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a configuration.

use std::path::PathBuf;

/// Why a configuration cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no configuration where one was looked for.
    #[error("there is no configuration: neither {} nor {}", .first.display(), .second.display())]
    Missing {
        /// The first place.
        first: PathBuf,
        /// The second place.
        second: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML, or a value has the wrong form.
    #[error("{}, line {line}: {message}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A key that does not exist.
    #[error("{}, line {line}: unknown key '{key}'{}", .path.display(), suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// The key as written.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
    },
    /// An environment variable names a key that does not exist.
    #[error("unknown environment variable '{name}'{}", suggestion(.nearest.as_deref()))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The known variable that is most like it.
        nearest: Option<String>,
    },
    /// An environment variable has a value of the wrong form.
    #[error("environment variable {name}: {message}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value is well formed but cannot be.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// Why it cannot be.
        reason: &'static str,
    },
}

fn suggestion(key: Option<&str>) -> String {
    key.map(|key| format!("; did you mean '{key}'?"))
        .unwrap_or_default()
}
