// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys in a TPM (TPM 2.0 Library, revision 1.59).

mod certify;
mod credential;
mod kdf;
mod public;

pub use certify::{CertifyError, STATEMENT_BYTES_MAX, Statement, certified_key, qualifying_data};
pub use credential::{
    AttestationKey, Credential, CredentialError, EndorsementKey, SECRET_BYTES, SEED_BYTES,
    make_credential,
};
pub use public::{PUBLIC_BYTES_MAX, Public, PublicError};
