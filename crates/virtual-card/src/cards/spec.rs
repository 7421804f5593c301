// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a new card shall be.

use lanyard_piv::{ManagementKey, NewPin, Puk};
use lanyard_tpm::Device;

use crate::{AttestationChoice, KdfCost, PinDigits};

const NAME_CHARS_MAX: usize = 64;

/// A person's name for a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardName(String);

/// The text is no card name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card's name has 1 to {NAME_CHARS_MAX} characters and no control characters")]
pub struct CardNameError;

impl CardName {
    /// Takes a name of 1 to 64 characters.
    pub fn parse(text: &str) -> Result<Self, CardNameError> {
        let text = text.trim();
        let length = text.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&length) || text.chars().any(char::is_control) {
            return Err(CardNameError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `--pin`.
#[derive(Debug, Default)]
pub enum PinChoice {
    /// 12345678, which serves only to choose the real one.
    #[default]
    Default,
    /// What the person typed.
    Given(NewPin),
}

/// `--puk`.
#[derive(Debug, Default)]
pub enum PukChoice {
    /// 12345678.
    #[default]
    Default,
    /// Eight random digits, told once.
    Random,
    /// What the person typed.
    Given(Puk),
}

/// `--admin-key`.
#[derive(Debug, Default)]
pub enum AdminKeyChoice {
    /// The published key 01 to 08, three times; spoken as 3DES and as AES-192.
    #[default]
    Default,
    /// A random AES-256 key of this card's own, kept beside the card for enrolment.
    Random,
    /// What the person typed.
    Given(ManagementKey),
}

/// What guards a new card's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperChoice {
    /// The TPM at this place; the card remembers it.
    Tpm {
        /// Where the chip is.
        device: Device,
        /// Whether the card gets an attestation key.
        attestation: Option<AttestationChoice>,
    },
    /// A file: no hardware protection.
    SealedFile,
}

/// What a new card shall be.
#[derive(Debug)]
pub struct CardSpec {
    /// The person's name for it.
    pub name: CardName,
    /// Its first PIN.
    pub pin: PinChoice,
    /// Its PUK.
    pub puk: PukChoice,
    /// Its management key.
    pub admin_key: AdminKeyChoice,
    /// What guards its secrets.
    pub keeper: KeeperChoice,
    /// How many digits a new PIN may have.
    pub pin_digits: PinDigits,
    /// Whether private keys are refused until the default PIN was changed. Only strict PIV test
    /// programs want this off.
    pub force_pin_change: bool,
    /// What one guess of the PIN costs whoever copied the file.
    pub kdf: KdfCost,
}

impl CardSpec {
    /// A card in a sealed file with all defaults.
    #[must_use]
    pub fn new(name: CardName) -> Self {
        Self {
            name,
            pin: PinChoice::Default,
            puk: PukChoice::Default,
            admin_key: AdminKeyChoice::Default,
            keeper: KeeperChoice::SealedFile,
            pin_digits: PinDigits::default(),
            force_pin_change: true,
            kdf: KdfCost::RECOMMENDED,
        }
    }
}
