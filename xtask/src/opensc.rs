// SPDX-License-Identifier: MIT OR Apache-2.0
//! p11test, OpenSC's own test of cards: built from the source of the installed Debian package, since
//! no package holds it. The source is fetched once and kept under `target/`.

use crate::run::root;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PACKAGE: &str = "opensc";
/// Where apt keeps the lists of where packages come from.
const SOURCES: &str = "/etc/apt";
/// The module that the test would load without being told; the judge tells it.
const MODULE: &str = "opensc-pkcs11.so";

/// Builds p11test unless it is there for the installed version; gives its place.
pub fn p11test() -> Result<PathBuf> {
    let version = installed_version()?;
    let folder = root().join("target/judges");
    let (program, stamp) = (folder.join("p11test"), folder.join("p11test.version"));
    if program.exists() && fs::read_to_string(&stamp).is_ok_and(|built| built == version) {
        return Ok(program);
    }
    println!("Building OpenSC's p11test from the source of {PACKAGE} {version}.");
    let work = folder.join("opensc");
    let _ = fs::remove_dir_all(&work);
    let source = fetch(&work, &version)?;
    build(&source.join("src/tests/p11test"), &program)?;
    fs::write(stamp, version)?;
    // The lists are large and old tomorrow; the source stays for whoever wants to read it.
    let _ = fs::remove_dir_all(work.join("lists"));
    Ok(program)
}

fn installed_version() -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", PACKAGE])
        .output()?;
    ensure!(
        output.status.success(),
        "the package {PACKAGE} is not installed"
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Fetches and unpacks the source by apt, which checks its signatures, from where this computer gets
/// its Debian packages. Nothing of the system's own lists is touched.
fn fetch(work: &Path, version: &str) -> Result<PathBuf> {
    for folder in ["lists/partial", "cache/archives/partial", "parts", "source"] {
        fs::create_dir_all(work.join(folder))?;
    }
    let count = write_source_lists(&work.join("parts"))?;
    ensure!(count > 0, "{SOURCES} names no place for packages of Debian");
    apt(work, &["update", "-q"])?;
    let exact = format!("{PACKAGE}={version}");
    if apt(work, &["source", "-q", &exact]).is_err() {
        // A later point release has replaced the installed version.
        apt(work, &["source", "-q", PACKAGE])?;
    }
    fs::read_dir(work.join("source"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_dir())
        .context("apt unpacked no source")
}

/// Copies apt's lists of Debian's places as lists of sources.
fn write_source_lists(parts: &Path) -> Result<usize> {
    let mut files = vec![PathBuf::from(SOURCES).join("sources.list")];
    let folder = PathBuf::from(SOURCES).join("sources.list.d");
    files.extend(
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    let mut count = 0;
    for file in files {
        let (Ok(text), Some(name)) = (fs::read_to_string(&file), file.file_name()) else {
            continue;
        };
        let sources = match file.extension().and_then(|end| end.to_str()) {
            Some("list") => lines_of_sources(&text),
            Some("sources") => paragraphs_of_sources(&text),
            _ => continue,
        };
        if !sources.is_empty() {
            fs::write(parts.join(name), sources)?;
            count += 1;
        }
    }
    Ok(count)
}

/// The one-line form: `deb …` becomes `deb-src …`.
fn lines_of_sources(text: &str) -> String {
    text.lines()
        .filter(|line| line.starts_with("deb ") && line.contains("debian"))
        .map(|line| format!("deb-src {}\n", line.trim_start_matches("deb ")))
        .collect()
}

/// The form in paragraphs: `Types: deb` becomes `Types: deb-src`.
fn paragraphs_of_sources(text: &str) -> String {
    text.split("\n\n")
        .filter(|paragraph| {
            let debian = |line: &str| line.starts_with("URIs:") && line.contains("debian");
            paragraph.lines().any(debian)
        })
        .map(|paragraph| {
            let lines = paragraph
                .lines()
                .map(|line| match line.strip_prefix("Types:") {
                    Some(_) => "Types: deb-src",
                    None => line,
                });
            lines.collect::<Vec<_>>().join("\n") + "\n\n"
        })
        .collect()
}

fn apt(work: &Path, words: &[&str]) -> Result<Output> {
    let set = |name: &str, value: String| ["-o".to_owned(), format!("{name}={value}")];
    let place = |name: &str| work.join(name).display().to_string();
    let output = Command::new("apt-get")
        .args(set("Dir::Etc::sourcelist", "/dev/null".into()))
        .args(set("Dir::Etc::sourceparts", place("parts")))
        .args(set("Dir::State::lists", place("lists")))
        .args(set("Dir::Cache", place("cache")))
        // As root, apt would fetch as a user who may not write here.
        .args(set("APT::Sandbox::User", "root".into()))
        .args(words)
        .current_dir(work.join("source"))
        .output()
        .context("apt-get")?;
    if !output.status.success() {
        bail!(
            "the source of {PACKAGE} could not be fetched; building its p11test needs the network once \
             (apt-get {}): {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output)
}

/// Compiles the test: its own files, and the two of OpenSC's that load a PKCS#11 module.
fn build(folder: &Path, program: &Path) -> Result<()> {
    fs::write(folder.join("config.h"), "")?;
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "c"))
        .collect();
    files.extend(["../../common/libpkcs11.c", "../../common/libscdl.c"].map(PathBuf::from));
    let output = Command::new("gcc")
        .current_dir(folder)
        .args(["-O1", "-w", "-I.", "-I../..", "-I../../pkcs11"])
        .args(["-DENABLE_OPENSSL", "-DHAVE_CONFIG_H", "-DHAVE_DLFCN_H"])
        .arg(format!("-DDEFAULT_P11LIB=\"{MODULE}\""))
        .args(&files)
        .arg("-o")
        .arg(program)
        .args(["-lcmocka", "-lcrypto", "-lpthread", "-ldl"])
        .output()
        .context("gcc")?;
    ensure!(
        output.status.success(),
        "p11test does not compile: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_packages_become_lists_of_sources_of_debian_alone() {
        let lines = "# a comment\ndeb http://mirror/debian stable main\ndeb http://other/x y z\n";
        assert_eq!(
            lines_of_sources(lines),
            "deb-src http://mirror/debian stable main\n"
        );
        let paragraphs = "Types: deb\nURIs: http://mirror/debian\nSuites: stable\n\n\
                          Types: deb\nURIs: http://other/x\nSuites: y\n";
        assert_eq!(
            paragraphs_of_sources(paragraphs),
            "Types: deb-src\nURIs: http://mirror/debian\nSuites: stable\n\n"
        );
    }
}
