// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates: read, and made in two steps, so that what is signed can be looked at first.

use std::fmt;

use der::{Decode, Encode, Sequence};
use rustls_pki_types::CertificateDer;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use time::OffsetDateTime;
use x509_cert::certificate::{TbsCertificate as RawTbs, Version};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Validity;

use crate::extensions::{self, ExtensionError, Extensions};
use crate::identity::{Email, Sid, Upn};
use crate::key::{KeyError, PublicKey, SignatureAlgorithm, SignatureError};
use crate::name::DistinguishedName;
use crate::oid::Oid;
use crate::serial::{Serial, SerialError, Thumbprint};
use crate::signed;
use crate::signer::{SignError, Signer};
use crate::text::{self, PemError};
use crate::times;

/// Largest certificate that is read, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

const PEM_LABEL: &str = "CERTIFICATE";

/// A well-formed certificate and its DER. That it is well formed says nothing about whether it is true.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    fields: CertificateFields,
}

impl Certificate {
    /// Reads strict DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge);
        }
        let signed = signed::split(der).map_err(|_| CertificateError::Malformed)?;
        let raw = RawTbs::from_der(signed.to_be_signed).map_err(|_| CertificateError::Malformed)?;
        // RFC 5280, 4.1.1.2: the algorithm outside has to be the one inside, where the signature protects it.
        if raw.signature().to_der() != signed.algorithm.to_der() {
            return Err(CertificateError::AlgorithmMismatch);
        }
        Ok(Self {
            der: der.to_vec(),
            fields: CertificateFields::read(&raw)?,
        })
    }

    /// Reads the first certificate of a PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        Self::from_der(&text::decode(&[PEM_LABEL], pem)?)
    }

    /// Reads all certificates of a PEM text, in order.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        text::decode_all(PEM_LABEL, pem)?
            .iter()
            .map(|der| Self::from_der(der))
            .collect()
    }

    /// The certificate's bytes, as they came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> String {
        text::encode(PEM_LABEL, &self.der)
    }

    /// The certificate in the type that rustls takes.
    pub fn to_rustls(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.der.clone())
    }

    /// Everything that the certificate says.
    pub fn fields(&self) -> &CertificateFields {
        &self.fields
    }

    /// Its serial number.
    pub fn serial(&self) -> Serial {
        self.fields.serial
    }

    /// Whom it is about.
    pub fn subject(&self) -> &DistinguishedName {
        &self.fields.subject
    }

    /// Who says so.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.fields.issuer
    }

    /// From when it holds.
    pub fn not_before(&self) -> OffsetDateTime {
        self.fields.not_before
    }

    /// Until when it holds.
    pub fn not_after(&self) -> OffsetDateTime {
        self.fields.not_after
    }

    /// The public key, when it is of a kind and strength that we accept.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki_der(&self.fields.spki_der)
    }

    /// The SubjectPublicKeyInfo in DER, whatever it is.
    pub fn spki_der(&self) -> &[u8] {
        &self.fields.spki_der
    }

    /// The extensions.
    pub fn extensions(&self) -> &Extensions {
        &self.fields.extensions
    }

    /// The contents of an extension that this crate does not know, as they stand in the certificate; `None` when it has
    /// no such extension.
    pub fn extension_value(&self, oid: &Oid) -> Option<Vec<u8>> {
        let signed = signed::split(&self.der).ok()?;
        let raw = RawTbs::from_der(signed.to_be_signed).ok()?;
        let found = raw.extensions()?.iter().find(|e| e.extn_id == oid.0)?;
        Some(found.extn_value.as_bytes().to_vec())
    }

    /// Who the certificate says it is about: to show, or to pick a card by, never to let anybody in.
    pub fn claims(&self) -> Claims {
        self.fields.claims()
    }

    /// SHA-256 over the DER.
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of(&self.der)
    }

    /// Checks the signature with the issuer's key; nothing else is checked here.
    pub fn verify_signature(&self, issuer_key: &PublicKey) -> Result<(), SignatureError> {
        let signed = signed::split(&self.der).map_err(|_| SignatureError::Invalid)?;
        let algorithm = SignatureAlgorithm::from_identifier(signed.algorithm)?;
        issuer_key.verify(algorithm, signed.to_be_signed, signed.signature)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Certificate({}, {})",
            self.fields.serial, self.fields.subject
        )
    }
}

/// Everything a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFields {
    /// Whether it is of version 3; older ones have no extensions.
    pub is_v3: bool,
    /// Its serial number.
    pub serial: Serial,
    /// How it is signed; `None` when it is an algorithm that we do not accept.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// Who made it.
    pub issuer: DistinguishedName,
    /// From when it holds.
    pub not_before: OffsetDateTime,
    /// Until when it holds, that second included.
    pub not_after: OffsetDateTime,
    /// Whom it is about.
    pub subject: DistinguishedName,
    /// The public key in DER.
    pub spki_der: Vec<u8>,
    /// The extensions.
    pub extensions: Extensions,
}

impl CertificateFields {
    fn read(raw: &RawTbs) -> Result<Self, CertificateError> {
        let validity = raw.validity();
        let time = |time| times::from_x509(time).ok_or(CertificateError::Malformed);
        let serial = raw.serial_number().as_bytes();
        if serial.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Err(CertificateError::Serial(SerialError::Negative));
        }
        Ok(Self {
            is_v3: raw.version() == Version::V3,
            serial: Serial::from_be_bytes(serial)?,
            signature_algorithm: raw
                .signature()
                .to_der()
                .ok()
                .and_then(|der| SignatureAlgorithm::from_der(&der)),
            issuer: DistinguishedName(raw.issuer().clone()),
            not_before: time(validity.not_before)?,
            not_after: time(validity.not_after)?,
            subject: DistinguishedName(raw.subject().clone()),
            spki_der: raw
                .subject_public_key_info()
                .to_der()
                .map_err(|_| CertificateError::Malformed)?,
            extensions: extensions::decode(raw.extensions().map_or(&[], Vec::as_slice))?,
        })
    }

    /// Who the certificate says it is about.
    pub fn claims(&self) -> Claims {
        Claims {
            common_name: self.subject.common_name(),
            upn: self.extensions.upn().cloned(),
            email: self.extensions.email().cloned(),
            account: self.extensions.sid.clone(),
            sip_addresses: self.extensions.sip_addresses(),
        }
    }
}

/// Who a certificate says it is about. Nobody has checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The common name of the subject.
    pub common_name: Option<String>,
    /// The user principal name.
    pub upn: Option<Upn>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The account's immutable identifier.
    pub account: Option<Sid>,
    /// The sign-in addresses, without `sip:`.
    pub sip_addresses: Vec<String>,
}

/// Everything that is needed to make a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSpec {
    /// Its serial number.
    pub serial: Serial,
    /// Who makes it.
    pub issuer: DistinguishedName,
    /// Whom it is about.
    pub subject: DistinguishedName,
    /// From when it holds.
    pub not_before: OffsetDateTime,
    /// Until when it holds.
    pub not_after: OffsetDateTime,
    /// The subject's key.
    pub public_key: PublicKey,
    /// What else it says.
    pub extensions: Extensions,
}

impl CertificateSpec {
    /// Encodes what will be signed.
    pub fn encode(
        &self,
        algorithm: SignatureAlgorithm,
    ) -> Result<TbsCertificate, CertificateError> {
        let extensions = extensions::encode(&self.extensions, self.subject.is_empty())?;
        let unencodable = |_| CertificateError::Unencodable;
        let tbs = Tbs {
            version: Version::V3,
            serial_number: SerialNumber::new(self.serial.as_be_bytes()).map_err(unencodable)?,
            signature: algorithm.owned_identifier(),
            issuer: self.issuer.0.clone(),
            validity: Validity::new(
                times::to_x509(self.not_before).map_err(unencodable)?,
                times::to_x509(self.not_after).map_err(unencodable)?,
            ),
            subject: self.subject.0.clone(),
            spki: SubjectPublicKeyInfoOwned::from_der(self.public_key.spki_der())
                .map_err(unencodable)?,
            extensions: Some(extensions).filter(|list| !list.is_empty()),
        };
        Ok(TbsCertificate {
            der: tbs.to_der().map_err(unencodable)?,
            algorithm,
        })
    }

    /// Encodes and signs in one step, for certificates that sign themselves and for tests.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Certificate, CertificateError> {
        self.encode(signer.algorithm())?.sign(signer)
    }
}

/// A certificate without its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TbsCertificate {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

impl TbsCertificate {
    /// The bytes to be signed.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// How they are to be signed.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Reads the bytes back: what the certificate will say, not what was meant.
    pub fn fields(&self) -> Result<CertificateFields, CertificateError> {
        let raw = RawTbs::from_der(&self.der).map_err(|_| CertificateError::Malformed)?;
        CertificateFields::read(&raw)
    }

    /// Has the bytes signed, checks the signature, and completes the certificate.
    pub fn sign(self, signer: &dyn Signer) -> Result<Certificate, CertificateError> {
        if signer.algorithm() != self.algorithm {
            return Err(CertificateError::AlgorithmMismatch);
        }
        let signature = signer.sign(&self.der)?;
        // A key that computes wrongly must not get its result out: a faulty signature can betray the key.
        signer
            .public_key()
            .verify(self.algorithm, &self.der, &signature)
            .map_err(|_| SignError::WrongSignature)?;
        let der = signed::join(&self.der, self.algorithm, &signature)
            .map_err(|_| CertificateError::Unencodable)?;
        Certificate::from_der(&der)
    }
}

/// Why a certificate cannot be read or made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// More bytes than are read.
    #[error("the certificate has more than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a certificate in strict DER.
    #[error("not a certificate")]
    Malformed,
    /// Not PEM.
    #[error("not a certificate in PEM")]
    Pem(#[from] PemError),
    /// The algorithm inside and outside, or of the key and the certificate, differ.
    #[error("the certificate's signature algorithms differ")]
    AlgorithmMismatch,
    /// Its serial number is none.
    #[error("the certificate's serial number is not acceptable")]
    Serial(#[from] SerialError),
    /// An extension is wrong.
    #[error("the certificate's extensions are not acceptable")]
    Extension(#[from] ExtensionError),
    /// A value that has no encoding.
    #[error("the certificate cannot be encoded")]
    Unencodable,
    /// The key did not sign.
    #[error("the certificate could not be signed")]
    Sign(#[from] SignError),
}

/// A TBSCertificate to be written: our own, because the library's can only be made by its builder, which signs at once.
#[derive(Sequence)]
struct Tbs {
    #[asn1(context_specific = "0", default = "Default::default")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    spki: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}
