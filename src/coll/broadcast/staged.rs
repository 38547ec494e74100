//! Cost: two copies of the slice, in pieces, so that the root copies one while the others copy those before; on the
//! stage.

use crate::{
    buffer::ReceiveBytes,
    coll::{
        on_board::Waiting,
        on_stage::{PART_BYTES, Staged},
    },
    error::Result,
    types::Rank,
};

/// The shortest piece: each costs a line from the root.
const PIECE_MIN: u64 = 8 << 10;
/// How many pieces there are at least, if they are not too short.
const PIECES: u64 = 16;

pub(in crate::coll) fn run(mut staged: Staged<'_, '_, '_>, data: ReceiveBytes, root: Rank) -> Result<()> {
    let bytes = (data.len() / PIECES).next_multiple_of(64).clamp(PIECE_MIN, PART_BYTES);
    let mut offset = 0;
    loop {
        let piece = data.part(offset, bytes.min(data.len() - offset));
        staged.take_room(piece.len());
        if staged.comm().rank() == root {
            staged.wait_for_room()?;
            staged.put(0, piece.to_send());
            staged.enter(Waiting::All);
        } else {
            staged.enter(Waiting::Nobody);
            staged.wait_for(root)?;
            staged.get(root, 0, piece);
        }
        offset += piece.len();
        if offset == data.len() {
            return Ok(());
        }
        staged.next();
    }
}
