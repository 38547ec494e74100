//! Cost: every rank waits for the one before, combines, and passes the result on, in pieces that follow each other:
//! (n − 1 + pieces) steps of a piece, one combination a rank.

use super::Kind;
use crate::{
    buffer::{Order, ReceiveBytes},
    coll::{pieces, plan::Plan},
    error::Result,
};

/// `data` holds this rank's part, elements of `unit` bytes, and takes the result.
pub(in crate::coll) fn plan(plan: &mut Plan<'_>, data: ReceiveBytes, unit: u64, kind: Kind) -> Result<()> {
    let (me, is_last) = (plan.rank(), plan.rank() + 1 == plan.size());
    // What all ranks up to this one give.
    let through = match kind {
        Kind::Inclusive => data,
        Kind::Exclusive => {
            let through = plan.scratch(data.len())?;
            plan.copy(data.to_send(), through);
            through
        }
    };
    let lower = match kind {
        Kind::Inclusive if me > 0 => plan.scratch(data.len())?,
        _ => data,
    };
    let parts = pieces::of_elements(lower, unit).zip(pieces::of_elements(through, unit));
    for (lower, through) in parts {
        if me > 0 {
            plan.take(me - 1, lower);
            if kind == Kind::Inclusive || !is_last {
                plan.combine(lower.to_send(), through, Order::IntoUpper);
            }
        }
        if !is_last {
            plan.send(me + 1, through.to_send());
        }
    }
    Ok(())
}
