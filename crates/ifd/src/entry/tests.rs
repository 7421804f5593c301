// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C entry points with the pointers that C may give. Nothing here needs the system, so that
//! Miri can watch it.

use super::*;

const NOWHERE: Dword = 0x0077_0000;

#[test]
fn a_panic_becomes_a_code() {
    assert_eq!(guarded(COMMUNICATION_ERROR, || panic!("on purpose")), 612);
    assert_eq!(guarded(COMMUNICATION_ERROR, || SUCCESS), 0);
}

#[test]
fn an_answer_is_written_only_where_there_is_room() {
    let mut buffer = [0xEE; 4];
    let put = |buffer: &mut [u8; 4], mut room: Dword, bytes: &[u8]| {
        let out = Out {
            data: buffer.as_mut_ptr(),
            size: &raw mut room,
        };
        // SAFETY: the buffer has the bytes that `room` says, and both outlive the call.
        let code = unsafe { out.put(bytes, INSUFFICIENT_BUFFER) };
        (code, room)
    };
    assert_eq!(put(&mut buffer, 4, &[1, 2]), (SUCCESS, 2));
    assert_eq!(buffer, [1, 2, 0xEE, 0xEE]);
    assert_eq!(put(&mut buffer, 1, &[9, 9]), (INSUFFICIENT_BUFFER, 2));
    assert_eq!(buffer, [1, 2, 0xEE, 0xEE]);
    assert_eq!(put(&mut buffer, 4, &[]), (SUCCESS, 0));
}

#[test]
fn a_null_pointer_is_no_buffer() {
    let mut room = 4;
    let out = Out {
        data: ptr::null_mut(),
        size: &raw mut room,
    };
    // SAFETY: null is allowed.
    let code = unsafe { out.put(&[1], INSUFFICIENT_BUFFER) };
    assert_eq!((code, room), (INSUFFICIENT_BUFFER, 1));
    let out = Out {
        data: ptr::null_mut(),
        size: ptr::null_mut(),
    };
    // SAFETY: null is allowed.
    assert_eq!(unsafe { out.put(&[1], ERROR_TAG) }, COMMUNICATION_ERROR);
    // SAFETY: null is allowed.
    unsafe { out.nothing() };
    // SAFETY: null is allowed.
    assert_eq!(unsafe { input(ptr::null(), 3) }, None);
    // SAFETY: null is allowed.
    assert_eq!(unsafe { input(ptr::null(), 0) }, Some(&[][..]));
}

#[test]
fn what_the_driver_can_is_told_without_a_reader() {
    for (tag, value) in [
        (TAG_THREAD_SAFE, 1),
        (TAG_SLOT_THREAD_SAFE, 1),
        (TAG_SIMULTANEOUS_ACCESS, 16),
        (TAG_POLLING_THREAD_KILLABLE, 0),
    ] {
        let (mut length, mut told): (Dword, u8) = (1, 0xEE);
        // SAFETY: one byte of room, as the length says.
        let code = unsafe { IFDHGetCapabilities(NOWHERE, tag, &raw mut length, &raw mut told) };
        assert_eq!((code, length, told), (SUCCESS, 1, value), "{tag:04X}");
    }
}

#[test]
fn the_functions_for_the_watching_thread_can_be_called() {
    let (mut length, mut bytes) = (8, [0u8; 8]);
    // SAFETY: eight bytes of room, as the length says.
    let code = unsafe {
        IFDHGetCapabilities(
            NOWHERE,
            TAG_POLLING_THREAD_WITH_TIMEOUT,
            &raw mut length,
            bytes.as_mut_ptr(),
        )
    };
    assert_eq!((code, length), (SUCCESS, 8));
    assert_ne!(usize::from_ne_bytes(bytes), 0);
    assert_eq!(wait_for_change(NOWHERE, 60_000), NO_SUCH_DEVICE);
    assert_eq!(wait_for_change(NOWHERE, -1), NO_SUCH_DEVICE);
    assert_eq!(stop_waiting(NOWHERE), NO_SUCH_DEVICE);
}

#[test]
fn a_reader_that_was_never_opened_is_none_to_any_call() {
    assert_eq!(IFDHICCPresence(NOWHERE), NO_SUCH_DEVICE);
    assert_eq!(IFDHCloseChannel(NOWHERE), NO_SUCH_DEVICE);
    assert_eq!(IFDHCreateChannel(NOWHERE, 1), NO_SUCH_DEVICE);
    assert_eq!(
        IFDHSetProtocolParameters(NOWHERE, 2, 0, 0, 0, 0),
        NO_SUCH_DEVICE
    );
    assert_eq!(
        IFDHSetCapabilities(NOWHERE, 1, 0, ptr::null()),
        ERROR_VALUE_READ_ONLY
    );
    let (mut length, mut atr) = (33, [0u8; 33]);
    // SAFETY: 33 bytes of room, as the length says.
    let code = unsafe { IFDHPowerICC(NOWHERE, POWER_UP, atr.as_mut_ptr(), &raw mut length) };
    assert_eq!(code, NO_SUCH_DEVICE);
    let header = IoHeader {
        protocol: 2,
        length: 16,
    };
    let command = [0u8, 0xA4, 4, 0];
    // SAFETY: the command has four bytes, the answer 33; nothing is wanted of the header.
    let code = unsafe {
        IFDHTransmitToICC(
            NOWHERE,
            header,
            command.as_ptr(),
            4,
            atr.as_mut_ptr(),
            &raw mut length,
            ptr::null_mut(),
        )
    };
    assert_eq!(code, NO_SUCH_DEVICE);
    // SAFETY: null is allowed everywhere.
    let code = unsafe {
        IFDHControl(
            NOWHERE,
            0,
            ptr::null(),
            0,
            ptr::null_mut(),
            0,
            &raw mut length,
        )
    };
    assert_eq!((code, length), (NO_SUCH_DEVICE, 0));
    // SAFETY: null is allowed.
    let code = unsafe { IFDHCreateChannelByName(NOWHERE, ptr::null()) };
    assert_eq!(code, NO_SUCH_DEVICE);
    // SAFETY: the string ends with a zero.
    let code = unsafe { IFDHCreateChannelByName(NOWHERE, c"/dev/null:x".as_ptr()) };
    assert_eq!(code, COMMUNICATION_ERROR);
}
