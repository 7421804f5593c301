// SPDX-License-Identifier: MIT OR Apache-2.0
//! A software TPM of a test's own: started on a unix socket, stopped with the test.
//!
//! Shared by the tests of several crates, each of which takes this file in.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Time for the chip to come up; a loaded machine needs some of it.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running swtpm.
#[derive(Debug)]
pub struct Swtpm {
    folder: PathBuf,
    child: Option<Child>,
}

impl Swtpm {
    /// Whether the program is there.
    pub fn is_installed() -> bool {
        Command::new("swtpm")
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Starts a fresh chip whose state lies in `folder`.
    pub fn start(folder: &Path) -> Self {
        let mut swtpm = Self {
            folder: folder.to_owned(),
            child: None,
        };
        fs::create_dir_all(swtpm.state()).unwrap();
        swtpm.power_on();
        swtpm
    }

    /// Starts a fresh chip with an endorsement certificate of swtpm's own local authority, which
    /// lies in `folder/ca`.
    pub fn start_certified(folder: &Path) -> Self {
        let mut swtpm = Self {
            folder: folder.to_owned(),
            child: None,
        };
        fs::create_dir_all(swtpm.state()).unwrap();
        let ca = folder.join("ca");
        fs::create_dir_all(&ca).unwrap();
        let config = folder.join("swtpm-localca.conf");
        let text = format!(
            "statedir = {ca}\nsigningkey = {ca}/signkey.pem\nissuercert = {ca}/issuercert.pem\n\
             certserial = {ca}/certserial\n",
            ca = ca.display()
        );
        fs::write(&config, text).unwrap();
        let options = folder.join("swtpm-localca.options");
        fs::write(
            &options,
            "--platform-manufacturer Lanyard\n--platform-version 1\n--platform-model test\n",
        )
        .unwrap();
        let setup = folder.join("swtpm_setup.conf");
        let text = format!(
            "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {}\n\
             create_certs_tool_options = {}\n",
            config.display(),
            options.display()
        );
        fs::write(&setup, text).unwrap();
        let output = Command::new("swtpm_setup")
            .args(["--tpm2", "--ecc", "--create-ek-cert", "--tpmstate"])
            .arg(swtpm.state())
            .arg("--config")
            .arg(&setup)
            .output()
            .unwrap();
        assert!(output.status.success(), "swtpm_setup: {output:?}");
        swtpm.power_on();
        swtpm
    }

    /// Where the chip keeps what survives its power.
    pub fn state(&self) -> PathBuf {
        self.folder.join("tpm")
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("tpm.sock")
    }

    /// Its name in configuration.
    pub fn device(&self) -> String {
        format!("swtpm:{}", self.socket().display())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Starts it (`TPM2_Startup(CLEAR)` included).
    pub fn power_on(&mut self) {
        let _ = fs::remove_file(self.socket());
        let child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate"])
            .arg(format!("dir={}", self.state().display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", self.socket().display()))
            // tpm2-tools look for the control channel here.
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}.ctrl", self.socket().display()))
            .args(["--flags", "not-need-init,startup-clear"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let end = Instant::now() + START_LIMIT;
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < end, "swtpm does not come up");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Pulls its plug.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Pulls the plug and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.power_on();
    }

    /// Copies its state away. What it has written is whole: it writes by renaming.
    pub fn copy_state(&self, to: &Path) {
        copy(&self.state(), to);
    }

    /// Puts a copy of its state back, as whoever rolls a machine back does.
    pub fn roll_back(&mut self, from: &Path) {
        self.kill();
        fs::remove_dir_all(self.state()).unwrap();
        copy(from, &self.state());
        self.power_on();
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
