// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our virtual card before foreign judges: OpenSC's tools, yubico-piv-tool and OpenSSL see it in a
//! PC/SC reader and use it. Each test has a pcscd and a card daemon of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::{self, Pcscd};
use lanyard_tests::process::{Running, eventually, program, run_limited};
use lanyard_virtual_card::{CardName, CardSpec, Created, Places, create, destroy, link};

const TRANSPORT_PIN: &str = "12345678";
const PIN: &str = "35914782";
const OTHER_PIN: &str = "86421357";
const WRONG_PIN: &str = "97531246";
const PUK: &str = "12345678";
const PATIENCE: Duration = Duration::from_secs(20);
/// Insertion and removal must be seen by programs within this time; pcscd looks every 400 ms.
const PROMPTLY: Duration = Duration::from_secs(2);

/// A reader with a card in it, and the tools before it.
struct Desk {
    folder: tempfile::TempDir,
    places: Places,
    card: Created,
    pcscd: Pcscd,
    cardd: Option<Running>,
}

impl Desk {
    fn new() -> Result<Self> {
        ensure!(
            pcsc::is_available(),
            "pcscd and vsmartcard-vpcd are needed: 'cargo xtask setup'"
        );
        let folder = tempfile::tempdir()?;
        let places = Places::new(
            &folder.path().join("data/lanyard/cards"),
            &folder.path().join("run/lanyard"),
        );
        let card = create(&places, CardSpec::new(CardName::parse("judged")?))?;
        let pcscd = Pcscd::start(folder.path(), 1)?;
        let mut desk = Self {
            folder,
            places,
            card,
            pcscd,
            cardd: None,
        };
        desk.insert()?;
        Ok(desk)
    }

    /// Starts the card daemon and waits until programs see the card.
    fn insert(&mut self) -> Result<()> {
        let mut command = self.command(program("lanyard-cardd"));
        command.args(["--foreground", "--vpcd", &self.pcscd.slot(0)]);
        let log = self.folder.path().join("cardd.log");
        self.cardd = Some(Running::start("lanyard-cardd", &mut command, &log)?);
        eventually("programs see the card", PATIENCE, || {
            self.sees_card().then_some(())
        })
    }

    /// Kills the card daemon without warning.
    fn kill(&mut self) -> Result<()> {
        let mut cardd = self.cardd.take().context("no card daemon runs")?;
        cardd.signal("KILL")?;
        cardd.wait_end(PATIENCE)?;
        eventually("the card is gone", PATIENCE, || {
            (!self.sees_card()).then_some(())
        })
    }

    fn sees_card(&self) -> bool {
        let reader = self.pcscd.reader_name(0);
        self.tool("opensc-tool", &["-l"]).is_ok_and(|list| {
            list.lines()
                .any(|line| line.contains(&reader) && line.contains("Yes"))
        })
    }

    /// A command with nothing of this computer's user in its environment.
    fn command(&self, program: impl AsRef<Path>) -> Command {
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
    fn tool(&self, name: &str, arguments: &[&str]) -> Result<String> {
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
    fn tool_fails(&self, name: &str, arguments: &[&str]) -> Result<String> {
        match self.tool(name, arguments) {
            Ok(words) => bail!("{name} {} should fail: {words}", arguments.join(" ")),
            Err(error) => Ok(error.to_string()),
        }
    }

    fn yubico(&self, arguments: &[&str]) -> Result<String> {
        self.tool("yubico-piv-tool", &[&["-r", "Lanyard"], arguments].concat())
    }

    fn pkcs11(&self, pin: &str, arguments: &[&str]) -> Result<String> {
        let module = opensc_module()?;
        let module = module.to_str().context("path")?;
        self.tool(
            "pkcs11-tool",
            &[&["--module", module, "--login", "--pin", pin], arguments].concat(),
        )
    }

    /// Chooses the holder's PIN.
    fn choose_pin(&self) -> Result<()> {
        self.yubico(&["-a", "change-pin", "-P", TRANSPORT_PIN, "-N", PIN])
            .map(drop)
    }

    /// Makes a key in a slot and a certificate for it, both by yubico-piv-tool and OpenSSL.
    fn enrol(&self, slot: &str, algorithm: &str) -> Result<()> {
        let public = format!("pub{slot}.pem");
        self.yubico(&["-a", "generate", "-s", slot, "-A", algorithm, "-o", &public])?;
        let certificate = self.certificate(slot)?;
        self.yubico(&["-a", "import-certificate", "-s", slot, "-i", &certificate])
            .map(drop)
    }

    /// A certificate for `pubSLOT.pem` from a throw-away authority.
    fn certificate(&self, slot: &str) -> Result<String> {
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
    fn digest(&self, hash: &str) -> Result<String> {
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
    fn verifies(&self, slot: &str, digest: &str, signature: &str) -> Result<()> {
        let key = format!("pub{slot}.pem");
        let arguments = [
            "pkeyutl", "-verify", "-pubin", "-inkey", &key, "-in", digest, "-sigfile", signature,
        ];
        let words = self.tool("openssl", &arguments)?;
        ensure!(words.contains("Verified Successfully"), "{words}");
        Ok(())
    }

    fn tries_left(&self) -> Result<u8> {
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

fn opensc_module() -> Result<PathBuf> {
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

fn judge(name: &str, test: impl FnOnce(&mut Desk) -> Result<()>) {
    in_own_namespace(name, || {
        let mut desk = Desk::new()?;
        let result = test(&mut desk);
        result.with_context(|| {
            let log = fs::read_to_string(desk.folder.path().join("cardd.log"));
            format!("the daemon's log:\n{}", log.unwrap_or_default())
        })
    });
}

#[test]
fn judge_opensc_sees_a_piv_card() {
    judge("judge_opensc_sees_a_piv_card", |desk| {
        let atr: Vec<String> = link::answer_to_reset()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let words = desk.tool("opensc-tool", &["--atr"])?;
        ensure!(words.contains(&atr.join(":")), "{words}");
        let words = desk.tool("opensc-tool", &["--name"])?;
        ensure!(
            words.contains("Personal Identity Verification Card"),
            "{words}"
        );

        let words = desk.tool("piv-tool", &["--serial"])?;
        let guid: String = desk.card.guid.to_string().to_uppercase();
        let shown = |line: &str| -> String {
            line.chars()
                .take(16 * 3)
                .filter(|c| !c.is_whitespace())
                .collect()
        };
        ensure!(words.lines().any(|line| shown(line) == guid), "{words}");

        let words = desk.tool("pkcs15-tool", &["--dump"])?;
        ensure!(words.contains(&desk.card.guid.to_string()), "{words}");
        for object in [
            "PIN [PIN]",
            "PIN [PIV PUK]",
            "Card Capability Container",
            "Discovery Object",
        ] {
            ensure!(words.contains(object), "{object}: {words}");
        }
        Ok(())
    });
}

#[test]
fn judge_yubico_piv_tool_personalises_and_uses_the_card() {
    judge(
        "judge_yubico_piv_tool_personalises_and_uses_the_card",
        |desk| {
            // It is no YubiKey and says nothing that only a YubiKey knows.
            let words = desk.yubico(&["-a", "status"])?;
            ensure!(words.contains("Version:\tNo data available"), "{words}");
            desk.yubico(&["-a", "verify-pin", "-P", TRANSPORT_PIN])?;
            desk.choose_pin()?;
            for (slot, algorithm) in [
                ("9a", "ECCP256"),
                ("9c", "ECCP384"),
                ("9d", "ECCP256"),
                ("9e", "ECCP256"),
            ] {
                desk.enrol(slot, algorithm)?;
            }
            let words = desk.yubico(&["-a", "status"])?;
            for slot in ["9a", "9c", "9d", "9e"] {
                ensure!(words.contains(&format!("CN=alice {slot}")), "{words}");
            }
            for slot in ["9a", "9c"] {
                let certificate = format!("cert{slot}.pem");
                let test = [
                    "-a",
                    "verify-pin",
                    "-P",
                    PIN,
                    "-a",
                    "test-signature",
                    "-s",
                    slot,
                ];
                let words = desk.yubico(&[&test[..], &["-i", &certificate]].concat())?;
                ensure!(
                    words.contains("Successful ECDSA verification"),
                    "{slot}: {words}"
                );
            }
            let test = ["-a", "test-signature", "-s", "9e", "-i", "cert9e.pem"];
            let words = desk.yubico(&test)?;
            ensure!(
                words.contains("Successful ECDSA verification"),
                "9E needs no PIN: {words}"
            );
            let test = [
                "-a",
                "verify-pin",
                "-P",
                PIN,
                "-a",
                "test-decipher",
                "-s",
                "9d",
            ];
            let words = desk.yubico(&[&test[..], &["-i", "cert9d.pem"]].concat())?;
            ensure!(words.contains("Successfully performed ECDH"), "{words}");

            desk.yubico(&[
                "-a",
                "set-mgm-key",
                "-n",
                "F1E2D3C4B5A697887766554433221100AABBCCDDEEFF0011",
            ])?;
            let words = desk.tool_fails("yubico-piv-tool", &["-r", "Lanyard", "-a", "set-ccc"])?;
            ensure!(
                words.contains("Failed authentication"),
                "the old key is worthless: {words}"
            );
            desk.yubico(&["-a", "change-puk", "-P", PUK, "-N", "24681357"])?;
            desk.yubico(&["-a", "unblock-pin", "-P", "24681357", "-N", OTHER_PIN])?;
            desk.yubico(&["-a", "verify-pin", "-P", OTHER_PIN])?;
            Ok(())
        },
    );
}

#[test]
fn judge_pkcs11_tool_signs_what_openssl_verifies() {
    judge("judge_pkcs11_tool_signs_what_openssl_verifies", |desk| {
        desk.choose_pin()?;
        for (slot, algorithm) in [("9a", "ECCP256"), ("9c", "ECCP384"), ("9d", "ECCP256")] {
            desk.enrol(slot, algorithm)?;
        }
        let words = desk.pkcs11(PIN, &["--list-objects"])?;
        ensure!(words.matches("Private Key Object").count() == 3, "{words}");
        let sign = |slot: &str, id: &str, hash: &str| -> Result<()> {
            let digest = desk.digest(hash)?;
            let (mechanism, out) = (
                ["--sign", "--mechanism", "ECDSA"],
                format!("signature{slot}"),
            );
            let files = [
                "--id",
                id,
                "-i",
                &digest,
                "-o",
                &out,
                "--signature-format",
                "openssl",
            ];
            desk.pkcs11(PIN, &[&mechanism[..], &files[..]].concat())?;
            desk.verifies(slot, &digest, &out)
        };
        sign("9a", "01", "sha256")?;
        sign("9c", "02", "sha384")?;
        // FIPS 186-5: the leftmost bits of a longer digest count.
        sign("9a", "01", "sha512")?;

        let curve = "ec_paramgen_curve:P-256";
        desk.tool(
            "openssl",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                curve,
                "-out",
                "peer.key",
            ],
        )?;
        desk.tool(
            "openssl",
            &[
                "pkey", "-in", "peer.key", "-pubout", "-outform", "DER", "-out", "peer.der",
            ],
        )?;
        let derive = [
            "--derive",
            "--mechanism",
            "ECDH1-COFACTOR-DERIVE",
            "--id",
            "03",
        ];
        desk.pkcs11(
            PIN,
            &[&derive[..], &["-i", "peer.der", "-o", "ours"]].concat(),
        )?;
        desk.tool(
            "openssl",
            &[
                "pkeyutl",
                "-derive",
                "-inkey",
                "peer.key",
                "-peerkey",
                "pub9d.pem",
                "-out",
                "theirs",
            ],
        )?;
        let read = |name: &str| fs::read(desk.folder.path().join(name));
        ensure!(
            read("ours")? == read("theirs")?,
            "both sides agree on one secret"
        );

        let words = desk.pkcs11(PIN, &["--test"])?;
        ensure!(words.contains("No errors"), "{words}");
        Ok(())
    });
}

#[test]
fn judge_piv_tool_and_pkcs15_tools_write_read_and_sign() {
    judge(
        "judge_piv_tool_and_pkcs15_tools_write_read_and_sign",
        |desk| {
            desk.choose_pin()?;
            desk.yubico(&[
                "-a",
                "generate",
                "-s",
                "9a",
                "-A",
                "ECCP256",
                "-o",
                "pub9a.pem",
            ])?;
            let certificate = desk.certificate("9a")?;
            // OpenSC proves the management key its own way and writes the certificate.
            let key = ["01:02:03:04:05:06:07:08"; 3].join(":");
            fs::write(desk.folder.path().join("management-key"), key)?;
            let mut write = desk.command("piv-tool");
            write
                .env(
                    "PIV_EXT_AUTH_KEY",
                    desk.folder.path().join("management-key"),
                )
                .args(["--admin", "M:9B:03", "--cert", "9A", "--in", &certificate]);
            // Its exit status is the number of bytes written; what it wrote is read back instead.
            run_limited(&mut write, "", PATIENCE)?;

            let words = desk.tool("pkcs15-tool", &["--read-certificate", "01"])?;
            let pem = fs::read_to_string(desk.folder.path().join(certificate))?;
            let body = |text: &str| -> String {
                let inside = text.split("-----").nth(2).unwrap_or_default();
                inside.split_whitespace().collect()
            };
            ensure!(body(&words) == body(&pem), "{words}");

            let digest = desk.digest("sha256")?;
            let sign = [
                "--sign",
                "--sha-256",
                "--key",
                "01",
                "--pin",
                PIN,
                "--signature-format",
                "openssl",
            ];
            desk.tool(
                "pkcs15-crypt",
                &[&sign[..], &["-i", &digest, "-o", "signature"]].concat(),
            )?;
            desk.verifies("9a", &digest, "signature")?;

            desk.tool("pkcs15-tool", &["--verify-pin", "--pin", PIN])?;
            let change = ["--change-pin", "--pin", PIN, "--new-pin", OTHER_PIN];
            desk.tool("pkcs15-tool", &change)?;
            desk.tool("pkcs15-tool", &["--verify-pin", "--pin", OTHER_PIN])?;
            let unblock = ["--unblock-pin", "--puk", PUK, "--new-pin", PIN];
            desk.tool("pkcs15-tool", &unblock)?;
            desk.tool("pkcs15-tool", &["--verify-pin", "--pin", PIN])?;
            Ok(())
        },
    );
}

#[test]
fn judge_the_transport_pin_signs_nothing_in_any_tool() {
    judge(
        "judge_the_transport_pin_signs_nothing_in_any_tool",
        |desk| {
            desk.enrol("9a", "ECCP256")?;
            let digest = desk.digest("sha256")?;
            let sign = [
                "--sign",
                "--mechanism",
                "ECDSA",
                "--id",
                "01",
                "-i",
                &digest,
                "-o",
                "signature",
            ];
            ensure!(
                desk.pkcs11(TRANSPORT_PIN, &sign).is_err(),
                "pkcs11-tool signed"
            );
            let test = [
                "-a",
                "verify-pin",
                "-P",
                TRANSPORT_PIN,
                "-a",
                "test-signature",
                "-s",
                "9a",
            ];
            let tool = [&["-r", "Lanyard"][..], &test[..], &["-i", "cert9a.pem"]].concat();
            desk.tool_fails("yubico-piv-tool", &tool)?;
            ensure!(desk.tries_left()? == 3, "a right PIN costs no try");
            for refused in [TRANSPORT_PIN, "77777777", "87654321", "123456"] {
                let change = [
                    "-r",
                    "Lanyard",
                    "-a",
                    "change-pin",
                    "-P",
                    TRANSPORT_PIN,
                    "-N",
                    refused,
                ];
                desk.tool_fails("yubico-piv-tool", &change)?;
            }
            desk.choose_pin()?;
            desk.pkcs11(PIN, &sign)?;
            Ok(())
        },
    );
}

#[test]
fn judge_wrong_pins_are_counted_over_a_killed_daemon() {
    judge(
        "judge_wrong_pins_are_counted_over_a_killed_daemon",
        |desk| {
            desk.choose_pin()?;
            let wrong = ["-r", "Lanyard", "-a", "verify-pin", "-P", WRONG_PIN];
            let words = desk.tool_fails("yubico-piv-tool", &wrong)?;
            ensure!(words.contains("2 tries left"), "{words}");
            desk.kill()?;
            desk.insert()?;
            ensure!(desk.tries_left()? == 2);
            desk.tool_fails("yubico-piv-tool", &wrong)?;
            desk.kill()?;
            desk.insert()?;
            let words = desk.tool_fails("yubico-piv-tool", &wrong)?;
            ensure!(words.contains("block"), "{words}");
            let right = ["-r", "Lanyard", "-a", "verify-pin", "-P", PIN];
            let words = desk.tool_fails("yubico-piv-tool", &right)?;
            ensure!(words.contains("block"), "{words}");
            desk.yubico(&["-a", "unblock-pin", "-P", PUK, "-N", OTHER_PIN])?;
            desk.yubico(&["-a", "verify-pin", "-P", OTHER_PIN])?;
            Ok(())
        },
    );
}

#[test]
fn judge_a_full_disk_gives_no_guess_and_loses_no_card() {
    judge(
        "judge_a_full_disk_gives_no_guess_and_loses_no_card",
        |desk| {
            desk.kill()?;
            // The same card, on a disk of its own that is soon full.
            desk.tool("cp", &["-a", "data", "kept"])?;
            desk.tool("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", "data"])?;
            desk.tool("cp", &["-a", "kept/lanyard", "data/"])?;
            desk.insert()?;
            let filler = desk.folder.path().join("data/filler");
            ensure!(
                fs::write(&filler, vec![1; 1 << 20]).is_err(),
                "the disk is full"
            );
            let (wrong, right) = (
                "00:20:00:80:08:39:39:39:39:39:39:39:39",
                "00:20:00:80:08:31:32:33:34:35:36:37:38",
            );
            let words = desk.tool("opensc-tool", &["-s", wrong, "-s", right])?;
            ensure!(words.matches("SW1=0x65, SW2=0x81").count() == 2, "{words}");
            fs::remove_file(&filler)?;
            ensure!(desk.tries_left()? == 3, "no try was counted");
            desk.choose_pin()?;
            desk.yubico(&["-a", "verify-pin", "-P", PIN])?;
            Ok(())
        },
    );
}

#[test]
fn judge_a_card_appears_and_disappears_promptly() {
    judge("judge_a_card_appears_and_disappears_promptly", |desk| {
        destroy(&desk.places, desk.card.instance)?;
        eventually("the reader is empty", PROMPTLY, || {
            (!desk.sees_card()).then_some(())
        })?;
        desk.card = create(&desk.places, CardSpec::new(CardName::parse("second")?))?;
        eventually("the new card is seen", PROMPTLY, || {
            desk.sees_card().then_some(())
        })?;
        let second = create(&desk.places, CardSpec::new(CardName::parse("third")?))?;
        eventually("the second slot holds a card, too", PROMPTLY, || {
            let list = desk.tool("opensc-tool", &["-l"]).ok()?;
            (list.matches("Yes").count() == 2).then_some(())
        })?;
        ensure!(second.guid != desk.card.guid);
        Ok(())
    });
}

#[test]
fn judge_a_command_through_pcscd_is_answered_at_once() {
    judge(
        "judge_a_command_through_pcscd_is_answered_at_once",
        |desk| {
            const COMMANDS: u32 = 200;
            let queries = vec!["-s", "00:20:00:80"].repeat(COMMANDS as usize);
            let began = Instant::now();
            desk.tool("opensc-tool", &["-l"])?;
            let start = began.elapsed();
            let began = Instant::now();
            let words = desk.tool("opensc-tool", &queries)?;
            let each = began.elapsed().saturating_sub(start) / COMMANDS;
            ensure!(
                words.matches("SW1=0x63, SW2=0xC3").count() == COMMANDS as usize,
                "{words}"
            );
            // With the delayed acknowledgement it is 40 ms and more.
            ensure!(
                each < Duration::from_millis(10),
                "{each:?} for each command"
            );
            println!("{each:?} for each command through opensc-tool, pcscd and vpcd");
            Ok(())
        },
    );
}
