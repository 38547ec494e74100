//! Messages that do not fit a cell, by any of the schemes.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::copy::Kind;
use super::exchange::Channel;
use super::kernel::{self, Call};
use super::memory::{CELLS, STAGING};
use super::play::Side;
use super::ring::Room;
use super::scheme::Scheme;

/// A channel that moves messages of one length by one scheme.
pub(super) struct Bulk<'a> {
    side: &'a Side<'a>,
    scheme: Scheme,
    bytes: usize,
    /// Flags that are used in turn, and slots of the staging area.
    slots: usize,
    room: Room<'a>,
    /// Pieces sent, where the message has pieces; else messages.
    sent: u64,
    /// The same of those received.
    received: u64,
}

impl<'a> Bulk<'a> {
    pub(super) fn new(side: &'a Side<'a>, scheme: Scheme, bytes: usize) -> Self {
        let slots = match scheme {
            Scheme::Staged { slots, .. } => slots,
            _ => CELLS,
        };
        assert!(slots <= CELLS && scheme.working_set() <= STAGING, "{scheme} exceeds the staging area");
        Bulk { side, scheme, bytes, slots, room: Room::new(side.out(), slots as u64), sent: 0, received: 0 }
    }

    /// The slot of the next piece or message to send, once the receiver has left it.
    fn free_slot(&mut self) -> usize {
        self.room.wait(self.side.spin, self.sent);
        self.sent as usize % self.slots
    }

    /// Says that the next piece or message is there, in `slot`.
    fn announce(&mut self, slot: usize) {
        self.sent += 1;
        // PIECE: pairs with the Acquire in await_next.
        self.side.out().cells[slot].sequence.store(self.sent, Release);
    }

    /// Says that the next message is in the sender's buffer.
    fn announce_message(&mut self) {
        let slot = self.free_slot();
        self.announce(slot);
    }

    /// Waits for the next piece or message; returns its slot.
    fn await_next(&mut self) -> usize {
        let slot = self.received as usize % self.slots;
        self.received += 1;
        let (sequence, expected) = (&self.side.back().cells[slot].sequence, self.received);
        // PIECE: pairs with the Release in announce.
        self.side.spin.until(|| sequence.load(Acquire) == expected);
        slot
    }

    /// Says that the last message has left its sender's buffer.
    fn finish(&self) {
        // HEAD: pairs with the Acquire in settle and in Room::wait.
        self.side.back().head.0.store(self.received, Release);
    }

    fn send_staged(&mut self, from: *const u8, piece: usize, kind: Kind) {
        let staging = self.side.memory.staging[self.side.index].base();
        for at in (0..self.bytes).step_by(piece) {
            let slot = self.free_slot();
            let (from, to) = (from.wrapping_add(at), staging.wrapping_add(slot * piece));
            // SAFETY: within the message, and within the staging area (checked in `new`), on a line's boundary
            // because pieces are whole lines. The receiver has left the slot (HEAD) and waits for its sequence.
            unsafe { kind.copy(from, to, piece.min(self.bytes - at)) };
            self.announce(slot);
        }
    }

    fn receive_staged(&mut self, into: *mut u8, piece: usize, kind: Kind) {
        let staging = self.side.memory.staging[1 - self.side.index].base();
        for at in (0..self.bytes).step_by(piece) {
            let slot = self.await_next();
            let (from, to) = (staging.wrapping_add(slot * piece), into.wrapping_add(at));
            // SAFETY: within the staging area and the receive buffer. The sender has filled the slot (PIECE) and
            // leaves it alone until HEAD.
            unsafe { kind.copy(from, to, piece.min(self.bytes - at)) };
            Room::publish(self.side.back(), self.slots as u64, self.received);
        }
    }

    fn receive_direct(&mut self, into: *mut u8, kind: Kind) {
        self.await_next();
        let from = self.side.memory.loans[1 - self.side.index].base();
        // SAFETY: both buffers have MAX_BYTES. The sender leaves its own alone until `finish` or a reply.
        unsafe { kind.copy(from, into, self.bytes) };
        self.finish();
    }

    fn receive_cma(&mut self, into: *mut u8, bytes: usize) {
        self.await_next();
        let from = self.side.memory.send.base();
        // SAFETY: this side's own receive buffer of MAX_BYTES.
        let read = unsafe { kernel::copy(self.side, Call::Read, into, from, bytes) };
        read.expect("the partner lives, and the probe of this call succeeded");
    }

    fn send_cma_both(&mut self, from: *const u8) {
        self.announce_message();
        let (out, sent) = (self.side.out(), self.sent);
        // BEGUN: pairs with the Release in receive_cma_both.
        self.side.spin.until(|| out.begun.0.load(Acquire) == sent);
        let half = self.bytes / 2;
        let (mine, theirs) =
            (from.cast_mut().wrapping_add(half), self.side.memory.receive.base().wrapping_add(half));
        // SAFETY: this side only reads its own send buffer; the partner has begun to receive, so it does not look at
        // its buffer, which has the same address because it was mapped before the fork, before HALF.
        let written = unsafe { kernel::copy(self.side, Call::Write, mine, theirs, self.bytes - half) };
        written.expect("the partner lives, and the probe of the like call succeeded");
        // HALF: pairs with the Acquire in receive_cma_both.
        out.written.0.store(sent, Release);
    }

    fn receive_cma_both(&mut self, into: *mut u8) {
        let (back, message) = (self.side.back(), self.received + 1);
        // BEGUN: pairs with the Acquire in send_cma_both.
        back.begun.0.store(message, Release);
        self.receive_cma(into, self.bytes / 2);
        // HALF: pairs with the Release in send_cma_both.
        self.side.spin.until(|| back.written.0.load(Acquire) == message);
        self.finish();
    }
}

impl Channel for Bulk<'_> {
    fn send(&mut self, from: *const u8) {
        match self.scheme {
            Scheme::Staged { piece, write, .. } => self.send_staged(from, piece, write),
            Scheme::Direct { .. } | Scheme::Cma => self.announce_message(),
            Scheme::CmaBoth => self.send_cma_both(from),
            Scheme::Cell { .. } => unreachable!("cells have a channel of their own"),
        }
    }

    fn receive(&mut self, into: *mut u8) {
        match self.scheme {
            Scheme::Staged { piece, read, .. } => self.receive_staged(into, piece, read),
            Scheme::Direct { kind } => self.receive_direct(into, kind),
            Scheme::Cma => {
                self.receive_cma(into, self.bytes);
                self.finish();
            }
            Scheme::CmaBoth => self.receive_cma_both(into),
            Scheme::Cell { .. } => unreachable!("cells have a channel of their own"),
        }
    }

    fn settle(&mut self) {
        if matches!(self.scheme, Scheme::Staged { .. }) {
            return;
        }
        let (head, sent) = (&self.side.out().head.0, self.sent);
        // HEAD: pairs with the Release in finish.
        self.side.spin.until(|| head.load(Acquire) == sent);
    }
}
