//! Cost: one line from every rank, at the root; on the board.

use crate::{
    buffer::{FewBytes, Order, Plain, ReceiveBytes, SendBytes},
    coll::{
        call::combine_now,
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
    let comm = operation.comm();
    let (me, bytes) = (comm.rank(), result.len());
    let (mut slot, mut below) = (FewBytes::new(), FewBytes::new());
    let (slot, lower) = (slot.memory(bytes), below.memory(bytes));
    for rank in 0..comm.size() {
        match rank {
            _ if rank == me && me > 0 => combine_now(comm, op, lower.to_send(), result, Order::IntoUpper)?,
            _ if rank == me => {}
            0 => operation.fetch_slot(rank, lower)?,
            _ => {
                operation.fetch_slot(rank, slot)?;
                let into = if rank < me { lower } else { result };
                combine_now(comm, op, slot.to_send(), into, Order::IntoLower)?;
            }
        }
    }
    Ok(())
}
