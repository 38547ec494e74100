//! Every operation on every type, against what the language or a naive calculation says.

use super::*;
use crate::buffer::Plain;
use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fmt::Debug,
    ops::{Add, BitXor},
};

/// None, one, less than a vector register, more than one and a rest, many.
const LENGTHS: [usize; 5] = [0, 1, 3, 37, 10_001];

/// Types with values to try.
trait Values: Plain + Debug + PartialEq {
    fn any(random: u128) -> Self;

    fn values(seed: u128, len: usize) -> Vec<Self> {
        let mut state = seed;
        let mut next = || {
            // A linear congruence: its upper half is good enough.
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            state.rotate_left(64)
        };
        (0..len).map(|_| Self::any(next())).collect()
    }
}

/// The values at which operations may go wrong.
trait Corners: Values {
    const CORNERS: &[Self];

    fn corner(random: u128) -> Self {
        Self::CORNERS[random as usize % Self::CORNERS.len()]
    }
}

macro_rules! values {
    ($($number:ident, |$random:ident| $any:expr, $corners:expr;)*) => {$(
        impl Values for $number {
            fn any($random: u128) -> Self {
                if $random >> 64 & 3 == 0 { Self::corner($random) } else { $any }
            }
        }
        impl Corners for $number {
            const CORNERS: &[Self] = &$corners;
        }
    )*};
}

macro_rules! integer_values {
    ($($integer:ident)*) => {
        values!($($integer, |random| random as Self, [
            0, 1, 2, Self::MAX, Self::MIN, Self::MAX - 1, (0 as Self).wrapping_sub(1),
        ];)*);
    };
}

integer_values!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

macro_rules! float_values {
    ($($float:ident, $bits:ident;)*) => {
        values!($($float, |random| Self::from_bits(random as $bits), [
            0.0, -0.0, 1.0, -1.5, Self::MAX, Self::MIN_POSITIVE, Self::INFINITY, Self::NEG_INFINITY,
            Self::NAN, Self::from_bits(Self::NAN.to_bits() | 5), -Self::NAN, Self::from_bits(1),
        ];)*);
    };
}

float_values!(f32, u32; f64, u64;);

impl Values for bool {
    fn any(random: u128) -> Self {
        random & 1 == 1
    }
}

impl<V: Corners + Number> Values for ValueIndex<V> {
    /// Few values and few indexes, so that there are ties.
    fn any(random: u128) -> Self {
        Self::new(V::corner(random), [-1, 0, 1, i64::MAX][(random >> 64) as usize % 4])
    }
}

/// Both slice forms give what the oracle says of every pair, bit for bit.
fn check<T: Values>(op: impl Op<T> + Debug, oracle: impl Fn(T, T) -> T) {
    check_by(op, oracle, |got, expected| bytemuck::bytes_of(got) == bytemuck::bytes_of(expected));
}

fn check_by<T: Values>(op: impl Op<T> + Debug, oracle: impl Fn(T, T) -> T, is_same: impl Fn(&T, &T) -> bool) {
    assert!(op.is_built_in() && op.commutes(), "{op:?}");
    for (seed, len) in (1..).zip(LENGTHS) {
        let [lower, upper] = [T::values(seed, len), T::values(seed + 99, len)];
        let [mut into_lower, mut into_upper] = [lower.clone(), upper.clone()];
        combine_into_lower(&op, &mut into_lower, &upper);
        combine_into_upper(&op, &lower, &mut into_upper);
        for index in 0..len {
            let [a, b] = [lower[index], upper[index]];
            let expected = oracle(a, b);
            for got in [into_lower[index], into_upper[index], op.apply(&a, &b)] {
                assert!(is_same(&got, &expected), "{op:?} of {a:?} and {b:?}: {got:?}, not {expected:?}");
            }
        }
    }
}

/// The bits of an operation, one at a time.
fn by_bits(a: u128, b: u128, operation: impl Fn(bool, bool) -> bool) -> u128 {
    let bit = |index: u32| operation(a >> index & 1 == 1, b >> index & 1 == 1);
    (0..128).map(|index| u128::from(bit(index)) << index).sum()
}

/// By adding up, for factors of any width: modulo 2^128, of which every narrower type takes the low end.
fn product(a: u128, b: u128) -> u128 {
    let shifted = (0..128).filter(|index| b >> index & 1 == 1).map(|index| a << index);
    shifted.fold(0, u128::wrapping_add)
}

macro_rules! of_integers {
    ($($integer:ident)*) => {$(
        #[test]
        fn $integer() {
            type T = $integer;
            check(Sum, |a: T, b| (a as u128).wrapping_add(b as u128) as T);
            check(Product, |a: T, b| product(a as u128, b as u128) as T);
            check(Min, |a: T, b| a.min(b));
            check(Max, |a: T, b| a.max(b));
            check(BitwiseAnd, |a: T, b| by_bits(a as u128, b as u128, |a, b| a && b) as T);
            check(BitwiseOr, |a: T, b| by_bits(a as u128, b as u128, |a, b| a || b) as T);
            check(BitwiseXor, |a: T, b| by_bits(a as u128, b as u128, |a, b| a != b) as T);
            check(LogicalAnd, |a: T, b| if a != 0 && b != 0 { 1 } else { 0 });
            check(LogicalOr, |a: T, b| if a != 0 || b != 0 { 1 } else { 0 });
            check(LogicalXor, |a: T, b| if (a == 0) != (b == 0) { 1 } else { 0 });
            let least = |a: ValueIndex<T>, b: ValueIndex<T>| if (b.value, b.index) < (a.value, a.index) { b } else { a };
            check(MinLoc, least);
            check(MaxLoc, |a, b| {
                let mirror = |pair: ValueIndex<T>| ValueIndex::new(!pair.value, pair.index);
                mirror(least(mirror(a), mirror(b)))
            });
        }
    )*};
}

macro_rules! of_floats {
    ($($float:ident)*) => {$(
        #[test]
        fn $float() {
            type T = $float;
            let is_same = |a: &T, b: &T| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            check_by(Sum, |a: T, b| a + b, is_same);
            check_by(Product, |a: T, b| a * b, is_same);
            check(Min, |a: T, b| match a.partial_cmp(&b) {
                Some(Ordering::Greater) => b,
                _ => a,
            });
            check(Max, |a: T, b| match a.partial_cmp(&b) {
                Some(Ordering::Less) => b,
                _ => a,
            });
            check(MinLoc, |a: ValueIndex<T>, b| match a.value.partial_cmp(&b.value) {
                Some(Ordering::Greater) => b,
                Some(Ordering::Equal) if b.index < a.index => b,
                _ => a,
            });
            check(MaxLoc, |a: ValueIndex<T>, b| match a.value.partial_cmp(&b.value) {
                Some(Ordering::Less) => b,
                Some(Ordering::Equal) if b.index < a.index => b,
                _ => a,
            });
        }
    )*};
}

mod operations_give_what_their_definition_says_on {
    //! A test a type.

    use super::*;

    of_integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);
    of_floats!(f32 f64);

    #[test]
    fn bool() {
        of_bool();
    }
}

fn of_bool() {
    check(BitwiseAnd, |a, b| a && b);
    check(BitwiseOr, |a, b| a || b);
    check(BitwiseXor, |a: bool, b| a != b);
    check(LogicalAnd, |a, b| a && b);
    check(LogicalOr, |a, b| a || b);
    check(LogicalXor, |a: bool, b| a != b);
    check(Min, |a, b| a && b);
    check(Max, |a, b| a || b);
}

#[test]
fn floats_that_do_not_compare_leave_the_one_of_the_lower_rank() {
    let [payload, one] = [f64::from_bits(f64::NAN.to_bits() | 5), 1.0];
    for len in LENGTHS {
        let [nans, ones] = [vec![payload; len], vec![one; len]];
        for (lower, upper) in [(&nans, &ones), (&ones, &nans)] {
            let mut into = [lower.clone(), lower.clone(), upper.clone(), upper.clone()];
            combine_into_lower(&Min, &mut into[0], upper);
            combine_into_lower(&Max, &mut into[1], upper);
            combine_into_upper(&Min, lower, &mut into[2]);
            combine_into_upper(&Max, lower, &mut into[3]);
            let bits = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
            assert!(into.iter().all(|result| bits(result) == bits(lower)));
        }
    }
}

#[test]
fn equal_values_keep_the_lowest_index_whatever_the_order() {
    let pairs = [4, 2, 7, 2].map(|index| ValueIndex::new(1.5f32, index));
    for shift in 0..4 {
        let turned = || pairs.iter().cycle().skip(shift).take(4).copied();
        for found in
            [turned().reduce(|a, b| MinLoc.apply(&a, &b)), turned().reduce(|a, b| MaxLoc.apply(&a, &b))]
        {
            assert_eq!(found, Some(ValueIndex::new(1.5, 2)));
        }
    }
}

/// A number of a user's.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Own(i32);

impl Add for Own {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl BitXor for Own {
    type Output = Self;
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

#[test]
fn operators_of_a_users_type_are_used_and_are_not_built_in() {
    assert_eq!(Sum.apply(&Own(2), &Own(3)), Own(5));
    assert_eq!(Min.apply(&Own(2), &Own(3)), Own(2));
    assert_eq!(BitwiseXor.apply(&Own(2), &Own(3)), Own(1));
    assert!(
        ![Op::<Own>::is_built_in(&Sum), Op::<Own>::is_built_in(&Min), Op::<Own>::is_built_in(&BitwiseXor)]
            .contains(&true)
    );
    let closure = commutative(|a: &i32, b: &i32| a + b);
    assert!(!closure.is_built_in());
}

#[test]
fn every_operation_has_a_number_of_its_own() {
    type Pair = ValueIndex<u8>;
    let of_numbers: [&dyn Op<u8>; 10] = [
        &Sum,
        &Product,
        &Min,
        &Max,
        &BitwiseAnd,
        &BitwiseOr,
        &BitwiseXor,
        &LogicalAnd,
        &LogicalOr,
        &LogicalXor,
    ];
    let of_pairs: [&dyn Op<Pair>; 2] = [&MinLoc, &MaxLoc];
    let codes = of_numbers.iter().map(|op| op.code()).chain(of_pairs.iter().map(|op| op.code()));
    assert_eq!(codes.collect::<BTreeSet<_>>(), (1..=12).collect());
    assert_eq!(ordered(|a: &u8, _: &u8| *a).code(), 0);
}

#[test]
fn pairs_are_bytes_without_gaps_of_chance_and_compare_by_value_and_index() {
    let pair = ValueIndex::new(3u16, -1);
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&3u16.to_ne_bytes());
    bytes[8..].copy_from_slice(&(-1i64).to_ne_bytes());
    assert_eq!(bytemuck::bytes_of(&pair), bytes);
    bytes[5] = 77;
    assert_eq!(bytemuck::pod_read_unaligned::<ValueIndex<u16>>(&bytes), pair);
    assert_ne!(ValueIndex::new(3u16, 0), pair);
    assert_eq!(format!("{pair:?}"), "ValueIndex { value: 3, index: -1 }");
}

#[test]
fn a_local_reduction_of_different_lengths_is_an_error() {
    let mut upper = [1, 2];
    let error = reduce_local_into(&[1], &mut upper, Sum).unwrap_err();
    assert_eq!((error.class(), upper), (crate::error::ErrorClass::COUNT, [1, 2]));
}

#[test]
fn codes_tell_the_operations_and_their_names() {
    let names = |op: &str, code: u8| assert_eq!(name_of_code(code), Some(op));
    macro_rules! check {
        ($type:ty: $($op:ident)*) => {$(names(stringify!($op), Op::<$type>::code(&$op));)*};
    }
    check!(i32: Sum Product Min Max BitwiseAnd BitwiseOr BitwiseXor LogicalAnd LogicalOr LogicalXor);
    check!(ValueIndex<i32>: MinLoc MaxLoc);
    let user = commutative(|a: &i32, b: &i32| a + b);
    assert_eq!((user.code(), name_of_code(0), name_of_code(13)), (0, None, None));
}
