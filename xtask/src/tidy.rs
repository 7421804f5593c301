// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clippy cannot see: file lengths, headers, words, and who may know whom.

use crate::run::root;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Above this a source file must be divided.
const FILE_LINES_MAX: usize = 600;
const HEADER: &str = "// SPDX-License-Identifier:";

/// Checks the tree; every finding is printed before it fails.
pub fn run() -> Result<()> {
    let root = root();
    let mut findings = Vec::new();
    for path in tracked(&root)? {
        let Ok(text) = fs::read_to_string(root.join(&path)) else {
            continue;
        };
        check_file(&path, &text, &mut findings);
    }
    check_edges(&root, &mut findings)?;
    for finding in &findings {
        println!("tidy: {finding}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} faults", findings.len());
    }
    println!("── tidy: ok");
    Ok(())
}

/// Files that git tracks or would track.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .split('\0')
        .filter(|p| !p.is_empty())
        .map(PathBuf::from)
        .collect())
}

fn check_file(path: &Path, text: &str, findings: &mut Vec<String>) {
    let shown = path.display();
    let rust = path.extension().is_some_and(|e| e == "rs");
    if rust {
        if !text.starts_with(HEADER) {
            findings.push(format!("{shown}: no licence header in the first line"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            findings.push(format!("{shown}: {lines} lines, at most {FILE_LINES_MAX}"));
        }
    }
    let prose = path
        .extension()
        .is_some_and(|e| e == "md" || e == "html" || e == "toml");
    if !(rust || prose) {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        for word in forbidden_words() {
            if line.contains(&word) {
                findings.push(format!("{shown}:{}: forbidden: {word}", number + 1));
            }
        }
    }
}

/// Words that may not stand in code or prose. Composed, so that this file passes its own check.
fn forbidden_words() -> Vec<String> {
    [
        ("to", "do!("),
        ("unimplement", "ed!("),
        ("XX", "X"),
        ("FIX", "ME"),
        ("#[igno", "re"),
        ("/wo", "rk/"),
        ("/fa", "rm/"),
    ]
    .iter()
    .map(|(a, b)| format!("{a}{b}"))
    .collect()
}

/// Compares the dependencies of each crate with the list in ARCHITECTURE.md.
fn check_edges(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let allowed = allowed_edges(&text);
    for entry in fs::read_dir(root.join("crates"))? {
        let path = entry?.path();
        let manifest = fs::read_to_string(path.join("Cargo.toml"))?;
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let Some(allowed) = allowed.get(&name) else {
            findings.push(format!(
                "ARCHITECTURE.md names no edges of the crate {name}"
            ));
            continue;
        };
        for known in known_rooms(&manifest) {
            if !allowed.contains(&known) {
                findings.push(format!(
                    "{name} may not know {known} (ARCHITECTURE.md, edges)"
                ));
            }
        }
    }
    Ok(())
}

/// Reads lines of the form `name -> a, b` between the fences marked `edges`.
fn allowed_edges(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut edges = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line.trim() == "```edges";
        } else if inside && let Some((from, to)) = line.split_once("->") {
            let to = to
                .split(',')
                .map(|t| t.trim().to_owned())
                .filter(|t| !t.is_empty() && t != "nothing");
            edges.insert(from.trim().to_owned(), to.collect());
        }
    }
    edges
}

/// Our own crates among the normal dependencies of a manifest.
fn known_rooms(manifest: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let mut normal = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            normal = line.trim() == "[dependencies]";
        } else if normal && let Some(rest) = line.strip_prefix("lanyard-") {
            let end = rest.find(['.', ' ', '=']).unwrap_or(rest.len());
            rooms.extend(rest.get(..end).map(str::to_owned));
        }
    }
    rooms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_the_list_lacks_is_found() {
        let edges = allowed_edges("x\n```edges\nsip -> nothing\nsip-auth -> sip, x509\n```\n");
        assert!(edges["sip"].is_empty());
        assert!(edges["sip-auth"].contains("x509"));
        assert_eq!(
            known_rooms(
                "[dependencies]\nlanyard-store.workspace = true\n[dev-dependencies]\nlanyard-card = 1"
            ),
            ["store"]
        );
    }

    #[test]
    fn a_file_without_licence_header_is_found() {
        let mut findings = Vec::new();
        check_file(Path::new("a.rs"), "fn main() {}", &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
