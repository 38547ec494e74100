//! Cost: everyone sends its slice to everyone, all at the same time, and combines all: one step, n − 1 messages and
//! combinations a rank.

use crate::{
    buffer::ReceiveBytes,
    coll::{fold::fold, plan::Plan},
    error::Result,
};

/// `data` holds this rank's part, and takes the result.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes) -> Result<()> {
    // What is sent must not change while it is on its way.
    let mine = plan.scratch(data.len())?;
    plan.copy(data.to_send(), mine);
    for distance in 1..plan.size() {
        let to = plan.behind(distance);
        plan.send(to, mine.to_send());
    }
    let ranks = 0..plan.size();
    fold(plan, ranks, data)
}
