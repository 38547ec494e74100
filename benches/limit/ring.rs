//! One cache line to and back, and small messages through a ring of one-line cells.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::copy::{demote, wait_for_load};
use super::exchange::Channel;
use super::memory::Way;
use super::play::Side;
use super::spin::Spin;

/// Cells in the ring.
const RING: u64 = 64;

/// The largest payload of a cell, in bytes: what the library's cells have beside an envelope.
pub(crate) const CELL_BYTES: usize = 40;

/// A cache line in each direction.
pub(super) struct Line<'a> {
    side: &'a Side<'a>,
    sent: u64,
    received: u64,
}

impl<'a> Line<'a> {
    pub(super) fn new(side: &'a Side<'a>) -> Self {
        Line { side, sent: 0, received: 0 }
    }
}

impl Channel for Line<'_> {
    #[inline(always)]
    fn send(&mut self, _: *const u8) {
        self.sent += 1;
        // LINE: pairs with the Acquire in receive.
        self.side.out().cells[0].sequence.store(self.sent, Release);
    }

    #[inline(always)]
    fn receive(&mut self, _: *mut u8) {
        self.received += 1;
        let (sequence, expected) = (&self.side.back().cells[0].sequence, self.received);
        // LINE: pairs with the Release in send.
        self.side.spin.until(|| sequence.load(Acquire) == expected);
    }

    fn settle(&mut self) {}
}

/// A sender's view of the room in slots that are used in turn: it looks at the receiver's head only when its last look
/// says full.
pub(super) struct Room<'a> {
    head: &'a AtomicU64,
    seen: u64,
    slots: u64,
}

impl<'a> Room<'a> {
    pub(super) fn new(way: &'a Way, slots: u64) -> Self {
        Room { head: &way.head.0, seen: 0, slots }
    }

    /// Waits until the slot of item number `sent` (from 0) is free.
    #[inline(always)]
    pub(super) fn wait(&mut self, spin: &Spin, sent: u64) {
        if sent - self.seen == self.slots {
            spin.until(|| {
                // HEAD: pairs with the Release in publish.
                self.seen = self.head.load(Acquire);
                sent - self.seen < self.slots
            });
        }
    }

    /// Tells the sender of `way`, a quarter of its slots at a time, that `consumed` items have been taken.
    #[inline(always)]
    pub(super) fn publish(way: &Way, slots: u64, consumed: u64) {
        if consumed.is_multiple_of((slots / 4).max(1)) {
            // HEAD: pairs with the Acquire in wait.
            way.head.0.store(consumed, Release);
        }
    }
}

/// A ring of cells in each direction.
pub(super) struct Ring<'a> {
    side: &'a Side<'a>,
    room: Room<'a>,
    words: usize,
    demote: bool,
    paced: bool,
    sent: u64,
    received: u64,
}

impl<'a> Ring<'a> {
    pub(super) fn new(side: &'a Side<'a>, bytes: usize, demote: bool, paced: bool) -> Self {
        assert!(bytes <= CELL_BYTES, "{bytes} bytes do not fit a cell of {CELL_BYTES}");
        let room = Room::new(side.out(), RING);
        Ring { side, room, words: bytes.div_ceil(8), demote, paced, sent: 0, received: 0 }
    }
}

impl Channel for Ring<'_> {
    #[inline(always)]
    fn send(&mut self, from: *const u8) {
        self.room.wait(self.side.spin, self.sent);
        let cell = &self.side.out().cells[(self.sent % RING) as usize];
        let from = from.cast::<u64>();
        for (at, word) in cell.payload[..self.words].iter().enumerate() {
            // SAFETY: the send buffer is page-aligned and far longer than a cell.
            let value = unsafe { from.wrapping_add(at).read() };
            word.store(value, Relaxed); // ordered by CELL
        }
        self.sent += 1;
        // CELL: pairs with the Acquire in receive.
        cell.sequence.store(self.sent, Release);
        if self.demote {
            demote(cell);
        }
    }

    #[inline(always)]
    fn receive(&mut self, into: *mut u8) {
        let way = self.side.back();
        let cell = &way.cells[(self.received % RING) as usize];
        self.received += 1;
        // CELL: pairs with the Release in send.
        self.side.spin.until(|| {
            let is_here = cell.sequence.load(Acquire) == self.received;
            if self.paced && !is_here {
                wait_for_load();
            }
            is_here
        });
        let into = into.cast::<u64>();
        for (at, word) in cell.payload[..self.words].iter().enumerate() {
            let value = word.load(Relaxed); // ordered by CELL
            // SAFETY: the receive buffer is page-aligned and far longer than a cell.
            unsafe { into.wrapping_add(at).write(value) };
        }
        Room::publish(way, RING, self.received);
    }

    fn settle(&mut self) {}
}
