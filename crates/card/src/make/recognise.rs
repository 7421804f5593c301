// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding out who made a card.

use std::fmt;

use lanyard_piv::tlv;

use super::table::{MARKS, Mark};
use super::{Make, MetadataSupport};

/// The application label (SP 800-73-4 part 2, table 3).
const LABEL: tlv::Tag = tlv::Tag::new(0x50);
/// File control information (ISO/IEC 7816-4, 7.4.3): some applications answer SELECT with it.
const FILE_CONTROL: tlv::Tag = tlv::Tag::new(0x6F);
/// The same with its proprietary part.
const PROPRIETARY: tlv::Tag = tlv::Tag::new(0xA5);
/// The application template of PIV.
const TEMPLATE: tlv::Tag = tlv::Tag::new(0x61);
/// COMPACT-TLV (ISO/IEC 7816-4, 8.1.1.2): the issuer's data, where makers put their name.
const ISSUER_DATA: u8 = 0x5;

/// The version that a card's application says it has, most significant part first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardVersion(Vec<u8>);

impl CardVersion {
    pub(crate) fn new(parts: &[u8]) -> Option<Self> {
        (2..=4).contains(&parts.len()).then(|| Self(parts.to_vec()))
    }

    pub(super) fn is_at_least(&self, least: &[u8]) -> bool {
        self.0.as_slice() >= least
    }
}

impl fmt::Display for CardVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u8::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

/// Who made a card, as far as that was found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recognised {
    /// The make.
    pub make: Make,
    /// The version of its application, where it was asked and told one.
    pub version: Option<CardVersion>,
}

impl Recognised {
    /// By what the card said without being asked. `None`: only its applications could tell.
    pub(crate) fn at_first_sight(atr: &[u8], label: Option<&str>) -> Option<Make> {
        let name = atr_name(atr).unwrap_or_default();
        // Nobody can be asked: a line that wants more ends the search without a result.
        by_marks(&name, label, |_| Err(Open)).ok()
    }

    /// By everything, asking the card whether it knows an application.
    pub(crate) fn by_asking<E>(
        atr: &[u8],
        label: Option<&str>,
        knows: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<Make, E> {
        let name = atr_name(atr).unwrap_or_default();
        by_marks(&name, label, knows)
    }

    /// True when it is worth asking this card for metadata.
    pub(crate) fn speaks_metadata(&self) -> bool {
        match self.make.row().metadata {
            MetadataSupport::Ask => true,
            MetadataSupport::Never => false,
            // Not asked for its version yet: it will say that it does not know the command.
            MetadataSupport::Since(least) => self
                .version
                .as_ref()
                .is_none_or(|version| version.is_at_least(least)),
        }
    }

    /// True when the card must be asked for its version to know how to speak with it.
    pub(crate) fn wants_version(&self) -> bool {
        matches!(self.make.row().metadata, MetadataSupport::Since(_))
    }
}

impl fmt::Display for Recognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {version}", self.make),
            None => write!(f, "{}", self.make),
        }
    }
}

struct Open;

fn by_marks<E>(
    name: &str,
    label: Option<&str>,
    mut knows: impl FnMut(&[u8]) -> Result<bool, E>,
) -> Result<Make, E> {
    let label = label.unwrap_or_default().to_ascii_lowercase();
    'lines: for (make, marks) in MARKS {
        for mark in *marks {
            let holds = match mark {
                Mark::AtrName(begin) => name.starts_with(begin),
                Mark::LabelBegins(begin) => label.starts_with(&begin.to_ascii_lowercase()),
                Mark::LabelHolds(part) => label.contains(part),
                Mark::Knows(application) => knows(application)?,
            };
            if !holds {
                continue 'lines;
            }
        }
        return Ok(*make);
    }
    Ok(Make::Plain)
}

/// The label of the application in the answer to SELECT, wherever the card put it; `None` when the
/// answer is not one of a PIV application at all. Some applications answer with file control
/// information in place of the template.
pub(crate) fn label_of(answer: &[u8]) -> Option<Option<String>> {
    let whole = tlv::only(answer, TEMPLATE)
        .or_else(|_| tlv::only(answer, FILE_CONTROL))
        .ok()?;
    let inner = tlv::find(whole, PROPRIETARY).ok().flatten();
    let label = [Some(whole), inner]
        .into_iter()
        .flatten()
        .find_map(|part| tlv::find(part, LABEL).ok().flatten());
    Some(label.map(printable))
}

fn printable(bytes: &[u8]) -> String {
    let fits = |byte: &&u8| (0x20..0x7F).contains(*byte);
    bytes
        .iter()
        .filter(fits)
        .map(|byte| *byte as char)
        .collect()
}

/// The name that stands in an answer to reset, in lower case (ISO/IEC 7816-3, 8.2; 7816-4, 8.1.1).
pub(super) fn atr_name(atr: &[u8]) -> Option<String> {
    let historical = historical_bytes(atr)?;
    let (category, rest) = historical.split_first()?;
    let name = match category {
        0x00 | 0x80 => issuer_data(rest)?,
        _ => historical,
    };
    Some(printable(name).to_ascii_lowercase())
}

fn historical_bytes(atr: &[u8]) -> Option<&[u8]> {
    let (_, rest) = atr.split_first()?;
    let (format, mut rest) = rest.split_first()?;
    let count = usize::from(format & 0x0F);
    let mut following = format >> 4;
    loop {
        // TA, TB and TC, where there are; TD says what follows.
        let skipped = (following & 0b0111).count_ones();
        rest = rest.get(usize::try_from(skipped).ok()?..)?;
        if following & 0b1000 == 0 {
            return rest.get(..count);
        }
        let (next, after) = rest.split_first()?;
        following = next >> 4;
        rest = after;
    }
}

fn issuer_data(mut rest: &[u8]) -> Option<&[u8]> {
    while let Some((head, after)) = rest.split_first() {
        let (value, next) = after.split_at_checked(usize::from(head & 0x0F))?;
        if head >> 4 == ISSUER_DATA {
            return Some(value);
        }
        rest = next;
    }
    None
}
