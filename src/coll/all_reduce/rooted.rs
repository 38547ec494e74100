//! Cost: rank 0 combines the slices of all, n − 1 messages, and broadcasts the result, ⌈log₂ n⌉ steps.

use crate::{
    buffer::ReceiveBytes,
    coll::{broadcast, plan::Plan, reduce},
    error::Result,
};

/// `data` holds this rank's part, and takes the result.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes) -> Result<()> {
    let result = (plan.rank() == 0).then_some(data);
    reduce::linear::plan(plan, data.to_send(), result, 0)?;
    // What has been sent is written again.
    plan.wait_all();
    broadcast::binomial::plan(plan, data, 0);
    Ok(())
}
