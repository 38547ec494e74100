//! Operations on slices, element by element: what reductions do with the parts of two ranks.
//!
//! Loops without an early end over slices of one length, so that the compiler makes vector instructions of them.

use super::Op;
use crate::error::{Error, ErrorClass, Result};

/// Combines what lower ranks gave with what upper ranks gave, in the place of the former.
#[inline]
pub(crate) fn combine_into_lower<T: Copy, O: Op<T> + ?Sized>(op: &O, lower: &mut [T], upper: &[T]) {
    assert_eq!(lower.len(), upper.len(), "ranks take part with equal lengths");
    for (a, b) in lower.iter_mut().zip(upper) {
        *a = op.apply(a, b);
    }
}

/// As [`combine_into_lower`], in the place of what upper ranks gave.
#[inline]
pub(crate) fn combine_into_upper<T: Copy, O: Op<T> + ?Sized>(op: &O, lower: &[T], upper: &mut [T]) {
    assert_eq!(lower.len(), upper.len(), "ranks take part with equal lengths");
    for (a, b) in lower.iter().zip(upper) {
        *b = op.apply(a, b);
    }
}

/// Combines two slices of this rank, of equal length, element by element: `upper[i]` becomes `lower[i]` ∘ `upper[i]`.
///
/// ```
/// use ringmpi::op;
///
/// let mut numbers = [1, 2, 3];
/// op::reduce_local_into(&[10, 20, 30], &mut numbers, op::Sum)?;
/// assert_eq!(numbers, [11, 22, 33]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// Slices of different lengths.
///
/// # Standard
/// MPI 5.0, 6.9.7: `MPI_Reduce_local`.
pub fn reduce_local_into<T: Copy>(lower: &[T], upper: &mut [T], op: impl Op<T>) -> Result<()> {
    let [into, from] = [upper.len(), lower.len()];
    if into != from {
        let what = format!("reduce_local_into: upper has {into} elements where lower has {from}");
        return Err(Error::new(ErrorClass::COUNT, what));
    }
    combine_into_upper(&op, lower, upper);
    Ok(())
}
