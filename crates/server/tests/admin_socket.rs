// SPDX-License-Identifier: MIT OR Apache-2.0
//! The admin socket, spoken to by hand: versions, limits, and nonsense.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::Deployment;

fn converse(deployment: &Deployment, text: &[u8]) -> String {
    let mut stream = UnixStream::connect(deployment.data.join("admin.sock")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // The server may hang up before everything is sent.
    let _ = stream.write_all(text);
    let _ = stream.shutdown(Shutdown::Write);
    let mut read = BufReader::new(stream);
    let mut greeting = String::new();
    read.read_line(&mut greeting).unwrap();
    assert_eq!(greeting, "{\"version\":1}\n");
    let mut answer = String::new();
    let _ = read.read_line(&mut answer);
    answer
}

#[test]
fn the_answer_is_one_json_object_with_the_version() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    let answer = converse(&deployment, b"{\"version\":1,\"request\":\"ping\"}\n");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["outcome"]["Ok"]["server"]["pid"], server.child.id());
}

#[test]
fn other_versions_unknown_requests_and_nonsense_are_refused_in_words() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    for (text, word) in [
        (
            &b"{\"version\":2,\"request\":{\"from\":\"the future\"}}\n"[..],
            "version 2",
        ),
        (b"{\"version\":1,\"request\":\"dance\"}\n", "dance"),
        (b"{\"version\":1,\"request\":\"ping\",\"more\":1}\n", "more"),
        (
            b"{\"version\":1,\"request\":{\"user-show\":\"no-at-sign\"}}\n",
            "no @",
        ),
        (b"hello\n", "no JSON object"),
        (b"\xFF\xFE\n", "no JSON object"),
        (b"{\"version\":1", "cut off"),
    ] {
        let answer = converse(&deployment, text);
        assert!(
            answer.contains("LY-1716") && answer.contains(word),
            "{word}: {answer}"
        );
    }
    let mut deep = b"[".repeat(100_000);
    deep.push(b'\n');
    assert!(converse(&deployment, &deep).contains("LY-1716"));
    assert!(server.stop());
}

#[test]
fn a_silent_or_vanished_command_does_not_hold_up_others() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    let silent: Vec<UnixStream> = (0..20)
        .map(|_| UnixStream::connect(deployment.data.join("admin.sock")).unwrap())
        .collect();
    for mut stream in silent.iter().take(10) {
        stream.write_all(b"{\"version\":1,").unwrap();
    }
    deployment.ok(&["user", "add", "alice@contoso.test"]);
    drop(silent);
    deployment.ok(&["user", "list"]);
    assert!(server.stop());
}

#[test]
fn an_endless_request_is_cut_off_at_its_limit() {
    let deployment = Deployment::new();
    let server = deployment.serve();
    let mut stream = UnixStream::connect(deployment.data.join("admin.sock")).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let block = vec![b'x'; 1 << 20];
    let sent = (0..64)
        .take_while(|_| stream.write_all(&block).is_ok())
        .count();
    assert!(sent < 64, "the server took {sent} MiB");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    deployment.ok(&["status"]);
    assert!(server.stop());
}
