// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTML to text: what stands between the tags, line ends where blocks end, entities undone. One pass, no tree.

/// Longest name of an entity, in bytes.
const ENTITY_BYTES_MAX: usize = 10;
/// Quotes within a tag are looked for in so many bytes; a longer tag ends at its first `>`.
const TAG_BYTES_MAX: usize = 4_096;
/// Elements whose content nobody reads.
const HIDDEN: [&str; 11] = [
    "script", "style", "head", "title", "template", "noscript", "iframe", "object", "svg", "math",
    "select",
];
/// Elements that begin and end a line.
const BLOCKS: [&str; 18] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "blockquote",
    "pre",
    "dd",
];
/// Entities that people's programs write ([HTML] 13.5, the usual ones).
const ENTITIES: [(&str, char); 36] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("ecirc", 'ê'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("ccedil", 'ç'),
    ("iacute", 'í'),
    ("ntilde", 'ñ'),
    ("oacute", 'ó'),
    ("uacute", 'ú'),
    ("euro", '€'),
    ("copy", '©'),
    ("reg", '®'),
    ("hellip", '…'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bull", '•'),
    ("middot", '·'),
];

/// The words of a document or a piece of one.
pub(super) fn words(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.write(before);
        rest = tag(after, &mut text);
    }
    text.write(rest);
    text.finish()
}

/// Takes one tag, and everything within it that is not shown; gives what follows.
fn tag<'a>(after: &'a str, text: &mut Text) -> &'a str {
    if let Some(comment) = after.strip_prefix("!--") {
        return comment.split_once("-->").map_or("", |(_, rest)| rest);
    }
    let begins = after.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
    if !begins {
        // A lone sign, as people type it.
        text.push('<');
        return after;
    }
    let (inside, rest) = end_of_tag(after);
    let name = inside.trim_start_matches('/');
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    let name = end.map_or(name, |end| name.split_at(end).0);
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    if BLOCKS.iter().any(&is) {
        text.line_end();
    }
    let hides = HIDDEN.iter().find(|known| is(known));
    match hides.filter(|_| !inside.starts_with('/') && !inside.ends_with('/')) {
        Some(name) => behind_end(rest, name),
        None => rest,
    }
}

/// The tag's inside and what follows it. A `>` within quotes is no end.
fn end_of_tag(after: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in after
        .char_indices()
        .take_while(|(at, _)| *at < TAG_BYTES_MAX)
    {
        match (quote, c) {
            (None, '>') => {
                let (inside, rest) = after.split_at(at);
                return (inside, rest.strip_prefix('>').unwrap_or(rest));
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that nobody closes swallows nothing that a reader was to see.
    after.split_once('>').unwrap_or((after, ""))
}

/// What follows the end of a hidden element.
fn behind_end<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        rest = after;
        let starts = after
            .get(..name.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        let next = after.as_bytes().get(name.len());
        if starts && next.is_none_or(|next| !next.is_ascii_alphanumeric()) {
            return after.split_once('>').map_or("", |(_, rest)| rest);
        }
    }
    ""
}

/// Text that grows by words: white space of the source is one space, blocks are lines.
#[derive(Default)]
struct Text {
    text: String,
    space: bool,
}

impl Text {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.space = true;
            return;
        }
        if std::mem::take(&mut self.space) && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.text.push(c);
    }

    fn line_end(&mut self) {
        self.space = false;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn write(&mut self, source: &str) {
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('&') {
            before.chars().for_each(|c| self.push(c));
            rest = match entity(after) {
                Some((c, rest)) => {
                    self.push(c);
                    rest
                }
                None => {
                    self.push('&');
                    after
                }
            };
        }
        rest.chars().for_each(|c| self.push(c));
    }

    fn finish(self) -> String {
        self.text.trim().to_owned()
    }
}

/// The character of an entity, and what follows it.
fn entity(after: &str) -> Option<(char, &str)> {
    let end = after
        .bytes()
        .take(ENTITY_BYTES_MAX)
        .position(|byte| byte == b';')?;
    let (name, rest) = after.split_at_checked(end)?;
    let rest = rest.strip_prefix(';')?;
    let number = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        },
        None => {
            let known = ENTITIES.iter().find(|(known, _)| *known == name);
            return known.map(|(_, c)| (*c, rest));
        }
    };
    Some((char::from_u32(number?)?, rest))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn formatted_messages_become_plain_words() {
        let html = "<html><body><p>Gr&uuml;&szlig;e &amp; <b>bis</b><br/>morgen &lt;3 &#x1F980;</p></body>";
        assert_eq!(words(html), "Grüße & bis\nmorgen <3 🦀");
        assert_eq!(words("a  b\n c&nbsp;&nbsp;d"), "a b c d");
        assert_eq!(words("1 < 2 && 3 &unknown; 4"), "1 < 2 && 3 &unknown; 4");
        assert_eq!(words("<ul><li>one<li>two</ul>after"), "one\ntwo\nafter");
        assert_eq!(words("no <tag"), "no");
    }

    #[test]
    fn nothing_of_a_hostile_message_is_run_loaded_or_shown() {
        let html = "<script>alert('<p>shown?</p>')</script><style>p{}</style>\
            <img src=\"https://evil.test/?>pixel\" onerror='x>y'>Hi\
            <!-- <b>hidden</b> --><iframe src=x>inner</iframe>\
            <a href=\"javascript:alert(1)\">click</a><SCRIPT SRC=x></script >!";
        assert_eq!(words(html), "Hiclick!");
        // Entities are undone once: what they spell is text.
        assert_eq!(
            words("&amp;lt;b&amp;gt; &lt;script&gt;x"),
            "&lt;b&gt; <script>x"
        );
        assert_eq!(words("<script>never ends"), "");
        assert_eq!(words("<!-- never ends"), "");
        assert_eq!(words("<a title=\"open>shown"), "shown");
        assert_eq!(words("&#0;&#xD800;&#x110000;x"), "\u{0}&#xD800;&#x110000;x");
    }

    #[test]
    fn deep_and_broken_mark_up_takes_one_pass() {
        let deep = "<b>".repeat(200_000) + "x" + &"</b>".repeat(200_000);
        assert_eq!(words(&deep), "x");
        assert_eq!(words(&"<".repeat(50_000)).len(), 50_000);
        assert_eq!(words(&"</".repeat(50_000)), "");
        let quotes = "<a '\"".repeat(20_000) + ">";
        assert_eq!(words(&quotes), "");
    }
}
