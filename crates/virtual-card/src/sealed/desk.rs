// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unblocking by the help desk, for a card in a file.
//!
//! The vault's secret K must not open to whoever reads the file, so the desk's key is not kept. When the
//! card is armed it draws its challenges for years to come, computes the desk's response to each, seals
//! K under a key stretched from that response, and forgets key and responses. A response of 75 bits is
//! beyond guessing even for whoever copied the file; the counter is for whoever types. Each one opens
//! one seal, which is deleted with it.

use std::time::{SystemTime, UNIX_EPOCH};

use lanyard_piv::{
    DESK_CHALLENGE_SYMBOLS, DeskChallenge, DeskKey, DeskReadiness, DeskResponse, Guid, NewPin,
    ObjectId, PIN_BYTES, Slot,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::crypto::{self, KdfCost, SALT_BYTES, Secret};
use super::format::Blob;
use super::reference::Which;
use super::{SealedCard, Storage, purpose, to_secret};
use crate::keeper::{KeeperError, Opened, ReferenceError};

/// How many unblockings a card is prepared for.
pub const DESK_UNBLOCKINGS_MAX: u8 = 12;
/// How many wrong responses one challenge takes.
pub const DESK_TRIES_MAX: u8 = 5;
/// How long a shown challenge can be answered, in seconds by the computer's clock.
pub const DESK_CHALLENGE_SECS_MAX: u64 = 3_600;
const PLACE: &str = "desk";
const PUK_RANDOM_BYTES: usize = PIN_BYTES;

/// What the responses cost to guess on top of their 75 bits: little, they are random.
const COST: KdfCost = KdfCost {
    memory_kib: 8 * 1024,
    passes: 1,
    lanes: 1,
};

/// The unblockings that a card is ready for, the next one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedDesk {
    /// Wrong responses that the first one still takes.
    pub(crate) tries_left: u8,
    /// When the first one was shown, in seconds since 1970.
    pub(crate) shown_at: Option<u64>,
    pub(crate) waiting: Vec<SealedUnblocking>,
}

/// One challenge, and K sealed under its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedUnblocking {
    pub(crate) challenge: String,
    pub(crate) salt: Blob,
    pub(crate) sealed: Blob,
}

impl SealedDesk {
    /// What the code relies on.
    pub(crate) fn is_consistent(&self) -> bool {
        self.tries_left <= DESK_TRIES_MAX
            && self.waiting.len() <= usize::from(DESK_UNBLOCKINGS_MAX)
            && self.waiting.iter().all(|one| {
                one.salt.0.len() == SALT_BYTES
                    && DeskChallenge::from_symbols(one.challenge.as_bytes()).is_ok()
            })
    }

    /// Gives the first one up.
    pub(crate) fn next(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.remove(0);
        }
        self.tries_left = DESK_TRIES_MAX;
        self.shown_at = None;
    }

    /// Shows the first one; an hour later, or without tries, the next. `true` when that changed
    /// something to be kept.
    pub(crate) fn show(&mut self, now: u64) -> bool {
        let over = self.shown_at.is_some_and(|shown| !is_fresh(shown, now));
        // The last one is not thrown away for being late: then nothing would be left. It is shown anew.
        if (over || self.tries_left == 0) && self.waiting.len() > 1 {
            self.next();
        }
        let changed = self.shown_at.is_none() || over;
        if changed {
            self.shown_at = Some(now);
        }
        changed
    }

    pub(crate) fn readiness(&self) -> Result<DeskReadiness, KeeperError> {
        let first = self.waiting.first().ok_or(KeeperError::NoKey)?;
        let challenge = DeskChallenge::from_symbols(first.challenge.as_bytes())
            .map_err(|_| KeeperError::Damaged)?;
        Ok(DeskReadiness {
            challenge,
            tries_left: self.tries_left,
            left: u8::try_from(self.waiting.len()).unwrap_or(u8::MAX),
        })
    }
}

impl<S: Storage> SealedCard<S> {
    pub(super) fn arm(&mut self, opened: &Opened, key: &DeskKey) -> Result<(), KeeperError> {
        let secret = to_secret(opened.secret())?;
        let guid = self.state.shown_guid();
        let mut waiting = Vec::new();
        for _ in 0..DESK_UNBLOCKINGS_MAX {
            waiting.push(self.unblocking(&secret, key, guid)?);
        }
        let mut next = self.state.clone();
        next.desk = Some(SealedDesk {
            tries_left: DESK_TRIES_MAX,
            shown_at: None,
            waiting,
        });
        // The PUK is given up: sealed under eight random bytes, which are no digits and which nobody knows.
        let mut unknown = Zeroizing::new([0; PUK_RANDOM_BYTES]);
        crypto::random(unknown.as_mut())?;
        next.puk = super::seal_reference(
            &secret,
            &purpose(&self.state.guid.0, Which::Puk.place()),
            &unknown,
            self.state.kdf,
            0,
            false,
        )?;
        self.commit(next)
    }

    fn unblocking(
        &self,
        secret: &Secret,
        key: &DeskKey,
        guid: Guid,
    ) -> Result<SealedUnblocking, KeeperError> {
        let mut random = [0; DESK_CHALLENGE_SYMBOLS];
        crypto::random(&mut random)?;
        let challenge = DeskChallenge::from_random(random);
        let response = key.respond(guid, &challenge);
        desk_seal(&self.state.guid.0, secret.as_ref(), &challenge, &response)
    }

    pub(super) fn show_challenge(&mut self, now: SystemTime) -> Result<DeskReadiness, KeeperError> {
        let mut desk = self.state.desk.clone().ok_or(KeeperError::NoKey)?;
        if desk.show(seconds(now)) {
            let mut next = self.state.clone();
            next.desk = Some(desk.clone());
            self.commit(next)?;
        }
        desk.readiness()
    }

    pub(super) fn unblock_by_desk(
        &mut self,
        response: &DeskResponse,
        new: &NewPin,
        now: SystemTime,
    ) -> Result<(), ReferenceError> {
        let mut desk = self.state.desk.clone().ok_or(KeeperError::NoKey)?;
        let first = desk.waiting.first().cloned().ok_or(KeeperError::NoKey)?;
        let shown = desk.shown_at.ok_or(KeeperError::NotOpened)?;
        if !is_fresh(shown, seconds(now)) {
            return Err(KeeperError::NotOpened.into());
        }
        // Counted, durably, before anything is compared.
        desk.tries_left = desk
            .tries_left
            .checked_sub(1)
            .ok_or(ReferenceError::Blocked)?;
        let tries_left = desk.tries_left;
        let mut counted = self.state.clone();
        counted.desk = Some(desk.clone());
        self.commit(counted)?;

        let Ok(opened) = desk_open(&self.state.guid.0, &first, response) else {
            return Err(ReferenceError::Wrong { tries_left });
        };
        let secret = to_secret(&opened)?;
        let mut next = self.state.clone();
        if self.try_open(Which::Pin, new.pin().padded())?.is_some() {
            // The try is given back: the response was right, and it is still good.
            desk.tries_left = tries_left.saturating_add(1);
            next.desk = Some(desk);
            self.commit(next)?;
            return Err(ReferenceError::SameAsOld);
        }
        next.pin = self.reseal(Which::Pin, &secret, new.pin().padded())?;
        desk.next();
        next.desk = Some(desk);
        self.commit(next)?;
        self.epoch = self.epoch.wrapping_add(1);
        Ok(())
    }

    /// Moves a key and its certificate to another slot, both or neither.
    pub(super) fn adopt_key(
        &mut self,
        from: Slot,
        to: Slot,
        opened: &Opened,
    ) -> Result<(), KeeperError> {
        let (algorithm, private) = self.private_key(from, Some(opened))?;
        let mut next = self.state.clone();
        let mut key = next
            .keys
            .remove(&from.to_string())
            .ok_or(KeeperError::NoKey)?;
        let place = purpose(&self.state.guid.0, &to.to_string());
        key.algorithm = algorithm.id();
        key.sealed = Blob(if to.works_without_pin() {
            crypto::seal(&self.device_key()?, &place, &private)?
        } else {
            crypto::vault_put(&self.state.vault.0, &place, &private)?
        });
        next.keys.insert(to.to_string(), key);
        let certificate = next
            .objects
            .remove(&super::object_name(ObjectId::certificate(from)))
            .ok_or(KeeperError::NoKey)?;
        next.objects
            .insert(super::object_name(ObjectId::certificate(to)), certificate);
        self.commit(next)
    }
}

/// Seals a card's secret under the response to a challenge.
pub(crate) fn desk_seal(
    guid: &[u8],
    secret: &[u8],
    challenge: &DeskChallenge,
    response: &DeskResponse,
) -> Result<SealedUnblocking, KeeperError> {
    let mut salt = [0; SALT_BYTES];
    crypto::random(&mut salt)?;
    let stretched = crypto::derive(response.symbols(), &salt, COST)?;
    let symbols = String::from_utf8_lossy(challenge.symbols()).into_owned();
    let sealed = crypto::seal(&stretched, &desk_purpose(guid, &symbols), secret)?;
    Ok(SealedUnblocking {
        challenge: symbols,
        salt: Blob(salt.to_vec()),
        sealed: Blob(sealed),
    })
}

/// Opens what [`desk_seal`] sealed; fails with another response.
pub(crate) fn desk_open(
    guid: &[u8],
    unblocking: &SealedUnblocking,
    response: &DeskResponse,
) -> Result<Zeroizing<Vec<u8>>, KeeperError> {
    let stretched = crypto::derive(response.symbols(), &unblocking.salt.0, COST)?;
    let purpose = desk_purpose(guid, &unblocking.challenge);
    Ok(crypto::open(&stretched, &purpose, &unblocking.sealed.0)?)
}

fn desk_purpose(guid: &[u8], challenge: &str) -> Vec<u8> {
    purpose(guid, &format!("{PLACE} {challenge}"))
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .unwrap_or_default()
}

/// A clock that was set back makes a challenge old, not young.
pub(crate) fn is_fresh(shown: u64, now: u64) -> bool {
    now.checked_sub(shown)
        .is_some_and(|age| age < DESK_CHALLENGE_SECS_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lanyard_piv::{Pin, Puk};

    use super::*;
    use crate::keeper::Keeper;
    use crate::sealed::MemoryStorage;
    use crate::testing::blank;

    const KEY: [u8; 32] = [7; 32];

    fn pin(text: &str) -> Pin {
        Pin::parse(text).unwrap()
    }

    fn new(text: &str) -> NewPin {
        NewPin::check(pin(text), None).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn armed() -> SealedCard<MemoryStorage> {
        let (mut card, _) = blank();
        let opened = card.change_pin(&pin("12345678"), &new("407316")).unwrap();
        card.arm_desk(&opened, &DeskKey::new(KEY)).unwrap();
        card
    }

    fn block(card: &mut SealedCard<MemoryStorage>) {
        for _ in 0..3 {
            let _ = card.verify(&pin("999111"));
        }
        assert_eq!(
            card.verify(&pin("407316")).unwrap_err(),
            ReferenceError::Blocked
        );
    }

    fn answer(card: &mut SealedCard<MemoryStorage>, now: u64) -> DeskResponse {
        let readiness = card.desk_challenge(at(now)).unwrap();
        DeskKey::new(KEY).respond(card.guid(), &readiness.challenge)
    }

    #[test]
    fn the_desks_response_sets_a_new_pin_once() {
        let mut card = armed();
        block(&mut card);
        let response = answer(&mut card, 100);
        assert_eq!(
            card.desk_unblock(&response, &new("618203"), at(200)),
            Ok(())
        );
        assert!(card.verify(&pin("618203")).is_ok());
        // Used up: neither the old challenge nor the next one takes it.
        block_again(&mut card);
        let replay = card.desk_unblock(&response, &new("729314"), at(300));
        assert_eq!(replay, Err(KeeperError::NotOpened.into()));
        let left = card.desk_challenge(at(300)).unwrap().left;
        assert_eq!(left, DESK_UNBLOCKINGS_MAX - 1);
        let replay = card.desk_unblock(&response, &new("729314"), at(300));
        assert_eq!(replay, Err(ReferenceError::Wrong { tries_left: 4 }));
    }

    fn block_again(card: &mut SealedCard<MemoryStorage>) {
        for _ in 0..3 {
            let _ = card.verify(&pin("999111"));
        }
    }

    #[test]
    fn wrong_responses_are_counted_and_another_challenge_follows() {
        let mut card = armed();
        let right = answer(&mut card, 100);
        let wrong = DeskKey::new([8; 32]).respond(
            card.guid(),
            &card.desk_challenge(at(100)).unwrap().challenge,
        );
        for left in (0..DESK_TRIES_MAX).rev() {
            let refused = card.desk_unblock(&wrong, &new("618203"), at(101));
            assert_eq!(refused, Err(ReferenceError::Wrong { tries_left: left }));
        }
        let refused = card.desk_unblock(&right, &new("618203"), at(102));
        assert_eq!(refused, Err(ReferenceError::Blocked));
        let next = card.desk_challenge(at(103)).unwrap();
        assert_eq!(
            (next.tries_left, next.left),
            (DESK_TRIES_MAX, DESK_UNBLOCKINGS_MAX - 1)
        );
        let response = answer(&mut card, 104);
        assert_eq!(
            card.desk_unblock(&response, &new("618203"), at(105)),
            Ok(())
        );
    }

    #[test]
    fn a_challenge_stays_for_an_hour_and_then_gives_way() {
        let mut card = armed();
        let first = card.desk_challenge(at(1_000)).unwrap().challenge;
        assert_eq!(card.desk_challenge(at(4_599)).unwrap().challenge, first);
        let response = DeskKey::new(KEY).respond(card.guid(), &first);
        let late = card.desk_unblock(&response, &new("618203"), at(4_600));
        assert_eq!(late, Err(KeeperError::NotOpened.into()));
        assert!(card.desk_challenge(at(4_600)).unwrap().challenge != first);
        // A clock that was set back helps nobody.
        let response = answer(&mut card, 4_601);
        let back = card.desk_unblock(&response, &new("618203"), at(10));
        assert_eq!(back, Err(KeeperError::NotOpened.into()));
    }

    #[test]
    fn the_puk_is_given_up_and_the_file_holds_no_key() {
        let mut card = armed();
        let refused = card.unblock(&Puk::parse("12345678").unwrap(), &new("618203"));
        assert_eq!(refused, Err(ReferenceError::Blocked));
        let file = String::from_utf8(card.state.encode()).unwrap();
        let response = answer(&mut card, 1);
        assert!(!file.contains(&String::from_utf8_lossy(response.symbols()).into_owned()));
    }

    #[test]
    fn a_card_that_was_never_armed_has_no_challenge() {
        let (mut card, _) = blank();
        assert_eq!(card.desk_challenge(at(1)), Err(KeeperError::NoKey));
        let response = DeskKey::new(KEY).respond(card.guid(), &DeskChallenge::from_random([1; 9]));
        let refused = card.desk_unblock(&response, &new("618203"), at(1));
        assert_eq!(refused, Err(KeeperError::NoKey.into()));
    }
}
