// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who made a card, and what that means for how it is spoken to.
//!
//! Nobody chooses a make from a list: the card is recognised by what it says anyway, the answer to
//! reset and the answer to SELECT, and, only where these leave the question open, by whether it
//! knows an application of its maker. What is known of the makes is data ([`table`]).

mod recognise;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use recognise::label_of;
pub use recognise::{CardVersion, Recognised};

/// The makes that are told apart.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Make {
    /// Our own virtual card.
    Lanyard,
    /// Yubico YubiKey.
    YubiKey,
    /// Nitrokey 3, and other devices with Trussed's PIV application.
    Nitrokey,
    /// Cards with Arekinath's PivApplet.
    PivApplet,
    /// Swissbit iShield Key of the first series, which carries a PivApplet.
    SwissbitIshield1,
    /// Cards with OpenFIPS201.
    OpenFips201,
    /// Swissbit iShield Key 2, which carries an OpenFIPS201.
    SwissbitIshield2,
    /// HID Crescendo.
    HidCrescendo,
    /// Identiv (Hirsch) uTrust.
    UTrust,
    /// Feitian.
    Feitian,
    /// Thales IDPrime PIV.
    IdPrime,
    /// A PIV card that follows the standard and says nothing about its maker.
    #[default]
    Plain,
}

/// How a card speaks GET METADATA, Yubico's extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetadataSupport {
    /// It is asked; a card that does not know the command says so.
    Ask,
    /// Only from this version of its application on.
    Since(&'static [u8]),
    /// It never does, and need not be asked.
    Never,
}

/// How the management key of a card is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Administration {
    /// As the standard says (SP 800-73-4 part 2, A.1).
    Standard,
    /// As the standard says, except that the card puts its answer under the tag of the witness.
    AnswerUnderWitness,
    /// Not with a PIV management key at all, but with the maker's own commands.
    Foreign,
}

/// What is known of one make.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) make: Make,
    /// Its name for people.
    pub(crate) name: &'static str,
    pub(crate) metadata: MetadataSupport,
    /// GET METADATA tells the truth about the keys of slots.
    pub(crate) metadata_knows_keys: bool,
    pub(crate) administration: Administration,
    /// It knows SET MANAGEMENT KEY, Yubico's extension.
    pub(crate) sets_management_key: bool,
    /// The management key that a blank one has, where that is public.
    pub(crate) factory_key: Option<&'static [u8]>,
    /// Where these facts are written down.
    #[cfg_attr(not(test), expect(dead_code, reason = "for those who read the table"))]
    pub(crate) source: &'static str,
}

impl Make {
    pub(crate) fn row(self) -> &'static Row {
        table::row(self)
    }

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The management key of a blank card of this make, where that is public knowledge.
    #[must_use]
    pub fn factory_management_key(self) -> Option<&'static [u8]> {
        self.row().factory_key
    }

    /// True when the card is administered with a PIV management key, so that this program can enrol
    /// it.
    #[must_use]
    pub fn is_administered_by_piv(self) -> bool {
        self.row().administration != Administration::Foreign
    }
}

impl std::fmt::Display for Make {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
