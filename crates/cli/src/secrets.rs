// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets come from the terminal without echo, or as one line from a file descriptor. Never from anywhere else.

use std::fs::File;
use std::io::Read;

use lanyard_client::{Fault, Problem};
use zeroize::Zeroizing;

/// Longest secret, in bytes: that of a password.
const SECRET_BYTES_MAX: usize = 1024;

/// Reads one line from a file descriptor. Several secrets may stand in one descriptor, one a line.
///
/// # Errors
/// When the descriptor is not open, or no line is left in it.
pub fn from_fd(fd: u32) -> Result<Zeroizing<String>, Problem> {
    let missing = |reason: &str| {
        Problem::new(Fault::SecretMissing).with_detail(format!("File descriptor {fd}: {reason}."))
    };
    // Opening the name makes a descriptor of our own; for a pipe both read from the same place.
    let mut file = File::open(format!("/proc/self/fd/{fd}")).map_err(|_| missing("not open"))?;
    // One byte at a time: what stands behind the line belongs to the next reader.
    let mut line = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX));
    let mut byte = Zeroizing::new([0_u8; 1]);
    loop {
        match file.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() < SECRET_BYTES_MAX => line.push(byte[0]),
            Ok(_) => return Err(missing("the line is too long")),
            Err(error) => return Err(missing(&error.to_string())),
        }
    }
    while line.last() == Some(&b'\r') {
        line.pop();
    }
    if line.is_empty() {
        return Err(missing("no line is left"));
    }
    let text = std::str::from_utf8(&line).map_err(|_| missing("the line is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Asks on the terminal without echo.
///
/// # Errors
/// When there is no terminal.
pub fn ask(prompt: &str) -> Result<Zeroizing<String>, Problem> {
    let typed = rpassword::prompt_password(format!("{prompt}: "));
    typed
        .map(Zeroizing::new)
        .map_err(|_| Problem::new(Fault::SecretMissing))
}

/// From the descriptor when one is given, else from the terminal.
///
/// # Errors
/// When neither has it.
pub fn take(fd: Option<u32>, prompt: &str) -> Result<Zeroizing<String>, Problem> {
    match fd {
        Some(fd) => from_fd(fd),
        None => ask(prompt),
    }
}

/// The same for a secret that is chosen now: the terminal asks twice, and again when the choice is refused.
///
/// # Errors
/// When neither has it, or the one from a descriptor is refused.
pub fn choose(
    fd: Option<u32>,
    prompt: &str,
    check: impl Fn(&Zeroizing<String>) -> Result<(), Problem>,
) -> Result<Zeroizing<String>, Problem> {
    if let Some(fd) = fd {
        let given = from_fd(fd)?;
        return check(&given).map(|()| given);
    }
    loop {
        let first = ask(prompt)?;
        if let Err(refused) = check(&first) {
            crate::output::problem(&refused);
            continue;
        }
        let second = ask(&format!("{prompt} again"))?;
        if *first == *second {
            return Ok(first);
        }
        crate::output::error_line("The two are not the same. Once more:");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn lines_of_a_pipe_are_taken_one_by_one() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"123456\r\n654321\n").unwrap();
        drop(writer);
        let fd = u32::try_from(reader.as_raw_fd()).unwrap();
        assert_eq!(from_fd(fd).unwrap().as_str(), "123456");
        assert_eq!(from_fd(fd).unwrap().as_str(), "654321");
        assert!(from_fd(fd).unwrap_err().is(Fault::SecretMissing));
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_a_clear_error() {
        let problem = from_fd(9_999).unwrap_err();
        assert!(
            problem
                .to_string()
                .contains("File descriptor 9999: not open.")
        );
    }
}
