//! Cost: every rank combines a share, 1/n, of all slices, which the others send it; then the root gathers the shares.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, gather, plan::Plan, reduce_scatter},
    error::Result,
    types::Rank,
};

/// `result` holds the root's own part, of which `shares` are whole elements.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    shares: &Blocks,
    root: Rank,
) -> Result<()> {
    let me = plan.rank();
    let share = match result {
        Some(result) => shares.of_mut(result, me),
        None => {
            let share = plan.scratch(shares.bytes(me))?;
            plan.copy(shares.of(mine, me), share);
            share
        }
    };
    reduce_scatter::pairwise::plan(plan, mine, shares, share)?;
    let mine = result.is_none().then_some(share.to_send());
    // The root's memory was read until now by messages that go out.
    plan.wait_all();
    gather::linear::plan(plan, mine, result.map(|result| (result, shares)), root);
    Ok(())
}
