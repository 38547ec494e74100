//! Cost: everyone sends each rank its share of the slice, n − 1 messages a rank, and combines the shares that come.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, fold::fold, plan::Plan},
    error::Result,
};

/// `share` holds this rank's own part of its share, and takes the result.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    mine: SendBytes,
    shares: &Blocks,
    share: ReceiveBytes,
) -> Result<()> {
    for distance in 1..plan.size() {
        let to = plan.behind(distance);
        plan.send(to, shares.of(mine, to));
    }
    let ranks = 0..plan.size();
    fold(plan, ranks, share)
}
