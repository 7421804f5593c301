// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rich Text Format to text: characters and line ends; every destination that is no text is passed over.

/// Groups within groups.
const DEPTH_MAX: usize = 64;
/// Longest control word, in letters.
const WORD_LETTERS_MAX: usize = 32;
/// Destinations that hold no text of the message.
const HIDDEN: [&[u8]; 13] = [
    b"fonttbl",
    b"colortbl",
    b"stylesheet",
    b"info",
    b"pict",
    b"object",
    b"header",
    b"footer",
    b"listtable",
    b"listoverridetable",
    b"fldinst",
    b"themedata",
    b"generator",
];
/// Windows-1252 from 0x80 to 0x9F.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
    '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}',
    'ž', 'Ÿ',
];

#[derive(Clone, Copy)]
struct State {
    hidden: bool,
    /// Characters that stand behind `\u` for readers that do not know it.
    substitutes: usize,
}

/// The words; `None` when it is no such document.
pub(super) fn words(rtf: &[u8]) -> Option<String> {
    if !rtf.trim_ascii_start().starts_with(b"{\\rtf") {
        return None;
    }
    let mut reader = Reader {
        rest: rtf,
        text: String::new(),
        pass_over: 0,
        high: None,
    };
    let mut state = State {
        hidden: false,
        substitutes: 1,
    };
    let mut outer: Vec<State> = Vec::new();
    while let Some(byte) = reader.next() {
        match byte {
            b'{' if outer.len() >= DEPTH_MAX => return None,
            b'{' => outer.push(state),
            b'}' => match outer.pop() {
                Some(before) => state = before,
                None => break,
            },
            b'\\' => reader.control(&mut state)?,
            b'\r' | b'\n' => {}
            other => reader.character(state, of_windows_1252(other)),
        }
    }
    Some(reader.text.trim().to_owned())
}

struct Reader<'a> {
    rest: &'a [u8],
    text: String,
    pass_over: usize,
    high: Option<u16>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn character(&mut self, state: State, c: char) {
        if self.pass_over > 0 {
            self.pass_over = self.pass_over.saturating_sub(1);
        } else if !state.hidden {
            self.text.push(c);
        }
    }

    fn control(&mut self, state: &mut State) -> Option<()> {
        let first = self.next()?;
        match first {
            b'\\' | b'{' | b'}' => self.character(*state, char::from(first)),
            b'~' => self.character(*state, ' '),
            b'_' => self.character(*state, '-'),
            b'*' => state.hidden = true,
            b'\r' | b'\n' => self.character(*state, '\n'),
            b'\'' => {
                let digits = [self.next()?, self.next()?];
                let hex = std::str::from_utf8(&digits).ok()?;
                let byte = u8::from_str_radix(hex, 16).ok()?;
                self.character(*state, of_windows_1252(byte));
            }
            letter if letter.is_ascii_alphabetic() => self.word(letter, state)?,
            _ => {}
        }
        Some(())
    }

    fn word(&mut self, first: u8, state: &mut State) -> Option<()> {
        let mut word = vec![first];
        word.extend(self.take(WORD_LETTERS_MAX, u8::is_ascii_alphabetic));
        let negative = self.rest.first() == Some(&b'-');
        if negative {
            self.next();
        }
        let digits = self.take(10, u8::is_ascii_digit);
        if self.rest.first() == Some(&b' ') {
            self.next();
        }
        let number: i64 = std::str::from_utf8(&digits).ok()?.parse().unwrap_or(0);
        let number = if negative {
            number.saturating_neg()
        } else {
            number
        };
        match word.as_slice() {
            b"par" | b"line" | b"row" | b"sect" | b"page" => self.character(*state, '\n'),
            b"tab" | b"cell" => self.character(*state, '\t'),
            b"emdash" => self.character(*state, '—'),
            b"endash" => self.character(*state, '–'),
            b"bullet" => self.character(*state, '•'),
            b"lquote" => self.character(*state, '‘'),
            b"rquote" => self.character(*state, '’'),
            b"ldblquote" => self.character(*state, '“'),
            b"rdblquote" => self.character(*state, '”'),
            b"uc" => state.substitutes = usize::try_from(number.clamp(0, 8)).unwrap_or(1),
            b"u" => self.unicode(*state, number),
            b"bin" => {
                let count = usize::try_from(number).unwrap_or(0).min(self.rest.len());
                self.rest = self.rest.get(count..).unwrap_or_default();
            }
            known if HIDDEN.contains(&known) => state.hidden = true,
            _ => {}
        }
        Some(())
    }

    /// `\uN`: a signed 16-bit unit of UTF-16; pairs come one after the other.
    fn unicode(&mut self, state: State, number: i64) {
        self.pass_over = 0;
        let unit = u16::try_from(number.rem_euclid(0x1_0000)).unwrap_or(0xfffd);
        let units = self.high.take().into_iter().chain([unit]);
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
        } else {
            for c in char::decode_utf16(units) {
                self.character(state, c.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        self.pass_over = state.substitutes;
    }

    fn take(&mut self, max: usize, fits: fn(&u8) -> bool) -> Vec<u8> {
        let count = self
            .rest
            .iter()
            .take(max)
            .take_while(|byte| fits(byte))
            .count();
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken.to_vec()
    }
}

fn of_windows_1252(byte: u8) -> char {
    let special = usize::from(byte)
        .checked_sub(0x80)
        .and_then(|at| WINDOWS_1252.get(at));
    special.copied().unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rtf: &str) -> Option<String> {
        words(rtf.as_bytes())
    }

    #[test]
    fn a_message_of_the_usual_client_says_what_it_says() {
        let rtf = "{\\rtf1\\fbidis\\ansi\\ansicpg1252\\deff0\\nouicompat\\deflang1033\
            {\\fonttbl{\\f0\\fnil\\fcharset0 Segoe UI;}}\r\n\
            {\\colortbl ;\\red0\\green0\\blue0;}\r\n{\\*\\generator Riched20 15.0.4420}\
            \\viewkind4\\uc1 \r\n\\pard\\cf1\\embo\\f0\\fs20 Gr\\'fc\\'dfe \\b bold\\b0  \\u-10178?\\u-8832?\\par\r\n\
            second line \\{x\\}\\par\r\n}";
        assert_eq!(said(rtf).unwrap(), "Grüße bold 🦀\nsecond line {x}");
        assert_eq!(said("{\\rtf1 \\uc2\\u8364 ??uro \\'80}").unwrap(), "€uro €");
    }

    #[test]
    fn nothing_that_is_no_text_comes_through() {
        let rtf = "{\\rtf1{\\pict\\bin5 }}}}}dead}{\\object evil}{\\*\\unknown hidden}\
            {\\field{\\*\\fldinst{HYPERLINK \"https://evil.test\"}}{\\fldrslt click}}}";
        assert_eq!(said(rtf).unwrap(), "click");
        assert_eq!(said("plain"), None);
        assert_eq!(said(&format!("{{\\rtf1 {}", "{".repeat(1_000))), None);
        assert_eq!(said("{\\rtf1 \\'zz}"), None);
        assert_eq!(said("{\\rtf1 \\bin99999999 x}").unwrap(), "");
        assert_eq!(said("{\\rtf1 \\u-10178?lone}").unwrap(), "lone");
    }
}
