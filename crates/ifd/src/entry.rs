// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions that pcscd calls (IFD handler 3.0, `ifdhandler.h` of pcsc-lite).
//!
//! Each turns pointers into slices, catches panics, and leaves the work to safe code. `DWORD` is
//! `unsigned long` here, and `RESPONSECODE` is `long`.
#![allow(non_snake_case, reason = "these names are given")]

use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_ulong, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::time::Duration;

use zeroize::Zeroize;

use crate::host;
use crate::reader::device::SLOTS_MAX;
use crate::reader::slot::Slot;
use crate::reader::{CardError, Reader, features, pad};
use crate::registry::{self, Unit};

type Dword = c_ulong;
type Code = c_long;

const SUCCESS: Code = 0;
const ERROR_TAG: Code = 600;
const ERROR_VALUE_READ_ONLY: Code = 602;
const PROTOCOL_NOT_SUPPORTED: Code = 607;
const ERROR_POWER_ACTION: Code = 608;
const COMMUNICATION_ERROR: Code = 612;
const RESPONSE_TIMEOUT: Code = 613;
const NOT_SUPPORTED: Code = 614;
const ICC_PRESENT: Code = 615;
const ICC_NOT_PRESENT: Code = 616;
const NO_SUCH_DEVICE: Code = 617;
const INSUFFICIENT_BUFFER: Code = 618;

const TAG_ATR: Dword = 0x0303;
const TAG_SLOT_THREAD_SAFE: Dword = 0x0FAC;
const TAG_THREAD_SAFE: Dword = 0x0FAD;
const TAG_SLOTS_NUMBER: Dword = 0x0FAE;
const TAG_SIMULTANEOUS_ACCESS: Dword = 0x0FAF;
const TAG_POLLING_THREAD_KILLABLE: Dword = 0x0FB1;
const TAG_STOP_POLLING_THREAD: Dword = 0x0FB2;
const TAG_POLLING_THREAD_WITH_TIMEOUT: Dword = 0x0FB3;
/// SCARD_ATTR_ATR_STRING, SCARD_ATTR_VENDOR_NAME and SCARD_ATTR_VENDOR_IFD_TYPE of programs.
const ATTRIBUTE_ATR: Dword = 0x0009_0303;
const ATTRIBUTE_VENDOR: Dword = 0x0001_0100;
const ATTRIBUTE_TYPE: Dword = 0x0001_0101;

const POWER_UP: Dword = 500;
const POWER_DOWN: Dword = 501;
const RESET: Dword = 502;

/// SCARD_PROTOCOL_T0 and SCARD_PROTOCOL_T1. The card itself sees whole commands in either.
const PROTOCOLS: [Dword; 2] = [1, 2];

/// SCARD_IO_HEADER.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct IoHeader {
    protocol: Dword,
    length: Dword,
}

/// Runs the body of an entry. A panic must not reach C: it becomes `on_panic`.
fn guarded(on_panic: Code, body: impl FnOnce() -> Code) -> Code {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        // Even the log might panic; then nothing is logged.
        let _ = catch_unwind(|| host::error("the driver failed in a call; it goes on"));
        on_panic
    })
}

/// A place that a caller gave for an answer: a buffer and the variable with its size.
struct Out {
    data: *mut u8,
    size: *mut Dword,
}

impl Out {
    /// Fills the buffer and sets the size; a buffer that is too small gets the size that it needs.
    ///
    /// # Safety
    /// `size` is null or a valid variable; `data` is null or has as many bytes as it says.
    unsafe fn put(&self, bytes: &[u8], too_small: Code) -> Code {
        if self.size.is_null() {
            return COMMUNICATION_ERROR;
        }
        // SAFETY: not null, and valid by the contract.
        let room = unsafe { *self.size };
        let needed = bytes.len() as Dword;
        // SAFETY: as before.
        unsafe { *self.size = needed };
        if self.data.is_null() || room < needed {
            return too_small;
        }
        // SAFETY: not null, room for `needed` bytes by the contract, and ours cannot overlap theirs.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.data, bytes.len()) };
        SUCCESS
    }

    /// # Safety
    /// As for [`Out::put`].
    unsafe fn nothing(&self) {
        if !self.size.is_null() {
            // SAFETY: not null, and valid by the contract.
            unsafe { *self.size = 0 };
        }
    }
}

/// What a caller hands over.
///
/// # Safety
/// `data` is null, or has `length` bytes that nobody changes meanwhile.
unsafe fn input<'a>(data: *const u8, length: Dword) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    if length == 0 {
        return Some(&[]);
    }
    if data.is_null() || isize::try_from(length).is_err() {
        return None;
    }
    // SAFETY: not null, of this length by the contract, and no longer than memory.
    Some(unsafe { slice::from_raw_parts(data, length) })
}

/// Does something with the slot of a unit, or says that there is none.
fn with_slot(lun: Dword, work: impl FnOnce(&Reader, &Slot) -> Code) -> Code {
    let unit = Unit::new(lun);
    let Some(reader) = registry::reader(unit) else {
        return NO_SUCH_DEVICE;
    };
    let Some(slot) = reader.slot(unit.slot) else {
        return NO_SUCH_DEVICE;
    };
    work(&reader, slot)
}

fn code(error: &CardError) -> Code {
    match error {
        CardError::Absent => ICC_NOT_PRESENT,
        CardError::Broken(_) => COMMUNICATION_ERROR,
        CardError::Mute => {
            host::error("a card did not answer in time and was taken out");
            RESPONSE_TIMEOUT
        }
    }
}

/// Opens a slot.
///
/// # Safety
/// `name` is null or a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHCreateChannelByName(lun: Dword, name: *const c_char) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        if name.is_null() {
            return NO_SUCH_DEVICE;
        }
        // SAFETY: not null, and ends with a zero by the contract.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        match registry::open(Unit::new(lun), &name) {
            Ok(()) => SUCCESS,
            Err(error) => {
                host::error(&format!("the reader {name} is not opened: {error}"));
                COMMUNICATION_ERROR
            }
        }
    })
}

/// A reader that is known by a number alone: we have none.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHCreateChannel(_lun: Dword, _channel: Dword) -> Code {
    NO_SUCH_DEVICE
}

/// Closes a slot.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHCloseChannel(lun: Dword) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        if registry::close(Unit::new(lun)) {
            SUCCESS
        } else {
            NO_SUCH_DEVICE
        }
    })
}

/// Tells what the driver can, and the card's ATR.
///
/// # Safety
/// `length` is null or a valid variable; `value` is null or has as many bytes as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHGetCapabilities(
    lun: Dword,
    tag: Dword,
    length: *mut Dword,
    value: *mut c_uchar,
) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        let out = Out {
            data: value,
            size: length,
        };
        let answer = match tag {
            TAG_SLOT_THREAD_SAFE | TAG_THREAD_SAFE => vec![1],
            TAG_SIMULTANEOUS_ACCESS => vec![SLOTS_MAX],
            TAG_POLLING_THREAD_KILLABLE => vec![0],
            TAG_POLLING_THREAD_WITH_TIMEOUT => {
                let function: extern "C" fn(Dword, c_int) -> Code = wait_for_change;
                (function as usize).to_ne_bytes().to_vec()
            }
            TAG_STOP_POLLING_THREAD => {
                let function: extern "C" fn(Dword) -> Code = stop_waiting;
                (function as usize).to_ne_bytes().to_vec()
            }
            ATTRIBUTE_VENDOR => b"Lanyard\0".to_vec(),
            ATTRIBUTE_TYPE => b"Virtual card reader\0".to_vec(),
            TAG_SLOTS_NUMBER => {
                return with_slot(lun, |reader, _| {
                    // SAFETY: the contract is the same.
                    unsafe { out.put(&[reader.device().slots], INSUFFICIENT_BUFFER) }
                });
            }
            TAG_ATR | ATTRIBUTE_ATR => {
                return with_slot(lun, |_, slot| match slot.atr() {
                    // SAFETY: the contract is the same.
                    Some(atr) => unsafe { out.put(&atr, INSUFFICIENT_BUFFER) },
                    None => COMMUNICATION_ERROR,
                });
            }
            _ => return ERROR_TAG,
        };
        // SAFETY: the contract is the same.
        unsafe { out.put(&answer, INSUFFICIENT_BUFFER) }
    })
}

/// Waits until a card comes or goes; pcscd calls it from the slot's own watching thread.
extern "C" fn wait_for_change(lun: Dword, milliseconds: c_int) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        let limit = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
        with_slot(lun, |_, slot| {
            slot.wait_for_change(limit);
            SUCCESS
        })
    })
}

/// Ends that wait.
extern "C" fn stop_waiting(lun: Dword) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        with_slot(lun, |_, slot| {
            slot.wake();
            SUCCESS
        })
    })
}

/// Nothing of this driver can be set.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHSetCapabilities(
    _lun: Dword,
    _tag: Dword,
    _length: Dword,
    _value: *const c_uchar,
) -> Code {
    ERROR_VALUE_READ_ONLY
}

/// Any protocol will do: frames carry whole commands.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHSetProtocolParameters(
    lun: Dword,
    protocol: Dword,
    _flags: c_uchar,
    _pts1: c_uchar,
    _pts2: c_uchar,
    _pts3: c_uchar,
) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        with_slot(lun, |_, _| {
            if PROTOCOLS.contains(&protocol) {
                SUCCESS
            } else {
                PROTOCOL_NOT_SUPPORTED
            }
        })
    })
}

/// Switches the card on or off, or resets it.
///
/// # Safety
/// `length` is null or a valid variable; `atr` is null or has as many bytes as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHPowerICC(
    lun: Dword,
    action: Dword,
    atr: *mut c_uchar,
    length: *mut Dword,
) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        let out = Out {
            data: atr,
            size: length,
        };
        with_slot(lun, |_, slot| {
            let started = match action {
                POWER_UP => slot.power_on(),
                RESET => slot.reset(),
                POWER_DOWN => {
                    slot.power_off();
                    // SAFETY: the contract is the same.
                    unsafe { out.nothing() };
                    return SUCCESS;
                }
                _ => return NOT_SUPPORTED,
            };
            match started {
                // SAFETY: the contract is the same.
                Ok(atr) => unsafe { out.put(&atr, INSUFFICIENT_BUFFER) },
                Err(error) => {
                    // SAFETY: the contract is the same.
                    unsafe { out.nothing() };
                    match error {
                        CardError::Absent => ICC_NOT_PRESENT,
                        _ => ERROR_POWER_ACTION,
                    }
                }
            }
        })
    })
}

/// Hands a command to the card.
///
/// # Safety
/// `command` is null or has `command_length` bytes; `answer_length` is null or a valid variable;
/// `answer` is null or has as many bytes as it says and overlaps nothing; `received` is null or a
/// valid variable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHTransmitToICC(
    lun: Dword,
    sent: IoHeader,
    command: *const c_uchar,
    command_length: Dword,
    answer: *mut c_uchar,
    answer_length: *mut Dword,
    received: *mut IoHeader,
) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        let out = Out {
            data: answer,
            size: answer_length,
        };
        // SAFETY: the contract is the same.
        let Some(command) = (unsafe { input(command, command_length) }) else {
            return COMMUNICATION_ERROR;
        };
        with_slot(lun, |_, slot| match slot.transmit(command) {
            Ok(bytes) => {
                if !received.is_null() {
                    // SAFETY: not null, and valid by the contract.
                    unsafe { (*received).protocol = sent.protocol };
                }
                // SAFETY: the contract is the same.
                unsafe { out.put(&bytes, COMMUNICATION_ERROR) }
            }
            Err(error) => {
                // SAFETY: the contract is the same.
                unsafe { out.nothing() };
                code(&error)
            }
        })
    })
}

/// Whether a card is there. Never waits for the card.
#[unsafe(no_mangle)]
pub extern "C" fn IFDHICCPresence(lun: Dword) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        with_slot(lun, |_, slot| {
            if slot.is_present() {
                ICC_PRESENT
            } else {
                ICC_NOT_PRESENT
            }
        })
    })
}

/// Features of the reader: what there is, how long commands may be, whose card it is, the PIN pad.
///
/// # Safety
/// `data` is null or has `length` bytes; `answer` is null or has `room` bytes and overlaps nothing;
/// `returned` is null or a valid variable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn IFDHControl(
    lun: Dword,
    control: Dword,
    data: *const c_void,
    length: Dword,
    answer: *mut c_void,
    room: Dword,
    returned: *mut Dword,
) -> Code {
    guarded(COMMUNICATION_ERROR, || {
        if returned.is_null() {
            return COMMUNICATION_ERROR;
        }
        // SAFETY: not null, and valid by the contract.
        unsafe { *returned = room };
        let out = Out {
            data: answer.cast(),
            size: returned,
        };
        // SAFETY: the contract is the same.
        let Some(data) = (unsafe { input(data.cast(), length) }) else {
            return COMMUNICATION_ERROR;
        };
        let done = with_slot(lun, |reader, slot| {
            let device = reader.device();
            let told = match u32::try_from(control) {
                Ok(features::CONTROL_FEATURES) => Ok(features::features(device)),
                Ok(features::CONTROL_PROPERTIES) => Ok(features::properties(device)),
                Ok(features::CONTROL_OWNER) => slot
                    .owner()
                    .map(|uid| uid.to_be_bytes().to_vec())
                    .ok_or(CardError::Absent),
                Ok(features::CONTROL_VERIFY) if device.pad => {
                    pad::verify(device, slot, data).map(|words| words.to_vec())
                }
                Ok(features::CONTROL_MODIFY) if device.pad => {
                    pad::modify(device, slot, data).map(|words| words.to_vec())
                }
                _ => return NOT_SUPPORTED,
            };
            match told {
                Ok(mut bytes) => {
                    // SAFETY: the contract is the same.
                    let put = unsafe { out.put(&bytes, INSUFFICIENT_BUFFER) };
                    bytes.zeroize();
                    put
                }
                Err(error) => code(&error),
            }
        });
        if done != SUCCESS && done != INSUFFICIENT_BUFFER {
            // SAFETY: the contract is the same.
            unsafe { out.nothing() };
        }
        done
    })
}

#[cfg(test)]
mod tests;
