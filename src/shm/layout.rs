//! Where everything lies in a segment, as a pure function of the number of ranks.

use super::{
    pool,
    ring::{CELL_WORDS, CELLS, Cells, ReceiverLine},
    slot::Slot,
};
use crate::{
    sync::{AtomicU32, AtomicU64},
    sys::futex::FutexWord,
    types::RANKS_MAX,
};

/// "ringmpi\0", little-endian.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"ringmpi\0");

/// Counts changes of what packets mean; sizes and offsets are in the fingerprint by themselves.
const PROTOCOL: u64 = 3;

/// Entries of the directory of regions.
pub(crate) const REGIONS: usize = 16;

const PAGE: usize = 4096;

/// Boards of a segment: the world's, and those of later communicators.
pub(crate) const BOARDS: usize = 128;
/// Bytes that a board has besides those of its members.
pub(crate) const BOARD_COMMON: usize = 16 << 10;
/// Bytes that a board has for every member.
pub(crate) const BOARD_MEMBER: usize = 256;

/// The words at the start of every segment.
#[repr(C)]
pub(crate) struct Header {
    /// [`MAGIC`]; written last by the creator.
    pub(crate) magic: AtomicU64,
    /// [`FINGERPRINT`] of the creator's build.
    pub(crate) fingerprint: AtomicU64,
    pub(crate) ranks: AtomicU64,
    pub(crate) size: AtomicU64,
    /// Random, for checking that a foreign process's memory is a rank of this job.
    pub(crate) nonce: AtomicU64,
    /// How many ranks may run at once without sharing CPUs, by the creator's affinity and cgroup.
    pub(crate) cpus: AtomicU32,
    /// 1: a rank could not register for membarrier, or ranks outnumber CPUs.
    pub(crate) needs_fences: AtomicU32,
    /// How many ranks have attached; slept on by those that wait for all.
    pub(crate) attached: FutexWord,
    /// 0 while the job runs. Then 1 + the rank that ended it, or all ones: blocked ranks leave.
    pub(crate) ended: AtomicU32,
    /// 1: the job's keeper holds its lock byte as long as it lives.
    pub(crate) has_keeper: AtomicU32,
    /// The next free context id.
    pub(crate) next_context: AtomicU32,
    /// Bit b of word w: board 64 w + b is in use.
    pub(crate) boards: [AtomicU64; BOARDS / 64],
    /// The version of the creator's build, for messages only.
    pub(crate) version: [AtomicU64; 4],
    pub(crate) regions: [Region; REGIONS],
}

/// An entry of the directory: unknown kinds are ignored.
#[repr(C)]
pub(crate) struct Region {
    /// Low half: kind ([`RegionKind`]), 0 for none. High half: the kind's version.
    pub(crate) kind: AtomicU64,
    /// Low half: the owning rank, or all ones. High half: memfd in the owner, or all ones for this one.
    pub(crate) owner: AtomicU64,
    pub(crate) offset: AtomicU64,
    pub(crate) size: AtomicU64,
}

/// What a region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum RegionKind {
    Slots = 1,
    Doorbells = 2,
    WaitTargets = 3,
    ReceiverLines = 4,
    Tuning = 5,
    Boards = 6,
    ReleasedWords = 7,
    Rings = 8,
    Blocks = 9,
}

/// Offsets of the regions, in bytes from the segment's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ranks: usize,
    pub(crate) slots: usize,
    pub(crate) bells: usize,
    pub(crate) waits: usize,
    pub(crate) lines: usize,
    pub(crate) tuning: usize,
    pub(crate) boards: usize,
    pub(crate) released: usize,
    pub(crate) rings: usize,
    pub(crate) blocks: usize,
    pub(crate) size: usize,
}

/// Bytes of the table of measured copy speeds.
pub(crate) const TUNING_BYTES: usize = PAGE;

impl Layout {
    /// The layout for 1 to [`RANKS_MAX`] ranks.
    pub(crate) fn new(ranks: usize) -> Self {
        assert!((1..=RANKS_MAX).contains(&ranks), "the callers check the number of ranks");
        let mut end = size_of::<Header>();
        let mut place = |bytes: usize| {
            let start = end.next_multiple_of(PAGE);
            end = start + bytes;
            start
        };
        let slots = place(ranks * size_of::<Slot>());
        let bells = place(ranks * Self::bell_stride(ranks));
        let waits = place(ranks * Self::bitmap_stride(ranks));
        let lines = place(ranks * ranks * size_of::<ReceiverLine>());
        let tuning = place(TUNING_BYTES);
        let boards = place(BOARDS * Self::board_stride(ranks));
        let released = place(ranks * Self::released_stride());
        let rings = place(ranks * ranks * size_of::<Cells>());
        let blocks = place(ranks * pool::POOL_BYTES);
        let size = end.next_multiple_of(PAGE);
        Self { ranks, slots, bells, waits, lines, tuning, boards, released, rings, blocks, size }
    }

    /// 64-bit words of a bitmap with a bit a rank.
    pub(crate) fn bitmap_words(ranks: usize) -> usize {
        ranks.div_ceil(64)
    }

    /// A bitmap on cache lines of its own.
    pub(crate) fn bitmap_stride(ranks: usize) -> usize {
        (Self::bitmap_words(ranks) * 8).next_multiple_of(128)
    }

    /// From a doorbell's start to its bitmap of armed rings: in the line of the state word, so that
    /// a ringer reads one line.
    pub(crate) const BELL_ARMED: usize = 8;

    /// From a doorbell's start to its bitmap of pending rings, which others write.
    pub(crate) fn bell_pending(ranks: usize) -> usize {
        (Self::BELL_ARMED + Self::bitmap_words(ranks) * 8).next_multiple_of(128)
    }

    pub(crate) fn bell_stride(ranks: usize) -> usize {
        Self::bell_pending(ranks) + Self::bitmap_stride(ranks)
    }

    pub(crate) fn board_stride(ranks: usize) -> usize {
        BOARD_COMMON + ranks * BOARD_MEMBER
    }

    pub(crate) fn released_stride() -> usize {
        (pool::BLOCKS as usize * size_of::<AtomicU32>()).next_multiple_of(PAGE)
    }

    /// The rings and lines of one receiver lie together, by sender.
    pub(crate) fn pair(&self, receiver: usize, sender: usize) -> usize {
        receiver * self.ranks + sender
    }

    /// What the directory says: (kind, offset, size).
    pub(crate) fn directory(&self) -> [(RegionKind, usize, usize); 9] {
        use RegionKind as K;
        [
            (K::Slots, self.slots, self.bells),
            (K::Doorbells, self.bells, self.waits),
            (K::WaitTargets, self.waits, self.lines),
            (K::ReceiverLines, self.lines, self.tuning),
            (K::Tuning, self.tuning, self.boards),
            (K::Boards, self.boards, self.released),
            (K::ReleasedWords, self.released, self.rings),
            (K::Rings, self.rings, self.blocks),
            (K::Blocks, self.blocks, self.size),
        ]
        .map(|(kind, start, end)| (kind, start, end - start))
    }
}

/// A hash over every offset, size and protocol number: builds whose fingerprints are equal can
/// share a segment.
pub(crate) const FINGERPRINT: u64 = {
    let numbers = [
        PROTOCOL,
        CELLS,
        CELL_WORDS as u64,
        size_of::<Header>() as u64,
        std::mem::offset_of!(Header, attached) as u64,
        std::mem::offset_of!(Header, boards) as u64,
        std::mem::offset_of!(Header, regions) as u64,
        size_of::<Slot>() as u64,
        size_of::<ReceiverLine>() as u64,
        std::mem::offset_of!(ReceiverLine, eager_returned) as u64,
        pool::POOL_BYTES as u64,
        pool::BLOCKS as u64,
        BOARDS as u64,
        BOARD_COMMON as u64,
        BOARD_MEMBER as u64,
        Layout::BELL_ARMED as u64,
        TUNING_BYTES as u64,
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < numbers.len() {
        hash = (hash ^ numbers[i]).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
        i += 1;
    }
    hash
};

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Header>() <= PAGE);
    assert!(size_of::<Cells>() == PAGE);
    assert!(size_of::<ReceiverLine>() == 64);
    assert!(size_of::<Slot>() == 128);
    assert!(pool::POOL_BYTES.is_multiple_of(PAGE));
};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn regions_follow_one_another_without_overlap_for_any_number_of_ranks() {
        for ranks in [1, 2, 3, 63, 64, 65, 448, 449, RANKS_MAX] {
            let layout = Layout::new(ranks);
            let mut end = size_of::<Header>();
            for (kind, offset, size) in layout.directory() {
                assert!(offset >= end && offset.is_multiple_of(PAGE), "{kind:?} of {ranks} ranks");
                end = offset + size;
            }
            assert_eq!(end, layout.size);
        }
    }

    #[test]
    fn a_ringer_reads_one_line_of_a_doorbell_up_to_448_ranks() {
        const { assert!(Layout::BELL_ARMED + 448 / 8 <= 64) };
        assert_eq!(Layout::bell_pending(448), 128);
    }
}
