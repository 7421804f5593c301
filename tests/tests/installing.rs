// SPDX-License-Identifier: MIT OR Apache-2.0
//! The script that puts the card reader onto a computer: installed, used, upgraded, removed, on a
//! copy of this computer that ends with the test.

use anyhow::{Context, Result, ensure};
use lanyard_tests::namespace::{in_own_namespace, must};
use lanyard_tests::pcsc::{self, our_driver};
use lanyard_tests::person::{CardPath, Person};
use lanyard_tests::process::{Running, eventually, program};
use lanyard_tests::server::{Ports, Server};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const ALICE: &str = "alice@contoso.test";
const PIN: &str = "407316";
const READER: &str = "Lanyard root 00 00";
/// Where the script writes.
const PLACES: [&str; 2] = ["/usr", "/etc"];

fn script() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.unwrap_or(Path::new("/"))
        .join("packaging/cards/lanyard-cards")
}

/// Makes what the script may touch a copy of its own.
fn on_a_copy_of_this_computer(folder: &Path) -> Result<()> {
    let layers = folder.join("layers");
    std::fs::create_dir(&layers)?;
    must(
        "mount",
        &["-t", "tmpfs", "tmpfs", &layers.display().to_string()],
    )?;
    for place in PLACES {
        let upper = layers.join(place.trim_start_matches('/'));
        let work = upper.with_extension("work");
        std::fs::create_dir(&upper)?;
        std::fs::create_dir(&work)?;
        let options = format!(
            "lowerdir={place},upperdir={},workdir={}",
            upper.display(),
            work.display()
        );
        must(
            "mount",
            &["-t", "overlay", "overlay", "-o", &options, place],
        )?;
    }
    // No service manager, no other reader's sockets, nobody's cards.
    for place in ["/run/systemd", "/run/lanyard", "/root"] {
        let _ = std::fs::create_dir(place);
        must("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", place])?;
    }
    Ok(())
}

/// The programs, as a build leaves them.
fn build(folder: &Path) -> Result<PathBuf> {
    let build = folder.join("build");
    std::fs::create_dir_all(&build)?;
    std::fs::copy(our_driver()?, build.join("libifdlanyard.so"))?;
    for name in ["lanyard-cardd", "lanyard"] {
        std::fs::copy(program(name), build.join(name))?;
    }
    Ok(build)
}

fn run(arguments: &[&str]) -> Result<Output> {
    let output = Command::new(script())
        .args(arguments)
        .env_remove("SUDO_USER")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()?;
    Ok(output)
}

fn must_run(arguments: &[&str]) -> Result<String> {
    let output = run(arguments)?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{arguments:?}: {words}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(words)
}

fn must_refuse(arguments: &[&str], because: &str) -> Result<()> {
    let output = run(arguments)?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{arguments:?}: {words}");
    ensure!(words.contains(because), "{arguments:?}: {words}");
    Ok(())
}

/// All files where the script writes.
fn files() -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for place in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib/pcsc",
        "/usr/lib/systemd",
        "/usr/lib/tmpfiles.d",
        "/usr/share/lanyard-cards",
        "/etc",
        "/run/lanyard",
    ] {
        collect(Path::new(place), &mut found)?;
    }
    Ok(found)
}

fn collect(path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    found.insert(path.to_owned());
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), found)?;
        }
    }
    Ok(())
}

/// pcscd with the computer's own configuration, and the readers that it shows.
fn start_pcscd(folder: &Path) -> Result<Running> {
    let log = folder.join("pcscd.log");
    let mut running = pcsc::start_service(Path::new("/etc/reader.conf.d"), &log)?;
    let up = eventually("the reader is shown", PATIENCE, || {
        readers().ok()?.contains("Lanyard").then_some(())
    });
    up.with_context(|| format!("alive: {}\n{}", running.is_alive(), running.printed()))?;
    Ok(running)
}

fn readers() -> Result<String> {
    let output = Command::new("opensc-tool").arg("-l").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn stop(mut running: Running) -> Result<()> {
    running.signal("TERM")?;
    running.wait_end(PATIENCE)?;
    Ok(())
}

/// The installed daemon of a person, which finds the person's reader by itself.
fn start_cardd(person: &Person, folder: &Path) -> Result<Running> {
    let mut command = person.command(Path::new("/usr/bin/lanyard-cardd"));
    command.args(["--foreground", "--reader", "auto"]);
    Running::start("lanyard-cardd", &mut command, &folder.join("cardd.log"))
}

fn card_is_in_the_reader() -> Result<()> {
    eventually("OpenSC sees the card", PATIENCE, || {
        let list = readers().ok()?;
        let line = list.lines().find(|line| line.contains(READER))?;
        line.contains("Yes").then_some(())
    })?;
    let output = Command::new("opensc-tool")
        .args(["--reader", READER, "--name"])
        .output()?;
    let name = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(name.contains("Personal Identity Verification"), "{name}");
    Ok(())
}

#[test]
fn the_reader_is_installed_used_upgraded_and_removed() {
    in_own_namespace("the_reader_is_installed_used_upgraded_and_removed", || {
        let dir = tempfile::tempdir()?;
        let folder = dir.path();
        on_a_copy_of_this_computer(folder)?;
        let build = build(folder)?;
        let from = build.display().to_string();
        let before = files()?;

        let said = must_run(&["install", "--from", &from, "--user", "root"])?;
        ensure!(
            said.contains("'Lanyard root' shows the virtual cards of root"),
            "{said}"
        );
        let pcscd = start_pcscd(folder)?;

        // A person signs in with a card in that reader.
        let mut server = Server::init(folder, Ports::WELL_KNOWN)?;
        server.start()?;
        server.must(&["user", "add", ALICE])?;
        let alice = Person::new(&folder.join("alice"), ALICE, &server, CardPath::Pcsc, true)?;
        let cardd = start_cardd(&alice, folder)?;
        alice.create_card("alice's card", &[])?;
        card_is_in_the_reader()?;
        alice.enrol(&server.enrol_code(ALICE)?, PIN)?;
        alice.sign_in(PIN)?;
        ensure!(alice.json(&["status"])?["stage"] == "signed-in");
        alice.must(&["exit"], &[])?;
        let cards = alice.json(&["card", "list"])?;

        // The daemon that runs the old program ends; the cards stay.
        let said = must_run(&["upgrade", "--from", &from])?;
        ensure!(said.contains("cards are as they were"), "{said}");
        ensure!(said.contains("restart it"), "pcscd runs on: {said}");
        let mut cardd = cardd;
        ensure!(cardd.wait_end(PATIENCE)?.success());
        stop(pcscd)?;
        let pcscd = start_pcscd(folder)?;
        let cardd = start_cardd(&alice, folder)?;
        card_is_in_the_reader()?;
        ensure!(alice.json(&["card", "list"])? == cards);
        alice.sign_in(PIN)?;
        alice.must(&["exit"], &[])?;

        let said = must_run(&["remove"])?;
        ensure!(said.contains("cards are where they were"), "{said}");
        let mut cardd = cardd;
        ensure!(cardd.wait_end(PATIENCE)?.success());
        stop(pcscd)?;
        let left: Vec<_> = files()?.difference(&before).cloned().collect();
        // pcscd makes no file of ours again, and the mount point of this test is the test's own.
        ensure!(
            left.iter().all(|path| path.starts_with("/run/lanyard")),
            "{left:?}"
        );
        ensure!(
            alice.root.join("data/lanyard/cards/0000").is_dir(),
            "the card is gone"
        );
        let said = must_run(&["remove"])?;
        ensure!(said.contains("nothing to remove"), "{said}");
        Ok(())
    });
}

#[test]
fn installing_again_changes_nothing_and_purging_destroys_the_cards() {
    in_own_namespace(
        "installing_again_changes_nothing_and_purging_destroys_the_cards",
        || {
            let dir = tempfile::tempdir()?;
            on_a_copy_of_this_computer(dir.path())?;
            let from = build(dir.path())?.display().to_string();
            let before = files()?;
            must_run(&["install", "--from", &from, "--user", "root", "--slots", "3"])?;
            let first = files()?;
            let conf = std::fs::read_to_string("/etc/reader.conf.d/lanyard")?;
            ensure!(conf.contains("uid=0:slots=3"), "{conf}");
            must_run(&["install", "--from", &from])?;
            ensure!(files()? == first);
            ensure!(std::fs::read_to_string("/etc/reader.conf.d/lanyard")? == conf);
            // The installed script does it as well, and another choice replaces the first.
            let output = Command::new("/usr/sbin/lanyard-cards")
                .args(["install", "--from", &from, "--user", "root", "--shared"])
                .output()?;
            ensure!(output.status.success(), "{output:?}");
            let conf = std::fs::read_to_string("/etc/reader.conf.d/lanyard")?;
            ensure!(
                conf.contains("readers/shared.sock:shared:slots=2"),
                "{conf}"
            );
            ensure!(files()? == first);
            let status = must_run(&["status"])?;
            ensure!(status.contains("reader  Lanyard shared"), "{status}");

            let card = Path::new("/root/.local/share/lanyard/cards/0000");
            std::fs::create_dir_all(card)?;
            std::fs::write(card.join("card.json"), b"{}")?;
            must_run(&["remove", "--purge"])?;
            ensure!(!card.exists() && Path::new("/root/.local/share/lanyard").is_dir());
            let left: Vec<_> = files()?.difference(&before).cloned().collect();
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        },
    );
}

#[test]
fn what_cannot_be_installed_is_refused_in_words_and_changes_nothing() {
    in_own_namespace(
        "what_cannot_be_installed_is_refused_in_words_and_changes_nothing",
        || {
            let dir = tempfile::tempdir()?;
            on_a_copy_of_this_computer(dir.path())?;
            let from = build(dir.path())?.display().to_string();
            let before = files()?;
            let empty = dir.path().join("empty");
            std::fs::create_dir(&empty)?;
            let empty = empty.display().to_string();
            must_refuse(&["install", "--from", &from], "say whose cards")?;
            let nobody = ["install", "--from", &from, "--user", "nobody-here"];
            must_refuse(&nobody, "there is no user 'nobody-here'")?;
            must_refuse(
                &["install", "--from", &from, "--user", "../x"],
                "no name of a user",
            )?;
            must_refuse(
                &["install", "--from", &empty, "--shared"],
                "holds no lanyard-cardd",
            )?;
            let many = ["install", "--from", &from, "--shared", "--slots", "99"];
            must_refuse(&many, "1 to 12 slots")?;
            must_refuse(&["upgrade", "--from", &from], "nothing is installed")?;
            ensure!(run(&["install", "--bogus"])?.status.code() == Some(2));

            let foreign = "/etc/reader.conf.d/lanyard";
            std::fs::write(foreign, "# mine\n")?;
            let install = ["install", "--from", &from, "--shared"];
            must_refuse(&install, "was not put there by lanyard-cards")?;
            ensure!(std::fs::read_to_string(foreign)? == "# mine\n");
            std::fs::remove_file(foreign)?;

            std::fs::set_permissions("/usr/sbin/pcscd", std::fs::Permissions::from_mode(0o644))?;
            must_refuse(&install, "pcscd is not installed")?;
            std::fs::set_permissions("/usr/sbin/pcscd", std::fs::Permissions::from_mode(0o755))?;

            let output = Command::new("setpriv")
                .args([
                    "--reuid",
                    "65534",
                    "--clear-groups",
                    "--bounding-set",
                    "-all",
                ])
                .arg("sh")
                .arg("-s")
                .args(install)
                .stdin(std::fs::File::open(script())?)
                .output()?;
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(words.contains("run it as root"), "{words}");
            ensure!(files()? == before);
            Ok(())
        },
    );
}

#[test]
fn the_service_units_are_what_systemd_understands() {
    let cards = script();
    let units = cards.parent().unwrap_or(Path::new("/"));
    let units = ["lanyard-cardd.service", "lanyard-cardd.socket"].map(|unit| units.join(unit));
    let dir = tempfile::tempdir().expect("a folder");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no", "--recursive-errors=no"])
        .args(&units)
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("HOME", dir.path())
        .output()
        .expect("systemd-analyze");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // That the program is not installed here is not the unit's fault.
    let faults: Vec<_> = words
        .lines()
        .filter(|line| line.contains("lanyard-cardd") && !line.contains("is not executable"))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=25"])
        .arg(&units[0])
        .output()
        .expect("systemd-analyze");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
