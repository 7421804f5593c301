// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key in a TPM before the enrolment interface: what is proved about it, what policy makes of that, and everything
//! that is said and not true. The TPM is swtpm, its maker swtpm's own local authority.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_attest::tpm::qualifying_data;
use lanyard_load::deployment::{Deployment, in_a_deployment};
use lanyard_load::net::{Answer, exchange};
use lanyard_load::web::Web;
use lanyard_tpm::attestation::{
    self as chip, Credential, EndorsementKind, activate_credential, certify, create_attestation_key,
};
use lanyard_tpm::{
    Auth, AuthValue, Blob, Connect, Device, Hierarchy, KeyUse, Object, SessionKind, Template, Tpm,
    TpmAlgId, TpmEccCurve,
};
use lanyard_x509::{
    Certificate, CsrBuilder, DistinguishedName, PublicKey, SignError, SignatureAlgorithm, Signer,
    Thumbprint,
};
use serde_json::{Value, json};
use uuid::Uuid;

#[path = "../../../../crates/tpm/tests/support/swtpm.rs"]
mod swtpm;
use swtpm::Swtpm;

const ALICE: &str = "alice@contoso.test";
const PROVED_BY_CERTIFICATE: &str = "1.3.6.1.4.1.311.21.31";
const PROVED_BY_THE_PERSON: &str = "1.3.6.1.4.1.311.21.32";
const PROVED_BY_THE_LIST: &str = "1.3.6.1.4.1.311.21.30";

fn told(error: lanyard_tpm::TpmError) -> anyhow::Error {
    anyhow!("the chip: {error}")
}

/// A chip with an attestation key and a key for a card.
struct Chip {
    swtpm: Swtpm,
    device: Device,
    kind: EndorsementKind,
    attestation: Blob,
    key: Blob,
    public: PublicKey,
}

impl Chip {
    fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let swtpm = Swtpm::start_certified(folder);
        let device: Device = swtpm.device().parse().map_err(|_| anyhow!("no device"))?;
        let mut tpm = device.connect().map_err(told)?;
        let (kind, _) = chip::certified_endorsement_key(&mut tpm).map_err(told)?;
        let (parent, mut session) = begin(&mut tpm)?;
        let attestation = create_attestation_key(&mut tpm, &parent, &mut session).map_err(told)?;
        let template = Template::ecc(TpmEccCurve::NistP256, KeyUse::Sign, None);
        let nothing = AuthValue::empty();
        let key = tpm
            .create(&parent, &nothing, &[], &template, &mut session)
            .map_err(told)?;
        let public = lanyard_attest::tpm::Public::from_bytes(key.public.as_bytes())?;
        let public = public.key().clone();
        drop(tpm);
        Ok(Self {
            swtpm,
            device,
            kind,
            attestation,
            key,
            public,
        })
    }

    /// The first step's body.
    fn introduction(&self, with_certificate: bool) -> Result<Value> {
        let mut tpm = self.device.connect().map_err(told)?;
        let own = chip::endorsement_key(&mut tpm, self.kind).map_err(told)?;
        let mut body = json!({
            "ek_public": STANDARD.encode(own.public.as_bytes()),
            "ak_public": STANDARD.encode(self.attestation.public.as_bytes()),
        });
        if with_certificate {
            let own = own.certificate.context("the chip has no certificate")?;
            body["ek_certificate"] = STANDARD.encode(own).into();
            body["ek_chain"] = json!([STANDARD.encode(self.authority("issuercert.pem")?.der())]);
        }
        Ok(body)
    }

    fn endorsement_key_hash(&self) -> Result<String> {
        let mut tpm = self.device.connect().map_err(told)?;
        let own = chip::endorsement_key(&mut tpm, self.kind).map_err(told)?;
        let public = lanyard_attest::tpm::Public::from_bytes(own.public.as_bytes())?;
        Ok(Thumbprint::of(public.key().spki_der()).to_string())
    }

    fn authority(&self, file: &str) -> Result<Certificate> {
        Ok(Certificate::from_pem(&std::fs::read_to_string(
            self.authority_file(file),
        )?)?)
    }

    fn authority_file(&self, file: &str) -> std::path::PathBuf {
        self.swtpm.state().join("../ca").join(file)
    }

    /// What the chip says to a challenge about its key and this request.
    fn evidence(&self, challenge: &Value, request: &[u8]) -> Result<Value> {
        let part = |name: &str| -> Result<Vec<u8>> {
            Ok(STANDARD.decode(challenge[name].as_str().context("no such part")?)?)
        };
        let credential = Credential {
            id_object: part("credential")?.split_off(2),
            encrypted_secret: part("encrypted_seed")?.split_off(2),
        };
        let mut tpm = self.device.connect().map_err(told)?;
        let (parent, mut session) = begin(&mut tpm)?;
        let attestation = tpm.load(&parent, &self.attestation).map_err(told)?;
        let secret =
            activate_credential(&mut tpm, self.kind, &attestation, &credential, &mut session)
                .map_err(told)?;
        let key = tpm.load(&parent, &self.key).map_err(told)?;
        let qualifying = qualifying_data(&part("nonce")?, request);
        let said = certify(&mut tpm, &key, &attestation, &qualifying).map_err(told)?;
        Ok(json!({
            "kind": "tpm",
            "id": challenge["id"],
            "secret": STANDARD.encode(&*secret),
            "key_public": STANDARD.encode(self.key.public.as_bytes()),
            "statement": STANDARD.encode(said.attest),
            "signature": STANDARD.encode(said.signature),
        }))
    }

    fn request(&self) -> Result<Vec<u8>> {
        let subject = DistinguishedName::from_common_name(ALICE)?;
        let builder = CsrBuilder::new(subject, self.public.clone());
        Ok(builder.sign(&InChip(self))?.der().to_vec())
    }
}

fn begin(tpm: &mut Tpm) -> Result<(Object, lanyard_tpm::Session)> {
    let parent = tpm
        .create_primary(Hierarchy::Owner, &Template::storage())
        .map_err(told)?;
    let session = tpm
        .start_session(SessionKind::Hmac, Some(&parent))
        .map_err(told)?;
    Ok((parent, session))
}

/// The chip's key as a signer.
struct InChip<'a>(&'a Chip);

impl Signer for InChip<'_> {
    fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaSha256
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let sign = || -> Result<Vec<u8>> {
            let mut tpm = self.0.device.connect().map_err(told)?;
            let (parent, _session) = begin(&mut tpm)?;
            let key = tpm.load(&parent, &self.0.key).map_err(told)?;
            let digest = Thumbprint::of(message).0;
            let signature = tpm
                .sign(&key, Auth::Nothing, None, TpmAlgId::Sha256, &digest)
                .map_err(told)?;
            let mut body = Vec::new();
            for number in [signature.r, signature.s] {
                let zeros = number.iter().take_while(|byte| **byte == 0).count();
                let mut digits = number[zeros..].to_vec();
                if digits.first().is_none_or(|first| first & 0x80 != 0) {
                    digits.insert(0, 0);
                }
                body.extend([2, u8::try_from(digits.len())?]);
                body.extend(digits);
            }
            let mut der = vec![0x30, u8::try_from(body.len())?];
            der.extend(body);
            Ok(der)
        };
        sign().map_err(|_| SignError::Failed)
    }
}

async fn post(d: &Deployment, path: &str, body: &Value) -> Result<Answer> {
    let mut web = Web::connect(&d.net).await?;
    let headers = [("Content-Type", "application/json")];
    exchange(web.stream(), "POST", path, &headers, &body.to_string()).await
}

async fn challenge(d: &Deployment, chip: &Chip, with_certificate: bool) -> Result<Value> {
    let body = chip.introduction(with_certificate)?;
    let answer = post(d, "/api/v1/attestations", &body).await?.expect(201)?;
    Ok(serde_json::from_str(&answer.body)?)
}

fn enrolment(code: &str, request: &[u8], evidence: Option<Value>) -> Value {
    let mut body = json!({
        "code": code,
        "address": ALICE,
        "template": "SmartcardUser",
        "csr": STANDARD.encode(request),
        "card": {
            "kind": "virtual-tpm",
            "guid": Uuid::new_v4().simple().to_string(),
            "label": "chip",
        },
        "pin_changed": true,
    });
    if let Some(evidence) = evidence {
        body["attestation"] = evidence;
    }
    body
}

async fn enrol(d: &Deployment, code: &str, request: &[u8], evidence: Value) -> Result<Answer> {
    let body = enrolment(code, request, Some(evidence));
    post(d, "/api/v1/enrolments", &body).await
}

fn policies(answer: Answer) -> Result<Vec<String>> {
    let value: Value = serde_json::from_str(&answer.expect(201)?.body)?;
    let der = STANDARD.decode(value["certificate"].as_str().context("no certificate")?)?;
    let certificate = Certificate::from_der(&der)?;
    let policies = certificate.extensions().policies.iter();
    Ok(policies.map(ToString::to_string).collect())
}

fn refused(answer: &Answer, code: &str) -> Result<()> {
    let value: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.status < 400 || value["error"]["code"] != code {
        bail!("not {code}: {} {}", answer.status, answer.body);
    }
    Ok(())
}

fn code(d: &Deployment) -> Result<String> {
    let made = d.server.json(&["user", "enrol-code", ALICE])?;
    let text = made.to_string();
    made["code"]
        .as_str()
        .or_else(|| made["code"]["code"].as_str())
        .map(str::to_owned)
        .with_context(|| format!("no code in {text}"))
}

#[test]
fn a_certificate_says_who_vouches_for_the_tpm_that_holds_its_key() {
    let name = "attestation::a_certificate_says_who_vouches_for_the_tpm_that_holds_its_key";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let place = tempfile::tempdir()?;
        let chip = Chip::new(&place.path().join("a"))?;
        let request = chip.request()?;

        // A maker that nobody added: the person's word for the chip.
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        let answer = enrol(d, &code(d)?, &request, evidence).await?;
        let found = policies(answer)?;
        assert_eq!(found, [PROVED_BY_THE_PERSON]);

        // The maker counts.
        let root = chip.authority_file("swtpm-localca-rootca-cert.pem");
        let root = root.to_str().context("path")?;
        d.server
            .must(&["attestation", "add-maker", root, "--of", "tpm"])?;
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        let answer = enrol(d, &code(d)?, &request, evidence).await?;
        assert_eq!(policies(answer)?, [PROVED_BY_CERTIFICATE]);
        // Without its certificate the chip is anybody's.
        let evidence = chip.evidence(&challenge(d, &chip, false).await?, &request)?;
        let answer = enrol(d, &code(d)?, &request, evidence).await?;
        assert_eq!(policies(answer)?, [PROVED_BY_THE_PERSON]);

        // The administrator knows this very chip.
        let hash = chip.endorsement_key_hash()?;
        d.server
            .must(&["attestation", "add-tpm", &hash, "--note", "Alice's desk"])?;
        let list = d.server.json(&["attestation", "list"])?.to_string();
        assert!(
            list.contains(&hash) && list.contains("Alice's desk"),
            "{list}"
        );
        let evidence = chip.evidence(&challenge(d, &chip, false).await?, &request)?;
        let answer = enrol(d, &code(d)?, &request, evidence).await?;
        assert_eq!(policies(answer)?, [PROVED_BY_THE_LIST]);

        // Taken off the lists again.
        d.server.must(&["attestation", "remove-tpm", &hash])?;
        let thumbprint = chip
            .authority("swtpm-localca-rootca-cert.pem")?
            .thumbprint();
        d.server
            .must(&["attestation", "remove-maker", &thumbprint.to_string()])?;
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        let answer = enrol(d, &code(d)?, &request, evidence).await?;
        assert_eq!(policies(answer)?, [PROVED_BY_THE_PERSON]);
        d.server.must(&["audit", "verify"])?;
        Ok(())
    });
}

#[test]
fn a_policy_that_demands_proof_refuses_a_key_without_and_spends_no_code_on_it() {
    let name =
        "attestation::a_policy_that_demands_proof_refuses_a_key_without_and_spends_no_code_on_it";
    in_a_deployment(name, async |d| {
        let before = d.enrolled(ALICE).await?;
        crate::cards::must_come_in(d, &before).await?;
        let demand = ["policy", "set", "--default", "--key-assurance"];
        let set = |level| [&demand[..], &[level]].concat();
        // A dry run tells who would lose the way in.
        let dry = [&set("tpm-certificate")[..], &["--dry-run"]].concat();
        let said = d.server.json(&dry)?.to_string();
        assert!(said.contains("LY-1470") && said.contains(ALICE), "{said}");
        d.server.must(&set("tpm-certificate"))?;
        // Whoever was enrolled before without proof stays outside now.
        crate::cards::must_be_refused(d, &before, "LY-1470").await?;

        let place = tempfile::tempdir()?;
        let chip = Chip::new(&place.path().join("a"))?;
        let request = chip.request()?;
        let code = code(d)?;
        let none = enrolment(&code, &request, None);
        refused(&post(d, "/api/v1/enrolments", &none).await?, "LY-1470")?;
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        refused(&enrol(d, &code, &request, evidence).await?, "LY-1470")?;
        // Nothing of this is told without the right code.
        let none = enrolment("K7QM-2XW9-ABCD", &request, None);
        refused(&post(d, "/api/v1/enrolments", &none).await?, "LY-1401")?;

        let root = chip.authority_file("swtpm-localca-rootca-cert.pem");
        let root = root.to_str().context("path")?;
        d.server
            .must(&["attestation", "add-maker", root, "--of", "tpm"])?;
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        let answer = enrol(d, &code, &request, evidence).await?;
        assert_eq!(policies(answer)?, [PROVED_BY_CERTIFICATE]);
        Ok(())
    });
}

#[test]
fn what_a_chip_did_not_say_about_this_key_and_this_request_is_refused() {
    let name = "attestation::what_a_chip_did_not_say_about_this_key_and_this_request_is_refused";
    in_a_deployment(name, async |d| {
        d.server.must(&["user", "add", ALICE])?;
        let place = tempfile::tempdir()?;
        let chip = Chip::new(&place.path().join("a"))?;
        let other = Chip::new(&place.path().join("b"))?;
        let (request, foreign) = (chip.request()?, other.request()?);
        let code = code(d)?;

        // Another key than the one in the request; the request of another key.
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &foreign)?;
        refused(&enrol(d, &code, &foreign, evidence).await?, "LY-1474")?;
        let evidence = chip.evidence(&challenge(d, &chip, true).await?, &foreign)?;
        refused(&enrol(d, &code, &request, evidence).await?, "LY-1474")?;
        // The secret of another challenge, a changed statement, a number that nobody knows.
        let mut evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        evidence["secret"] = STANDARD.encode([0; 32]).into();
        refused(&enrol(d, &code, &request, evidence).await?, "LY-1474")?;
        let mut evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        let mut statement = STANDARD.decode(evidence["statement"].as_str().context("s")?)?;
        statement[20] ^= 1;
        evidence["statement"] = STANDARD.encode(&statement).into();
        refused(&enrol(d, &code, &request, evidence).await?, "LY-1474")?;
        let mut evidence = chip.evidence(&challenge(d, &chip, true).await?, &request)?;
        let good = evidence.clone();
        evidence["id"] = STANDARD.encode([9; 32]).into();
        refused(&enrol(d, &code, &request, evidence).await?, "LY-1472")?;
        // Once, and not twice.
        let answer = enrol(d, &code, &request, good.clone()).await?;
        assert_eq!(policies(answer)?, [PROVED_BY_THE_PERSON]);
        let fresh = self::code(d)?;
        refused(&enrol(d, &fresh, &request, good).await?, "LY-1472")?;

        // A certificate for another chip, keys that are none of a chip, and what is no JSON of ours.
        let mut body = chip.introduction(true)?;
        body["ek_certificate"] = other.introduction(true)?["ek_certificate"].take();
        refused(&post(d, "/api/v1/attestations", &body).await?, "LY-1473")?;
        let mut body = chip.introduction(true)?;
        body["ak_public"] = STANDARD.encode(chip.key.public.as_bytes()).into();
        refused(&post(d, "/api/v1/attestations", &body).await?, "LY-1473")?;
        let body = json!({"ek_public": "AAAA", "ak_public": "AAAA"});
        refused(&post(d, "/api/v1/attestations", &body).await?, "LY-1473")?;
        let body = json!({"surprise": 1});
        refused(&post(d, "/api/v1/attestations", &body).await?, "LY-1471")?;
        let mut body = enrolment(&code, &request, None);
        body["attestation"] = json!({"kind": "piv", "statement": "AA==", "device": "AA=="});
        let answer = post(d, "/api/v1/enrolments", &body).await?;
        // That code was used up: what is said about the key matters to nobody any more.
        refused(&answer, "LY-1401")?;
        Ok(())
    });
}
