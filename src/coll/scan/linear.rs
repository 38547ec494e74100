//! Cost: everyone sends its slice to all higher ranks at the same time, and combines those of all lower ones: one
//! step, at most n − 1 messages and combinations a rank.

use super::Kind;
use crate::{
    buffer::ReceiveBytes,
    coll::{
        fold::{fold, fold_lower},
        plan::Plan,
    },
    error::Result,
};

/// `data` holds this rank's part, and takes the result.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes, kind: Kind) -> Result<()> {
    let me = plan.rank();
    // What is sent must not change while it is on its way.
    let mine = plan.scratch(data.len())?;
    plan.copy(data.to_send(), mine);
    for to in me + 1..plan.size() {
        plan.send(to, mine.to_send());
    }
    match kind {
        Kind::Inclusive => fold(plan, 0..me + 1, data),
        Kind::Exclusive => fold_lower(plan, data),
    }
}
