//! Cost: each rank copies its block once to where all others read it, at the same time; on the stage.

use crate::{
    buffer::ReceiveBytes,
    coll::{
        blocks::Blocks,
        on_board::Waiting,
        on_stage::{PART_BYTES, Staged},
    },
    error::Result,
};

/// This rank's block is in its place. All blocks have the same length.
pub(in crate::coll) fn run(mut staged: Staged<'_, '_, '_>, all: ReceiveBytes, blocks: &Blocks) -> Result<()> {
    let (me, size) = (staged.comm().rank(), staged.comm().size());
    let (bytes, mut offset) = (blocks.bytes(me), 0);
    loop {
        let len = PART_BYTES.min(bytes - offset);
        staged.make_room(len)?;
        staged.put(0, blocks.of(all.to_send(), me).part(offset, len));
        staged.enter(Waiting::All);
        // Not all from the same rank at the same time.
        for rank in (me + 1..size).chain(0..me) {
            staged.wait_for(rank)?;
            staged.get(rank, 0, blocks.of_mut(all, rank).part(offset, len));
        }
        offset += len;
        if offset == bytes {
            return Ok(());
        }
        staged.next();
    }
}
