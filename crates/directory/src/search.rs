// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking for people: by the beginnings of words, whatever case and accents they are written with.
//!
//! Each person is kept as one text of folded words, every word behind a line break: a word of the
//! search is found by one pass over a few hundred bytes. Nothing of a search is a pattern.

use memchr::memmem::Finder;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::Account;

/// The longest text that is looked for, in characters.
pub const SEARCH_TEXT_CHARS_MAX: usize = 128;
/// The most words of one search; further ones are not looked at.
pub const SEARCH_WORDS_MAX: usize = 8;
/// Digits that are found anywhere in a telephone number, not only at the beginning of a part.
const PHONE_DIGITS_MIN: usize = 3;

/// Where a word must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchField {
    /// In any field.
    Any,
    /// In the display name.
    Name,
    /// In the sign-in address.
    Address,
    /// In the e-mail address.
    Email,
    /// In the job title.
    Title,
    /// In the telephone number.
    Phone,
}

/// What is looked for: every word must begin a word of the person's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    words: Vec<Word>,
    /// The words as one text, to compare with the beginning of a name.
    phrase: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    field: SearchField,
    /// Folded, behind a line break: what it looks like at the beginning of a kept word.
    needle: String,
    /// Its digits, if it looks like a part of a telephone number.
    digits: String,
}

impl Search {
    /// Looks for words in any field; `None` when there is no word, or the text is longer than
    /// [`SEARCH_TEXT_CHARS_MAX`].
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut search = Self::default();
        search.also(SearchField::Any, text).then_some(search)
    }

    /// Adds words that must stand in a field. `false` when there is none, or the text is too long.
    pub fn also(&mut self, field: SearchField, text: &str) -> bool {
        if text.chars().count() > SEARCH_TEXT_CHARS_MAX {
            return false;
        }
        let folded = fold(text);
        let mut any = false;
        for word in folded
            .split(|c: char| {
                c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"' | '(' | ')')
            })
            .map(|word| word.strip_prefix("sip:").unwrap_or(word))
            .map(|word| word.trim_matches(['.', '*', '\'']))
            .filter(|word| !word.is_empty())
        {
            any = true;
            if self.words.len() >= SEARCH_WORDS_MAX {
                break;
            }
            if !self.phrase.is_empty() {
                self.phrase.push(' ');
            }
            self.phrase.push_str(word);
            self.words.push(Word {
                field,
                needle: format!("\n{word}"),
                digits: digits_of(word),
            });
        }
        any
    }
}

/// A search that is made ready for many people.
pub(crate) struct Prepared<'s> {
    words: Vec<(&'s Word, Finder<'s>)>,
    phrase: &'s str,
}

impl Search {
    pub(crate) fn prepare(&self) -> Prepared<'_> {
        let finder = |word| (word, Finder::new(word_needle(word)));
        Prepared {
            words: self.words.iter().map(finder).collect(),
            phrase: &self.phrase,
        }
    }
}

fn word_needle(word: &Word) -> &[u8] {
    word.needle.as_bytes()
}

/// A person as a search looks at them.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Name, address, e-mail, title and telephone number, one after the other.
    text: Box<[u8]>,
    /// Where each of the five ends.
    ends: [usize; FIELDS],
    /// The digits of the telephone number, one after the other.
    digits: Box<str>,
    /// The folded name, by which people are put in order.
    order: Box<str>,
}

/// Fields of a person.
const FIELDS: usize = 5;

impl Listed {
    pub(crate) fn new(account: &Account) -> Self {
        let order = fold(&account.display_name);
        let title = account.title.as_deref().unwrap_or_default();
        let phone = account.phone.as_deref().unwrap_or_default();
        let mut text = String::new();
        let mut ends = [0; FIELDS];
        let fields = [
            words_of(&order),
            address_words(account.sip_address.as_str()),
            address_words(account.email.as_str()),
            words_of(&fold(title)),
            words_of(&fold(phone)),
        ];
        for (field, end) in fields.iter().zip(&mut ends) {
            text.push_str(field);
            *end = text.len();
        }
        Self {
            text: text.into_bytes().into_boxed_slice(),
            ends,
            digits: phone.chars().filter(char::is_ascii_digit).collect(),
            order: order.into_boxed_str(),
        }
    }

    pub(crate) fn order(&self) -> &str {
        &self.order
    }

    /// How well a search fits, 0 is best; `None` when it does not.
    pub(crate) fn rank(&self, search: &Prepared<'_>) -> Option<u8> {
        let mut words = search.words.iter();
        if search.words.is_empty() || !words.all(|(word, finder)| self.has(word, finder)) {
            return None;
        }
        let name = self.field(0);
        if self.order.starts_with(search.phrase) {
            Some(0)
        } else if search
            .words
            .iter()
            .all(|(_, finder)| finder.find(name).is_some())
        {
            Some(1)
        } else {
            Some(2)
        }
    }

    fn field(&self, nth: usize) -> &[u8] {
        let end = |nth: usize| self.ends.get(nth).copied().unwrap_or(self.text.len());
        let start = nth.checked_sub(1).map_or(0, end);
        self.text.get(start..end(nth)).unwrap_or_default()
    }

    fn has(&self, word: &Word, finder: &Finder<'_>) -> bool {
        let field = match word.field {
            SearchField::Any => &*self.text,
            SearchField::Name => self.field(0),
            SearchField::Address => self.field(1),
            SearchField::Email => self.field(2),
            SearchField::Title => self.field(3),
            SearchField::Phone => self.field(4),
        };
        let as_digits = matches!(word.field, SearchField::Any | SearchField::Phone)
            && word.digits.len() >= PHONE_DIGITS_MIN;
        finder.find(field).is_some() || (as_digits && self.digits.contains(&word.digits))
    }
}

/// One spelling of a text: no accents, lower case, compatible forms made equal.
fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        for c in c.to_lowercase() {
            match c {
                // Letters that have no decomposition, as people type them without the key.
                'ß' => out.push_str("ss"),
                'æ' => out.push_str("ae"),
                'œ' => out.push_str("oe"),
                'ø' => out.push('o'),
                'ł' => out.push('l'),
                'đ' | 'ð' => out.push('d'),
                'þ' => out.push_str("th"),
                'ı' => out.push('i'),
                // Typographic apostrophes and hyphens.
                '\u{2019}' | '\u{2018}' => out.push('\''),
                '\u{2010}'..='\u{2015}' => out.push('-'),
                c if is_combining_mark(c) => {}
                c => out.push(c),
            }
        }
    }
    out
}

/// The words of a folded text, each behind a line break; parts of a word with a hyphen count as
/// words as well.
fn words_of(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len().saturating_mul(2));
    let blank = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '/');
    for word in folded.split(blank).filter(|word| !word.is_empty()) {
        push_word(&mut out, word);
        let inner = |c: char| matches!(c, '-' | '.' | '\'' | '+' | '&');
        if word.contains(inner) {
            for part in word.split(inner).filter(|part| !part.is_empty()) {
                push_word(&mut out, part);
            }
        }
    }
    out
}

/// The whole address, and the parts before the @: the domain alone would find everybody.
fn address_words(address: &str) -> String {
    let folded = fold(address);
    let mut out = String::with_capacity(folded.len().saturating_mul(2));
    push_word(&mut out, &folded);
    let local = folded
        .split_once('@')
        .map_or(folded.as_str(), |(user, _)| user);
    for (at, _) in local.match_indices(['.', '-', '_', '+']) {
        // From each part on to the end: `smith@contoso` finds `alice.smith@contoso.test`.
        push_word(&mut out, folded.get(at + 1..).unwrap_or_default());
    }
    out
}

fn push_word(out: &mut String, word: &str) {
    out.push('\n');
    out.push_str(word);
}

/// The digits of a word that has nothing but what telephone numbers have.
fn digits_of(word: &str) -> String {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '/' | '.' | ':');
    let number = word.strip_prefix("tel:").unwrap_or(word);
    if number.chars().all(plain) {
        number.chars().filter(char::is_ascii_digit).collect()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountDomain, NewAccount, Snapshot};
    use proptest::prelude::*;
    use time::OffsetDateTime;

    fn person(nth: u32, address: &str, name: &str, title: &str, phone: &str) -> Account {
        let new = NewAccount::new(address.parse().unwrap());
        Account {
            id: AccountDomain::from_random([7; 12]).account(nth).unwrap(),
            sip_address: new.sip_address,
            upn: new.upn,
            email: new.email,
            display_name: name.to_owned(),
            title: Some(title.to_owned()).filter(|title| !title.is_empty()),
            phone: Some(phone.to_owned()).filter(|phone| !phone.is_empty()),
            photo: None,
            enabled: true,
            groups: Vec::new(),
            password_hash: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn office() -> Snapshot {
        let mut people = Snapshot::default();
        people.put_account(person(
            0,
            "zoe.muller@contoso.test",
            "Zoë Müller-Łuczak",
            "Head of Sales",
            "+49 30 1234-56",
        ));
        people.put_account(person(
            1,
            "max@contoso.test",
            "Max Straße",
            "Müllermeister",
            "",
        ));
        people.put_account(person(
            2,
            "obrien@contoso.test",
            "Seán O’Brien",
            "Sales",
            "+353 1 555 0199",
        ));
        people.put_account(person(
            3,
            "ada_l@contoso.test",
            "Ada 100% Lovelace_",
            "",
            "",
        ));
        let mut gone = person(4, "gone@contoso.test", "Gone Müller", "", "");
        gone.enabled = false;
        people.put_account(gone);
        people
    }

    fn find(people: &Snapshot, text: &str) -> Vec<String> {
        let Some(search) = Search::new(text) else {
            return Vec::new();
        };
        let (found, _) = people.search(&search, 10);
        found
            .iter()
            .map(|a| a.sip_address.user().to_owned())
            .collect()
    }

    #[test]
    fn people_are_found_by_the_beginnings_of_their_words_in_every_field() {
        let people = office();
        for (text, found) in [
            ("zoë", &["zoe.muller"][..]),
            ("ZOE", &["zoe.muller"]),
            ("mull zo", &["zoe.muller"]),
            ("luczak", &["zoe.muller"]),
            ("strasse", &["max"]),
            ("o'brien", &["obrien"]),
            ("brien", &["obrien"]),
            ("sean", &["obrien"]),
            // Those whose name has it before those whose title has it.
            ("müller", &["zoe.muller", "max"]),
            ("sales", &["obrien", "zoe.muller"]),
            ("muller@contoso.test", &["zoe.muller"]),
            ("sip:max@contoso.test", &["max"]),
            ("555 0199", &["obrien"]),
            ("5550199", &["obrien"]),
            ("1234", &["zoe.muller"]),
            ("uller", &[]),
            ("contoso.test", &[]),
            ("gone", &[]),
        ] {
            assert_eq!(find(&people, text), found, "{text}");
        }
    }

    #[test]
    fn nothing_in_a_search_is_a_pattern() {
        let people = office();
        for text in [
            "%",
            "_",
            "a%",
            "100_",
            "*",
            "m*x",
            ".*",
            "' OR 1=1 --",
            "\0",
            "\\",
        ] {
            assert_eq!(find(&people, text), [""; 0], "{text}");
        }
        assert_eq!(find(&people, "100%"), ["ada_l"]);
        assert_eq!(find(&people, "lovelace_"), ["ada_l"]);
    }

    #[test]
    fn an_empty_or_endless_search_is_none() {
        assert_eq!(Search::new("  ,; "), None);
        assert!(Search::new(&"ü".repeat(SEARCH_TEXT_CHARS_MAX)).is_some());
        assert_eq!(Search::new(&"ü".repeat(SEARCH_TEXT_CHARS_MAX + 1)), None);
        let many = "a ".repeat(SEARCH_TEXT_CHARS_MAX / 2);
        assert_eq!(Search::new(&many).unwrap().words.len(), SEARCH_WORDS_MAX);
    }

    #[test]
    fn a_field_is_looked_for_in_that_field() {
        let people = office();
        let mut search = Search::default();
        assert!(search.also(SearchField::Name, "müller"));
        assert_eq!(people.search(&search, 10).0.len(), 1);
        assert!(search.also(SearchField::Title, "Sales"));
        assert_eq!(people.search(&search, 10).0.len(), 1);
        assert!(search.also(SearchField::Email, "max"));
        assert!(people.search(&search, 10).0.is_empty());
        let nothing = Search::default();
        assert!(people.search(&nothing, 10).0.is_empty());
    }

    #[test]
    fn a_limit_says_whether_there_are_more() {
        let people = office();
        let search = Search::new("sales").unwrap();
        let (found, more) = people.search(&search, 1);
        assert_eq!((found.len(), more), (1, true));
        let (found, more) = people.search(&search, 2);
        assert_eq!((found.len(), more), (2, false));
    }

    #[test]
    fn a_changed_person_is_found_by_the_new_name_alone() {
        let mut people = office();
        people.put_account(person(1, "max@contoso.test", "Maximilian Weg", "", ""));
        assert_eq!(find(&people, "straße"), [""; 0]);
        assert_eq!(find(&people, "weg"), ["max"]);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_for_or_not(text in any::<String>()) {
            let _ = find(&office(), &text);
        }

        #[test]
        fn everybody_is_found_by_each_word_of_the_name(name in "[A-Za-zÀ-ž]{1,12}( [A-Za-zÀ-ž]{1,12}){0,3}") {
            let mut people = Snapshot::default();
            people.put_account(person(0, "p@contoso.test", &name, "", ""));
            for word in name.split(' ') {
                prop_assert_eq!(find(&people, word).len(), 1, "{}", word);
                prop_assert_eq!(find(&people, &word.to_uppercase()).len(), 1, "{}", word);
            }
        }
    }
}
