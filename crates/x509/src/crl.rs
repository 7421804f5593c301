// SPDX-License-Identifier: MIT OR Apache-2.0
//! Revocation lists.

use std::fmt;
use std::str::FromStr;

use const_oid::AssociatedOid;
use der::asn1::{OctetString, Uint};
use der::{Decode, Encode};
use time::OffsetDateTime;
use x509_cert::certificate::Version;
use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber, CrlReason};
use x509_cert::serial_number::SerialNumber;

use crate::certificate::Certificate;
use crate::extensions::{authority_key_id, push};
use crate::key::{PublicKey, SignatureAlgorithm, SignatureError};
use crate::name::DistinguishedName;
use crate::serial::{KeyId, Serial};
use crate::signed;
use crate::signer::{SignError, Signer};
use crate::text::{self, PemError};
use crate::times;

/// Largest list that is read, in bytes: more than a million entries.
pub const CRL_BYTES_MAX: usize = 64 * 1024 * 1024;

const PEM_LABEL: &str = "X509 CRL";

/// A well-formed revocation list and its DER. [`Crl::verify_signature`] tells whether it is the issuer's.
#[derive(Clone)]
pub struct Crl {
    der: Vec<u8>,
    issuer: DistinguishedName,
    number: Option<u64>,
    authority_key_id: Option<KeyId>,
    this_update: OffsetDateTime,
    next_update: OffsetDateTime,
    /// Sorted by serial number.
    entries: Vec<RevokedEntry>,
}

impl Crl {
    /// Reads strict DER. A list that does not say when the next one comes is refused: nobody could tell its age.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge);
        }
        let signed = signed::split(der).map_err(|_| CrlError::Malformed)?;
        let raw = TbsCertList::from_der(signed.to_be_signed).map_err(|_| CrlError::Malformed)?;
        if raw.signature.to_der() != signed.algorithm.to_der() {
            return Err(CrlError::Malformed);
        }
        let next_update = raw.next_update.ok_or(CrlError::NoNextUpdate)?;
        let time = |time| times::from_x509(time).ok_or(CrlError::Malformed);
        let mut entries = raw
            .revoked_certificates
            .unwrap_or_default()
            .iter()
            .map(read_entry)
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| entry.serial);
        let (number, authority_key_id) = read_extensions(raw.crl_extensions.as_deref())?;
        Ok(Self {
            der: der.to_vec(),
            issuer: DistinguishedName(raw.issuer),
            number,
            authority_key_id,
            this_update: time(raw.this_update)?,
            next_update: time(next_update)?,
            entries,
        })
    }

    /// Reads the first list of a PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, CrlError> {
        Self::from_der(&text::decode(&[PEM_LABEL], pem)?)
    }

    /// The list's bytes, as they came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list as PEM.
    pub fn to_pem(&self) -> String {
        text::encode(PEM_LABEL, &self.der)
    }

    /// Whose list it is.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// Its number: a later list has a greater one.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// Names the key that signed it.
    pub fn authority_key_id(&self) -> Option<&KeyId> {
        self.authority_key_id.as_ref()
    }

    /// When it was made.
    pub fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// When it stops counting.
    pub fn next_update(&self) -> OffsetDateTime {
        self.next_update
    }

    /// What is revoked, by serial number.
    pub fn entries(&self) -> &[RevokedEntry] {
        &self.entries
    }

    /// The entry of a serial number.
    pub fn find(&self, serial: &Serial) -> Option<&RevokedEntry> {
        let at = self
            .entries
            .binary_search_by_key(serial, |entry| entry.serial)
            .ok()?;
        self.entries.get(at)
    }

    /// Checks the signature with the issuer's key.
    pub fn verify_signature(&self, issuer_key: &PublicKey) -> Result<(), SignatureError> {
        let signed = signed::split(&self.der).map_err(|_| SignatureError::Invalid)?;
        let algorithm = SignatureAlgorithm::from_identifier(signed.algorithm)?;
        issuer_key.verify(algorithm, signed.to_be_signed, signed.signature)
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Crl({}, {:?}, {} entries)",
            self.issuer,
            self.number,
            self.entries.len()
        )
    }
}

/// One revoked certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Which one.
    pub serial: Serial,
    /// Since when.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: RevocationReason,
}

/// Everything that is needed to make a list.
#[derive(Debug, Clone)]
pub struct CrlSpec {
    /// Its number; greater than that of every earlier list.
    pub number: u64,
    /// When it is made.
    pub this_update: OffsetDateTime,
    /// When it stops counting. Required: path validation cannot even read a list without it.
    pub next_update: OffsetDateTime,
    /// What is revoked.
    pub entries: Vec<RevokedEntry>,
}

impl CrlSpec {
    /// Makes the list of this issuer.
    pub fn sign(&self, issuer: &Certificate, signer: &dyn Signer) -> Result<Crl, CrlError> {
        let algorithm = signer.algorithm();
        let der = self
            .encode(issuer, signer, algorithm)
            .map_err(|_| CrlError::Unencodable)?;
        let signature = signer.sign(&der)?;
        signer
            .public_key()
            .verify(algorithm, &der, &signature)
            .map_err(|_| SignError::WrongSignature)?;
        let der = signed::join(&der, algorithm, &signature).map_err(|_| CrlError::Unencodable)?;
        Crl::from_der(&der)
    }

    fn encode(
        &self,
        issuer: &Certificate,
        signer: &dyn Signer,
        algorithm: SignatureAlgorithm,
    ) -> Result<Vec<u8>, der::Error> {
        let key_id = issuer
            .extensions()
            .subject_key_id
            .clone()
            .unwrap_or_else(|| signer.public_key().key_id());
        let mut extensions = Vec::new();
        push(
            &mut extensions,
            AuthorityKeyIdentifier::OID,
            false,
            &authority_key_id(&key_id.0)?,
        )?;
        let number = CrlNumber(Uint::new(&self.number.to_be_bytes())?);
        push(&mut extensions, CrlNumber::OID, false, &number)?;
        let entries: Vec<RevokedCert> = self
            .entries
            .iter()
            .map(write_entry)
            .collect::<Result<_, _>>()?;
        TbsCertList {
            version: Version::V2,
            signature: algorithm.owned_identifier(),
            issuer: issuer.subject().0.clone(),
            this_update: times::to_x509(self.this_update)?,
            next_update: Some(times::to_x509(self.next_update)?),
            // RFC 5280, 5.1.2.6: without revoked certificates the list must be absent.
            revoked_certificates: Some(entries).filter(|entries| !entries.is_empty()),
            crl_extensions: Some(extensions),
        }
        .to_der()
    }
}

/// Why a certificate was withdrawn (RFC 5280, 5.3.1). The temporary reasons are not in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RevocationReason {
    /// Nobody said why.
    Unspecified,
    /// The key may be in other hands: the card is lost.
    KeyCompromise,
    /// The authority's key may be in other hands.
    CaCompromise,
    /// The person's place changed.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// The person may not use it any more.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The word in rows, interfaces and on the command line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    fn to_x509(self) -> Option<CrlReason> {
        match self {
            // RFC 5280, 5.3.1: leave it out rather than say "unspecified".
            Self::Unspecified => None,
            Self::KeyCompromise => Some(CrlReason::KeyCompromise),
            Self::CaCompromise => Some(CrlReason::CaCompromise),
            Self::AffiliationChanged => Some(CrlReason::AffiliationChanged),
            Self::Superseded => Some(CrlReason::Superseded),
            Self::CessationOfOperation => Some(CrlReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(CrlReason::PrivilegeWithdrawn),
        }
    }

    fn from_x509(reason: CrlReason) -> Self {
        match reason {
            CrlReason::KeyCompromise => Self::KeyCompromise,
            CrlReason::CaCompromise | CrlReason::AaCompromise => Self::CaCompromise,
            CrlReason::AffiliationChanged => Self::AffiliationChanged,
            CrlReason::Superseded => Self::Superseded,
            CrlReason::CessationOfOperation => Self::CessationOfOperation,
            CrlReason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            CrlReason::Unspecified | CrlReason::CertificateHold | CrlReason::RemoveFromCRL => {
                Self::Unspecified
            }
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RevocationReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownReason)
    }
}

/// The word names no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason for revocation")]
pub struct UnknownReason;

/// Why a revocation list cannot be read or made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// More bytes than are read.
    #[error("the revocation list has more than {CRL_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a revocation list in strict DER.
    #[error("not a revocation list")]
    Malformed,
    /// Not PEM.
    #[error("not a revocation list in PEM")]
    Pem(#[from] PemError),
    /// It does not say when the next one comes.
    #[error("the revocation list does not say until when it counts")]
    NoNextUpdate,
    /// A value that has no encoding.
    #[error("the revocation list cannot be encoded")]
    Unencodable,
    /// The key did not sign.
    #[error("the revocation list could not be signed")]
    Sign(#[from] SignError),
}

fn write_entry(entry: &RevokedEntry) -> Result<RevokedCert, der::Error> {
    let extensions = entry
        .reason
        .to_x509()
        .map(|reason| -> Result<_, der::Error> {
            Ok(vec![Extension {
                extn_id: CrlReason::OID,
                critical: false,
                extn_value: OctetString::new(reason.to_der()?)?,
            }])
        })
        .transpose()?;
    Ok(RevokedCert {
        serial_number: SerialNumber::new(entry.serial.as_be_bytes())?,
        revocation_date: times::to_x509(entry.at)?,
        crl_entry_extensions: extensions,
    })
}

fn read_entry(raw: &RevokedCert) -> Result<RevokedEntry, CrlError> {
    let malformed = CrlError::Malformed;
    let reason = raw
        .crl_entry_extensions
        .iter()
        .flatten()
        .find(|extension| extension.extn_id == CrlReason::OID)
        .map(|extension| CrlReason::from_der(extension.extn_value.as_bytes()))
        .transpose()
        .map_err(|_| malformed)?
        .map_or(RevocationReason::Unspecified, RevocationReason::from_x509);
    Ok(RevokedEntry {
        serial: Serial::from_be_bytes(raw.serial_number.as_bytes()).map_err(|_| malformed)?,
        at: times::from_x509(raw.revocation_date).ok_or(malformed)?,
        reason,
    })
}

fn read_extensions(list: Option<&[Extension]>) -> Result<(Option<u64>, Option<KeyId>), CrlError> {
    let mut number = None;
    let mut key_id = None;
    for extension in list.unwrap_or_default() {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            CrlNumber::OID => {
                let raw = CrlNumber::from_der(value).map_err(|_| CrlError::Malformed)?;
                let bytes = raw.0.as_bytes();
                // RFC 5280 allows 20 bytes; a number that we cannot hold is not one of ours.
                number = (bytes.len() <= 8).then(|| {
                    bytes
                        .iter()
                        .fold(0u64, |number, byte| (number << 8) | u64::from(*byte))
                });
            }
            AuthorityKeyIdentifier::OID => {
                let raw =
                    AuthorityKeyIdentifier::from_der(value).map_err(|_| CrlError::Malformed)?;
                key_id = raw.key_identifier.map(|id| KeyId(id.as_bytes().to_vec()));
            }
            _ => {}
        }
    }
    Ok((number, key_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::CertificateSpec;
    use crate::extensions::Extensions;
    use crate::signer::SoftwareKey;
    use time::macros::datetime;

    fn list() -> (SoftwareKey, Crl) {
        let key = SoftwareKey::generate().unwrap();
        let name = DistinguishedName::from_common_name("Root").unwrap();
        let issuer = CertificateSpec {
            serial: Serial::from_random([1; 16]),
            issuer: name.clone(),
            subject: name,
            not_before: datetime!(2026-11-22 0:00 UTC),
            not_after: datetime!(2027-11-22 0:00 UTC),
            public_key: key.public_key().clone(),
            extensions: Extensions::default(),
        };
        let spec = CrlSpec {
            number: 1,
            this_update: datetime!(2026-11-22 12:00 UTC),
            next_update: datetime!(2026-11-24 12:00 UTC),
            entries: Vec::new(),
        };
        let list = spec.sign(&issuer.sign(&key).unwrap(), &key).unwrap();
        (key, list)
    }

    /// The list with something about it bent, signed again.
    fn bent(bend: impl FnOnce(&mut TbsCertList)) -> Result<Crl, CrlError> {
        let (key, list) = list();
        let signed = signed::split(list.der()).unwrap();
        let mut raw = TbsCertList::from_der(signed.to_be_signed).unwrap();
        bend(&mut raw);
        let der = raw.to_der().unwrap();
        let signature = key.sign(&der).unwrap();
        Crl::from_der(&signed::join(&der, key.algorithm(), &signature).unwrap())
    }

    #[test]
    fn a_list_without_a_next_update_is_refused() {
        assert!(bent(|_| {}).is_ok());
        assert_eq!(
            bent(|raw| raw.next_update = None).unwrap_err(),
            CrlError::NoNextUpdate
        );
    }

    #[test]
    fn an_empty_list_has_no_list_inside() {
        let (_, list) = list();
        let signed = signed::split(list.der()).unwrap();
        let raw: TbsCertList = TbsCertList::from_der(signed.to_be_signed).unwrap();
        assert_eq!(raw.revoked_certificates, None);
        assert_eq!(list.entries(), []);
    }

    #[test]
    fn a_number_too_large_to_hold_is_none() {
        let number = CrlNumber(Uint::new(&[1; 9]).unwrap());
        let bend = |raw: &mut TbsCertList| {
            let mut list = Vec::new();
            push(&mut list, CrlNumber::OID, false, &number).unwrap();
            raw.crl_extensions = Some(list);
        };
        assert_eq!(bent(bend).unwrap().number(), None);
    }

    #[test]
    fn reasons_survive_text_and_back() {
        for reason in RevocationReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert_eq!("lost".parse::<RevocationReason>(), Err(UnknownReason));
    }
}
