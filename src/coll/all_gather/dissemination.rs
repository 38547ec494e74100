//! Cost: ⌈log₂ n⌉ steps, for slices of equal length; in step k everyone has the blocks of the 2ᵏ ranks from itself
//! on, and gets as many from the rank 2ᵏ behind (Bruck et al.).

use crate::{
    buffer::ReceiveBytes,
    coll::{blocks::Blocks, plan::Plan},
    error::Result,
    types::Rank,
};

/// This rank's block is in its place.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, all: ReceiveBytes, blocks: &Blocks) -> Result<()> {
    let (size, bytes) = (plan.size(), blocks.bytes(plan.rank()));
    // From this rank's on, around the end.
    let collected = plan.scratch(bytes * size as u64)?;
    let part = |from: Rank, ranks: Rank| collected.part(bytes * from as u64, bytes * ranks as u64);
    plan.copy(blocks.of(all.to_send(), plan.rank()), part(0, 1));
    let mut have = 1;
    while have < size {
        let more = have.min(size - have);
        let (to, from) = (plan.before(have), plan.behind(have));
        plan.exchange(to, part(0, more).to_send(), from, part(have, more));
        have += more;
    }
    for distance in 1..size {
        let rank = plan.behind(distance);
        plan.copy(part(distance, 1).to_send(), blocks.of_mut(all, rank));
    }
    Ok(())
}
