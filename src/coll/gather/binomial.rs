//! Cost: ⌈log₂ n⌉ steps of growing messages, for slices of equal length. Ranks are counted from the root; each
//! collects those with one lower bit more, with all that they have collected, and sends to the one without its lowest
//! bit.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, broadcast::binomial::power_of_two_from, plan::Plan},
    error::Result,
    types::Rank,
};

/// How many ranks a rank speaks for, itself included; all are counted from the root.
pub(in crate::coll) fn extent(relative: Rank, size: Rank) -> Rank {
    let lowest = if relative == 0 { power_of_two_from(size) } else { relative & -relative };
    lowest.min(size - relative)
}

/// `mine` is none if it lies in its place among `all`, which only the root has.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    mine: Option<SendBytes>,
    all: Option<(ReceiveBytes, &Blocks)>,
    root: Rank,
) -> Result<()> {
    let (size, relative) = (plan.size(), plan.before(root));
    let absolute = |relative: Rank| (relative + root) % size;
    let mine = match (mine, all) {
        (Some(mine), _) => mine,
        (None, Some((memory, blocks))) => blocks.of(memory.to_send(), root),
        (None, None) => return Ok(()),
    };
    let (extent, bytes) = (extent(relative, size), mine.len());
    // In the order of relative ranks, from this one on.
    let collected = plan.scratch(bytes * extent as u64)?;
    let block = |from: Rank, ranks: Rank| collected.part(bytes * from as u64, bytes * ranks as u64);
    plan.copy(mine, block(0, 1));
    let mut bit = 1;
    while bit < extent {
        let ranks = bit.min(extent - bit);
        plan.receive(absolute(relative + bit), block(bit, ranks));
        bit *= 2;
    }
    plan.wait_all();
    match all {
        Some((memory, blocks)) => {
            (0..size)
                .for_each(|from| plan.copy(block(from, 1).to_send(), blocks.of_mut(memory, absolute(from))));
        }
        None => _ = plan.send(absolute(relative & (relative - 1)), collected.to_send()),
    }
    Ok(())
}
