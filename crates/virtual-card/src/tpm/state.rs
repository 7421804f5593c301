// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file of a card whose secrets are in the TPM: a header line, then the state as JSON.
//!
//! Nothing in it is secret: keys are encrypted by the chip, for the chip. What it says about tries
//! is only for lists; the chip counts.

use std::collections::BTreeMap;

use lanyard_piv::{Algorithm, Chuid, Guid, ObjectId, PublicKey, Slot};
use lanyard_tpm::{self as tpm, Device, NvPublic, Public};
use serde::{Deserialize, Serialize};

use crate::keeper::{KeeperError, ReferenceStatus};
use crate::sealed::{Blob, FormatError, PublicState, SealedDesk, sha256};
use crate::{PIN_TRIES_MAX, PUK_TRIES_MAX, PinDigits};

const VERSION: u32 = 1;
/// What the header names; a sealed file names another format.
const FORMAT: &str = "lanyard-tpm-card";

/// Everything that a card in the TPM remembers outside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TpmState {
    /// For people who open the file.
    pub(super) protection: String,
    /// The name that the person gave to the card.
    pub(super) name: String,
    /// The card's GUID when it was made.
    pub(super) guid: Blob,
    /// Where the chip is.
    pub(super) device: String,
    /// The name of the chip's storage key: another chip cannot serve this card.
    pub(super) storage: Blob,
    pub(super) force_pin_change: bool,
    pub(super) pin_digits: PinDigits,
    /// Still the values that the card was made with.
    pub(super) pin_initial: bool,
    pub(super) puk_initial: bool,
    /// The help desk unblocks; the PUK is given up.
    pub(super) puk_given_up: bool,
    pub(super) guard: Guard,
    pub(super) management: Management,
    /// By slot, two hexadecimal digits.
    pub(super) keys: BTreeMap<String, StoredKey>,
    /// By object tag, in hexadecimal digits.
    pub(super) objects: BTreeMap<String, Blob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) desk: Option<SealedDesk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attestation: Option<Attestation>,
}

/// What counts tries and opens keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Guard {
    /// PIN and PUK are secrets of indices that count (the rule).
    Counters(Counters),
    /// The chip has no such indices: this program counts, the chip's common lockout stands behind.
    Lockout(Lockout),
}

/// Two indices of type PIN_FAIL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counters {
    /// `TPMS_NV_PUBLIC` of the PIN's index, as it is after its first write.
    pub(super) pin: Blob,
    /// The same of the PUK's.
    pub(super) puk: Blob,
    /// The name of the object that allowed the PUK's index to be written once.
    pub(super) warden: Blob,
    /// The secret of the PUK's index, sealed so that the PIN opens it: with it the help desk takes
    /// the PUK's place. While a change is under way, the new one stands behind the old one.
    pub(super) admin: Vec<StoredBlob>,
    /// What the indices said last, for lists.
    pub(super) pin_left: u8,
    pub(super) puk_left: u8,
}

/// Tries counted in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lockout {
    /// The object whose secret K opens the keys.
    pub(super) gate: StoredBlob,
    /// K under the PIN.
    pub(super) pin: StoredBlob,
    /// K under the PUK.
    pub(super) puk: StoredBlob,
    pub(super) pin_left: u8,
    pub(super) puk_left: u8,
}

/// The management key, sealed in the chip with an empty secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Management {
    pub(super) algorithms: Vec<u8>,
    pub(super) initial: bool,
    pub(super) sealed: StoredBlob,
}

/// A key pair as the chip gave it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredKey {
    /// PIV algorithm identifier.
    pub(super) algorithm: u8,
    pub(super) blob: StoredBlob,
}

/// An attestation key of this card's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attestation {
    /// Whether the endorsement certificate goes along.
    pub(super) with_certificate: bool,
    pub(super) key: StoredBlob,
}

/// An object of the chip: its halves, the private one encrypted by the chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredBlob {
    pub(super) private: Blob,
    pub(super) public: Blob,
}

impl From<tpm::Blob> for StoredBlob {
    fn from(blob: tpm::Blob) -> Self {
        Self {
            private: Blob(blob.private),
            public: Blob(blob.public.as_bytes().to_vec()),
        }
    }
}

impl StoredBlob {
    pub(super) fn to_blob(&self) -> Result<tpm::Blob, KeeperError> {
        Ok(tpm::Blob {
            private: self.private.0.clone(),
            public: Public::parse(&self.public.0).map_err(|_| KeeperError::Damaged)?,
        })
    }
}

impl StoredKey {
    pub(super) fn public_key(&self) -> Option<PublicKey> {
        let algorithm = Algorithm::from_id(self.algorithm)?;
        match Public::parse(&self.blob.public.0).ok()?.key()? {
            tpm::PublicKey::Ecc { x, y, .. } => {
                let length = algorithm.input_bytes();
                let point = [
                    &[4][..],
                    &left_padded(&x, length)?,
                    &left_padded(&y, length)?,
                ];
                PublicKey::ecc(algorithm, &point.concat()).ok()
            }
            tpm::PublicKey::Rsa { modulus, exponent } => {
                let exponent = exponent.to_be_bytes();
                let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
                PublicKey::rsa(&modulus, exponent.get(zeros..)?).ok()
            }
        }
    }
}

/// A number at its full length.
pub(super) fn left_padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let missing = length.checked_sub(number.len())?;
    Some([&vec![0; missing][..], number].concat())
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    sha256: Blob,
}

impl TpmState {
    /// Whether these are the bytes of a card in the TPM, as far as their header tells.
    pub(crate) fn is_ours(bytes: &[u8]) -> bool {
        header(bytes).is_ok_and(|(header, _)| header.format == FORMAT)
    }

    /// The bytes of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        // A map with text keys and plain fields always has a JSON form.
        let body = serde_json::to_vec_pretty(self).unwrap_or_default();
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            sha256: Blob(sha256(&body)),
        };
        let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Where the chip is.
    pub(crate) fn device(&self) -> Result<Device, FormatError> {
        self.device.parse().map_err(|_| FormatError::Damaged)
    }

    /// Reads the bytes of the file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (header, body) = header(bytes)?;
        if header.format != FORMAT {
            return Err(FormatError::Foreign);
        }
        if header.version != VERSION {
            return Err(FormatError::Version(header.version));
        }
        if header.sha256.0 != sha256(body) {
            return Err(FormatError::Damaged);
        }
        let state: Self = serde_json::from_slice(body).map_err(|_| FormatError::Damaged)?;
        if state.is_consistent() {
            Ok(state)
        } else {
            Err(FormatError::Damaged)
        }
    }

    fn is_consistent(&self) -> bool {
        let counted = |left: u8, max| left <= max;
        let guard = match &self.guard {
            Guard::Counters(counters) => {
                counted(counters.pin_left, PIN_TRIES_MAX)
                    && counted(counters.puk_left, PUK_TRIES_MAX)
                    && NvPublic::parse(&counters.pin.0).is_ok()
                    && NvPublic::parse(&counters.puk.0).is_ok()
            }
            Guard::Lockout(lockout) => {
                counted(lockout.pin_left, PIN_TRIES_MAX) && counted(lockout.puk_left, PUK_TRIES_MAX)
            }
        };
        guard
            && self.guid.0.len() == crate::GUID_BYTES
            && self.pin_digits.is_possible()
            && self.desk.as_ref().is_none_or(SealedDesk::is_consistent)
    }

    /// The GUID that the card shows: the one of its CHUID, which enrolment may rewrite.
    pub(super) fn shown_guid(&self) -> Guid {
        let chuid = self.objects.get(&ObjectId::CHUID.to_string());
        chuid
            .and_then(|blob| Chuid::parse(&blob.0).ok())
            .map_or_else(
                // The length was checked when the state was read.
                || Guid::new(self.guid.0.as_slice().try_into().unwrap_or_default()),
                |chuid| chuid.guid,
            )
    }

    pub(super) fn public_key(&self, slot: Slot) -> Option<PublicKey> {
        self.keys.get(&slot.to_string())?.public_key()
    }

    /// The PIN's state.
    pub(super) fn pin_status(&self) -> ReferenceStatus {
        let left = match &self.guard {
            Guard::Counters(counters) => counters.pin_left,
            Guard::Lockout(lockout) => lockout.pin_left,
        };
        status(left, PIN_TRIES_MAX, self.pin_initial)
    }

    /// The PUK's state.
    pub(super) fn puk_status(&self) -> ReferenceStatus {
        let left = match &self.guard {
            _ if self.puk_given_up => 0,
            Guard::Counters(counters) => counters.puk_left,
            Guard::Lockout(lockout) => lockout.puk_left,
        };
        status(left, PUK_TRIES_MAX, self.puk_initial)
    }

    /// What the card tells without a PIN.
    pub(crate) fn public(&self) -> PublicState {
        let slots = (0x82..=0x9E)
            .filter_map(Slot::from_key_reference)
            .filter_map(|slot| {
                let certificate = self.objects.get(&ObjectId::certificate(slot).to_string());
                let certificate = certificate.map(|blob| blob.0.clone());
                let key = self.public_key(slot);
                (key.is_some() || certificate.is_some()).then_some((slot, key, certificate))
            });
        PublicState {
            name: self.name.clone(),
            guid: self.shown_guid(),
            pin: self.pin_status(),
            puk: self.puk_status(),
            management_is_initial: self.management.initial,
            slots: slots.collect(),
        }
    }
}

fn status(left: u8, total: u8, initial: bool) -> ReferenceStatus {
    ReferenceStatus {
        tries: lanyard_piv::Tries { total, left },
        initial,
    }
}

fn header(bytes: &[u8]) -> Result<(Header, &[u8]), FormatError> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(FormatError::Foreign)?;
    let (header, body) = bytes.split_at(end);
    let header = serde_json::from_slice(header).map_err(|_| FormatError::Foreign)?;
    Ok((header, body.get(1..).unwrap_or_default()))
}
