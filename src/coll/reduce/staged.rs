//! Cost: with few ranks, or short slices, the root reads all slices and combines them. Else every rank combines a
//! share, 1/n, which it reads from all others, and the root reads the results. On the stage.

use crate::{
    buffer::{Plain, ReceiveBytes, Scratch, SendBytes},
    coll::{
        all_reduce::staged::{fold_parts, reduce_shares, scratch_to_fold},
        blocks::Blocks,
        on_board::Waiting,
        on_stage::{PART_BYTES, Staged},
        select,
    },
    error::Result,
    op::Op,
    types::Rank,
};

/// `result` holds the root's own part.
pub(in crate::coll) fn run<T: Plain>(
    staged: Staged<'_, '_, '_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    op: &impl Op<T>,
    root: Rank,
) -> Result<()> {
    if select::reduce_staged_is_split(mine.len(), staged.comm().size()) {
        split(staged, mine, result, op, root)
    } else {
        rooted(staged, mine, result, op, root)
    }
}

/// The root combines all.
pub(in crate::coll) fn rooted<T: Plain>(
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

/// Every rank combines a share.
pub(in crate::coll) fn split<T: Plain>(
    mut staged: Staged<'_, '_, '_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    op: &impl Op<T>,
    root: Rank,
) -> Result<()> {
    let unit = size_of::<T>().max(1) as u64;
    let size = staged.comm().size();
    let (most, mut offset) = (PART_BYTES / unit * unit, 0);
    // Where ranks that are not the root combine their shares.
    let room = if result.is_none() { most.min(mine.len()) } else { 0 };
    let (mut own_share, mut to_fold) = (Scratch::new(room)?, scratch_to_fold(unit)?);
    let (own_share, to_fold) = (own_share.memory(), to_fold.memory());
    loop {
        let len = most.min(mine.len() - offset);
        let chunk = match result {
            Some(result) => result.part(offset, len),
            None => {
                let chunk = own_share.part(0, len);
                chunk.copy_from(mine.part(offset, len));
                chunk
            }
        };
        let shares = Blocks::even(size, len / unit, unit);
        reduce_shares(&mut staged, chunk, (&shares, unit), to_fold, op)?;
        staged.next();
        collect_shares(&mut staged, chunk, &shares, root)?;
        offset += len;
        if offset == mine.len() {
            return Ok(());
        }
        staged.next();
    }
}

/// The root reads the others' shares of the result.
fn collect_shares(
    staged: &mut Staged<'_, '_, '_>,
    chunk: ReceiveBytes,
    shares: &Blocks,
    root: Rank,
) -> Result<()> {
    let (me, size) = (staged.comm().rank(), staged.comm().size());
    // The first share is the longest.
    staged.make_room(shares.bytes(0))?;
    if me != root {
        staged.put(0, shares.of(chunk.to_send(), me));
        staged.enter(Waiting::Rank(root));
        return Ok(());
    }
    staged.enter(Waiting::Nobody);
    for rank in (0..size).filter(|rank| *rank != root) {
        staged.wait_for(rank)?;
        staged.get(rank, 0, shares.of_mut(chunk, rank));
    }
    Ok(())
}
