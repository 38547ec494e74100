//! Cost: n − 1 steps; in each, everyone passes on the block that came in the one before.

use crate::{
    buffer::ReceiveBytes,
    coll::{blocks::Blocks, plan::Plan},
};

/// This rank's block is in its place.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, all: ReceiveBytes, blocks: &Blocks) {
    let (next, previous) = (plan.behind(1), plan.before(1));
    for step in 0..plan.size() - 1 {
        let passed_on = blocks.of(all.to_send(), plan.before(step));
        let expected = blocks.of_mut(all, plan.before(step + 1));
        plan.exchange(next, passed_on, previous, expected);
    }
}
