//! The operations that are operators of the language.

use super::Op;
use std::{
    any::{Any, TypeId},
    ops::{Add, BitAnd, BitOr, BitXor, Mul},
};

macro_rules! is_one_of {
    ($t:ty: $($one:ty)*) => { $(TypeId::of::<$t>() == TypeId::of::<$one>())||* };
}

/// Whether the operators of a type are the language's own: its numbers, `bool` and `char`.
#[inline]
fn is_primitive<T: 'static>() -> bool {
    is_one_of!(T: i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 bool char)
}

/// `operation(a, b)`, if `T` is the type that it is for.
#[inline]
fn if_same<T: 'static, N: Copy + 'static>(a: &T, b: &T, operation: impl Fn(N, N) -> N) -> Option<T> {
    if !is_one_of!(T: N) {
        return None;
    }
    let number = |value: &T| (value as &dyn Any).downcast_ref::<N>().copied();
    let mut result = Some(operation(number(a)?, number(b)?));
    (&mut result as &mut dyn Any).downcast_mut::<Option<T>>()?.take()
}

/// A wrapping operation, if `T` is an integer; else the operator. Optimised builds know which at once; for others the
/// frequent types come first.
macro_rules! wrapping {
    ($a:ident, $b:ident, $operation:ident, $operator:expr) => {
        wrapping!($a, $b, $operation, $operator, i32 i64 usize u64 u32 u8 i8 i16 u16 isize i128 u128)
    };
    ($a:ident, $b:ident, $operation:ident, $operator:expr, $($integer:ident)*) => {{
        if is_one_of!(T: f64 f32) {
            return $operator;
        }
        $(if let Some(result) = if_same($a, $b, $integer::$operation) {
            return result;
        })*
        $operator
    }};
}

operations! {
    is_built_in: is_primitive::<T>();

    /// The sum. Integers wrap around on overflow, also where `+` would panic.
    ///
    /// ```
    /// use ringmpi::op::{Op, Sum};
    ///
    /// assert_eq!(Sum.apply(&0.5, &0.25), 0.75);
    /// assert_eq!(Sum.apply(&200u8, &100), 44);
    /// ```
    ///
    /// There is none of `bool`:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{Sum, reduce_local_into};
    /// reduce_local_into(&[true], &mut [false], Sum);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_SUM`.
    Sum, 1, [T: Copy + 'static + Add<Output = T>] T, |a, b| wrapping!(a, b, wrapping_add, *a + *b);

    /// The product. Integers wrap around on overflow, also where `*` would panic.
    ///
    /// ```
    /// use ringmpi::op::{Op, Product};
    ///
    /// assert_eq!(Product.apply(&0.5, &0.25), 0.125);
    /// assert_eq!(Product.apply(&i32::MAX, &2), -2);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_PROD`.
    Product, 2, [T: Copy + 'static + Mul<Output = T>] T, |a, b| wrapping!(a, b, wrapping_mul, *a * *b);

    /// The smaller; of two that are equal or do not compare (NaN) the one of the lower rank.
    ///
    /// So a NaN of rank 0 stays, and one of another rank counts only for ranks below it. The zeros are equal.
    ///
    /// ```
    /// use ringmpi::op::{Min, Op};
    ///
    /// assert_eq!(Min.apply(&3, &-4), -4);
    /// assert_eq!(Min.apply(&1.0, &f64::NAN), 1.0);
    /// assert!(Min.apply(&f64::NAN, &1.0).is_nan());
    /// assert!(Min.apply(&0.0f32, &-0.0).is_sign_positive());
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_MIN`.
    Min, 3, [T: Copy + 'static + PartialOrd] T, |a, b| if *b < *a { *b } else { *a };

    /// The larger; of two that are equal or do not compare (NaN) the one of the lower rank, as with [`Min`].
    ///
    /// ```
    /// use ringmpi::op::{Max, Op};
    ///
    /// assert_eq!(Max.apply(&3, &-4), 3);
    /// assert_eq!(Max.apply(&1.0, &f64::NAN), 1.0);
    /// assert!(Max.apply(&f64::NAN, &1.0).is_nan());
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_MAX`.
    Max, 4, [T: Copy + 'static + PartialOrd] T, |a, b| if *b > *a { *b } else { *a };

    /// And, bit by bit.
    ///
    /// ```
    /// use ringmpi::op::{BitwiseAnd, Op};
    ///
    /// assert_eq!(BitwiseAnd.apply(&0b1100, &0b1010), 0b1000);
    /// ```
    ///
    /// There is none of floats:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{BitwiseAnd, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], BitwiseAnd);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_BAND`.
    BitwiseAnd, 5, [T: Copy + 'static + BitAnd<Output = T>] T, |a, b| *a & *b;

    /// Or, bit by bit.
    ///
    /// ```
    /// use ringmpi::op::{BitwiseOr, Op};
    ///
    /// assert_eq!(BitwiseOr.apply(&0b1100, &0b1010), 0b1110);
    /// ```
    ///
    /// There is none of floats:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{BitwiseOr, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], BitwiseOr);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_BOR`.
    BitwiseOr, 6, [T: Copy + 'static + BitOr<Output = T>] T, |a, b| *a | *b;

    /// Exclusive or, bit by bit.
    ///
    /// ```
    /// use ringmpi::op::{BitwiseXor, Op};
    ///
    /// assert_eq!(BitwiseXor.apply(&0b1100, &0b1010), 0b0110);
    /// ```
    ///
    /// There is none of floats:
    ///
    /// ```compile_fail,E0277
    /// # use ringmpi::op::{BitwiseXor, reduce_local_into};
    /// reduce_local_into(&[1.0f64], &mut [2.0], BitwiseXor);
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 6.9.2: `MPI_BXOR`.
    BitwiseXor, 7, [T: Copy + 'static + BitXor<Output = T>] T, |a, b| *a ^ *b;
}
