//! Cost: n − 1 messages, all to the root.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, plan::Plan},
    types::Rank,
};

/// `mine` is none if it lies in its place among `all`, which only the root has.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    mine: Option<SendBytes>,
    all: Option<(ReceiveBytes, &Blocks)>,
    root: Rank,
) {
    let Some((memory, blocks)) = all else {
        mine.into_iter().for_each(|mine| _ = plan.send(root, mine));
        return;
    };
    for rank in 0..plan.size() {
        let block = blocks.of_mut(memory, rank);
        match mine {
            _ if rank != root => _ = plan.receive(rank, block),
            Some(mine) => plan.copy(mine, block),
            None => {}
        }
    }
}
