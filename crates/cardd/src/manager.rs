// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service manager that started the daemon, if one did (sd_notify(3)).

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the manager what the daemon is about to do. Without a manager nobody is told.
pub fn tell(state: &str) {
    if let Err(error) = send(state) {
        tracing::warn!(%error, "the service manager cannot be told: {state}");
    }
}

fn send(state: &str) -> io::Result<()> {
    let Some(address) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}
