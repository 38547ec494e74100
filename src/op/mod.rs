//! Reduction operations.

/// Combines two values into one, for reductions.
///
/// Implemented by [`Sum`], [`Product`], [`Min`] and [`Max`], and for closures by [`commutative`] and
/// [`ordered`].
///
/// # Standard
/// MPI 5.0, 6.9.2 and 6.9.5.
pub trait Op<T> {
    /// Whether the order of the two does not matter.
    fn commutes(&self) -> bool;
    /// The combination of `a`, from lower ranks, with `b`. Calls to ringmpi from here are errors, and a panic
    /// ends the job, also if it is caught outside.
    fn apply(&self, a: &T, b: &T) -> T;

    /// Whether `apply` is one of this crate's own.
    #[doc(hidden)]
    fn is_built_in(&self) -> bool {
        false
    }

    /// Tells this crate's operations from each other; 0 for others.
    #[doc(hidden)]
    fn code(&self) -> u8 {
        0
    }
}

/// What an operation is called whose code another rank has sent.
pub(crate) fn name_of_code(_: u8) -> Option<&'static str> {
    None
}

/// `lower[i]` becomes `lower[i]` combined with `upper[i]`.
pub(crate) fn combine_into_lower<T: Copy>(op: &impl Op<T>, lower: &mut [T], upper: &[T]) {
    for (a, b) in lower.iter_mut().zip(upper) {
        *a = op.apply(a, b);
    }
}

/// `upper[i]` becomes `lower[i]` combined with `upper[i]`.
pub(crate) fn combine_into_upper<T: Copy>(op: &impl Op<T>, lower: &[T], upper: &mut [T]) {
    for (a, b) in lower.iter().zip(upper) {
        *b = op.apply(a, b);
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident, $bound:path, |$a:ident, $b:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl<T: Copy + $bound> Op<T> for $name {
            fn commutes(&self) -> bool {
                true
            }
            #[inline]
            fn apply(&self, $a: &T, $b: &T) -> T {
                $value
            }
            fn is_built_in(&self) -> bool {
                true
            }
        }
    )*};
}

operations! {
    /// The sum.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_SUM`.
    Sum, std::ops::Add<Output = T>, |a, b| *a + *b;
    /// The product.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_PROD`.
    Product, std::ops::Mul<Output = T>, |a, b| *a * *b;
    /// The smaller; of two that do not compare (NaN) the one of the lower rank.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_MIN`.
    Min, PartialOrd, |a, b| if *b < *a { *b } else { *a };
    /// The larger; of two that do not compare (NaN) the one of the lower rank.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_MAX`.
    Max, PartialOrd, |a, b| if *b > *a { *b } else { *a };
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
    fn apply(&self, a: &T, b: &T) -> T {
        (self.0)(a, b)
    }
}

impl<T, F: Fn(&T, &T) -> T> Op<T> for Ordered<F> {
    fn commutes(&self) -> bool {
        false
    }
    fn apply(&self, a: &T, b: &T) -> T {
        (self.0)(a, b)
    }
}
