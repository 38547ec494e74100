//! Cost: ⌈log₂ n⌉ rounds of an empty message each; in round k everyone hears from the rank 2ᵏ before, and so, in
//! the end, from all.

use crate::{buffer, coll::plan::Plan};

pub(in crate::coll) fn plan(plan: &mut Plan<'_>) {
    let mut distance = 1;
    while distance < plan.size() {
        let (to, from) = (plan.behind(distance), plan.before(distance));
        plan.exchange(to, buffer::of_slice::<u8>(&[]), from, buffer::of_slice_mut::<u8>(&mut []));
        distance *= 2;
    }
}
