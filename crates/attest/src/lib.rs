// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where does this key live? Checks of what a TPM and a PIV card say about a key of theirs.
//!
//! Pure functions: evidence, roots and time come in, a fact or a refusal goes out. Who asks, which roots an
//! administrator trusts and what a policy demands is for others to know.
//!
//! # A key in a TPM (TPM 2.0 Library, part 1, 9.5.3; the words are AD CS key attestation's)
//!
//! 1. The enrolling computer shows its *endorsement key* (EK), the certificate that the chip's maker gave for it,
//!    and an *attestation key* (AK) of the same chip. [`tpm::make_credential`] wraps a secret so that only the chip
//!    with this EK **and** this AK can read it.
//! 2. The chip opens the wrapping and lets the AK sign a statement about the card's key
//!    (`TPM2_Certify`), with our nonce and the hash of the certificate request in it.
//! 3. [`tpm::certified_key`] checks the statement: made inside a TPM, about this key, which never was and never will
//!    be outside the chip.
//!
//! # A key in a PIV card
//!
//! The card signs a certificate for the key with a key of its maker ([`piv::attested_key`]).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used
    )
)]

mod level;
pub mod piv;
mod roots;
pub mod tpm;

pub use level::{Level, UnknownLevel};
pub use roots::{EkRootError, INTERMEDIATES_MAX, chain_to_roots};
