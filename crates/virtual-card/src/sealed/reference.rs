// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PIN and the PUK in a card's state.

use lanyard_piv::Tries;

use super::format::{CardState, SealedReference};
use crate::keeper::ReferenceStatus;
use crate::{PIN_TRIES_MAX, PUK_TRIES_MAX};

/// The PIN or the PUK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Pin,
    Puk,
}

impl Which {
    pub(super) fn of(self, state: &CardState) -> &SealedReference {
        match self {
            Self::Pin => &state.pin,
            Self::Puk => &state.puk,
        }
    }

    pub(super) fn of_mut(self, state: &mut CardState) -> &mut SealedReference {
        match self {
            Self::Pin => &mut state.pin,
            Self::Puk => &mut state.puk,
        }
    }

    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Puk => "puk",
        }
    }

    pub(super) fn tries_max(self) -> u8 {
        match self {
            Self::Pin => PIN_TRIES_MAX,
            Self::Puk => PUK_TRIES_MAX,
        }
    }

    pub(super) fn status(self, state: &CardState) -> ReferenceStatus {
        let reference = self.of(state);
        ReferenceStatus {
            tries: Tries {
                total: self.tries_max(),
                left: reference.tries_left,
            },
            initial: reference.initial,
        }
    }
}
