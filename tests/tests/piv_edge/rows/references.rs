// SPDX-License-Identifier: MIT OR Apache-2.0
//! VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER (SP 800-73-4 part 2, 3.2.1 to 3.2.3).

use super::{Row, Step, asked, either, pin, row, send, unblocked, wrong_pin};
use crate::cards::{PIN, PUK};

/// VERIFY.
pub fn verify() -> Vec<Row> {
    vec![
        row(
            "the right PIN is verified, and asking tells so",
            "AS05.14",
            vec![asked(0x63C3), pin(), asked(0x9000)],
        ),
        row(
            "a wrong PIN takes a try, and the right one gives all back",
            "AS05.19",
            vec![
                wrong_pin(0x63C2),
                asked(0x63C2),
                pin(),
                Step::Reset,
                asked(0x63C3),
            ],
        ),
        row(
            "a wrong PIN takes back what was verified",
            "AS05.19",
            vec![pin(), wrong_pin(0x63C2), asked(0x63C2)],
        ),
        row(
            "tries are counted over a reset",
            "AS05.19",
            vec![wrong_pin(0x63C2), Step::Reset, wrong_pin(0x63C1)],
        ),
        row(
            "without tries the PIN is blocked, also for the right one",
            "AS05.17",
            vec![
                wrong_pin(0x63C2),
                wrong_pin(0x63C1),
                wrong_pin(0x63C0),
                send(&format!("00 20 00 80 08 {PIN}"), 0x6983),
                asked(0x6983),
                Step::Reset,
                send(&format!("00 20 00 80 08 {PIN}"), 0x6983),
            ],
        ),
        row(
            "what has not the form of a PIN is refused",
            "AS05.22A",
            vec![
                either("00 20 00 80 08 31 32 33 34 35 41 FF FF", &[0x6A80, 0x63C2]),
                either("00 20 00 80 08 31 32 33 34 FF FF FF FF", &[0x6A80, 0x63C1]),
            ],
        ),
        row(
            "what has not the form of a PIN, once refused by 6A80, costs no try",
            "AS05.22D-R4",
            vec![
                send("00 20 00 80 08 31 32 33 34 35 41 FF FF", 0x6A80),
                send("00 20 00 80 08 31 32 33 34 FF FF FF FF", 0x6A80),
                send("00 20 00 80 08 31 32 FF 33 34 35 36 FF", 0x6A80),
                send("00 20 00 80 08 FF FF FF FF FF FF FF FF", 0x6A80),
                asked(0x63C3),
            ],
        ),
        row(
            "PINs of another length than eight bytes are refused and cost no try",
            "AS05.22A",
            vec![
                either("00 20 00 80 06 31 32 33 34 35 36", &[0x6A80, 0x6700]),
                either(
                    "00 20 00 80 09 31 32 33 34 35 36 FF FF FF",
                    &[0x6A80, 0x6700],
                ),
                asked(0x63C3),
            ],
        ),
        row(
            "key references that the card has not are not found",
            "AS05.22B",
            vec![
                send(&format!("00 20 00 00 08 {PIN}"), 0x6A88),
                send(&format!("00 20 00 83 08 {PIN}"), 0x6A88),
                send("00 20 00 96", 0x6A88),
                send(&format!("00 20 00 98 08 {PUK}"), 0x6A88),
            ],
        ),
        row(
            "P1 FF forgets the PIN and leaves the counter",
            "AS05.22C-R4",
            vec![
                wrong_pin(0x63C2),
                send("00 20 FF 80", 0x9000),
                asked(0x63C2),
                pin(),
                send("00 20 FF 80", 0x9000),
                asked(0x63C3),
            ],
        ),
        row(
            "other values of P1, and data with P1 FF, are refused and cost no try",
            "SP 800-73-4 part 2, 3.2.1",
            vec![
                send(&format!("00 20 01 80 08 {PIN}"), 0x6A86),
                either(&format!("00 20 FF 80 08 {PIN}"), &[0x6A86, 0x6A80]),
                asked(0x63C3),
            ],
        ),
    ]
}

/// CHANGE REFERENCE DATA.
pub fn change() -> Vec<Row> {
    let new = "34 38 32 39 31 33 FF FF";
    let change =
        |old: &str, new: &str, status: u16| send(&format!("00 24 00 80 10 {old} {new}"), status);
    let wrong = "39 39 39 31 31 31 FF FF";
    vec![
        row(
            "the right PIN is changed, all tries come back and the new one counts as verified",
            "AS05.26",
            vec![
                wrong_pin(0x63C2),
                change(PIN, new, 0x9000),
                asked(0x9000),
                Step::Reset,
                asked(0x63C3),
                send(&format!("00 20 00 80 08 {PIN}"), 0x63C2),
                send(&format!("00 20 00 80 08 {new}"), 0x9000),
            ],
        ),
        row(
            "a wrong PIN changes nothing, takes a try and what was verified",
            "AS05.27",
            vec![pin(), change(wrong, new, 0x63C2), asked(0x63C2), pin()],
        ),
        row(
            "a blocked PIN is not changed",
            "AS05.25",
            vec![
                change(wrong, new, 0x63C2),
                change(wrong, new, 0x63C1),
                change(wrong, new, 0x63C0),
                change(PIN, new, 0x6983),
            ],
        ),
        row(
            "a new PIN without the form of one is refused and costs no try",
            "AS05.25A-R4",
            vec![
                change(PIN, "34 38 32 39 FF FF FF FF", 0x6A80),
                change(PIN, "34 38 32 39 31 41 FF FF", 0x6A80),
                asked(0x63C3),
                pin(),
            ],
        ),
        row(
            "a PIN that counts or repeats may be chosen",
            "SP 800-73-4 part 2, 2.4.3",
            vec![change(PIN, "37 37 37 37 37 37 FF FF", 0x9000)],
        ),
        row(
            "an old PIN without the form of one is refused",
            "AS05.25A-R4",
            vec![
                either(
                    "00 24 00 80 10 31 32 33 34 FF FF FF FF 34 38 32 39 31 33 FF FF",
                    &[0x6A80, 0x63C2],
                ),
                pin(),
            ],
        ),
        row(
            "key references that the card has not are not found",
            "AS05.28A",
            vec![
                send(&format!("00 24 00 00 10 {PIN} {new}"), 0x6A88),
                send(&format!("00 24 00 83 10 {PIN} {new}"), 0x6A88),
            ],
        ),
        row(
            "the PUK is changed by means of the old one",
            "AS05.23",
            vec![
                send(
                    &format!("00 24 00 81 10 {PUK} 38 36 34 32 31 33 35 37"),
                    0x9000,
                ),
                unblocked(0x63C2),
                send(
                    "00 2C 00 80 10 38 36 34 32 31 33 35 37 34 38 32 39 31 33 FF FF",
                    0x9000,
                ),
            ],
        ),
        row(
            "a wrong PUK is not changed and takes one of its tries",
            "AS05.27",
            vec![
                send(
                    "00 24 00 81 10 38 38 38 38 31 31 31 31 38 36 34 32 31 33 35 37",
                    0x63C2,
                ),
                send(
                    "00 24 00 81 10 38 38 38 38 31 31 31 31 38 36 34 32 31 33 35 37",
                    0x63C1,
                ),
                asked(0x63C3),
            ],
        ),
        row(
            "P1 other than 00 is refused",
            "SP 800-73-4 part 2, 3.2.2",
            vec![send(&format!("00 24 02 80 10 {PIN} {new}"), 0x6A86), pin()],
        ),
        row(
            "data of another length than sixteen bytes is refused and costs no try",
            "SP 800-73-4 part 2, 3.2.2",
            vec![
                either(&format!("00 24 00 80 08 {PIN}"), &[0x6A80, 0x6700]),
                either(&format!("00 24 00 80 11 {PIN} {new} FF"), &[0x6A80, 0x6700]),
                asked(0x63C3),
            ],
        ),
    ]
}

/// RESET RETRY COUNTER.
pub fn unblock() -> Vec<Row> {
    let wrong = |status: u16| {
        send(
            "00 2C 00 80 10 38 38 38 38 31 31 31 31 34 38 32 39 31 33 FF FF",
            status,
        )
    };
    vec![
        row(
            "the PUK sets a new PIN with all its tries",
            "AS05.31",
            vec![
                wrong_pin(0x63C2),
                wrong_pin(0x63C1),
                wrong_pin(0x63C0),
                unblocked(0x9000),
                Step::Reset,
                asked(0x63C3),
                send("00 20 00 80 08 34 38 32 39 31 33 FF FF", 0x9000),
            ],
        ),
        row(
            "a wrong PUK takes one of its tries and what was verified with the PIN",
            "AS05.32",
            vec![pin(), wrong(0x63C2), asked(0x63C3), wrong(0x63C1)],
        ),
        row(
            "without tries of the PUK nothing is unblocked",
            "AS05.30",
            vec![
                wrong(0x63C2),
                wrong(0x63C1),
                wrong(0x63C0),
                unblocked(0x6983),
                pin(),
            ],
        ),
        row(
            "a right PUK gives back the tries of the PUK",
            "AS05.31",
            vec![wrong(0x63C2), unblocked(0x9000), wrong(0x63C2)],
        ),
        row(
            "a new PIN without the form of one is refused and costs no try of the PUK",
            "AS05.33",
            vec![
                send(
                    &format!("00 2C 00 80 10 {PUK} 34 38 32 39 FF FF FF FF"),
                    0x6A80,
                ),
                pin(),
                wrong(0x63C2),
            ],
        ),
        row(
            "a wrong PUK with a new PIN that is none is refused either way",
            "AS05.33",
            vec![either(
                "00 2C 00 80 10 38 38 38 38 31 31 31 31 34 38 32 39 FF FF FF FF",
                &[0x6A80, 0x63C2],
            )],
        ),
        row(
            "key references that the card has not are not found",
            "AS05.29",
            vec![
                send(
                    &format!("00 2C 00 00 10 {PUK} 34 38 32 39 31 33 FF FF"),
                    0x6A88,
                ),
                send(
                    &format!("00 2C 00 81 10 {PUK} 34 38 32 39 31 33 FF FF"),
                    0x6A88,
                ),
            ],
        ),
        row(
            "P1 other than 00 is refused",
            "SP 800-73-4 part 2, 3.2.3",
            vec![send(
                &format!("00 2C 01 80 10 {PUK} 34 38 32 39 31 33 FF FF"),
                0x6A86,
            )],
        ),
    ]
}
