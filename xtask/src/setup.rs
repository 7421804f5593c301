// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installs the Debian packages that the demo and the tests need, naming them first.

use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// What the packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Playing the story: PC/SC where it may be had.
    Demo,
    /// Running every test.
    Test,
    /// Measuring, beside programs that others wrote.
    Bench,
}

/// PC/SC: the headers to build with, the daemon, and the virtual reader; and what brings the loopback
/// of a network namespace up.
const PCSC: &[&str] = &[
    "libpcsclite-dev",
    "pkg-config",
    "pcscd",
    "vsmartcard-vpcd",
    "iproute2",
];
/// What building the independent card needs: its file system in C is read through libclang.
const INDEPENDENT_CARD: &[&str] = &["gcc", "libc6-dev", "libclang-dev"];
/// A chat client that nobody here wrote, and what its driver and its old TLS are built with.
const FOREIGN_CLIENT: &[&str] = &[
    "pidgin-sipe",
    "libpurple-dev",
    "libxml2-dev",
    "libglib2.0-dev",
    "libssl-dev",
];
/// What building OpenSC's own test of cards from its source package needs.
const JUDGES_SOURCE: &[&str] = &["dpkg-dev", "patch", "libcmocka-dev", "libssl-dev"];
/// Programs that open the server's pages with our card, a display for the one with a window, and cards
/// that only a PKCS #11 module shows.
const CARD_PROGRAMS: &[&str] = &[
    "libnss3-tools",
    "chromium",
    "xvfb",
    "xdotool",
    "fonts-dejavu-core",
    "softhsm2",
    "p11-kit",
];
/// Foreign programs that judge our cards, certificates and terminals in the tests.
const JUDGES: &[&str] = &[
    "opensc",
    "opensc-pkcs11",
    "yubico-piv-tool",
    "openssl",
    "faketime",
    "tmux",
    "procps",
    "curl",
    "imagemagick",
    "git",
    "gnutls-bin",
    "systemd",
    "swtpm",
    "swtpm-tools",
    "tpm2-tools",
];

/// What the bench needs: a chip, and two PKCS #11 modules to compare with.
const BENCH: &[&str] = &[
    "libssl-dev",
    "swtpm",
    "opensc-pkcs11",
    "libtpm2-pkcs11-1",
    "libtss2-tcti-swtpm0",
];

/// Makes sure that the packages are there. Returns those that are still missing, which only the
/// demo tolerates: it then reaches cards over their own socket.
pub fn ensure(purpose: Purpose) -> Result<Vec<String>> {
    let mut wanted: Vec<&str> = PCSC.to_vec();
    if purpose == Purpose::Test {
        wanted.extend(JUDGES);
        wanted.extend(CARD_PROGRAMS);
        wanted.extend(JUDGES_SOURCE);
        wanted.extend(INDEPENDENT_CARD);
        wanted.extend(FOREIGN_CLIENT);
    }
    if purpose == Purpose::Bench {
        wanted.extend(BENCH);
    }
    let missing: Vec<String> = wanted
        .iter()
        .filter(|p| !is_installed(p))
        .map(|p| (*p).to_owned())
        .collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    println!(
        "System packages needed and not installed: {}",
        missing.join(" ")
    );
    let Some(prefix) = privilege() else {
        let advice = format!(
            "apt-get install --no-install-recommends {}",
            missing.join(" ")
        );
        if purpose == Purpose::Demo {
            println!("They may not be installed here (not root, no sudo). With root: {advice}");
            return Ok(missing);
        }
        bail!(
            "these packages are needed and may not be installed by this user; run as root: {advice}"
        );
    };
    println!("Installing them with apt-get.");
    let mut arguments = prefix;
    arguments
        .extend(["apt-get", "install", "-y", "-q", "--no-install-recommends"].map(String::from));
    arguments.extend(missing.clone());
    // The package lists may be old or absent: refresh them once when the first try fails.
    if !quiet(&arguments) {
        let mut update: Vec<String> = arguments
            .iter()
            .take_while(|a| *a != "apt-get")
            .cloned()
            .collect();
        update.extend(["apt-get", "update", "-q"].map(String::from));
        quiet(&update);
        if !quiet(&arguments) {
            if purpose == Purpose::Demo {
                println!("apt-get could not install them; going on without PC/SC.");
                return Ok(wanted
                    .iter()
                    .filter(|p| !is_installed(p))
                    .map(|p| (*p).to_owned())
                    .collect());
            }
            bail!("apt-get could not install: {}", missing.join(" "));
        }
    }
    Ok(Vec::new())
}

/// Whether dpkg knows the package as installed.
pub fn is_installed(package: &str) -> bool {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|o| o.stdout == b"installed")
}

/// How a package may be installed: directly as root, by a sudo that asks nothing, or not at all.
fn privilege() -> Option<Vec<String>> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(Vec::new());
    }
    let sudo = ["sudo", "-n"].map(String::from).to_vec();
    let mut probe = sudo.clone();
    probe.push("true".into());
    quiet(&probe).then_some(sudo)
}

fn quiet(arguments: &[String]) -> bool {
    let Some((program, rest)) = arguments.split_first() else {
        return false;
    };
    Command::new(program)
        .args(rest)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}
