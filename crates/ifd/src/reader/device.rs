// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `DEVICENAME` says of a reader.
//!
//! `lanyard:PATH:uid=NUMBER:slots=NUMBER`, or `shared` in place of `uid=NUMBER`; `pad` at the end
//! gives the reader a PIN pad, for tests. pcscd allows letters, digits and `=\/-._@:` here.

use std::path::PathBuf;

/// First word of a device name that is ours.
const SCHEME: &str = "lanyard";
/// Slots without `slots=`.
const SLOTS_DEFAULT: u8 = 1;
/// pcscd 1.9 has room for 16 readers in all.
pub const SLOTS_MAX: u8 = 16;

/// A reader's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where cards come in.
    pub socket: PathBuf,
    /// Whose cards.
    pub owner: Owner,
    /// How many cards at a time.
    pub slots: u8,
    /// Whether the reader has a PIN pad: a file beside the socket plays the person who types.
    pub pad: bool,
}

/// Whose cards a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The cards of one user.
    User(u32),
    /// Everybody's.
    Shared,
}

impl Owner {
    /// Whether a card of this user may come in.
    pub fn admits(self, uid: u32) -> bool {
        match self {
            Self::User(owner) => owner == uid,
            Self::Shared => true,
        }
    }
}

/// Why the device name cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It does not begin with our word.
    #[error("DEVICENAME must begin with 'lanyard:'")]
    NotOurs,
    /// The socket is missing or not absolute.
    #[error("DEVICENAME must name an absolute path after 'lanyard:'")]
    Path,
    /// It does not say whose cards.
    #[error("DEVICENAME must say 'uid=NUMBER' or 'shared'")]
    Owner,
    /// No number of slots that can be.
    #[error("DEVICENAME must have 'slots=1' to 'slots=16'")]
    Slots,
    /// A word that is not known, or twice the same.
    #[error("DEVICENAME has a word that is not known here")]
    Word,
}

impl Device {
    /// Reads a device name.
    pub fn parse(name: &str) -> Result<Self, DeviceError> {
        let mut words = name.split(':');
        if words.next() != Some(SCHEME) {
            return Err(DeviceError::NotOurs);
        }
        let socket = words.next().map(PathBuf::from).unwrap_or_default();
        if !socket.is_absolute() || socket.file_name().is_none() {
            return Err(DeviceError::Path);
        }
        let (mut owner, mut slots, mut pad) = (None, None, false);
        for word in words {
            match word.split_once('=') {
                Some(("uid", number)) if owner.is_none() => {
                    let uid = number.parse().map_err(|_| DeviceError::Owner)?;
                    owner = Some(Owner::User(uid));
                }
                None if word == "shared" && owner.is_none() => owner = Some(Owner::Shared),
                Some(("slots", number)) if slots.is_none() => {
                    let number = number.parse().map_err(|_| DeviceError::Slots)?;
                    if !(1..=SLOTS_MAX).contains(&number) {
                        return Err(DeviceError::Slots);
                    }
                    slots = Some(number);
                }
                None if word == "pad" && !pad => pad = true,
                _ => return Err(DeviceError::Word),
            }
        }
        Ok(Self {
            socket,
            owner: owner.ok_or(DeviceError::Owner)?,
            slots: slots.unwrap_or(SLOTS_DEFAULT),
            pad,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_name_says_where_and_whose() {
        let device = Device::parse("lanyard:/run/lanyard/readers/1000.sock:uid=1000:slots=2");
        assert_eq!(
            device,
            Ok(Device {
                socket: "/run/lanyard/readers/1000.sock".into(),
                owner: Owner::User(1000),
                slots: 2,
                pad: false,
            })
        );
        let shared = Device::parse("lanyard:/s:shared:pad").unwrap();
        assert_eq!(
            (shared.owner, shared.slots, shared.pad),
            (Owner::Shared, 1, true)
        );
    }

    #[test]
    fn a_reader_that_does_not_say_whose_is_none() {
        for (name, error) in [
            ("", DeviceError::NotOurs),
            ("/dev/null:x", DeviceError::NotOurs),
            ("lanyard", DeviceError::Path),
            ("lanyard:s.sock:uid=1", DeviceError::Path),
            ("lanyard:/:uid=1", DeviceError::Path),
            ("lanyard:/s", DeviceError::Owner),
            ("lanyard:/s:uid=alice", DeviceError::Owner),
            ("lanyard:/s:uid=-1", DeviceError::Owner),
            ("lanyard:/s:uid=1:slots=0", DeviceError::Slots),
            ("lanyard:/s:uid=1:slots=17", DeviceError::Slots),
            ("lanyard:/s:uid=1:shared", DeviceError::Word),
            ("lanyard:/s:uid=1:uid=2", DeviceError::Word),
            ("lanyard:/s:uid=1:", DeviceError::Word),
            ("lanyard:/s:uid=1:pin=1", DeviceError::Word),
        ] {
            assert_eq!(Device::parse(name), Err(error), "{name}");
        }
    }

    #[test]
    fn a_users_reader_takes_only_that_users_cards() {
        assert!(Owner::User(1000).admits(1000));
        assert!(!Owner::User(1000).admits(1001));
        assert!(!Owner::User(1000).admits(0));
        assert!(Owner::Shared.admits(1001));
    }
}
