//! The logical operations.

use super::Op;

mod sealed {
    //! What a logical operation does with a value.

    pub trait Truth: Copy {
        fn is_true(self) -> bool;
        fn of(truth: bool) -> Self;
    }
}

use sealed::Truth;

/// What is true or false: `bool`, and integers, as in C: all but 0 are true, and what an operation gives is 1 or 0.
///
/// ```
/// use ringmpi::op::{Logical, LogicalXor, reduce_local_into};
///
/// /// Whether exactly one holds, of many pairs.
/// fn differ<T: Logical + ringmpi::Plain>(some: &[T], others: &mut [T]) {
///     reduce_local_into(some, others, LogicalXor);
/// }
/// let mut flags = [true, false];
/// differ(&[true, true], &mut flags);
/// assert_eq!(flags, [false, true]);
/// ```
///
/// # Standard
/// MPI 5.0, 6.9.2.
#[diagnostic::on_unimplemented(message = "`{Self}` is neither true nor false: `bool` and integers are")]
pub trait Logical: Truth {}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Truth for $integer {
            #[inline]
            fn is_true(self) -> bool {
                self != 0
            }
            #[inline]
            fn of(truth: bool) -> Self {
                truth.into()
            }
        }
        impl Logical for $integer {}
    )*};
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl Truth for bool {
    #[inline]
    fn is_true(self) -> bool {
        self
    }
    #[inline]
    fn of(truth: bool) -> Self {
        truth
    }
}

impl Logical for bool {}

operations! {
    is_built_in: true;

    /// Whether both are true.
    ///
    /// ```
    /// use ringmpi::op::{LogicalAnd, Op};
    ///
    /// assert_eq!(LogicalAnd.apply(&true, &false), false);
    /// assert_eq!(LogicalAnd.apply(&4, &2), 1);
    /// ```
    ///
    /// There is none of floats:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{LogicalAnd, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], LogicalAnd);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_LAND`.
    LogicalAnd, 8, [T: Logical] T, |a, b| T::of(a.is_true() & b.is_true());

    /// Whether one of them is true, or both.
    ///
    /// ```
    /// use ringmpi::op::{LogicalOr, Op};
    ///
    /// assert_eq!(LogicalOr.apply(&true, &false), true);
    /// assert_eq!(LogicalOr.apply(&4, &2), 1);
    /// ```
    ///
    /// There is none of floats:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{LogicalOr, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], LogicalOr);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_LOR`.
    LogicalOr, 9, [T: Logical] T, |a, b| T::of(a.is_true() | b.is_true());

    /// Whether one of them is true, but not both.
    ///
    /// ```
    /// use ringmpi::op::{LogicalXor, Op};
    ///
    /// assert_eq!(LogicalXor.apply(&true, &false), true);
    /// assert_eq!(LogicalXor.apply(&4, &2), 0);
    /// ```
    ///
    /// There is none of floats:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{LogicalXor, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], LogicalXor);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_LXOR`.
    LogicalXor, 10, [T: Logical] T, |a, b| T::of(a.is_true() ^ b.is_true());
}
