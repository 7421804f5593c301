// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys at enrolment: a card that the organisation looks after gets its own management key, and is made ready for
//! the help desk. The keys come once, over TLS, and stay nowhere but on the card.

use lanyard_card::piv::{DeskKey, ManagementAlgorithm, ManagementKey, Pin, Puk, key_reference};
use lanyard_card::{CardFault, CardSession, LastTry};
use lanyard_fault::Fault;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cards::{
    CardChange, card_problem, forget_stored_admin_key, keeps_own_puk, parse_admin_key,
};
use crate::problem::Problem;

/// The PUK of every blank card.
const PUK_FIRST: &str = "12345678";
/// Bytes of a 3DES key, for cards that know no AES.
const TRIPLE_DES_BYTES: usize = 24;

/// The keys as the server sends them. Zeroed on drop.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct CardKeysBody {
    management_key: String,
    #[serde(default)]
    desk_key: Option<String>,
    #[serde(default)]
    puk: Option<String>,
}

impl std::fmt::Debug for CardKeysBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CardKeysBody(..)")
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Personalised {
    /// The card is in the care of the help desk.
    Done,
    /// It is enrolled and signs in, but the help desk cannot unblock it.
    Not(Problem),
}

/// Who will unblock a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// Its holder.
    Own,
    /// The help desk, by challenge and response.
    Challenge,
    /// The help desk, with the PUK of every blank card replaced by one that only the server knows.
    BlankPuk,
    /// The help desk, with the PUK that an earlier enrolment has put on the card.
    KnownPuk,
}

impl Care {
    /// The word in the enrolment.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Challenge => "challenge",
            Self::BlankPuk | Self::KnownPuk => "puk",
        }
    }
}

/// Who will unblock this card. `key` is the management key that it has taken, `ours` says that the server knew it.
pub(crate) fn care_of(
    session: &mut CardSession,
    card: &CardChange<'_>,
    key: &ManagementKey,
    ours: bool,
) -> Care {
    if keeps_own_puk(card.places(), card.facts()) {
        return Care::Own;
    }
    if card.facts().summary.kind.is_virtual() {
        return match session.knows_desk() {
            Ok(true) => Care::Challenge,
            _ => Care::Own,
        };
    }
    if ours {
        return Care::KnownPuk;
    }
    // Another make: its PUK can be replaced where it is the first one. A card that does not tell has it as long
    // as it has its first management key too.
    let puk = session.metadata(key_reference::PUK).ok().flatten();
    match puk.and_then(|puk| puk.is_default) {
        Some(true) => Care::BlankPuk,
        None if key.is_blank_card() => Care::BlankPuk,
        _ => Care::Own,
    }
}

/// Puts the keys on the card. The management key was shown in this session, the PIN as well.
pub(crate) fn personalise(
    session: &mut CardSession,
    card: &CardChange<'_>,
    pin: &Pin,
    care: Care,
    keys: &CardKeysBody,
) -> Personalised {
    let not = |fault: CardFault| {
        let cause = card_problem(fault);
        let detail = cause.detail.unwrap_or(cause.sentence);
        Personalised::Not(Problem::new(Fault::CardNotPersonalised).with_detail(detail))
    };
    match put(session, pin, care, keys) {
        Ok(()) => {
            // What lay beside the card opens nothing any more.
            forget_stored_admin_key(card.places(), card.facts());
            Personalised::Done
        }
        Err(Failed::Card(fault)) => not(fault),
        Err(Failed::Answer(problem)) => Personalised::Not(problem),
    }
}

enum Failed {
    Card(CardFault),
    Answer(Problem),
}

impl From<CardFault> for Failed {
    fn from(fault: CardFault) -> Self {
        Self::Card(fault)
    }
}

fn put(
    session: &mut CardSession,
    pin: &Pin,
    care: Care,
    keys: &CardKeysBody,
) -> Result<(), Failed> {
    let text = Zeroizing::new(keys.management_key.clone());
    let management = parse_admin_key(&text).map_err(Failed::Answer)?;
    set_management_key(session, &management)?;
    if let Some(desk) = &keys.desk_key {
        let desk = desk_key(desk).ok_or_else(|| Failed::Answer(malformed()))?;
        // The card forgets a PIN after a while, and the server may have taken its time.
        session.verify(pin, LastTry::Refuse)?;
        session.desk_arm(&desk)?;
    }
    if let Some(puk) = &keys.puk {
        let new = Puk::parse(puk).map_err(|_| Failed::Answer(malformed()))?;
        let first = Puk::parse(PUK_FIRST).map_err(|_| Failed::Answer(malformed()))?;
        // A card that was in care before has its PUK already.
        if care == Care::BlankPuk {
            session.change_puk(&first, &new)?;
        }
    }
    Ok(())
}

/// AES-256, or 3DES with the first three parts of the key on a card that knows nothing newer.
fn set_management_key(session: &mut CardSession, key: &ManagementKey) -> Result<(), CardFault> {
    match session.set_management_key(ManagementAlgorithm::Aes256, key) {
        Err(CardFault::Unsupported) => {
            let short = key
                .as_bytes()
                .get(..TRIPLE_DES_BYTES)
                .and_then(|bytes| ManagementKey::new(bytes).ok())
                .ok_or(CardFault::Unsupported)?;
            session.set_management_key(ManagementAlgorithm::TripleDes, &short)
        }
        other => other,
    }
}

fn desk_key(hex: &str) -> Option<DeskKey> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(DeskKey::new(*bytes))
}

fn malformed() -> Problem {
    Problem::new(Fault::EnrolmentAnswer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_key_is_thirty_two_bytes_in_hexadecimal_digits() {
        assert_eq!(desk_key(&"0a".repeat(32)).unwrap().as_bytes(), &[10; 32]);
        assert!(desk_key(&"0a".repeat(31)).is_none());
        assert!(desk_key(&"zz".repeat(32)).is_none());
        let body: CardKeysBody =
            serde_json::from_str(r#"{"version":1,"management_key":"secret","puk":"39"}"#).unwrap();
        assert_eq!(format!("{body:?}"), "CardKeysBody(..)");
    }
}
