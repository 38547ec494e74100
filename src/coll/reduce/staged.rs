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
    mut staged: Staged<'_, '_, '_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    op: &impl Op<T>,
    root: Rank,
) -> Result<()> {
    let unit = size_of::<T>().max(1) as u64;
    let size = staged.comm().size();
    let is_split = select::reduce_staged_is_split(mine.len(), size);
    let (most, mut offset) = (PART_BYTES / unit * unit, 0);
    // Where ranks that are not the root combine their shares.
    let room = if is_split && result.is_none() { most.min(mine.len()) } else { 0 };
    let mut own_share = Scratch::new(room)?;
    let mut to_fold = if is_split || result.is_some() { scratch_to_fold(unit)? } else { Scratch::new(0)? };
    let (own_share, to_fold) = (own_share.memory(), to_fold.memory());
    loop {
        let len = most.min(mine.len() - offset);
        let own = mine.part(offset, len);
        match result.map(|result| result.part(offset, len)) {
            into if is_split => {
                let chunk = into.unwrap_or_else(|| own_share.part(0, len));
                if into.is_none() {
                    chunk.copy_from(own);
                }
                let shares = Blocks::even(size, len / unit, unit);
                reduce_shares(&mut staged, chunk, (&shares, unit), to_fold, op)?;
                staged.next();
                collect_shares(&mut staged, chunk, &shares, root)?;
            }
            Some(into) => {
                staged.make_room(len)?;
                staged.enter(Waiting::Nobody);
                fold_parts(&mut staged, into, (0, unit), to_fold, op)?;
            }
            None => {
                staged.make_room(len)?;
                staged.put(0, own);
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
