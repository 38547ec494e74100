//! Cost: one message for each edge, all at the same time.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    coll::{blocks::Blocks, plan::Plan},
    status::PROC_NULL,
    topology::Neighbours,
};

/// The null process neither sends nor receives.
pub(in crate::coll) fn plan(
    plan: &mut Plan<'_>,
    neighbours: &Neighbours,
    from: (SendBytes, &Blocks),
    into: (ReceiveBytes, &Blocks),
) {
    for place in neighbours.arrivals() {
        let source = neighbours.sources[place];
        if source != PROC_NULL {
            plan.receive(source, into.1.nth_mut(into.0, place));
        }
    }
    for (place, &to) in neighbours.destinations.iter().enumerate() {
        if to != PROC_NULL {
            plan.send(to, from.1.nth(from.0, place));
        }
    }
}
