//! The board of a communicator: flags, slots and windows for collectives of few bytes.
//!
//! | word | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | `entered` of member m | m | all | the last operation that m has entered, and its mark |
//! | slot of m, one for each parity | m | the readers that m names | m's contribution to a reduction, and what m says of it (call, length) |
//! | `arrived` | all | all | members in the counted barrier; the last one sets it back to 0 |
//! | `released`: count | the last to arrive | all | counted barriers that all have arrived in |
//! | `released`: number | the last to arrive, before the count | all | that of the operation in which it has arrived |
//! | window, one for each parity | the root | all | what a root broadcasts, and what it says of it |
//! | `members` | all, once each | all | members that have not left the board |
//! | `reuse_waiters` | members that wait to reuse | all | how many those are |
//!
//! `arrived`, `members` and `reuse_waiters` have many writers: they are counts, changed by one
//! read-modify-write each. The writers of `released`, of `arrived = 0` and of a window differ from
//! operation to operation, but each has seen that the one before is done.
//!
//! # Numbers
//!
//! The operations on a board have consecutive numbers, the same at every member. A member enters each
//! once, in order, and only after it has done with all before: `entered >= seq` says that m's part in
//! `seq` is on the board, and that m reads nothing any more that was put there for `seq - 1` or
//! earlier. A collective that does not use the board takes no number.
//!
//! Below the number is a *mark* of [`MARK_BITS`] bits, by which members see that they are in different collectives:
//! whoever finds another one in its own operation with another mark. A member that is ahead by then has overwritten it.
//!
//! # Operations
//!
//! | operation | steps | whom to ring |
//! | --- | --- | --- |
//! | barrier by flags | `enter`, wait for all | after `enter`: all |
//! | barrier by count | `arrive`; the last `release`s, the others wait for it, `release_from` | after `release`: all |
//! | broadcast, root | wait for the window, `write_window`, `enter` | after `enter`: all |
//! | broadcast, others | `enter`, wait for the root, `read_window` | nobody |
//! | reduction, root | `enter`, and for every other member in turn: wait for it, `read_slot` | nobody |
//! | reduction, others | wait for the slot, `write_slot`, `enter` | after `enter`: the root |
//! | reduction to all | as the others, then as the root | after `enter`: all |
//!
//! And all, whatever the operation, when `enter` says so: then somebody waits to reuse a window or a
//! slot. Barriers by flags cost each member a look at every other, and are the fastest for few; in the
//! counted one each member wakes once, which is best when ranks outnumber CPUs.
//!
//! # Reuse
//!
//! The parity of `seq` says which of the two windows, and which of a member's two slots, it uses. What
//! was used in `u` is free once every reader of `u` has entered `u + 1`: it has left `u` then, and
//! reads the other one in `u + 1`. For a window, whose readers are all, and `u` at the latest
//! `seq - 2`, all have to have entered `seq - 1`. docs/PROTOCOL.md has the proof, also that no
//! members wait for each other in a circle.
//!
//! Named pairs: `BOARD_WORD` (`entered`, `released`), `BOARD_ARRIVE`, `BOARD_LEFT`, `BOARD_REUSE`.

use super::{
    doorbell::BarrierMode,
    far::{Far, Words},
    layout::{BOARD_COMMON, BOARD_MEMBER},
    segment::Segment,
    shape::{Shape, shape},
};
use crate::sync::{AtomicU64, CachePadded, Ordering};
use std::sync::Arc;

/// Bits below the number in a member's flag.
const MARK_BITS: u32 = 8;

/// Windows of a board, and slots of a member.
const PARITIES: usize = 2;

#[cfg(not(loom))]
mod sizes {
    /// 64-bit words of a window.
    pub(crate) const WINDOW_WORDS: usize = 999;
    /// Words of a slot that lie in the line of the member's flag: one line transfer brings both.
    pub(super) const SLOT_NEAR: usize = 2;
    pub(super) const SLOT_REST: usize = 12;
}
#[cfg(loom)]
mod sizes {
    pub(crate) const WINDOW_WORDS: usize = 1;
    pub(super) const SLOT_NEAR: usize = 1;
    pub(super) const SLOT_REST: usize = 1;
}
pub(crate) use sizes::WINDOW_WORDS;
use sizes::{SLOT_NEAR, SLOT_REST};

/// 64-bit words of a slot.
pub(crate) const SLOT_WORDS: usize = SLOT_NEAR + SLOT_REST;

/// What all members share. The padded words are apart because they change at different times:
/// `counts` hardly ever, and every member reads it in every operation.
#[repr(C)]
pub(crate) struct Common {
    arrived: CachePadded<AtomicU64>,
    released: CachePadded<Released>,
    counts: CachePadded<Counts>,
    windows: [Window; PARITIES],
}

/// The label lies beside the first words: one line transfer brings both.
#[repr(C)]
struct Window {
    label: AtomicU64,
    words: [AtomicU64; WINDOW_WORDS],
}

/// One line transfer brings both.
#[derive(Default)]
#[repr(C)]
struct Released {
    count: AtomicU64,
    number: AtomicU64,
}

#[derive(Default)]
#[repr(C)]
struct Counts {
    members: AtomicU64,
    reuse_waiters: AtomicU64,
}

/// What one member writes.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Member {
    entered: AtomicU64,
    near: [[AtomicU64; SLOT_NEAR]; PARITIES],
    /// What the member says of what is in the slots.
    labels: [AtomicU64; PARITIES],
    rest: [[AtomicU64; SLOT_REST]; PARITIES],
}

// SAFETY: all atomics.
unsafe impl Words for Common {
    const SHAPE: Shape = shape!(Common { arrived, released, counts, windows })
        .with(shape!(Released { count, number }).hash())
        .with(shape!(Counts { members, reuse_waiters }).hash())
        .with(shape!(Window { label, words }).hash());
}
// SAFETY: all atomics.
unsafe impl Words for Member {
    const SHAPE: Shape = shape!(Member { entered, near, labels, rest }).with_all(&[
        PARITIES as u64,
        SLOT_NEAR as u64,
        SLOT_REST as u64,
    ]);
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Common>() == BOARD_COMMON);
    assert!(size_of::<Member>() == BOARD_MEMBER);
};

/// Who reads what a member has put in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// One member.
    One(usize),
    /// Every member.
    All,
}

/// Which board of a segment, of how many members, and which of them this rank is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) board: usize,
    pub(crate) members: usize,
    pub(crate) me: usize,
}

/// A member that was seen in the same operation as this one with another mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pub(crate) member: usize,
    pub(crate) theirs: u8,
    pub(crate) ours: u8,
}

/// One member's view of a board. No step waits: those that need a condition say which, by words that
/// reach a value, for the progress loop to wait for.
pub(crate) struct Board {
    common: Far<Common>,
    members: Far<[Member]>,
    me: usize,
    mode: BarrierMode,
    /// Every member's flag, for waits.
    flags: Box<[Far<AtomicU64>]>,
    released: Far<AtomicU64>,
    /// Counted barriers that this member has arrived in.
    arrivals: u64,
    /// The last operation that this member has entered.
    entered: u64,
    /// What it says of its next one, and of the last.
    mark: u8,
    entered_mark: u8,
    other: Option<Other>,
    /// The last operation that all others are known to have entered.
    all_entered: u64,
    /// The search for members that have not entered `searched`: those before `cursor` have.
    searched: u64,
    cursor: usize,
    /// What this member last did with each of its slots: when, and for whom.
    slot_uses: [(u64, Readers); PARITIES],
}

impl Board {
    /// A board of a segment as the member that has taken it sees it, which sets it up: before any
    /// other member learns of it. `start` is the number before the first operation's.
    pub(crate) fn create(segment: &Arc<Segment>, place: Place, mode: BarrierMode, start: u64) -> Self {
        let board = Self::attach(segment, place, mode, start);
        board.prepare();
        board
    }

    /// A board of a segment that another member has set up.
    pub(crate) fn attach(segment: &Arc<Segment>, place: Place, mode: BarrierMode, start: u64) -> Self {
        assert!(place.me < place.members && place.members <= segment.ranks());
        let offset = segment.board_place(place.board);
        let members = segment.far_slice(offset + BOARD_COMMON, place.members);
        Self::new(segment.far(offset), members, place.me, mode, start)
    }

    fn new(common: Far<Common>, members: Far<[Member]>, me: usize, mode: BarrierMode, start: u64) -> Self {
        let flags = (0..members.len()).map(|member| members.part(|all| &all[member].entered)).collect();
        Self {
            flags,
            released: common.part(|common| &common.released.count),
            arrivals: 0,
            common,
            members,
            me,
            mode,
            entered: start,
            mark: 0,
            entered_mark: 0,
            other: None,
            all_entered: start,
            searched: start,
            cursor: 0,
            slot_uses: [(start.wrapping_sub(1), Readers::All); PARITIES],
        }
    }

    /// Whatever an earlier communicator has left is overwritten.
    fn prepare(&self) {
        let (start, members) = (self.entered, self.members.len() as u64);
        // Relaxed: whatever tells the other members of the board (a message, or the world's init)
        // publishes these.
        let set = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
        set(&self.common.arrived, 0);
        set(&self.common.released.count, 0);
        set(&self.common.released.number, start);
        set(&self.common.counts.members, members);
        set(&self.common.counts.reuse_waiters, 0);
        self.flags.iter().for_each(|flag| set(flag, flag_word(start, 0)));
    }

    /// The number of the next operation.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.entered + 1
    }

    /// What this member says of the operations that it enters from now on.
    #[inline]
    pub(crate) fn set_mark(&mut self, mark: u8) {
        self.mark = mark;
    }

    /// Says that this member's part in `seq` is on the board, and that it has left all before. True if
    /// somebody waits for that to reuse a window or a slot: then ring all members.
    #[inline]
    #[must_use]
    pub(crate) fn enter(&mut self, seq: u64) -> bool {
        self.raise_flag(seq);
        self.mode.after_publishing();
        // Relaxed: BOARD_REUSE, ordered by the barrier above and by that of whoever waits, which it
        // passes between raising the count and sleeping.
        self.common.counts.reuse_waiters.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn raise_flag(&mut self, seq: u64) {
        debug_assert_eq!(seq, self.next(), "every operation is entered once, in order");
        (self.entered, self.entered_mark) = (seq, self.mark);
        // Release: BOARD_WORD, pairs with the Acquires in `flag_of` and in waits for `flag`.
        self.members[self.me].entered.store(flag_word(seq, self.mark), Ordering::Release);
    }

    #[inline]
    fn flag_of(&self, member: usize) -> u64 {
        // Acquire: BOARD_WORD, pairs with the Release in `raise_flag`.
        self.members[member].entered.load(Ordering::Acquire)
    }

    /// Whether the member has entered `seq`: whoever waits, waits for its [`flag`](Self::flag).
    #[inline]
    pub(crate) fn has_entered(&self, member: usize, seq: u64) -> bool {
        self.flag_of(member) >= flag_word(seq, 0)
    }

    /// The member's flag, and what it reaches when the member enters `seq`.
    pub(crate) fn flag(&self, member: usize, seq: u64) -> (&Far<AtomicU64>, u64) {
        (&self.flags[member], flag_word(seq, 0))
    }

    /// The member's mark, if it has not gone on since it entered `seq`.
    pub(crate) fn mark_of(&self, member: usize, seq: u64) -> Option<u8> {
        let flag = self.flag_of(member);
        (flag >> MARK_BITS == seq).then_some(flag as u8)
    }

    /// Whom [`missing`](Self::missing) has seen in another collective since the last call of this.
    #[inline]
    pub(crate) fn take_other(&mut self) -> Option<Other> {
        self.other.take()
    }

    /// Another member that has not entered `seq`; none if all have. Members once found to have
    /// entered are not looked at again: all calls of a wait look at each member once, and once more
    /// for every call that finds one missing.
    #[inline]
    pub(crate) fn missing(&mut self, seq: u64) -> Option<usize> {
        if self.all_entered >= seq {
            return None;
        }
        if self.searched != seq {
            (self.searched, self.cursor) = (seq, 0);
        }
        let (least, own) = (flag_word(seq, 0), flag_word(self.entered, self.entered_mark));
        while self.cursor < self.members.len() {
            if self.cursor != self.me {
                let flag = self.flag_of(self.cursor);
                if flag < least {
                    return Some(self.cursor);
                }
                if flag != own && flag >> MARK_BITS == self.entered {
                    let (theirs, ours) = (flag as u8, self.entered_mark);
                    self.other = Some(Other { member: self.cursor, theirs, ours });
                }
            }
            self.cursor += 1;
        }
        self.all_entered = seq;
        None
    }

    /// A member that may still read the window that `seq` uses; none if the root may write it.
    #[inline]
    pub(crate) fn window_reader(&mut self, seq: u64) -> Option<usize> {
        self.missing(seq - 1)
    }

    fn window(&self, seq: u64) -> &Window {
        &self.common.windows[parity(seq)]
    }

    /// The root's part in a broadcast, before it enters; only after `window_reader` said none. `label` is
    /// what it says of it, for those who expect something.
    #[inline]
    pub(crate) fn write_window(&self, seq: u64, label: u64, words: impl ExactSizeIterator<Item = u64>) {
        assert!(words.len() <= WINDOW_WORDS, "the caller stops at the window");
        let window = self.window(seq);
        // Relaxed: BOARD_WORD publishes it when the writer enters.
        window.label.store(label, Ordering::Relaxed);
        write(window.words.iter(), words);
    }

    /// What the root says of what it has written for `seq`, which it has entered. It may be of an earlier operation,
    /// if the root is in another one than this member.
    #[inline]
    pub(crate) fn window_label(&self, seq: u64) -> u64 {
        // Relaxed: BOARD_WORD has made it visible: the reader has seen that the writer entered.
        self.window(seq).label.load(Ordering::Relaxed)
    }

    /// What the root has written for `seq`, which it has entered; the words behind are meaningless.
    #[inline]
    pub(crate) fn read_window(&self, seq: u64) -> impl Iterator<Item = u64> {
        read(self.window(seq).words.iter())
    }

    /// A member that may still read the slot that this one uses in `seq`, and the number that it has
    /// to enter first; none if the slot is free.
    #[inline]
    pub(crate) fn slot_reader(&mut self, seq: u64) -> Option<(usize, u64)> {
        let (used, readers) = self.slot_uses[parity(seq)];
        let left = used.wrapping_add(1);
        match readers {
            Readers::One(member) => (!self.has_entered(member, left)).then_some((member, left)),
            Readers::All => self.missing(left).map(|member| (member, left)),
        }
    }

    #[inline]
    fn slot(&self, member: usize, seq: u64) -> impl Iterator<Item = &AtomicU64> {
        let member = &self.members[member];
        member.near[parity(seq)].iter().chain(&member.rest[parity(seq)])
    }

    /// This member's contribution, and what it says of it, before it enters; only after `slot_reader` said none.
    #[inline]
    pub(crate) fn write_slot(
        &mut self,
        seq: u64,
        readers: Readers,
        label: u64,
        words: impl ExactSizeIterator<Item = u64>,
    ) {
        assert!(words.len() <= SLOT_WORDS, "the caller stops at the slot");
        self.slot_uses[parity(seq)] = (seq, readers);
        // Relaxed: BOARD_WORD publishes it when the writer enters.
        self.members[self.me].labels[parity(seq)].store(label, Ordering::Relaxed);
        write(self.slot(self.me, seq), words);
    }

    /// What the member says of its contribution to `seq`, which it has entered. It may be of an earlier operation, if
    /// the member is in another one than this.
    #[inline]
    pub(crate) fn slot_label(&self, member: usize, seq: u64) -> u64 {
        // Relaxed: BOARD_WORD has made it visible: the reader has seen that the writer entered.
        self.members[member].labels[parity(seq)].load(Ordering::Relaxed)
    }

    /// What the member has contributed to `seq`, which it has entered; the words behind are
    /// meaningless.
    #[inline]
    pub(crate) fn read_slot(&self, member: usize, seq: u64) -> impl Iterator<Item = u64> {
        read(self.slot(member, seq))
    }

    /// Enters the counted barrier `seq`. True for the last: it calls `release` and rings all. Nobody
    /// waits to reuse what this member has left: whoever could, is in the barrier.
    #[inline]
    #[must_use]
    pub(crate) fn arrive(&mut self, seq: u64) -> bool {
        self.raise_flag(seq);
        self.arrivals += 1;
        // AcqRel: BOARD_ARRIVE, pairs with itself: the last has seen whatever the others did before.
        let earlier = self.common.arrived.fetch_add(1, Ordering::AcqRel);
        earlier + 1 == self.members.len() as u64
    }

    /// The last to arrive lets the others go.
    #[inline]
    pub(crate) fn release(&mut self, seq: u64) {
        self.all_entered = seq;
        // Relaxed: BOARD_WORD publishes it: nobody arrives again without having seen `released`.
        self.common.arrived.store(0, Ordering::Relaxed);
        // Relaxed: BOARD_WORD publishes it.
        self.common.released.number.store(seq, Ordering::Relaxed);
        // Release: BOARD_WORD, pairs with the Acquires in `release_from` and in waits for `released`.
        self.common.released.count.store(self.arrivals, Ordering::Release);
    }

    /// Once all have arrived in the counted barrier `seq`, the number of the last one's operation: another one if
    /// members have taken different operations for the same. Whoever waits, waits for [`released`](Self::released).
    #[inline]
    pub(crate) fn release_from(&mut self, seq: u64) -> Option<u64> {
        // Acquire: BOARD_WORD, pairs with the Release in `release`.
        if self.common.released.count.load(Ordering::Acquire) < self.arrivals {
            return None;
        }
        // Relaxed: BOARD_WORD has made it visible, and nobody writes it again before this member arrives again.
        let number = self.common.released.number.load(Ordering::Relaxed);
        if number == seq {
            self.all_entered = seq;
        }
        Some(number)
    }

    /// The word that says that all have arrived in the counted barrier that this member is in, and what it reaches then.
    pub(crate) fn released(&self) -> (&Far<AtomicU64>, u64) {
        (&self.released, self.arrivals)
    }

    /// Before a wait for a window or slot to become free: members that enter ring from now on.
    pub(crate) fn begin_reuse_wait(&self) {
        // Relaxed: BOARD_REUSE, ordered by the barrier that comes before every sleep, also behind the
        // holder of the progress role.
        self.common.counts.reuse_waiters.fetch_add(1, Ordering::Relaxed);
    }

    /// After that wait, also if it failed.
    pub(crate) fn end_reuse_wait(&self) {
        // Relaxed: a member that still sees the count rings in vain.
        self.common.counts.reuse_waiters.fetch_sub(1, Ordering::Relaxed);
    }

    /// Leaves the board for good. True for the last: it gives the board back to the segment.
    #[must_use]
    pub(crate) fn leave(self) -> bool {
        // AcqRel: BOARD_LEFT, pairs with itself: when the last leaves, the others' accesses are over.
        self.common.counts.members.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Numbers are below 2⁵⁶: at ten million operations a second, for two centuries.
#[inline]
fn flag_word(seq: u64, mark: u8) -> u64 {
    seq << MARK_BITS | u64::from(mark)
}

#[inline]
fn parity(seq: u64) -> usize {
    (seq % PARITIES as u64) as usize
}

#[inline]
fn write<'a>(words: impl Iterator<Item = &'a AtomicU64>, values: impl Iterator<Item = u64>) {
    // Relaxed: BOARD_WORD publishes them when the writer enters.
    words.zip(values).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
}

#[inline]
fn read<'a>(words: impl Iterator<Item = &'a AtomicU64>) -> impl Iterator<Item = u64> {
    // Relaxed: BOARD_WORD has made them visible: the reader has seen that the writer entered.
    words.map(|word| word.load(Ordering::Relaxed))
}

/// A board over heap memory, as its members see it, for models and tests.
#[cfg(test)]
fn on_heap(members: usize, mode: BarrierMode, start: u64) -> Vec<Board> {
    let common: Far<Common> = Far::on_heap(Box::new(Common {
        arrived: CachePadded::default(),
        released: CachePadded::default(),
        counts: CachePadded::default(),
        windows: core::array::from_fn(|_| Window {
            label: AtomicU64::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
        }),
    }));
    let words: Box<[Member]> = (0..members).map(|_| Member::default()).collect();
    let words: Far<[Member]> = Far::on_heap(words);
    let board = |me| Board::new(common.clone(), words.clone(), me, mode, start);
    board(0).prepare();
    (0..members).map(board).collect()
}

#[cfg(all(test, loom))]
#[path = "board_loom.rs"]
mod models;

#[cfg(test)]
#[path = "board_ranks.rs"]
mod ranks;

#[cfg(all(test, not(loom)))]
#[path = "board_tests.rs"]
mod tests;
