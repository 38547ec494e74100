//! Reduction operations.

mod built_in;
mod slices;

pub use built_in::{Max, Min, Product, Sum};
#[cfg_attr(not(any(test, feature = "internals")), allow(unused_imports))]
pub(crate) use slices::{combine_into_lower, combine_into_upper};

/// Combines two values into one, for reductions.
///
/// Implemented by [`Sum`], [`Product`], [`Min`] and [`Max`], and for closures by [`commutative`] and
/// [`ordered`].
///
/// # Standard
/// MPI 5.0, 6.9.2 and 6.9.5.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reduction operation on `{T}`",
    note = "`op::commutative(|a: &{T}, b: &{T}| …)` and `op::ordered` make an operation of a closure"
)]
pub trait Op<T> {
    /// Whether the order of the two does not matter.
    fn commutes(&self) -> bool;
    /// The combination of `a`, from lower ranks, with `b`. Calls to ringmpi from here are errors, and a panic
    /// ends the job, also if it is caught outside.
    fn apply(&self, a: &T, b: &T) -> T;

    /// Whether `apply` runs only this crate's code, not even an operator of a user's type.
    #[doc(hidden)]
    fn is_built_in(&self) -> bool {
        false
    }

    /// A number of each of this crate's operations, which ranks compare; 0 for a user's.
    #[doc(hidden)]
    fn code(&self) -> u8 {
        0
    }
}

/// An operation by a closure; see [`commutative`].
#[derive(Clone, Copy, Debug)]
pub struct Commutative<F>(F);

/// An operation by a closure; see [`ordered`].
#[derive(Clone, Copy, Debug)]
pub struct Ordered<F>(F);

/// An associative and commutative operation by a closure.
pub fn commutative<T, F: Fn(&T, &T) -> T>(f: F) -> Commutative<F> {
    Commutative(f)
}

/// An associative operation by a closure, applied in the order of ranks.
pub fn ordered<T, F: Fn(&T, &T) -> T>(f: F) -> Ordered<F> {
    Ordered(f)
}

impl<T, F: Fn(&T, &T) -> T> Op<T> for Commutative<F> {
    fn commutes(&self) -> bool {
        true
    }
    #[inline]
    fn apply(&self, a: &T, b: &T) -> T {
        (self.0)(a, b)
    }
}

impl<T, F: Fn(&T, &T) -> T> Op<T> for Ordered<F> {
    fn commutes(&self) -> bool {
        false
    }
    #[inline]
    fn apply(&self, a: &T, b: &T) -> T {
        (self.0)(a, b)
    }
}
