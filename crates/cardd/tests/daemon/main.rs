// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon as a process: it serves, notices, ends, and loses nothing when it is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod manager;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lanyard_piv::{
    Algorithm, Command, DynamicAuthentication, ManagementAlgorithm, ManagementKey, NewPin, Pin,
    Response, Slot,
};
use lanyard_virtual_card::{
    CardName, CardSpec, Created, Daemon, InstanceId, KdfCost, Places, create, daemon, destroy,
};

const TRANSPORT_PIN: &str = "12345678";
const NEW_PIN: &str = "35914782";
const OTHER_PIN: &str = "86421357";
const WRONG_PIN: &str = "99999999";
/// How soon a card must be there or gone.
const PROMPTLY: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// One person's directories, and the daemon that serves them.
struct Person {
    base: tempfile::TempDir,
    places: Places,
    daemon: Option<Child>,
}

impl Person {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let places = Places::new(
            &base.path().join("data/lanyard/cards"),
            &base.path().join("run/lanyard"),
        );
        Self {
            base,
            places,
            daemon: None,
        }
    }

    fn process(&self) -> Process {
        let mut process = Process::new(env!("CARGO_BIN_EXE_lanyard-cardd"));
        process
            .env("HOME", self.base.path())
            .env("XDG_DATA_HOME", self.base.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.base.path().join("run"))
            .env("LANYARD_LOG", "trace")
            .env("LANYARD_CARDD_READER", "none")
            .stdin(Stdio::null());
        process
    }

    fn start(&mut self) {
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .unwrap();
        let mut child = self
            .process()
            .arg("--foreground")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        self.daemon = Some(child);
    }

    fn log(&self) -> std::path::PathBuf {
        self.base.path().join("log")
    }

    fn kill(&mut self) {
        let mut child = self.daemon.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn terminate(&mut self) -> ExitStatus {
        let mut child = self.daemon.take().unwrap();
        let status = Process::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "SIGTERM is not obeyed");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn card(&self, kdf: KdfCost) -> Created {
        let mut spec = CardSpec::new(CardName::parse("test").unwrap());
        spec.kdf = kdf;
        create(&self.places, spec).unwrap()
    }

    fn connect(&self, instance: InstanceId) -> Session {
        Session(UnixStream::connect(self.places.socket(instance)).unwrap())
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that uses a card over its socket.
struct Session(UnixStream);

impl Session {
    fn send(&mut self, command: &Command) {
        let bytes = command.to_bytes().unwrap();
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length[..], &bytes].concat()).unwrap();
    }

    fn receive(&mut self) -> Option<Response> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut answer).ok()?;
        Response::parse(&answer).ok()
    }

    fn exchange(&mut self, command: &Command) -> Response {
        self.send(command);
        self.receive().unwrap()
    }

    fn status(&mut self, command: &Command) -> u16 {
        self.exchange(command).status().value()
    }

    fn tries_left(&mut self) -> u8 {
        let status = self.exchange(&Command::verify_query()).status();
        status
            .tries_left()
            .unwrap_or(if status.value() == 0x6983 { 0 } else { u8::MAX })
    }

    fn prove_management(&mut self) {
        let (key, algorithm) = (ManagementKey::blank_card(), ManagementAlgorithm::Aes192);
        let ask = DynamicAuthentication::request_witness();
        let answer = self.exchange(&Command::authenticate_management(algorithm, &ask));
        let asked = DynamicAuthentication::parse(answer.data()).unwrap();
        let witness = key
            .decrypt(algorithm, asked.witness.as_deref().unwrap())
            .unwrap();
        let prove = DynamicAuthentication::prove(witness, vec![1; 16]);
        assert_eq!(
            self.status(&Command::authenticate_management(algorithm, &prove)),
            0x9000
        );
    }

    fn generate(&mut self) {
        self.prove_management();
        let generate = Command::generate(Slot::Authentication, Algorithm::EccP256);
        assert_eq!(self.status(&generate), 0x9000);
    }

    fn signs_with(&mut self, text: &str) -> bool {
        let sign = DynamicAuthentication::sign(vec![7; 32]);
        let sign = Command::use_key(Slot::Authentication, Algorithm::EccP256, &sign);
        self.status(&Command::verify(&pin(text))) == 0x9000 && self.status(&sign) == 0x9000
    }
}

fn pin(text: &str) -> Pin {
    Pin::parse(text).unwrap()
}

fn change(old: &str, new: &str) -> Command {
    Command::change_pin(&pin(old), &NewPin::check(pin(new), None).unwrap())
}

fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < limit, "{what} took longer than {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn cards_are_served_when_it_is_ready_and_when_they_appear_and_disappear() {
    let mut person = Person::new();
    let first = person.card(KdfCost::LEAST).instance;
    person.start();
    assert_eq!(person.connect(first).tries_left(), 3);

    let second = person.card(KdfCost::LEAST).instance;
    let socket = person.places.socket(second);
    within(PROMPTLY, "inserting", || {
        UnixStream::connect(&socket).is_ok()
    });

    let mut open = person.connect(second);
    assert_eq!(open.tries_left(), 3);
    destroy(&person.places, second).unwrap();
    within(PROMPTLY, "removing", || !socket.exists());
    open.0.set_read_timeout(Some(PROMPTLY)).unwrap();
    assert_eq!(open.0.read(&mut [0]).unwrap(), 0, "open sessions end");
    assert_eq!(
        person.connect(first).tries_left(),
        3,
        "the other card stays"
    );
}

#[test]
fn a_new_card_in_the_place_of_a_destroyed_one_is_served_anew() {
    let mut person = Person::new();
    let first = person.card(KdfCost::LEAST);
    person.start();
    for _ in 0..3 {
        person
            .connect(first.instance)
            .status(&Command::verify(&pin(WRONG_PIN)));
    }
    destroy(&person.places, first.instance).unwrap();
    let second = person.card(KdfCost::LEAST);
    assert_eq!(first.instance, second.instance);
    let socket = person.places.socket(second.instance);
    within(PROMPTLY, "serving the new card", || {
        UnixStream::connect(&socket).is_ok_and(|stream| {
            let mut session = Session(stream);
            session.send(&Command::verify_query());
            session
                .receive()
                .is_some_and(|answer| answer.status().tries_left() == Some(3))
        })
    });
}

#[test]
fn a_card_that_is_destroyed_while_it_works_keeps_no_other_waiting() {
    let mut person = Person::new();
    let first = person.card(KdfCost::LEAST).instance;
    person.start();
    let mut session = person.connect(first);
    session.prove_management();
    // Takes a while, and nobody waits for the answer.
    session.send(&Command::generate(Slot::KeyManagement, Algorithm::Rsa2048));
    destroy(&person.places, first).unwrap();
    let second = person.card(KdfCost::LEAST).instance;
    let third = person.card(KdfCost::LEAST).instance;
    assert_eq!(first, second);
    let socket = person.places.socket(third);
    within(PATIENCE, "serving another card", || {
        UnixStream::connect(&socket).is_ok()
    });
    assert_eq!(person.connect(third).tries_left(), 3);
    // The place of the destroyed one is taken when its work is done.
    let socket = person.places.socket(second);
    within(
        Duration::from_secs(120),
        "serving the card in its place",
        || {
            UnixStream::connect(&socket).is_ok_and(|stream| {
                let mut session = Session(stream);
                session.send(&Command::verify_query());
                session
                    .receive()
                    .is_some_and(|answer| answer.status().tries_left() == Some(3))
            })
        },
    );
    assert_eq!(person.terminate().code(), Some(0));
}

#[test]
fn a_second_daemon_says_that_one_is_running() {
    let mut person = Person::new();
    person.start();
    let pid = person.daemon.as_ref().map(Child::id);
    assert_eq!(daemon(&person.places), Daemon::Running { pid });
    let output = person.process().arg("--foreground").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("LY-1820") && words.contains("already running"),
        "{words}"
    );
}

#[test]
fn a_signal_ends_it_cleanly() {
    let mut person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    person.start();
    let mut open = person.connect(card);
    assert_eq!(open.tries_left(), 3);
    assert_eq!(person.terminate().code(), Some(0));
    assert!(!person.places.socket(card).exists());
    assert_eq!(daemon(&person.places), Daemon::Absent);
    assert!(open.receive().is_none());
}

#[test]
fn it_starts_in_the_background_and_is_ready_when_the_start_returns() {
    let person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    let output = person.process().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let Daemon::Running { pid: Some(pid) } = daemon(&person.places) else {
        panic!("no daemon runs");
    };
    assert_eq!(person.connect(card).tries_left(), 3);
    let again = person.process().output().unwrap();
    assert_eq!(again.status.code(), Some(3));
    assert!(String::from_utf8(again.stderr).unwrap().contains("LY-1820"));
    assert!(
        Process::new("kill")
            .arg(pid.to_string())
            .status()
            .unwrap()
            .success()
    );
    within(PATIENCE, "ending", || {
        daemon(&person.places) == Daemon::Absent
    });
}

/// The permissions of the directories keep others out; the check of the peer is the second wall,
/// so the test takes the first one down.
#[test]
fn a_program_of_another_person_is_turned_away() {
    const SOCKET: &str = "LANYARD_TEST_SOCKET";
    const NOBODY: &str = "65534";
    if let Some(socket) = std::env::var_os(SOCKET) {
        let mut stream = UnixStream::connect(socket).unwrap();
        let _ = stream.write_all(&[0, 1, 4]);
        assert!(
            matches!(stream.read(&mut [0]), Ok(0) | Err(_)),
            "the card answered"
        );
        return;
    }
    if !rustix::process::geteuid().is_root() {
        // Only root can be somebody else.
        return;
    }
    let mut person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    person.start();
    let socket = person.places.socket(card);
    for path in socket
        .ancestors()
        .take_while(|path| path.starts_with(person.base.path()))
    {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let copy = person.base.path().join("copy");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let output = Process::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(copy)
        .args(["--exact", "a_program_of_another_person_is_turned_away"])
        .env(SOCKET, &socket)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{output:?}"
    );
    let log = fs::read_to_string(person.log()).unwrap();
    assert!(log.contains("another person"), "{log}");
    assert_eq!(
        person.connect(card).tries_left(),
        3,
        "the person's own programs go on"
    );
}

#[test]
fn a_damaged_card_is_named_and_the_others_are_served() {
    let mut person = Person::new();
    let (bad, good) = (
        person.card(KdfCost::LEAST).instance,
        person.card(KdfCost::LEAST).instance,
    );
    let file = person.places.card(bad).join("card.json");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    person.start();
    assert_eq!(person.connect(good).tries_left(), 3);
    assert!(!person.places.socket(bad).exists());
    let log = fs::read_to_string(person.log()).unwrap();
    assert!(log.contains("LY-1214"), "{log}");
    // Put right by hand, for example from a backup: served without a restart.
    fs::write(&file, bytes).unwrap();
    within(PATIENCE, "noticing the repair", || {
        person.places.socket(bad).exists()
    });
}

#[test]
fn a_wrong_try_counts_however_the_daemon_is_killed() {
    let mut person = Person::new();
    // The real cost, so that the kill often falls between counting and answering.
    let card = person.card(KdfCost::RECOMMENDED).instance;
    let (mut tries, mut delay) = (3, Duration::ZERO);
    while tries > 0 {
        person.start();
        let mut session = person.connect(card);
        assert_eq!(session.tries_left(), tries);
        session.send(&Command::verify(&pin(WRONG_PIN)));
        thread::sleep(delay);
        person.kill();
        let told = session
            .receive()
            .and_then(|answer| answer.status().tries_left());
        person.start();
        let after = person.connect(card).tries_left();
        person.kill();
        if let Some(told) = told {
            assert_eq!(told, after, "what was told is what is stored");
        }
        assert!(after == tries || after + 1 == tries, "{tries} -> {after}");
        tries = after;
        delay += Duration::from_millis(7);
    }
}

#[test]
fn a_pin_change_is_done_or_not_done_however_the_daemon_is_killed() {
    let mut person = Person::new();
    let card = person
        .card(KdfCost {
            memory_kib: 2048,
            passes: 1,
            lanes: 1,
        })
        .instance;
    person.start();
    let mut session = person.connect(card);
    session.generate();
    assert_eq!(session.status(&change(TRANSPORT_PIN, NEW_PIN)), 0x9000);
    person.kill();
    let (mut old, mut new) = (NEW_PIN, OTHER_PIN);
    for step in 0..12 {
        person.start();
        let mut session = person.connect(card);
        session.send(&change(old, new));
        thread::sleep(Duration::from_millis(step * 2));
        person.kill();
        let told = session
            .receive()
            .is_some_and(|answer| answer.status().is_success());
        person.start();
        let mut session = person.connect(card);
        if session.signs_with(new) {
            (old, new) = (new, old);
        } else {
            assert!(!told, "a change that was told is kept");
            assert!(session.signs_with(old), "neither PIN works");
        }
        person.kill();
    }
}

#[test]
fn the_log_at_its_most_talkative_holds_no_pin_and_no_key() {
    let mut person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    person.start();
    let mut session = person.connect(card);
    session.generate();
    assert_eq!(session.status(&Command::verify(&pin(WRONG_PIN))), 0x63C2);
    assert_eq!(session.status(&change(TRANSPORT_PIN, NEW_PIN)), 0x9000);
    assert!(session.signs_with(NEW_PIN));
    let own = ManagementKey::new(&[0xA7; 32]).unwrap();
    let set = Command::set_management_key(ManagementAlgorithm::Aes256, &own);
    assert_eq!(session.status(&set), 0x9000);
    assert_eq!(person.terminate().code(), Some(0));

    let log = fs::read_to_string(person.log()).unwrap().to_lowercase();
    assert!(log.contains("command answered"), "{log}");
    for text in [TRANSPORT_PIN, NEW_PIN, WRONG_PIN] {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let spaced = text
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ");
        for form in [
            text.to_owned(),
            hex,
            spaced,
            format!("{:?}", text.as_bytes()),
        ] {
            assert!(!log.contains(&form), "{form} stands in the log");
        }
    }
    assert!(!log.contains("a7a7") && !log.contains("a7 a7") && !log.contains("167, 167"));
    assert!(!log.contains("0102030405060708"));
}

#[test]
fn places_that_cannot_be_used_are_named_with_their_code() {
    let person = Person::new();
    fs::write(person.base.path().join("data"), b"a file").unwrap();
    let output = person.process().arg("--foreground").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("LY-1803") && words.contains("data/lanyard/cards"),
        "{words}"
    );
    assert!(!Path::new(&person.places.daemon_lock()).exists());
}

#[test]
fn the_help_says_what_it_does() {
    let person = Person::new();
    let output = person.process().arg("--help").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}
