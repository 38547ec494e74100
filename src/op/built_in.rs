//! The operations on numbers.

use super::Op;
use std::{
    any::{Any, TypeId},
    ops::{Add, Mul},
};

/// Whether the operators of a type are the language's own: its numbers, `bool` and `char`.
#[inline]
fn is_primitive<T: 'static>() -> bool {
    macro_rules! is_one_of {
        ($($one:ty)*) => { $(TypeId::of::<T>() == TypeId::of::<$one>())||* };
    }
    is_one_of!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 bool char)
}

/// `operation(a, b)`, if that is of the type asked for.
#[inline]
fn if_same<T: 'static, N: Copy + 'static>(a: &T, b: &T, operation: impl Fn(N, N) -> N) -> Option<T> {
    let number = |value: &T| (value as &dyn Any).downcast_ref::<N>().copied();
    let mut result = Some(operation(number(a)?, number(b)?));
    (&mut result as &mut dyn Any).downcast_mut::<Option<T>>()?.take()
}

/// The wrapping operation of the type's integers, or the operator of another type.
macro_rules! wrapping {
    ($a:ident, $b:ident, $operation:ident, $otherwise:expr) => {
        wrapping!($a, $b, $operation, $otherwise, i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize)
    };
    ($a:ident, $b:ident, $operation:ident, $otherwise:expr, $($integer:ident)*) => {
        None$(.or_else(|| if_same($a, $b, $integer::$operation)))*.unwrap_or_else(|| $otherwise)
    };
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $bound:path, |$a:ident, $b:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl<T: Copy + 'static + $bound> Op<T> for $name {
            fn commutes(&self) -> bool {
                true
            }
            #[inline]
            fn apply(&self, $a: &T, $b: &T) -> T {
                $value
            }
            #[inline]
            fn is_built_in(&self) -> bool {
                is_primitive::<T>()
            }
            #[inline]
            fn code(&self) -> u8 {
                $code
            }
        }
    )*};
}

operations! {
    /// The sum. Integers wrap around on overflow, in all builds.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_SUM`.
    Sum, 1, Add<Output = T>, |a, b| wrapping!(a, b, wrapping_add, *a + *b);
    /// The product. Integers wrap around on overflow, in all builds.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_PROD`.
    Product, 2, Mul<Output = T>, |a, b| wrapping!(a, b, wrapping_mul, *a * *b);
    /// The smaller; of two that do not compare (NaN) the one of the lower rank.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_MIN`.
    Min, 3, PartialOrd, |a, b| if *b < *a { *b } else { *a };
    /// The larger; of two that do not compare (NaN) the one of the lower rank.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_MAX`.
    Max, 4, PartialOrd, |a, b| if *b > *a { *b } else { *a };
}
