//! Cost: every rank combines a share, 1/n, of all slices, which it reads from all others: n − 1 combinations of a share,
//! at all ranks at the same time. Then the root reads the others' results. On the stage.

use crate::{
    buffer::{Plain, ReceiveBytes, Scratch, SendBytes},
    coll::{
        blocks::Blocks,
        fold_shared::{fold_shares, scratch_to_fold},
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
        fold_shares(&mut staged, chunk, (&shares, unit), to_fold, op)?;
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
