//! Operations on slices, for the benches.

use crate::op::{self, Op};

/// Combines two slices, element by element, in the place of the first: what ranks below gave.
#[inline]
pub fn combine_into_lower<T: Copy, O: Op<T> + ?Sized>(op: &O, lower: &mut [T], upper: &[T]) {
    op::combine_into_lower(op, lower, upper);
}

/// As [`combine_into_lower`], in the place of the second.
#[inline]
pub fn combine_into_upper<T: Copy, O: Op<T> + ?Sized>(op: &O, lower: &[T], upper: &mut [T]) {
    op::combine_into_upper(op, lower, upper);
}
