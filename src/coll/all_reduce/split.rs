//! Cost: every rank combines a share, 1/n, of all slices, which the others send it; then n − 1 steps of a share, in
//! each of which everyone passes on what came in the one before. Each rank sends and receives the slice about twice,
//! and combines it once.

use crate::{
    buffer::ReceiveBytes,
    coll::{all_gather, blocks::Blocks, plan::Plan, reduce_scatter},
    error::Result,
};

/// `data` holds this rank's part, of which `shares` are whole elements, and takes the result.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes, shares: &Blocks) -> Result<()> {
    let share = shares.of_mut(data, plan.rank());
    reduce_scatter::pairwise::plan(plan, data.to_send(), shares, share)?;
    // What has been sent is written again.
    plan.wait_all();
    all_gather::ring::plan(plan, data, shares);
    Ok(())
}
