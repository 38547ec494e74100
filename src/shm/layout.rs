//! Where everything lies in a segment, as a pure function of the number of ranks.

use super::{
    board::{Common, Member},
    contexts::Table,
    far::Words,
    lock_bytes, pool,
    ring::{Cells, ReceiverLine},
    shape::{Shape, shape},
    slot::Slot,
    tuning,
};
use crate::{
    sync::{AtomicU32, AtomicU64},
    sys::{cpus::CPU_SET_WORDS, futex::FutexWord},
    types::RANKS_MAX,
};

/// "ringmpi\0", little-endian.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"ringmpi\0");

/// Counts changes of what words and packets mean. Where they lie is in the fingerprint by itself.
const PROTOCOL: u64 = 6;

/// Entries of the directory of regions.
pub(crate) const REGIONS: usize = 16;

const PAGE: usize = 4096;

/// Boards of a segment: the world's, and those of later communicators.
pub(crate) const BOARDS: usize = 128;
/// Bytes that a board has besides those of its members.
pub(crate) const BOARD_COMMON: usize = 16 << 10;
/// Bytes that a board has for every member.
pub(crate) const BOARD_MEMBER: usize = 256;

/// The words at the start of every segment. All are read by everyone.
///
/// | word | written by |
/// | --- | --- |
/// | `needs_fences`, `cpus_of_ranks` | ranks before they count as attached; bits are never taken back |
/// | `attached`, `boards` | any rank, by read-modify-write |
/// | `ended` | the first who ends the job, by compare-exchange |
/// | `has_keeper` | the keeper, before there are ranks |
/// | all others | the creator, before anyone attaches |
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
    /// 1: a rank could not register for membarrier.
    pub(crate) needs_fences: AtomicU32,
    /// How many ranks have attached; slept on by those that wait for all.
    pub(crate) attached: FutexWord,
    /// 0 while the job runs. Then 1 + the rank that ended it, or all ones: blocked ranks leave.
    pub(crate) ended: AtomicU32,
    /// 1: the job's keeper holds its lock byte as long as it lives.
    pub(crate) has_keeper: AtomicU32,
    /// Bit b of word w: a rank may run on CPU 64 w + b.
    pub(crate) cpus_of_ranks: [AtomicU64; CPU_SET_WORDS],
    /// Bit b of word w: board 64 w + b is in use.
    pub(crate) boards: [AtomicU64; BOARDS / 64],
    /// The version of the creator's build, for messages only.
    pub(crate) version: [AtomicU64; 4],
    pub(crate) regions: [Region; REGIONS],
}

// SAFETY: all atomics.
unsafe impl Words for Header {
    const SHAPE: Shape = shape!(Header {
        magic,
        fingerprint,
        ranks,
        size,
        nonce,
        cpus,
        needs_fences,
        attached,
        ended,
        has_keeper,
        cpus_of_ranks,
        boards,
        version,
        regions,
    })
    .with(shape!(Region { kind, owner, offset, size }).hash());
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
    Contexts = 10,
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
    pub(crate) contexts: usize,
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
    pub(crate) const fn new(ranks: usize) -> Self {
        assert!(1 <= ranks && ranks <= RANKS_MAX, "the callers check the number of ranks");
        let slots = size_of::<Header>().next_multiple_of(PAGE);
        let bells = after(slots, ranks * size_of::<Slot>());
        let waits = after(bells, ranks * Self::bell_stride(ranks));
        let lines = after(waits, ranks * Self::bitmap_stride(ranks));
        let tuning = after(lines, ranks * ranks * size_of::<ReceiverLine>());
        let contexts = after(tuning, TUNING_BYTES);
        let boards = after(contexts, size_of::<Table>());
        let released = after(boards, BOARDS * Self::board_stride(ranks));
        let rings = after(released, ranks * Self::released_stride());
        let blocks = after(rings, ranks * ranks * size_of::<Cells>());
        let size = after(blocks, ranks * pool::POOL_BYTES);
        Self { ranks, slots, bells, waits, lines, tuning, contexts, boards, released, rings, blocks, size }
    }

    /// 64-bit words of a bitmap with a bit a rank.
    pub(crate) const fn bitmap_words(ranks: usize) -> usize {
        ranks.div_ceil(64)
    }

    /// A bitmap on cache lines of its own.
    pub(crate) const fn bitmap_stride(ranks: usize) -> usize {
        (Self::bitmap_words(ranks) * 8).next_multiple_of(128)
    }

    /// From a doorbell's start to its bitmap of armed rings: in the line of the state word, so that
    /// a ringer reads one line.
    pub(crate) const BELL_ARMED: usize = 8;

    /// From a doorbell's start to its bitmap of pending rings, which others write.
    pub(crate) const fn bell_pending(ranks: usize) -> usize {
        (Self::BELL_ARMED + Self::bitmap_words(ranks) * 8).next_multiple_of(128)
    }

    pub(crate) const fn bell_stride(ranks: usize) -> usize {
        Self::bell_pending(ranks) + Self::bitmap_stride(ranks)
    }

    pub(crate) const fn board_stride(ranks: usize) -> usize {
        BOARD_COMMON + ranks * BOARD_MEMBER
    }

    pub(crate) const fn released_stride() -> usize {
        (pool::BLOCKS as usize * size_of::<AtomicU32>()).next_multiple_of(PAGE)
    }

    /// The rings and lines of one receiver lie together, by sender.
    pub(crate) fn pair(&self, receiver: usize, sender: usize) -> usize {
        receiver * self.ranks + sender
    }

    const fn shape(&self, mut shape: Shape) -> Shape {
        shape = shape.with(Self::bell_pending(self.ranks) as u64).with(self.size as u64);
        let directory = self.directory();
        let mut i = 0;
        while i < directory.len() {
            let (kind, offset, size) = directory[i];
            shape = shape.with(kind as u64).with(offset as u64).with(size as u64);
            i += 1;
        }
        shape
    }

    /// What the directory says: (kind, offset, size).
    pub(crate) const fn directory(&self) -> [(RegionKind, usize, usize); 10] {
        use RegionKind as K;
        [
            region(K::Slots, self.slots, self.bells),
            region(K::Doorbells, self.bells, self.waits),
            region(K::WaitTargets, self.waits, self.lines),
            region(K::ReceiverLines, self.lines, self.tuning),
            region(K::Tuning, self.tuning, self.contexts),
            region(K::Contexts, self.contexts, self.boards),
            region(K::Boards, self.boards, self.released),
            region(K::ReleasedWords, self.released, self.rings),
            region(K::Rings, self.rings, self.blocks),
            region(K::Blocks, self.blocks, self.size),
        ]
    }
}

/// Where the next region starts.
const fn after(start: usize, bytes: usize) -> usize {
    (start + bytes).next_multiple_of(PAGE)
}

const fn region(kind: RegionKind, start: usize, end: usize) -> (RegionKind, usize, usize) {
    (kind, start, end - start)
}

/// Names the build's layout, so that builds which share a segment mean the same by every byte of it: a hash
/// over all fields of all types that lie in a segment, over the numbering of blocks, lock bytes and the
/// tuning table, over the regions for some numbers of ranks, and over [`PROTOCOL`] for what nothing else
/// shows.
pub(crate) const FINGERPRINT: u64 = {
    let words = [
        Header::SHAPE.hash(),
        Slot::SHAPE.hash(),
        FutexWord::SHAPE.hash(),
        ReceiverLine::SHAPE.hash(),
        Cells::SHAPE.hash(),
        Common::SHAPE.hash(),
        Member::SHAPE.hash(),
        Table::SHAPE.hash(),
        pool::SHAPE.hash(),
        tuning::SHAPE.hash(),
        lock_bytes::FIRST as u64,
        Layout::BELL_ARMED as u64,
    ];
    let mut shape = Shape::START.with(PROTOCOL).with_all(&words);
    // Bitmaps grow at multiples of 64, and leave their line of a doorbell at 449.
    let mut sizes: &[usize] = &[1, 2, 64, 65, 448, 449, RANKS_MAX];
    while let Some((ranks, others)) = sizes.split_first() {
        shape = Layout::new(*ranks).shape(shape);
        sizes = others;
    }
    shape.hash()
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
