// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our checks against a TPM that nobody here wrote: swtpm, with the chain of its own local authority, worked by
//! tpm2-tools.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lanyard_attest::tpm::{
    AttestationKey, CertifyError, CredentialError, EndorsementKey, Public, PublicError, Statement,
    certified_key, make_credential, qualifying_data,
};
use lanyard_attest::{EkRootError, chain_to_roots};
use lanyard_x509::Certificate;
use time::OffsetDateTime;

/// How long swtpm may take to come up.
const START_MAX: Duration = Duration::from_secs(30);

struct Tpm {
    folder: PathBuf,
    process: Child,
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Tpm {
    /// A new chip with certificates of its maker.
    fn new(name: &str) -> Self {
        // A socket's path has to be short.
        let folder = std::env::temp_dir().join(format!("lat-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for part in ["state", "ca"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let at = folder.display();
        fs::write(
            folder.join("ca.conf"),
            format!(
                "statedir = {at}/ca\nsigningkey = {at}/ca/key.pem\n\
                 issuercert = {at}/ca/issuer.pem\ncertserial = {at}/ca/serial\n"
            ),
        )
        .unwrap();
        fs::write(
            folder.join("options"),
            "--platform-manufacturer Lanyard\n--platform-version 1\n--platform-model test\n",
        )
        .unwrap();
        fs::write(
            folder.join("setup.conf"),
            format!(
                "create_certs_tool = /usr/bin/swtpm_localca\n\
                 create_certs_tool_config = {at}/ca.conf\n\
                 create_certs_tool_options = {at}/options\nactive_pcr_banks = sha256\n"
            ),
        )
        .unwrap();
        let made = Command::new("swtpm_setup")
            .args(["--tpm2", "--create-ek-cert", "--overwrite", "--tpmstate"])
            .arg(folder.join("state"))
            .arg("--config")
            .arg(folder.join("setup.conf"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={at}/state")])
            .args(["--server", &format!("type=unixio,path={at}/s")])
            .args(["--ctrl", &format!("type=unixio,path={at}/s.ctrl")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + START_MAX;
        while !folder.join("s").exists() || !folder.join("s.ctrl").exists() {
            assert!(Instant::now() < until, "swtpm did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, process }
    }

    /// Runs one of tpm2-tools. swtpm serves one client at a time and lets the last one go a moment late.
    fn run(&self, tool: &str, arguments: &[&str]) {
        let socket = self.folder.join("s");
        let mut output = None;
        for _ in 0..20 {
            let tried = Command::new(format!("tpm2_{tool}"))
                .args(arguments)
                .current_dir(&self.folder)
                .env("TPM2TOOLS_TCTI", format!("swtpm:path={}", socket.display()))
                .output()
                .unwrap();
            if tried.status.success() {
                return;
            }
            let connects = String::from_utf8_lossy(&tried.stderr).contains("Could not load tcti");
            output = Some(tried);
            if !connects {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("tpm2_{tool} {arguments:?}: {output:?}");
    }

    fn flush(&self) {
        self.run("flushcontext", &["-t"]);
        self.run("flushcontext", &["-l"]);
        self.run("flushcontext", &["-s"]);
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    /// `TPM2B_PUBLIC` without its size.
    fn public(&self, name: &str) -> Public {
        Public::from_bytes(&self.file(name)[2..]).unwrap()
    }

    fn certificate(&self, name: &str) -> Certificate {
        Certificate::from_pem(&String::from_utf8(self.file(name)).unwrap()).unwrap()
    }

    /// The endorsement key and its certificate.
    fn endorsement(&self, algorithm: &str) -> EndorsementKey {
        self.run(
            "createek",
            &["-c", "ek.ctx", "-G", algorithm, "-f", "tss", "-u", "ek.pub"],
        );
        self.flush();
        EndorsementKey::new(self.public("ek.pub")).unwrap()
    }

    fn attestation(&self, algorithm: &str) -> AttestationKey {
        let scheme = if algorithm == "rsa" {
            "rsassa"
        } else {
            "ecdsa"
        };
        let arguments = [
            "-C", "ek.ctx", "-c", "ak.ctx", "-G", algorithm, "-s", scheme, "-g", "sha256", "-u",
            "ak.pub", "-n", "ak.name", "-f", "tss",
        ];
        self.run("createak", &arguments);
        self.flush();
        AttestationKey::new(self.public("ak.pub")).unwrap()
    }

    /// Makes a key with these attributes and lets the attestation key speak about it.
    fn certify(&self, attributes: &str) -> Public {
        self.run(
            "createprimary",
            &["-C", "o", "-g", "sha256", "-G", "ecc", "-c", "p.ctx"],
        );
        self.flush();
        let arguments = [
            "-C", "p.ctx", "-G", "ecc256", "-g", "sha256", "-u", "k.pub", "-r", "k.priv", "-a",
            attributes,
        ];
        self.run("create", &arguments);
        self.flush();
        self.run(
            "load",
            &["-C", "p.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx"],
        );
        self.flush();
        let arguments = [
            "-c",
            "k.ctx",
            "-C",
            "ak.ctx",
            "-g",
            "sha256",
            "-o",
            "attest",
            "-s",
            "signature",
            "-f",
            "tss",
        ];
        self.run("certify", &arguments);
        self.flush();
        self.public("k.pub")
    }
}

/// What this version of tpm2-tools puts into each statement; it can be told nothing else.
const QUALIFYING: [u8; 4] = [0x00, 0xFF, 0x55, 0xAA];
const FOR_USE: &str = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign";

#[test]
fn a_chip_opens_our_credential_and_vouches_for_its_key() {
    for (name, endorsement, attestation) in [("rsa", "rsa", "ecc"), ("ecc", "ecc", "rsa")] {
        let tpm = Tpm::new(name);
        let ek = tpm.endorsement(endorsement);
        let ak = tpm.attestation(attestation);
        assert_eq!(tpm.file("ak.name"), ak.public().name());

        let secret = [0x5A; 32];
        let credential = make_credential(&ek, &ak, &secret, &[0xA5; 32]).unwrap();
        // The form of tpm2-tools: a magic number, a version, then the two parts.
        let mut file = vec![0xBA, 0xDC, 0xC0, 0xDE, 0, 0, 0, 1];
        file.extend(&credential.blob);
        file.extend(&credential.encrypted_seed);
        fs::write(tpm.folder.join("credential"), file).unwrap();
        tpm.run("startauthsession", &["--policy-session", "-S", "session"]);
        tpm.run("policysecret", &["-S", "session", "-c", "e"]);
        let arguments = [
            "-c",
            "ak.ctx",
            "-C",
            "ek.ctx",
            "-i",
            "credential",
            "-o",
            "secret",
            "-P",
            "session:session",
        ];
        tpm.run("activatecredential", &arguments);
        assert_eq!(tpm.file("secret"), secret);
        tpm.run("flushcontext", &["session"]);
        tpm.flush();

        let key = tpm.certify(FOR_USE);
        let (attest, signature) = (tpm.file("attest"), tpm.file("signature"));
        let statement = Statement {
            attest: &attest,
            signature: &signature,
        };
        assert_eq!(certified_key(statement, &ak, &QUALIFYING, &key), Ok(()));

        // The same statement for another request, about another key, and changed on the way.
        let other = qualifying_data(b"nonce", b"another request");
        assert_eq!(
            certified_key(statement, &ak, &other, &key),
            Err(CertifyError::Qualifying)
        );
        assert_eq!(
            certified_key(statement, &ak, &QUALIFYING, ak.public()),
            Err(CertifyError::AnotherKey)
        );
        for (at, byte) in attest.iter().enumerate() {
            let mut changed = attest.clone();
            changed[at] = byte ^ 1;
            let statement = Statement {
                attest: &changed,
                signature: &signature,
            };
            assert_eq!(
                certified_key(statement, &ak, &QUALIFYING, &key),
                Err(CertifyError::Signature)
            );
        }
        for end in 0..signature.len() {
            let statement = Statement {
                attest: &attest,
                signature: &signature[..end],
            };
            assert!(certified_key(statement, &ak, &QUALIFYING, &key).is_err());
        }
    }
}

#[test]
fn a_key_that_can_leave_its_chip_is_not_bound_to_it() {
    let tpm = Tpm::new("loose");
    tpm.endorsement("rsa");
    let ak = tpm.attestation("ecc");
    let key = tpm.certify("sensitivedataorigin|userwithauth|sign");
    let (attest, signature) = (tpm.file("attest"), tpm.file("signature"));
    let statement = Statement {
        attest: &attest,
        signature: &signature,
    };
    assert_eq!(
        certified_key(statement, &ak, &QUALIFYING, &key),
        Err(CertifyError::NotBound)
    );
    // Nor does such a key pass for one of the chip's own.
    let own = AttestationKey::new(key.clone());
    assert_eq!(own.unwrap_err(), CredentialError::NotAttestationKey);
    let own = EndorsementKey::new(key);
    assert_eq!(own.unwrap_err(), CredentialError::NotEndorsementKey);
}

#[test]
fn the_makers_certificate_leads_to_a_root_that_was_added_and_to_no_other() {
    let tpm = Tpm::new("chain");
    let ek = tpm.endorsement("rsa");
    tpm.run("nvread", &["0x1c00002", "-C", "o", "-o", "ek.der"]);
    let certificate = Certificate::from_der(&tpm.file("ek.der")).unwrap();
    assert_eq!(ek.check_certificate(&certificate), Ok(()));
    let issuer = tpm.certificate("ca/issuer.pem");
    let root = tpm.certificate("ca/swtpm-localca-rootca-cert.pem");
    let now = OffsetDateTime::now_utc() + Duration::from_secs(60);
    let between = std::slice::from_ref(&issuer);
    let trusted = std::slice::from_ref(&root);
    assert_eq!(chain_to_roots(&certificate, between, trusted, now), Ok(()));
    // An administrator may also add the one in between alone.
    assert_eq!(chain_to_roots(&certificate, &[], between, now), Ok(()));
    assert_eq!(
        chain_to_roots(&certificate, &[], trusted, now),
        Err(EkRootError::UnknownMaker)
    );
    let past = OffsetDateTime::UNIX_EPOCH;
    assert_eq!(
        chain_to_roots(&certificate, between, trusted, past),
        Err(EkRootError::OutOfTime)
    );

    let other = Tpm::new("chain2");
    let foreign = other.certificate("ca/swtpm-localca-rootca-cert.pem");
    assert_eq!(
        chain_to_roots(&certificate, between, &[foreign], now),
        Err(EkRootError::UnknownMaker)
    );
    let its = other.endorsement("rsa");
    assert_eq!(
        its.check_certificate(&certificate),
        Err(CredentialError::AnotherKey)
    );
}

#[test]
fn what_is_no_public_area_is_refused() {
    let tpm = Tpm::new("area");
    tpm.endorsement("rsa");
    let area = tpm.file("ek.pub")[2..].to_vec();
    assert!(Public::from_bytes(&area).is_ok());
    for end in 0..area.len() {
        assert!(Public::from_bytes(&area[..end]).is_err());
    }
    let mut longer = area.clone();
    longer.push(0);
    assert_eq!(
        Public::from_bytes(&longer).unwrap_err(),
        PublicError::Malformed
    );
    assert!(Public::from_bytes(&vec![0; 5000]).is_err());
}
