// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data objects, key generation, metadata, and the management key's replacement.

use lanyard_piv::tlv::{Tag, Writer};
use lanyard_piv::{
    Command, Discovery, GenerateTemplate, Metadata, OBJECT_BYTES_MAX, ObjectError, ObjectId,
    PutData, SetManagementKey, Slot, StatusWord, key_reference,
};

use super::access::Access;
use super::{Answer, status_of};
use crate::keeper::{Keeper, KeeperError, ReferenceStatus};

/// P1 and P2 of GET DATA and PUT DATA: the current application's objects.
const CURRENT: (u8, u8) = (0x3F, 0xFF);
/// Algorithm that GET METADATA tells for PIN and PUK.
const NO_ALGORITHM: u8 = 0xFF;
/// P2 of SET MANAGEMENT KEY with and without the touch that this card cannot ask for.
const WITHOUT_TOUCH: u8 = 0xFF;

/// Objects that only the holder may read (SP 800-73-4 part 1, table 2).
const HOLDERS_OBJECTS: [ObjectId; 5] = [
    ObjectId::FINGERPRINTS,
    ObjectId::FACIAL_IMAGE,
    ObjectId::PRINTED,
    ObjectId::IRIS_IMAGES,
    ObjectId::PAIRING_CODE,
];

/// GET DATA (SP 800-73-4 part 2, 3.1.2).
pub(super) fn get_data(access: &Access, keeper: &dyn Keeper, command: &Command) -> Answer {
    if (command.p1(), command.p2()) != CURRENT {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    let object = ObjectId::from_tag_list(command.data()).map_err(status_of_object)?;
    if HOLDERS_OBJECTS.contains(&object) && !access.is_pin_verified() {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    if object == ObjectId::DISCOVERY {
        return Ok(object.wrap(&Discovery::APPLICATION_PIN_ONLY.encode()));
    }
    let contents = keeper.object(object).ok_or(StatusWord::NOT_FOUND)?;
    Ok(object.wrap(&contents))
}

/// PUT DATA (3.3.1); empty contents remove the object.
pub(super) fn put_data(access: &Access, keeper: &mut dyn Keeper, command: &Command) -> Answer {
    if (command.p1(), command.p2()) != CURRENT {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    access.require_management()?;
    let put = PutData::parse(command.data()).map_err(|error| match error {
        // 3.3.1: what cannot be written is a function that is not supported.
        ObjectError::UnknownObject => StatusWord::FUNCTION_NOT_SUPPORTED,
        _ => StatusWord::WRONG_DATA,
    })?;
    if put.object == ObjectId::DISCOVERY {
        // It says what the card does, which nobody else can change.
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    }
    if put.contents.len() > OBJECT_BYTES_MAX {
        return Err(StatusWord::NOT_ENOUGH_MEMORY);
    }
    let contents = Some(put.contents).filter(|contents| !contents.is_empty());
    keeper.put_object(put.object, contents).map_err(status_of)?;
    Ok(Vec::new())
}

/// GENERATE ASYMMETRIC KEY PAIR (3.3.2).
pub(super) fn generate(access: &mut Access, keeper: &mut dyn Keeper, command: &Command) -> Answer {
    access.require_management()?;
    if command.p1() != 0x00 {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    let slot = Slot::from_key_reference(command.p2()).ok_or(StatusWord::WRONG_PARAMETERS)?;
    let template = GenerateTemplate::parse(command.data()).map_err(|_| StatusWord::WRONG_DATA)?;
    let key = keeper
        .generate(slot, template.algorithm)
        .map_err(|error| match error {
            // Table 12: an algorithm that the card does not make is an incorrect parameter.
            KeeperError::Unsupported => StatusWord::WRONG_DATA,
            other => status_of(other),
        })?;
    access.key_generated(slot);
    Ok(key.encode())
}

/// GET METADATA, Yubico's extension, without claiming to be a YubiKey.
pub(super) fn get_metadata(keeper: &dyn Keeper, command: &Command) -> Answer {
    if command.p1() != 0x00 {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    let reference = |status: ReferenceStatus| Metadata {
        algorithm: Some(NO_ALGORITHM),
        is_default: Some(status.initial),
        tries: Some(status.tries),
    };
    match command.p2() {
        key_reference::PIN => Ok(reference(keeper.pin_status()).encode()),
        key_reference::PUK => Ok(reference(keeper.puk_status()).encode()),
        key_reference::MANAGEMENT => {
            let metadata = Metadata {
                algorithm: keeper.management_algorithms().first().map(|kind| kind.id()),
                is_default: Some(keeper.management_is_initial()),
                tries: None,
            };
            Ok(metadata.encode())
        }
        other => {
            let slot = Slot::from_key_reference(other).ok_or(StatusWord::WRONG_PARAMETERS)?;
            key_metadata(keeper, slot)
        }
    }
}

/// SET MANAGEMENT KEY, Yubico's extension: PIV itself has no command for it.
pub(super) fn set_management_key(
    access: &Access,
    keeper: &mut dyn Keeper,
    command: &Command,
) -> Answer {
    access.require_management()?;
    if (command.p1(), command.p2()) != (0xFF, WITHOUT_TOUCH) {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    let new = SetManagementKey::parse(command.data()).map_err(|_| StatusWord::WRONG_DATA)?;
    keeper
        .set_management_key(new.algorithm, &new.key)
        .map_err(status_of)?;
    Ok(Vec::new())
}

fn key_metadata(keeper: &dyn Keeper, slot: Slot) -> Answer {
    const ALGORITHM: Tag = Tag::new(0x01);
    const POLICY: Tag = Tag::new(0x02);
    const ORIGIN: Tag = Tag::new(0x03);
    const PUBLIC: Tag = Tag::new(0x04);

    let key = keeper.key(slot).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    // PIN policy 1 never, 2 once, 3 always; touch policy 1 never.
    let pin_policy = match slot {
        Slot::CardAuthentication => 1,
        Slot::Signature => 3,
        _ => 2,
    };
    Ok(Writer::new()
        .element(ALGORITHM, &[key.algorithm().id()])
        .element(POLICY, &[pin_policy, 1])
        // 1: generated on the card. Keys are never imported.
        .element(ORIGIN, &[1])
        .element(PUBLIC, &key.fields())
        .into_bytes())
}

fn status_of_object(error: ObjectError) -> StatusWord {
    match error {
        ObjectError::UnknownObject => StatusWord::NOT_FOUND,
        _ => StatusWord::WRONG_DATA,
    }
}
