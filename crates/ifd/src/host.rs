// SPDX-License-Identifier: MIT OR Apache-2.0
//! pcscd's log, where this runs inside pcscd.

use std::ffi::{CString, c_char, c_int};
#[cfg(not(miri))]
use std::{ffi::c_void, sync::OnceLock};

const INFO: c_int = 1;
const ERROR: c_int = 2;

type LogMessage = unsafe extern "C" fn(c_int, *const c_char, ...);

/// Something that an administrator may want to know.
pub fn info(words: &str) {
    log(INFO, words);
}

/// Something that went wrong.
pub fn error(words: &str) {
    log(ERROR, words);
}

fn log(priority: c_int, words: &str) {
    let Ok(words) = CString::new(format!("lanyard: {words}")) else {
        return;
    };
    if let Some(log) = function() {
        // SAFETY: `log_msg` of pcscd takes a priority and a format for `printf` with its arguments;
        // the format asks for one string, and both strings end with a zero and live until it returns.
        unsafe { log(priority, c"%s".as_ptr(), words.as_ptr()) }
    }
}

/// `log_msg`, when the program that loaded the driver has it.
#[cfg(not(miri))]
fn function() -> Option<LogMessage> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    }
    static FUNCTION: OnceLock<Option<LogMessage>> = OnceLock::new();
    *FUNCTION.get_or_init(|| {
        // SAFETY: a null handle is RTLD_DEFAULT, and the name ends with a zero.
        let symbol = unsafe { dlsym(std::ptr::null_mut(), c"log_msg".as_ptr()) };
        if symbol.is_null() {
            return None;
        }
        // SAFETY: debuglog.h of pcsc-lite declares `log_msg` with this signature, and pcscd, which
        // exports it for its drivers, is never unloaded.
        Some(unsafe { std::mem::transmute::<*mut c_void, LogMessage>(symbol) })
    })
}

#[cfg(miri)]
fn function() -> Option<LogMessage> {
    None
}
