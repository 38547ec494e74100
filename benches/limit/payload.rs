//! What the two programs do with the bytes of their messages, and whether the right ones arrived.

use std::sync::atomic::Ordering::Relaxed;

use super::memory::MAX_BYTES;
use super::play::Side;

/// What the two programs do with a message's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Touch {
    /// Nothing: the same bytes are sent again and again.
    Untouched,
    /// The sender rewrites all of them before each send, the receiver reads all of them after each receive; both are
    /// inside the time measured.
    Rewritten,
}

/// Where the send buffers lie. Receive buffers are always private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Buffers {
    /// In private memory.
    Private,
    /// In memory that the receiver can read.
    Shared,
}

/// The messages of one side in one task: what it writes before sending, and expects to have received.
pub(super) struct Payload<'a> {
    side: &'a Side<'a>,
    send: *mut u64,
    receive: *mut u64,
    bytes: usize,
    touch: Touch,
    sent: u64,
    received: u64,
    wrong: u64,
}

impl<'a> Payload<'a> {
    /// Writes the send buffer and clears the receive buffer, so that both have their pages.
    pub(super) fn new(side: &'a Side<'a>, bytes: usize, touch: Touch, buffers: Buffers) -> Self {
        assert!(bytes <= MAX_BYTES, "a message of {bytes} bytes: at most {MAX_BYTES} can be measured");
        let send = match buffers {
            Buffers::Private => side.memory.send.base(),
            Buffers::Shared => side.memory.loans[side.index].base(),
        };
        let (send, receive) = (send.cast(), side.memory.receive.base().cast());
        let payload = Payload { side, send, receive, bytes, touch, sent: 0, received: 0, wrong: 0 };
        rewrite(payload.words_to_send(), stamp(side.index, 0));
        // SAFETY: this side's own buffer of MAX_BYTES.
        unsafe { payload.receive.write_bytes(0, bytes.div_ceil(8)) };
        payload
    }

    /// Where the next message is sent from.
    pub(super) fn send_buffer(&self) -> *const u8 {
        self.send.cast()
    }

    /// Where the next message is received.
    pub(super) fn receive_buffer(&self) -> *mut u8 {
        self.receive.cast()
    }

    pub(super) fn is_rewritten(&self) -> bool {
        self.touch == Touch::Rewritten
    }

    /// What the sending program does before a send.
    #[inline(always)]
    pub(super) fn before_send(&mut self) {
        if self.is_rewritten() {
            self.sent += 1;
            rewrite(self.words_to_send(), stamp(self.side.index, self.sent));
        }
    }

    /// What the receiving program does after a receive.
    #[inline(always)]
    pub(super) fn after_receive(&mut self) {
        self.received += 1;
        if self.is_rewritten() {
            self.wrong += u64::from(!self.is_right());
        }
    }

    /// Whether the received words, but for a cut last one, are those that the peer sent.
    fn is_right(&self) -> bool {
        let message = if self.is_rewritten() { self.received } else { 0 };
        let (first, words) = (stamp(1 - self.side.index, message), self.bytes as u64 / 8);
        sum(self.words_received())
            == words.wrapping_mul(first).wrapping_add(words * words.saturating_sub(1) / 2)
    }

    fn words_to_send(&self) -> &'a mut [u64] {
        // SAFETY: a page-aligned buffer of MAX_BYTES (checked in `new`) that only this side writes, and no slice of it
        // outlives a statement; a peer reads it only between a send and its completion, when there is none.
        unsafe { std::slice::from_raw_parts_mut(self.send, self.bytes.div_ceil(8)) }
    }

    fn words_received(&self) -> &[u64] {
        // SAFETY: this side's own page-aligned buffer of MAX_BYTES (checked in `new`), written only by receives.
        unsafe { std::slice::from_raw_parts(self.receive, self.bytes / 8) }
    }
}

impl Drop for Payload<'_> {
    fn drop(&mut self) {
        if self.received > 0 && !self.is_right() {
            self.wrong += 1;
        }
        // DONE orders it before the first side's look.
        self.side.memory.control().wrong.0.fetch_add(self.wrong, Relaxed);
    }
}

/// The first word of message number `count` of side `index`.
fn stamp(index: usize, count: u64) -> u64 {
    ((index as u64 + 1) << 48) + count
}

/// Writes every word with plain stores: `first`, `first + 1`, and so on.
fn rewrite(words: &mut [u64], first: u64) {
    for (word, offset) in words.iter_mut().zip(0..) {
        *word = first.wrapping_add(offset);
    }
}

/// Reads every word.
fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}
