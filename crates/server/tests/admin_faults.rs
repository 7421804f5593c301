// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must not go wrong: a killed server, a full disk, a locked or damaged database, tampering.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::Deployment;
use rusqlite::Connection;

#[test]
fn whatever_was_acknowledged_survives_kill_9_and_the_trail_verifies() {
    let deployment = Arc::new(Deployment::new());
    deployment.ok(&["group", "add", "sales"]);
    let mut acknowledged: Vec<String> = Vec::new();
    let mut codes = 0usize;
    for round in 0..3 {
        let server = deployment.serve();
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (deployment, stop) = (Arc::clone(&deployment), Arc::clone(&stop));
                std::thread::spawn(move || {
                    let mut ledger = Vec::new();
                    let mut codes = 0;
                    for nth in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let address = format!("r{round}w{worker}n{nth}@contoso.test");
                        let added = deployment.run(&["user", "add", &address, "--group", "sales"]);
                        if !added.status.success() {
                            continue;
                        }
                        ledger.push(address.clone());
                        if deployment
                            .run(&["user", "enrol-code", &address])
                            .status
                            .success()
                        {
                            codes += 1;
                        }
                    }
                    (ledger, codes)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(1500));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            let (ledger, made) = worker.join().unwrap();
            acknowledged.extend(ledger);
            codes += made;
        }
    }
    assert!(
        acknowledged.len() > 20,
        "only {} changes",
        acknowledged.len()
    );

    let server = deployment.serve();
    deployment.ok(&["audit", "verify"]);
    let users = deployment.json(&["user", "list"]);
    let there: std::collections::HashSet<&str> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["address"].as_str().unwrap())
        .collect();
    for address in &acknowledged {
        assert!(
            there.contains(address.as_str()),
            "{address} was acknowledged and is lost"
        );
    }
    // Every person has an audit row and every audit row its person: they are one transaction.
    let trail = deployment.json(&["audit", "show", "--after", "0", "--limit", "10000"]);
    let rows = |action: &str| {
        trail
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["action"] == action)
            .count()
    };
    assert_eq!(rows("user.added"), there.len());
    assert!(rows("enrolment.code-made") >= codes);
    assert!(server.stop());
    let report = deployment.json_unchecked(&["doctor"]);
    let check = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["level"].clone()
    };
    assert_eq!(
        (check("database"), check("audit trail")),
        ("ok".into(), "ok".into())
    );
}

#[test]
fn a_command_under_way_when_the_server_stops_still_gets_its_answer() {
    let deployment = Arc::new(Deployment::new());
    for round in 0..3 {
        let server = deployment.serve();
        let worker = {
            let deployment = Arc::clone(&deployment);
            std::thread::spawn(move || {
                (0..40).for_each(|nth| {
                    let address = format!("r{round}n{nth}@contoso.test");
                    // Without the server, the same command does the work itself.
                    deployment.ok(&["user", "add", &address]);
                });
            })
        };
        std::thread::sleep(Duration::from_millis(150));
        assert!(server.stop());
        worker.join().unwrap();
    }
    assert_eq!(
        deployment.json(&["user", "list"]).as_array().unwrap().len(),
        120
    );
}

#[test]
fn a_changed_removed_or_cut_trail_is_detected() {
    for (sql, row) in [
        (
            "UPDATE audit SET subject = 'mallory@contoso.test' WHERE seq = 4",
            "row 4",
        ),
        ("DELETE FROM audit WHERE seq = 4", "row 4"),
        // Cutting the end leaves a whole chain; only the signed head tells.
        ("DELETE FROM audit WHERE seq > 5", "missing"),
    ] {
        let deployment = Deployment::new();
        deployment.ok(&["user", "add", "alice@contoso.test"]);
        deployment.ok(&["user", "add", "bob@contoso.test"]);
        assert!(deployment.serve().stop());
        deployment.ok(&["audit", "verify"]);
        let connection = Connection::open(deployment.database()).unwrap();
        connection
            .execute_batch(
                "DROP TRIGGER audit_rows_never_change; DROP TRIGGER audit_rows_are_never_deleted;",
            )
            .unwrap();
        connection.execute(sql, []).unwrap();
        drop(connection);
        let error = deployment.fails(&["audit", "verify"]);
        assert!(
            error.starts_with("LY-1710 ") && error.contains(row),
            "{sql}: {error}"
        );
        let report = deployment.run(&["doctor"]);
        assert!(!report.status.success());
        assert!(String::from_utf8_lossy(&report.stdout).contains("LY-1710"));
    }
}

#[test]
fn a_damaged_database_is_refused_by_server_verbs_and_doctor() {
    let deployment = Deployment::new();
    let bytes = std::fs::read(deployment.database()).unwrap();
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 4096 / 2 * 4096;
    damaged[middle..middle + 4096].fill(0xA5);
    for content in [
        damaged,
        b"this is no database at all, not even nearly one".to_vec(),
    ] {
        std::fs::write(deployment.database(), content).unwrap();
        for verb in [vec!["serve"], vec!["user", "list"]] {
            let error = deployment.fails(&verb);
            assert!(error.contains("LY-1705 "), "{verb:?}: {error}");
        }
        let report = deployment.run(&["doctor"]);
        assert!(!report.status.success());
    }
    std::fs::write(deployment.database(), bytes).unwrap();
    deployment.ok(&["user", "list"]);
}

#[test]
fn a_database_locked_by_another_program_is_told_and_nothing_is_lost() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    let mut other = Connection::open(deployment.database()).unwrap();
    let lock = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    let error = deployment.fails(&["user", "add", "alice@contoso.test"]);
    assert!(error.starts_with("LY-1706 "), "{error}");
    // Reading goes on.
    assert_eq!(deployment.json(&["user", "list"]), serde_json::json!([]));
    drop(lock);
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    deployment.ok(&["audit", "verify"]);
    assert!(server.stop());
}

/// Runs this one test again inside a mount namespace of its own, where a small disk can be made.
#[test]
fn on_a_full_disk_changes_are_refused_and_nothing_acknowledged_is_lost() {
    const INSIDE: &str = "LANYARD_TEST_SMALL_DISK";
    if let Some(disk) = std::env::var_os(INSIDE) {
        return fill_the_disk(std::path::Path::new(&disk));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=6m tmpfs "$1" && exec "$2" --exact "$3" --nocapture"#;
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .arg("on_a_full_disk_changes_are_refused_and_nothing_acknowledged_is_lost")
        .env(INSIDE, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "(needs to mount a tmpfs in a namespace)\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn fill_the_disk(disk: &std::path::Path) {
    let place = tempfile::tempdir_in(disk).unwrap();
    let data = place.path().join("data");
    let deployment = Deployment::at(place, data);
    let server = deployment.serve();
    deployment.ok(&["user", "add", "first@contoso.test"]);
    // Everything that is left, down to the last byte.
    let ballast = disk.join("ballast");
    let filled = Command::new("sh")
        .args(["-c", r#"cat /dev/zero > "$1" 2>/dev/null; true"#, "sh"])
        .arg(&ballast)
        .status()
        .unwrap();
    assert!(filled.success());

    let mut acknowledged = vec!["first@contoso.test".to_owned()];
    let mut refused = 0;
    for nth in 0..400 {
        let address = format!("user{nth}@contoso.test");
        let output = deployment.run(&["user", "add", &address]);
        if output.status.success() {
            acknowledged.push(address);
            continue;
        }
        let error = common::failure(&output);
        assert!(error.starts_with("LY-1707 "), "{error}");
        refused += 1;
        if refused >= 3 {
            break;
        }
    }
    assert!(refused >= 3, "the disk was never full");
    // Reading goes on, and the doctor says what is wrong.
    let users = deployment.json(&["user", "list"]);
    assert_eq!(users.as_array().unwrap().len(), acknowledged.len());
    let report = deployment.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&report.stdout).contains("WRONG    disk space"));

    std::fs::remove_file(&ballast).unwrap();
    deployment.ok(&["user", "add", "last@contoso.test"]);
    acknowledged.push("last@contoso.test".to_owned());
    server.kill();
    let users = deployment.json(&["user", "list"]);
    let there: Vec<&str> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["address"].as_str().unwrap())
        .collect();
    acknowledged.sort();
    assert_eq!(there, acknowledged);
    deployment.ok(&["audit", "verify"]);

    // And a deployment cannot be begun on a disk without room; what was begun is taken away again.
    let filled = Command::new("sh")
        .args(["-c", r#"cat /dev/zero > "$1" 2>/dev/null; true"#, "sh"])
        .arg(&ballast)
        .status()
        .unwrap();
    assert!(filled.success());
    let second = disk.join("second");
    let output = Command::new(common::PROGRAM)
        .arg("--data")
        .arg(&second)
        .args(["init", "--domain", "contoso.test"])
        .output()
        .unwrap();
    assert!(common::failure(&output).starts_with("LY-1707 "));
    assert!(!second.exists());
}
