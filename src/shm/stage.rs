//! The stage of a communicator: blocks of each member, in which it puts what the others read in collectives of more
//! than a slot of the board.
//!
//! | bytes | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | slot `seq % SLOTS` of member m | m, before it enters `seq` | all, once m has entered `seq` | m's part in `seq` |
//!
//! The operations are the board's, by its numbers: what was put for `seq` is free once all members have entered
//! `seq + 1`, as for the board's windows; only that there are more of them, so that a member may be further ahead. The
//! last member to leave the board hands all blocks back to their owners.

use super::{
    far::Span,
    pool::{Block, Blocks},
};

/// How many operations may have their parts on the stage.
pub(crate) const SLOTS: usize = 4;

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: u64 = super::pool::CLASSES[super::pool::BULK_LARGE].block_bytes as u64;

/// One member's blocks, of class `BULK_LARGE`.
pub(crate) type StageBlocks = [Block; SLOTS];

/// The stage as every member sees it.
pub(crate) struct Stage(Box<[(Blocks, StageBlocks)]>);

impl Stage {
    /// The members' blocks, in the order of their ranks. None if one of them is none.
    pub(crate) fn new(members: impl IntoIterator<Item = (Blocks, StageBlocks)>) -> Option<Self> {
        let members: Box<[_]> = members.into_iter().collect();
        let is_whole = |(blocks, named): &(Blocks, StageBlocks)| {
            named.iter().all(|block| blocks.span(*block, SLOT_BYTES).is_some())
        };
        members.iter().all(is_whole).then_some(Self(members))
    }

    /// A member's part in an operation.
    #[inline]
    pub(crate) fn slot(&self, member: usize, seq: u64, offset: u64, len: u64) -> Span<'_> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= SLOT_BYTES), "parts lie in their slot");
        let (blocks, named) = &self.0[member];
        let block = named[(seq % SLOTS as u64) as usize];
        blocks.span(block, SLOT_BYTES).expect("checked when it was made").part(offset as usize, len as usize)
    }

    /// Nobody reads any of it any more.
    pub(crate) fn hand_back(&self) {
        for (blocks, named) in &self.0 {
            named.iter().for_each(|block| blocks.release(*block));
        }
    }
}
