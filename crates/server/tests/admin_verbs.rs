// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, with a running server and without one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{Deployment, failure, mode, with_input};

/// All that an administrator does before the first sign-in.
fn walk(deployment: &Deployment) {
    deployment.ok(&["group", "add", "sales"]);
    let alice = deployment.json(&[
        "user",
        "add",
        "sip:Alice@contoso.test",
        "--upn",
        "A.Smith@corp.contoso.test",
        "--email",
        "Alice.Smith@mail.test",
        "--name",
        "Älice Smith",
        "--title",
        "Head",
        "--phone",
        "+1 2",
        "--group",
        "sales",
    ]);
    assert_eq!(alice["address"], "alice@contoso.test");
    assert_eq!(alice["upn"], "A.Smith@corp.contoso.test");
    assert_eq!(alice["email"], "Alice.Smith@mail.test");
    assert_eq!(alice["policy"]["card-required"], true);
    let id = alice["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("S-1-5-21-") && id.ends_with("-1000"), "{id}");

    deployment.ok(&["user", "add", "bob@contoso.test"]);
    assert_eq!(
        deployment.json(&["user", "list"]).as_array().unwrap().len(),
        2
    );
    assert!(deployment.ok(&["user", "list"]).contains("Älice Smith"));

    for (arguments, code) in [
        (vec!["user", "add", "alice@contoso.test"], "LY-1709"),
        (
            vec![
                "user",
                "add",
                "carol@contoso.test",
                "--upn",
                "a.smith@CORP.contoso.test",
            ],
            "LY-1709",
        ),
        (vec!["user", "add", "carol@elsewhere.test"], "LY-1717"),
        (
            vec!["user", "add", "carol@contoso.test", "--group", "nowhere"],
            "LY-1708",
        ),
        (vec!["user", "show", "nobody@contoso.test"], "LY-1708"),
        (vec!["user", "enrol-code", "nobody@contoso.test"], "LY-1708"),
        (vec!["group", "add", "SALES"], "LY-1709"),
        (
            vec!["group", "add-member", "nowhere", "alice@contoso.test"],
            "LY-1708",
        ),
        (vec!["card", "lost", "alice@contoso.test"], "LY-1708"),
        (vec!["card", "lost", "xyz"], "LY-1717"),
        (vec!["session", "end", "no-such-session"], "LY-1708"),
    ] {
        let error = deployment.fails(&arguments);
        assert!(error.starts_with(code), "{arguments:?}: {error}");
    }
    // What is malformed is refused before anything is asked.
    let error = deployment.fails(&["user", "add", "no-at-sign"]);
    assert!(error.contains("there is no @ in the address"), "{error}");

    let code = deployment.json(&["user", "enrol-code", "alice@contoso.test"]);
    let code = code["code"].as_str().unwrap();
    assert_eq!((code.len(), code.matches('-').count()), (14, 2), "{code}");

    let disabled = deployment.json(&["user", "disable", "bob@contoso.test"]);
    assert_eq!(
        (&disabled["user"]["enabled"], &disabled["sessions_ended"]),
        (&false.into(), &0.into())
    );
    let error = deployment.fails(&["user", "enrol-code", "bob@contoso.test"]);
    assert!(error.starts_with("LY-1306"), "{error}");
    deployment.ok(&["user", "enable", "bob@contoso.test"]);

    let dry = deployment.json(&[
        "policy",
        "set",
        "--group",
        "sales",
        "--card-required",
        "no",
        "--password-allowed",
        "yes",
        "--dry-run",
    ]);
    assert_eq!(dry["affected"][0][0], "alice@contoso.test");
    let policy = ["policy", "show", "--user", "alice@contoso.test"];
    assert_eq!(deployment.json(&policy)["person"][1]["card-required"], true);
    deployment.ok(&[
        "policy",
        "set",
        "--group",
        "sales",
        "--card-required",
        "no",
        "--password-allowed",
        "yes",
        "--chat-certificate-hours",
        "8",
        "--card-kinds",
        "physical,virtual-tpm",
    ]);
    let now = deployment.json(&policy);
    assert_eq!(now["person"][1]["password-allowed"], true);
    assert_eq!(now["person"][1]["chat-certificate-hours"], 8);
    assert_eq!(
        now["person"][1]["card-kinds"],
        serde_json::json!(["physical", "virtual-tpm"])
    );
    deployment.ok(&[
        "policy",
        "set",
        "--default",
        "--chat-certificate-hours",
        "24",
    ]);
    deployment.ok(&["policy", "set", "--group", "sales", "--card-kinds", "unset"]);
    let error = deployment.fails(&[
        "policy",
        "set",
        "--group",
        "sales",
        "--card-required",
        "yes",
    ]);
    assert!(error.starts_with("LY-1717"), "{error}");

    deployment.ok(&["group", "add-member", "sales", "bob@contoso.test"]);
    deployment.ok(&["group", "remove-member", "sales", "alice@contoso.test"]);
    let groups = deployment.json(&["group", "list"]);
    assert_eq!(
        groups[0]["members"],
        serde_json::json!(["bob@contoso.test"])
    );
    assert_eq!(
        deployment.json(&policy)["person"][1]["chat-certificate-hours"],
        24
    );

    let command = deployment.command(&[
        "user",
        "set-password",
        "bob@contoso.test",
        "--password-fd",
        "0",
    ]);
    let output = with_input(command, "correct horse battery\n");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        deployment.json(&["user", "show", "bob@contoso.test"])["has_password"],
        true
    );
    let command = deployment.command(&[
        "user",
        "set-password",
        "bob@contoso.test",
        "--password-fd",
        "0",
    ]);
    assert!(failure(&with_input(command, "short\n")).starts_with("LY-1717"));
    let error = deployment.fails(&["user", "set-password", "bob@contoso.test"]);
    assert!(error.starts_with("LY-1723"), "{error}");

    let trail = deployment.ok(&["audit", "show"]);
    for word in [
        "user.added",
        "enrolment.code-made",
        "policy.set",
        "user.password-set",
    ] {
        assert!(trail.contains(word), "{word}: {trail}");
    }
    assert!(
        !trail.contains("correct horse") && !trail.contains(code),
        "{trail}"
    );
    deployment.ok(&["audit", "verify"]);
}

#[test]
fn all_verbs_work_without_a_server() {
    walk(&Deployment::new());
}

#[test]
fn all_verbs_work_on_the_running_server_and_are_in_force_when_they_return() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    assert_eq!(mode(&deployment.data.join("admin.sock")), 0o600);
    walk(&deployment);
    let status = deployment.json(&["status"]);
    assert_eq!(status["accounts"], 2);
    assert_eq!(status["pid"], server.child.id());
    assert_eq!(deployment.json(&["session", "list"]), serde_json::json!([]));
    assert_eq!(deployment.json(&["card", "list"]), serde_json::json!([]));
    assert!(server.stop());
    // What the server has written is there without it.
    assert_eq!(
        deployment.json(&["user", "list"]).as_array().unwrap().len(),
        2
    );
    deployment.ok(&["audit", "verify"]);
    assert!(!deployment.data.join("admin.sock").exists());
    assert!(!deployment.log().contains("correct horse"));
}

#[test]
fn two_servers_on_one_data_directory_are_refused() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    let mut second = deployment.command(&["serve"]);
    second.env(
        "LANYARD_LISTEN__METRICS",
        format!("127.0.0.1:{}", common::free_port()),
    );
    let error = failure(&second.output().unwrap());
    assert!(error.starts_with("LY-1702 "), "{error}");
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    assert!(server.stop());
}

#[test]
fn a_socket_left_by_a_killed_server_is_in_nobodys_way() {
    let deployment = Deployment::new();
    deployment.serve().kill();
    assert!(deployment.data.join("admin.sock").exists());
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    let server = deployment.serve();
    assert_eq!(
        deployment.json(&["user", "list"]).as_array().unwrap().len(),
        1
    );
    assert!(server.stop());
}

#[test]
fn a_reload_changes_the_log_level_and_names_what_waits_for_a_restart() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    let file = deployment.data.join("server.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text
        .replace("#level = \"info\"", "level = \"debug\"")
        .replace("#sip_idle_secs = 900", "sip_idle_secs = 600");
    std::fs::write(&file, &changed).unwrap();
    server.signal("HUP");
    deployment.wait_for_log("the configuration was reloaded");
    deployment.wait_for_log("limits");
    assert!(
        deployment
            .ok(&["audit", "show"])
            .contains("configuration.reloaded")
    );
    std::fs::write(&file, changed.replace("[log]", "[lug]")).unwrap();
    server.signal("HUP");
    deployment.wait_for_log("the configuration was not reloaded");
    deployment.ok(&["status"]);
    assert!(server.stop());
}

#[test]
fn health_and_metrics_answer_on_loopback() {
    use std::io::{Read, Write};
    let deployment = Deployment::new();
    let server = deployment.serve();
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    let get = |path: &str| {
        let mut stream =
            std::net::TcpStream::connect(("127.0.0.1", deployment.metrics_port)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200 "));
    let metrics = get("/metrics");
    assert!(metrics.contains("lanyard_accounts 1\n"), "{metrics}");
    assert!(metrics.contains("lanyard_sessions 0\n"), "{metrics}");
    assert!(server.stop());
}

#[test]
fn an_import_adds_everybody_or_nobody() {
    let deployment = Deployment::new();
    deployment.ok(&["group", "add", "sales"]);
    let file = deployment.data.parent().unwrap().join("people.csv");
    let path = file.to_str().unwrap();
    std::fs::write(
        &file,
        "address,upn,name,groups\n\
         alice@contoso.test,a.smith@corp.test,\"Smith, Alice\",sales\n\
         bob@elsewhere.test,,Bob,\n\
         carol.contoso.test,,Carol,\n\
         dave@contoso.test,,Dave,nowhere\n",
    )
    .unwrap();
    let error = deployment.fails(&["user", "import", path]);
    assert!(
        error.starts_with("LY-1717 ") && error.contains("line 4: address:"),
        "{error}"
    );

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("carol.contoso.test", "carol@contoso.test"),
    )
    .unwrap();
    let error = deployment.fails(&["user", "import", path]);
    assert!(
        error.contains("line 3: the domain of bob@elsewhere.test"),
        "{error}"
    );
    assert!(
        error.contains("line 5: there is no group nowhere"),
        "{error}"
    );
    assert_eq!(deployment.json(&["user", "list"]), serde_json::json!([]));

    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace("elsewhere.test", "contoso.test")
        .replace("nowhere", "sales");
    std::fs::write(&file, &text).unwrap();
    let dry = deployment.json(&["user", "import", path, "--dry-run"]);
    assert_eq!(dry["added"].as_array().unwrap().len(), 4);
    assert_eq!(deployment.json(&["user", "list"]), serde_json::json!([]));

    let server = deployment.serve();
    let output = with_input(deployment.command(&["user", "import", "-"]), &text);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        deployment.json(&["user", "list"]).as_array().unwrap().len(),
        4
    );
    let alice = deployment.json(&["user", "show", "alice@contoso.test"]);
    assert_eq!(
        (&alice["upn"], &alice["name"]),
        (&"a.smith@corp.test".into(), &"Smith, Alice".into())
    );
    let error = deployment.fails(&["user", "import", path]);
    assert!(
        error.contains("line 2: the sign-in address alice@contoso.test is taken"),
        "{error}"
    );
    assert!(server.stop());
}

#[test]
fn the_certificate_of_the_listeners_is_made_anew_with_more_names() {
    let deployment = Deployment::new();
    let old = std::fs::read(deployment.data.join("tls/server.pem")).unwrap();
    let server = deployment.serve();
    let renewed = deployment.json(&[
        "certificate",
        "renew",
        "--san",
        "127.0.0.1",
        "--san",
        "lync.contoso.test",
    ]);
    let names = renewed["names"].as_array().unwrap();
    assert_eq!(names.len(), 5, "{renewed}");
    assert!(names.contains(&"127.0.0.1".into()) && names.contains(&"sip.contoso.test".into()));
    assert_ne!(
        std::fs::read(deployment.data.join("tls/server.pem")).unwrap(),
        old
    );
    assert_eq!(mode(&deployment.data.join("tls/server.key")), 0o600);
    assert!(server.stop());
    assert!(deployment.serve().stop());
}

#[test]
fn a_data_directory_with_a_very_long_name_works() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d".repeat(120)).join("data");
    let deployment = Deployment::at(dir, data);
    let server = deployment.serve();
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    assert!(server.stop());
}
