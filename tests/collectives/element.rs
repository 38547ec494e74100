//! What travels.

use bytemuck::{CheckedBitPattern, NoUninit, Pod, Zeroable};
use ringmpi::Plain;

/// A type of which a number gives a value.
pub(crate) trait Element: Plain + Send + Sync + std::fmt::Debug {
    fn of(number: u64) -> Self;
}

fn mixed(number: u64) -> u64 {
    let mixed = (number ^ number >> 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

impl Element for f64 {
    fn of(number: u64) -> Self {
        mixed(number) as f64 / 3.0 - 1e18
    }
}

impl Element for u8 {
    fn of(number: u64) -> Self {
        mixed(number) as u8
    }
}

impl Element for u64 {
    fn of(number: u64) -> Self {
        // Some are 0: else the logical operations would always say the same.
        mixed(number).wrapping_mul(mixed(number) >> 20 & 3)
    }
}

impl Element for [u8; 3] {
    fn of(number: u64) -> Self {
        let [a, b, c, ..] = mixed(number).to_ne_bytes();
        [a, b, c]
    }
}

impl Element for bool {
    fn of(number: u64) -> Self {
        mixed(number) & 1 == 1
    }
}

impl Element for i128 {
    fn of(number: u64) -> Self {
        i128::from(mixed(number)) << 64 | i128::from(mixed(!number)) | 1
    }
}

/// Not every byte is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, NoUninit, CheckedBitPattern)]
#[repr(u8)]
pub(crate) enum Colour {
    Red = 3,
    Green = 5,
    Blue = 250,
}

impl Colour {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Red => Self::Green,
            Self::Green => Self::Blue,
            Self::Blue => Self::Red,
        }
    }
}

impl Element for Colour {
    fn of(number: u64) -> Self {
        [Self::Red, Self::Green, Self::Blue][(mixed(number) % 3) as usize]
    }
}

/// A float that is sometimes NaN.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(transparent)]
pub(crate) struct OrNan(pub(crate) f64);

impl OrNan {
    pub(crate) fn least(a: &Self, b: &Self) -> Self {
        if b.0 < a.0 { *b } else { *a }
    }
}

impl Element for OrNan {
    fn of(number: u64) -> Self {
        let bits = mixed(number);
        // NaNs that differ in their bits.
        Self(if bits & 3 == 0 { f64::from_bits(0x7ff8 << 48 | bits >> 40) } else { f64::of(number) })
    }
}
