// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indices: small memories that survive power-downs (part 3, 31).

use tpm2_protocol::data::{TpmCc, TpmaNv};
use zeroize::Zeroizing;

use super::Hierarchy;
use crate::auth::{Auth, AuthValue};
use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::name::{Handle, Name, SHA256};
use crate::session::Session;
use crate::wire::{Reader, Writer};

/// `TPM_NT_PIN_FAIL`, in its place in `TPMA_NV`.
const PIN_FAIL: u32 = 8 << 4;
/// Bytes of a PIN index: how often it failed, and how often it may.
pub const PIN_COUNTER_BYTES: u16 = 8;
/// Largest index that is read as a whole.
const NV_BYTES_MAX: usize = 8 * 1024;

/// What an index is (`TPMS_NV_PUBLIC`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvPublic {
    /// Its handle.
    pub handle: u32,
    /// `TPMA_NV`.
    pub attributes: u32,
    /// The policy that authorises what its attributes leave to the policy.
    pub policy: Vec<u8>,
    /// Bytes of its contents.
    pub size: u16,
}

impl NvPublic {
    /// An index that counts wrong secrets of its own and refuses all at its limit; the chip's
    /// common lockout does not see them. Only the policy may write it, so that an index that the
    /// computer's owner defines anew in its place can never be filled, and never stands for it.
    #[must_use]
    pub fn pin_counter(handle: u32, policy: &[u8]) -> Self {
        let flags = TpmaNv::POLICYWRITE | TpmaNv::AUTHREAD | TpmaNv::POLICYREAD | TpmaNv::NO_DA;
        Self {
            handle,
            attributes: flags.bits() | PIN_FAIL,
            policy: policy.to_vec(),
            size: PIN_COUNTER_BYTES,
        }
    }

    /// As it is after its first write.
    #[must_use]
    pub fn written(mut self) -> Self {
        self.attributes |= TpmaNv::WRITTEN.bits();
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::of_public(self.area().as_bytes())
    }

    /// Handle and name.
    #[must_use]
    pub fn place(&self) -> Handle {
        Handle::named(self.handle, self.name())
    }

    /// The bytes of `TPMS_NV_PUBLIC`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.area().as_bytes().to_vec()
    }

    /// Reads `TPMS_NV_PUBLIC`.
    ///
    /// # Errors
    /// When it is none, or its name is not made with SHA-256.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let mut reader = Reader::new(bytes);
        let handle = reader.u32()?;
        if reader.u16()? != SHA256 {
            return Err(TpmError::Malformed);
        }
        let public = Self {
            handle,
            attributes: reader.u32()?,
            policy: reader.sized()?.to_vec(),
            size: reader.u16()?,
        };
        reader.end()?;
        Ok(public)
    }

    fn area(&self) -> Writer {
        Writer::new()
            .u32(self.handle)
            .u16(SHA256)
            .u32(self.attributes)
            .sized(&self.policy)
            .u16(self.size)
    }
}

/// The contents of a PIN index (`TPMS_NV_PIN_COUNTER_PARAMETERS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinCounter {
    /// Wrong secrets since the last right one.
    pub failed: u32,
    /// How many block it.
    pub limit: u32,
}

impl PinCounter {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [self.failed.to_be_bytes(), self.limit.to_be_bytes()].concat()
    }

    /// Reads them.
    ///
    /// # Errors
    /// When they are too few or too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let mut reader = Reader::new(bytes);
        let counter = Self {
            failed: reader.u32()?,
            limit: reader.u32()?,
        };
        reader.end()?;
        Ok(counter)
    }

    /// Tries that are left.
    #[must_use]
    pub fn left(self) -> u32 {
        self.limit.saturating_sub(self.failed)
    }
}

impl Tpm {
    /// `TPM2_NV_DefineSpace` with the empty owner's secret; the index's own secret travels
    /// encrypted by `session`.
    pub fn define(
        &mut self,
        public: &NvPublic,
        auth: &AuthValue,
        session: &mut Session,
    ) -> Result<(), TpmError> {
        let owner = Hierarchy::Owner.handle();
        let parameters = Writer::new()
            .sized(auth.as_bytes())
            .sized(public.area().as_bytes());
        let handles = [&owner];
        let nothing = AuthValue::empty();
        let call = Call::new(TpmCc::NvDefineSpace, &handles, parameters)
            .by(Auth::Hmac(session, &nothing))
            .hiding(true, false);
        self.run(call).map(drop)
    }

    /// `TPM2_NV_UndefineSpace` with the empty owner's secret.
    pub fn undefine(&mut self, index: &Handle) -> Result<(), TpmError> {
        let owner = Hierarchy::Owner.handle();
        let handles = [&owner, index];
        let call = Call::new(TpmCc::NvUndefineSpace, &handles, Writer::new()).by(Auth::Nothing);
        self.run(call).map(drop)
    }

    /// `TPM2_NV_ReadPublic`: what an index is now.
    pub fn read_index(&mut self, handle: u32) -> Result<NvPublic, TpmError> {
        let place = Handle::permanent(handle);
        let handles = [&place];
        let given = self.run(Call::new(TpmCc::NvReadPublic, &handles, Writer::new()))?;
        NvPublic::parse(given.reader().sized()?)
    }

    /// `TPM2_NV_Write` from the beginning, by the index's own policy.
    pub fn write_index(
        &mut self,
        index: &Handle,
        policy: &mut Session,
        data: &[u8],
    ) -> Result<(), TpmError> {
        let parameters = Writer::new().sized(data).u16(0);
        let handles = [index, index];
        let call = Call::new(TpmCc::NvWrite, &handles, parameters).by(Auth::Policy(policy, None));
        self.run(call).map(drop)
    }

    /// `TPM2_NV_Read`, all of it, as the index itself allows; `at_once` is what the chip gives at a
    /// time.
    pub fn read_contents(
        &mut self,
        public: &NvPublic,
        at_once: usize,
    ) -> Result<Vec<u8>, TpmError> {
        let size = usize::from(public.size);
        if size > NV_BYTES_MAX {
            return Err(TpmError::TooLong);
        }
        let place = public.place();
        let mut contents = Vec::with_capacity(size);
        while contents.len() < size {
            let count = size.saturating_sub(contents.len()).min(at_once.max(1));
            let parameters = Writer::new()
                .u16(u16::try_from(count).map_err(|_| TpmError::TooLong)?)
                .u16(u16::try_from(contents.len()).map_err(|_| TpmError::TooLong)?);
            let handles = [&place, &place];
            let call = Call::new(TpmCc::NvRead, &handles, parameters).by(Auth::Nothing);
            let given = self.run(call)?;
            let piece = given.reader().sized()?;
            if piece.is_empty() {
                return Err(TpmError::Malformed);
            }
            contents.extend_from_slice(piece);
        }
        Ok(contents)
    }

    /// `TPM2_NV_Read` of a PIN index, by its policy.
    pub fn read_pin_counter(
        &mut self,
        index: &Handle,
        policy: &mut Session,
    ) -> Result<PinCounter, TpmError> {
        let parameters = Writer::new().u16(PIN_COUNTER_BYTES).u16(0);
        let handles = [index, index];
        let call = Call::new(TpmCc::NvRead, &handles, parameters).by(Auth::Policy(policy, None));
        let given = self.run(call)?;
        let mut reader = given.reader();
        let contents = Zeroizing::new(reader.sized()?.to_vec());
        reader.end()?;
        PinCounter::parse(&contents)
    }

    /// `TPM2_NV_ChangeAuth` by a policy; the new secret travels encrypted by `session`.
    pub fn change_index_auth(
        &mut self,
        index: &Handle,
        policy: Auth<'_>,
        new: &AuthValue,
        session: &mut Session,
    ) -> Result<(), TpmError> {
        let parameters = Writer::new().sized(new.as_bytes());
        let handles = [index];
        let call = Call::new(TpmCc::NvChangeAuth, &handles, parameters)
            .by(policy)
            .by(Auth::Encrypting(session))
            .hiding(true, false);
        self.run(call).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tries_left_are_never_negative() {
        assert_eq!(
            PinCounter {
                failed: 1,
                limit: 3
            }
            .left(),
            2
        );
        assert_eq!(
            PinCounter {
                failed: 9,
                limit: 3
            }
            .left(),
            0
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_index_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Ok(public) = NvPublic::parse(&bytes) {
                prop_assert_eq!(public.to_bytes(), bytes.clone());
            }
            let _ = PinCounter::parse(&bytes);
        }
    }
}
