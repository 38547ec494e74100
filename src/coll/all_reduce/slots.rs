//! Cost: one line from every rank, at all ranks at the same time; on the board. Every rank combines all.

use crate::{
    buffer::{Plain, ReceiveBytes},
    coll::{
        fold_shared::fold_slots,
        on_board::{Operation, Waiting},
    },
    error::Result,
    op::Op,
    shm::board::Readers,
};

/// In place.
pub(in crate::coll) fn run<T: Plain>(
    mut operation: Operation<'_, '_, '_>,
    data: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    operation.give_slot(data.to_send(), Readers::All)?;
    operation.enter(Waiting::All);
    fold_slots(operation, data, op)
}
