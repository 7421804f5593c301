// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader, the independent card in it, and our host side before it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};
use lanyard_card::{CardFault, CardSession, CardSummary, CardWay, Cards, ReaderId, Scheme};
use lanyard_piv::{Algorithm, ManagementKey, NewPin, Pin, PublicKey, Puk, Slot};
use lanyard_tests::pcsc::{self, Pcscd};
use lanyard_tests::process::eventually;
use lanyard_tests::standin::StandIn;
use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData};

/// The PIN that tests choose.
pub const PIN: &str = "482913";
pub const WRONG_PIN: &str = "736450";
/// A limit that a working card never meets, and that a test can wait for.
pub const LIMIT: Duration = Duration::from_secs(3);
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Desk {
    pub folder: tempfile::TempDir,
    pub pcscd: Pcscd,
    pub card: StandIn,
    pub cards: Arc<Cards>,
}

impl Desk {
    /// A reader with a blank card.
    pub fn new() -> Result<Self> {
        ensure!(
            pcsc::is_available(),
            "pcscd and vsmartcard-vpcd are needed: 'cargo xtask setup'"
        );
        let folder = tempfile::tempdir()?;
        let pcscd = Pcscd::start(folder.path(), 1)?;
        let card = StandIn::insert(&folder.path().join("card"), &pcscd.slot(0))?;
        let cards = Cards::new(CardWay::Pcsc, None).with_exchange_limit(LIMIT);
        let desk = Self {
            folder,
            pcscd,
            card,
            cards: Arc::new(cards),
        };
        desk.summary()?;
        Ok(desk)
    }

    /// The card as it is listed, as soon as it is.
    pub fn summary(&self) -> Result<CardSummary> {
        eventually("the card is listed", PATIENCE, || {
            self.cards.list().ok()?.cards().next().cloned()
        })
    }

    pub fn open(&self) -> Result<CardSession, CardFault> {
        let listing = self.cards.list()?;
        match listing.cards().next() {
            Some(card) => self.cards.open(&card.reader),
            None => Err(listing.why_no_card().unwrap_or(CardFault::NoCard)),
        }
    }

    /// A session with the management key authenticated.
    pub fn open_as_admin(&self) -> Result<CardSession> {
        let mut session = self.open()?;
        session.authenticate_admin(&ManagementKey::blank_card())?;
        Ok(session)
    }

    /// Makes keys and writes certificates for slots 9A and 9E.
    pub fn personalise(&self, authority: &Authority, algorithm: Algorithm) -> Result<CardSummary> {
        let mut session = self.open_as_admin()?;
        for slot in [Slot::Authentication, Slot::CardAuthentication] {
            let key = session.generate(slot, algorithm)?;
            session.put_certificate(slot, &authority.certify(&key)?)?;
        }
        drop(session);
        self.summary()
    }

    pub fn reader(&self) -> Result<ReaderId> {
        Ok(self.summary()?.reader)
    }
}

pub fn blank_pin() -> Pin {
    pin(StandIn::PIN)
}

pub fn pin(text: &str) -> Pin {
    Pin::parse(text).expect("six to eight digits")
}

pub fn new_pin(text: &str) -> NewPin {
    NewPin::check(pin(text), None).expect("not a trivial one")
}

pub fn puk(text: &str) -> Puk {
    Puk::parse(text).expect("six to eight digits")
}

/// An authority for the certificates of a test.
pub struct Authority {
    pub certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Test authority");
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// A certificate in DER for a key on a card.
    pub fn certify(&self, key: &PublicKey) -> Result<Vec<u8>> {
        let mut params = CertificateParams::new([])?;
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "alice");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&Certified::of(key)?, &self.issuer)?;
        Ok(certificate.der().to_vec())
    }
}

/// A card's key as rcgen wants it: the bits of the SPKI without their frame.
struct Certified {
    bits: Vec<u8>,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Certified {
    fn of(key: &PublicKey) -> Result<Self> {
        let bits = match key.point() {
            Some(point) => point.to_vec(),
            None => {
                // SEQUENCE of 4 bytes head, AlgorithmIdentifier of 15, BIT STRING of 5 head.
                key.to_spki().get(24..).context("an RSA key")?.to_vec()
            }
        };
        let algorithm = match key.algorithm() {
            Algorithm::EccP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EccP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        };
        Ok(Self { bits, algorithm })
    }
}

impl PublicKeyData for Certified {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

/// Checks a signature with another implementation than ours.
pub fn check(key: &PublicKey, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<()> {
    use aws_lc_rs::signature as known;
    let algorithm: &'static dyn VerificationAlgorithm = match scheme {
        Scheme::EcdsaP256Sha256 => &known::ECDSA_P256_SHA256_ASN1,
        Scheme::EcdsaP384Sha384 => &known::ECDSA_P384_SHA384_ASN1,
        Scheme::RsaPssSha256 => &known::RSA_PSS_2048_8192_SHA256,
        Scheme::RsaPssSha384 => &known::RSA_PSS_2048_8192_SHA384,
        Scheme::RsaPssSha512 => &known::RSA_PSS_2048_8192_SHA512,
        Scheme::RsaPkcs1Sha256 => &known::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaPkcs1Sha384 => &known::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaPkcs1Sha512 => &known::RSA_PKCS1_2048_8192_SHA512,
    };
    let key = ParsedPublicKey::new(algorithm, key.to_spki())?;
    key.verify_sig(message, signature)
        .ok()
        .with_context(|| format!("{scheme:?} does not verify"))
}
