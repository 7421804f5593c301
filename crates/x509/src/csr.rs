// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificate requests (PKCS#10). A request gives the key and nothing else; what it wishes besides is only shown.

use std::fmt;

use der::asn1::{Any, SetOfVec};
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::request::{CertReqInfo, ExtensionReq, Version};

use crate::extensions::{self, Extensions};
use crate::key::{KeyError, PublicKey, SignatureAlgorithm, SignatureError};
use crate::name::DistinguishedName;
use crate::oid::Oid;
use crate::signed;
use crate::signer::{SignError, Signer};
use crate::text::{self, PemError};

/// Largest request that is read, in bytes of DER.
pub const CSR_BYTES_MAX: usize = 64 * 1024;
/// Largest request that is read, in bytes of text.
pub const CSR_TEXT_BYTES_MAX: usize = 96 * 1024;
/// Most attributes in one request.
const ATTRIBUTES_MAX: usize = 64;

const PEM_LABEL: &str = "CERTIFICATE REQUEST";
/// The label that Windows tools write.
const PEM_LABEL_OLD: &str = "NEW CERTIFICATE REQUEST";

const EXTENSION_REQUEST: const_oid::ObjectIdentifier =
    const_oid::ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// A request whose sender has shown that he holds the key.
#[derive(Clone)]
pub struct Csr {
    der: Vec<u8>,
    public_key: PublicKey,
    algorithm: SignatureAlgorithm,
    wish: Wish,
}

impl Csr {
    /// Reads a request in DER, PEM or bare base64, whichever it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, CsrError> {
        // No base64 text of a sequence begins with 0x30, the digit zero.
        if bytes.first() == Some(&0x30) {
            return Self::from_der(bytes);
        }
        if bytes.len() > CSR_TEXT_BYTES_MAX {
            return Err(CsrError::TooLarge);
        }
        Self::from_text(std::str::from_utf8(bytes).map_err(|_| CsrError::Malformed)?)
    }

    /// Reads a request in strict DER and checks its signature over the bytes that came.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > CSR_BYTES_MAX {
            return Err(CsrError::TooLarge);
        }
        let signed = signed::split(der).map_err(|_| CsrError::Malformed)?;
        let info = CertReqInfo::from_der(signed.to_be_signed).map_err(|_| CsrError::Malformed)?;
        if info.attributes.len() > ATTRIBUTES_MAX {
            return Err(CsrError::TooManyAttributes);
        }
        let spki = info.public_key.to_der().map_err(|_| CsrError::Malformed)?;
        let public_key = PublicKey::from_spki_der(&spki)?;
        let algorithm = SignatureAlgorithm::from_identifier(signed.algorithm)?;
        public_key.verify(algorithm, signed.to_be_signed, signed.signature)?;
        Ok(Self {
            der: der.to_vec(),
            public_key,
            algorithm,
            wish: Wish::read(&info),
        })
    }

    /// Reads a request in PEM, or in base64 without the lines around it.
    pub fn from_text(text: &str) -> Result<Self, CsrError> {
        if text.len() > CSR_TEXT_BYTES_MAX {
            return Err(CsrError::TooLarge);
        }
        let der = if text.contains("-----BEGIN ") {
            text::decode(&[PEM_LABEL, PEM_LABEL_OLD], text)?
        } else {
            text::decode_base64(text)?
        };
        Self::from_der(&der)
    }

    /// The key to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// How the request is signed.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// What else the request asks for. Unverified; no certificate is made from it.
    pub fn wish(&self) -> &Wish {
        &self.wish
    }

    /// The request's bytes, as they came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The request as PEM.
    pub fn to_pem(&self) -> String {
        text::encode(PEM_LABEL, &self.der)
    }
}

impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({:?})", self.public_key)
    }
}

/// What a request asks for besides the key: to be shown to an officer, never to be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The subject it would like.
    pub subject: DistinguishedName,
    /// The extensions it would like; `None` when it asks for none, or for some that cannot be read.
    pub extensions: Option<Extensions>,
    /// The kinds of its attributes.
    pub attributes: Vec<Oid>,
}

impl Wish {
    fn read(info: &CertReqInfo) -> Self {
        let requested = info
            .attributes
            .iter()
            .filter(|attribute| attribute.oid == EXTENSION_REQUEST)
            .flat_map(|attribute| attribute.values.iter())
            .filter_map(|value| value.decode_as::<ExtensionReq>().ok())
            .find_map(|request| extensions::decode(&request.0).ok());
        Self {
            subject: DistinguishedName(info.subject.clone()),
            extensions: requested,
            attributes: info
                .attributes
                .iter()
                .map(|attribute| Oid(attribute.oid))
                .collect(),
        }
    }

    /// The template it would like, by name.
    pub fn template_name(&self) -> Option<&str> {
        self.extensions.as_ref()?.template_name.as_deref()
    }
}

/// Why a request is refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More bytes than are read.
    #[error("the certificate request has more than {CSR_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a request in strict DER.
    #[error("not a certificate request")]
    Malformed,
    /// Not PEM or base64.
    #[error("not a certificate request in PEM or base64")]
    Text(#[from] PemError),
    /// More attributes than any honest request has.
    #[error("the certificate request has more than {ATTRIBUTES_MAX} attributes")]
    TooManyAttributes,
    /// Its key is weak, unknown or broken.
    #[error("the certificate request's key is not accepted")]
    Key(#[from] KeyError),
    /// Its signature is wrong, obsolete or of an unknown kind.
    #[error("the certificate request's signature is not accepted")]
    Signature(#[from] SignatureError),
    /// The key did not sign.
    #[error("the certificate request could not be signed")]
    Sign(#[from] SignError),
    /// A value that has no encoding.
    #[error("the certificate request cannot be encoded")]
    Unencodable,
}

/// Makes a request for a key, wherever the key is.
#[derive(Debug, Clone)]
pub struct CsrBuilder {
    subject: DistinguishedName,
    public_key: PublicKey,
    extensions: Extensions,
}

impl CsrBuilder {
    /// A request for this key. The subject is a courtesy to who reads it; the authority decides.
    pub fn new(subject: DistinguishedName, public_key: PublicKey) -> Self {
        Self {
            subject,
            public_key,
            extensions: Extensions::default(),
        }
    }

    /// Asks for extensions as well: for other authorities; ours does not heed them.
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }

    /// What has to be signed, with the algorithm that fits the key: for keys that sign by themselves, such as a
    /// card's, with a PIN and at their own time.
    pub fn to_be_signed(&self) -> Result<CsrToSign, CsrError> {
        let algorithm = self.public_key.algorithm().preferred_signature();
        let der = self.info_der().map_err(|_| CsrError::Unencodable)?;
        Ok(CsrToSign {
            der,
            algorithm,
            public_key: self.public_key.clone(),
        })
    }

    /// Has the request signed at once.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Csr, CsrError> {
        let mut to_sign = self.to_be_signed()?;
        to_sign.algorithm = signer.algorithm();
        let signature = signer.sign(to_sign.bytes())?;
        to_sign.assemble(&signature)
    }

    fn info_der(&self) -> Result<Vec<u8>, der::Error> {
        let mut attributes = SetOfVec::new();
        let requested =
            extensions::encode(&self.extensions, self.subject.is_empty()).map_err(|_| failed())?;
        if !requested.is_empty() {
            let value = Any::encode_from(&ExtensionReq(requested))?;
            attributes.insert(x509_cert::attr::Attribute {
                oid: EXTENSION_REQUEST,
                values: SetOfVec::try_from(vec![value])?,
            })?;
        }
        CertReqInfo {
            version: Version::V1,
            subject: self.subject.0.clone(),
            public_key: SubjectPublicKeyInfoOwned::from_der(self.public_key.spki_der())?,
            attributes,
        }
        .to_der()
    }
}

fn failed() -> der::Error {
    der::ErrorKind::Failed.to_error()
}

/// A request without its signature.
#[derive(Debug, Clone)]
pub struct CsrToSign {
    der: Vec<u8>,
    algorithm: SignatureAlgorithm,
    public_key: PublicKey,
}

impl CsrToSign {
    /// The bytes to be signed (to be hashed first by a key that signs digests).
    pub fn bytes(&self) -> &[u8] {
        &self.der
    }

    /// How they are to be signed.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Completes the request. The signature is checked: one by another key, or over something else, is refused here
    /// and not first by the authority. ECDSA signatures are the DER sequence of r and s.
    pub fn assemble(self, signature: &[u8]) -> Result<Csr, CsrError> {
        self.public_key
            .verify(self.algorithm, &self.der, signature)?;
        let der = signed::join(&self.der, self.algorithm, signature)
            .map_err(|_| CsrError::Unencodable)?;
        Csr::from_der(&der)
    }
}
