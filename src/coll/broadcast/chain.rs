//! Cost: the slice once through each rank, in pieces that follow each other: (n − 1 + pieces) steps of a piece.
//! Ranks are counted from the root; each hears from the one before.

use crate::{
    buffer::ReceiveBytes,
    coll::{pieces, plan::Plan},
    types::Rank,
};

pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes, root: Rank) {
    let size = plan.size();
    let relative = plan.before(root);
    let is_last = relative + 1 == size;
    let pieces: Vec<ReceiveBytes> = pieces::of(data).collect();
    let next = plan.behind(1);
    if relative == 0 {
        if !is_last {
            pieces.iter().for_each(|piece| _ = plan.send(next, piece.to_send()));
        }
        return;
    }
    let previous = plan.before(1);
    let mut coming = plan.receive(previous, pieces[0]);
    for (index, piece) in pieces.iter().enumerate() {
        let following = pieces.get(index + 1).map(|piece| plan.receive(previous, *piece));
        plan.wait(coming);
        if !is_last {
            plan.send(next, piece.to_send());
        }
        coming = following.unwrap_or(coming);
    }
}
