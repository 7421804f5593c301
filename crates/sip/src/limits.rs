// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one peer may make us hold. All of them are checked while bytes arrive, not afterwards.

/// Start line and headers together, including the empty line.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// One header with its folded continuation lines; the start line as well.
pub const LINE_BYTES_MAX: usize = 32 * 1024;
/// Headers in one message.
pub const HEADERS_MAX: usize = 128;
/// One body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Parameters in one authentication header.
pub const AUTH_PARAMS_MAX: usize = 32;
/// Parts in one multipart body.
pub const PARTS_MAX: usize = 2_048;
/// The greatest sequence number (RFC 3261, 8.1.1.5: below 2^31).
pub const CSEQ_MAX: u32 = 0x7fff_ffff;
