// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our virtual card before foreign judges: OpenSC's tools, yubico-piv-tool and OpenSSL see it in a
//! PC/SC reader and use it. Each test has a pcscd and a card daemon of its own.

mod desk;
mod hosts;
mod rsa;
mod tpm;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lanyard_tests::process::{eventually, run_limited};
use lanyard_virtual_card::{CardName, CardSpec, create, destroy, link};

use crate::desk::{OTHER_PIN, PATIENCE, PIN, PROMPTLY, PUK, TRANSPORT_PIN, WRONG_PIN, judge};

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
            let queries = ["-s", "00:20:00:80"].repeat(COMMANDS as usize);
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
            println!("{each:?} for each command through opensc-tool, pcscd and our driver");
            Ok(())
        },
    );
}
