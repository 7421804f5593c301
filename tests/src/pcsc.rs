// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pcscd of the test's own, with readers into which virtual and emulated cards are put: readers of
//! our own driver, or of vpcd.

use crate::process::{Running, eventually, program};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// vpcd port of the first reader; each further one is two above (a reader has two slots).
const FIRST_PORT: u16 = 0x9000;
/// Where the driver of the virtual reader is installed.
pub const VPCD_DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// Whether pcscd and the virtual reader of vsmartcard are installed.
#[must_use]
pub fn is_available() -> bool {
    pcscd_is_available() && Path::new(VPCD_DRIVER).exists()
}

/// Whether pcscd is installed: enough for readers of our own driver.
#[must_use]
pub fn pcscd_is_available() -> bool {
    Path::new("/usr/sbin/pcscd").exists() && Path::new("/run/pcscd").is_dir()
}

/// Our own driver, as cargo names it.
const OUR_DRIVER: &str = "libifdlanyard.so";
/// Slots of a reader of our own.
const OUR_SLOTS: u16 = 2;
const UP_LIMIT: Duration = Duration::from_secs(30);

/// The readers of a pcscd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Our own driver, on unix sockets.
    Ours,
    /// Our own driver, with a PIN pad at each reader.
    OursWithPad,
    /// Our own driver; each reader takes everybody's cards.
    OursShared,
    /// vsmartcard's, on TCP ports.
    Vpcd,
}

/// Our own driver, where it was built.
///
/// # Errors
/// It was not.
pub fn our_driver() -> Result<PathBuf> {
    // A build of the package puts it beside the programs, a build of its tests only below.
    let driver = program(OUR_DRIVER);
    let below = driver.with_file_name("deps").join(OUR_DRIVER);
    match [&driver, &below].into_iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => bail!(
            "{} is missing: build it with 'cargo build -p lanyard-ifd'",
            driver.display()
        ),
    }
}

/// A running pcscd. Only for a namespace of one's own: vpcd listens on every address.
#[derive(Debug)]
pub struct Pcscd {
    running: Running,
    folder: PathBuf,
    make: Make,
    readers: u16,
}

impl Pcscd {
    /// Starts pcscd with so many virtual readers, named `Lanyard test 0` and so on.
    ///
    /// # Errors
    /// It did not come up.
    pub fn start(folder: &Path, readers: u16) -> Result<Self> {
        Self::start_with(Make::Vpcd, folder, readers)
    }

    /// Starts pcscd with so many readers of our own driver, of two slots each.
    ///
    /// # Errors
    /// It did not come up, or the driver was not built.
    pub fn start_ours(folder: &Path, readers: u16) -> Result<Self> {
        Self::start_with(Make::Ours, folder, readers)
    }

    /// Starts pcscd with so many readers of our own driver, each with a PIN pad.
    ///
    /// # Errors
    /// It did not come up, or the driver was not built.
    pub fn start_with_pad(folder: &Path, readers: u16) -> Result<Self> {
        Self::start_with(Make::OursWithPad, folder, readers)
    }

    /// Starts pcscd with so many readers of this make.
    ///
    /// # Errors
    /// It did not come up.
    pub fn start_with(make: Make, folder: &Path, readers: u16) -> Result<Self> {
        let conf = folder.join("reader.conf.d");
        std::fs::create_dir_all(&conf)?;
        let mut text = String::new();
        for reader in 0..readers {
            match make {
                Make::Vpcd => vpcd_entry(&mut text, folder, reader)?,
                _ => our_entry(&mut text, make, folder, reader)?,
            }
        }
        std::fs::write(conf.join("readers"), text)?;
        Self::start_with_config(make, folder, &conf, readers)
    }

    fn start_with_config(make: Make, folder: &Path, conf: &Path, readers: u16) -> Result<Self> {
        let running = start_service(conf, &folder.join("pcscd.log"))?;
        let mut pcscd = Self {
            running,
            folder: folder.into(),
            make,
            readers,
        };
        let up = eventually("pcscd is up", UP_LIMIT, || {
            (Path::new("/run/pcscd/pcscd.comm").exists() && pcscd.readers_are_up()).then_some(())
        });
        let alive = pcscd.running.is_alive();
        up.with_context(|| format!("alive: {alive}, {}", pcscd.running.printed()))?;
        Ok(pcscd)
    }

    /// The address at which a card is put into this reader: a port of vpcd, or the socket of a reader
    /// of our own.
    #[must_use]
    pub fn slot(&self, reader: u16) -> String {
        let reader = reader.min(self.readers);
        match self.make {
            Make::Vpcd => format!("127.0.0.1:{}", port(reader)),
            _ => socket(&self.folder, reader).display().to_string(),
        }
    }

    /// The name of a reader's first slot as clients see it.
    #[must_use]
    pub fn reader_name(&self, reader: u16) -> String {
        match self.make {
            Make::Vpcd => format!("Lanyard test {reader} 00 00"),
            // Readers of one driver are numbered.
            _ => format!("Lanyard test {reader} {reader:02X} 00"),
        }
    }

    /// Types at the PIN pad of a reader: one PIN a line, or `cancel`. It is taken when a program asks
    /// for it.
    ///
    /// # Errors
    /// The reader's folder cannot be written.
    pub fn pad_types(&self, reader: u16, lines: &str) -> Result<()> {
        let pad = format!("{}.pad", self.slot(reader));
        // Written aside and moved, so that the pad never takes half a PIN.
        let draft = format!("{pad}.new");
        std::fs::write(&draft, lines)?;
        std::fs::rename(&draft, pad)?;
        Ok(())
    }

    fn readers_are_up(&self) -> bool {
        match self.make {
            Make::Vpcd => ports_are_up(self.readers),
            _ => (0..self.readers).all(|reader| socket(&self.folder, reader).exists()),
        }
    }

    /// What pcscd has written into its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.printed()
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
        self.terminate()
    }

    /// As [`Pcscd::stop`], for one that is about to be replaced.
    ///
    /// # Errors
    /// It did not end.
    pub fn terminate(&mut self) -> Result<()> {
        self.running.signal("TERM")?;
        self.running.wait_end(Duration::from_secs(10))?;
        Ok(())
    }

    /// Lets it run on after this value is gone.
    pub fn leave_running(self) {
        self.running.leave_running();
    }
}

/// Starts pcscd itself with a configuration; it has only just begun to come up.
///
/// # Errors
/// It cannot be started.
pub fn start_service(conf: &Path, log: &Path) -> Result<Running> {
    let mut command = Command::new("/usr/sbin/pcscd");
    command
        .arg("--foreground")
        .arg("--error")
        .arg("--config")
        .arg(conf);
    // Newer ones ask polkit unless told not to; Debian 12's does not know the switch.
    let help = Command::new("/usr/sbin/pcscd").arg("--help").output();
    if help.is_ok_and(|h| String::from_utf8_lossy(&h.stdout).contains("--disable-polkit")) {
        command.arg("--disable-polkit");
    }
    Running::start("pcscd", &mut command, log)
}

fn vpcd_entry(text: &mut String, folder: &Path, reader: u16) -> Result<()> {
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
    Ok(())
}

fn our_entry(text: &mut String, make: Make, folder: &Path, reader: u16) -> Result<()> {
    let (driver, socket) = (our_driver()?, socket(folder, reader));
    let owner = match make {
        Make::OursShared => "shared".to_owned(),
        _ => format!("uid={}", rustix::process::geteuid().as_raw()),
    };
    let pad = if make == Make::OursWithPad {
        ":pad"
    } else {
        ""
    };
    writeln!(
        text,
        "FRIENDLYNAME \"Lanyard test {reader}\"\n\
         DEVICENAME lanyard:{}:{owner}:slots={OUR_SLOTS}{pad}\nLIBPATH {}\n",
        socket.display(),
        driver.display()
    )?;
    Ok(())
}

fn socket(folder: &Path, reader: u16) -> PathBuf {
    folder.join("readers").join(format!("{reader}.sock"))
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
