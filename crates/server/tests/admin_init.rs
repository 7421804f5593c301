// SPDX-License-Identifier: MIT OR Apache-2.0
//! `init` and the configuration, with the real binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::net::TcpListener;

use common::{Deployment, failure, mode};

#[test]
fn init_makes_a_deployment_that_only_its_owner_can_read() {
    let deployment = Deployment::new();
    let data = &deployment.data;
    assert_eq!(mode(data), 0o700);
    for key in [
        "ca/root.key",
        "ca/issuing.key",
        "tls/server.key",
        "lanyard.db",
        "server.toml",
    ] {
        assert_eq!(mode(&data.join(key)), 0o600, "{key}");
    }
    let root = std::fs::read_to_string(data.join("ca/root.pem")).unwrap();
    assert!(root.starts_with("-----BEGIN CERTIFICATE-----"));
    let verdict = deployment.json(&["audit", "verify"]);
    assert!(verdict["rows"].as_u64().unwrap() >= 3, "{verdict}");
}

#[test]
fn init_says_what_it_made_and_what_comes_next() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = std::process::Command::new(common::PROGRAM)
        .arg("--data")
        .arg(&data)
        .args([
            "init",
            "--domain",
            "Contoso.Test",
            "--san",
            "127.0.0.1",
            "--json",
        ])
        .output()
        .unwrap();
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["host"], "lync.contoso.test");
    let names: Vec<&str> = made["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "lync.contoso.test",
            "lyncdiscover.contoso.test",
            "lyncdiscoverinternal.contoso.test",
            "sip.contoso.test",
            "127.0.0.1"
        ]
    );
}

#[test]
fn init_refuses_a_directory_that_is_not_empty_and_touches_nothing() {
    let deployment = Deployment::new();
    let before = std::fs::read(deployment.data.join("ca/root.pem")).unwrap();
    let error = deployment.fails(&["init", "--domain", "contoso.test"]);
    assert!(error.starts_with("LY-1703 "), "{error}");
    assert_eq!(
        std::fs::read(deployment.data.join("ca/root.pem")).unwrap(),
        before
    );
}

#[test]
fn init_that_fails_leaves_an_empty_directory() {
    let dir = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(common::PROGRAM)
        .arg("--data")
        .arg(dir.path())
        .args([
            "init",
            "--domain",
            "contoso.test",
            "--organisation",
            "a\u{7}b",
        ])
        .output()
        .unwrap();
    if !output.status.success() {
        assert!(failure(&output).starts_with("LY-"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_directory_without_a_deployment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for verb in [["user", "list"], ["audit", "verify"]] {
        let output = std::process::Command::new(common::PROGRAM)
            .arg("--data")
            .arg(dir.path())
            .args(verb)
            .output()
            .unwrap();
        let error = failure(&output);
        assert!(error.starts_with("LY-1713 "), "{error}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_key() {
    let deployment = Deployment::new();
    let file = deployment.data.join("server.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = 1 + text.lines().position(|line| line == "[listen]").unwrap();
    let text = text.replace("[listen]\n", "[listen]\nhtps = \"127.0.0.1:1\"\n");
    std::fs::write(&file, text).unwrap();
    let error = deployment.fails(&["serve"]);
    assert!(error.starts_with("LY-1701 "), "{error}");
    assert!(error.contains(&format!("line {}", line + 1)), "{error}");
    assert!(
        error.contains("unknown key 'listen.htps'; did you mean 'https'?"),
        "{error}"
    );
}

#[test]
fn a_wrong_value_and_a_wrong_variable_are_named() {
    let deployment = Deployment::new();
    let serve = |name: &str, value: &str| {
        failure(
            &deployment
                .command(&["serve"])
                .env(name, value)
                .output()
                .unwrap(),
        )
    };
    let error = serve("LANYARD_LISTEN__SIP", "everywhere");
    assert!(
        error.starts_with("LY-1701 ") && error.contains("LANYARD_LISTEN__SIP"),
        "{error}"
    );
    let error = serve("LANYARD_LISTEN__SIPP", "127.0.0.1:1");
    assert!(
        error.contains("did you mean 'LANYARD_LISTEN__SIP'?"),
        "{error}"
    );
    let error = serve("LANYARD_LISTEN__METRICS", "0.0.0.0:9464");
    assert!(error.contains("loopback"), "{error}");
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let deployment = Deployment::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = deployment.command(&["serve"]);
    command.env("LANYARD_LISTEN__CARD", &address);
    let error = failure(&command.output().unwrap());
    assert!(error.contains("LY-1704 "), "{error}");
    assert!(
        error.contains(&format!("listen.card = {address}")),
        "{error}"
    );
}

#[test]
fn a_damaged_certificate_or_key_is_named() {
    let deployment = Deployment::new();
    let file = deployment.data.join("tls/server.pem");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, "no certificate").unwrap();
    let error = deployment.fails(&["serve"]);
    assert!(error.contains("LY-1721 "), "{error}");
    std::fs::write(&file, good).unwrap();
    std::fs::copy(
        deployment.data.join("ca/root.key"),
        deployment.data.join("ca/issuing.key"),
    )
    .unwrap();
    let error = deployment.fails(&["serve"]);
    assert!(error.contains("LY-1720 "), "{error}");
}
