// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that nobody here wrote, with our virtual card, before the real card listener: GnuTLS,
//! NSS, and Chromium with its own window for the PIN.
#![cfg(feature = "pcsc")]

use anyhow::{Context, Result, bail, ensure};
use lanyard_tests::person::Person;
use lanyard_tests::process::{Running, eventually, run_limited};
use lanyard_tests::server::{HOST, succeeded};
use lanyard_tests::token::OPENSC;
use lanyard_tests::world::{World, in_a_world};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

const ALICE: &str = "alice@contoso.test";
const PIN: &str = "407316";
const LIMIT: Duration = Duration::from_secs(60);
/// What the card listener logs for a card that it accepted.
const ACCEPTED: &str = "card accepted address=alice@contoso.test";

/// The page that only a card opens.
fn path() -> String {
    let realm = format!("https%3A%2F%2F{HOST}%2FPassiveAuth%2FPassiveAuth.aspx");
    format!("/adfs/ls/?wa=wsignin1.0&wtrealm={realm}&wctx=&sipuri={ALICE}")
}

fn request(world: &World) -> String {
    let port = world.server.ports.card;
    format!(
        "GET {} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
        path()
    )
}

/// Runs a foreign program at the person's computer.
fn run(person: &Person, program: &str, arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = person.command(Path::new(program));
    run_limited(command.args(arguments), input, LIMIT)
}

fn must(person: &Person, program: &str, arguments: &[&str]) -> Result<String> {
    let output = run(person, program, arguments, "")?;
    succeeded(&format!("{program} {arguments:?}"), &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// NSS's database in the person's HOME: OpenSC's module for the card, the server's root trusted.
fn nss_database(world: &World, person: &Person) -> Result<String> {
    let folder = person.root.join("home/.pki/nssdb");
    std::fs::create_dir_all(&folder)?;
    let database = format!("sql:{}", folder.display());
    let root = world.server.root_certificate().display().to_string();
    must(
        person,
        "certutil",
        &["-N", "-d", &database, "--empty-password"],
    )?;
    let add = [
        "-force", "-dbdir", &database, "-add", "opensc", "-libfile", OPENSC,
    ];
    must(person, "modutil", &add)?;
    let trust = [
        "-A", "-d", &database, "-n", "root", "-t", "C,,", "-i", &root,
    ];
    must(person, "certutil", &trust)?;
    Ok(database)
}

/// What a foreign client printed must be the page, and the server must have taken the card.
fn must_be_let_in(world: &World, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    ensure!(
        said.contains("HTTP/1.1 200") && said.contains("Your card was accepted."),
        "no page:\n{said}"
    );
    let log = std::fs::read_to_string(world.server.log_file())?;
    ensure!(log.contains(ACCEPTED), "the server took no card:\n{log}");
    Ok(())
}

#[test]
fn judge_gnutls_opens_the_card_listener_with_our_card() {
    let name = "judge_gnutls_opens_the_card_listener_with_our_card";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        let tokens = must(&alice, "p11tool", &["--provider", OPENSC, "--list-tokens"])?;
        let url = tokens
            .lines()
            .find_map(|line| line.trim().strip_prefix("URL: "))
            .context("no token")?;
        let port = world.server.ports.card.to_string();
        let root = world.server.root_certificate().display().to_string();
        let certificate = format!("{url};id=%01;type=cert");
        let key = format!("{url};id=%01;type=private;pin-value={PIN}");
        let mut arguments = vec!["--provider", OPENSC, "--port", &port, "--x509cafile", &root];
        arguments.extend(["--sni-hostname", HOST, "--verify-hostname", HOST]);
        arguments.extend(["--x509certfile", &certificate, "--x509keyfile", &key]);
        arguments.extend(["--logfile", "/dev/null", "127.0.0.1"]);
        // gnutls-cli ends with its input: the connection is held open until the page is there.
        let mut command = alice.command(Path::new("gnutls-cli"));
        command.args(&arguments);
        let output = with_open_input(&mut command, &request(world), "</html>")?;
        must_be_let_in(world, &output)
    });
}

/// Runs a program that is given a text, and whose input stays open until it printed another one.
fn with_open_input(command: &mut std::process::Command, text: &str, until: &str) -> Result<Output> {
    use std::io::{Read, Write};
    use std::process::Stdio;
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("gnutls-cli")?;
    let mut input = child.stdin.take().context("stdin")?;
    let mut out = child.stdout.take().context("stdout")?;
    let printed = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&printed);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = out.read(&mut buffer) {
            if let (Ok(mut sink), Some(part)) = (sink.lock(), buffer.get(..count)) {
                sink.extend_from_slice(part);
            }
        }
    });
    input.write_all(text.as_bytes())?;
    input.flush()?;
    let has = || {
        let printed = printed.lock().ok()?;
        String::from_utf8_lossy(&printed)
            .contains(until)
            .then_some(())
    };
    let there = eventually("the page", LIMIT, || {
        let ended = matches!(child.try_wait(), Ok(Some(_)));
        has().or(ended.then_some(()))
    });
    drop(input);
    if there.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let mut stderr = Vec::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_end(&mut stderr)?;
    }
    let _ = reader.join();
    let stdout = printed.lock().map(|printed| printed.clone());
    Ok(Output {
        status,
        stdout: stdout.unwrap_or_default(),
        stderr,
    })
}

#[test]
fn judge_nss_opens_the_card_listener_with_our_card() {
    let name = "judge_nss_opens_the_card_listener_with_our_card";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        let database = nss_database(world, &alice)?;
        let pin_file = alice.root.join("pin");
        std::fs::write(&pin_file, format!("{PIN}\n"))?;
        let pin_file = pin_file.display().to_string();
        let list = ["-L", "-d", &database, "-h", "all", "-f", &pin_file];
        let listed = must(&alice, "certutil", &list)?;
        let nickname = listed
            .lines()
            .find(|line| line.contains("PIV Authentication"))
            .and_then(|line| line.split("  ").next())
            .with_context(|| format!("NSS sees no certificate: {listed}"))?;
        let port = world.server.ports.card.to_string();
        let mut arguments = vec!["-h", "127.0.0.1", "-a", HOST, "-p", &port, "-d", &database];
        arguments.extend(["-n", nickname, "-W", &pin_file, "-V", "tls1.2:tls1.3"]);
        // A file as input: what is read from a pipe is half-closed too early for the page.
        let file = alice.root.join("request");
        std::fs::write(&file, request(world))?;
        let mut shell = vec!["-c", "exec tstclnt \"$@\" < \"$0\""];
        let file = file.display().to_string();
        shell.push(&file);
        shell.extend(&arguments);
        let output = run(&alice, "sh", &shell, "")?;
        must_be_let_in(world, &output)
    });
}

/// A display of the test's own, with nobody before it but the test.
struct Screen {
    _server: Running,
    display: String,
}

impl Screen {
    fn new(person: &Person) -> Result<Self> {
        let mut command = person.command(Path::new("Xvfb"));
        command.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1280x900x24",
            "-nolisten",
            "tcp",
        ]);
        let server = Running::start("Xvfb", &mut command, &person.root.join("xvfb.log"))?;
        let display = eventually("the display", LIMIT, || {
            let printed = server.printed();
            let number = printed
                .lines()
                .find_map(|line| line.trim().parse::<u32>().ok())?;
            printed.ends_with('\n').then(|| format!(":{number}"))
        })?;
        Ok(Self {
            _server: server,
            display,
        })
    }

    fn xdotool(&self, person: &Person, arguments: &[&str]) -> Result<String> {
        let mut command = person.command(Path::new("xdotool"));
        command.env("DISPLAY", &self.display).args(arguments);
        let output = run_limited(&mut command, "", LIMIT)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The titles of all windows.
    fn titles(&self, person: &Person) -> String {
        let all = ["search", "--name", ".", "getwindowname", "%@"];
        self.xdotool(person, &all).unwrap_or_default()
    }

    fn wait_for(&self, person: &Person, title: &str) -> Result<()> {
        let found = eventually(title, LIMIT, || {
            self.titles(person)
                .lines()
                .any(|one| one == title)
                .then_some(())
        });
        found.with_context(|| format!("the windows: {}", self.titles(person)))
    }
}

/// The window in which Chromium asks for a PIN.
const PIN_WINDOW: &str = "Unlock Security Device";

#[test]
fn judge_chromium_asks_for_the_pin_and_is_signed_in_with_our_card() {
    let name = "judge_chromium_asks_for_the_pin_and_is_signed_in_with_our_card";
    in_a_world(name, |world| {
        let alice = world.enrolled(ALICE, PIN)?;
        nss_database(world, &alice)?;
        // The policy of this computer: no question which certificate, there is but one card.
        let policies = Path::new("/etc/chromium");
        std::fs::create_dir_all(policies)?;
        let mount = ["-t", "tmpfs", "tmpfs", "/etc/chromium"];
        lanyard_tests::namespace::must("mount", &mount)?;
        let managed = policies.join("policies/managed");
        std::fs::create_dir_all(&managed)?;
        let port = world.server.ports.card;
        let pattern = format!(r#"{{"pattern":"https://{HOST}:{port}","filter":{{}}}}"#);
        let policy = serde_json::json!({ "AutoSelectCertificateForUrls": [pattern] });
        std::fs::write(managed.join("lanyard.json"), policy.to_string())?;

        let screen = Screen::new(&alice)?;
        let mut command = alice.command(Path::new("chromium"));
        command.env("DISPLAY", &screen.display).args([
            // There is no other user in this namespace that a sandbox could be run as.
            "--no-sandbox",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--password-store=basic",
        ]);
        command.arg(format!(
            "--user-data-dir={}",
            alice.root.join("chromium").display()
        ));
        command.arg(format!("--host-resolver-rules=MAP {HOST} 127.0.0.1"));
        command.arg(format!("https://{HOST}:{port}{}", path()));
        let browser = Running::start("chromium", &mut command, &alice.root.join("chromium.log"))?;
        screen
            .wait_for(&alice, PIN_WINDOW)
            .with_context(|| browser.printed())?;
        let log = || std::fs::read_to_string(world.server.log_file()).unwrap_or_default();
        if log().contains(ACCEPTED) {
            bail!("the card was used before the PIN was typed");
        }
        let window = [
            "search",
            "--sync",
            "--name",
            PIN_WINDOW,
            "windowfocus",
            "--sync",
        ];
        screen.xdotool(&alice, &window)?;
        screen.xdotool(&alice, &["key", "ctrl+a"])?;
        screen.xdotool(&alice, &["type", "--delay", "120", PIN])?;
        screen.xdotool(&alice, &["key", "Return"])?;
        // The page of the card listener posts what the card has earned to the server's own page.
        screen
            .wait_for(&alice, "Lanyard - Chromium")
            .with_context(|| format!("{}\n{}", browser.printed(), log()))?;
        ensure!(
            log().contains(ACCEPTED),
            "the server took no card:\n{}",
            log()
        );
        let tries = alice.must(&["card", "list"], &[])?;
        ensure!(tries.contains("3 tries"), "a PIN was wrong: {tries}");
        Ok(())
    });
}
