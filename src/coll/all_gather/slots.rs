//! Cost: one line from every rank, at all ranks at the same time, two for blocks that don't fit beside a flag; on the
//! board.

use crate::{
    buffer::ReceiveBytes,
    coll::{
        blocks::Blocks,
        on_board::{Operation, Waiting},
    },
    error::Result,
    shm::board::Readers,
};

/// This rank's block is in its place. All blocks have the same length.
pub(in crate::coll) fn run(
    mut operation: Operation<'_, '_, '_>,
    all: ReceiveBytes,
    blocks: &Blocks,
) -> Result<()> {
    let (me, size) = (operation.comm().rank(), operation.comm().size());
    operation.give_slot(blocks.of(all.to_send(), me), Readers::All)?;
    operation.enter(Waiting::All);
    (me + 1..size).chain(0..me).try_for_each(|rank| operation.fetch_slot(rank, blocks.of_mut(all, rank)))
}
