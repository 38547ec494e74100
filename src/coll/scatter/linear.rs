//! Cost: n − 1 messages, all from the root.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, plan::Plan},
    types::Rank,
};

/// `mine` is none if it stays in its place among `all`, which only the root has.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    all: Option<(SendBytes, &Blocks)>,
    mine: Option<ReceiveBytes>,
    root: Rank,
) {
    let Some((memory, blocks)) = all else {
        mine.into_iter().for_each(|mine| plan.take(root, mine));
        return;
    };
    for rank in 0..plan.size() {
        let block = blocks.of(memory, rank);
        match mine {
            _ if rank != root => _ = plan.send(rank, block),
            Some(mine) => plan.copy(block, mine),
            None => {}
        }
    }
}
