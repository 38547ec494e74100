//! Cost: short slices are combined by all ranks, each of which reads all others. Of longer ones every rank combines a
//! share, 1/n, which it reads from all others; then all read each other's results. On the stage.

use crate::{
    buffer::{Plain, ReceiveBytes, Scratch},
    coll::{
        blocks::Blocks,
        fold::fold_now,
        on_board::Waiting,
        on_stage::{PART_BYTES, Staged},
        select,
    },
    error::Result,
    op::Op,
};

/// Bytes that are combined at a time: they stay in the nearest caches.
const GRAIN_BYTES: u64 = 32 << 10;

/// In place.
pub(in crate::coll) fn run<T: Plain>(
    staged: Staged<'_, '_, '_>,
    data: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    if select::all_combine_staged(data.len(), staged.comm().size()) {
        all_combine(staged, data, op)
    } else {
        split(staged, data, op)
    }
}

/// All ranks combine all, at most [`PART_BYTES`].
pub(in crate::coll) fn all_combine<T: Plain>(
    mut staged: Staged<'_, '_, '_>,
    data: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    let unit = size_of::<T>().max(1) as u64;
    let mut scratch = scratch_to_fold(unit)?;
    staged.make_room(data.len())?;
    staged.put(0, data.to_send());
    staged.enter(Waiting::All);
    fold_parts(&mut staged, data, (0, unit), scratch.memory(), op)
}

/// Every rank combines a share.
pub(in crate::coll) fn split<T: Plain>(
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
        reduce_shares(&mut staged, chunk, (&shares, unit), scratch, op)?;
        staged.next();
        share_results(&mut staged, chunk, &shares)?;
        offset += chunk.len();
        if offset == data.len() {
            return Ok(());
        }
        staged.next();
    }
}

/// Everyone has its own share of the chunk combined.
pub(in crate::coll) fn reduce_shares<T: Plain>(
    staged: &mut Staged<'_, '_, '_>,
    chunk: ReceiveBytes,
    (shares, unit): (&Blocks, u64),
    scratch: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    let (me, size) = (staged.comm().rank(), staged.comm().size());
    staged.make_room(chunk.len())?;
    for rank in (0..size).filter(|rank| *rank != me) {
        staged.put(shares.start(rank), shares.of(chunk.to_send(), rank));
    }
    staged.enter(Waiting::All);
    fold_parts(staged, shares.of_mut(chunk, me), (shares.start(me), unit), scratch, op)
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

/// Bytes of elements of `unit` bytes that are combined at a time.
fn grain(unit: u64) -> u64 {
    (GRAIN_BYTES / unit).max(1) * unit
}

/// What [`fold_parts`] needs beside its result. Taken before a rank enters its first operation: if it fails there, the
/// rank has not taken part, and may try again.
pub(in crate::coll) fn scratch_to_fold(unit: u64) -> Result<Scratch> {
    Scratch::new(2 * grain(unit))
}

/// Combines what all others have put from `offset` on with this rank's own part, which `into` holds, in the order of
/// ranks.
pub(in crate::coll) fn fold_parts<T: Plain>(
    staged: &mut Staged<'_, '_, '_>,
    into: ReceiveBytes,
    (offset, unit): (u64, u64),
    scratch: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    staged.wait_for_others()?;
    let (comm, most) = (staged.comm(), grain(unit));
    let mut done = 0;
    while done < into.len() {
        let len = most.min(into.len() - done);
        let parts = (scratch.part(0, len), scratch.part(most, len));
        fold_now(comm, op, into.part(done, len), parts, |rank, into| {
            // The operation may have forked this process,
            comm.check_caller()?;
            staged.get(rank, offset + done, into);
            Ok(())
        })?;
        done += len;
    }
    // also at the end.
    comm.check_caller()
}
