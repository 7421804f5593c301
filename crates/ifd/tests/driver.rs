// SPDX-License-Identifier: MIT OR Apache-2.0
//! The built driver, loaded as pcscd loads it, with a card that the test plays.
#![cfg(not(miri))]
#![allow(unsafe_code, reason = "the driver is called through C")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]

use std::ffi::{CString, c_char, c_int, c_long, c_uchar, c_ulong, c_void};
use std::io::{Read, Write};
use std::mem::transmute;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const NOW: c_int = 2;
const PRESENT: c_long = 615;
const ABSENT: c_long = 616;
const ATR: [u8; 4] = [0x3B, 0x80, 0x01, 0x81];
const NAMES: [&str; 10] = [
    "IFDHCreateChannelByName",
    "IFDHCreateChannel",
    "IFDHCloseChannel",
    "IFDHGetCapabilities",
    "IFDHSetCapabilities",
    "IFDHSetProtocolParameters",
    "IFDHPowerICC",
    "IFDHTransmitToICC",
    "IFDHICCPresence",
    "IFDHControl",
];

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlclose(library: *mut c_void) -> c_int;
}

#[repr(C)]
#[derive(Clone, Copy)]
struct IoHeader {
    protocol: c_ulong,
    length: c_ulong,
}

type ByName = unsafe extern "C" fn(c_ulong, *const c_char) -> c_long;
type OnUnit = unsafe extern "C" fn(c_ulong) -> c_long;
type Poll = unsafe extern "C" fn(c_ulong, c_int) -> c_long;
type Capability = unsafe extern "C" fn(c_ulong, c_ulong, *mut c_ulong, *mut c_uchar) -> c_long;
type Power = unsafe extern "C" fn(c_ulong, c_ulong, *mut c_uchar, *mut c_ulong) -> c_long;
type Transmit = unsafe extern "C" fn(
    c_ulong,
    IoHeader,
    *const c_uchar,
    c_ulong,
    *mut c_uchar,
    *mut c_ulong,
    *mut IoHeader,
) -> c_long;

/// The driver beside this test.
fn driver() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("libifdlanyard.so"))
        .find(|path| path.exists())
        .expect("libifdlanyard.so is built with the tests")
}

struct Driver(*mut c_void);

impl Driver {
    fn load() -> Self {
        let name = CString::new(driver().to_str().unwrap()).unwrap();
        // SAFETY: the name ends with a zero; the library's own start-up code is Rust's.
        let library = unsafe { dlopen(name.as_ptr(), NOW) };
        assert!(!library.is_null());
        Self(library)
    }

    fn symbol(&self, name: &str) -> *mut c_void {
        let name = CString::new(name).unwrap();
        // SAFETY: the library is open and the name ends with a zero.
        let symbol = unsafe { dlsym(self.0, name.as_ptr()) };
        assert!(!symbol.is_null(), "{name:?} is missing");
        symbol
    }

    fn open(&self, unit: c_ulong, folder: &Path, more: &str) -> c_long {
        // SAFETY: this symbol has this signature (ifdhandler.h).
        let function: ByName = unsafe { transmute(self.symbol("IFDHCreateChannelByName")) };
        let socket = folder.join("s");
        let name = CString::new(format!("lanyard:{}:{more}", socket.display())).unwrap();
        // SAFETY: the name ends with a zero.
        unsafe { function(unit, name.as_ptr()) }
    }

    fn on_unit(&self, name: &str, unit: c_ulong) -> c_long {
        // SAFETY: the symbols that this is used for have this signature.
        let function: OnUnit = unsafe { transmute(self.symbol(name)) };
        // SAFETY: it takes any number.
        unsafe { function(unit) }
    }

    fn capability(&self, unit: c_ulong, tag: c_ulong) -> (c_long, Vec<u8>) {
        // SAFETY: this symbol has this signature.
        let function: Capability = unsafe { transmute(self.symbol("IFDHGetCapabilities")) };
        let mut buffer = [0; 64];
        let mut length = buffer.len() as c_ulong;
        // SAFETY: the buffer is as long as the length says.
        let code = unsafe { function(unit, tag, &raw mut length, buffer.as_mut_ptr()) };
        (code, buffer[..usize::try_from(length).unwrap()].to_vec())
    }

    /// What the service's watching thread does.
    fn wait_for(&self, unit: c_ulong, presence: c_long) {
        let (code, pointer) = self.capability(unit, 0x0FB3);
        assert_eq!(code, 0);
        let pointer = usize::from_ne_bytes(pointer.try_into().unwrap());
        // SAFETY: this tag gives a function with this signature (ifdhandler.h).
        let poll: Poll = unsafe { transmute(pointer) };
        let began = Instant::now();
        while self.on_unit("IFDHICCPresence", unit) != presence {
            assert!(began.elapsed() < PATIENCE);
            // SAFETY: it takes any numbers.
            unsafe { poll(unit, 1000) };
        }
    }

    fn power(&self, unit: c_ulong, action: c_ulong) -> (c_long, Vec<u8>) {
        // SAFETY: this symbol has this signature.
        let function: Power = unsafe { transmute(self.symbol("IFDHPowerICC")) };
        let mut atr = [0; 33];
        let mut length = atr.len() as c_ulong;
        // SAFETY: the buffer is as long as the length says.
        let code = unsafe { function(unit, action, atr.as_mut_ptr(), &raw mut length) };
        (code, atr[..usize::try_from(length).unwrap()].to_vec())
    }

    fn transmit(&self, unit: c_ulong, command: &[u8], room: usize) -> (c_long, Vec<u8>) {
        // SAFETY: this symbol has this signature.
        let function: Transmit = unsafe { transmute(self.symbol("IFDHTransmitToICC")) };
        let header = IoHeader {
            protocol: 2,
            length: 16,
        };
        let mut answer = vec![0; room];
        let mut length = room as c_ulong;
        // SAFETY: command and answer are as long as their lengths say; no header is wanted back.
        let code = unsafe {
            function(
                unit,
                header,
                command.as_ptr(),
                command.len() as c_ulong,
                answer.as_mut_ptr(),
                &raw mut length,
                ptr::null_mut(),
            )
        };
        answer.truncate(usize::try_from(length).unwrap());
        (code, answer)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: it was opened once, and nobody calls it any more.
        assert_eq!(unsafe { dlclose(self.0) }, 0);
    }
}

fn receive(card: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 2];
    card.read_exact(&mut length).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    card.read_exact(&mut body).unwrap();
    body
}

/// A card that gives its ATR, and answers each command with its last byte and 9000.
fn card(folder: &Path) -> thread::JoinHandle<()> {
    let mut card = UnixStream::connect(folder.join("s")).unwrap();
    card.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(receive(&mut card)[..4], [b'L', b'Y', 1, 0]);
    thread::spawn(move || {
        loop {
            let answer = match receive(&mut card).as_slice() {
                [0] => return,
                [4] => ATR.to_vec(),
                [_] => continue,
                command => vec![*command.last().unwrap(), 0x90, 0],
            };
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            card.write_all(&[&length[..], &answer].concat()).unwrap();
        }
    })
}

#[test]
fn the_driver_has_every_function_and_plays_a_card_through_them() {
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::load();
    for name in NAMES {
        driver.symbol(name);
    }
    assert_eq!(driver.open(0, folder.path(), "shared:slots=2"), 0);
    assert_eq!(driver.open(1, folder.path(), "shared:slots=2"), 0);
    assert_ne!(driver.open(2, folder.path(), "shared:slots=2"), 0);
    assert_ne!(driver.open(0, folder.path(), "shared:slots=2"), 0);
    assert_eq!(driver.capability(0, 0x0FAE), (0, vec![2]));
    assert_eq!(driver.on_unit("IFDHICCPresence", 0), ABSENT);

    let first = card(folder.path());
    driver.wait_for(0, PRESENT);
    assert_eq!(driver.on_unit("IFDHICCPresence", 1), ABSENT);
    let second = card(folder.path());
    driver.wait_for(1, PRESENT);
    assert_eq!(driver.power(0, 500), (0, ATR.to_vec()));
    assert_eq!(driver.capability(0, 0x0303), (0, ATR.to_vec()));
    assert_eq!(
        driver.transmit(0, &[0, 0xA4, 4, 7], 300),
        (0, vec![7, 0x90, 0])
    );
    assert_eq!(driver.transmit(0, &[0, 0xA4, 4, 7], 2).0, 612, "no room");
    assert_eq!(driver.power(0, 502), (0, ATR.to_vec()));

    // Off ends the card that the test plays: it leaves the slot.
    assert_eq!(driver.power(0, 501).0, 0);
    first.join().unwrap();
    driver.wait_for(0, ABSENT);
    assert_eq!(driver.transmit(0, &[0, 0xA4, 4, 7], 300).0, ABSENT);
    assert_eq!(
        driver.transmit(1, &[0, 0xA4, 4, 9], 300),
        (0, vec![9, 0x90, 0])
    );

    assert_eq!(driver.power(1, 501).0, 0);
    second.join().unwrap();
    assert_eq!(driver.on_unit("IFDHCloseChannel", 0), 0);
    assert!(folder.path().join("s").exists(), "the other slot is open");
    assert_eq!(driver.on_unit("IFDHCloseChannel", 1), 0);
    assert!(!folder.path().join("s").exists());
}

#[test]
fn readers_come_and_go_and_the_library_with_them() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let driver = Driver::load();
        let unit = 0x0005_0000;
        assert_eq!(driver.open(unit, folder.path(), "shared"), 0);
        let card = UnixStream::connect(folder.path().join("s")).unwrap();
        driver.wait_for(unit, PRESENT);
        assert_eq!(driver.on_unit("IFDHCloseChannel", unit), 0);
        drop(card);
    }
}
