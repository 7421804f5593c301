// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards that are no PIV cards: tokens of SoftHSM, which only its PKCS #11 module shows.

use crate::person::Person;
use crate::process::run_limited;
use crate::server::{HOST, Server, succeeded};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// SoftHSM's module.
pub const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// OpenSC's module.
pub const OPENSC: &str = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so";
/// The PIN of the tokens: no PIV card could have it.
pub const TOKEN_PIN: &str = "correct horse";
const LIMIT: Duration = Duration::from_secs(60);

/// The kinds of keys on tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKey {
    /// P-256.
    Ec,
    /// RSA-2048.
    Rsa,
}

/// A certificate of an authority that nobody knows.
#[derive(Debug, Clone, Copy)]
pub struct Foreign<'a> {
    /// Its number on the token, in hexadecimal digits.
    pub id: &'a str,
    /// Whose name stands in it.
    pub holder: &'a str,
    /// The sign-in address.
    pub address: &'a str,
    /// The curve of its key.
    pub curve: &'a str,
    /// When it was made, in `faketime`'s words; it holds for thirty days.
    pub made: &'a str,
    /// It is meant for signing in.
    pub for_sign_in: bool,
}

/// A person's SoftHSM: a folder of tokens.
#[derive(Debug)]
pub struct SoftHsm {
    folder: PathBuf,
    conf: PathBuf,
}

impl SoftHsm {
    /// An empty one; the person's programs find it from now on.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(person: &mut Person) -> Result<Self> {
        let folder = person.root.join("softhsm");
        let tokens = folder.join("tokens");
        std::fs::create_dir_all(&tokens)?;
        let conf = folder.join("softhsm2.conf");
        let text = format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&conf, text)?;
        person.set_environment("SOFTHSM2_CONF", &conf.display().to_string());
        Ok(Self { folder, conf })
    }

    /// A token with a fresh key, and a certificate for it from the server's own authority.
    ///
    /// # Errors
    /// A step failed.
    pub fn enrol(&self, server: &Server, address: &str, label: &str, key: TokenKey) -> Result<()> {
        self.init(label)?;
        let kind = match key {
            TokenKey::Ec => "EC -pkeyopt ec_paramgen_curve:P-256",
            TokenKey::Rsa => "RSA -pkeyopt rsa_keygen_bits:2048",
        };
        self.run(
            &format!("openssl genpkey -out key.pem -algorithm {kind}"),
            &[],
        )?;
        self.run(
            "openssl req -new -key key.pem -subj /CN=x -outform DER -out request.der",
            &[],
        )?;
        let certificate = certify(server, address, &self.folder)?;
        std::fs::write(self.folder.join("certificate.pem"), certificate)?;
        self.run(
            "openssl x509 -in certificate.pem -outform DER -out certificate.der",
            &[],
        )?;
        let import = "softhsm2-util --import key.pem --label key --id 01";
        self.run(import, &["--token", label, "--pin", TOKEN_PIN])?;
        self.write(label, "certificate.der", "01")?;
        std::fs::remove_file(self.folder.join("key.pem"))?;
        Ok(())
    }

    /// A token with nothing on it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn init(&self, label: &str) -> Result<()> {
        let init = "softhsm2-util --init-token --free --so-pin 12345678";
        self.run(init, &["--label", label, "--pin", TOKEN_PIN])
    }

    /// Writes a certificate of an authority that nobody knows, without its key.
    ///
    /// # Errors
    /// A step failed.
    pub fn write_foreign(&self, label: &str, foreign: &Foreign<'_>) -> Result<()> {
        let curve = foreign.curve;
        let key = "openssl genpkey -algorithm EC -out foreign.key -pkeyopt";
        self.run(key, &[&format!("ec_paramgen_curve:{curve}")])?;
        if !self.folder.join("ca.pem").exists() {
            let ca =
                "openssl req -x509 -newkey rsa:2048 -nodes -days 9999 -keyout ca.key -out ca.pem";
            self.run(ca, &["-subj", "/CN=Fabrikam CA"])?;
        }
        let request = "openssl req -new -key foreign.key -out foreign.csr -subj";
        self.run(request, &[&format!("/CN={}", foreign.holder)])?;
        let mut extensions = format!("subjectAltName=URI:sip:{}\n", foreign.address);
        if foreign.for_sign_in {
            extensions.push_str("extendedKeyUsage=1.3.6.1.5.5.7.3.2,1.3.6.1.4.1.311.20.2.2\n");
        }
        std::fs::write(self.folder.join("extensions"), extensions)?;
        let sign = "openssl x509 -req -in foreign.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
                    -days 30 -extfile extensions -outform DER -out foreign.der";
        let words: Vec<&str> = sign.split_whitespace().collect();
        self.run("faketime -f", &[&[foreign.made], &words[..]].concat())?;
        self.write(label, "foreign.der", foreign.id)
    }

    /// Writes the certificate of that authority itself.
    ///
    /// # Errors
    /// There is none yet.
    pub fn write_authority(&self, label: &str, id: &str) -> Result<()> {
        self.run("openssl x509 -in ca.pem -outform DER -out ca.der", &[])?;
        self.write(label, "ca.der", id)
    }

    fn write(&self, label: &str, file: &str, id: &str) -> Result<()> {
        let write = format!(
            "pkcs11-tool --module {SOFTHSM} --login --write-object {file} --type cert --id {id}"
        );
        self.run(&write, &["--token-label", label, "--pin", TOKEN_PIN])
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn remove(&self, label: &str) -> Result<()> {
        self.run("softhsm2-util --delete-token --token", &[label])
    }

    /// Runs a program: its words, and arguments that may hold spaces.
    fn run(&self, line: &str, more: &[&str]) -> Result<()> {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().context("no program")?);
        command.args(words).args(more).current_dir(&self.folder);
        command.env("SOFTHSM2_CONF", &self.conf);
        let output = run_limited(&mut command, "", LIMIT)?;
        succeeded(line, &output)
    }
}

/// Has the request in this folder certified, as a maker's own program would.
fn certify(server: &Server, address: &str, folder: &Path) -> Result<String> {
    let mut base64 = Command::new("base64");
    let csr = run_limited(base64.arg("-w0").arg(folder.join("request.der")), "", LIMIT)?;
    let csr = String::from_utf8_lossy(&csr.stdout).into_owned();
    let body = json!({
        "code": server.enrol_code(address)?,
        "address": address,
        "template": "SmartcardUser",
        "csr": csr,
        "card": { "kind": "physical", "guid": guid_of(&csr), "label": "token" },
        "pin_changed": true,
    });
    let file = folder.join("body.json");
    std::fs::write(&file, body.to_string())?;
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "40"]);
    command.arg("--cacert").arg(server.root_certificate());
    let port = server.ports.https;
    command.args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")]);
    command.args(["--header", "content-type: application/json", "--data"]);
    command.arg(format!("@{}", file.display()));
    command.arg(format!("https://{HOST}:{port}/api/v1/enrolments"));
    let output = run_limited(&mut command, "", LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let Some(certificate) = answer["certificate"].as_str() else {
        bail!("not certified: {text}");
    };
    if certificate.starts_with("-----BEGIN") {
        return Ok(certificate.to_owned());
    }
    Ok(format!(
        "-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n"
    ))
}

/// Sixteen bytes that differ from request to request, as hexadecimal digits.
fn guid_of(csr: &str) -> String {
    let bytes = csr.bytes().rev().filter(u8::is_ascii_alphanumeric);
    bytes.take(16).map(|byte| format!("{byte:02x}")).collect()
}
