// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which chip: its name in configuration, and opening it.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::error::TpmError;
use crate::transport::{CharacterTransport, Connect, StreamTransport, Transport};

/// The kernel's device with a resource manager: it keeps the programs of a computer apart.
const RESOURCE_MANAGER: &str = "/dev/tpmrm0";
/// What a simulator's name begins with.
const SIMULATOR: &str = "swtpm:";
/// Time to reach a simulator.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A chip's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A character device of the kernel, such as `/dev/tpmrm0`.
    Character(PathBuf),
    /// A simulator's unix socket: `swtpm:/path`.
    Unix(PathBuf),
    /// A simulator's TCP port: `swtpm:host:port`. It is for tests: whoever answers there is the chip.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port of the data channel.
        port: u16,
    },
}

/// The text names no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TPM is an absolute path such as /dev/tpmrm0, swtpm:/path or swtpm:host:port")]
pub struct NotADevice;

impl Default for Device {
    fn default() -> Self {
        Self::Character(PathBuf::from(RESOURCE_MANAGER))
    }
}

impl FromStr for Device {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        let absolute = |path: &str| {
            let path = Path::new(path);
            path.is_absolute().then(|| path.to_owned())
        };
        let Some(simulator) = text.strip_prefix(SIMULATOR) else {
            return absolute(text).map(Self::Character).ok_or(NotADevice);
        };
        if let Some(path) = absolute(simulator) {
            return Ok(Self::Unix(path));
        }
        let (host, port) = simulator.rsplit_once(':').ok_or(NotADevice)?;
        let port = port.parse().map_err(|_| NotADevice)?;
        if host.is_empty() {
            return Err(NotADevice);
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(path) => write!(f, "{}", path.display()),
            Self::Unix(path) => write!(f, "{SIMULATOR}{}", path.display()),
            Self::Tcp { host, port } => write!(f, "{SIMULATOR}{host}:{port}"),
        }
    }
}

impl Connect for Device {
    fn transport(&self) -> Result<Box<dyn Transport>, TpmError> {
        let opened: io::Result<Box<dyn Transport>> = match self {
            Self::Character(path) => OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(path)
                .map(|file| Box::new(CharacterTransport(file)) as _),
            Self::Unix(path) => {
                UnixStream::connect(path).map(|stream| Box::new(StreamTransport(stream)) as _)
            }
            Self::Tcp { host, port } => {
                tcp(host, *port).map(|stream| Box::new(StreamTransport(stream)) as _)
            }
        };
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => TpmError::Denied(error),
            _ => TpmError::Absent(error),
        })
    }
}

fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_back_from_its_name() {
        for text in [
            "/dev/tpmrm0",
            "swtpm:/tmp/t.sock",
            "swtpm:127.0.0.1:2321",
            "swtpm:[::1]:2",
        ] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!(Device::default().to_string(), "/dev/tpmrm0");
    }

    #[test]
    fn what_names_no_device_is_refused() {
        for text in [
            "",
            "tpm0",
            "swtpm:",
            "swtpm:host",
            "swtpm::1",
            "swtpm:host:99999",
        ] {
            assert_eq!(text.parse::<Device>(), Err(NotADevice), "{text:?}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_absent() {
        let device = Device::Character("/dev/no-such-tpm".into());
        assert!(matches!(device.connect().err(), Some(TpmError::Absent(_))));
    }
}
