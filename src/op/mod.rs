//! Reduction operations.
//!
//! | standard | here | on |
//! | --- | --- | --- |
//! | `MPI_SUM`, `MPI_PROD` | [`Sum`], [`Product`] | numbers, and every type with `+` or `*` |
//! | `MPI_MIN`, `MPI_MAX` | [`Min`], [`Max`] | numbers, and every type with `<` |
//! | `MPI_BAND`, `MPI_BOR`, `MPI_BXOR` | [`BitwiseAnd`], [`BitwiseOr`], [`BitwiseXor`] | integers, `bool`, and every type with `&`, `\|` or `^` |
//! | `MPI_LAND`, `MPI_LOR`, `MPI_LXOR` | [`LogicalAnd`], [`LogicalOr`], [`LogicalXor`] | `bool`, and integers, as in C |
//! | `MPI_MINLOC`, `MPI_MAXLOC` | [`MinLoc`], [`MaxLoc`] | [`ValueIndex`] |
//! | `MPI_Op_create` | [`commutative`], [`ordered`] | what a closure takes |
//!
//! # The order
//!
//! A reduction of ranks 0 to *n* − 1 is ((*x*₀ ∘ *x*₁) ∘ *x*₂) … ∘ *x*ₙ₋₁ for every operation, whatever the algorithm,
//! the number of elements or the way the bytes take. So a sum of floats has the same bits on every rank and in every
//! run.
//!
//! ```
//! // In another order it would be 1.
//! let sums = ringmpi::threads(3, |world| {
//!     let mine = [1.0, 1e100, -1e100][world.rank() as usize];
//!     world.all_reduce_value(mine, ringmpi::op::Sum).unwrap()
//! })?;
//! assert_eq!(sums, [0.0; 3]);
//! # Ok::<(), ringmpi::Error>(())
//! ```
//!
//! The one exception: a sum or product of several NaNs is a NaN, but Rust does not say of which bits.
//!
//! # Standard
//! MPI 5.0, 6.9.

/// Types of built-in operations: for each its name, its [`Op::code`], the operands, and what it gives for two of them.
/// `$is_built_in` may depend on their type.
macro_rules! operations {
    (
        is_built_in: $is_built_in:expr;
        $(
            $(#[$doc:meta])* $name:ident, $code:literal, [$($generics:tt)*] $operand:ty,
            |$a:ident, $b:ident| $value:expr;
        )*
    ) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl<$($generics)*> Op<$operand> for $name {
            fn commutes(&self) -> bool {
                true
            }
            #[inline]
            fn apply(&self, $a: &$operand, $b: &$operand) -> $operand {
                $value
            }
            #[inline]
            fn is_built_in(&self) -> bool {
                $is_built_in
            }
            #[inline]
            fn code(&self) -> u8 {
                $code
            }
        }
    )*};
}

mod arithmetic;
mod located;
mod logical;
mod slices;
#[cfg(test)]
mod tests;

pub use arithmetic::{BitwiseAnd, BitwiseOr, BitwiseXor, Max, Min, Product, Sum};
pub use located::{MaxLoc, MinLoc, Number, ValueIndex};
pub use logical::{Logical, LogicalAnd, LogicalOr, LogicalXor};
pub use slices::reduce_local_into;
pub(crate) use slices::{combine_into_lower, combine_into_upper};

/// Combines two values into one, for reductions.
///
/// This module's operations are ones, and so is what [`commutative`] and [`ordered`] make of a closure. A type
/// of your own may be one too:
///
/// ```
/// use ringmpi::op::Op;
///
/// /// The sum of angles, from 0 to 2π.
/// struct SumOfAngles;
///
/// impl Op<f64> for SumOfAngles {
///     fn commutes(&self) -> bool {
///         true
///     }
///     fn apply(&self, a: &f64, b: &f64) -> f64 {
///         (a + b).rem_euclid(std::f64::consts::TAU)
///     }
/// }
/// # let sums = ringmpi::threads(3, |world| world.all_reduce_value(3.0, SumOfAngles).unwrap())?;
/// # assert!(sums.iter().all(|sum| (sum - 2.7168).abs() < 1e-4));
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// A reduction among ranks whose elements are aligned to more than 64 bytes does not compile.
///
/// # Standard
/// MPI 5.0, 6.9.2 and 6.9.5.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reduction operation on `{T}`",
    note = "`op::commutative(|a: &{T}, b: &{T}| …)` makes an operation of a closure, and so does `op::ordered`"
)]
pub trait Op<T> {
    /// Whether the order of the two does not matter. The operation has to be associative in any case.
    ///
    /// ```
    /// use ringmpi::op::{self, Op};
    /// assert!(Op::<i32>::commutes(&op::Sum));
    /// let first = op::ordered(|a: &i32, _: &i32| *a); // what the lowest rank has
    /// assert!(!first.commutes());
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.5: `MPI_Op_commutative`.
    fn commutes(&self) -> bool;

    /// The combination of `a`, from lower ranks, with `b`. Calls to ringmpi from here are errors, and a panic
    /// ends the job, also if it is caught outside.
    ///
    /// ```
    /// use ringmpi::op::{self, Op};
    ///
    /// /// What a reduction of these values gives, if each is a rank's.
    /// fn fold<O: Op<i64>>(values: &[i64], operation: &O) -> Option<i64> {
    ///     values.iter().copied().reduce(|lower, upper| operation.apply(&lower, &upper))
    /// }
    /// assert_eq!(fold(&[3, 4, 5], &op::Product), Some(60));
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.5: the argument `user_fn` of `MPI_Op_create`.
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

/// This crate's operations, by [`Op::code`].
const NAMES: [&str; 12] = [
    "Sum",
    "Product",
    "Min",
    "Max",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "LogicalAnd",
    "LogicalOr",
    "LogicalXor",
    "MinLoc",
    "MaxLoc",
];

/// What the operation is called whose code a rank has sent; none for a user's.
pub(crate) fn name_of_code(code: u8) -> Option<&'static str> {
    NAMES.get(usize::from(code).checked_sub(1)?).copied()
}

/// An operation by a closure; see [`commutative`].
///
/// ```
/// use ringmpi::op::{self, Commutative};
///
/// /// With a function instead of a closure the type has a name.
/// struct Mesh {
///     merge: Commutative<fn(&u32, &u32) -> u32>,
/// }
/// let mesh = Mesh { merge: op::commutative(|a, b| a | b) };
/// # let merged = ringmpi::threads(3, |world| world.all_reduce_value(1 << world.rank(), mesh.merge).unwrap())?;
/// # assert_eq!(merged, [7; 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.5: the `op` that `MPI_Op_create` with `commute` true returns.
#[derive(Clone, Copy, Debug)]
pub struct Commutative<F>(F);

/// An operation by a closure; see [`ordered`].
///
/// ```
/// use ringmpi::op::{self, Ordered};
///
/// /// One permutation of three places after the other.
/// fn then() -> Ordered<impl Fn(&[u8; 3], &[u8; 3]) -> [u8; 3]> {
///     op::ordered(|first: &[u8; 3], second: &[u8; 3]| first.map(|place| second[usize::from(place)]))
/// }
/// let all = ringmpi::threads(2, |world| {
///     let mine = [[1, 0, 2], [0, 2, 1]][world.rank() as usize];
///     world.all_reduce_value(mine, then()).unwrap()
/// })?;
/// assert_eq!(all, [[2, 0, 1]; 2]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.5: the `op` that `MPI_Op_create` with `commute` false returns.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<F>(F);

/// An associative and commutative operation by a closure.
///
/// It is applied in the order of ranks all the same, so that one which only almost commutes, such as a sum of
/// floats, gives the same bits on every rank and in every run.
///
/// ```
/// use ringmpi::op;
///
/// let divisors = ringmpi::threads(3, |world| {
///     let gcd = op::commutative(|a: &u32, b: &u32| {
///         let (mut a, mut b) = (*a, *b);
///         while b > 0 {
///             (a, b) = (b, a % b);
///         }
///         a
///     });
///     world.all_reduce_value([12, 18, 30][world.rank() as usize], gcd).unwrap()
/// })?;
/// assert_eq!(divisors, [6; 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.5: `MPI_Op_create` with `commute` true.
pub fn commutative<T, F: Fn(&T, &T) -> T>(f: F) -> Commutative<F> {
    Commutative(f)
}

/// An associative operation by a closure, of which the order matters: its first argument is the combination of
/// lower ranks, its second that of upper ones.
///
/// It is applied in the order of ranks, from rank 0 on, so that it gives the same bits on every rank and in every run.
///
/// ```
/// use ringmpi::op;
///
/// // Two linear functions, one after the other; [a, b] stands for x ↦ a·x + b.
/// let functions = ringmpi::threads(3, |world| {
///     let then = op::ordered(|[a, b]: &[i64; 2], [c, d]: &[i64; 2]| [a * c, b * c + d]);
///     world.all_reduce_value([2, world.rank().into()], then).unwrap()
/// })?;
/// assert_eq!(functions, [[8, 4]; 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.5: `MPI_Op_create` with `commute` false.
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
