// SPDX-License-Identifier: MIT OR Apache-2.0
//! The makes, as data: marks by which they are known, and quirks.
//!
//! Facts come from the makers' public documents and from the compatibility tables of keyroost-piv
//! (MIT OR Apache-2.0), whose authors had the devices. Of these makes only our own card and
//! Trussed's application are run in our tests; the others are tested against scripted answers.

use super::{Administration, Make, MetadataSupport, Row};

/// 01 to 08, three times: the factory key that Yubico made usual.
const USUAL_KEY: &[u8] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];
/// Half of it, an AES-128 key.
const HALF_OF_USUAL_KEY: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];
/// Feitian's: the digits 1 to 8 as ASCII, three times.
const FEITIAN_KEY: &[u8] = b"123456781234567812345678";

/// The identifier that Feitian's applications begin with.
pub(super) const FEITIAN_RID: &[u8] = &[0xD1, 0x56, 0x00, 0x01, 0x32];
/// The identifier that Swissbit's applications begin with.
pub(super) const SWISSBIT_RID: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x62];
/// The second name of the PIV application on IDPrime cards.
pub(super) const IDPRIME_SECOND_AID: &[u8] = &[
    0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x02, 0x00,
];

/// What a card says of itself; compared without regard to case.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// The name in the answer to reset begins so (ISO/IEC 7816-4, 8.1.1: historical bytes).
    AtrName(&'static str),
    /// The application's label begins so (SP 800-73-4 part 2, table 3: tag 50).
    LabelBegins(&'static str),
    /// The application's label holds this.
    LabelHolds(&'static str),
    /// The card knows an application of this name. Costs a SELECT, hence only asked when all other
    /// marks of the line hold and no line before it fitted.
    Knows(&'static [u8]),
}

/// Which marks make which make; the first line whose marks all hold is taken.
pub(super) const MARKS: &[(Make, &[Mark])] = &[
    (
        Make::Lanyard,
        &[Mark::LabelBegins(lanyard_piv::APPLICATION_LABEL)],
    ),
    (
        Make::SwissbitIshield1,
        &[Mark::LabelBegins("pivapplet"), Mark::AtrName("ishield")],
    ),
    (Make::PivApplet, &[Mark::LabelBegins("pivapplet")]),
    (
        Make::SwissbitIshield2,
        &[Mark::LabelHolds("openfips201"), Mark::Knows(SWISSBIT_RID)],
    ),
    (Make::OpenFips201, &[Mark::LabelHolds("openfips201")]),
    (Make::HidCrescendo, &[Mark::AtrName("c2300")]),
    (Make::HidCrescendo, &[Mark::AtrName("c4000")]),
    (Make::HidCrescendo, &[Mark::AtrName("crescendo")]),
    (
        Make::HidCrescendo,
        &[Mark::LabelBegins("hid global activid")],
    ),
    (Make::Nitrokey, &[Mark::LabelBegins("nitrokey")]),
    (Make::Nitrokey, &[Mark::AtrName("nitrokey 3")]),
    (Make::UTrust, &[Mark::AtrName("utrust")]),
    (Make::YubiKey, &[Mark::AtrName("yubikey")]),
    (Make::Feitian, &[Mark::Knows(FEITIAN_RID)]),
    (Make::IdPrime, &[Mark::Knows(IDPRIME_SECOND_AID)]),
];

const ROWS: &[Row] = &[
    Row {
        make: Make::Lanyard,
        name: "Lanyard virtual card",
        metadata: MetadataSupport::Ask,
        metadata_knows_keys: true,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: Some(USUAL_KEY),
        source: "crates/virtual-card",
    },
    Row {
        make: Make::YubiKey,
        name: "YubiKey",
        metadata: MetadataSupport::Since(&[5, 3]),
        metadata_knows_keys: true,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: Some(USUAL_KEY),
        source: "https://docs.yubico.com/yesdk/users-manual/application-piv/apdu/metadata.html",
    },
    Row {
        make: Make::Nitrokey,
        name: "Nitrokey 3 (Trussed)",
        metadata: MetadataSupport::Ask,
        metadata_knows_keys: true,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: Some(USUAL_KEY),
        source: "https://github.com/trussed-dev/piv-authenticator/blob/main/src/constants.rs",
    },
    Row {
        make: Make::PivApplet,
        name: "PivApplet",
        metadata: MetadataSupport::Since(&[5, 3, 0]),
        metadata_knows_keys: true,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: Some(USUAL_KEY),
        source: "https://github.com/arekinath/PivApplet",
    },
    Row {
        make: Make::SwissbitIshield1,
        name: "Swissbit iShield Key",
        metadata: MetadataSupport::Since(&[5, 3, 0]),
        metadata_knows_keys: true,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: Some(USUAL_KEY),
        source: "https://github.com/swissbit-eis/PivApplet",
    },
    Row {
        make: Make::OpenFips201,
        name: "OpenFIPS201",
        metadata: MetadataSupport::Ask,
        metadata_knows_keys: true,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: None,
        source: "https://github.com/makinako/OpenFIPS201",
    },
    Row {
        make: Make::SwissbitIshield2,
        name: "Swissbit iShield Key 2",
        metadata: MetadataSupport::Ask,
        // The algorithm that it tells of a slot stays what it once was.
        metadata_knows_keys: false,
        administration: Administration::Standard,
        sets_management_key: true,
        factory_key: Some(USUAL_KEY),
        source: "keyroost-piv 0.15, compat.rs: SWISSBIT_ISHIELD2_APPLET_QUIRKS",
    },
    Row {
        make: Make::HidCrescendo,
        name: "HID Crescendo",
        metadata: MetadataSupport::Never,
        metadata_knows_keys: false,
        administration: Administration::Foreign,
        sets_management_key: false,
        factory_key: None,
        source: "https://docs.hidglobal.com/crescendo/api/low-level/select.htm",
    },
    Row {
        make: Make::UTrust,
        name: "Identiv uTrust",
        metadata: MetadataSupport::Never,
        metadata_knows_keys: false,
        administration: Administration::Standard,
        sets_management_key: false,
        factory_key: Some(USUAL_KEY),
        source: "keyroost-piv 0.15, compat.rs: UTRUST_GENERIC_APPLET_VERDICTS",
    },
    Row {
        make: Make::Feitian,
        name: "Feitian",
        metadata: MetadataSupport::Never,
        metadata_knows_keys: false,
        administration: Administration::Standard,
        sets_management_key: false,
        factory_key: Some(FEITIAN_KEY),
        source: "https://fido.ftsafe.com/feitian-sk-manager-tool-user-manual/",
    },
    Row {
        make: Make::IdPrime,
        name: "Thales IDPrime PIV",
        metadata: MetadataSupport::Ask,
        metadata_knows_keys: false,
        administration: Administration::AnswerUnderWitness,
        sets_management_key: false,
        factory_key: Some(HALF_OF_USUAL_KEY),
        source: "keyroost-piv 0.15, compat.rs: IDPRIME_APPLET_QUIRKS",
    },
    PLAIN,
];

/// A card that follows the standard, and of which nothing else is known.
const PLAIN: Row = Row {
    make: Make::Plain,
    name: "PIV card",
    metadata: MetadataSupport::Ask,
    metadata_knows_keys: false,
    administration: Administration::Standard,
    sets_management_key: true,
    factory_key: Some(USUAL_KEY),
    source: "SP 800-73-4",
};

pub(super) fn row(make: Make) -> &'static Row {
    static LAST: Row = PLAIN;
    ROWS.iter().find(|row| row.make == make).unwrap_or(&LAST)
}

#[cfg(test)]
pub(super) fn rows() -> &'static [Row] {
    ROWS
}
