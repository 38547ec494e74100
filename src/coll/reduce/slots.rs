//! Cost: one line from every rank, at the root; on the board.

use crate::{
    buffer::{FewBytes, Plain, ReceiveBytes, SendBytes},
    coll::{
        fold::fold_now,
        on_board::{Operation, Waiting},
    },
    error::Result,
    op::Op,
    shm::board::Readers,
    types::Rank,
};

/// A rank that is not the root.
pub(in crate::coll) fn contribute(
    mut operation: Operation<'_, '_, '_>,
    mine: SendBytes,
    root: Rank,
) -> Result<()> {
    operation.give_slot(mine, Readers::One(root as usize))?;
    operation.enter(Waiting::Rank(root));
    Ok(())
}

/// The root, whose own part `result` holds.
pub(in crate::coll) fn combine<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    result: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    operation.enter(Waiting::Nobody);
    combine_slots(operation, result, op)
}

/// Combines what is in the members' slots with this rank's own part, which `result` holds, in the order of ranks.
pub(in crate::coll) fn combine_slots<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    result: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    let (comm, bytes) = (operation.comm(), result.len());
    let (mut below, mut slot) = (FewBytes::new(), FewBytes::new());
    let scratch = (below.memory(bytes), slot.memory(bytes));
    fold_now(comm, op, result, scratch, |rank, into| operation.fetch_slot(rank, into))
}
