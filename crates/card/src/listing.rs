// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is in the readers, for programs that choose a card.

use lanyard_piv::{Guid, PublicKey, Slot, key_reference};

use std::path::PathBuf;

use crate::channel::ReaderId;
use crate::fault::CardFault;
use crate::make::Recognised;
use crate::pkcs11::TokenCertificate;
use crate::session::{CardSession, KeyPresence, PinStatus};

/// All readers and their cards, seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The readers, PC/SC first; a card that is seen both ways is listed once.
    pub readers: Vec<ReaderSummary>,
    /// Why PC/SC is not among them, where it was asked for and does not work.
    pub pcsc_fault: Option<CardFault>,
    /// PKCS #11 modules that are of no use now, and why.
    pub module_faults: Vec<(PathBuf, CardFault)>,
}

impl Listing {
    /// The cards that answered.
    pub fn cards(&self) -> impl Iterator<Item = &CardSummary> {
        self.readers
            .iter()
            .filter_map(|reader| reader.card.as_ref().ok())
    }

    /// When no card answered: the fact that comes first for a person who wants to use one. A mute
    /// card before an empty reader, an empty reader before no reader.
    #[must_use]
    pub fn why_no_card(&self) -> Option<CardFault> {
        if self.cards().next().is_some() {
            return None;
        }
        let faults = || {
            self.readers
                .iter()
                .filter_map(|reader| reader.card.as_ref().err())
        };
        let serious = faults().find(|fault| !matches!(fault, CardFault::NoCard));
        Some(
            match (serious.or_else(|| faults().next()), self.pcsc_fault) {
                (Some(fault), _) => *fault,
                (None, Some(fault)) => fault,
                (None, None) => CardFault::NoReader,
            },
        )
    }
}

/// One reader and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderSummary {
    /// Which reader.
    pub reader: ReaderId,
    /// Its card, or why there is none to use.
    pub card: Result<CardSummary, CardFault>,
}

/// A card as far as it tells about itself without a PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardSummary {
    /// Where it is.
    pub reader: ReaderId,
    /// Its GUID, where it has one.
    pub guid: Option<Guid>,
    /// What its application calls itself.
    pub label: Option<String>,
    /// What kind of card it says it is.
    pub kind: CardKind,
    /// Who made it, as far as it shows.
    pub make: Recognised,
    /// The certificate of slot 9A (sign-in) in DER.
    pub authentication_certificate: Option<Vec<u8>>,
    /// The certificate of slot 9E (proof of presence) in DER.
    pub card_authentication_certificate: Option<Vec<u8>>,
    /// Whether there is a key to the certificate for sign-in.
    pub key: KeyPresence,
    /// Its PIN.
    pub pin: PinSummary,
    /// The PIN can be typed at the reader.
    pub has_pad: bool,
    /// Where its certificate is, for a card that is reached through a PKCS #11 module.
    pub token: Option<TokenCertificate>,
}

/// The state of a card's PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinSummary {
    /// Tries left; 0 is blocked; `None` when the card does not tell now.
    pub tries_left: Option<u8>,
    /// True while it is the PIN of a blank card; `None` when the card does not tell.
    pub is_default: Option<bool>,
    /// A wrong PIN was given since the last right one, where the card tells that and no number.
    pub is_low: bool,
}

impl PinSummary {
    /// True when no tries are left.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.tries_left == Some(0)
    }
}

/// What kind of card it says it is. A claim, for words and icons; the server decides by what
/// enrolment recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardKind {
    /// Our virtual card with its keys in a sealed file.
    VirtualFile,
    /// Our virtual card with its keys in the TPM.
    VirtualTpm,
    /// Any other PIV card.
    Physical,
    /// A card that is no PIV card, through its maker's PKCS #11 module.
    Token,
}

impl CardKind {
    fn of_label(label: Option<&str>) -> Self {
        match label {
            Some(label) if label.starts_with(lanyard_piv::APPLICATION_LABEL) => {
                if label.contains("TPM") {
                    Self::VirtualTpm
                } else {
                    Self::VirtualFile
                }
            }
            _ => Self::Physical,
        }
    }

    /// True for the cards that live in the computer: never pulled, never inserted.
    #[must_use]
    pub fn is_virtual(self) -> bool {
        matches!(self, Self::VirtualFile | Self::VirtualTpm)
    }
}

impl CardSummary {
    /// A card in this reader of which nothing is known.
    #[must_use]
    pub fn blank(reader: ReaderId) -> Self {
        Self {
            reader,
            guid: None,
            label: None,
            kind: CardKind::Physical,
            make: Recognised::default(),
            authentication_certificate: None,
            card_authentication_certificate: None,
            key: KeyPresence::Unknown,
            pin: PinSummary {
                tries_left: None,
                is_default: None,
                is_low: false,
            },
            has_pad: false,
            token: None,
        }
    }

    /// Reads what a card tells without a PIN.
    ///
    /// # Errors
    ///
    /// When the card is gone or silent. What it does not have, or what cannot be read, is left out.
    pub fn read(session: &mut CardSession) -> Result<Self, CardFault> {
        let make = session.recognise()?.clone();
        let label = session.application().label.clone();
        let tries_left = match session.pin_status()? {
            PinStatus::TriesLeft(left) => Some(left),
            PinStatus::Blocked => Some(0),
            PinStatus::Verified => None,
        };
        let metadata = optional(session.metadata(key_reference::PIN))?.flatten();
        let told = metadata
            .and_then(|metadata| metadata.tries)
            .map(|tries| tries.left);
        let pin = PinSummary {
            tries_left: tries_left.or(told),
            is_default: metadata.and_then(|metadata| metadata.is_default),
            is_low: false,
        };
        let has_pad = optional(session.pin_pad())?
            .unwrap_or_default()
            .verify
            .is_some();
        let key = session.key_presence(Slot::Authentication)?;
        Ok(Self {
            reader: session.reader().clone(),
            guid: optional(session.guid())?.flatten(),
            kind: CardKind::of_label(label.as_deref()),
            label,
            make,
            key,
            has_pad,
            token: None,
            authentication_certificate: optional(session.certificate(Slot::Authentication))?
                .flatten(),
            card_authentication_certificate: optional(
                session.certificate(Slot::CardAuthentication),
            )?
            .flatten(),
            pin,
        })
    }

    /// The key of slot 9A, as its certificate names it.
    #[must_use]
    pub fn authentication_key(&self) -> Option<PublicKey> {
        PublicKey::of_certificate(self.authentication_certificate.as_deref()?).ok()
    }
}

/// Leaves out what the card refuses or tells in a way that cannot be read, but not its absence.
fn optional<T>(read: Result<T, CardFault>) -> Result<Option<T>, CardFault> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(
            CardFault::BadAnswer
            | CardFault::BadCertificate(_)
            | CardFault::PinNotVerified
            | CardFault::Unsupported
            | CardFault::Refused(_),
        ) => Ok(None),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::CardPath;

    fn listing(cards: &[CardFault], pcsc_fault: Option<CardFault>) -> Listing {
        let reader = ReaderId {
            path: CardPath::Pcsc,
            name: "Reader".to_owned(),
        };
        let readers = cards
            .iter()
            .map(|fault| ReaderSummary {
                reader: reader.clone(),
                card: Err(*fault),
            })
            .collect();
        Listing {
            readers,
            pcsc_fault,
            module_faults: Vec::new(),
        }
    }

    #[test]
    fn the_most_telling_fact_comes_first() {
        let why = |cards: &[CardFault], fault| listing(cards, fault).why_no_card();
        assert_eq!(why(&[], None), Some(CardFault::NoReader));
        assert_eq!(
            why(&[], Some(CardFault::NoService)),
            Some(CardFault::NoService)
        );
        assert_eq!(why(&[CardFault::NoCard], None), Some(CardFault::NoCard));
        let mute = [CardFault::NoCard, CardFault::CardMute];
        assert_eq!(why(&mute, None), Some(CardFault::CardMute));
    }

    #[test]
    fn the_label_tells_our_own_cards_from_others() {
        let kind = CardKind::of_label;
        assert_eq!(kind(Some("Lanyard virtual card")), CardKind::VirtualFile);
        assert_eq!(
            kind(Some("Lanyard virtual card (TPM)")),
            CardKind::VirtualTpm
        );
        assert_eq!(kind(Some("Piv")), CardKind::Physical);
        assert_eq!(kind(None), CardKind::Physical);
    }
}
