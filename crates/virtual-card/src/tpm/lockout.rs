// SPDX-License-Identifier: MIT OR Apache-2.0
//! PIN and PUK on a chip without indices that count (before revision 1.38 of the library, 2016).
//!
//! A secret K, which opens the keys, is sealed under the PIN and a second time under the PUK. This
//! program counts tries in the card's file before it asks the chip; the chip's common lockout stands
//! behind, for whoever goes round this program or puts an old file back. That is less than the rule:
//! wrong PINs count for everything in the chip, and an old copy of the file still opens with the
//! old PIN.

use lanyard_tpm::{Auth, AuthValue, Template, TpmRcBase};
use zeroize::Zeroizing;

use super::chip::Talk;
use super::counters::Which;
use super::state::{Lockout, StoredBlob};
use crate::keeper::{KeeperError, ReferenceError};

impl Lockout {
    fn sealed(&self, which: Which) -> &StoredBlob {
        match which {
            Which::Pin => &self.pin,
            Which::Puk => &self.puk,
        }
    }

    pub(super) fn left(&self, which: Which) -> u8 {
        match which {
            Which::Pin => self.pin_left,
            Which::Puk => self.puk_left,
        }
    }

    pub(super) fn left_mut(&mut self, which: Which) -> &mut u8 {
        match which {
            Which::Pin => &mut self.pin_left,
            Which::Puk => &mut self.puk_left,
        }
    }

    /// Opens K. The try was counted by the caller.
    pub(super) fn open(
        &self,
        talk: &mut Talk,
        which: Which,
        secret: &AuthValue,
    ) -> Result<Zeroizing<Vec<u8>>, ReferenceError> {
        let blob = self.sealed(which).to_blob()?;
        let object = talk.load(&blob).map_err(KeeperError::from)?;
        let opened = talk
            .tpm
            .unseal(&object, Auth::Hmac(&mut talk.session, secret), None);
        talk.drop_object(&object).map_err(KeeperError::from)?;
        opened.map_err(|error| {
            if error.is(TpmRcBase::Lockout) {
                KeeperError::LockedOut.into()
            } else if error.is_wrong_auth() {
                ReferenceError::Wrong {
                    tries_left: self.left(which),
                }
            } else {
                KeeperError::from(error).into()
            }
        })
    }
}

/// Seals K under a PIN or PUK; wrong ones count for the chip's common lockout.
pub(super) fn seal(
    talk: &mut Talk,
    secret: &AuthValue,
    k: &[u8],
) -> Result<StoredBlob, KeeperError> {
    let template = Template::sealed(None, true);
    Ok(talk.seal(secret, k, &template)?.into())
}
