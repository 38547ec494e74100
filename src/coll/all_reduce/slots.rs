//! Cost: one line from every rank, at all ranks at the same time; on the board. Every rank combines all.

use crate::{
    buffer::{Plain, ReceiveBytes},
    coll::{
        on_board::{Operation, Waiting},
        reduce::slots::combine_slots,
    },
    error::Result,
    op::Op,
    shm::board::Readers,
};

/// In place.
pub(in crate::coll) fn all_combine<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    data: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    operation.give_slot(data.to_send(), Readers::All)?;
    operation.enter(Waiting::All);
    combine_slots(operation, data, op)
}
