// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a chip can do and how it fares (`TPM2_GetCapability`).

use tpm2_protocol::data::{TpmCap, TpmCc, TpmEccCurve};

use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::wire::Writer;

/// Properties of `TPM_PT` (part 2, 6.13).
mod property {
    pub(super) const FAMILY: u32 = 0x100;
    pub(super) const REVISION: u32 = 0x102;
    pub(super) const MANUFACTURER: u32 = 0x105;
    pub(super) const NV_BUFFER_MAX: u32 = 0x12C;
    pub(super) const PERMANENT: u32 = 0x200;
    pub(super) const LOCKOUT_COUNTER: u32 = 0x20E;
    pub(super) const MAX_AUTH_FAIL: u32 = 0x20F;
    pub(super) const LOCKOUT_INTERVAL: u32 = 0x210;
}

/// `TPMA_PERMANENT.inLockout`.
const IN_LOCKOUT: u32 = 1 << 9;
/// `TPMA_PERMANENT.ownerAuthSet`.
const OWNER_AUTH_SET: u32 = 1;
/// Rows asked for at a time, and at most in all.
const ROWS_MAX: u32 = 128;
const ANSWERS_MAX: usize = 16;
/// Library revision 1.38 brought PIN indices (part 2, 13.2, `TPM_NT_PIN_FAIL`).
const REVISION_WITH_PIN_INDICES: u32 = 138;
/// What a chip takes at a time where it does not say.
const NV_BUFFER_DEFAULT: usize = 512;

/// What a chip says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// "2.0" in ASCII for a TPM 2.0.
    pub family: u32,
    /// Revision of the library specification times 100.
    pub revision: u32,
    /// The maker's registered letters.
    pub manufacturer: u32,
    /// Algorithm identifiers.
    pub algorithms: Vec<u16>,
    /// Curve identifiers.
    pub curves: Vec<u16>,
    /// Bytes that an NV index takes or gives at a time.
    pub nv_buffer_bytes: usize,
    /// Wrong secrets counted for the common lockout.
    pub lockout_counter: u32,
    /// Wrong secrets until the common lockout.
    pub lockout_at: u32,
    /// Seconds until one of them is forgotten.
    pub lockout_interval_secs: u32,
    /// The common lockout is on.
    pub is_locked_out: bool,
    /// The owner's secret is set: without it nothing can be put into the chip.
    pub owner_auth_set: bool,
}

impl Capabilities {
    /// Whether it has NV indices that count wrong PINs.
    #[must_use]
    pub fn has_pin_indices(&self) -> bool {
        self.revision >= REVISION_WITH_PIN_INDICES
    }

    /// Whether it has this curve.
    #[must_use]
    pub fn has_curve(&self, curve: TpmEccCurve) -> bool {
        self.curves.contains(&(curve as u16))
    }

    /// Whether it has this algorithm.
    #[must_use]
    pub fn has_algorithm(&self, algorithm: u16) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

impl Tpm {
    /// Asks what the chip can do and how it fares.
    pub fn capabilities(&mut self) -> Result<Capabilities, TpmError> {
        let mut found = Capabilities {
            nv_buffer_bytes: NV_BUFFER_DEFAULT,
            ..Capabilities::default()
        };
        for first in [property::FAMILY, property::PERMANENT] {
            for (property, value) in self.properties(first)? {
                match property {
                    property::FAMILY => found.family = value,
                    property::REVISION => found.revision = value,
                    property::MANUFACTURER => found.manufacturer = value,
                    property::NV_BUFFER_MAX => {
                        found.nv_buffer_bytes = usize::try_from(value)
                            .unwrap_or(NV_BUFFER_DEFAULT)
                            .clamp(1, NV_BUFFER_DEFAULT);
                    }
                    property::PERMANENT => {
                        found.is_locked_out = value & IN_LOCKOUT != 0;
                        found.owner_auth_set = value & OWNER_AUTH_SET != 0;
                    }
                    property::LOCKOUT_COUNTER => found.lockout_counter = value,
                    property::MAX_AUTH_FAIL => found.lockout_at = value,
                    property::LOCKOUT_INTERVAL => found.lockout_interval_secs = value,
                    _ => {}
                }
            }
        }
        found.algorithms = self
            .rows(TpmCap::Algs, 0, |reader| {
                let algorithm = reader.u16()?;
                reader.u32()?;
                Ok((u32::from(algorithm), algorithm))
            })?
            .into_iter()
            .map(|(_, algorithm)| algorithm)
            .collect();
        found.curves = self
            .rows(TpmCap::EccCurves, 0, |reader| {
                let curve = reader.u16()?;
                Ok((u32::from(curve), curve))
            })?
            .into_iter()
            .map(|(_, curve)| curve)
            .collect();
        Ok(found)
    }

    /// The handles of a kind that are in use, given the first that can be.
    pub fn handles_from(&mut self, first: u32) -> Result<Vec<u32>, TpmError> {
        let rows = self.rows(TpmCap::Handles, first, |reader| {
            let handle = reader.u32()?;
            Ok((handle, handle))
        })?;
        Ok(rows.into_iter().map(|(handle, _)| handle).collect())
    }

    fn properties(&mut self, first: u32) -> Result<Vec<(u32, u32)>, TpmError> {
        self.rows(TpmCap::TpmProperties, first, |reader| {
            Ok((reader.u32()?, reader.u32()?))
        })
    }

    /// Reads a list to its end; a row is its number and its value.
    fn rows<T>(
        &mut self,
        capability: TpmCap,
        first: u32,
        row: impl Fn(&mut crate::wire::Reader<'_>) -> Result<(u32, T), TpmError>,
    ) -> Result<Vec<(u32, T)>, TpmError> {
        let mut found: Vec<(u32, T)> = Vec::new();
        let mut from = first;
        for _ in 0..ANSWERS_MAX {
            let parameters = Writer::new().u32(capability as u32).u32(from).u32(ROWS_MAX);
            let given = self.run(Call::new(TpmCc::GetCapability, &[], parameters))?;
            let mut reader = given.reader();
            let more = reader.u8()? != 0;
            if reader.u32()? != capability as u32 {
                return Err(TpmError::Malformed);
            }
            let count = reader.u32()?;
            if count > ROWS_MAX {
                return Err(TpmError::Malformed);
            }
            for _ in 0..count {
                found.push(row(&mut reader)?);
            }
            reader.end()?;
            let Some(next) = found.last().and_then(|(last, _)| last.checked_add(1)) else {
                break;
            };
            if !more || count == 0 {
                break;
            }
            from = next;
        }
        Ok(found)
    }
}
