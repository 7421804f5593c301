// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one peer may cost us before we know who it is.

use std::time::Duration;

/// Flights that one handshake may take in; two are needed.
pub const HANDSHAKE_ROUNDS_MAX: u32 = 6;
/// Bytes of TLS records that one handshake may take in.
pub const HANDSHAKE_BYTES_MAX: usize = 48 * 1024;
/// From the first flight to the signed REGISTER.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(30);
/// Handshakes that may fail on one connection; the connection is of no use afterwards.
pub const FAILED_HANDSHAKES_MAX: u32 = 5;
/// Handshakes that may begin on one connection within [`HANDSHAKES_WINDOW`]; each costs a signature or
/// a decryption with the server's key.
pub const HANDSHAKES_BEGUN_MAX: usize = 8;
/// The time in which they are counted.
pub const HANDSHAKES_WINDOW: Duration = Duration::from_secs(60);
