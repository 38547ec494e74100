//! The ring of 64-byte cells from one sender to one receiver.
//!
//! | word | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | `Cell[0]`, low half | sender | receiver | sequence: `lap << 1 | 1` of the last message in the cell |
//! | `Cell[0]`, high half | sender | receiver | the packet's head: kind, inline length, flags |
//! | `Cell[1..8]` | sender, while the receiver does not own the cell | receiver, once published | envelope and payload |
//! | `ReceiverLine::head` | receiver | sender | how many cells the receiver has consumed |
//! | `ReceiverLine::eager_returned`, `envelopes_returned` | receiver | sender | credit given back so far |
//!
//! Named pairs: `RING_PUBLISH` (sequence word: Release by the sender, Acquire by the receiver) makes
//! the cell's words visible; `RING_ROOM` (head: Release by the receiver, Acquire by the sender)
//! makes the receiver's reads happen before the sender's next writes. `CREDIT` orders nothing.
//!
//! The sequence word is never 0 and compared for equality only: a cell of untouched memory, or of
//! the lap before, is never mistaken for news. The message and the word that announces it share a
//! cache line, so a small message costs one line transfer.

use super::{
    far::{Far, Words},
    shape::{Shape, shape},
};
use crate::sync::{AtomicU64, Ordering};

/// Cells of a ring.
#[cfg(not(loom))]
pub(crate) const CELLS: u64 = 64;
#[cfg(loom)]
pub(crate) const CELLS: u64 = 2;

/// 64-bit words of a cell, the first being the sequence word.
pub(crate) const CELL_WORDS: usize = 8;

/// One cache line of a ring.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Cell([AtomicU64; CELL_WORDS]);

/// All cells of a ring: one page.
pub(crate) type Cells = [Cell; CELLS as usize];

// SAFETY: all atomics.
unsafe impl Words for Cell {
    const SHAPE: Shape = shape!(Cell { 0 });
}

/// What a receiver tells one sender: how much it has consumed.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct ReceiverLine {
    /// Cells consumed since the ring's start: untouched memory says none, wherever counters start.
    pub(crate) head: AtomicU64,
    /// Bytes of eager payload whose credit came back.
    pub(crate) eager_returned: AtomicU64,
    /// Envelopes whose credit came back.
    pub(crate) envelopes_returned: AtomicU64,
}

// SAFETY: all atomics.
unsafe impl Words for ReceiverLine {
    const SHAPE: Shape = shape!(ReceiverLine { head, eager_returned, envelopes_returned });
}

impl ReceiverLine {
    /// Before sender and receiver are there: credit is counted from `start` on.
    pub(super) fn start_credit(&self, start: u64) {
        for returned in [&self.eager_returned, &self.envelopes_returned] {
            // Relaxed: before anyone shares the segment.
            returned.store(start, Ordering::Relaxed);
        }
    }
}

/// The receiver published a head that no correct receiver can have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHead {
    pub(crate) head: u64,
    pub(crate) tail: u64,
}

#[inline]
fn sequence(position: u64) -> u64 {
    let lap = position / CELLS;
    // Truncation is the wrap: 31 bits of lap.
    u64::from((lap as u32) << 1 | 1)
}

/// Hints that the line will be read by another core: pushed out to the shared cache, it need not be
/// fetched from this core's. Where the CPU has no such hint it is no operation.
#[inline]
fn demote(cell: &Cell) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: a hint that changes no memory; CPUs without it decode a NOP.
    unsafe {
        core::arch::asm!("cldemote [{}]", in(reg) std::ptr::from_ref(cell), options(nostack, preserves_flags));
    }
    #[cfg(any(not(target_arch = "x86_64"), loom))]
    let _ = cell;
}

/// The sender's half.
pub(crate) struct Producer {
    cells: Far<Cells>,
    line: Far<ReceiverLine>,
    start: u64,
    tail: u64,
    head_seen: u64,
}

impl Producer {
    pub(crate) fn new(cells: Far<Cells>, line: Far<ReceiverLine>, start: u64) -> Self {
        Self { cells, line, start, tail: start, head_seen: start }
    }

    /// Whether a cell is free by what is known here, without touching the receiver's line.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.tail.wrapping_sub(self.head_seen) < CELLS
    }

    /// Whether a cell is free, after a look at the receiver's head if need be.
    #[inline]
    pub(crate) fn find_room(&mut self) -> Result<bool, BadHead> {
        if self.has_room() {
            return Ok(true);
        }
        self.refresh()
    }

    #[cold]
    fn refresh(&mut self) -> Result<bool, BadHead> {
        // Acquire: RING_ROOM, pairs with the Release in `Consumer::publish`.
        let head = self.start.wrapping_add(self.line.head.load(Ordering::Acquire));
        if self.tail.wrapping_sub(head) > CELLS {
            return Err(BadHead { head, tail: self.tail });
        }
        self.head_seen = head;
        Ok(self.has_room())
    }

    /// Writes the words behind the sequence word, then publishes. Only after `has_room` or
    /// `find_room` said yes.
    #[inline]
    pub(crate) fn push(&mut self, head: u32, words: &[u64]) {
        debug_assert!(self.has_room() && words.len() < CELL_WORDS);
        let cell = &self.cells[(self.tail % CELLS) as usize];
        for (word, value) in cell.0[1..].iter().zip(words) {
            // Relaxed: RING_PUBLISH orders them.
            word.store(*value, Ordering::Relaxed);
        }
        // Release: RING_PUBLISH, pairs with the Acquire in `Consumer::peek`.
        cell.0[0].store(u64::from(head) << 32 | sequence(self.tail), Ordering::Release);
        demote(cell);
        self.tail += 1;
    }

    /// How many cells have been published since the ring's start.
    #[cfg(any(all(test, loom), feature = "internals"))]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    pub(crate) fn line(&self) -> &ReceiverLine {
        &self.line
    }
}

/// The receiver's half.
pub(crate) struct Consumer {
    cells: Far<Cells>,
    line: Far<ReceiverLine>,
    start: u64,
    head: u64,
    published: u64,
}

impl Consumer {
    pub(crate) fn new(cells: Far<Cells>, line: Far<ReceiverLine>, start: u64) -> Self {
        Self { cells, line, start, head: start, published: start }
    }

    #[inline]
    fn cell(&self) -> &Cell {
        &self.cells[(self.head % CELLS) as usize]
    }

    /// The head of the next packet, if one has been published.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u32> {
        // Acquire: RING_PUBLISH, pairs with the Release in `Producer::push`.
        let word = self.cell().0[0].load(Ordering::Acquire);
        (word as u32 == sequence(self.head) as u32).then_some((word >> 32) as u32)
    }

    /// Word `index` (1 to 7) of the packet that `peek` saw.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> u64 {
        // Relaxed: RING_PUBLISH in `peek` made it visible.
        self.cell().0[index].load(Ordering::Relaxed)
    }

    /// Consumes the packet. True when so many are unpublished that the sender should learn of it.
    #[inline]
    #[must_use]
    pub(crate) fn pop(&mut self) -> bool {
        self.head += 1;
        self.head - self.published >= CELLS.div_ceil(4)
    }

    /// Tells the sender what has been consumed. False if it knew already. Whoever publishes rings
    /// the sender's doorbell: room is a condition like data.
    #[inline]
    pub(crate) fn publish(&mut self) -> bool {
        if self.published == self.head {
            return false;
        }
        self.published = self.head;
        // Release: RING_ROOM, pairs with the Acquire in `Producer::refresh`.
        self.line.head.store(self.head - self.start, Ordering::Release);
        true
    }

    pub(crate) fn line(&self) -> &ReceiverLine {
        &self.line
    }
}

/// Both halves over heap memory, starting at position `start`.
#[cfg(any(test, loom))]
pub(crate) fn on_heap(start: u64) -> (Producer, Consumer) {
    let cells: Far<Cells> = Far::on_heap(Box::new(core::array::from_fn(|_| Cell::default())));
    let line = Far::on_heap(Box::<ReceiverLine>::default());
    (Producer::new(cells.clone(), line.clone(), start), Consumer::new(cells, line, start))
}

#[cfg(all(test, loom))]
#[path = "ring_loom.rs"]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The lap before the 31-bit sequence wraps to that of an untouched ring's first lap.
    const JUST_BELOW_WRAP: u64 = ((1 << 31) - 1) * CELLS - 3;

    #[test]
    fn packets_come_out_in_order_across_the_wrap_of_the_sequence() {
        let (mut producer, mut consumer) = on_heap(JUST_BELOW_WRAP);
        for round in 0..1000u64 {
            for i in 0..CELLS {
                assert_eq!(producer.find_room(), Ok(true));
                producer.push(i as u32, &[round, i]);
            }
            assert_eq!(producer.find_room(), Ok(false));
            for i in 0..CELLS {
                assert_eq!(consumer.peek(), Some(i as u32));
                assert_eq!((consumer.word(1), consumer.word(2)), (round, i));
                let _ = consumer.pop();
            }
            assert_eq!(consumer.peek(), None);
            assert!(consumer.publish());
        }
    }

    #[test]
    fn room_comes_back_only_when_published() {
        let (mut producer, mut consumer) = on_heap(0);
        (0..CELLS).for_each(|_| producer.push(0, &[]));
        assert_eq!(consumer.peek(), Some(0));
        assert!(!consumer.pop());
        assert_eq!(producer.find_room(), Ok(false));
        assert!(consumer.publish());
        assert!(!consumer.publish());
        assert_eq!(producer.find_room(), Ok(true));
    }

    #[test]
    fn a_head_beyond_the_tail_is_refused() {
        let (mut producer, consumer) = on_heap(0);
        (0..CELLS).for_each(|_| producer.push(0, &[]));
        consumer.line().head.store(CELLS + 7, Ordering::SeqCst);
        assert_eq!(producer.find_room(), Err(BadHead { head: CELLS + 7, tail: CELLS }));
    }

    #[test]
    fn a_quarter_of_consumed_cells_asks_to_be_published() {
        let (mut producer, mut consumer) = on_heap(0);
        (0..CELLS).for_each(|_| producer.push(0, &[]));
        let asked: Vec<u64> = (1..=CELLS).filter(|_| consumer.pop()).collect();
        assert_eq!(asked.first(), Some(&(CELLS / 4)));
    }
}
