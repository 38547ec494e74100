//! Cost: one line from every rank, at the root; on the board.

use crate::{
    buffer::{Plain, ReceiveBytes, SendBytes},
    coll::{
        fold_shared::fold_slots,
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
    fold_slots(operation, result, op)
}
