// SPDX-License-Identifier: MIT OR Apache-2.0
//! GENERAL AUTHENTICATE and GENERATE ASYMMETRIC KEY PAIR (SP 800-73-4 part 2, 3.2.4 and 3.3.2).

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use aws_lc_rs::{agreement, digest};
use lanyard_piv::{ManagementAlgorithm, ManagementKey};

use super::{
    Row, Step, anything, asked, either, manager, nothing, pin, row, send, whole, wrong_pin,
};
use crate::cards::{Card, PIN};
use crate::wire::{bytes, element};

/// EMSA-PKCS1-v1_5 in front of a SHA-256 digest (RFC 8017, 9.2).
const DIGEST_INFO: &str = "30 31 30 0D 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20";
const MESSAGE: &[u8] = b"what a host signs";

/// GENERAL AUTHENTICATE of a digest with an ECC key, in one piece.
fn sign(algorithm: &str, slot: &str, status: u16) -> Step {
    // As long as the curve: 48 bytes for P-384.
    let (lengths, bytes) = match algorithm {
        "14" => ("36 7C 34 82 00 81 30", 48),
        _ => ("26 7C 24 82 00 81 20", 32),
    };
    let digest = "5A".repeat(bytes);
    whole(
        &format!("00 87 {algorithm} {slot} {lengths} {digest} 00"),
        status,
        if status == 0x9000 {
            // 7C, 82, and a signature in DER.
            |data| {
                data.first() == Some(&0x7C)
                    && data.get(2) == Some(&0x82)
                    && data.get(4) == Some(&0x30)
            }
        } else {
            nothing
        },
    )
}

/// GENERAL AUTHENTICATE of a padded block with the RSA key, in pieces.
fn sign_rsa(slot: u8, status: u16) -> Step {
    let block = [
        &[0, 1][..],
        &[0xFF; 202],
        &bytes(&format!("00 {DIGEST_INFO}")),
        &[0x5A; 32],
    ];
    Step::Chained(
        [0x00, 0x87, 0x07, slot],
        rsa_template(&block.concat()),
        status,
        if status == 0x9000 {
            |data| {
                data.len() == 264
                    && data.starts_with(&[0x7C, 0x82, 0x01, 0x04, 0x82, 0x82, 0x01, 0x00])
            }
        } else {
            nothing
        },
    )
}

fn rsa_template(block: &[u8]) -> Vec<u8> {
    element("7C", &[bytes("82 00"), element("81", block)].concat())
}

/// The management key (appendix A.1 and A.2).
pub fn management() -> Vec<Row> {
    vec![
        row(
            "the management key is proved both ways",
            "AS05.34; SP 800-73-4 part 2, appendix A.1",
            vec![manager()],
        ),
        row(
            "a wrong management key proves nothing and takes back what was proved",
            "AS05.36B",
            vec![
                manager(),
                Step::Management([9; 8], 0x6982),
                send("00 47 00 9A 05 AC 03 80 01 11 00", 0x6982),
            ],
        ),
        row(
            "the management key is proved one way",
            "AS05.34; SP 800-73-4 part 2, appendix A.2",
            vec![
                Step::Play(one_way),
                send("00 DB 3F FF 07 5C 03 5F C1 05 53 00", 0x9000),
            ],
        ),
        row(
            "triple DES has two names",
            "SP 800-78-4, table 6-2",
            vec![whole("00 87 00 9B 04 7C 02 80 00 00", 0x9000, |data| {
                data.starts_with(&[0x7C, 0x0A, 0x80, 0x08])
            })],
        ),
        row(
            "an AES-128 management key is set and proved both ways and one way",
            "SP 800-78-4, table 6-2; set by Yubico's command, PIV has none",
            vec![Step::Play(|card| {
                set_and_prove(card, ManagementAlgorithm::Aes128)
            })],
        ),
        row(
            "an AES-192 management key is set and proved both ways and one way",
            "SP 800-78-4, table 6-2; set by Yubico's command, PIV has none",
            vec![Step::Play(|card| {
                set_and_prove(card, ManagementAlgorithm::Aes192)
            })],
        ),
        row(
            "an AES-256 management key is set and proved both ways and one way",
            "SP 800-78-4, table 6-2; set by Yubico's command, PIV has none",
            vec![Step::Play(|card| {
                set_and_prove(card, ManagementAlgorithm::Aes256)
            })],
        ),
        row(
            "a kind of management key that the card has not is refused",
            "AS05.36",
            vec![
                send("00 87 0C 9B 04 7C 02 80 00 00", 0x6A86),
                send("00 87 11 9B 04 7C 02 80 00 00", 0x6A86),
            ],
        ),
        row(
            "an answer to nothing proves nothing",
            "AS05.36B",
            vec![
                either(
                    "00 87 03 9B 0C 7C 0A 82 08 01 02 03 04 05 06 07 08 00",
                    &[0x6982, 0x6985, 0x6A80],
                ),
                send("00 47 00 9A 05 AC 03 80 01 11 00", 0x6982),
            ],
        ),
        row(
            "a proof is forgotten by a reset",
            "SP 800-73-4 part 2, 2.4",
            vec![
                manager(),
                Step::Reset,
                send("00 47 00 9A 05 AC 03 80 01 11 00", 0x6982),
            ],
        ),
        row(
            "a management key is proved whether or not the PIN is",
            "SP 800-73-4 part 2, 2.4",
            vec![
                pin(),
                manager(),
                asked(0x9000),
                wrong_pin(0x63C2),
                send("00 DB 3F FF 07 5C 03 5F C1 05 53 00", 0x9000),
            ],
        ),
    ]
}

/// Keys of the holder.
pub fn private() -> Vec<Row> {
    let block = "5A".repeat(32);
    vec![
        row(
            "9A, 9C and 9D do nothing without the PIN",
            "AS05.36B",
            vec![
                sign_rsa(0x9A, 0x6982),
                sign("14", "9C", 0x6982),
                sign("11", "9D", 0x6982),
            ],
        ),
        row(
            "9E signs without the PIN",
            "AS05.34; SP 800-73-4 part 1, table 4b",
            vec![sign("11", "9E", 0x9000)],
        ),
        row(
            "9A asks for the PIN once",
            "SP 800-73-4 part 1, table 4b",
            vec![pin(), sign_rsa(0x9A, 0x9000), sign_rsa(0x9A, 0x9000)],
        ),
        row(
            "9C asks for the PIN before each use",
            "SP 800-73-4 part 1, table 4b",
            vec![
                pin(),
                sign("14", "9C", 0x9000),
                sign("14", "9C", 0x6982),
                pin(),
                sign("14", "9C", 0x9000),
            ],
        ),
        row(
            "the use of another key after VERIFY spends the PIN for 9C",
            "SP 800-73-4 part 1, table 4b",
            vec![pin(), sign_rsa(0x9A, 0x9000), sign("14", "9C", 0x6982)],
        ),
        row(
            "reading after VERIFY leaves the PIN for 9C",
            "SP 800-73-4 part 1, table 4b",
            vec![
                pin(),
                whole("00 CB 3F FF 05 5C 03 5F C1 02 00", 0x9000, anything),
                sign("14", "9C", 0x9000),
            ],
        ),
        row(
            "a digest shorter than the curve is signed as the number that it is",
            "FIPS 186-5, 6.4.1",
            vec![
                pin(),
                whole(
                    &format!("00 87 14 9C 26 7C 24 82 00 81 20 {block} 00"),
                    0x9000,
                    |data| data.first() == Some(&0x7C),
                ),
            ],
        ),
        row(
            "a wrong PIN and a reset take back the use of keys",
            "AS05.19",
            vec![
                pin(),
                wrong_pin(0x63C2),
                sign_rsa(0x9A, 0x6982),
                pin(),
                Step::Reset,
                sign_rsa(0x9A, 0x6982),
            ],
        ),
        row(
            "another algorithm than the key's is refused",
            "AS05.36",
            vec![
                pin(),
                sign("11", "9A", 0x6A86),
                sign("14", "9D", 0x6A86),
                sign("03", "9E", 0x6A86),
            ],
        ),
        row(
            "a reference that is no key is refused",
            "AS05.36",
            vec![
                pin(),
                sign("11", "80", 0x6A86),
                sign("11", "9F", 0x6A86),
                sign("11", "00", 0x6A86),
            ],
        ),
        row(
            "a slot without key is told so",
            "none: the standard names no status word for an empty slot",
            vec![pin(), sign("11", "82", 0x6A88), sign("11", "95", 0x6A88)],
        ),
        row(
            "data that is no dynamic authentication template is wrong data",
            "AS05.36A",
            vec![
                pin(),
                send("00 87 11 9D 04 7D 02 81 00 00", 0x6A80),
                send("00 87 11 9D 04 7C 04 81 00 00", 0x6A80),
                send(
                    &format!("00 87 11 9D 26 7C 24 82 00 8F 20 {block} 00"),
                    0x6A80,
                ),
                send("00 87 11 9D 02 7C 00 00", 0x6A80),
            ],
        ),
        row(
            "an RSA block of another length than the modulus, or not below it, is wrong data",
            "AS05.36A",
            vec![
                pin(),
                Step::Chained(
                    [0, 0x87, 0x07, 0x9A],
                    rsa_template(&[1; 255]),
                    0x6A80,
                    anything,
                ),
                Step::Chained(
                    [0, 0x87, 0x07, 0x9A],
                    rsa_template(&[0xFF; 256]),
                    0x6A80,
                    anything,
                ),
                sign_rsa(0x9A, 0x9000),
            ],
        ),
        row(
            "a point that is not on the curve is wrong data",
            "AS05.36A",
            vec![
                pin(),
                send(
                    &format!("00 87 11 9D 47 7C 45 82 00 85 41 04 {block} {block} 00"),
                    0x6A80,
                ),
                send(
                    &format!("00 87 11 9D 26 7C 24 82 00 85 20 {block} 00"),
                    0x6A80,
                ),
            ],
        ),
        row(
            "a chain that another command interrupts is forgotten",
            "AS05.36C",
            vec![
                pin(),
                send(
                    &format!("10 87 11 9D 10 7C 24 82 00 81 20 {}", "5A".repeat(10)),
                    0x9000,
                ),
                asked(0x9000),
                send(&format!("00 87 11 9D 16 {} 00", "5A".repeat(22)), 0x6A80),
                sign("11", "9D", 0x9000),
            ],
        ),
        row(
            "9D agrees on the same secret as its peer",
            "AS05.34",
            vec![Step::Play(agree)],
        ),
        row(
            "agreeing on a secret wants the PIN",
            "AS05.36B",
            vec![whole(
                &format!("00 87 11 9D 47 7C 45 82 00 85 41 04 {block} {block} 00"),
                0x6982,
                nothing,
            )],
        ),
    ]
}

/// GENERATE ASYMMETRIC KEY PAIR.
pub fn generate() -> Vec<Row> {
    vec![
        row(
            "no key is made before the management key is proved",
            "SP 800-73-4 part 2, 3.3.2",
            vec![
                send("00 47 00 9A 05 AC 03 80 01 11 00", 0x6982),
                pin(),
                send("00 47 00 9A 05 AC 03 80 01 11 00", 0x6982),
            ],
        ),
        row(
            "a new P-256 key signs what its public half verifies",
            "AS05.38; SP 800-73-4 part 2, 3.3.2",
            vec![Step::Play(|card| prove_new_key(card, 0x9A, 0x11))],
        ),
        row(
            "a new P-384 key signs what its public half verifies",
            "AS05.38; SP 800-73-4 part 2, 3.3.2",
            vec![Step::Play(|card| prove_new_key(card, 0x9C, 0x14))],
        ),
        row(
            "a new RSA-2048 key signs what its public half verifies",
            "AS05.38; SP 800-73-4 part 2, 3.3.2",
            vec![Step::Play(|card| prove_new_key(card, 0x9D, 0x07))],
        ),
        row(
            "a new key in 9E signs without the PIN",
            "AS05.38; SP 800-73-4 part 2, 3.3.2",
            vec![Step::Play(|card| prove_new_key(card, 0x9E, 0x11))],
        ),
        row(
            "a key is made in a retired slot",
            "none: beyond SP 800-73-4, which names 9A, 9C, 9D and 9E",
            vec![Step::Play(|card| prove_new_key(card, 0x82, 0x11))],
        ),
        row(
            "a kind of key that the card does not make is wrong data",
            "SP 800-73-4 part 2, 3.3.2",
            vec![
                manager(),
                send("00 47 00 9A 05 AC 03 80 01 22 00", 0x6A80),
                send("00 47 00 9A 05 AC 03 80 01 03 00", 0x6A80),
                send("00 47 00 9A 06 AC 04 80 02 11 11 00", 0x6A80),
            ],
        ),
        row(
            "a template that is none is wrong data and leaves the key",
            "SP 800-73-4 part 2, 3.3.2",
            vec![
                manager(),
                send("00 47 00 9E 05 AD 03 80 01 11 00", 0x6A80),
                send("00 47 00 9E 05 AC 04 80 01 11 00", 0x6A80),
                send("00 47 00 9E 02 AC 00 00", 0x6A80),
                sign("11", "9E", 0x9000),
            ],
        ),
        row(
            "a reference that is no key slot is refused",
            "SP 800-73-4 part 2, 3.3.2",
            vec![
                manager(),
                send("00 47 00 9B 05 AC 03 80 01 11 00", 0x6A86),
                send("00 47 00 80 05 AC 03 80 01 11 00", 0x6A86),
                send("00 47 00 9F 05 AC 03 80 01 11 00", 0x6A86),
            ],
        ),
        row(
            "P1 other than 00 is refused",
            "SP 800-73-4 part 2, 3.3.2",
            vec![manager(), send("00 47 01 9A 05 AC 03 80 01 11 00", 0x6A86)],
        ),
    ]
}

/// External authentication with the 3DES key: a challenge, and its encryption.
fn one_way(card: &mut dyn Card) -> Result<String> {
    let status = prove_one_way(
        card,
        ManagementAlgorithm::TripleDes,
        &ManagementKey::blank_card(),
    )?;
    Ok(format!("{status:04X}"))
}

/// External authentication (SP 800-73-4 part 2, appendix A.2).
fn prove_one_way(
    card: &mut dyn Card,
    algorithm: ManagementAlgorithm,
    key: &ManagementKey,
) -> Result<u16> {
    let head = [0x00, 0x87, algorithm.id(), 0x9B];
    let (answer, status) = card.chained(head, &bytes("7C 02 81 00"))?;
    if status != 0x9000 {
        return Ok(status);
    }
    let block = algorithm.block_bytes() as u8;
    let challenge = answer.strip_prefix(&[0x7C, block + 2, 0x81, block]);
    let response = key.encrypt(algorithm, challenge.context("a challenge")?)?;
    let answer = element("7C", &element("82", &response));
    Ok(card.chained(head, &answer)?.1)
}

/// Sets another management key, and proves it in both ways after a reset; the old one is worthless.
fn set_and_prove(card: &mut dyn Card, algorithm: ManagementAlgorithm) -> Result<String> {
    card.as_manager()?;
    let key = vec![0x6B; algorithm.key_bytes()];
    let data = [&[algorithm.id(), 0x9B, key.len() as u8][..], &key].concat();
    let (_, status) = card.chained([0x00, 0xFF, 0xFF, 0xFF], &data)?;
    if status != 0x9000 {
        return Ok(format!("{status:04X} at setting it"));
    }
    let key = ManagementKey::new(&key)?;
    for both in [true, false] {
        card.reset()?;
        let status = match both {
            true => card.prove_both_ways(algorithm, &key)?,
            false => prove_one_way(card, algorithm, &key)?,
        };
        if status != 0x9000 {
            return Ok(format!("{status:04X} with both ways {both}"));
        }
        let (_, status) = card.whole(&bytes("00 DB 3F FF 07 5C 03 5F C1 05 53 00"))?;
        ensure!(status == 0x9000, "the right to write: {status:04X}");
    }
    card.reset()?;
    let old = card.prove_both_ways(ManagementAlgorithm::TripleDes, &ManagementKey::blank_card());
    ensure!(!matches!(old, Ok(0x9000)), "the old key still opens");
    Ok("9000".to_owned())
}

/// ECDH with the key of 9D, whose public half a host knows from its certificate; here it is made
/// anew to know it.
fn agree(card: &mut dyn Card) -> Result<String> {
    card.as_manager()?;
    let (answer, status) = card.whole(&bytes("00 47 00 9D 05 AC 03 80 01 11 00"))?;
    ensure!(status == 0x9000, "a key: {status:04X}");
    let theirs = answer
        .strip_prefix(&bytes("7F 49 43 86 41")[..])
        .context("a point")?;
    let (_, status) = card.whole(&bytes(&format!("00 20 00 80 08 {PIN}")))?;
    ensure!(status == 0x9000, "the PIN: {status:04X}");
    let own = agreement::PrivateKey::generate(&agreement::ECDH_P256)?;
    let point = own.compute_public_key()?;
    let template = element(
        "7C",
        &[bytes("82 00"), element("85", point.as_ref())].concat(),
    );
    let command = [&bytes("00 87 11 9D 47")[..], &template, &[0]].concat();
    let (answer, status) = card.whole(&command)?;
    if status != 0x9000 {
        return Ok(format!("{status:04X}"));
    }
    let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, theirs);
    let secret = agreement::agree(&own, peer, anyhow::anyhow!("agree"), |secret| {
        Ok(secret.to_vec())
    })?;
    ensure!(
        answer == element("7C", &element("82", &secret)),
        "another secret"
    );
    Ok("9000".to_owned())
}

/// Makes a key, signs with it after the PIN (none for 9E) and verifies the signature.
fn prove_new_key(card: &mut dyn Card, slot: u8, algorithm: u8) -> Result<String> {
    card.as_manager()?;
    let command = [0x00, 0x47, 0x00, slot, 5, 0xAC, 3, 0x80, 1, algorithm, 0];
    let (public, status) = card.whole(&command)?;
    if status != 0x9000 {
        return Ok(format!("{status:04X}"));
    }
    if slot != 0x9E {
        let (_, status) = card.whole(&bytes(&format!("00 20 00 80 08 {PIN}")))?;
        ensure!(status == 0x9000, "the PIN: {status:04X}");
    }
    let hash = if algorithm == 0x14 {
        &digest::SHA384
    } else {
        &digest::SHA256
    };
    let digest = digest::digest(hash, MESSAGE);
    let input = match algorithm {
        0x07 => [
            &[0, 1][..],
            &[0xFF; 202],
            &bytes(&format!("00 {DIGEST_INFO}")),
            digest.as_ref(),
        ]
        .concat(),
        _ => digest.as_ref().to_vec(),
    };
    let (answer, status) = card.chained([0, 0x87, algorithm, slot], &rsa_template(&input))?;
    if status != 0x9000 {
        return Ok(format!("{status:04X}"));
    }
    let signature = value(&value(&answer, 0x7C)?, 0x82)?;
    match algorithm {
        0x07 => {
            let fields = public
                .strip_prefix(&bytes("7F 49 82 01 09 81 82 01 00")[..])
                .context("a modulus")?;
            let (n, rest) = fields.split_at_checked(256).context("256 bytes")?;
            ensure!(rest == bytes("82 03 01 00 01"), "the exponent");
            RsaPublicKeyComponents { n, e: &[1, 0, 1] }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                MESSAGE,
                &signature,
            )?;
        }
        0x14 => {
            let point = public
                .strip_prefix(&bytes("7F 49 63 86 61")[..])
                .context("a point")?;
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point).verify(MESSAGE, &signature)?;
        }
        _ => {
            let point = public
                .strip_prefix(&bytes("7F 49 43 86 41")[..])
                .context("a point")?;
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(MESSAGE, &signature)?;
        }
    }
    Ok("9000".to_owned())
}

/// The value of the one element that this is.
fn value(data: &[u8], tag: u8) -> Result<Vec<u8>> {
    let rest = data.strip_prefix(&[tag]).context("another tag")?;
    let (length, rest) = match rest {
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => (0, rest),
    };
    ensure!(rest.len() == length, "the length");
    Ok(rest.to_vec())
}
