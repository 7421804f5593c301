// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several people on one computer: nobody else becomes the card, and nobody else is shown it.

use super::desk::{Desk, PATIENCE, Program};
use anyhow::{Context as _, Result, ensure};
use lanyard_card::{CardFault, PcscProvider, Provider as _};
use lanyard_tests::namespace::in_own_namespace;
use lanyard_tests::pcsc::Make;
use lanyard_tests::process::{eventually, program};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

const NOBODY: u32 = 65534;
/// Set in the process that plays somebody else, to the socket.
const STRANGER: &str = "LANYARD_TEST_STRANGER";

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let uid = NOBODY.to_string();
    command
        .args(["--reuid", &uid, "--regid", &uid, "--clear-groups"])
        .arg(program);
    command
}

/// Lets everybody through to a path.
fn open_up(path: &Path, base: &Path) -> Result<()> {
    for path in path.ancestors().take_while(|path| path.starts_with(base)) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The daemon of somebody else who has one card.
fn mallory(desk: &Desk, socket: &str) -> Result<super::desk::Owner> {
    let base = desk.folder.path();
    let mut mallory = desk.person("mallory", 1)?;
    let copy = base.join("cardd");
    std::fs::copy(program("lanyard-cardd"), &copy)?;
    open_up(&base.join("mallory"), base)?;
    for entry in walk(&base.join("mallory"))? {
        chown(&entry, Some(NOBODY), Some(NOBODY))?;
    }
    let mut command = as_nobody(&copy);
    command.args(["--foreground", "--reader", socket]);
    mallory.run(&mut command)?;
    Ok(mallory)
}

#[test]
fn another_users_card_in_a_shared_reader_is_handed_no_pin_by_our_client() {
    const NAME: &str =
        "people::another_users_card_in_a_shared_reader_is_handed_no_pin_by_our_client";
    in_own_namespace(NAME, || {
        let desk = Desk::new(Make::OursShared, 1)?;
        let socket = desk.pcscd.slot(0);
        let other = Program::new()?;
        let _mallory = mallory(&desk, &socket)?;
        // Any program can use the card, which says nothing of its person.
        ensure!(other.card(&desk.name(0, 0))?.tries_left()? == 3);
        let mut alice = desk.person("alice", 1)?;
        alice.start(&socket)?;
        ensure!(other.card(&desk.name(0, 1))?.tries_left()? == 3);

        let provider = PcscProvider::new();
        let foreign = provider.connect(&desk.name(0, 0), PATIENCE).err();
        ensure!(foreign == Some(CardFault::ForeignCard), "{foreign:?}");
        let own = provider.connect(&desk.name(0, 1), PATIENCE);
        ensure!(own.is_ok(), "{:?}", own.err());
        Ok(())
    });
}

#[test]
fn another_users_daemon_does_not_become_the_card() {
    in_own_namespace(
        "people::another_users_daemon_does_not_become_the_card",
        || {
            let desk = Desk::new(Make::Ours, 1)?;
            let program_client = Program::new()?;
            program_client.goes(&desk.name(0, 0))?;
            let socket = desk.pcscd.slot(0);
            let mallory = mallory(&desk, &socket)?;
            eventually("the daemon hears whose reader it is", PATIENCE, || {
                let log = std::fs::read_to_string(mallory.log()).ok()?;
                log.contains("the reader is for another user's cards")
                    .then_some(())
            })?;
            program_client.goes(&desk.name(0, 0))?;
            ensure!(
                desk.pcscd
                    .log()
                    .contains("a card of user 65534 was turned away"),
                "{}",
                desk.pcscd.log()
            );

            // The reader goes on for whose it is.
            let mut alice = desk.person("alice", 1)?;
            alice.start(&socket)?;
            ensure!(program_client.card(&desk.name(0, 0))?.tries_left()? == 3);
            Ok(())
        },
    );
}

fn walk(path: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            found.extend(walk(&entry?.path())?);
        }
    }
    Ok(found)
}

/// Plays a reader that another user has set up, when it is started as that.
#[test]
fn a_reader_of_another_user_is_not_shown_the_card() {
    if let Some(socket) = std::env::var_os(STRANGER) {
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).expect("mode");
        let (mut stream, _) = listener.accept().expect("a guest");
        let _ = stream.write_all(&[0, 5, b'L', b'Y', 1, 0, 0]);
        let _ = stream.write_all(&[0, 1, 4]);
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert!(heard.is_empty(), "the card spoke: {heard:02X?}");
        return;
    }
    in_own_namespace(
        "people::a_reader_of_another_user_is_not_shown_the_card",
        || {
            let folder = tempfile::tempdir()?;
            let base = folder.path();
            let readers = base.join("readers");
            std::fs::create_dir(&readers)?;
            open_up(&readers, base)?;
            chown(&readers, Some(NOBODY), Some(NOBODY))?;
            let copy = base.join("stranger");
            std::fs::copy(std::env::current_exe()?, &copy)?;
            let socket = readers.join("0.sock");
            let stranger = as_nobody(&copy)
                .args([
                    "--exact",
                    "people::a_reader_of_another_user_is_not_shown_the_card",
                ])
                .env(STRANGER, &socket)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            eventually("the false reader listens", PATIENCE, || {
                let mode = std::fs::metadata(&socket).ok()?.permissions().mode();
                (mode & 0o777 == 0o666).then_some(())
            })?;
            let mut alice = super::desk::Owner::new(&base.join("alice"), 1)?;
            alice.start(&socket.display().to_string())?;
            eventually("the daemon refuses", PATIENCE, || {
                let log = std::fs::read_to_string(alice.log()).ok()?;
                log.contains("is not the reader driver").then_some(())
            })?;
            let output = stranger.wait_with_output()?;
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(
                output.status.success() && printed.contains("1 passed"),
                "{printed}"
            );
            // The card's own socket serves its own person all the same.
            let own = alice.places.socket(super::desk::Owner::instance(0)?);
            let mut stream = UnixStream::connect(own)?;
            stream.write_all(&[0, 1, 4])?;
            stream.read_exact(&mut [0; 2]).context("no answer")?;
            Ok(())
        },
    );
}
