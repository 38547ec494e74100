//! What reductions in shared memory are made of: combinations of what the members have put on the board, or on the
//! stage, in the order of [`fold`](super::fold).

use super::{
    blocks::Blocks,
    on_board::{Operation, Waiting},
    on_stage::Staged,
};
use crate::{
    buffer::{self, FewBytes, Order, Plain, ReceiveBytes, Scratch},
    communicator::Communicator,
    error::Result,
    op::Op,
    types::Rank,
};

/// Combines what all ranks give, in their order, by this thread and at once: `into` holds this rank's own part and takes
/// the result; `fetch` brings what another rank gives, to `lower` or `theirs`, which are as long as `into`.
#[inline]
fn fold_now<T: Plain>(
    comm: &Communicator<'_>,
    op: &impl Op<T>,
    into: ReceiveBytes,
    (lower, theirs): (ReceiveBytes, ReceiveBytes),
    mut fetch: impl FnMut(Rank, ReceiveBytes) -> Result<()>,
) -> Result<()> {
    let combine = |from: ReceiveBytes, into, order| {
        let combine = || buffer::combine(op, from.to_send(), into, order);
        comm.engine().run_operation(op.is_built_in(), combine)
    };
    let me = comm.rank();
    for rank in 0..comm.size() {
        match rank {
            _ if rank == me && me > 0 => combine(lower, into, Order::IntoUpper)?,
            _ if rank == me => {}
            0 => fetch(rank, lower)?,
            _ => {
                fetch(rank, theirs)?;
                combine(theirs, if rank < me { lower } else { into }, Order::IntoLower)?;
            }
        }
    }
    Ok(())
}

/// Combines what is in the members' slots with this rank's own part, which `result` holds, in the order of ranks.
pub(super) fn fold_slots<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    result: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    let (comm, bytes) = (operation.comm(), result.len());
    let (mut below, mut slot) = (FewBytes::new(), FewBytes::new());
    let scratch = (below.memory(bytes), slot.memory(bytes));
    fold_now(comm, op, result, scratch, |rank, into| operation.fetch_slot(rank, into))
}

/// Bytes that are combined at a time: they stay in the nearest caches.
const GRAIN_BYTES: u64 = 32 << 10;

/// Bytes of elements of `unit` bytes that are combined at a time.
fn grain(unit: u64) -> u64 {
    (GRAIN_BYTES / unit).max(1) * unit
}

/// What [`fold_parts`] needs beside its result. Taken before a rank enters its first operation: if it fails there, the
/// rank has not taken part, and may try again.
pub(super) fn scratch_to_fold(unit: u64) -> Result<Scratch> {
    Scratch::new(2 * grain(unit))
}

/// Combines what all others have put from `offset` on with this rank's own part, which `into` holds, in the order of
/// ranks.
pub(super) fn fold_parts<T: Plain>(
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

/// Everyone has its own share of the chunk combined.
pub(super) fn fold_shares<T: Plain>(
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
