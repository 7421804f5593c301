// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same signature by PKCS #11 modules that others wrote.

use crate::{PATIENCE, PIN, SIGNATURES, each, spread};
use anyhow::{Context as _, Result, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use lanyard_tests::process::run_limited;
use lanyard_tests::swtpm::Swtpm;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const OPENSC: &str = "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so";
const TPM2_PKCS11: &str = "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1";
/// The argument with which this program runs itself for tpm2-pkcs11, which is told by its environment
/// where the chip is.
pub const FOR_TPM2_PKCS11: &str = "--tpm2-pkcs11";
/// The curve P-256 as PKCS #11 names it: the object identifier 1.2.840.10045.3.1.7.
const P256: [u8; 10] = [6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

fn load(module: &str) -> Result<Pkcs11> {
    let module = Pkcs11::new(module)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(module)
}

/// By OpenSC with the card: logged in once, one digest each.
pub fn opensc() -> Result<Vec<Duration>> {
    let module = load(OPENSC)?;
    let slot = module.get_slots_with_token()?;
    let slot = *slot.first().context("OpenSC sees no card")?;
    let session = module.open_ro_session(slot)?;
    session.login(UserType::User, Some(&pin(PIN)))?;
    let times = sign(&session)?;
    session.logout()?;
    drop(session);
    module.finalize()?;
    Ok(times)
}

/// By tpm2-pkcs11 with a chip of its own, in a process of its own.
pub fn tpm2_pkcs11(folder: &Path) -> Result<Value> {
    if !Path::new(TPM2_PKCS11).exists() {
        return Ok(json!("not measured: libtpm2-pkcs11-1 is not installed"));
    }
    let chip = Swtpm::start(folder);
    let store = folder.join("store");
    std::fs::create_dir_all(&store)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(FOR_TPM2_PKCS11)
        .env("TPM2_PKCS11_STORE", &store)
        .env(
            "TPM2_PKCS11_TCTI",
            format!("swtpm:path={}", chip.socket().display()),
        )
        // Its key store is new, which it says as an error.
        .env("TPM2_PKCS11_LOG_LEVEL", "0");
    let output = run_limited(&mut command, "", PATIENCE)?;
    ensure!(output.status.success(), "tpm2-pkcs11: {output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What the process for tpm2-pkcs11 does: a token, a key in it, and signatures.
pub fn inside_tpm2_pkcs11() -> Result<Value> {
    let module = load(TPM2_PKCS11)?;
    let slot = *module.get_all_slots()?.first().context("no slot")?;
    let officer = pin("87612345");
    module.init_token(slot, &officer, "bench")?;
    let slots = module.get_slots_with_initialized_token()?;
    let slot = *slots.first().context("no token")?;
    let session = module.open_rw_session(slot)?;
    session.login(UserType::So, Some(&officer))?;
    session.init_pin(&pin(PIN))?;
    session.logout()?;
    session.login(UserType::User, Some(&pin(PIN)))?;
    let public = [Attribute::Token(true), Attribute::EcParams(P256.to_vec())];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sign(true),
    ];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
    let times = spread(sign(&session)?);
    session.logout()?;
    Ok(times)
}

fn sign(session: &Session) -> Result<Vec<Duration>> {
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
    let key = *keys.first().context("no key")?;
    each(SIGNATURES, || {
        session.sign(&Mechanism::Ecdsa, key, &[7; 32])?;
        Ok(())
    })
}

fn pin(text: &str) -> AuthPin {
    AuthPin::new(text.to_owned().into())
}
