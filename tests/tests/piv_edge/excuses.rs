// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the two cards may answer a random command by status words of different classes. The table of
//! rows asserts; this only keeps known differences from hiding unknown ones.

/// A command and both answers.
pub struct Exchange<'a> {
    /// The command.
    pub command: &'a [u8],
    /// Whether a chain was begun and not ended since the reset.
    pub chain: bool,
    /// Whether a PIN, a PUK or a proof of the management key was refused since the reset.
    pub refused_proof: bool,
    /// Our status word.
    pub ours: u16,
    /// Theirs.
    pub theirs: u16,
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Done: `9000`, `61xx`.
    Done,
    /// The right was missing: `63xx`, `6982`, `6983`, `6985`.
    Denied,
    /// It was not understood or cannot be done: everything else.
    Refused,
}

impl Class {
    /// The class of a status word.
    pub fn of(status: u16) -> Self {
        match status {
            0x9000 | 0x6100..=0x61FF => Self::Done,
            0x6300..=0x63FF | 0x6982 | 0x6983 | 0x6985 => Self::Denied,
            _ => Self::Refused,
        }
    }
}

impl Exchange<'_> {
    fn instruction(&self) -> u8 {
        self.command.get(1).copied().unwrap_or(0)
    }

    fn p1(&self) -> u8 {
        self.command.get(2).copied().unwrap_or(0)
    }

    fn p2(&self) -> u8 {
        self.command.get(3).copied().unwrap_or(0)
    }

    /// Whether it names the object `5FC1xx`.
    fn names(&self, last: u8) -> bool {
        self.command
            .windows(3)
            .any(|window| window == [0x5F, 0xC1, last])
    }

    fn classes(&self) -> (Class, Class) {
        (Class::of(self.ours), Class::of(self.theirs))
    }
}

impl Exchange<'_> {
    /// Whether both cards refused, without counting: which check comes first, that of the form or
    /// that of the right, the standard does not lay down, and neither card has changed.
    pub fn both_refused(&self) -> bool {
        let counted = |status: u16| status >> 8 == 0x63;
        let (ours, theirs) = self.classes();
        ours != Class::Done && theirs != Class::Done && !counted(self.ours) && !counted(self.theirs)
    }
}

/// A reason, and which exchanges it explains.
pub type Excuse = (&'static str, fn(&Exchange<'_>) -> bool);

/// All of them; the first that fits counts.
pub const EXCUSES: &[Excuse] = &[
    (
        "a class that is none: theirs looks at the bit for chaining alone",
        |it| matches!(it.ours, 0x6E00 | 0x6882),
    ),
    (
        "ours keeps objects of PIV's range that the standard leaves undefined",
        |it| it.instruction() == 0xDB && it.ours == 0x9000 && it.theirs == 0x6A80,
    ),
    (
        "commands of Yubico and its own that only the independent card has",
        |it| matches!(it.instruction(), 0x01 | 0xF6..=0xFF),
    ),
    ("commands of our own card", |it| {
        matches!(it.instruction(), 0xF0 | 0xF1)
    }),
    (
        "GET RESPONSE with nothing to give: it gives nothing, successfully",
        |it| it.instruction() == 0xC0 && it.theirs == 0x9000,
    ),
    (
        "what joins pieces there takes whatever comes for the last piece",
        |it| it.chain,
    ),
    ("trivial PINs are refused by ours alone", |it| {
        matches!(it.instruction(), 0x24 | 0x2C) && it.ours == 0x6A80 && it.theirs == 0x9000
    }),
    ("its key history counts its own keys: see the table", |it| {
        it.names(0x0C)
    }),
    (
        "any command between VERIFY and the use of 9C spends the PIN there",
        |it| it.instruction() == 0x87 && it.p2() == 0x9C && it.theirs == 0x6982,
    ),
    (
        "it looks at the length of the data and not at the algorithm",
        |it| it.instruction() == 0x87 && it.ours == 0x6A86 && it.theirs != 0x6A86,
    ),
    (
        "a malformed PIN or PUK costs a try there, or is told without a counter",
        |it| {
            matches!(it.instruction(), 0x20 | 0x24 | 0x2C)
                && it.ours == 0x6A80
                && it.theirs >> 8 == 0x63
        },
    ),
    (
        "a wrong PIN, PUK or proof in these commands leaves what was proved before there",
        |it| it.refused_proof && it.ours == 0x6982 && Class::of(it.theirs) == Class::Done,
    ),
    (
        "bytes behind a template or an object are passed over there",
        |it| {
            matches!(it.instruction(), 0x47 | 0x87 | 0xCB | 0xDB)
                && it.ours == 0x6A80
                && Class::of(it.theirs) == Class::Done
        },
    ),
    (
        "a digest must be exactly as long as the curve there",
        |it| it.instruction() == 0x87 && it.ours == 0x9000 && it.theirs == 0x6A80,
    ),
    (
        "its printed information exists before it was written",
        |it| it.names(0x09),
    ),
    ("triple DES has two names for ours", |it| {
        it.instruction() == 0x87 && (it.p1(), it.p2()) == (0x00, 0x9B)
    }),
    (
        "SELECT with another P2: what replaces a short AID there wants 00 and looks at nothing else",
        |it| it.instruction() == 0xA4 && (it.p2() != 0 || it.ours == 0x6700),
    ),
];
