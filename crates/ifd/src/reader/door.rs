// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket on which cards come in.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Everybody may look, only the owner may write.
const DIRECTORY_MODE: u32 = 0o755;
/// Everybody may knock: who may come in is decided by what the kernel says of the guest.
const SOCKET_MODE: u32 = 0o666;
/// Who else may write.
const OTHERS_WRITE: u32 = 0o022;

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The directory cannot be made or looked at.
    #[error("the directory {0} cannot be used: {1}")]
    Directory(PathBuf, #[source] io::Error),
    /// Somebody else could put a socket of his own there.
    #[error("the directory {0} belongs to others or lets others write")]
    NotPrivate(PathBuf),
    /// There is something at the path that is no socket.
    #[error("{0} is there and is no socket")]
    Occupied(PathBuf),
    /// The system refused something else.
    #[error("the socket cannot be made: {0}")]
    System(#[source] io::Error),
}

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Makes the directory if need be, and the socket in the place of an earlier one.
    pub fn open(path: &Path) -> Result<Self, DoorError> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        make(directory)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(DoorError::Occupied(path.to_owned()));
            }
            Ok(_) => fs::remove_file(path).map_err(DoorError::System)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DoorError::System(error)),
        }
        let door = Self {
            listener: UnixListener::bind(path).map_err(DoorError::System)?,
            path: path.to_owned(),
        };
        door.listener
            .set_nonblocking(true)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)))
            .map_err(DoorError::System)?;
        Ok(door)
    }

    /// The next guest, and whose it is.
    pub fn accept(&self) -> io::Result<Option<(UnixStream, u32)>> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                let peer = rustix::net::sockopt::socket_peercred(&stream)?;
                Ok(Some((stream, peer.uid.as_raw())))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::Interrupted
                        | io::ErrorKind::ConnectionAborted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a directory and those above it, and sees that nobody else may write into it.
fn make(directory: &Path) -> Result<(), DoorError> {
    let unusable = |error| DoorError::Directory(directory.to_owned(), error);
    if !directory.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(unusable)?;
        // Whatever the mask of pcscd took away.
        let mode = fs::Permissions::from_mode(DIRECTORY_MODE);
        fs::set_permissions(directory, mode).map_err(unusable)?;
    }
    let found = fs::symlink_metadata(directory).map_err(unusable)?;
    let own = rustix::process::geteuid().as_raw();
    let private = found.is_dir()
        && (found.uid() == own || found.uid() == 0)
        && found.permissions().mode() & OTHERS_WRITE == 0;
    if private {
        Ok(())
    } else {
        Err(DoorError::NotPrivate(directory.to_owned()))
    }
}
