// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands of the PIV application (SP 800-73-4 part 2, table 2), as the host sends them.

use crate::apdu::{Command, EXPECTED_BYTES_SHORT_MAX};
use crate::authenticate::DynamicAuthentication;
use crate::management::{ManagementAlgorithm, ManagementKey};
use crate::objects::{ObjectId, PutData};
use crate::public_key::GenerateTemplate;
use crate::secret::{NewPin, PIN_BYTES, Pin, PinFormatError, Puk};
use crate::slot::{Algorithm, Slot};

/// The application identifier of PIV, with its version (SP 800-73-4 part 1, 2.2).
pub const AID: [u8; 11] = [
    0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00,
];
/// Hosts select by a prefix of the AID; this much (the issuer, NIST) is enough.
pub const AID_PREFIX_BYTES_MIN: usize = 5;

/// Instruction bytes.
pub mod ins {
    /// VERIFY (SP 800-73-4 part 2, 3.2.1).
    pub const VERIFY: u8 = 0x20;
    /// CHANGE REFERENCE DATA (3.2.2).
    pub const CHANGE_REFERENCE_DATA: u8 = 0x24;
    /// RESET RETRY COUNTER (3.2.3).
    pub const RESET_RETRY_COUNTER: u8 = 0x2C;
    /// GENERATE ASYMMETRIC KEY PAIR (3.3.2).
    pub const GENERATE: u8 = 0x47;
    /// GENERAL AUTHENTICATE (3.2.4).
    pub const GENERAL_AUTHENTICATE: u8 = 0x87;
    /// SELECT (3.1.1).
    pub const SELECT: u8 = 0xA4;
    /// GET RESPONSE (ISO/IEC 7816-4).
    pub const GET_RESPONSE: u8 = 0xC0;
    /// GET DATA (3.1.2).
    pub const GET_DATA: u8 = 0xCB;
    /// PUT DATA (3.3.1).
    pub const PUT_DATA: u8 = 0xDB;
    /// Unblocking by the help desk and moving a key, extensions of our own card (`desk`).
    pub const DESK: u8 = 0xF0;
    /// A TPM's word for the card's keys, an extension of our own card (`chip`).
    pub const CHIP: u8 = 0xF1;
    /// ATTEST, an extension of Yubico's that other makers took over.
    pub const ATTEST: u8 = 0xF9;
    /// GET METADATA, a wide-spread extension of Yubico's.
    pub const GET_METADATA: u8 = 0xF7;
    /// SET MANAGEMENT KEY, a wide-spread extension of Yubico's.
    pub const SET_MANAGEMENT_KEY: u8 = 0xFF;
}

/// Key references that are no key slots (SP 800-73-4 part 1, table 4a).
pub mod key_reference {
    /// The PIV application PIN.
    pub const PIN: u8 = 0x80;
    /// The PIN unblocking key.
    pub const PUK: u8 = 0x81;
    /// The card management key.
    pub const MANAGEMENT: u8 = 0x9B;
}

/// True when the data of a SELECT names the PIV application: the AID, or a prefix of it from the
/// issuer on, as hosts in the field send it.
#[must_use]
pub fn matches_application(name: &[u8]) -> bool {
    name.len() >= AID_PREFIX_BYTES_MIN && AID.starts_with(name)
}

/// Splits the sixteen bytes of CHANGE REFERENCE DATA or RESET RETRY COUNTER in two halves.
///
/// # Errors
///
/// When there are not exactly sixteen bytes.
pub fn reference_change(data: &[u8]) -> Result<(&[u8], &[u8]), PinFormatError> {
    match data.len() {
        16 => data
            .split_at_checked(PIN_BYTES)
            .ok_or(PinFormatError::TooShort),
        0..16 => Err(PinFormatError::TooShort),
        _ => Err(PinFormatError::TooLong),
    }
}

impl Command {
    /// SELECT of the PIV application.
    #[must_use]
    pub fn select() -> Self {
        Self::new(ins::SELECT, 0x04, 0x00)
            .with_data(AID)
            .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// VERIFY without data: asks for the tries left and counts none.
    #[must_use]
    pub fn verify_query() -> Self {
        Self::new(ins::VERIFY, 0x00, key_reference::PIN)
    }

    /// VERIFY of the PIN.
    #[must_use]
    pub fn verify(pin: &Pin) -> Self {
        Self::new(ins::VERIFY, 0x00, key_reference::PIN).with_data(*pin.padded())
    }

    /// CHANGE REFERENCE DATA of the PIN.
    #[must_use]
    pub fn change_pin(old: &Pin, new: &NewPin) -> Self {
        Self::new(ins::CHANGE_REFERENCE_DATA, 0x00, key_reference::PIN)
            .with_data(halves(old.padded(), new.pin().padded()))
    }

    /// CHANGE REFERENCE DATA of the PUK.
    #[must_use]
    pub fn change_puk(old: &Puk, new: &Puk) -> Self {
        Self::new(ins::CHANGE_REFERENCE_DATA, 0x00, key_reference::PUK)
            .with_data(halves(old.padded(), new.padded()))
    }

    /// RESET RETRY COUNTER: a new PIN, allowed by the PUK.
    #[must_use]
    pub fn unblock(puk: &Puk, new: &NewPin) -> Self {
        Self::new(ins::RESET_RETRY_COUNTER, 0x00, key_reference::PIN)
            .with_data(halves(puk.padded(), new.pin().padded()))
    }

    /// GET DATA of an object.
    #[must_use]
    pub fn get_data(object: ObjectId) -> Self {
        Self::new(ins::GET_DATA, 0x3F, 0xFF)
            .with_data(object.to_tag_list())
            .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// PUT DATA of an object; the contents are those inside its tag 53.
    #[must_use]
    pub fn put_data(object: ObjectId, contents: &[u8]) -> Self {
        Self::new(ins::PUT_DATA, 0x3F, 0xFF).with_data(PutData::encode(object, contents))
    }

    /// GENERATE ASYMMETRIC KEY PAIR.
    #[must_use]
    pub fn generate(slot: Slot, algorithm: Algorithm) -> Self {
        Self::new(ins::GENERATE, 0x00, slot.key_reference())
            .with_data(GenerateTemplate { algorithm }.encode())
            .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// GENERAL AUTHENTICATE with a key slot.
    #[must_use]
    pub fn use_key(slot: Slot, algorithm: Algorithm, template: &DynamicAuthentication) -> Self {
        Self::new(
            ins::GENERAL_AUTHENTICATE,
            algorithm.id(),
            slot.key_reference(),
        )
        .with_data(template.encode())
        .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// GENERAL AUTHENTICATE with the management key.
    #[must_use]
    pub fn authenticate_management(
        algorithm: ManagementAlgorithm,
        template: &DynamicAuthentication,
    ) -> Self {
        Self::new(
            ins::GENERAL_AUTHENTICATE,
            algorithm.id(),
            key_reference::MANAGEMENT,
        )
        .with_data(template.encode())
        .with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// GET METADATA of a key reference (a slot, the PIN, the PUK or the management key).
    #[must_use]
    pub fn get_metadata(reference: u8) -> Self {
        Self::new(ins::GET_METADATA, 0x00, reference).with_expected(EXPECTED_BYTES_SHORT_MAX)
    }

    /// SET MANAGEMENT KEY, without touch.
    #[must_use]
    pub fn set_management_key(algorithm: ManagementAlgorithm, key: &ManagementKey) -> Self {
        Self::new(ins::SET_MANAGEMENT_KEY, 0xFF, 0xFF)
            .with_data(crate::management::SetManagementKey::encode(algorithm, key))
    }
}

fn halves(first: &[u8; PIN_BYTES], second: &[u8; PIN_BYTES]) -> Vec<u8> {
    let mut data = Vec::with_capacity(PIN_BYTES.saturating_mul(2));
    data.extend_from_slice(first);
    data.extend_from_slice(second);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_bytes_that_cards_in_the_field_take() {
        let pin = Pin::parse("482913").unwrap();
        let new = NewPin::check(Pin::parse("96418352").unwrap(), None).unwrap();
        let puk = Puk::parse("12345678").unwrap();
        let sign = DynamicAuthentication::sign(vec![0xAB; 4]);
        let lines = [
            ("select", Command::select()),
            ("verify query", Command::verify_query()),
            ("verify", Command::verify(&pin)),
            ("change pin", Command::change_pin(&pin, &new)),
            ("change puk", Command::change_puk(&puk, &puk)),
            ("unblock", Command::unblock(&puk, &new)),
            ("get chuid", Command::get_data(ObjectId::CHUID)),
            ("get discovery", Command::get_data(ObjectId::DISCOVERY)),
            (
                "put 9A certificate",
                Command::put_data(ObjectId::certificate(Slot::Authentication), &[0x70, 0]),
            ),
            (
                "generate",
                Command::generate(Slot::Authentication, Algorithm::EccP256),
            ),
            (
                "sign",
                Command::use_key(Slot::Authentication, Algorithm::EccP256, &sign),
            ),
            (
                "witness",
                Command::authenticate_management(
                    ManagementAlgorithm::Aes256,
                    &DynamicAuthentication::request_witness(),
                ),
            ),
            ("metadata", Command::get_metadata(key_reference::PIN)),
            (
                "set management key",
                Command::set_management_key(
                    ManagementAlgorithm::Aes128,
                    &ManagementKey::new(&[9; 16]).unwrap(),
                ),
            ),
        ]
        .map(|(name, command)| {
            let bytes = command.to_bytes().unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name}: {hex}")
        });
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_application_is_selected_by_any_prefix_from_the_issuer_on() {
        assert!(matches_application(&AID));
        assert!(matches_application(&AID[..9]));
        assert!(matches_application(&AID[..5]));
        assert!(!matches_application(&AID[..4]));
        assert!(!matches_application(&[0xA0, 0, 0, 3, 9]));
        assert!(!matches_application(&[&AID[..], &[0]].concat()));
    }
}
