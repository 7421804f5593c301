// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a card in the chip, and taking it out again.
//!
//! The file comes first: it names the indices before they are defined, so that whatever a crash
//! leaves behind can be found and taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanyard_tpm::policy::Policy;
use lanyard_tpm::{
    AuthValue, Capabilities, Connect, Device, Handle, NvPublic, Template, TpmError, TpmRcBase,
    TpmaNv,
};
use zeroize::Zeroizing;

use super::attest::AttestationChoice;
use super::card::{TpmCard, seal_management};
use super::chip::{Chip, Talk, auth_of, secret_of};
use super::counters::{Which, branches, write};
use super::state::{Counters, Guard, Lockout, TpmState};
use super::{keys, lockout};
use crate::keeper::KeeperError;
use crate::sealed::{Blob, NewCard, Storage, random};

/// First handle of the range that is the computer's owner's to use (TCG registry of reserved
/// handles 1.1, 2.2.2), and how many of it we draw from.
const HANDLES_FROM: u32 = 0x0180_0000;
const HANDLES: u32 = 0x0040_0000;
/// How many drawn handles may be taken before the chip is called full.
const DRAWS_MAX: usize = 32;
const SECRET_BYTES: usize = 32;
const PROTECTION: &str = "keys in the TPM of this computer";

/// Why a card was not made in the chip.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum NewTpmCardError {
    /// The chip cannot be used.
    #[error("the TPM cannot be used")]
    Chip(#[from] TpmError),
    /// The owner of the computer has set a secret for the chip: nobody can put anything into it.
    #[error("the owner's secret of the TPM is set")]
    OwnerSecret,
    /// The chip's memory is full.
    #[error("the TPM's memory is full")]
    Full,
    /// The chip has not even P-256.
    #[error("the TPM is too old for cards")]
    TooOld,
    /// The file cannot be written, or a step in it failed.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
}

impl<S: Storage> TpmCard<S> {
    /// Makes a new card in the chip and stores it. On failure nothing of it stays in the chip.
    pub fn create(
        card: NewCard,
        attestation: Option<AttestationChoice>,
        storage: S,
        device: Device,
    ) -> Result<Self, NewTpmCardError> {
        let name = device.to_string();
        Self::create_through(card, attestation, storage, Arc::new(device), name)
    }

    /// As [`TpmCard::create`], through a connection of one's own; `device` is what the card
    /// remembers.
    pub fn create_through(
        card: NewCard,
        attestation: Option<AttestationChoice>,
        mut storage: S,
        connect: Arc<dyn Connect>,
        device: String,
    ) -> Result<Self, NewTpmCardError> {
        let mut chip = Chip::new(connect, None);
        let mut talk = chip.begin().map_err(|error| {
            if error.is_wrong_auth() {
                NewTpmCardError::OwnerSecret
            } else {
                error.into()
            }
        })?;
        let found = talk.tpm.capabilities()?;
        if found.owner_auth_set {
            return Err(NewTpmCardError::OwnerSecret);
        }
        let algorithms = keys::algorithms(&found);
        if algorithms.is_empty() {
            return Err(NewTpmCardError::TooOld);
        }
        chip.pin_to(talk.storage.public().name());
        let plan = Plan::draw(&mut talk, &card, &found)?;
        let kinds = card.management_key.algorithms();
        let kinds = kinds.iter().map(|kind| kind.id()).collect();
        let state = TpmState {
            protection: PROTECTION.to_owned(),
            name: card.name.as_str().to_owned(),
            guid: Blob(card.guid.as_bytes().to_vec()),
            device,
            storage: Blob(talk.storage.public().name().as_bytes().to_vec()),
            force_pin_change: card.force_pin_change,
            pin_digits: card.pin_digits,
            pin_initial: card.pin_is_transport,
            puk_initial: card.puk.is_transport(),
            puk_given_up: false,
            guard: plan.guard.clone(),
            management: seal_management(&mut talk, kinds, &card.management_key)?,
            keys: BTreeMap::new(),
            objects: card
                .objects
                .iter()
                .map(|(object, contents)| (object.to_string(), Blob(contents.clone())))
                .collect(),
            desk: None,
            attestation: match attestation {
                Some(choice) => Some(choice.make(&mut talk)?),
                None => None,
            },
        };
        storage
            .store(&state.encode())
            .map_err(|_| KeeperError::NotWritten)?;
        if let Err(error) = plan.define(&mut talk) {
            let _ = remove(&mut talk, &state);
            return Err(error);
        }
        drop(talk);
        Ok(Self {
            state,
            storage,
            chip,
            algorithms,
            epoch: 0,
        })
    }
}

/// What a new card's guard will be, and the secrets to make it with.
struct Plan {
    guard: Guard,
    pin: AuthValue,
    puk: AuthValue,
    /// Allows the PUK's index to be written, once; forgotten with the plan.
    warden: Option<(lanyard_tpm::Blob, AuthValue)>,
}

impl Plan {
    fn draw(
        talk: &mut Talk,
        card: &NewCard,
        found: &Capabilities,
    ) -> Result<Self, NewTpmCardError> {
        let guid = card.guid.as_bytes();
        let pin = auth_of(Which::Pin.place(), guid, card.pin.padded());
        let puk = auth_of(Which::Puk.place(), guid, card.puk.padded());
        if !found.has_pin_indices() {
            return Self::without_indices(talk, pin, puk);
        }
        let secret = AuthValue::new(&drawn()?);
        let warden = talk.seal(&secret, &drawn()?, &Template::sealed(None, false))?;
        let puk_index = counter(
            free_handle(talk, None)?,
            &Policy::any_of(&branches(&warden.public.name())),
        );
        let pin_index = counter(
            free_handle(talk, Some(puk_index.handle))?,
            &Policy::any_of(&branches(&puk_index.clone().written().name())),
        );
        let pin_written = pin_index.written();
        let policy = Policy::new().secret(&pin_written.name());
        let admin = talk.seal(
            &AuthValue::empty(),
            &secret_of(Which::Puk.place(), guid, card.puk.padded()),
            &Template::sealed(Some(policy.as_bytes()), false),
        )?;
        let guard = Guard::Counters(Counters {
            pin: Blob(pin_written.to_bytes()),
            puk: Blob(puk_index.written().to_bytes()),
            warden: Blob(warden.public.name().as_bytes().to_vec()),
            admin: vec![admin.into()],
            pin_left: Which::Pin.tries_max(),
            puk_left: Which::Puk.tries_max(),
        });
        Ok(Self {
            guard,
            pin,
            puk,
            warden: Some((warden, secret)),
        })
    }

    fn without_indices(
        talk: &mut Talk,
        pin: AuthValue,
        puk: AuthValue,
    ) -> Result<Self, NewTpmCardError> {
        let k = drawn()?;
        let gate = talk.seal(
            &AuthValue::new(&k),
            &drawn()?,
            &Template::sealed(None, false),
        )?;
        let guard = Guard::Lockout(Lockout {
            gate: gate.into(),
            pin: lockout::seal(talk, &pin, &k)?,
            puk: lockout::seal(talk, &puk, &k)?,
            pin_left: Which::Pin.tries_max(),
            puk_left: Which::Puk.tries_max(),
        });
        Ok(Self {
            guard,
            pin,
            puk,
            warden: None,
        })
    }

    /// Defines and fills the indices.
    fn define(&self, talk: &mut Talk) -> Result<(), NewTpmCardError> {
        let (Guard::Counters(counters), Some((warden, secret))) = (&self.guard, &self.warden)
        else {
            return Ok(());
        };
        let puk = counters.index(Which::Puk)?;
        let pin = counters.index(Which::Pin)?;
        let entity = talk.load(warden)?;
        define(talk, &puk, &self.puk)?;
        let admin = (entity.handle(), secret);
        let policy = branches(entity.handle().name());
        write(
            talk,
            &unwritten(&puk).place(),
            &policy,
            admin,
            Which::Puk,
            Which::Puk.tries_max(),
        )?;
        talk.drop_object(&entity)?;
        define(talk, &pin, &self.pin)?;
        let puk_place = puk.place();
        let admin = (&puk_place, &self.puk);
        let policy = branches(puk_place.name());
        write(
            talk,
            &unwritten(&pin).place(),
            &policy,
            admin,
            Which::Pin,
            Which::Pin.tries_max(),
        )?;
        Ok(())
    }
}

fn define(talk: &mut Talk, index: &NvPublic, secret: &AuthValue) -> Result<(), NewTpmCardError> {
    talk.tpm
        .define(&unwritten(index), secret, &mut talk.session)
        .map_err(|error| {
            if error.is(TpmRcBase::NvSpace) {
                NewTpmCardError::Full
            } else {
                error.into()
            }
        })
}

/// An index as it is before its first write.
fn unwritten(index: &NvPublic) -> NvPublic {
    NvPublic {
        attributes: index.attributes & !TpmaNv::WRITTEN.bits(),
        ..index.clone()
    }
}

fn counter(handle: u32, policy: &Policy) -> NvPublic {
    NvPublic::pin_counter(handle, policy.as_bytes())
}

/// A handle of the owner's range that nobody uses.
fn free_handle(talk: &mut Talk, besides: Option<u32>) -> Result<u32, NewTpmCardError> {
    for _ in 0..DRAWS_MAX {
        let mut bytes = [0; 4];
        random(&mut bytes).map_err(KeeperError::from)?;
        let drawn = u32::from_be_bytes(bytes).checked_rem(HANDLES).unwrap_or(0);
        let handle = HANDLES_FROM.saturating_add(drawn);
        if Some(handle) == besides {
            continue;
        }
        match talk.tpm.read_index(handle) {
            Err(error) if error.is(TpmRcBase::Handle) => return Ok(handle),
            Ok(_) => {}
            // An index of a kind that we cannot read is taken as well.
            Err(TpmError::Malformed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(NewTpmCardError::Full)
}

fn drawn() -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    let mut secret = Zeroizing::new(vec![0; SECRET_BYTES]);
    random(&mut secret)?;
    Ok(secret)
}

/// Takes the indices of a card out of its chip; `bytes` is the card's file. A card of another kind,
/// or one that the chip does not know, is no error.
pub(crate) fn undefine(bytes: &[u8]) -> Result<(), TpmError> {
    let Ok(state) = TpmState::decode(bytes) else {
        return Ok(());
    };
    if !matches!(state.guard, Guard::Counters(_)) {
        return Ok(());
    }
    let Ok(device) = state.device() else {
        return Ok(());
    };
    let chip = Chip::new(Arc::new(device), None);
    remove(&mut chip.begin()?, &state)
}

fn remove(talk: &mut Talk, state: &TpmState) -> Result<(), TpmError> {
    let Guard::Counters(counters) = &state.guard else {
        return Ok(());
    };
    for which in [Which::Pin, Which::Puk] {
        let Ok(ours) = counters.index(which) else {
            continue;
        };
        let there = match talk.tpm.read_index(ours.handle) {
            Ok(there) => there,
            Err(error) if error.is(TpmRcBase::Handle) => continue,
            Err(error) => return Err(error),
        };
        // Somebody else's index in the same place is left alone.
        if unwritten(&there) == unwritten(&ours) {
            let place: Handle = there.place();
            talk.tpm.undefine(&place)?;
        }
    }
    Ok(())
}

/// What must be kept of a destroyed card until its chip can be reached: no keys, only the names of
/// its indices. Nothing for a card of another kind.
pub(crate) fn remains(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut state = TpmState::decode(bytes).ok()?;
    state.keys.clear();
    state.objects.clear();
    state.attestation = None;
    state.desk = None;
    Some(state.encode())
}
