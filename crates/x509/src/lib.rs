// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates, certificate requests, revocation lists and the keys behind them: bytes in, facts out, and back.
//!
//! This crate opens no file and no socket and reads no clock. It is the only one that knows the RustCrypto types;
//! none of them is part of its public interface, so that they can be exchanged without anybody noticing.
//!
//! What came from outside is untrusted until it has passed the right door:
//! * a [`Csr`] exists only when its signature fits its own key; what else it asks for is a [`Wish`], for display;
//! * a [`Certificate`] is merely well formed: what it says about a person is a [`Claims`] and proves nothing;
//! * a [`VerifiedCertificate`] comes only from [`verify_chain`].

mod certificate;
mod chain;
mod crl;
mod csr;
mod extensions;
mod identity;
mod key;
mod name;
mod oid;
mod serial;
mod signed;
mod signer;
mod text;
mod times;

pub use certificate::{
    CERTIFICATE_BYTES_MAX, Certificate, CertificateError, CertificateFields, CertificateSpec,
    Claims, TbsCertificate,
};
pub use chain::{
    CHAIN_CERTIFICATES_MAX, ChainCheck, ChainError, VerifiedCertificate, verify_chain,
};
pub use crl::{
    CRL_BYTES_MAX, Crl, CrlError, CrlSpec, RevocationReason, RevokedEntry, UnknownReason,
};
pub use csr::{CSR_BYTES_MAX, CSR_TEXT_BYTES_MAX, Csr, CsrBuilder, CsrError, CsrToSign, Wish};
pub use extensions::{
    AlternativeName, BasicConstraints, ExtensionError, Extensions, KeyUsage, TemplateInfo,
};
pub use identity::{Email, IdentityError, Sid, Upn};
pub use key::{
    KeyAlgorithm, KeyError, PublicKey, RSA_BITS_MAX, RSA_BITS_MIN, SignatureAlgorithm,
    SignatureError,
};
pub use name::{DistinguishedName, NameError};
pub use oid::{Eku, Oid, OidError};
pub use serial::{KeyId, SERIAL_BYTES_MAX, Serial, SerialError, Thumbprint, ThumbprintError};
pub use signer::{SignError, Signer, SoftwareKey, SoftwareKeyError};
pub use text::PemError;
