// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader: its listener, its slots, and the cards in them. No unsafe code.

pub mod device;
pub mod door;
pub mod features;
pub mod line;
pub mod pad;
pub mod slot;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use self::device::{Device, Owner};
use self::door::{Door, DoorError};
use self::line::Greeting;
use self::slot::Slot;
use crate::host;

/// Pause after the system refused something, for example for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A reader that is open.
#[derive(Debug)]
pub struct Reader {
    device: Device,
    slots: Arc<[Slot]>,
    // Closing it ends the thread.
    end: Mutex<Option<UnixStream>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reader {
    /// Opens the reader: from now on cards can come.
    pub fn open(device: Device) -> Result<Self, DoorError> {
        let door = Door::open(&device.socket)?;
        let slots: Arc<[Slot]> = (0..device.slots).map(|_| Slot::new()).collect();
        let (end, ended) = UnixStream::pair().map_err(DoorError::System)?;
        let watched = Arc::clone(&slots);
        let owner = device.owner;
        let thread = thread::Builder::new()
            .name("lanyard reader".to_owned())
            .spawn(move || watch(&door, owner, &watched, &ended))
            .map_err(DoorError::System)?;
        Ok(Self {
            device,
            slots,
            end: Mutex::new(Some(end)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What the configuration says of it.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One of its slots.
    pub fn slot(&self, number: u16) -> Option<&Slot> {
        self.slots.get(usize::from(number))
    }

    /// Takes all cards out and ends; nothing of the reader runs any more afterwards.
    pub fn close(&self) {
        drop(locked(&self.end).take());
        if let Some(thread) = locked(&self.thread).take() {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
        for slot in self.slots.iter() {
            slot.clear();
            slot.wake();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}

/// A lock; what a panic elsewhere left behind is whole, for nothing in here is changed in steps.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reader's thread: lets cards in, and notices at once when one goes.
fn watch(door: &Door, owner: Owner, slots: &[Slot], ended: &UnixStream) {
    loop {
        let cards: Vec<_> = slots.iter().map(Slot::stream).collect();
        let mut fds = vec![
            PollFd::new(ended, PollFlags::IN),
            PollFd::new(door, PollFlags::IN),
        ];
        // Only the end of a card: what it says belongs to whoever asked it.
        let present: Vec<(&Slot, &Arc<UnixStream>)> = slots
            .iter()
            .zip(&cards)
            .filter_map(|(slot, card)| Some((slot, card.as_ref()?)))
            .collect();
        fds.extend(
            present
                .iter()
                .map(|(_, card)| PollFd::from_borrowed_fd(card.as_fd(), PollFlags::RDHUP)),
        );
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => {
                host::error(&format!("the reader cannot be watched: {error}"));
                thread::sleep(PAUSE);
                continue;
            }
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ready = ready.into_iter();
        if ready.next() == Some(true) {
            return;
        }
        let knock = ready.next() == Some(true);
        for ((slot, card), gone) in present.iter().zip(ready) {
            if gone {
                slot.remove(card);
            }
        }
        if knock {
            admit(door, owner, slots, ended);
        }
    }
}

/// Lets in the card that knocks, or says why not.
fn admit(door: &Door, owner: Owner, slots: &[Slot], ended: &UnixStream) {
    let (stream, uid) = match door.accept() {
        Ok(Some(guest)) => guest,
        Ok(None) => return,
        Err(error) => {
            host::error(&format!("a card cannot be let in: {error}"));
            pause(ended);
            return;
        }
    };
    let stream = Arc::new(stream);
    if !owner.admits(uid) {
        host::error(&format!(
            "a card of user {uid} was turned away: the reader is another user's"
        ));
        let _ = line::greet(&stream, Greeting::NotYours);
        return;
    }
    // Only this thread fills slots: a free one stays free until it is taken here.
    let free = slots.iter().zip(0u8..).find(|(slot, _)| slot.is_free());
    let Some((slot, number)) = free else {
        host::info("a card was turned away: all slots are taken");
        let _ = line::greet(&stream, Greeting::Full);
        return;
    };
    if line::greet(&stream, Greeting::Inserted { slot: number }).is_ok() {
        slot.insert(stream, uid);
    }
}

/// Waits a little, but not for longer than the reader lives.
fn pause(ended: &UnixStream) {
    let limit = Timespec::try_from(PAUSE).ok();
    let _ = poll(&mut [PollFd::new(ended, PollFlags::IN)], limit.as_ref());
}

/// What a card can do to a caller.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// There is no card.
    #[error("there is no card")]
    Absent,
    /// The card went away, or said what no card says, in the middle of something.
    #[error("the card broke off")]
    Broken(#[from] io::Error),
    /// The card did not answer in time; it has been taken out.
    #[error("the card does not answer")]
    Mute,
}

#[cfg(test)]
mod tests;
