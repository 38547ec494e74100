//! The order of every reduction: from the lowest rank to the highest, one after the other.
//!
//! ((x₀ ∘ x₁) ∘ x₂) ∘ … for each element, whatever the algorithm, the sizes or who is late: so the bits of a
//! result are the same on all ranks, in all runs, and as in a loop over the ranks. Algorithms differ in which rank
//! does it for which elements.

use super::plan::{Message, Plan};
use crate::{
    buffer::{Order, ReceiveBytes},
    error::Result,
    types::Rank,
};
use std::ops::Range;

/// As [`fold`], of the lower ranks only: `into` takes what they give, without this rank's part. At rank 0 it stays as
/// it is.
pub(super) fn fold_lower(plan: &mut Plan<'_>, into: ReceiveBytes) -> Result<()> {
    let me = plan.rank();
    if me == 0 {
        return Ok(());
    }
    plan.take(0, into);
    let next = if me > 1 { Some(plan.scratch(into.len())?) } else { None };
    for (rank, next) in (1..me).zip(next.into_iter().cycle()) {
        plan.take(rank, next);
        plan.combine(next.to_send(), into, Order::IntoLower);
    }
    Ok(())
}

/// How many contributions are under way at a time.
const AHEAD: usize = 2;

/// Receives what the other `ranks` send this one, of the length of `into`, which holds this rank's own part, and
/// combines all in order; `into` takes the result.
pub(super) fn fold(plan: &mut Plan<'_>, ranks: Range<Rank>, into: ReceiveBytes) -> Result<()> {
    let (me, bytes) = (plan.rank(), into.len());
    let others: Vec<Rank> = ranks.filter(|rank| *rank != me).collect();
    let below = others.iter().filter(|rank| **rank < me).count();
    // What lower ranks have given: the first of them is received there.
    let lower = if below > 0 { Some(plan.scratch(bytes)?) } else { None };
    let in_slots = others.len() - usize::from(below > 0);
    let slots = (0..in_slots.min(AHEAD)).map(|_| plan.scratch(bytes)).collect::<Result<Vec<_>>>()?;
    let place = |index: usize| match lower {
        Some(lower) if index == 0 => lower,
        _ => slots[index % slots.len()],
    };
    let mut begun: Vec<Message> = Vec::with_capacity(others.len());
    for index in 0..others.len() {
        while begun.len() < others.len().min(index + AHEAD.min(slots.len().max(1))) {
            let next = begun.len();
            begun.push(plan.receive(others[next], place(next)));
        }
        if let Some(lower) = lower.filter(|_| index == below) {
            plan.combine(lower.to_send(), into, Order::IntoUpper);
        }
        plan.wait(begun[index]);
        match lower {
            Some(_) if index == 0 => {}
            Some(lower) if index < below => plan.combine(place(index).to_send(), lower, Order::IntoLower),
            _ => plan.combine(place(index).to_send(), into, Order::IntoLower),
        }
    }
    if let Some(lower) = lower.filter(|_| below == others.len()) {
        plan.combine(lower.to_send(), into, Order::IntoUpper);
    }
    Ok(())
}
