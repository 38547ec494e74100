//! The stage of a communicator: blocks of each member, in which it puts what the others read in collectives of more
//! than a slot of the board.
//!
//! | bytes | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | the room of `seq`, in the blocks of member m | m, before it enters `seq` | all, once m has entered `seq` | m's part in `seq` |
//!
//! The operations are the board's, by its numbers. Each takes room on the stage, at the same place for all members,
//! who know how much: rooms follow each other around two rings. What was put for `seq` is free once all members have
//! entered `seq + 1`, as for the board's windows; only that there is more of it, so that a member may be further ahead.
//! The last member to leave the board hands all blocks back to their owners.

use super::{
    far::Span,
    pool::{BULK_LARGE, Block, Blocks, CLASSES},
};
use std::{collections::VecDeque, ops::Range};

/// How many blocks each member has.
pub(crate) const STAGE_BLOCKS: usize = 8;

/// Bytes of a block: the most that an operation may take.
pub(crate) const ROOM_BYTES: u64 = CLASSES[BULK_LARGE].block_bytes as u64;

/// Up to so many bytes go by the first ring, of one block: what is used often should stay in the nearest caches. More go
/// by the other: much data is quickest in lines that have left the caches of those who wrote them last.
const SHORT_BYTES: u64 = 8 << 10;

/// One member's blocks, of class `BULK_LARGE`.
pub(crate) type StageBlocks = [Block; STAGE_BLOCKS];

/// The stage as a member sees it.
pub(crate) struct Stage {
    members: Box<[(Blocks, StageBlocks)]>,
    short: Ring,
    long: Ring,
}

/// Where rooms follow each other, from block to block; none crosses a block's end.
struct Ring {
    bytes: Range<u64>,
    next: u64,
    /// The rooms that have not been used again, and for which operation they were.
    used: VecDeque<(u64, Range<u64>)>,
}

/// The place of an operation's parts, in the blocks of every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    start: u64,
    len: u64,
    /// It may be written once all members have entered the operation of this number.
    pub(crate) free_at: Option<u64>,
}

impl Room {
    /// Nothing can be put there.
    pub(crate) const NONE: Self = Self { start: 0, len: 0, free_at: None };
}

impl Ring {
    fn new(blocks: Range<u64>) -> Self {
        let bytes = blocks.start * ROOM_BYTES..blocks.end * ROOM_BYTES;
        Self { next: bytes.start, bytes, used: VecDeque::new() }
    }

    fn take(&mut self, seq: u64, len: u64) -> Room {
        let len = len.next_multiple_of(64);
        let left = ROOM_BYTES - self.next % ROOM_BYTES;
        let mut start = if len <= left { self.next } else { self.next + left };
        if start == self.bytes.end {
            start = self.bytes.start;
        }
        let (mut free_at, end) = (None, start + len);
        // The oldest are first, and lie in the order of their places.
        while let Some((used, bytes)) = self.used.front()
            && (bytes.start < end && start < bytes.end || self.is_skipped(bytes, start))
        {
            free_at = Some(used + 1);
            self.used.pop_front();
        }
        debug_assert!(free_at.is_none_or(|free_at| free_at < seq), "a ring holds more than two rooms");
        self.used.push_back((seq, start..end));
        self.next = end;
        Room { start, len, free_at }
    }

    /// Whether used bytes lie between the last room and one that begins there.
    fn is_skipped(&self, bytes: &Range<u64>, start: u64) -> bool {
        let last = self.next;
        match start >= last {
            true => (last..start).contains(&bytes.start),
            false => bytes.start >= last || bytes.start < start,
        }
    }
}

impl Stage {
    /// The members' blocks, in the order of their ranks. None if one of them does not exist.
    pub(crate) fn new(members: impl IntoIterator<Item = (Blocks, StageBlocks)>) -> Option<Self> {
        let members: Box<[_]> = members.into_iter().collect();
        let is_whole = |(blocks, named): &(Blocks, StageBlocks)| {
            named.iter().all(|block| blocks.span(*block, ROOM_BYTES).is_some())
        };
        let (short, long) = (Ring::new(0..1), Ring::new(1..STAGE_BLOCKS as u64));
        members.iter().all(is_whole).then_some(Self { members, short, long })
    }

    /// The room of an operation, of which every member has to take as much.
    pub(crate) fn take(&mut self, seq: u64, len: u64) -> Room {
        assert!(len <= ROOM_BYTES, "a room lies in one block");
        if len <= SHORT_BYTES { self.short.take(seq, len) } else { self.long.take(seq, len) }
    }

    /// Bytes of a member's part.
    #[inline]
    pub(crate) fn part(&self, member: usize, room: Room, offset: u64, len: u64) -> Span<'_> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= room.len), "parts lie in their room");
        let (blocks, named) = &self.members[member];
        let start = room.start + offset;
        let block = named[(room.start / ROOM_BYTES) as usize];
        let span = blocks.span(block, ROOM_BYTES).expect("checked when the stage was made");
        span.part((start % ROOM_BYTES) as usize, len as usize)
    }

    /// Nobody reads any of it any more. (A member that could not make its stage, after a mistake of the program, has put
    /// its blocks back itself.)
    pub(crate) fn hand_back(&self) {
        for (blocks, named) in &self.members {
            named.iter().for_each(|block| blocks.release_unless_back(*block));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Rooms of any length, against a map of who has used each line last.
    #[test]
    fn a_room_is_free_when_all_have_left_the_last_operation_that_used_any_of_it() {
        let mut ring = Ring::new(1..4);
        let mut last = vec![0u64; (4 * ROOM_BYTES / 64) as usize];
        let mut free = 0;
        for seq in 1..5000u64 {
            let len = 1 + seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ROOM_BYTES;
            let room = ring.take(seq, len);
            let (first, end) = (room.start / ROOM_BYTES, (room.start + room.len - 1) / ROOM_BYTES);
            assert_eq!((first, room.len), (end, len.next_multiple_of(64)), "in one block");
            assert!((1..4).contains(&first));
            let lines = (room.start / 64) as usize..((room.start + room.len) / 64) as usize;
            let used = lines.clone().map(|line| last[line]).max().expect("a line");
            free = free.max(room.free_at.unwrap_or(0));
            assert!(
                used == 0 || free > used,
                "operation {used} may go on in the room of {seq}, free at {free}"
            );
            assert!(free < seq, "it would wait for itself");
            lines.for_each(|line| last[line] = seq);
            assert!(ring.used.len() < 5000 / 2);
        }
    }

    #[test]
    fn a_stage_whose_owner_has_put_its_blocks_back_is_handed_back_without_harm() {
        use crate::shm::{pool::Pool, segment::Segment};
        let segment = Segment::on_heap(1).unwrap();
        let (blocks, released) = segment.blocks(0);
        let mut pool = Pool::new(released, u32::MAX);
        let mut take_all = || -> Vec<Block> { std::iter::from_fn(|| pool.take(BULK_LARGE)).collect() };
        let first = take_all();
        let named = StageBlocks::try_from(&first[..STAGE_BLOCKS]).unwrap();
        let stage = Stage::new([(blocks.clone(), named)]).unwrap();
        first.iter().for_each(|block| blocks.release(*block));
        let again = take_all();
        assert_eq!(again.len(), first.len());
        // Half of them come back before, half after.
        let (before, after) = again.split_at(again.len() / 2);
        before.iter().for_each(|block| blocks.release(*block));
        stage.hand_back();
        after.iter().for_each(|block| blocks.release(*block));
        let last = take_all();
        assert_eq!(last.len(), first.len(), "blocks are lost");
        let named = StageBlocks::try_from(&last[..STAGE_BLOCKS]).unwrap();
        Stage::new([(blocks, named)]).unwrap().hand_back();
        assert_eq!(take_all().len(), STAGE_BLOCKS);
    }

    #[test]
    fn rooms_of_one_length_are_used_in_turn() {
        let mut ring = Ring::new(0..1);
        let free: Vec<Option<u64>> = (1..8).map(|seq| ring.take(seq, ROOM_BYTES / 4).free_at).collect();
        assert_eq!(free, [None, None, None, None, Some(2), Some(3), Some(4)]);
    }
}
