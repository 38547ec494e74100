//! Cost: every rank combines a share, 1/n, of all slices, which it reads from all others: n − 1 combinations of a share,
//! at all ranks at the same time. Then all read each other's results. On the stage.

use crate::{
    buffer::{Plain, ReceiveBytes},
    coll::{
        blocks::Blocks,
        fold_shared::{fold_shares, scratch_to_fold},
        on_board::Waiting,
        on_stage::{PART_BYTES, Staged},
    },
    error::Result,
    op::Op,
};

/// In place.
pub(in crate::coll) fn run<T: Plain>(
    mut staged: Staged<'_, '_, '_>,
    data: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    let unit = size_of::<T>().max(1) as u64;
    let size = staged.comm().size();
    let mut scratch = scratch_to_fold(unit)?;
    let scratch = scratch.memory();
    let (most, mut offset) = (PART_BYTES / unit * unit, 0);
    loop {
        let chunk = data.part(offset, most.min(data.len() - offset));
        let shares = Blocks::even(size, chunk.len() / unit, unit);
        fold_shares(&mut staged, chunk, (&shares, unit), scratch, op)?;
        staged.next();
        share_results(&mut staged, chunk, &shares)?;
        offset += chunk.len();
        if offset == data.len() {
            return Ok(());
        }
        staged.next();
    }
}

/// Everyone reads the others' shares of the result.
fn share_results(staged: &mut Staged<'_, '_, '_>, chunk: ReceiveBytes, shares: &Blocks) -> Result<()> {
    let (me, size) = (staged.comm().rank(), staged.comm().size());
    // The first share is the longest.
    staged.make_room(shares.bytes(0))?;
    staged.put(0, shares.of(chunk.to_send(), me));
    staged.enter(Waiting::All);
    // Not all from the same rank at the same time.
    for rank in (me + 1..size).chain(0..me) {
        staged.wait_for(rank)?;
        staged.get(rank, 0, shares.of_mut(chunk, rank));
    }
    Ok(())
}
