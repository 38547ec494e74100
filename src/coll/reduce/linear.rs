//! Cost: n − 1 messages of the whole slice, all to the root, which combines them.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{fold::fold, plan::Plan},
    error::Result,
    types::Rank,
};

/// `result` holds the root's own part; the others send theirs.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    root: Rank,
) -> Result<()> {
    let ranks = 0..plan.size();
    match result {
        Some(result) => fold(plan, ranks, result),
        None => {
            plan.send(root, mine);
            Ok(())
        }
    }
}
