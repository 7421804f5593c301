// SPDX-License-Identifier: MIT OR Apache-2.0
//! A namespace of its own for each whole-system test: own network, own mounts, own processes.
//!
//! The test starts itself again inside; whatever it leaves running ends with the namespace.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set inside, to the name of the test.
const INSIDE: &str = "LANYARD_TEST_NAMESPACE";

/// Runs the body of a test in a namespace of its own. `name` is the test's own name.
///
/// # Panics
/// When the test fails, with all that it printed.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn in_own_namespace(name: &str, body: impl FnOnce() -> Result<()>) {
    let result = if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        settle().and_then(|()| body())
    } else {
        run_inside(name)
    };
    if let Err(error) = result {
        panic!("{name}: {error:#}");
    }
}

/// The words before a command that give it a namespace of its own, or none when that is not
/// possible for this user.
#[must_use]
pub fn unshare() -> Option<Vec<&'static str>> {
    let common = [
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    [vec!["unshare"], vec!["unshare", "--map-root-user"]]
        .into_iter()
        .find_map(|mut words| {
            words.extend(common);
            let (program, rest) = words.split_first()?;
            let works = Command::new(program)
                .args(rest)
                .arg("true")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
            works.then_some(words)
        })
}

fn run_inside(name: &str) -> Result<()> {
    let words = unshare().context("namespaces cannot be made here (unshare)")?;
    let (program, rest) = words.split_first().context("unshare")?;
    let output = Command::new(program)
        .args(rest)
        .arg(std::env::current_exe()?)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .stdin(Stdio::null())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "failed inside its namespace ({}):\n{printed}",
            output.status
        );
    }
    if !printed.contains("1 passed") {
        bail!("no test of that name ran inside the namespace:\n{printed}");
    }
    Ok(())
}

/// Makes the namespace habitable: loopback up, an empty `/run/pcscd`.
///
/// # Errors
/// A step failed.
pub fn settle() -> Result<()> {
    must("ip", &["link", "set", "lo", "up"])?;
    // The package makes this folder, but it is gone after a restart where no init makes it again.
    let _ = std::fs::create_dir("/run/pcscd");
    if Path::new("/run/pcscd").is_dir() {
        must("mount", &["-t", "tmpfs", "tmpfs", "/run/pcscd"])?;
    }
    Ok(())
}

/// Makes the name server of this namespace the only one.
///
/// # Errors
/// The file cannot be written or mounted.
pub fn use_own_name_server(folder: &Path) -> Result<()> {
    let file = folder.join("resolv.conf");
    std::fs::write(
        &file,
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    )?;
    let file = file.display().to_string();
    // The real file may be a link into a folder that is not there.
    let target = std::fs::canonicalize("/etc/resolv.conf")?;
    must("mount", &["--bind", &file, &target.display().to_string()])
}

/// Runs a small system program that must succeed.
///
/// # Errors
/// It failed.
pub fn must(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{program} {}: {words}", arguments.join(" "));
    }
    Ok(())
}
