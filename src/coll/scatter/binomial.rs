//! Cost: ⌈log₂ n⌉ steps of shrinking messages, for slices of equal length. Ranks are counted from the root; each hears
//! from the one without its lowest bit, and passes on what is for those with one lower bit more and for whom they
//! speak.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, gather::binomial::extent, plan::Plan},
    error::Result,
    types::Rank,
};

/// `mine` is none if it stays in its place among `all`, which only the root has; `bytes` is how long it is.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    all: Option<(SendBytes, &Blocks)>,
    mine: Option<ReceiveBytes>,
    bytes: u64,
    root: Rank,
) -> Result<()> {
    let (size, relative) = (plan.size(), plan.before(root));
    let absolute = |relative: Rank| (relative + root) % size;
    let extent = extent(relative, size);
    // In the order of relative ranks, from this one on.
    let given = plan.scratch(bytes * extent as u64)?;
    let block = |from: Rank, ranks: Rank| given.part(bytes * from as u64, bytes * ranks as u64);
    match all {
        Some((memory, blocks)) => {
            (0..size).for_each(|to| plan.copy(blocks.of(memory, absolute(to)), block(to, 1)));
        }
        None => plan.take(absolute(relative & (relative - 1)), given),
    }
    let mut bit = crate::coll::broadcast::binomial::power_of_two_from(extent);
    while bit > 0 {
        if bit < extent {
            let ranks = bit.min(extent - bit);
            plan.send(absolute(relative + bit), block(bit, ranks).to_send());
        }
        bit /= 2;
    }
    mine.into_iter().for_each(|mine| plan.copy(block(0, 1).to_send(), mine));
    Ok(())
}
