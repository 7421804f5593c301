// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the client keeps things: the XDG directories of one person and one profile.

use std::env;
use std::fmt;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lanyard_fault::Fault;

use crate::problem::Problem;

/// Longest profile name, in bytes.
const PROFILE_BYTES_MAX: usize = 32;
/// Mode of every directory that the client makes.
const DIR_MODE: u32 = 0o700;

/// The name of a profile: one agent, one session, one set of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile(String);

impl Profile {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no profile name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a profile name has 1 to {PROFILE_BYTES_MAX} lower-case letters, digits or hyphens")]
pub struct ProfileError;

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let letters = text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if text.is_empty() || text.len() > PROFILE_BYTES_MAX || !letters || text.starts_with('-') {
            return Err(ProfileError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The directories of this person, already with `lanyard` at their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `$XDG_CONFIG_HOME/lanyard`.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/lanyard`.
    pub state: PathBuf,
    /// `$XDG_DATA_HOME/lanyard`.
    pub data: PathBuf,
    /// `$XDG_CACHE_HOME/lanyard`.
    pub cache: PathBuf,
    /// `$XDG_RUNTIME_DIR/lanyard`.
    pub runtime: PathBuf,
}

impl Places {
    /// Reads the environment.
    ///
    /// # Errors
    /// When neither the XDG variable nor HOME says where a directory is.
    pub fn from_env() -> Result<Self, Problem> {
        let base = |variable: &str, below_home: &str| -> Result<PathBuf, Problem> {
            let absolute = |name: &str| {
                env::var_os(name)
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute())
            };
            if let Some(path) = absolute(variable) {
                return Ok(path.join("lanyard"));
            }
            let home = absolute("HOME").ok_or_else(|| {
                Problem::new(Fault::LocalFile)
                    .with_detail(format!("Neither {variable} nor HOME is set."))
            })?;
            Ok(home.join(below_home).join("lanyard"))
        };
        let state = base("XDG_STATE_HOME", ".local/state")?;
        let runtime = match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
            Some(path) if path.is_absolute() => path.join("lanyard"),
            // Without a session manager (ssh, containers) the sockets stand below the state directory.
            _ => state.join("run"),
        };
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?,
            state,
            data: base("XDG_DATA_HOME", ".local/share")?,
            cache: base("XDG_CACHE_HOME", ".cache")?,
            runtime,
        })
    }

    /// The files of a profile.
    #[must_use]
    pub fn profile_state(&self, profile: &Profile) -> PathBuf {
        self.state.join(profile.as_str())
    }

    /// The agent's socket.
    #[must_use]
    pub fn agent_socket(&self, profile: &Profile) -> PathBuf {
        self.runtime.join(format!("{profile}.sock"))
    }

    /// The file whose lock makes the agent the only one.
    #[must_use]
    pub fn agent_lock(&self, profile: &Profile) -> PathBuf {
        self.runtime.join(format!("{profile}.lock"))
    }

    /// Virtual cards, one directory each.
    #[must_use]
    pub fn cards(&self) -> PathBuf {
        self.data.join("cards")
    }

    /// Sockets of the virtual cards.
    #[must_use]
    pub fn card_sockets(&self) -> PathBuf {
        self.runtime.join("cards")
    }
}

/// Makes a directory (and its parents) that only this person may enter.
///
/// # Errors
/// When it cannot be made, or belongs to somebody else.
pub fn private_dir(path: &Path) -> Result<(), Problem> {
    let failed = |source: std::io::Error| file_problem(path, &source);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .map_err(failed)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Problem::new(Fault::LocalFile)
            .with_detail(format!("{} belongs to somebody else.", path.display())));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(DIR_MODE)).map_err(failed)?;
    }
    Ok(())
}

/// A fault of a local file, with its name and the system's reason.
#[must_use]
pub fn file_problem(path: &Path, source: &std::io::Error) -> Problem {
    Problem::new(Fault::LocalFile).with_detail(format!("{}: {source}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_names_cannot_leave_their_directory() {
        assert!("default".parse::<Profile>().is_ok());
        assert!("work-2".parse::<Profile>().is_ok());
        for bad in [
            "",
            "..",
            "a/b",
            "A",
            "-x",
            &"a".repeat(PROFILE_BYTES_MAX + 1),
        ] {
            assert_eq!(bad.parse::<Profile>(), Err(ProfileError), "{bad}");
        }
    }
}
