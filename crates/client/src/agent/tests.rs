// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent's process and its socket, with faces that behave and faces that do not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lanyard_fault::Fault;
use zeroize::Zeroizing;

use super::line::LINE_BYTES_MAX;
use super::protocol::{Hello, Intent, PROTOCOL_VERSION, SecretKind};
use crate::face::Face;
use crate::files::{AccountFiles, Settings};
use crate::places::{Places, Profile};
use crate::problem::Problem;
use crate::view::{Event, Stage};

/// Long enough for a slow machine, short enough to notice a hang.
const LIMIT: Duration = Duration::from_secs(20);

fn places(dir: &Path) -> Places {
    let places = Places {
        config: dir.join("config"),
        state: dir.join("state"),
        data: dir.join("data"),
        cache: dir.join("cache"),
        runtime: dir.join("run"),
    };
    // A configuration of its own: neither PC/SC nor the network of this machine is asked.
    fs::create_dir_all(&places.config).unwrap();
    fs::write(
        places.config.join("client.toml"),
        "card_path = 'socket'\nresolve = [\n\
         'lyncdiscoverinternal.contoso.test:443=127.0.0.1:1',\n\
         'lyncdiscoverinternal.contoso.test:80=127.0.0.1:1',\n\
         'lyncdiscover.contoso.test:443=127.0.0.1:1',\n\
         'lyncdiscover.contoso.test:80=127.0.0.1:1']\n",
    )
    .unwrap();
    places
}

fn start(places: &Places) -> JoinHandle<Result<(), Problem>> {
    let (ready, heard) = channel();
    let places = places.clone();
    let agent = thread::spawn(move || {
        super::run(&places, &Profile::default(), || {
            ready.send(()).expect("somebody waits")
        })
    });
    heard.recv_timeout(LIMIT).unwrap();
    agent
}

fn connect(places: &Places) -> Face {
    Face::connect(places, &Profile::default(), |_| {})
        .unwrap()
        .unwrap()
}

#[test]
fn a_face_attaches_hears_the_state_and_ends_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let agent = start(&places);
    let mode = fs::metadata(places.agent_socket(&Profile::default()))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let (events, heard) = channel();
    let face = Face::connect(&places, &Profile::default(), move |event| {
        drop(events.send(event));
    });
    let face = face.unwrap().unwrap();
    assert_eq!(face.hello.protocol, PROTOCOL_VERSION);
    let body = face.request(Intent::Attach { display: true }).unwrap();
    assert_eq!(body.session.unwrap().stage, Stage::Idle);
    let Some(Event::Session(view)) = heard.recv_timeout(LIMIT).unwrap() else {
        panic!()
    };
    assert_eq!(view.stage, Stage::Idle);
    let send = Intent::Send {
        to: "bob@contoso.test".parse().unwrap(),
        text: "hi".into(),
    };
    assert!(face.request(send).unwrap_err().is(Fault::NoSession));
    let pin = Zeroizing::new("123456".to_owned());
    assert!(
        face.secret(SecretKind::Pin, pin, false)
            .unwrap_err()
            .is(Fault::NotNow)
    );
    face.request(Intent::Exit).unwrap();
    agent.join().unwrap().unwrap();
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), Some(Event::Exit));
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), None);
    assert!(!places.agent_socket(&Profile::default()).exists());
}

#[test]
fn a_second_agent_leaves_the_first_alone() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let agent = start(&places);
    start(&places).join().unwrap().unwrap();
    let face = connect(&places);
    assert!(face.request(Intent::Status).is_ok());
    face.request(Intent::Exit).unwrap();
    agent.join().unwrap().unwrap();
}

#[test]
fn a_failed_sign_in_says_why_and_the_agent_stays() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let agent = start(&places);
    let (events, heard) = channel();
    let face = Face::connect(&places, &Profile::default(), move |event| {
        drop(events.send(event));
    });
    let face = face.unwrap().unwrap();
    face.request(Intent::Attach { display: true }).unwrap();
    let address = "alice@contoso.test".parse().unwrap();
    face.request(Intent::SignIn { address }).unwrap();
    let failed = loop {
        match heard.recv_timeout(LIMIT).unwrap() {
            Some(Event::Session(view)) if view.problem.is_some() => break view,
            Some(_) => {}
            None => panic!("the agent is gone"),
        }
    };
    assert_eq!(failed.stage, Stage::Idle);
    assert!(failed.problem.unwrap().is(Fault::ServerUnreachable));
    face.request(Intent::Exit).unwrap();
    agent.join().unwrap().unwrap();
}

#[test]
fn nonsense_is_answered_and_endless_lines_end_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let agent = start(&places);
    let mut stream = UnixStream::connect(places.agent_socket(&Profile::default())).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(serde_json::from_str::<Hello>(&line).is_ok());
    stream.write_all(b"{\"id\":5,\"do\":\"dance\"}\n").unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert!(
        line.contains("\"reply\":5") && line.contains("LY-1832"),
        "{line}"
    );
    let endless = vec![b'x'; LINE_BYTES_MAX + 2];
    // The agent may close while we still write.
    let _ = stream.write_all(&endless);
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    assert!(rest.is_empty());
    connect(&places).request(Intent::Exit).unwrap();
    agent.join().unwrap().unwrap();
}

#[test]
fn a_broken_configuration_is_told_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    fs::write(
        places.config.join("client.toml"),
        "trust_anchors = ['missing.pem']",
    )
    .unwrap();
    let problem = super::run(&places, &Profile::default(), || {}).unwrap_err();
    assert!(problem.is(Fault::ConfigClientInvalid), "{problem}");
    assert!(problem.to_string().contains("missing.pem"));
}

#[test]
fn deleting_the_sign_in_info_works_without_a_session_and_pre_fills_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let places = places(dir.path());
    let address = "alice@contoso.test".parse().unwrap();
    let files = AccountFiles::new(&places, &Profile::default(), &address);
    files.remember().unwrap();
    files.write_settings(&Settings::default()).unwrap();
    let agent = start(&places);
    let face = connect(&places);
    let before = face.request(Intent::Status).unwrap().session.unwrap();
    assert_eq!(before.address, Some(address));
    let body = face
        .request(Intent::DeleteSignInInfo { address: None })
        .unwrap();
    assert!(
        body.forgotten
            .unwrap()
            .removed
            .iter()
            .any(|one| one.starts_with("settings"))
    );
    let after = face.request(Intent::Status).unwrap().session.unwrap();
    assert_eq!(after.address, None);
    face.request(Intent::Exit).unwrap();
    agent.join().unwrap().unwrap();
}
