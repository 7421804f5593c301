// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM keeper against a real software TPM.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "tpm/attestation.rs"]
mod attestation;
#[path = "tpm/bus.rs"]
mod bus;
#[path = "tpm/desk.rs"]
mod desk;
#[path = "tpm/fallback.rs"]
mod fallback;
#[path = "tpm/faults.rs"]
mod faults;
#[path = "tpm/owner.rs"]
mod owner;
#[path = "tpm/pins.rs"]
mod pins;
#[path = "tpm/places.rs"]
mod places;
#[path = "tpm/support.rs"]
mod support;
#[path = "../../tpm/tests/support/swtpm.rs"]
mod swtpm;
#[path = "tpm/usage.rs"]
mod usage;
