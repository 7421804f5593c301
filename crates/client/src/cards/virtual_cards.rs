// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making and destroying the virtual cards of this computer.

use lanyard_card::piv::{ManagementKey, Pin, Puk};
use lanyard_fault::Fault;
use lanyard_virtual_card::{
    CardName, CardSpec, CreateError, KeeperError, NewTpmCardError, TpmError,
};
use zeroize::Zeroizing;

use super::admin::{CardChange, new_pin};
use super::daemon::{card_places, ensure_daemon};
use super::facts::CardFacts;
use super::listing::instance_of;
use super::problems::pin_format_problem;
use crate::config::{CardPath, ClientConfig};
use crate::places::Places;
use crate::problem::Problem;

/// The first PIN.
#[derive(Debug)]
pub enum PinChoice {
    /// 12345678, to be changed before first use.
    Default,
    /// The person's own.
    Given(Zeroizing<String>),
}

/// The PUK.
#[derive(Debug)]
pub enum PukChoice {
    /// 12345678.
    Default,
    /// Drawn at random and told once.
    Random,
    /// The person's own.
    Given(Zeroizing<String>),
}

/// The key that administers the card.
#[derive(Debug)]
pub enum AdminKeyChoice {
    /// The well-known one.
    Default,
    /// Random, kept beside the card.
    Random,
    /// The person's own, in hexadecimal digits.
    Given(Zeroizing<String>),
}

/// What guards the card's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeeperChoice {
    /// The computer's TPM.
    Tpm,
    /// A file, without hardware protection: the person has accepted that.
    SealedFile,
}

/// What a card in the TPM shall be able to prove about its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestationChoice {
    /// That they are in the TPM of one attestation key.
    AikOnly,
    /// Also which maker's TPM it is.
    AikAndCert,
}

/// A card to be made.
#[derive(Debug)]
pub struct CreateCard {
    /// Its name.
    pub name: String,
    /// Its first PIN.
    pub pin: PinChoice,
    /// Its PUK.
    pub puk: PukChoice,
    /// Its admin key.
    pub admin_key: AdminKeyChoice,
    /// What guards its secrets.
    pub keeper: KeeperChoice,
    /// What it shall be able to prove about its keys.
    pub attestation: Option<AttestationChoice>,
    /// What its PINs must look like, in tpmvscmgr's words: `minlen=6,maxlen=8`.
    pub pin_policy: Option<String>,
}

/// A card that was made.
#[derive(Debug)]
pub struct Created {
    /// Its instance on this computer.
    pub instance: String,
    /// Its number.
    pub guid: String,
    /// A PUK that was drawn at random: it is told now and kept nowhere.
    pub puk: Option<Zeroizing<String>>,
}

/// Makes a virtual card and serves it.
///
/// # Errors
/// When a choice is not allowed, the files cannot be written, or the card is not served.
pub fn create(
    places: &Places,
    config: &ClientConfig,
    order: &CreateCard,
) -> Result<Created, Problem> {
    let name = CardName::parse(&order.name).map_err(|error| {
        Problem::new(Fault::VirtualCardName).with_detail(format!("It is refused: {error}."))
    })?;
    let mut spec = CardSpec::new(name);
    spec.pin = match &order.pin {
        PinChoice::Default => lanyard_virtual_card::PinChoice::Default,
        PinChoice::Given(text) => lanyard_virtual_card::PinChoice::Given(new_pin(text, None)?),
    };
    spec.puk = match &order.puk {
        PukChoice::Default => lanyard_virtual_card::PukChoice::Default,
        PukChoice::Random => lanyard_virtual_card::PukChoice::Random,
        PukChoice::Given(text) => {
            let puk = Puk::parse(text).map_err(|_| pin_format_problem())?;
            lanyard_virtual_card::PukChoice::Given(puk)
        }
    };
    if let Some(text) = &order.pin_policy {
        spec.pin_digits = super::pin_policy::parse(text)?;
    }
    if let lanyard_virtual_card::PinChoice::Given(pin) = &spec.pin
        && !spec.pin_digits.allows(pin.pin())
    {
        return Err(Problem::new(Fault::PinRefused)
            .with_detail("It is shorter or longer than the PIN policy says."));
    }
    spec.keeper = keeper(order, config)?;
    spec.admin_key = match &order.admin_key {
        AdminKeyChoice::Default => lanyard_virtual_card::AdminKeyChoice::Default,
        AdminKeyChoice::Random => lanyard_virtual_card::AdminKeyChoice::Random,
        AdminKeyChoice::Given(text) => {
            lanyard_virtual_card::AdminKeyChoice::Given(parse_admin_key(text)?)
        }
    };
    let made = lanyard_virtual_card::create(&card_places(places), spec).map_err(create_problem)?;
    if config.card_path != CardPath::Pcsc {
        ensure_daemon(places)?;
    }
    let puk = made.puk.map(|puk| {
        let digits = puk.padded().iter().filter(|byte| byte.is_ascii_digit());
        Zeroizing::new(digits.map(|byte| char::from(*byte)).collect::<String>())
    });
    let guid = made
        .guid
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Created {
        instance: made.instance.to_string(),
        guid,
        puk,
    })
}

fn keeper(
    order: &CreateCard,
    config: &ClientConfig,
) -> Result<lanyard_virtual_card::KeeperChoice, Problem> {
    use lanyard_virtual_card as card;
    match (order.keeper, order.attestation) {
        (KeeperChoice::SealedFile, None) => Ok(card::KeeperChoice::SealedFile),
        (KeeperChoice::SealedFile, Some(_)) => Err(Problem::new(Fault::AttestationNeedsTpm)),
        (KeeperChoice::Tpm, attestation) => Ok(card::KeeperChoice::Tpm {
            device: config.tpm_device.clone(),
            attestation: attestation.map(|choice| match choice {
                AttestationChoice::AikOnly => card::AttestationChoice::AikOnly,
                AttestationChoice::AikAndCert => card::AttestationChoice::AikAndCert,
            }),
        }),
    }
}

/// Why a card could not be made in the TPM, and what to do.
fn tpm_problem(error: &NewTpmCardError) -> Problem {
    let fault = match error {
        NewTpmCardError::Chip(TpmError::Absent(_)) => Fault::TpmAbsent,
        NewTpmCardError::Chip(TpmError::Denied(_)) => Fault::TpmDenied,
        NewTpmCardError::OwnerSecret => Fault::TpmOwned,
        NewTpmCardError::Full => Fault::TpmFull,
        NewTpmCardError::TooOld => Fault::TpmTooOld,
        NewTpmCardError::Keeper(KeeperError::NotWritten) => Fault::LocalFile,
        _ => Fault::TpmMute,
    };
    Problem::new(fault)
}

fn create_problem(error: CreateError) -> Problem {
    match error {
        CreateError::TooMany => Problem::new(Fault::VirtualCardsTooMany),
        CreateError::Tpm(error) => tpm_problem(&error),
        CreateError::Write(source) => {
            use std::io::ErrorKind::{QuotaExceeded, StorageFull};
            match source.kind() {
                StorageFull | QuotaExceeded => Problem::new(Fault::DiskFull),
                _ => Problem::new(Fault::LocalFile).with_detail(format!("{source}.")),
            }
        }
        other => Problem::new(Fault::LocalFile).with_detail(format!("It failed: {other}.")),
    }
}

/// Destroys a virtual card of this computer. Its keys cannot be brought back.
///
/// # Errors
/// When it is another kind of card, or its files cannot be removed.
pub fn destroy(card: &CardChange<'_>) -> Result<(), Problem> {
    let instance = instance_of(card.places(), card.facts());
    let instance = instance.ok_or_else(|| Problem::new(Fault::CardNotVirtual))?;
    lanyard_virtual_card::destroy(&card_places(card.places()), instance)
        .map_err(|error| Problem::new(Fault::LocalFile).with_detail(format!("It failed: {error}.")))
}

/// The admin key that lies beside a virtual card of this computer.
#[must_use]
pub fn stored_admin_key(places: &Places, facts: &CardFacts) -> Option<ManagementKey> {
    let instance = instance_of(places, facts)?;
    lanyard_virtual_card::admin_key(&card_places(places), instance).ok()?
}

/// Whether the holder of a virtual card of this computer keeps a PUK of their own.
pub(crate) fn keeps_own_puk(places: &Places, facts: &CardFacts) -> bool {
    instance_of(places, facts)
        .is_some_and(|instance| lanyard_virtual_card::keeps_own_puk(&card_places(places), instance))
}

/// Removes the admin key that lies beside a virtual card: the card has another one now.
pub(crate) fn forget_stored_admin_key(places: &Places, facts: &CardFacts) {
    if let Some(instance) = instance_of(places, facts)
        && let Err(error) = lanyard_virtual_card::forget_admin_key(&card_places(places), instance)
    {
        tracing::warn!(%error, "the old admin key beside the card could not be removed");
    }
}

/// Reads an admin key in hexadecimal digits.
///
/// # Errors
/// When it is none.
pub fn parse_admin_key(text: &Zeroizing<String>) -> Result<ManagementKey, Problem> {
    ManagementKey::from_hex(text.trim()).map_err(|error| {
        Problem::new(Fault::AdminKeyRefused).with_detail(format!("It is refused: {error}."))
    })
}

/// Whether a PIN is the one of every blank card.
#[must_use]
pub fn is_first_pin(text: &Zeroizing<String>) -> bool {
    Pin::parse(text).is_ok_and(|pin| pin.is_transport())
}
