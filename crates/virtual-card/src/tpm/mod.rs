// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keeper in the computer's TPM: private keys never leave the chip, and the chip counts tries.
//!
//! # Layout
//!
//! * Two indices of type PIN_FAIL, one for the PIN and one for the PUK, at free handles of the
//!   owner's range. Their secrets are hashes of PIN and PUK. A wrong one is counted by the index,
//!   the right one sets the count back, at the limit all are refused. The chip's common lockout,
//!   which other programs depend on, does not see them. Who may write them: see `counters`.
//! * Keys: made under a storage key of the chip with `fixedTPM`, `fixedParent` and
//!   `sensitiveDataOrigin`, and the policy `PolicySecret(PIN's index)`. The file holds them encrypted
//!   by the chip. The key of slot 9E has no policy: it needs no PIN, but it needs this chip.
//! * The management key: sealed in the chip with an empty secret. It hides the key from whoever
//!   copies the disk, not from whoever runs programs as this person.
//! * Objects (certificates and the like): in the card's file.
//!
//! # What follows
//!
//! Changing the PIN is one command of the chip (`NV_ChangeAuth`): at any moment the old PIN holds
//! or the new one, whatever happens to this program or its file. Putting an old file back gives no
//! try back and revives no PIN. Root alone gets no use of a key: he can destroy the card, that is
//! all. A chip without such indices is served by `lockout`, which is less and says so.
//!
//! No PIN crosses the bus: sessions are salted to the storage key, whose name the file remembers.

mod attest;
mod card;
mod chip;
mod counters;
mod desk;
mod keeper;
mod keys;
mod lockout;
mod making;
mod state;

pub use self::attest::{AttestationChoice, KeyEvidence};
pub use self::card::{OpenError, TpmCard};
pub use self::making::NewTpmCardError;
pub(crate) use self::making::{remains, undefine};
pub(crate) use self::state::TpmState;
