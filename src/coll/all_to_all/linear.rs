//! Cost: n − 1 messages a rank, all at the same time.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, plan::Plan},
};

/// What is for the rank itself is not copied.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, from: (SendBytes, &Blocks), into: (ReceiveBytes, &Blocks)) {
    for distance in 1..plan.size() {
        let source = plan.before(distance);
        plan.receive(source, into.1.of_mut(into.0, source));
    }
    for distance in 1..plan.size() {
        let to = plan.behind(distance);
        plan.send(to, from.1.of(from.0, to));
    }
}
