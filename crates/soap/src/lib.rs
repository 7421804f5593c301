// SPDX-License-Identifier: MIT OR Apache-2.0
//! SOAP, WS-Trust, web tickets, certificate provisioning, autodiscover: text in, facts out, and back.
//!
//! This crate opens no socket, reads no clock and knows no account. Both sides of the product
//! use it, so that what the server writes is read by the very code that tests it.
//!
//! Everything that comes from outside goes through [`xml::Document`]: no document types, no
//! entities, no processing instructions, and named limits on size, depth and number.

#![warn(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

pub mod address;
pub mod addressbook;
pub mod autodiscover;
pub mod certprov;
pub mod fault;
pub mod mex;
pub mod names;
pub mod oauth;
pub mod passive;
pub mod ticket;
pub mod trust;
pub mod xml;

mod encoding;
mod stamp;

pub use address::{Address, AddressError};

/// `Content-Type` of every SOAP 1.1 request and answer.
pub const CONTENT_TYPE_SOAP: &str = "text/xml; charset=utf-8";
