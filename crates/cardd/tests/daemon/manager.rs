// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control socket, and the manager that may hold it.

use super::*;

/// Hears what the control socket says.
fn knock(control: &Path) -> String {
    let mut words = String::new();
    let mut stream = None;
    // The socket may be there a moment before somebody listens.
    within(PATIENCE, "listening", || {
        stream = UnixStream::connect(control).ok();
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_to_string(&mut words).unwrap();
    words
}

#[test]
fn whoever_knocks_hears_when_the_cards_are_served() {
    let mut person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    person.start();
    let control = person.places.control();
    assert_eq!(knock(&control), "ready\n");
    assert_eq!(person.connect(card).tries_left(), 3);
    assert_eq!(
        fs::metadata(&control).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(person.terminate().code(), Some(0));
    assert!(!control.exists());
}

/// As systemd does it: the socket is there first, the knock starts the daemon, and the socket
/// stays when the daemon ends.
#[test]
fn a_knock_at_the_managers_socket_starts_it() {
    let mut person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    person.places.make_run().unwrap();
    let control = person.places.control();
    let mut manager = Process::new("systemd-socket-activate");
    for variable in [
        "HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "LANYARD_CARDD_READER",
    ] {
        manager.arg("-E").arg(variable);
    }
    let mut manager = manager
        .arg("-l")
        .arg(&control)
        .arg(env!("CARGO_BIN_EXE_lanyard-cardd"))
        .arg("--foreground")
        .env("HOME", person.base.path())
        .env("XDG_DATA_HOME", person.base.path().join("data"))
        .env("XDG_RUNTIME_DIR", person.base.path().join("run"))
        .env("LANYARD_CARDD_READER", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(person.log()).unwrap())
        .spawn()
        .unwrap();
    within(PATIENCE, "listening", || control.exists());
    assert_eq!(daemon(&person.places), Daemon::Absent);
    assert_eq!(knock(&control), "ready\n");
    assert_eq!(person.connect(card).tries_left(), 3);
    // The manager has become the daemon.
    let pid = Some(manager.id());
    assert_eq!(daemon(&person.places), Daemon::Running { pid });
    person.daemon = None;
    let ended = Process::new("kill").arg(manager.id().to_string()).status();
    assert!(ended.unwrap().success());
    assert_eq!(manager.wait().unwrap().code(), Some(0));
    assert!(control.exists(), "the socket is the manager's");
}

#[test]
fn a_daemon_that_is_started_by_hand_leaves_the_managers_socket_alone() {
    let mut person = Person::new();
    let card = person.card(KdfCost::LEAST).instance;
    person.places.make_run().unwrap();
    let control = person.places.control();
    let manager = std::os::unix::net::UnixListener::bind(&control).unwrap();
    person.start();
    assert_eq!(person.connect(card).tries_left(), 3);
    let _knock = UnixStream::connect(&control).unwrap();
    manager.set_nonblocking(true).unwrap();
    assert!(manager.accept().is_ok(), "the knock is the manager's");
    assert!(manager.accept().is_err(), "and the daemon knocked nowhere");
    assert_eq!(person.terminate().code(), Some(0));
    assert!(control.exists());
    // What a manager that is gone left behind is replaced.
    drop(manager);
    person.start();
    assert_eq!(knock(&control), "ready\n");
}

#[test]
fn a_service_manager_is_told_when_the_cards_are_served_and_when_it_ends() {
    let mut person = Person::new();
    let path = person.base.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut process = person.process();
    let child = process
        .arg("--foreground")
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    person.daemon = Some(child);
    let mut words = [0; 64];
    let count = socket.recv(&mut words).unwrap();
    assert_eq!(&words[..count], b"READY=1");
    assert_eq!(person.terminate().code(), Some(0));
    let count = socket.recv(&mut words).unwrap();
    assert_eq!(&words[..count], b"STOPPING=1");
}
