//! Cost: two copies of the slice; the readers copy at the same time; on the board.

use crate::{
    buffer::ReceiveBytes,
    coll::on_board::{Operation, Waiting},
    error::Result,
    types::Rank,
};

pub(in crate::coll) fn run(
    mut operation: Operation<'_, '_, '_>,
    data: ReceiveBytes,
    root: Rank,
) -> Result<()> {
    if operation.comm().rank() == root {
        operation.write_window(data.to_send())?;
        operation.enter(Waiting::All);
        return Ok(());
    }
    operation.enter(Waiting::Nobody);
    operation.read_window(root, data)
}
