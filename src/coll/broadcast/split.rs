//! Cost: the root sends each rank a share of the slice, 1/n; then n − 1 steps of a share, in each of which
//! everyone passes on what came in the one before. The root sends the slice once, not log₂ n times.

use crate::{
    buffer::ReceiveBytes,
    coll::{all_gather, blocks::Blocks, plan::Plan},
    types::Rank,
};

/// Shares begin at multiples of so many bytes.
const GRAIN: u64 = 64;

pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes, root: Rank) {
    let size = plan.size();
    let shares = shares(size, data.len());
    if plan.rank() == root {
        let others = (0..size).filter(|rank| *rank != root);
        others.for_each(|rank| _ = plan.send(rank, shares.of(data.to_send(), rank)));
    } else {
        plan.take(root, shares.of_mut(data, plan.rank()));
    }
    all_gather::ring::plan(plan, data, &shares);
}

fn shares(size: Rank, bytes: u64) -> Blocks {
    let whole = bytes.div_ceil(GRAIN);
    let blocks = Blocks::even(size, whole, GRAIN);
    blocks.cut_to(bytes)
}
