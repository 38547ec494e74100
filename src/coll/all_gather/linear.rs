//! Cost: everyone sends its block to everyone, all at the same time: n − 1 messages a rank, and one step.

use crate::{
    buffer::ReceiveBytes,
    coll::{blocks::Blocks, plan::Plan},
};

/// This rank's block is in its place.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, all: ReceiveBytes, blocks: &Blocks) {
    let mine = blocks.of(all.to_send(), plan.rank());
    for distance in 1..plan.size() {
        let (to, from) = (plan.behind(distance), plan.before(distance));
        plan.receive(from, blocks.of_mut(all, from));
        plan.send(to, mine);
    }
}
