// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader with our card in it, and the tools that judge it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::{self, Pcscd};
use lanyard_tests::process::{Running, eventually, program, run_limited};
use lanyard_tests::swtpm::Swtpm;
use lanyard_virtual_card::{CardName, CardSpec, Created, KdfCost, KeeperChoice, Places, create};

pub const TRANSPORT_PIN: &str = "12345678";
pub const PIN: &str = "35914782";
pub const OTHER_PIN: &str = "86421357";
pub const WRONG_PIN: &str = "97531246";
pub const PUK: &str = "12345678";
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Insertion and removal must be seen by programs within this time; pcscd looks every 400 ms, and a busy
/// computer takes its time to start programs.
pub const PROMPTLY: Duration = PATIENCE;

/// A reader with a card in it, and the tools before it.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub places: Places,
    pub card: Created,
    pcscd: Pcscd,
    cardd: Option<Running>,
    _chip: Option<Swtpm>,
    chip_folder: Option<tempfile::TempDir>,
}

impl Desk {
    /// With a card in a file.
    pub fn new() -> Result<Self> {
        Self::with(None, KdfCost::RECOMMENDED)
    }

    /// With a card whose PIN is cheap to try: for judges that verify it hundreds of times.
    pub fn in_cheap_file() -> Result<Self> {
        Self::with(None, KdfCost::LEAST)
    }

    /// With a card in a TPM of the desk's own.
    pub fn in_tpm() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut desk = Self::with(Some(Swtpm::start(folder.path())), KdfCost::RECOMMENDED)?;
        desk.chip_folder = Some(folder);
        Ok(desk)
    }

    fn with(chip: Option<Swtpm>, kdf: KdfCost) -> Result<Self> {
        ensure!(
            pcsc::pcscd_is_available(),
            "pcscd is needed: 'cargo xtask setup'"
        );
        let folder = tempfile::tempdir()?;
        let places = Places::new(
            &folder.path().join("data/lanyard/cards"),
            &folder.path().join("run/lanyard"),
        );
        let mut spec = CardSpec::new(CardName::parse("judged")?);
        spec.kdf = kdf;
        if let Some(chip) = &chip {
            spec.keeper = KeeperChoice::Tpm {
                device: chip.device().parse()?,
                attestation: None,
            };
        }
        let card = create(&places, spec)?;
        let pcscd = Pcscd::start_ours(folder.path(), 1)?;
        let mut desk = Self {
            folder,
            places,
            card,
            pcscd,
            cardd: None,
            _chip: chip,
            chip_folder: None,
        };
        desk.insert()?;
        Ok(desk)
    }

    /// Starts the card daemon and waits until programs see the card.
    pub fn insert(&mut self) -> Result<()> {
        let mut command = self.command(program("lanyard-cardd"));
        command.args(["--foreground", "--reader", &self.pcscd.slot(0)]);
        let log = self.folder.path().join("cardd.log");
        self.cardd = Some(Running::start("lanyard-cardd", &mut command, &log)?);
        eventually("programs see the card", PATIENCE, || {
            self.sees_card().then_some(())
        })
    }

    /// Kills the card daemon without warning.
    pub fn kill(&mut self) -> Result<()> {
        let mut cardd = self.cardd.take().context("no card daemon runs")?;
        cardd.signal("KILL")?;
        cardd.wait_end(PATIENCE)?;
        eventually("the card is gone", PATIENCE, || {
            (!self.sees_card()).then_some(())
        })
    }

    pub fn sees_card(&self) -> bool {
        let reader = self.pcscd.reader_name(0);
        self.tool("opensc-tool", &["-l"]).is_ok_and(|list| {
            list.lines()
                .any(|line| line.contains(&reader) && line.contains("Yes"))
        })
    }

    /// The reader that the card lies in.
    pub fn reader_name(&self) -> String {
        self.pcscd.reader_name(0)
    }

    /// A command with nothing of this computer's user in its environment.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a tool to its end; gives its words when it succeeded.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(name);
        let output = run_limited(command.args(arguments), "", PATIENCE)?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("{name} {}: {words}", arguments.join(" "));
        }
        Ok(words)
    }

    /// Runs a tool that must fail; gives its words.
    pub fn tool_fails(&self, name: &str, arguments: &[&str]) -> Result<String> {
        match self.tool(name, arguments) {
            Ok(words) => bail!("{name} {} should fail: {words}", arguments.join(" ")),
            Err(error) => Ok(error.to_string()),
        }
    }

    pub fn yubico(&self, arguments: &[&str]) -> Result<String> {
        self.tool("yubico-piv-tool", &[&["-r", "Lanyard"], arguments].concat())
    }

    pub fn pkcs11(&self, pin: &str, arguments: &[&str]) -> Result<String> {
        let module = opensc_module()?;
        let module = module.to_str().context("path")?;
        self.tool(
            "pkcs11-tool",
            &[&["--module", module, "--login", "--pin", pin], arguments].concat(),
        )
    }

    /// Chooses the holder's PIN.
    pub fn choose_pin(&self) -> Result<()> {
        self.yubico(&["-a", "change-pin", "-P", TRANSPORT_PIN, "-N", PIN])
            .map(drop)
    }

    /// Makes a key in a slot and a certificate for it, both by yubico-piv-tool and OpenSSL.
    pub fn enrol(&self, slot: &str, algorithm: &str) -> Result<()> {
        let public = format!("pub{slot}.pem");
        self.yubico(&["-a", "generate", "-s", slot, "-A", algorithm, "-o", &public])?;
        let certificate = self.certificate(slot)?;
        self.yubico(&["-a", "import-certificate", "-s", slot, "-i", &certificate])
            .map(drop)
    }

    /// A certificate for `pubSLOT.pem` from a throw-away authority.
    pub fn certificate(&self, slot: &str) -> Result<String> {
        let (key, authority) = ("ca.key", "ca.pem");
        if !self.folder.path().join(authority).exists() {
            let curve = "ec_paramgen_curve:P-256";
            self.tool(
                "openssl",
                &[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    curve,
                    "-out",
                    key,
                ],
            )?;
            let subject = "/CN=Judges";
            self.tool(
                "openssl",
                &[
                    "req", "-new", "-x509", "-key", key, "-subj", subject, "-out", authority,
                ],
            )?;
        }
        let (public, out) = (format!("pub{slot}.pem"), format!("cert{slot}.pem"));
        let subject = format!("/CN=alice {slot}");
        let sign = ["-CA", authority, "-CAkey", key, "-out", &out];
        let make = ["x509", "-new", "-force_pubkey", &public, "-subj", &subject];
        self.tool("openssl", &[&make[..], &sign[..]].concat())?;
        Ok(out)
    }

    /// Writes the digest of a message and gives the file's name.
    pub fn digest(&self, hash: &str) -> Result<String> {
        fs::write(self.folder.path().join("message"), "Grüße an die Karte\n")?;
        let out = format!("digest-{hash}");
        self.tool(
            "openssl",
            &[
                "dgst",
                &format!("-{hash}"),
                "-binary",
                "-out",
                &out,
                "message",
            ],
        )?;
        Ok(out)
    }

    /// OpenSSL says whether a signature is right.
    pub fn verifies(&self, slot: &str, digest: &str, signature: &str) -> Result<()> {
        let key = format!("pub{slot}.pem");
        let arguments = [
            "pkeyutl", "-verify", "-pubin", "-inkey", &key, "-in", digest, "-sigfile", signature,
        ];
        let words = self.tool("openssl", &arguments)?;
        ensure!(words.contains("Verified Successfully"), "{words}");
        Ok(())
    }

    pub fn tries_left(&self) -> Result<u8> {
        let words = self.yubico(&["-a", "status"])?;
        let line = words
            .lines()
            .find(|line| line.starts_with("PIN tries left"))
            .context(words.clone())?;
        line.trim_start_matches("PIN tries left:")
            .trim()
            .parse()
            .with_context(|| line.to_owned())
    }
}

/// OpenSC's PKCS#11 module.
pub fn opensc_module() -> Result<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/lib"), PathBuf::from("/usr/lib64")];
    folders.extend(
        fs::read_dir("/usr/lib")?
            .flatten()
            .map(|entry| entry.path()),
    );
    folders
        .into_iter()
        .map(|folder| folder.join("opensc-pkcs11.so"))
        .find(|module| module.exists())
        .context("opensc-pkcs11 is needed: 'cargo xtask setup'")
}

/// Runs a test at a desk of its own, in a namespace of its own.
pub fn judge(name: &str, test: impl FnOnce(&mut Desk) -> Result<()>) {
    judge_at(name, Desk::new, test);
}

/// As [`judge`], with a card whose PIN is cheap to try.
pub fn judge_cheaply(name: &str, test: impl FnOnce(&mut Desk) -> Result<()>) {
    judge_at(name, Desk::in_cheap_file, test);
}

/// As [`judge`], with a card in a TPM.
pub fn judge_in_tpm(name: &str, test: impl FnOnce(&mut Desk) -> Result<()>) {
    judge_at(name, Desk::in_tpm, test);
}

fn judge_at(
    name: &str,
    desk: impl FnOnce() -> Result<Desk>,
    test: impl FnOnce(&mut Desk) -> Result<()>,
) {
    in_own_namespace(name, || {
        let mut desk = desk()?;
        let result = test(&mut desk);
        result.with_context(|| {
            let log = fs::read_to_string(desk.folder.path().join("cardd.log"));
            format!("the daemon's log:\n{}", log.unwrap_or_default())
        })
    });
}
