//! Cost: ⌈log₂ n⌉ steps of the whole slice. Ranks are counted from the root; each hears from the one without its
//! lowest bit, and tells those with one lower bit more.

use crate::{buffer::ReceiveBytes, coll::plan::Plan, types::Rank};

pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes, root: Rank) {
    if let Some(teller) = teller(plan, root) {
        plan.take(teller, data);
    }
    tell(plan, data, root);
}

/// From whom this rank hears; none is the root.
pub(in crate::coll) fn teller(plan: &Plan<'_>, root: Rank) -> Option<Rank> {
    let relative = plan.before(root);
    (relative != 0).then(|| ((relative & (relative - 1)) + root) % plan.size())
}

/// Tells those who hear from this rank.
pub(in crate::coll) fn tell(plan: &mut Plan<'_>, data: ReceiveBytes, root: Rank) {
    let (size, relative) = (plan.size(), plan.before(root));
    let absolute = |relative: Rank| (relative + root) % size;
    let mut bit = if relative == 0 { power_of_two_from(size) } else { relative & -relative } / 2;
    while bit > 0 {
        if relative + bit < size {
            plan.send(absolute(relative + bit), data.to_send());
        }
        bit /= 2;
    }
}

/// The smallest power of two that is not below.
pub(in crate::coll) fn power_of_two_from(size: Rank) -> Rank {
    // At most RANKS_MAX, itself one.
    (size as u32).next_power_of_two() as Rank
}
