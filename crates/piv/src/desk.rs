// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unblocking by the help desk: a challenge and a response that two people can read to each other
//! over the telephone.
//!
//! The card shows a [`DeskChallenge`] of ten symbols; the desk answers with a [`DeskResponse`] of
//! sixteen. Both end with a check symbol (Luhn's rule over 32 symbols), so that a slip of the tongue is
//! noticed before it costs a try. The response is a truncated HMAC-SHA-256 under the card's own
//! [`DeskKey`] over the card's number and the challenge: 75 bits, good for this card and this
//! challenge alone. These commands are ours (`INS F0`); PIV has none for it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::apdu::{Command, EXPECTED_BYTES_SHORT_MAX};
use crate::commands::{ins, key_reference};
use crate::secret::NewPin;
use crate::slot::{Guid, Slot};
use crate::tlv::{self, Tag, TlvError, Writer};

/// Symbols of a challenge, without its check symbol.
pub const DESK_CHALLENGE_SYMBOLS: usize = 9;
/// Symbols of a response, without its check symbol.
pub const DESK_RESPONSE_SYMBOLS: usize = 15;
/// Length of a desk key.
pub const DESK_KEY_BYTES: usize = 32;

/// What P1 of `INS F0` asks for.
pub mod desk_p1 {
    /// Shows the challenge.
    pub const CHALLENGE: u8 = 0x00;
    /// Takes the card's desk key, once.
    pub const ARM: u8 = 0x01;
    /// Sets a new PIN with a response.
    pub const UNBLOCK: u8 = 0x02;
    /// Moves a fresh key with its certificate from a retired slot to the slot of P2.
    pub const ADOPT: u8 = 0x03;
}

/// Crockford's alphabet: no I, L, O and U, which are read as something else.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BITS: usize = 5;
const CHALLENGE_GROUP: usize = 5;
const RESPONSE_GROUP: usize = 4;
const MAC_DOMAIN: &[u8] = b"lanyard desk unblock 1";

/// Why a text is no challenge or response.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeskTextError {
    /// Too many or too few symbols.
    #[error("it has {found} letters and digits instead of {wanted}")]
    Length {
        /// How many it should have.
        wanted: usize,
        /// How many it has.
        found: usize,
    },
    /// A sign that is none of the letters and digits in use.
    #[error("it holds a sign that is never used")]
    Symbol,
    /// The last symbol does not fit the others: something was misheard or mistyped.
    #[error("a letter or digit is wrong: its check symbol does not fit")]
    Check,
}

/// What a blocked card shows: names one of the unblockings that it is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeskChallenge([u8; DESK_CHALLENGE_SYMBOLS]);

impl DeskChallenge {
    /// Makes a challenge from random bytes; five bits of each are used.
    #[must_use]
    pub fn from_random(bytes: [u8; DESK_CHALLENGE_SYMBOLS]) -> Self {
        Self(bytes.map(symbol))
    }

    /// Reads the symbols as they travel, without check symbol.
    ///
    /// # Errors
    ///
    /// When they are none.
    pub fn from_symbols(symbols: &[u8]) -> Result<Self, DeskTextError> {
        Ok(Self(exact(symbols)?))
    }

    /// The symbols as they travel, without check symbol.
    #[must_use]
    pub fn symbols(&self) -> &[u8; DESK_CHALLENGE_SYMBOLS] {
        &self.0
    }
}

impl fmt::Display for DeskChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(&self.0, CHALLENGE_GROUP))
    }
}

impl FromStr for DeskChallenge {
    type Err = DeskTextError;

    /// Reads what a person types: in any case, with or without hyphens and blanks, I and L for 1, O for 0.
    fn from_str(text: &str) -> Result<Self, DeskTextError> {
        Ok(Self(exact(&checked(text, DESK_CHALLENGE_SYMBOLS)?)?))
    }
}

/// What the desk answers. Zeroed on drop; `Debug` shows nothing of it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DeskResponse([u8; DESK_RESPONSE_SYMBOLS]);

impl DeskResponse {
    /// Reads the symbols as they travel, without check symbol.
    ///
    /// # Errors
    ///
    /// When they are none.
    pub fn from_symbols(symbols: &[u8]) -> Result<Self, DeskTextError> {
        Ok(Self(exact(symbols)?))
    }

    /// The symbols as they travel, without check symbol.
    #[must_use]
    pub fn symbols(&self) -> &[u8; DESK_RESPONSE_SYMBOLS] {
        &self.0
    }

    /// As it is read out, in groups of four with its check symbol.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(grouped(&self.0, RESPONSE_GROUP))
    }
}

impl FromStr for DeskResponse {
    type Err = DeskTextError;

    /// Reads what a person types, as [`DeskChallenge`] does.
    fn from_str(text: &str) -> Result<Self, DeskTextError> {
        let symbols = Zeroizing::new(checked(text, DESK_RESPONSE_SYMBOLS)?);
        Ok(Self(exact(&symbols)?))
    }
}

impl fmt::Debug for DeskResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeskResponse(..)")
    }
}

impl PartialEq for DeskResponse {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for DeskResponse {}

/// The secret that a card and the desk share. Zeroed on drop, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DeskKey([u8; DESK_KEY_BYTES]);

impl DeskKey {
    /// Takes the bytes.
    #[must_use]
    pub fn new(bytes: [u8; DESK_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; DESK_KEY_BYTES] {
        &self.0
    }

    /// The one answer to this challenge of this card.
    #[must_use]
    pub fn respond(&self, card: Guid, challenge: &DeskChallenge) -> DeskResponse {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(MAC_DOMAIN);
        context.update(card.as_bytes());
        context.update(&challenge.0);
        let tag = context.sign();
        let mut symbols = [0; DESK_RESPONSE_SYMBOLS];
        // Five bits of a byte each: the tag has 32 bytes, fifteen of them give 75 bits.
        for (place, byte) in symbols.iter_mut().zip(tag.as_ref()) {
            *place = symbol(*byte);
        }
        DeskResponse(symbols)
    }
}

impl fmt::Debug for DeskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeskKey(..)")
    }
}

/// What a card tells about its readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskReadiness {
    /// The challenge that is open now.
    pub challenge: DeskChallenge,
    /// How many wrong responses it still takes.
    pub tries_left: u8,
    /// How many unblockings are left, this one included.
    pub left: u8,
}

impl DeskReadiness {
    const CHALLENGE: Tag = Tag::new(0x80);
    const TRIES: Tag = Tag::new(0x81);
    const LEFT: Tag = Tag::new(0x82);

    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .element(Self::CHALLENGE, &self.challenge.0)
            .element(Self::TRIES, &[self.tries_left])
            .element(Self::LEFT, &[self.left])
            .into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(data: &[u8]) -> Result<Self, TlvError> {
        let mut reader = tlv::Reader::new(data);
        let challenge = DeskChallenge::from_symbols(reader.expect(Self::CHALLENGE)?)
            .map_err(|_| TlvError::Length)?;
        let byte = |bytes: &[u8]| match bytes {
            [one] => Ok(*one),
            _ => Err(TlvError::Length),
        };
        let tries_left = byte(reader.expect(Self::TRIES)?)?;
        let left = byte(reader.expect(Self::LEFT)?)?;
        reader.end()?;
        Ok(Self {
            challenge,
            tries_left,
            left,
        })
    }
}

impl Command {
    /// Asks for the challenge.
    #[must_use]
    pub fn desk_challenge() -> Self {
        Self::new(ins::DESK, desk_p1::CHALLENGE, key_reference::PIN)
            .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// Hands the card its desk key; wants the management key and the PIN.
    #[must_use]
    pub fn desk_arm(key: &DeskKey) -> Self {
        Self::new(ins::DESK, desk_p1::ARM, key_reference::PIN).with_data(key.0)
    }

    /// Sets a new PIN with the desk's response.
    #[must_use]
    pub fn desk_unblock(response: &DeskResponse, new: &NewPin) -> Self {
        let data = Zeroizing::new([response.0.as_slice(), new.pin().padded()].concat());
        Self::new(ins::DESK, desk_p1::UNBLOCK, key_reference::PIN).with_data(data.as_slice())
    }

    /// Moves key and certificate of one slot into another, both or neither; wants the management key and
    /// the PIN.
    #[must_use]
    pub fn adopt(from: Slot, to: Slot) -> Self {
        Self::new(ins::DESK, desk_p1::ADOPT, to.key_reference()).with_data([from.key_reference()])
    }
}

fn symbol(byte: u8) -> u8 {
    ALPHABET
        .get(usize::from(byte & 31))
        .copied()
        .unwrap_or(b'0')
}

fn value(symbol: u8) -> Option<u32> {
    let at = ALPHABET.iter().position(|known| *known == symbol)?;
    u32::try_from(at).ok()
}

/// Luhn's sum over 32 symbols, from the last one on: every single slip and every exchange of neighbours but
/// one pair shows.
fn check_symbol(symbols: &[u8]) -> u8 {
    let size = 1u32 << BITS;
    let mut sum = 0u32;
    for (at, symbol) in symbols.iter().rev().enumerate() {
        let value = value(*symbol).unwrap_or_default();
        let weighed = if at % 2 == 0 {
            let double = value.wrapping_mul(2);
            (double / size).wrapping_add(double % size)
        } else {
            value
        };
        sum = sum.wrapping_add(weighed);
    }
    let check = size.wrapping_sub(sum % size) % size;
    symbol(u8::try_from(check).unwrap_or_default())
}

fn grouped(symbols: &[u8], group: usize) -> String {
    let mut all = symbols.to_vec();
    all.push(check_symbol(symbols));
    let groups: Vec<String> = all
        .chunks(group)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    all.zeroize();
    groups.join("-")
}

/// The symbols of a typed text, after its check symbol was seen to fit.
fn checked(text: &str, count: usize) -> Result<Vec<u8>, DeskTextError> {
    let mut symbols = Vec::with_capacity(count.saturating_add(1));
    for byte in text.trim().bytes() {
        let symbol = match byte.to_ascii_uppercase() {
            b'-' | b' ' => continue,
            b'I' | b'L' => b'1',
            b'O' => b'0',
            other => other,
        };
        value(symbol).ok_or(DeskTextError::Symbol)?;
        symbols.push(symbol);
    }
    let wanted = count.saturating_add(1);
    if symbols.len() != wanted {
        let found = symbols.len();
        return Err(DeskTextError::Length { wanted, found });
    }
    let check = symbols.pop();
    if check == Some(check_symbol(&symbols)) {
        Ok(symbols)
    } else {
        Err(DeskTextError::Check)
    }
}

fn exact<const N: usize>(symbols: &[u8]) -> Result<[u8; N], DeskTextError> {
    let exact: [u8; N] = symbols.try_into().map_err(|_| DeskTextError::Length {
        wanted: N,
        found: symbols.len(),
    })?;
    if exact.iter().all(|symbol| value(*symbol).is_some()) {
        Ok(exact)
    } else {
        Err(DeskTextError::Symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge() -> DeskChallenge {
        DeskChallenge::from_random([1, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    #[test]
    fn the_response_is_the_one_of_the_recipe() {
        // Computed apart, with Python's hmac: HMAC-SHA-256 over domain, number and symbols.
        let key = DeskKey::new([7; DESK_KEY_BYTES]);
        let response = key.respond(Guid::new([0x11; 16]), &challenge());
        assert_eq!(challenge().to_string(), "12345-6789T");
        assert_eq!(response.reveal().as_str(), "X46K-2FD6-Y0CE-1PDT");
        assert_eq!(
            format!("{response:?} {key:?}"),
            "DeskResponse(..) DeskKey(..)"
        );
    }

    #[test]
    fn another_card_key_or_challenge_has_another_response() {
        let key = DeskKey::new([7; DESK_KEY_BYTES]);
        let card = Guid::new([1; 16]);
        let right = key.respond(card, &challenge());
        assert!(right != key.respond(Guid::new([2; 16]), &challenge()));
        assert!(right != DeskKey::new([8; DESK_KEY_BYTES]).respond(card, &challenge()));
        let other = DeskChallenge::from_random([9; DESK_CHALLENGE_SYMBOLS]);
        assert!(right != key.respond(card, &other));
    }

    #[test]
    fn what_is_no_code_is_told_apart() {
        let shown = challenge().to_string();
        assert_eq!(shown.to_lowercase().parse(), Ok(challenge()));
        assert_eq!(
            "12345".parse::<DeskChallenge>(),
            Err(DeskTextError::Length {
                wanted: 10,
                found: 5
            })
        );
        assert_eq!(
            "12345-678U9".parse::<DeskChallenge>(),
            Err(DeskTextError::Symbol)
        );
        assert_eq!(
            "12345-6789H".parse::<DeskChallenge>(),
            Err(DeskTextError::Check)
        );
    }

    proptest! {
        #[test]
        fn every_code_is_read_as_it_was_shown(bytes: [u8; 9], key: [u8; 32], card: [u8; 16]) {
            let challenge = DeskChallenge::from_random(bytes);
            prop_assert_eq!(challenge.to_string().parse(), Ok(challenge));
            let response = DeskKey::new(key).respond(Guid::new(card), &challenge);
            prop_assert_eq!(response.reveal().parse(), Ok(response));
        }

        #[test]
        fn one_wrong_symbol_is_always_noticed(bytes: [u8; 9], at in 0usize..10, other in 0u8..32) {
            let shown = DeskChallenge::from_random(bytes).to_string().replace('-', "");
            let mut wrong = shown.clone().into_bytes();
            wrong[at] = symbol(other);
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assume!(wrong != shown);
            prop_assert_eq!(wrong.parse::<DeskChallenge>(), Err(DeskTextError::Check));
        }

        #[test]
        fn the_readiness_is_read_as_it_was_written(bytes: [u8; 9], tries_left: u8, left: u8) {
            let readiness = DeskReadiness { challenge: DeskChallenge::from_random(bytes), tries_left, left };
            prop_assert_eq!(DeskReadiness::parse(&readiness.encode()), Ok(readiness));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), text: String) {
            let _ = DeskReadiness::parse(&bytes);
            let _ = text.parse::<DeskChallenge>();
            let _ = text.parse::<DeskResponse>();
        }
    }
}
