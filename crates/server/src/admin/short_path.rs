// SPDX-License-Identifier: MIT OR Apache-2.0
//! A socket in a directory with a long name: an address of a socket holds 107 bytes of path.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The longest path that an address of a socket holds, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A path to a socket that is short enough, for as long as this is held.
#[derive(Debug)]
pub(super) struct ShortPath {
    path: PathBuf,
    _directory: Option<File>,
}

impl ShortPath {
    /// The path itself, or a way to it through the open directory.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self {
                path: path.to_owned(),
                _directory: None,
            });
        };
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self {
                path: path.to_owned(),
                _directory: None,
            });
        }
        let directory = File::open(parent)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self {
            path,
            _directory: Some(directory),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_socket_with_a_long_path_is_made_and_reached() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(60)).join("e".repeat(60));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("admin.sock");
        assert!(UnixListener::bind(&path).is_err());
        let _listener = UnixListener::bind(ShortPath::of(&path).unwrap().path()).unwrap();
        assert!(path.exists());
        UnixStream::connect(ShortPath::of(&path).unwrap().path()).unwrap();
    }
}
