//! Cost: every other rank copies its slice once to where the root reads it, and the root combines all: n − 1
//! combinations of the whole slice. On the stage.

use crate::{
    buffer::{Plain, ReceiveBytes, Scratch, SendBytes},
    coll::{
        fold_shared::{fold_parts, scratch_to_fold},
        on_board::Waiting,
        on_stage::{PART_BYTES, Staged},
    },
    error::Result,
    op::Op,
    types::Rank,
};

/// `result` holds the root's own part.
pub(in crate::coll) fn run<T: Plain>(
    mut staged: Staged<'_, '_, '_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    op: &impl Op<T>,
    root: Rank,
) -> Result<()> {
    let unit = size_of::<T>().max(1) as u64;
    let mut to_fold = if result.is_some() { scratch_to_fold(unit)? } else { Scratch::new(0)? };
    let to_fold = to_fold.memory();
    let (most, mut offset) = (PART_BYTES / unit * unit, 0);
    loop {
        let len = most.min(mine.len() - offset);
        staged.make_room(len)?;
        match result {
            Some(result) => {
                staged.enter(Waiting::Nobody);
                fold_parts(&mut staged, result.part(offset, len), (0, unit), to_fold, op)?;
            }
            None => {
                staged.put(0, mine.part(offset, len));
                staged.enter(Waiting::Rank(root));
            }
        }
        offset += len;
        if offset == mine.len() {
            return Ok(());
        }
        staged.next();
    }
}
