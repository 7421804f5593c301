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
        let init = [
            "--init-token",
            "--free",
            "--label",
            label,
            "--so-pin",
            "12345678",
        ];
        self.run(
            "softhsm2-util",
            &[&init[..], &["--pin", TOKEN_PIN]].concat(),
        )?;
        let kind: &[&str] = match key {
            TokenKey::Ec => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            TokenKey::Rsa => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        };
        self.run("openssl", &[&["genpkey", "-out", "key.pem"], kind].concat())?;
        let request = [
            "req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-outform", "DER",
        ];
        self.run(
            "openssl",
            &[&request[..], &["-out", "request.der"]].concat(),
        )?;
        let certificate = certify(server, address, &self.folder)?;
        std::fs::write(self.folder.join("certificate.pem"), certificate)?;
        let der = [
            "-in",
            "certificate.pem",
            "-outform",
            "DER",
            "-out",
            "certificate.der",
        ];
        self.run("openssl", &[&["x509"], &der[..]].concat())?;
        let import = [
            "--import", "key.pem", "--token", label, "--label", "key", "--id", "01",
        ];
        self.run(
            "softhsm2-util",
            &[&import[..], &["--pin", TOKEN_PIN]].concat(),
        )?;
        let write = [
            "--module",
            SOFTHSM,
            "--token-label",
            label,
            "--login",
            "--pin",
            TOKEN_PIN,
        ];
        let what = [
            "--write-object",
            "certificate.der",
            "--type",
            "cert",
            "--id",
            "01",
        ];
        self.run("pkcs11-tool", &[&write[..], &what[..]].concat())?;
        std::fs::remove_file(self.folder.join("key.pem"))?;
        Ok(())
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn remove(&self, label: &str) -> Result<()> {
        self.run("softhsm2-util", &["--delete-token", "--token", label])
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder);
        command.env("SOFTHSM2_CONF", &self.conf);
        let output = run_limited(&mut command, "", LIMIT)?;
        succeeded(&format!("{program} {arguments:?}"), &output)
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
