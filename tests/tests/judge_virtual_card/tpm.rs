// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same judges before a card whose keys and counters are in a TPM.

use anyhow::ensure;

use crate::desk::{OTHER_PIN, PIN, PUK, TRANSPORT_PIN, WRONG_PIN, judge_in_tpm};
use crate::hosts::examine;

#[test]
fn judge_foreign_tools_use_a_card_in_the_tpm() {
    judge_in_tpm("tpm::judge_foreign_tools_use_a_card_in_the_tpm", |desk| {
        let words = desk.tool("opensc-tool", &["--name"])?;
        ensure!(
            words.contains("Personal Identity Verification Card"),
            "{words}"
        );
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
        for (slot, pin) in [("9a", true), ("9c", true), ("9e", false)] {
            let certificate = format!("cert{slot}.pem");
            let mut all = Vec::new();
            if pin {
                all.extend(["-a", "verify-pin", "-P", PIN]);
            }
            all.extend(["-a", "test-signature", "-s", slot, "-i", &certificate]);
            let words = desk.yubico(&all)?;
            ensure!(
                words.contains("Successful ECDSA verification"),
                "{slot}: {words}"
            );
        }
        let agree = ["-a", "verify-pin", "-P", PIN, "-a", "test-decipher"];
        let words = desk.yubico(&[&agree[..], &["-s", "9d", "-i", "cert9d.pem"]].concat())?;
        ensure!(words.contains("Successfully performed ECDH"), "{words}");

        // OpenSC signs with the key of slot 9A, and OpenSSL checks it.
        let digest = desk.digest("sha256")?;
        let sign = ["--sign", "--id", "01", "--mechanism", "ECDSA"];
        let format = ["--signature-format", "openssl"];
        let files = ["--input-file", &digest, "--output-file", "signature"];
        desk.pkcs11(PIN, &[&sign[..], &format, &files].concat())?;
        desk.verifies("9a", &digest, "signature")?;

        // The chip counts, and the PUK helps.
        for left in [2, 1, 0] {
            desk.tool_fails(
                "yubico-piv-tool",
                &["-r", "Lanyard", "-a", "verify-pin", "-P", WRONG_PIN],
            )?;
            ensure!(desk.tries_left()? == left);
        }
        desk.yubico(&["-a", "unblock-pin", "-P", PUK, "-N", OTHER_PIN])?;
        desk.yubico(&["-a", "verify-pin", "-P", OTHER_PIN])?;
        // A new process, the same card.
        desk.kill()?;
        desk.insert()?;
        desk.yubico(&["-a", "verify-pin", "-P", OTHER_PIN])?;
        Ok(())
    });
}

#[test]
fn judge_rsa_keys_of_the_tpm_sign_for_opensc() {
    judge_in_tpm("tpm::judge_rsa_keys_of_the_tpm_sign_for_opensc", |desk| {
        desk.choose_pin()?;
        desk.enrol("9a", "RSA2048")?;
        let words = desk.pkcs11(PIN, &["--test"])?;
        ensure!(
            words.contains("No errors") || words.contains("1 errors"),
            "{words}"
        );
        let test = ["-a", "verify-pin", "-P", PIN, "-a", "test-signature"];
        let words = desk.yubico(&[&test[..], &["-s", "9a", "-i", "cert9a.pem"]].concat())?;
        ensure!(words.contains("Successful RSA verification"), "{words}");
        Ok(())
    });
}

#[test]
fn judge_p11test_finds_no_fault_in_keys_of_the_tpm() {
    judge_in_tpm(
        "tpm::judge_p11test_finds_no_fault_in_keys_of_the_tpm",
        |desk| {
            let keys = [
                ("9a", "RSA2048"),
                ("9c", "ECCP256"),
                ("9d", "RSA2048"),
                ("9e", "ECCP256"),
            ];
            examine(desk, &keys)
        },
    );
}
