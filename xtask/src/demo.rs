// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask demo`: the story, played by the release build, for a person to watch.
//!
//! Where it can, the demo lives in a namespace of its own: its pcscd, readers and ports meet nothing
//! of the machine. The programs outside and inside are the same.

use crate::run::{cargo, root, step};
use crate::setup::{self, Purpose};
use anyhow::{Context, Result, bail};
use lanyard_tests::namespace;
use lanyard_tests::pcsc::{self, Pcscd};
use lanyard_tests::person::{CardPath, Person};
use lanyard_tests::server::Ports;
use lanyard_tests::story::{ALICE, ALICE_NEW_PIN, BOB_PIN, Setting, Step, Story, play};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set when we run inside the namespace.
const INSIDE: &str = "LANYARD_DEMO_INSIDE";

struct Options {
    keep: bool,
    card_path: Option<CardPath>,
}

fn options(arguments: &[&str]) -> Result<Options> {
    let mut options = Options {
        keep: false,
        card_path: None,
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--keep" => options.keep = true,
            "--card-path" => {
                options.card_path = match rest.next().copied() {
                    Some("pcsc") => Some(CardPath::Pcsc),
                    Some("socket") => Some(CardPath::Socket),
                    Some("auto") => None,
                    _ => bail!("--card-path takes auto, pcsc or socket"),
                };
            }
            other => bail!("the demo knows --keep and --card-path, not {other}"),
        }
    }
    Ok(options)
}

/// Builds and plays.
pub fn run(arguments: &[&str]) -> Result<()> {
    let chosen = options(arguments)?;
    if std::env::var_os(INSIDE).is_some() {
        return inside(&chosen);
    }
    println!("Lanyard demo: from a blank card to a conversation.\n");
    stop_earlier()?;
    setup::ensure(Purpose::Demo)?;
    build(Path::new("/usr/include/PCSC/winscard.h").exists())?;
    let Some(words) = namespace::unshare() else {
        println!(
            "Namespaces cannot be made here, so pcscd is left alone: cards go over their own sockets."
        );
        return inside(&Options {
            card_path: Some(CardPath::Socket),
            ..chosen
        });
    };
    let (program, rest) = words.split_first().context("unshare")?;
    // With --keep everything must outlive this program: then the process numbers are not its own.
    let lasting = ["--map-root-user", "--mount", "--net"];
    let rest = rest
        .iter()
        .filter(|word| !chosen.keep || lasting.contains(word));
    let mut command = Command::new(program);
    command
        .args(rest)
        .arg(std::env::current_exe()?)
        .arg("demo")
        .args(arguments);
    command
        .env(INSIDE, "1")
        .env("LANYARD_BIN_DIR", root().join("target/release"));
    let status = command.status()?;
    if !status.success() {
        bail!("the demo did not end well; target/demo holds what it left");
    }
    Ok(())
}

fn build(with_pcsc: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--release", "--locked"]);
    command.args([
        "-p",
        "lanyard-server",
        "-p",
        "lanyard-cli",
        "-p",
        "lanyard-cardd",
        "-p",
        "lanyard-ifd",
    ]);
    if !with_pcsc {
        println!(
            "The headers of PC/SC are not here: building without it (cards over their own sockets)."
        );
        command.arg("--no-default-features");
    }
    step("build (release)", &mut command)
}

/// Where everything of the demo lies.
fn folder() -> PathBuf {
    root().join("target/demo")
}

/// Ends what an earlier `--keep` left running.
fn stop_earlier() -> Result<()> {
    let stop = folder().join("stop");
    if stop.exists() {
        let _ = Command::new(&stop).status();
    }
    match std::fs::remove_dir_all(folder()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn inside(options: &Options) -> Result<()> {
    if std::env::var_os("LANYARD_BIN_DIR").is_none() {
        // Re-run with the variable, which the harness reads: changing it here would need unsafe code.
        let status = Command::new(std::env::current_exe()?)
            .args(["demo", "--card-path", "socket"])
            .args(options.keep.then_some("--keep"))
            .env(INSIDE, "1")
            .env("LANYARD_BIN_DIR", root().join("target/release"))
            .status()?;
        return if status.success() {
            Ok(())
        } else {
            bail!("the demo did not end well")
        };
    }
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    let own_namespace = namespace::settle().is_ok();
    let wanted = options.card_path.unwrap_or(CardPath::Pcsc);
    let pcscd = if wanted == CardPath::Pcsc && own_namespace && pcsc::pcscd_is_available() {
        Some(Pcscd::start_ours(&folder, 2)?)
    } else {
        None
    };
    let card_path = if pcscd.is_some() {
        CardPath::Pcsc
    } else {
        CardPath::Socket
    };
    println!(
        "\nCards are reached {}.\n",
        match card_path {
            CardPath::Pcsc => "through pcscd, in a reader of our own driver",
            CardPath::Socket => "over their own sockets, without pcscd",
        }
    );
    let slots = pcscd
        .as_ref()
        .map(|p| [p.slot(0), p.slot(1)])
        .unwrap_or_default();
    let mut story = play(&Setting {
        folder: &folder,
        ports: Ports::UNPRIVILEGED,
        card_path,
        readers: [&slots[0], &slots[1]],
        // What is kept must not need a chip that ends with this program.
        chip: !options.keep,
        tell: &print_step,
    });
    let summary = serde_json::to_string_pretty(&story.summary())?;
    std::fs::write(folder.join("summary.json"), summary + "\n")?;
    print_summary(&story);
    if !story.is_ok() {
        bail!("a step failed");
    }
    if options.keep {
        keep(&mut story, pcscd, own_namespace)?;
    }
    Ok(())
}

fn print_step(step: &Step) {
    let mark = if step.ok { "✓" } else { "✗" };
    println!(
        "  {mark} {:>9.1} ms  {}",
        step.took.as_secs_f64() * 1e3,
        step.name
    );
    if let Some(error) = &step.error {
        println!("{error}");
    }
}

fn print_summary(story: &Story) {
    let good = story.steps.iter().filter(|step| step.ok).count();
    println!("\n{good} of {} steps went as they must.", story.steps.len());
    if let Some(took) = story.revocation_to_end {
        println!(
            "From 'card lost' to the end of Alice's session: {:.0} ms.",
            took.as_secs_f64() * 1e3
        );
    }
    println!(
        "Alice's cards were {}.",
        if story.chip.is_some() {
            "in a software TPM"
        } else {
            "in sealed files"
        }
    );
    println!("Summary: target/demo/summary.json");
}

/// Leaves everything running and says how to go on by hand.
fn keep(story: &mut Story, pcscd: Option<Pcscd>, own_namespace: bool) -> Result<()> {
    let folder = folder();
    let server = story.server.as_mut().context("no server")?;
    let server_pid = server
        .leave_running()
        .context("the server is not running")?;
    let enter = if own_namespace {
        enter_words(server_pid)?
    } else {
        String::new()
    };
    let mut pids = vec![server_pid];
    let command = server.command(&root().join("target/release/lanyard-server"));
    let data = server.data.display().to_string();
    script(
        &folder.join("lanyard-server"),
        &enter,
        &command,
        &["--data", &data],
    )?;
    for person in &story.people {
        script(
            &folder.join(script_name(&person.address)),
            &enter,
            &person.lanyard(&[]),
            &[],
        )?;
    }
    for daemon in std::mem::take(&mut story.daemons) {
        pids.push(daemon.pid());
        daemon.leave_running();
    }
    if let Some(pcscd) = pcscd {
        pids.push(pcscd.pid());
        pcscd.leave_running();
    }
    stop_script(&folder, &story.people, &pids)?;
    println!("\nEverything goes on running. By hand:");
    println!(
        "  target/demo/as-alice open                          her session, which is signed in"
    );
    println!("  target/demo/as-alice sign-out");
    println!("  target/demo/as-alice sign-in {ALICE}   the PIN is {ALICE_NEW_PIN}");
    println!("  target/demo/as-bob open                            (his PIN is {BOB_PIN})");
    println!("  target/demo/as-alice card list");
    println!("  target/demo/lanyard-server session list            the administrator's view");
    println!("  target/demo/stop                                   ends it all");
    Ok(())
}

/// The name of the script that runs `lanyard` as this person. The person's folder has the bare name.
fn script_name(address: &str) -> String {
    format!("as-{}", address.split('@').next().unwrap_or(address))
}

/// The words that bring a command into the namespaces of a process.
fn enter_words(pid: u32) -> Result<String> {
    let same_user = std::fs::read_link("/proc/self/ns/user")?
        == std::fs::read_link(format!("/proc/{pid}/ns/user"))?;
    // A demo without root has made a user namespace as well; root's has not.
    let mapped = std::fs::read_to_string("/proc/self/uid_map")?;
    let own_user = !mapped.split_whitespace().eq(["0", "0", "4294967295"]);
    let user = if same_user && own_user {
        " --user --preserve-credentials"
    } else {
        ""
    };
    Ok(format!("nsenter --target {pid}{user} --mount --net "))
}

/// Writes a script that runs a program as the demo does.
fn script(file: &Path, enter: &str, command: &Command, more: &[&str]) -> Result<()> {
    let mut text = String::from("#!/bin/sh\n# Made by cargo xtask demo --keep.\nexec ");
    text.push_str(enter);
    text.push_str("env");
    for (key, value) in command.get_envs() {
        let value = value
            .map(|v| v.to_string_lossy().into_owned())
            .unwrap_or_default();
        write!(text, " {}='{value}'", key.to_string_lossy())?;
    }
    write!(
        text,
        " '{}' \"$@\"",
        command.get_program().to_string_lossy()
    )?;
    for word in more {
        write!(text, " '{word}'")?;
    }
    text.push('\n');
    executable(file, &text)
}

/// Writes the script that ends what was left running: the programs by number, and the background
/// processes of the people by the folder that is their home.
fn stop_script(folder: &Path, people: &[Person], pids: &[u32]) -> Result<()> {
    let mut text = String::from("#!/bin/sh\n# Made by cargo xtask demo --keep.\n");
    for person in people {
        let script = folder.join(script_name(&person.address));
        writeln!(text, "'{}' exit >/dev/null 2>&1", script.display())?;
    }
    // A card daemon hides its environment from everybody; its lock holds its number.
    let locks = folder.join("*/run/lanyard/cardd.lock");
    writeln!(
        text,
        "for lock in {}; do kill \"$(cat \"$lock\")\" 2>/dev/null; done",
        locks.display()
    )?;
    for pid in pids {
        writeln!(text, "kill {pid} 2>/dev/null")?;
    }
    let home = folder.display();
    writeln!(
        text,
        "{{ for p in /proc/[0-9]*; do\n  if tr '\\0' '\\n' < $p/environ | grep -q '^HOME={home}/'; then\n    \
         kill ${{p#/proc/}} 2>/dev/null\n  fi\ndone; }} 2>/dev/null\nrm -f \"$0\"\nexit 0"
    )?;
    executable(&folder.join("stop"), &text)
}

fn executable(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
