//! Blocks: the payload memory of a rank, which only its owner fills and any receiver hands back.
//!
//! | word | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | `released[b]` | the receiver that holds block b | owner | generation of the last use that is over |
//! | the block's bytes | owner, until published in a cell | the receiver that the cell names it to | payload |
//!
//! A block is free when `released[b]` equals the generation that its owner gave it last; the cell
//! carries the generation to the receiver. So nobody writes a word that another may write at the
//! same time, blocks come back in any order, and a stale hand-back (of a generation before) frees
//! nothing. Named pair: `POOL_RELEASE`.
//!
//! Blocks for eager payload and for bulk transfers are separate: eager blocks may stay in
//! unexpected queues for ever, and must not starve a transfer that is already matched.

use super::far::{Far, Span};
use super::{segment::Segment, shape::Shape};
use crate::sync::{AtomicU32, Ordering};
use std::{collections::VecDeque, sync::Arc};

/// A size class of blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    pub(crate) block_bytes: usize,
    pub(crate) blocks: u32,
    /// Until so many have been used, a fresh block is preferred to one that has come back; a bulk
    /// transfer uses no more at the same time.
    pub(crate) working_set: u32,
}

/// The classes, smallest blocks first. The last two are for bulk only: which of their working sets,
/// 256 KiB or 2 MiB, the caches like better depends on the machine.
#[cfg(not(loom))]
pub(crate) const CLASSES: [Class; 5] = [
    Class { block_bytes: 256, blocks: 1024, working_set: 32 },
    Class { block_bytes: 2 << 10, blocks: 512, working_set: 32 },
    Class { block_bytes: 16 << 10, blocks: 256, working_set: 16 },
    Class { block_bytes: 32 << 10, blocks: 64, working_set: 8 },
    Class { block_bytes: 128 << 10, blocks: 32, working_set: 16 },
];

#[cfg(loom)]
pub(crate) const CLASSES: [Class; 5] = [
    Class { block_bytes: 8, blocks: 2, working_set: 1 },
    Class { block_bytes: 16, blocks: 2, working_set: 1 },
    Class { block_bytes: 32, blocks: 2, working_set: 1 },
    Class { block_bytes: 64, blocks: 2, working_set: 1 },
    Class { block_bytes: 128, blocks: 2, working_set: 1 },
];

/// The class of the pieces of an eager message that fits no smaller block.
pub(crate) const EAGER_PIECE: usize = 2;
/// The class of small bulk pieces.
pub(crate) const BULK_SMALL: usize = 3;
/// The class of large bulk pieces.
pub(crate) const BULK_LARGE: usize = 4;

/// Where each class begins, and where the last ends: the number of its first block, its first byte.
const STARTS: [(u32, usize); CLASSES.len() + 1] = {
    let mut starts = [(0, 0); CLASSES.len() + 1];
    let mut class = 0;
    while class < CLASSES.len() {
        let (block, byte) = starts[class];
        let Class { block_bytes, blocks, .. } = CLASSES[class];
        starts[class + 1] = (block + blocks, byte + block_bytes * blocks as usize);
        class += 1;
    }
    starts
};

/// Blocks of one rank.
pub(crate) const BLOCKS: u32 = STARTS[CLASSES.len()].0;

/// How blocks lie in a pool, and are numbered.
pub(super) const SHAPE: Shape = {
    let (mut shape, mut class) = (Shape::START, 0);
    while class < CLASSES.len() {
        shape = shape.with(CLASSES[class].block_bytes as u64).with(CLASSES[class].blocks as u64);
        class += 1;
    }
    shape.with_all(&[EAGER_PIECE as u64, BULK_SMALL as u64, BULK_LARGE as u64])
};

/// Bytes of one rank's blocks.
pub(crate) const POOL_BYTES: usize = STARTS[CLASSES.len()].1;

/// The class whose blocks hold `bytes` best; `None` above the largest eager block.
pub(crate) fn eager_class(bytes: u64) -> Option<usize> {
    (0..=EAGER_PIECE).find(|&class| bytes <= CLASSES[class].block_bytes as u64)
}

/// The class of block `index`; `None` if there is no such block.
#[inline]
pub(crate) fn class_of(index: u32) -> Option<usize> {
    (0..CLASSES.len()).find(|&class| index < STARTS[class + 1].0)
}

/// Where block `index` lies in the pool: (offset, bytes).
#[inline]
fn place(index: u32) -> Option<(usize, usize)> {
    let class = class_of(index)?;
    let ((first, start), size) = (STARTS[class], CLASSES[class].block_bytes);
    Some((start + (index - first) as usize * size, size))
}

/// One use of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Block {
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    #[inline]
    pub(crate) fn from_word(word: u64) -> Self {
        Self { index: word as u32, generation: (word >> 32) as u32 }
    }
}

/// The owner's side: which blocks are free.
pub(crate) struct Pool {
    released: Far<[AtomicU32]>,
    generations: Box<[u32]>,
    classes: [ClassState; CLASSES.len()],
}

#[derive(Default)]
struct ClassState {
    /// Blocks that have been used at least once.
    used: u32,
    /// Used blocks that may be out, the longest ago first.
    cycle: VecDeque<u32>,
    /// Used blocks that are known to be back.
    back: VecDeque<u32>,
}

/// Blocks of the cycle that one allocation looks at before it takes a fresh block.
const LOOKS: usize = 4;

impl Pool {
    /// `first_generation` lets tests start just below the wrap.
    pub(crate) fn new(released: Far<[AtomicU32]>, first_generation: u32) -> Self {
        // Untouched memory says 0: pages that no block needs stay untouched.
        if first_generation != 0 {
            // Relaxed: before the owner publishes any block.
            released.iter().for_each(|word| word.store(first_generation, Ordering::Relaxed));
        }
        Self {
            released,
            generations: vec![first_generation; BLOCKS as usize].into(),
            classes: Default::default(),
        }
    }

    /// Takes a free block of the class. None if all are out: the receivers hold them.
    pub(crate) fn take(&mut self, class: usize) -> Option<Block> {
        let Class { blocks, working_set, .. } = CLASSES[class];
        let state = &mut self.classes[class];
        let grown = state.used >= working_set.min(blocks);
        let found = match grown {
            true => self.find_returned(class, LOOKS).or_else(|| self.fresh(class)),
            false => self.fresh(class),
        };
        let index = found.or_else(|| self.find_returned(class, blocks as usize))?;
        self.classes[class].cycle.push_back(index);
        let generation = &mut self.generations[index as usize];
        *generation = generation.wrapping_add(1);
        Some(Block { index, generation: *generation })
    }

    fn fresh(&mut self, class: usize) -> Option<u32> {
        let state = &mut self.classes[class];
        let index = (state.used < CLASSES[class].blocks).then(|| STARTS[class].0 + state.used)?;
        state.used += 1;
        Some(index)
    }

    /// A used block that is back; looks at most at `looks` of those that may be out.
    ///
    /// The receiver writes the released words of neighbouring blocks one after the other: one look at
    /// their cache line finds all that are back, instead of a line transfer for every block.
    fn find_returned(&mut self, class: usize, looks: usize) -> Option<u32> {
        if let Some(index) = self.classes[class].back.pop_front() {
            return Some(index);
        }
        for _ in 0..looks.min(self.classes[class].cycle.len()) {
            let index = self.classes[class].cycle.pop_front()?;
            if self.is_back(index) {
                self.gather_returned(class);
                return Some(index);
            }
            self.classes[class].cycle.push_back(index);
        }
        None
    }

    /// Takes note of the blocks at the front of the cycle that are back too.
    fn gather_returned(&mut self, class: usize) {
        while let Some(&index) = self.classes[class].cycle.front()
            && self.is_back(index)
        {
            self.classes[class].cycle.pop_front();
            self.classes[class].back.push_back(index);
        }
    }

    fn is_back(&self, index: u32) -> bool {
        // Acquire: POOL_RELEASE, pairs with the Release in `release`: the receiver has read the
        // block before this rank writes it again.
        self.released[index as usize].load(Ordering::Acquire) == self.generations[index as usize]
    }

    /// Whether this use of the block is over.
    pub(crate) fn is_over(&self, block: Block) -> bool {
        self.generations[block.index as usize] != block.generation || self.is_back(block.index)
    }

    /// Gives back a block that was never published.
    pub(crate) fn put_back(&mut self, block: Block) {
        release(&self.released, block);
    }

    /// How many blocks of a class were ever used.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn used(&self, class: usize) -> u32 {
        self.classes[class].used
    }

    /// How many blocks are out, for tests that expect none to be lost.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn blocks_out(&self) -> usize {
        self.classes.iter().flat_map(|class| &class.cycle).filter(|&&index| !self.is_back(index)).count()
    }
}

/// The receiver hands a block back.
#[inline]
pub(crate) fn release(released: &[AtomicU32], block: Block) {
    // Release: POOL_RELEASE, pairs with the Acquire in `Pool::is_back`.
    released[block.index as usize].store(block.generation, Ordering::Release);
}

/// The bytes of one rank's blocks, and its released words, as any rank sees them.
#[derive(Clone)]
pub(crate) struct Blocks {
    segment: Arc<Segment>,
    offset: usize,
    released: Far<[AtomicU32]>,
}

impl Blocks {
    pub(super) fn new(segment: Arc<Segment>, offset: usize, released: Far<[AtomicU32]>) -> Self {
        Self { segment, offset, released }
    }

    /// The first `bytes` bytes of a block. None for a block that does not exist or is smaller: the
    /// cell that named it is corrupted.
    #[inline]
    pub(crate) fn span(&self, block: Block, bytes: u64) -> Option<Span<'_>> {
        let (start, size) = place(block.index)?;
        let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= size)?;
        Some(self.segment.span(self.offset + start, bytes))
    }

    #[inline]
    pub(crate) fn release(&self, block: Block) {
        release(&self.released, block);
    }

    /// As [`release`](Self::release), of a block that its owner may have put back before, and used again: then nothing is
    /// written, which the block's receiver might be writing too.
    pub(crate) fn release_unless_back(&self, block: Block) {
        let before = block.generation.wrapping_sub(1);
        // Release: POOL_RELEASE, pairs with the Acquire in `Pool::is_back`. Relaxed: what was read is not used.
        let _ = self.released[block.index as usize].compare_exchange(
            before,
            block.generation,
            Ordering::Release,
            Ordering::Relaxed,
        );
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn pool(first_generation: u32) -> (Pool, Far<[AtomicU32]>) {
        let words: Box<[AtomicU32]> = (0..BLOCKS).map(|_| AtomicU32::new(0)).collect();
        let released = Far::on_heap(words);
        (Pool::new(released.clone(), first_generation), released)
    }

    #[test]
    fn every_block_is_given_once_and_again_after_it_is_back() {
        for (class, Class { blocks, .. }) in CLASSES.iter().enumerate() {
            let (mut pool, released) = pool(u32::MAX - 1);
            let all: Vec<Block> = std::iter::from_fn(|| pool.take(class)).collect();
            assert_eq!(all.len(), *blocks as usize);
            let mut indexes: Vec<u32> = all.iter().map(|block| block.index).collect();
            indexes.dedup();
            assert_eq!(indexes.len(), all.len());
            for block in all.iter().rev() {
                assert_eq!(pool.take(class), None);
                release(&released, *block);
                let again = pool.take(class).unwrap();
                assert_eq!(again.index, block.index);
                assert_ne!(again.generation, block.generation);
            }
        }
    }

    #[test]
    fn a_use_is_over_once_the_block_is_back_also_when_it_is_out_again() {
        let (mut pool, released) = pool(u32::MAX);
        let first = pool.take(BULK_LARGE).unwrap();
        assert!(!pool.is_over(first));
        release(&released, first);
        assert!(pool.is_over(first));
        let uses: Vec<Block> = std::iter::from_fn(|| pool.take(BULK_LARGE)).collect();
        assert!(pool.is_over(first) && !uses.iter().any(|block| pool.is_over(*block)));
    }

    #[test]
    fn a_stale_hand_back_frees_nothing() {
        let (mut pool, released) = pool(7);
        let first = pool.take(BULK_LARGE).unwrap();
        pool.put_back(first);
        while pool.take(BULK_LARGE).is_some() {}
        release(&released, first);
        assert_eq!(pool.take(BULK_LARGE), None);
    }

    #[test]
    fn blocks_of_all_classes_tile_the_pool() {
        let mut end = 0;
        for index in 0..BLOCKS {
            let (start, size) = place(index).unwrap();
            assert_eq!(start, end);
            end = start + size;
        }
        assert_eq!(end, POOL_BYTES);
        assert_eq!(place(BLOCKS), None);
    }

    #[test]
    fn the_working_set_stays_small_when_blocks_come_back() {
        let (mut pool, released) = pool(0);
        for _ in 0..1000 {
            let block = pool.take(0).unwrap();
            release(&released, block);
        }
        assert_eq!(pool.classes[0].used, CLASSES[0].working_set);
    }
}
