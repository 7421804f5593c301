// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making the card that is measured: a key, a certificate and a PIN.

use crate::PIN;
use anyhow::{Context as _, Result, ensure};
use lanyard_piv::{
    Algorithm, Command, DynamicAuthentication, ManagementAlgorithm, ManagementKey, NewPin, Pin,
    PublicKey, Slot,
};
use lanyard_virtual_card::{Places, list};
use rustls::pki_types::CertificateDer;

/// Gives the card a key, a certificate and a PIN of its own.
pub fn personalise(
    transmit: &mut dyn FnMut(&[u8]) -> Result<Vec<u8>>,
    places: &Places,
    authority: &Authority,
) -> Result<()> {
    let mut must = |what: &str, command: &[u8]| -> Result<Vec<u8>> {
        let mut answer = transmit(command)?;
        ensure!(answer.ends_with(&[0x90, 0]), "{what}: {answer:02X?}");
        answer.truncate(answer.len() - 2);
        Ok(answer)
    };
    must("select", &Command::select().to_bytes()?)?;
    let (key, algorithm) = (ManagementKey::blank_card(), ManagementAlgorithm::Aes192);
    let ask = DynamicAuthentication::request_witness();
    let asked = Command::authenticate_management(algorithm, &ask).to_bytes()?;
    let asked = DynamicAuthentication::parse(&must("witness", &asked)?)?;
    let witness = key.decrypt(algorithm, asked.witness.as_deref().context("no witness")?)?;
    let prove = DynamicAuthentication::prove(witness, vec![1; 16]);
    let prove = Command::authenticate_management(algorithm, &prove).to_bytes()?;
    must("management key", &prove)?;
    let generate = Command::generate(Slot::Authentication, Algorithm::EccP256).to_bytes()?;
    must("key", &generate)?;
    let listed = list(places);
    let card = listed.first().and_then(|card| card.card.as_ref().ok());
    let slots = &card.context("no card")?.slots;
    let slot = slots.iter().find(|slot| slot.slot == Slot::Authentication);
    let key = slot.and_then(|slot| slot.key.as_ref()).context("no key")?;
    let certificate = authority.certify(key)?;
    let inner = [&tlv(0x70, &certificate)[..], &[0x71, 1, 0, 0xFE, 0]].concat();
    let data = [&[0x5C, 3, 0x5F, 0xC1, 0x05][..], &tlv(0x53, &inner)].concat();
    let length = u16::try_from(data.len())?.to_be_bytes();
    let put = [&[0, 0xDB, 0x3F, 0xFF, 0][..], &length, &data].concat();
    must("certificate", &put)?;
    let new = NewPin::check(Pin::parse(PIN)?, None)?;
    let change = Command::change_pin(&Pin::parse("12345678")?, &new).to_bytes()?;
    must("PIN", &change)?;
    Ok(())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap_or(0).to_be_bytes();
    [&[tag, 0x82, high, low][..], value].concat()
}

/// Signs the certificate of the card.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// A fresh one.
    pub fn new() -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new([])?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate,
            issuer: rcgen::Issuer::new(params, key),
        })
    }

    /// Its own certificate.
    pub fn root(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    fn certify(&self, key: &PublicKey) -> Result<Vec<u8>> {
        let mut params = rcgen::CertificateParams::new([])?;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let point = Point(key.point().context("a point")?.to_vec());
        Ok(params.signed_by(&point, &self.issuer)?.der().to_vec())
    }
}

/// A P-256 key as rcgen wants it.
struct Point(Vec<u8>);

impl rcgen::PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}
