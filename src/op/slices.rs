//! Operations on slices, element by element: what reductions do with the parts of two ranks.
//!
//! Loops without an early end over slices of one length, so that the compiler makes vector instructions of them.

use super::Op;

/// Combines what lower ranks gave with what upper ranks gave, in the place of the former.
#[inline]
pub(crate) fn combine_into_lower<T: Copy, O: Op<T> + ?Sized>(op: &O, lower: &mut [T], upper: &[T]) {
    assert_eq!(lower.len(), upper.len(), "ranks take part with equal lengths");
    for (a, b) in lower.iter_mut().zip(upper) {
        *a = op.apply(a, b);
    }
}

/// As [`combine_into_lower`], in the place of what upper ranks gave.
#[cfg_attr(not(any(test, feature = "internals")), allow(dead_code))]
#[inline]
pub(crate) fn combine_into_upper<T: Copy, O: Op<T> + ?Sized>(op: &O, lower: &[T], upper: &mut [T]) {
    assert_eq!(lower.len(), upper.len(), "ranks take part with equal lengths");
    for (a, b) in lower.iter().zip(upper) {
        *b = op.apply(a, b);
    }
}
