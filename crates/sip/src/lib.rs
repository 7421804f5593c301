// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIP messages: bytes in, Message out, and back.
