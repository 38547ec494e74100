//! Cost: n − 1 steps; in step k everyone sends to the rank k behind and receives from the one k before: no rank is
//! the target of two at a time.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, plan::Plan},
};

/// What is for the rank itself is not copied.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, from: (SendBytes, &Blocks), into: (ReceiveBytes, &Blocks)) {
    for step in 1..plan.size() {
        let (to, source) = (plan.behind(step), plan.before(step));
        plan.exchange(to, from.1.of(from.0, to), source, into.1.of_mut(into.0, source));
    }
}
