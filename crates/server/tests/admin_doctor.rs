// SPDX-License-Identifier: MIT OR Apache-2.0
//! The doctor finds what was broken on purpose, and says what to do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::Deployment;

/// The findings that are wrong, as name, text and next step in one line each.
fn wrong(deployment: &Deployment) -> Vec<String> {
    let report = deployment.json_unchecked(&["doctor"]);
    let wrong: Vec<String> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["level"] == "wrong")
        .map(|check| format!("{}: {} -> {}", check["name"], check["found"], check["next"]))
        .collect();
    assert_eq!(report["healthy"], wrong.is_empty());
    assert_eq!(
        deployment.run(&["doctor"]).status.success(),
        wrong.is_empty()
    );
    assert!(
        wrong.iter().all(|line| !line.ends_with("null")),
        "{wrong:?}"
    );
    wrong
}

fn one(deployment: &Deployment, word: &str) {
    let wrong = wrong(deployment);
    assert!(
        wrong.len() == 1 && wrong[0].contains(word),
        "{word}: {wrong:?}"
    );
}

#[test]
fn a_fresh_deployment_is_healthy_with_and_without_its_server() {
    let deployment = Deployment::new();
    assert_eq!(wrong(&deployment), Vec::<String>::new());
    let server = deployment.serve();
    assert_eq!(wrong(&deployment), Vec::<String>::new());
    assert!(deployment.ok(&["doctor"]).contains("running"));
    assert!(server.stop());
}

#[test]
fn the_root_key_on_the_computer_is_a_warning_only() {
    let deployment = Deployment::new();
    assert!(deployment.ok(&["doctor"]).contains("warning  root key"));
    std::fs::remove_file(deployment.data.join("ca/root.key")).unwrap();
    let report = deployment.ok(&["doctor"]);
    assert!(
        report.contains("all is well") && !report.contains("warning"),
        "{report}"
    );
    assert!(deployment.serve().stop());
}

#[test]
fn keys_that_others_can_read_are_found() {
    let deployment = Deployment::new();
    let key = deployment.data.join("ca/issuing.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    one(&deployment, &format!("chmod 0600 {}", key.display()));
}

#[test]
fn a_certificate_for_another_name_and_a_key_of_another_certificate_are_found() {
    let deployment = Deployment::new();
    let file = deployment.data.join("server.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("host = \"lync.contoso.test\"", "host = \"x.contoso.test\""),
    )
    .unwrap();
    one(
        &deployment,
        "x.contoso.test does not stand in the certificate",
    );
    std::fs::write(&file, text).unwrap();

    std::fs::copy(
        deployment.data.join("ca/issuing.key"),
        deployment.data.join("tls/server.key"),
    )
    .unwrap();
    one(&deployment, "belongs to another certificate");
}

#[test]
fn a_chain_without_its_issuer_and_a_missing_file_are_found() {
    let deployment = Deployment::new();
    let file = deployment.data.join("tls/server.pem");
    let pem = std::fs::read_to_string(&file).unwrap();
    let end = pem.find("-----END CERTIFICATE-----").unwrap() + 26;
    std::fs::write(&file, &pem[..end]).unwrap();
    one(&deployment, "holds no chain");
    std::fs::write(&file, pem).unwrap();
    std::fs::remove_file(deployment.data.join("ca/issuing.pem")).unwrap();
    assert!(
        wrong(&deployment)
            .iter()
            .any(|line| line.contains("issuing.pem"))
    );
}

#[test]
fn a_port_in_use_and_a_configuration_with_a_fault_are_found() {
    let deployment = Deployment::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", deployment.metrics_port)).unwrap();
    one(&deployment, "listen.metrics");
    drop(taken);
    std::fs::write(
        deployment.data.join("server.toml"),
        "[server]\nhots = \"x.test\"\n",
    )
    .unwrap();
    one(&deployment, "did you mean 'host'?");
}

#[test]
fn a_certificate_that_is_over_and_a_clock_that_runs_behind_are_found() {
    let deployment = Deployment::new();
    // The clock of this one process is moved; there is no switch in the product for it.
    let moved = |by: &str| {
        let mut command = std::process::Command::new("faketime");
        command
            .args(["-f", by, common::PROGRAM, "--data"])
            .arg(&deployment.data);
        command
            .args(["doctor"])
            .env("LANYARD_LISTEN__METRICS", "127.0.0.1:0");
        for listener in ["SIP", "HTTPS", "CARD", "HTTP"] {
            command.env(format!("LANYARD_LISTEN__{listener}"), "127.0.0.1:0");
        }
        command
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let late = moved("+500d").expect("faketime is installed by the set-up of the tests");
    assert!(late.contains("WRONG    server certificate"), "{late}");
    assert!(late.contains("certificate renew"), "{late}");
    let soon = moved("+380d").unwrap();
    assert!(soon.contains("warning  server certificate"), "{soon}");
    let early = moved("-3h").unwrap();
    assert!(early.contains("WRONG    clock"), "{early}");
}

#[test]
fn the_server_renews_its_certificate_before_the_end_by_itself() {
    let deployment = Deployment::new();
    let file = deployment.data.join("tls/server.pem");
    let before = std::fs::read(&file).unwrap();
    let mut command = std::process::Command::new("faketime");
    command
        .args(["-f", "+380d", common::PROGRAM, "--data"])
        .arg(&deployment.data)
        .arg("serve");
    for listener in ["SIP", "HTTPS", "CARD", "HTTP", "METRICS"] {
        command.env(format!("LANYARD_LISTEN__{listener}"), "127.0.0.1:0");
    }
    let mut wrapper = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("faketime is installed by the set-up of the tests");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut renewed = false;
    while !renewed && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(50));
        renewed = std::fs::read(&file).unwrap() != before;
    }
    // The wrapper is another process than the server; it ends when the server does.
    let pid = deployment.json(&["status"])["pid"].to_string();
    std::process::Command::new("kill")
        .args(["-s", "TERM", &pid])
        .status()
        .unwrap();
    wrapper.wait().unwrap();
    assert!(renewed, "the certificate is still the old one");
}
