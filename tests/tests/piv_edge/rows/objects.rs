// SPDX-License-Identifier: MIT OR Apache-2.0
//! SELECT, GET DATA and PUT DATA (SP 800-73-4 part 2, 3.1 and 3.3.1).

use super::{Row, Step, anything, asked, manager, pin, row, send, whole};
use crate::wire::{bytes, element};

const AID: &str = "A0 00 00 03 08 00 00 10 00 01 00";

/// SELECT.
pub fn select() -> Vec<Row> {
    vec![
        row(
            "the whole AID selects the application and is answered by its property template",
            "AS05.05",
            vec![whole(&format!("00 A4 04 00 0B {AID} 00"), 0x9000, |data| {
                let has = |tag: &[u8]| data.windows(tag.len()).any(|window| window == tag);
                data.first() == Some(&0x61)
                    && has(&bytes("4F 06 00 00 10 00 01 00"))
                    && has(&bytes("79 07 4F 05 A0 00 00 03 08"))
            })],
        ),
        row(
            "the AID without its version selects the application",
            "AS05.07",
            vec![whole(
                "00 A4 04 00 09 A0 00 00 03 08 00 00 10 00 00",
                0x9000,
                |data| data.first() == Some(&0x61),
            )],
        ),
        row(
            "selecting the application again leaves what was verified",
            "AS05.09",
            vec![
                pin(),
                whole(&format!("00 A4 04 00 0B {AID} 00"), 0x9000, anything),
                asked(0x9000),
            ],
        ),
        row(
            "an unknown AID is not found and leaves the application and what was verified",
            "AS05.10",
            vec![
                pin(),
                send("00 A4 04 00 06 A0 00 00 01 51 00 00", 0x6A82),
                asked(0x9000),
                whole("00 CB 3F FF 05 5C 03 5F C1 02 00", 0x9000, anything),
            ],
        ),
        row(
            "a card that was reset has forgotten the PIN",
            "SP 800-73-4 part 2, 2.4",
            vec![pin(), Step::Reset, asked(0x63C3)],
        ),
        row(
            "the application answers before it was selected",
            "SP 800-73-4 part 2, 2.2",
            vec![whole("00 CB 3F FF 05 5C 03 5F C1 02 00", 0x9000, |data| {
                data.first() == Some(&0x53)
            })],
        ),
    ]
}

/// GET DATA.
pub fn get_data() -> Vec<Row> {
    let read = |tag: &str, status: u16, first: super::Check| {
        let name = element("5C", &bytes(tag));
        let command = [&bytes("00 CB 3F FF")[..], &[name.len() as u8], &name, &[0]].concat();
        Step::Whole(command, status, first)
    };
    let wrapped: super::Check = |data| data.first() == Some(&0x53);
    vec![
        row(
            "the CHUID is read without a PIN",
            "AS05.12A",
            vec![read("5F C1 02", 0x9000, wrapped)],
        ),
        row(
            "the card capability container is read without a PIN",
            "AS05.12A",
            vec![read("5F C1 07", 0x9000, wrapped)],
        ),
        row(
            "the discovery object names the application and its PIN policy",
            "AS05.13",
            vec![read("7E", 0x9000, |data| {
                let policy = bytes("5F 2F 02 40");
                data.first() == Some(&0x7E) && data.windows(4).any(|window| window == policy)
            })],
        ),
        row(
            "the key history is read without a PIN",
            "AS05.12A",
            vec![read("5F C1 0C", 0x9000, wrapped)],
        ),
        row(
            "an object that was never written is not found",
            "AS05.12A",
            vec![
                read("5F C1 05", 0x6A82, anything),
                read("5F C1 0D", 0x6A82, anything),
                read("5F C1 20", 0x6A82, anything),
                read("5F C1 06", 0x6A82, anything),
            ],
        ),
        row(
            "an object that PIV does not know is not found",
            "SP 800-73-4 part 2, 3.1.2",
            vec![
                read("5F FF 10", 0x6A82, anything),
                read("7F 60", 0x6A82, anything),
            ],
        ),
        row(
            "what belongs to the holder is read with the PIN only",
            "AS05.12A",
            vec![
                manager(),
                send("00 DB 3F FF 0B 5C 03 5F C1 09 53 04 01 02 41 42", 0x9000),
                read("5F C1 09", 0x6982, anything),
                pin(),
                read("5F C1 09", 0x9000, |data| {
                    data == bytes("53 04 01 02 41 42")
                }),
                Step::Reset,
                read("5F C1 09", 0x6982, anything),
            ],
        ),
        row(
            "P1 and P2 must name the current application's objects",
            "SP 800-73-4 part 2, 3.1.2",
            vec![
                send("00 CB 00 00 05 5C 03 5F C1 02 00", 0x6A86),
                send("00 CB 3F 00 05 5C 03 5F C1 02 00", 0x6A86),
            ],
        ),
        row(
            "a tag list that is none is wrong data",
            "SP 800-73-4 part 2, 3.1.2",
            vec![
                send("00 CB 3F FF 05 5D 03 5F C1 02 00", 0x6A80),
                send("00 CB 3F FF 05 5C 04 5F C1 02 00", 0x6A80),
            ],
        ),
    ]
}

/// PUT DATA.
pub fn put_data() -> Vec<Row> {
    let certificate = || {
        let contents: Vec<u8> = (0..1800_u32).map(|number| number as u8).collect();
        [bytes("5C 03 5F C1 05"), element("53", &contents)].concat()
    };
    vec![
        row(
            "nothing is written before the management key is proved",
            "AS05.37",
            vec![
                send("00 DB 3F FF 09 5C 03 5F C1 05 53 02 70 00", 0x6982),
                pin(),
                send("00 DB 3F FF 09 5C 03 5F C1 05 53 02 70 00", 0x6982),
            ],
        ),
        row(
            "an object is written and read again, and ends with the reset only the right to write",
            "AS05.37",
            vec![
                manager(),
                send("00 DB 3F FF 0B 5C 03 5F C1 05 53 04 70 02 30 00", 0x9000),
                whole("00 CB 3F FF 05 5C 03 5F C1 05 00", 0x9000, |data| {
                    data == bytes("53 04 70 02 30 00")
                }),
                Step::Reset,
                send("00 DB 3F FF 09 5C 03 5F C1 05 53 02 70 00", 0x6982),
                whole("00 CB 3F FF 05 5C 03 5F C1 05 00", 0x9000, |data| {
                    data == bytes("53 04 70 02 30 00")
                }),
            ],
        ),
        row(
            "a large object is written in pieces and read in pieces",
            "AS05.37",
            vec![
                manager(),
                Step::Chained([0x00, 0xDB, 0x3F, 0xFF], certificate(), 0x9000, anything),
                whole("00 CB 3F FF 05 5C 03 5F C1 05 00", 0x9000, |data| {
                    data.len() == 1804 && data.last() == Some(&(1799_u32 as u8))
                }),
            ],
        ),
        row(
            "every retired certificate and the other objects of PIV are written and read again",
            "AS05.37; SP 800-73-4 part 1, table 3",
            every_object(),
        ),
        row(
            "an empty object is not found afterwards",
            "SP 800-73-4 part 2, 3.3.1",
            vec![
                manager(),
                send("00 DB 3F FF 09 5C 03 5F C1 05 53 02 70 00", 0x9000),
                send("00 DB 3F FF 07 5C 03 5F C1 05 53 00", 0x9000),
                whole("00 CB 3F FF 05 5C 03 5F C1 05 00", 0x6A82, anything),
            ],
        ),
        row(
            "P1 and P2 must name the current application's objects",
            "SP 800-73-4 part 2, 3.3.1",
            vec![
                manager(),
                send("00 DB 00 00 09 5C 03 5F C1 05 53 02 70 00", 0x6A86),
            ],
        ),
        row(
            "an object that PIV does not know is not written",
            "SP 800-73-4 part 2, 3.3.1",
            vec![
                manager(),
                send("00 DB 3F FF 09 5C 03 5F FF 10 53 02 70 00", 0x6A81),
            ],
        ),
        row(
            "data that is no object is wrong data",
            "SP 800-73-4 part 2, 3.3.1",
            vec![
                manager(),
                send("00 DB 3F FF 05 5C 03 5F C1 05", 0x6A80),
                send("00 DB 3F FF 09 5C 03 5F C1 05 53 03 70 00", 0x6A80),
            ],
        ),
    ]
}

fn every_object() -> Vec<Step> {
    // Security object, key history, signer of secure messaging, all certificates.
    let others = [0x06, 0x0C, 0x22, 0x01, 0x05, 0x0A, 0x0B];
    let tags: Vec<u8> = (0x0D..=0x20).chain(others).collect();
    let mut steps = vec![manager()];
    for tag in &tags {
        let command = format!("00 DB 3F FF 0A 5C 03 5F C1 {tag:02X} 53 03 70 01 {tag:02X}");
        steps.push(send(&command, 0x9000));
    }
    steps.push(Step::Reset);
    for tag in &tags {
        steps.push(whole(
            &format!("00 CB 3F FF 05 5C 03 5F C1 {tag:02X} 00"),
            0x9000,
            |data| data.len() == 5 && data.starts_with(&[0x53, 3, 0x70, 1]),
        ));
    }
    steps
}
