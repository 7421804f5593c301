// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a card answers otherwise than the row says, and why. A difference that is no longer seen
//! fails the test as well.

/// Whose answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Our card.
    Ours,
    /// The independent card.
    Theirs,
}

/// One step of one row that a card answers otherwise.
pub struct Difference {
    /// Whose answer.
    pub who: Who,
    /// The row's own words and citation.
    pub row: (&'static str, &'static str),
    /// Which step, counted from 1.
    pub step: usize,
    /// What is seen instead; the beginning of it is enough.
    pub seen: &'static str,
    /// Why.
    pub because: &'static str,
}

const fn ours(
    row: (&'static str, &'static str),
    step: usize,
    seen: &'static str,
    because: &'static str,
) -> Difference {
    Difference {
        who: Who::Ours,
        row,
        step,
        seen,
        because,
    }
}

const fn theirs(
    row: (&'static str, &'static str),
    step: usize,
    seen: &'static str,
    because: &'static str,
) -> Difference {
    Difference {
        who: Who::Theirs,
        row,
        step,
        seen,
        because,
    }
}

/// All known differences.
pub const ALL: &[Difference] = &[
    theirs(
        (
            "an object that PIV does not know is not found",
            "SP 800-73-4 part 2, 3.1.2",
        ),
        1,
        "6A80",
        "an unknown tag is wrong data to it; the standard names 6A82 for what is not there",
    ),
    theirs(
        (
            "an object that PIV does not know is not found",
            "SP 800-73-4 part 2, 3.1.2",
        ),
        2,
        "6A80",
        "as above",
    ),
    theirs(
        (
            "P1 and P2 must name the current application's objects",
            "SP 800-73-4 part 2, 3.1.2",
        ),
        1,
        "6A81",
        "every command that it does not know by class, instruction and parameters together is 6A81 there",
    ),
    theirs(
        (
            "P1 and P2 must name the current application's objects",
            "SP 800-73-4 part 2, 3.1.2",
        ),
        2,
        "6A81",
        "every command that it does not know by class, instruction and parameters together is 6A81 there",
    ),
    theirs(
        (
            "every retired certificate and the other objects of PIV are written and read again",
            "AS05.37; SP 800-73-4 part 1, table 3",
        ),
        51,
        "9000 with 5308C10114C20100FE00",
        "its key history counts its own retired keys and cannot be written",
    ),
    theirs(
        (
            "an empty object is not found afterwards",
            "SP 800-73-4 part 2, 3.3.1",
        ),
        4,
        "9000",
        "it keeps an empty object; the standard says only that the object is emptied",
    ),
    theirs(
        (
            "P1 and P2 must name the current application's objects",
            "SP 800-73-4 part 2, 3.3.1",
        ),
        2,
        "6A81",
        "every command that it does not know by class, instruction and parameters together is 6A81 there",
    ),
    theirs(
        (
            "an object that PIV does not know is not written",
            "SP 800-73-4 part 2, 3.3.1",
        ),
        2,
        "6A80",
        "an unknown tag is wrong data to it",
    ),
    theirs(
        (
            "without tries the PIN is blocked, also for the right one",
            "AS05.17",
        ),
        3,
        "6983",
        "it tells the last try as blocked at once",
    ),
    theirs(
        (
            "without tries the PIN is blocked, also for the right one",
            "AS05.17",
        ),
        5,
        "63C0",
        "asked for a blocked PIN it tells no tries instead of blocked",
    ),
    theirs(
        (
            "a wrong PIN changes nothing, takes a try and what was verified",
            "AS05.27",
        ),
        2,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter",
    ),
    theirs(
        (
            "a wrong PIN changes nothing, takes a try and what was verified",
            "AS05.27",
        ),
        3,
        "9000",
        "its CHANGE REFERENCE DATA leaves the verified state when the PIN was wrong; AS05.27 wants it taken back",
    ),
    theirs(
        ("a blocked PIN is not changed", "AS05.25"),
        1,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter",
    ),
    theirs(
        ("a blocked PIN is not changed", "AS05.25"),
        2,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter",
    ),
    theirs(
        ("a blocked PIN is not changed", "AS05.25"),
        3,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter",
    ),
    theirs(
        ("a blocked PIN is not changed", "AS05.25"),
        4,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter, nor that none is left",
    ),
    ours(
        (
            "a PIN that counts or repeats may be chosen",
            "SP 800-73-4 part 2, 2.4.3",
        ),
        1,
        "6A80",
        "ours refuses trivial PINs as new ones, a rule of its own; it is told by 6A80 and costs no try",
    ),
    theirs(
        (
            "key references that the card has not are not found",
            "AS05.28A",
        ),
        1,
        "6A81",
        "the global PIN is a function that it does not support",
    ),
    theirs(
        (
            "a wrong PUK is not changed and takes one of its tries",
            "AS05.27",
        ),
        1,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter",
    ),
    theirs(
        (
            "a wrong PUK is not changed and takes one of its tries",
            "AS05.27",
        ),
        2,
        "6300",
        "its CHANGE REFERENCE DATA tells no counter",
    ),
    theirs(
        ("P1 other than 00 is refused", "SP 800-73-4 part 2, 3.2.2"),
        1,
        "6A81",
        "parameters that it does not know are 6A81 there",
    ),
    theirs(
        ("the PUK sets a new PIN with all its tries", "AS05.31"),
        3,
        "6983",
        "it tells the last try as blocked at once",
    ),
    theirs(
        (
            "a wrong PUK takes one of its tries and what was verified with the PIN",
            "AS05.32",
        ),
        3,
        "9000",
        "its RESET RETRY COUNTER leaves the verified state; SP 800-73-4 part 2, 3.2.3 sets it to FALSE",
    ),
    theirs(
        ("without tries of the PUK nothing is unblocked", "AS05.30"),
        4,
        "63C0",
        "it tells no tries instead of blocked",
    ),
    theirs(
        (
            "a new PIN without the form of one is refused and costs no try of the PUK",
            "AS05.33",
        ),
        1,
        "9000",
        "it takes any eight bytes for a new PIN here; the next step shows that the PIN is then another one",
    ),
    theirs(
        (
            "a new PIN without the form of one is refused and costs no try of the PUK",
            "AS05.33",
        ),
        2,
        "63C2",
        "the PIN was changed to something that is none",
    ),
    theirs(
        (
            "key references that the card has not are not found",
            "AS05.29",
        ),
        1,
        "6A81",
        "the global PIN is a function that it does not support",
    ),
    theirs(
        (
            "key references that the card has not are not found",
            "AS05.29",
        ),
        2,
        "6A81",
        "parameters that it does not know are 6A81 there",
    ),
    theirs(
        ("P1 other than 00 is refused", "SP 800-73-4 part 2, 3.2.3"),
        1,
        "6A81",
        "parameters that it does not know are 6A81 there",
    ),
    theirs(
        (
            "a wrong management key proves nothing and takes back what was proved",
            "AS05.36B",
        ),
        2,
        "6A80",
        "a witness that does not fit is wrong data to it",
    ),
    theirs(
        (
            "a wrong management key proves nothing and takes back what was proved",
            "AS05.36B",
        ),
        3,
        "9000",
        "it keeps what was proved before",
    ),
    theirs(
        ("triple DES has two names", "SP 800-78-4, table 6-2"),
        1,
        "6A86 with",
        "it knows triple DES by 03 only",
    ),
    theirs(
        (
            "reading after VERIFY leaves the PIN for 9C",
            "SP 800-73-4 part 1, table 4b",
        ),
        3,
        "6982 with",
        "any command between VERIFY and the use of 9C spends the PIN there, with ours only the use of a key",
    ),
    theirs(
        (
            "a digest shorter than the curve is signed as the number that it is",
            "FIPS 186-5, 6.4.1",
        ),
        2,
        "6A80 with",
        "it takes digests exactly as long as the curve",
    ),
    theirs(
        ("another algorithm than the key's is refused", "AS05.36"),
        2,
        "6A80",
        "it looks at the length of the data and not at P1",
    ),
    theirs(
        ("another algorithm than the key's is refused", "AS05.36"),
        3,
        "6A80",
        "it looks at the length of the data and not at P1",
    ),
    theirs(
        ("another algorithm than the key's is refused", "AS05.36"),
        4,
        "9000 with 7",
        "it looks at the length of the data and not at P1, and signs",
    ),
    theirs(
        (
            "a slot without key is told so",
            "none: the standard names no status word for an empty slot",
        ),
        2,
        "6985",
        "conditions of use instead of reference not found",
    ),
    theirs(
        (
            "a slot without key is told so",
            "none: the standard names no status word for an empty slot",
        ),
        3,
        "6985",
        "conditions of use instead of reference not found",
    ),
    theirs(
        (
            "data that is no dynamic authentication template is wrong data",
            "AS05.36A",
        ),
        4,
        "6A86",
        "an empty template is a wrong parameter to it",
    ),
    theirs(
        (
            "an RSA block of another length than the modulus, or not below it, is wrong data",
            "AS05.36A",
        ),
        3,
        "gone",
        "a block not below the modulus ends its program (a panic in its RSA backend)",
    ),
    theirs(
        (
            "a chain that another command interrupts is forgotten",
            "AS05.36C",
        ),
        3,
        "6A80",
        "what joins the pieces there takes the interrupting command for the last piece and answers by what came of it",
    ),
    theirs(
        ("P1 other than 00 is refused", "SP 800-73-4 part 2, 3.3.2"),
        2,
        "6A81",
        "parameters that it does not know are 6A81 there",
    ),
    theirs(
        (
            "an unknown instruction is not supported",
            "ISO/IEC 7816-4, 5.6",
        ),
        1,
        "9000",
        "01 is a command of its own that does nothing",
    ),
    theirs(
        (
            "an unknown instruction is not supported",
            "ISO/IEC 7816-4, 5.6",
        ),
        2,
        "6A81",
        "commands that it does not know are 6A81 there",
    ),
    theirs(
        (
            "no command of a maker tells a version that the card has not",
            "none: Yubico's GET VERSION and GET SERIAL",
        ),
        1,
        "9000",
        "it claims Yubico's version 6.6.6, which made another program ask for what it has not",
    ),
    theirs(
        (
            "no command of a maker tells a version that the card has not",
            "none: Yubico's GET VERSION and GET SERIAL",
        ),
        2,
        "9000",
        "it makes up a serial number",
    ),
    theirs(
        ("an unknown class is not supported", "ISO/IEC 7816-4, 5.4.1"),
        1,
        "6882",
        "every class but 00 is secure messaging to it",
    ),
    theirs(
        (
            "GET RESPONSE without anything to give is refused",
            "ISO/IEC 7816-4, 5.3.4",
        ),
        1,
        "9000",
        "it gives nothing, successfully",
    ),
    theirs(
        (
            "a chain that was never ended does not reach past another command",
            "ISO/IEC 7816-4, command chaining",
        ),
        3,
        "6A80",
        "what joins the pieces there takes the interrupting command for the last piece and answers by what came of it",
    ),
    theirs(
        (
            "an AES-128 management key is set and proved both ways and one way",
            "SP 800-78-4, table 6-2; set by Yubico's command, PIV has none",
        ),
        1,
        "6A80 at setting it",
        "it holds triple DES and AES-256 alone",
    ),
    theirs(
        (
            "an AES-192 management key is set and proved both ways and one way",
            "SP 800-78-4, table 6-2; set by Yubico's command, PIV has none",
        ),
        1,
        "6A80 at setting it",
        "it holds triple DES and AES-256 alone",
    ),
];
