// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS-DSK security associations and message signatures.
