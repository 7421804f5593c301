// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a message says, whatever it was written in. Formatting is reduced to text and never followed: nothing is
//! loaded, nothing is run, no address behind a word is kept.

mod html;
mod rtf;

use lanyard_sip::{MediaType, Name, multipart};

/// Multiparts within multiparts that are looked into.
const NESTED_MAX: usize = 3;
/// How parts say what they are encoded with.
const TRANSFER_ENCODING: &str = "Content-Transfer-Encoding";

/// Why there are no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not a kind of text that is read here.
    Kind,
    /// The content is not what it claims to be.
    Content,
}

/// The words of a message's body.
///
/// # Errors
/// Why there are none.
pub(super) fn words(media: &MediaType<'_>, body: &[u8]) -> Result<String, Unreadable> {
    read(media, body, NESTED_MAX).map(|text| clean(&text))
}

fn read(media: &MediaType<'_>, body: &[u8], nested: usize) -> Result<String, Unreadable> {
    let utf8 = || std::str::from_utf8(body).map_err(|_| Unreadable::Content);
    match media.essence().as_str() {
        "text/plain" => utf8().map(str::to_owned),
        "text/html" => utf8().map(html::words),
        "text/rtf" | "application/rtf" => rtf::words(body).ok_or(Unreadable::Content),
        "multipart/alternative" | "multipart/related" | "multipart/mixed" if nested > 0 => {
            let parts = multipart::read(media, body).map_err(|_| Unreadable::Content)?;
            let mut why = Unreadable::Kind;
            // The plain one says most reliably what was meant; otherwise the first that can be read.
            let plain = |part: &&multipart::Part<'_>| {
                part.content_type()
                    .is_some_and(|media| media.is("text/plain"))
            };
            let rest = |part: &&multipart::Part<'_>| !plain(part);
            for part in parts.iter().filter(plain).chain(parts.iter().filter(rest)) {
                let Some(media) = part.content_type().filter(|_| is_plainly_encoded(part)) else {
                    continue;
                };
                match read(&media, part.body, nested.saturating_sub(1)) {
                    Ok(text) => return Ok(text),
                    Err(reason) => why = reason,
                }
            }
            Err(why)
        }
        _ => Err(Unreadable::Kind),
    }
}

fn is_plainly_encoded(part: &multipart::Part<'_>) -> bool {
    let encoding = part.header_named(TRANSFER_ENCODING);
    let plain = |value: &str| {
        let known = ["7bit", "8bit", "binary"];
        known
            .iter()
            .any(|one| one.eq_ignore_ascii_case(value.trim()))
    };
    part.header(Name::ContentEncoding).is_none() && encoding.is_none_or(plain)
}

/// A text that drives no screen: no control characters, and none that turn the direction of what stands around.
fn clean(text: &str) -> String {
    let harmless = |c: &char| {
        matches!(c, '\n' | '\t') || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(c))
    };
    text.chars().filter(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, body: &[u8]) -> Result<String, Unreadable> {
        words(&MediaType::parse(kind).unwrap(), body)
    }

    #[test]
    fn plain_text_stays_as_it_is_and_drives_nothing() {
        let text = "Grüße 👩‍👩‍👧 🇪🇺\n  سلام\tend";
        assert_eq!(
            said("text/plain; charset=UTF-8", text.as_bytes()).unwrap(),
            text
        );
        let hostile = "a\u{1b}]0;title\u{7}b\u{202e}dcb\u{0}\r\n\u{9b}2J";
        assert_eq!(
            said("text/plain", hostile.as_bytes()).unwrap(),
            "a]0;titlebdcb\n2J"
        );
        assert_eq!(said("text/plain", b"\xff\xfe"), Err(Unreadable::Content));
        assert_eq!(said("image/gif", b"GIF89a"), Err(Unreadable::Kind));
        assert_eq!(
            said("application/ms-imdn+xml", b"<a/>"),
            Err(Unreadable::Kind)
        );
    }

    #[test]
    fn of_several_forms_the_plain_one_is_taken() {
        let body = b"--x\r\nContent-Type: text/html\r\n\r\n<b>bold</b>\r\n--x\r\n\
            Content-Type: text/plain; charset=UTF-8\r\n\r\nplain\r\n--x--\r\n";
        let kind = "multipart/alternative;boundary=x";
        assert_eq!(said(kind, body).unwrap(), "plain");
        let only_rich = b"--x\r\nContent-Type: image/gif\r\n\r\nGIF\r\n--x\r\n\
            Content-Type: text/html\r\n\r\n<b>bold</b> &amp; more\r\n--x--\r\n";
        assert_eq!(said(kind, only_rich).unwrap(), "bold & more");
        let encoded =
            b"--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            R3I=\r\n--x--\r\n";
        assert_eq!(said(kind, encoded), Err(Unreadable::Kind));
        assert_eq!(said(kind, b"no parts"), Err(Unreadable::Content));
    }

    #[test]
    fn multiparts_are_not_followed_without_end() {
        let mut body = b"--x\r\nContent-Type: text/plain\r\n\r\ndeep\r\n--x--\r\n".to_vec();
        for _ in 0..NESTED_MAX {
            let mut outer = b"--x\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n".to_vec();
            outer.extend(body);
            outer.extend(b"\r\n--x--\r\n");
            body = outer;
        }
        assert!(said("multipart/mixed;boundary=x", &body).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_body_drives_the_reader_off_the_road(
            body in proptest::collection::vec(0_u8.., 0..400),
            kind in proptest::sample::select(vec![
                "text/plain", "text/html", "text/rtf", "multipart/alternative;boundary=x",
            ]),
        ) {
            if let Ok(text) = said(kind, &body) {
                proptest::prop_assert!(text.chars().all(|c| !c.is_control() || "\n\t".contains(c)));
            }
        }
    }
}
