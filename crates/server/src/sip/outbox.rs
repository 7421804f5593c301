// SPDX-License-Identifier: MIT OR Apache-2.0
//! What waits to be sent on one connection: bounded in messages and in bytes.

use lanyard_sip::OutMessage;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Messages that may wait for one connection. A client that reads so slowly that more would wait is
/// told why and disconnected: its watchers' states are lost with it, its peers learn that a message
/// failed.
pub const OUTGOING_MAX: usize = 2_048;
/// Bytes that may wait for one connection: the first states of some thousand contacts fit.
pub const OUTGOING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// With this many waiting, presence is held back for the connection: it gets the newest state later.
pub const CONGESTED_AT: usize = OUTGOING_MAX / 2;
/// The same in bytes.
pub const CONGESTED_BYTES_AT: usize = OUTGOING_BYTES_MAX / 2;
/// With no more than this many waiting, presence goes out again.
pub const DRAINED_AT: usize = OUTGOING_MAX / 4;
/// The same in bytes.
pub const DRAINED_BYTES_AT: usize = OUTGOING_BYTES_MAX / 8;
/// With so many waiting, nothing more is read from the client: it asks faster than it listens.
pub const READING_STOPS_AT: usize = 256;
/// The same in bytes.
pub const READING_STOPS_BYTES_AT: usize = 1024 * 1024;
/// Room that is kept for the last words to a client: why, and that the connection closes.
const LAST_WORDS: usize = 4;

/// What a connection's task is told to do.
#[derive(Debug)]
pub enum Outgoing {
    /// Sign and send.
    Message(OutMessage),
    /// Send what waits, then close.
    Close,
}

/// Where messages for a connection are put.
#[derive(Debug)]
pub struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    bytes: Arc<AtomicUsize>,
    is_congested: bool,
    is_over: bool,
}

/// Where its task takes them.
#[derive(Debug)]
pub struct Waiting {
    receiver: mpsc::Receiver<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It waits.
    Waits,
    /// It waits, and so many do now that presence should be held back.
    Congested,
    /// It does not fit: the client has lost its right to be served.
    Overrun,
    /// It was not taken: the connection is about to end.
    Over,
}

/// A fresh queue.
#[must_use]
pub fn outbox() -> (Outbox, Waiting) {
    let (sender, receiver) = mpsc::channel(OUTGOING_MAX + LAST_WORDS);
    let bytes = Arc::new(AtomicUsize::new(0));
    let waiting = Waiting {
        receiver,
        bytes: Arc::clone(&bytes),
    };
    let outbox = Outbox {
        sender,
        bytes,
        is_congested: false,
        is_over: false,
    };
    (outbox, waiting)
}

fn size(what: &Outgoing) -> usize {
    match what {
        Outgoing::Message(message) => message.size(),
        Outgoing::Close => 0,
    }
}

impl Outbox {
    fn waiting(&self) -> usize {
        (OUTGOING_MAX + LAST_WORDS).saturating_sub(self.sender.capacity())
    }

    /// Puts something in. After [`Put::Overrun`] only [`Outbox::last`] does.
    pub fn put(&mut self, what: Outgoing) -> Put {
        if self.is_over {
            return Put::Over;
        }
        let bytes = self
            .bytes
            .load(Ordering::Acquire)
            .saturating_add(size(&what));
        let is_close = matches!(what, Outgoing::Close);
        if !is_close && (self.waiting() >= OUTGOING_MAX || bytes > OUTGOING_BYTES_MAX) {
            self.is_over = true;
            return Put::Overrun;
        }
        if !self.push(what) {
            self.is_over = true;
            return Put::Over;
        }
        self.is_over = is_close;
        let turned =
            !self.is_congested && (self.waiting() >= CONGESTED_AT || bytes >= CONGESTED_BYTES_AT);
        self.is_congested |= turned;
        if turned { Put::Congested } else { Put::Waits }
    }

    /// Puts last words in, for which room is kept.
    pub fn last(&mut self, what: Outgoing) {
        self.is_over = true;
        let _ = self.push(what);
    }

    /// Whether presence was held back until now; it is not any more.
    pub fn take_congested(&mut self) -> bool {
        std::mem::take(&mut self.is_congested)
    }

    fn push(&self, what: Outgoing) -> bool {
        let size = size(&what);
        // Counted first: the other side may take it before this line is over.
        self.bytes.fetch_add(size, Ordering::AcqRel);
        let is_in = self.sender.try_send(what).is_ok();
        if !is_in {
            self.bytes.fetch_sub(size, Ordering::AcqRel);
        }
        is_in
    }
}

impl Waiting {
    /// The next, waiting for it; `None` when nothing will come any more.
    pub async fn recv(&mut self) -> Option<Outgoing> {
        let next = self.receiver.recv().await;
        next.inspect(|what| self.taken(what))
    }

    /// The next if one is there.
    ///
    /// # Errors
    /// None is there, or none will come any more.
    pub fn try_recv(&mut self) -> Result<Outgoing, mpsc::error::TryRecvError> {
        let next = self.receiver.try_recv()?;
        self.taken(&next);
        Ok(next)
    }

    fn taken(&self, what: &Outgoing) {
        self.bytes.fetch_sub(size(what), Ordering::AcqRel);
    }

    /// Whether presence can go out again.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.receiver.len() <= DRAINED_AT && self.bytes.load(Ordering::Acquire) <= DRAINED_BYTES_AT
    }

    /// Whether so much waits that nothing more should be asked of this server.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.receiver.len() >= READING_STOPS_AT
            || self.bytes.load(Ordering::Acquire) >= READING_STOPS_BYTES_AT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Outgoing {
        let message = OutMessage::response(200, "OK").with_body("text/plain", vec![b'x'; bytes]);
        Outgoing::Message(message)
    }

    #[test]
    fn bytes_count_as_well_as_messages_and_the_last_words_fit() {
        let (mut outbox, mut waiting) = outbox();
        let half = OUTGOING_BYTES_MAX / 2;
        assert_eq!(outbox.put(message(half - 1024)), Put::Waits);
        assert!(waiting.is_long() && !waiting.is_drained());
        assert_eq!(outbox.put(message(2048)), Put::Congested);
        assert_eq!(outbox.put(message(half)), Put::Overrun);
        assert_eq!(outbox.put(message(1)), Put::Over);
        outbox.last(message(100));
        outbox.last(Outgoing::Close);
        let mut taken = Vec::new();
        while let Ok(next) = waiting.try_recv() {
            taken.push(next);
        }
        assert!(matches!(
            taken.as_slice(),
            [_, _, Outgoing::Message(_), Outgoing::Close]
        ));
        assert!(waiting.is_drained() && !waiting.is_long());
        assert!(outbox.take_congested() && !outbox.take_congested());
    }

    #[test]
    fn so_many_messages_wait_and_no_more() {
        let (mut outbox, waiting) = outbox();
        let mut puts = (0..OUTGOING_MAX).map(|_| outbox.put(message(0)));
        assert_eq!(
            puts.by_ref().position(|p| p == Put::Congested),
            Some(CONGESTED_AT - 1)
        );
        assert!(puts.all(|put| put == Put::Waits));
        assert_eq!(outbox.put(message(0)), Put::Overrun);
        outbox.last(message(0));
        outbox.last(Outgoing::Close);
        assert_eq!(waiting.receiver.len(), OUTGOING_MAX + 2);
    }

    #[test]
    fn nothing_follows_a_close() {
        let (mut outbox, _waiting) = outbox();
        assert_eq!(outbox.put(Outgoing::Close), Put::Waits);
        assert_eq!(outbox.put(message(0)), Put::Over);
    }
}
