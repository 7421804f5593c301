// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pcscd of the test's own, with readers into which virtual and emulated cards are put.

use crate::process::{Running, eventually};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// vpcd port of the first reader; each further one is two above (a reader has two slots).
const FIRST_PORT: u16 = 0x9000;
/// Where the driver of the virtual reader is installed.
pub const VPCD_DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// Whether pcscd and the virtual reader are installed.
#[must_use]
pub fn is_available() -> bool {
    Path::new("/usr/sbin/pcscd").exists()
        && Path::new(VPCD_DRIVER).exists()
        && Path::new("/run/pcscd").is_dir()
}

/// A running pcscd. Only for a namespace of one's own: vpcd listens on every address.
#[derive(Debug)]
pub struct Pcscd {
    running: Running,
    readers: u16,
}

impl Pcscd {
    /// Starts pcscd with so many virtual readers, named `Lanyard test 0` and so on.
    ///
    /// # Errors
    /// It did not come up.
    pub fn start(folder: &Path, readers: u16) -> Result<Self> {
        let conf = folder.join("reader.conf.d");
        std::fs::create_dir_all(&conf)?;
        let mut text = String::new();
        for reader in 0..readers {
            let port = port(reader);
            // The driver keeps its slots in static memory: two readers of one library would be one
            // reader. Each further reader loads a copy of its own.
            let mut driver = PathBuf::from(VPCD_DRIVER);
            if reader > 0 {
                driver = folder.join(format!("libifdvpcd-{reader}.so"));
                std::fs::copy(VPCD_DRIVER, &driver).context("a copy of the driver")?;
            }
            let driver = driver.display();
            writeln!(
                text,
                "FRIENDLYNAME \"Lanyard test {reader}\"\nDEVICENAME /dev/null:0x{port:04X}\n\
                 LIBPATH {driver}\nCHANNELID 0x{port:04X}\n"
            )?;
        }
        std::fs::write(conf.join("vpcd"), text)?;
        let mut command = Command::new("/usr/sbin/pcscd");
        command
            .arg("--foreground")
            .arg("--error")
            .arg("--config")
            .arg(&conf);
        // Newer ones ask polkit unless told not to; Debian 12's does not know the switch.
        let help = Command::new("/usr/sbin/pcscd").arg("--help").output();
        if help.is_ok_and(|h| String::from_utf8_lossy(&h.stdout).contains("--disable-polkit")) {
            command.arg("--disable-polkit");
        }
        let mut running = Running::start("pcscd", &mut command, &folder.join("pcscd.log"))?;
        let up = eventually("pcscd is up", Duration::from_secs(10), || {
            (Path::new("/run/pcscd/pcscd.comm").exists() && ports_are_up(readers)).then_some(())
        });
        up.with_context(|| format!("alive: {}, {}", running.is_alive(), running.printed()))?;
        Ok(Self { running, readers })
    }

    /// The address at which a card is put into this reader.
    #[must_use]
    pub fn slot(&self, reader: u16) -> String {
        format!("127.0.0.1:{}", port(reader.min(self.readers)))
    }

    /// The name of a reader's first slot as clients see it.
    #[must_use]
    pub fn reader_name(&self, reader: u16) -> String {
        format!("Lanyard test {reader} 00 00")
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Ends pcscd as if the service had been stopped.
    ///
    /// # Errors
    /// It did not end.
    pub fn stop(mut self) -> Result<()> {
        self.running.signal("TERM")?;
        self.running.wait_end(Duration::from_secs(5))?;
        Ok(())
    }

    /// Lets it run on after this value is gone.
    pub fn leave_running(self) {
        self.running.leave_running();
    }
}

fn port(reader: u16) -> u16 {
    FIRST_PORT + 2 * reader
}

/// Looks at the kernel's table: a connection attempt would be taken for a card.
fn ports_are_up(readers: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    (0..readers).all(|reader| {
        let hex = format!(":{:04X}", port(reader));
        table.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.nth(1).is_some_and(|local| local.ends_with(&hex)) && words.nth(1) == Some("0A")
        })
    })
}

/// Whether something listens at this address.
#[must_use]
pub fn listens(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}
