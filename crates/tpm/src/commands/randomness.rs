// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers of the chip, and the common lockout.

use tpm2_protocol::data::TpmCc;
use zeroize::Zeroizing;

use crate::auth::Auth;
use crate::conversation::{Call, Tpm};
use crate::error::TpmError;
use crate::name::Handle;
use crate::session::Session;
use crate::wire::Writer;

/// A chip gives at most a digest's length at a time.
const RANDOM_BYTES_AT_ONCE: usize = 32;
/// More answers than any request of ours needs.
const ANSWERS_MAX: usize = 64;
/// `TPM_RH_LOCKOUT`.
const LOCKOUT: u32 = 0x4000_000A;

impl Tpm {
    /// `TPM2_GetRandom`, encrypted on its way where there is a session.
    pub fn random(
        &mut self,
        bytes: &mut [u8],
        mut session: Option<&mut Session>,
    ) -> Result<(), TpmError> {
        let mut at = 0;
        for _ in 0..ANSWERS_MAX {
            let missing = bytes.len().saturating_sub(at);
            if missing == 0 {
                return Ok(());
            }
            let wanted = u16::try_from(missing.min(RANDOM_BYTES_AT_ONCE)).unwrap_or(1);
            let hides = session.is_some();
            let call = Call::new(TpmCc::GetRandom, &[], Writer::new().u16(wanted))
                .hidden_by(session.as_deref_mut())
                .hiding(false, hides);
            let given = self.run(call)?;
            let mut reader = given.reader();
            let got = reader.sized()?;
            reader.end()?;
            for (slot, byte) in bytes.iter_mut().skip(at).zip(got) {
                *slot = *byte;
                at = at.saturating_add(1);
            }
        }
        Err(TpmError::Malformed)
    }

    /// `TPM2_StirRandom`: adds this side's randomness to the chip's.
    pub fn stir_random(
        &mut self,
        bytes: &Zeroizing<Vec<u8>>,
        session: &mut Session,
    ) -> Result<(), TpmError> {
        let call = Call::new(TpmCc::StirRandom, &[], Writer::new().sized(bytes))
            .by(Auth::Encrypting(session))
            .hiding(true, false);
        self.run(call).map(drop)
    }

    /// `TPM2_DictionaryAttackLockReset` with the empty lockout secret: ends the common lockout.
    pub fn reset_lockout(&mut self) -> Result<(), TpmError> {
        let lockout = Handle::permanent(LOCKOUT);
        let handles = [&lockout];
        let call =
            Call::new(TpmCc::DictionaryAttackLockReset, &handles, Writer::new()).by(Auth::Nothing);
        self.run(call).map(drop)
    }
}
