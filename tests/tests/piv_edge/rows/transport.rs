// SPDX-License-Identifier: MIT OR Apache-2.0
//! Classes, instructions, lengths, chains and GET RESPONSE (ISO/IEC 7816-4).

use super::{Row, Step, anything, asked, either, manager, pin, row, send, whole};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "an unknown instruction is not supported",
            "ISO/IEC 7816-4, 5.6",
            vec![send("00 01 00 00", 0x6D00), send("00 B0 00 00 00", 0x6D00)],
        ),
        row(
            "no command of a maker tells a version that the card has not",
            "none: Yubico's GET VERSION and GET SERIAL",
            vec![
                send("00 FD 00 00 00", 0x6D00),
                send("00 F8 00 00 00", 0x6D00),
            ],
        ),
        row(
            "an unknown class is not supported",
            "ISO/IEC 7816-4, 5.4.1",
            vec![send("80 CB 3F FF 05 5C 03 5F C1 02 00", 0x6E00)],
        ),
        row(
            "secure messaging is told not to be supported",
            "AS05.41-R4",
            vec![either(
                "0C CB 3F FF 05 5C 03 5F C1 02 00",
                &[0x6882, 0x6E00],
            )],
        ),
        row(
            "lengths that do not fit are wrong lengths",
            "ISO/IEC 7816-4, 5.2",
            vec![
                send("00 CB 3F FF 06 5C 03 5F C1 02", 0x6700),
                send("00 CB 3F FF 03 5C 03 5F C1 02 00", 0x6700),
                send("00 CB 3F", 0x6700),
            ],
        ),
        row(
            "a short answer is handed out in the pieces that are asked for",
            "ISO/IEC 7816-4, 5.3.4",
            vec![
                whole("00 CB 3F FF 05 5C 03 5F C1 02 10", 0x9000, |data| {
                    data.len() > 16 && data.first() == Some(&0x53)
                }),
                either("00 CB 3F FF 05 5C 03 5F C1 02 10", pieces()),
                either("00 C0 00 00 08", pieces()),
            ],
        ),
        row(
            "an answer is handed out at once where an extended length asks for it",
            "ISO/IEC 7816-4, 5.1",
            vec![
                manager(),
                Step::Chained(
                    [0x00, 0xDB, 0x3F, 0xFF],
                    crate::wire::bytes(&format!("5C 03 5F C1 05 53 82 02 00 {}", "5A".repeat(512))),
                    0x9000,
                    anything,
                ),
                Step::Play(|card| {
                    let command = crate::wire::bytes("00 CB 3F FF 00 00 05 5C 03 5F C1 05 00 00");
                    let (data, status) = crate::wire::split(&card.apdu(&command)?)?;
                    Ok(format!(
                        "{status:04X}{}",
                        if data.len() == 516 { "" } else { " cut" }
                    ))
                }),
            ],
        ),
        row(
            "a command comes in one piece where it has an extended length",
            "ISO/IEC 7816-4, 5.1",
            vec![
                manager(),
                send(
                    &format!(
                        "00 DB 3F FF 00 02 09 5C 03 5F C1 05 53 82 02 00 {}",
                        "5A".repeat(512)
                    ),
                    0x9000,
                ),
                whole("00 CB 3F FF 05 5C 03 5F C1 05 00", 0x9000, |data| {
                    data.len() == 516
                }),
            ],
        ),
        row(
            "GET RESPONSE without anything to give is refused",
            "ISO/IEC 7816-4, 5.3.4",
            vec![send("00 C0 00 00 00", 0x6985)],
        ),
        row(
            "a chain that was never ended does not reach past another command",
            "ISO/IEC 7816-4, command chaining",
            vec![
                manager(),
                send("10 DB 3F FF 05 5C 03 5F C1 05", 0x9000),
                asked(0x63C3),
                send("00 DB 3F FF 04 53 02 70 00", 0x6A80),
                whole("00 CB 3F FF 05 5C 03 5F C1 05 00", 0x6A82, anything),
            ],
        ),
        row(
            "a reset ends a chain",
            "ISO/IEC 7816-4, command chaining",
            vec![
                manager(),
                send("10 DB 3F FF 05 5C 03 5F C1 05", 0x9000),
                Step::Reset,
                manager(),
                send("00 DB 3F FF 04 53 02 70 00", 0x6A80),
            ],
        ),
        row(
            "a PIN may travel in pieces, too",
            "ISO/IEC 7816-4, command chaining",
            vec![
                send("10 20 00 80 03 31 32 33", 0x9000),
                send("00 20 00 80 05 34 35 36 FF FF", 0x9000),
                pin(),
            ],
        ),
    ]
}

/// `61xx` for every xx.
fn pieces() -> &'static [u16] {
    const ALL: [u16; 256] = {
        let mut all = [0x6100; 256];
        let mut low = 0;
        while low < 256 {
            all[low] += low as u16;
            low += 1;
        }
        all
    };
    &ALL
}
