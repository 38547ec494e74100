//! Cost: every rank copies its slice once to where all others read it, and combines all: n − 1 combinations of the whole
//! slice, at all ranks at the same time. On the stage.

use crate::{
    buffer::{Plain, ReceiveBytes},
    coll::{
        fold_shared::{fold_parts, scratch_to_fold},
        on_board::Waiting,
        on_stage::Staged,
    },
    error::Result,
    op::Op,
};

/// In place, of at most [`PART_BYTES`](crate::coll::on_stage::PART_BYTES).
pub(in crate::coll) fn run<T: Plain>(
    mut staged: Staged<'_, '_, '_>,
    data: ReceiveBytes,
    op: &impl Op<T>,
) -> Result<()> {
    let unit = size_of::<T>().max(1) as u64;
    let mut scratch = scratch_to_fold(unit)?;
    staged.make_room(data.len())?;
    staged.put(0, data.to_send());
    staged.enter(Waiting::All);
    fold_parts(&mut staged, data, (0, unit), scratch.memory(), op)
}
