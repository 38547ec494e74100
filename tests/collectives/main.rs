//! Every collective in all its forms against what a loop over the ranks gives, with ranks as threads; and what
//! collectives refuse.
//!
//! `RINGMPI_TEST_RANKS` sets the most ranks of a job, at least 130: more are slow where all accesses are checked.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod constructors;
mod different;
mod element;
mod failing;
mod folds;
mod moves;
mod refused;

use element::{Colour, Element};
use ringmpi::{
    Communicator, Plain, Rank, Result,
    op::{self, Op},
};

/// Odd numbers, powers of two, and more than a look at every rank is worth.
const RANKS: [usize; 6] = [1, 2, 3, 5, 8, 9];

/// Bytes around which boards end and other algorithms begin.
const LIMITS: [usize; 7] = [112, 256, 2048, 4096, 8192, 65_536, 131_008];

/// How often a persistent collective is started.
const STARTS: u64 = 3;

/// Lengths of slices of a type for which every root is tried.
fn short<T>() -> Vec<usize> {
    let mut lens = vec![0, 1, 3];
    for bytes in &LIMITS[..4] {
        let at = bytes / size_of::<T>();
        lens.extend([at, at + 1]);
    }
    lens
}

/// Runs `f` as the ranks of a job, each of which has to end well.
fn run(ranks: usize, f: impl Fn(&Communicator<'_>) -> Result<()> + Sync) {
    let body = |world: Communicator<'_>| {
        f(&world).unwrap_or_else(|error| panic!("rank {} of {ranks}: {error}", world.rank()));
        assert_eq!(world.rescues(), 0, "lost wake-ups");
    };
    ringmpi::threads(ranks, body).unwrap();
}

/// What a rank gives in the round of that key.
fn slice<T: Element>(key: u64, rank: Rank, len: usize) -> Vec<T> {
    (0..len as u64).map(|index| T::of(key.wrapping_mul(7919) + 104_729 * rank as u64 + index)).collect()
}

/// Compares all bits; says where they first differ.
#[track_caller]
fn assert_same<T: Plain>(got: &[T], expected: &[T]) {
    let (a, b): (&[u8], &[u8]) = (bytemuck::cast_slice(got), bytemuck::cast_slice(expected));
    let differs = a.iter().zip(b).position(|(a, b)| a != b).map(|at| at / size_of::<T>().max(1));
    assert!(
        differs.is_none() && a.len() == b.len(),
        "got {} elements instead of {}, first difference at {differs:?}",
        got.len(),
        expected.len()
    );
}

#[track_caller]
fn assert_same_at<T: Plain>(is_there: bool, got: Option<&[T]>, expected: &[T]) {
    assert_eq!(got.is_some(), is_there);
    got.into_iter().for_each(|got| assert_same(got, expected));
}

/// All forms of all collectives, with operations that suit the type.
fn all_forms<T: Element>(ranks: usize, op: impl Op<T> + Copy + Send + Sync + 'static) {
    run(ranks, |world| {
        for len in short::<T>() {
            for root in 0..world.size() {
                moves::all::<T>(world, len, root)?;
                folds::all(world, len, root, op)?;
            }
        }
        let (len, root) = (LIMITS[5] / size_of::<T>() / ranks, world.size() / 2);
        moves::all::<T>(world, len + 1, root)?;
        folds::all(world, len * ranks + 1, root, op)
    });
}

fn all_numbers<T: Element>(op: impl Op<T> + Copy + Send + Sync + 'static) {
    RANKS.into_iter().for_each(|ranks| all_forms(ranks, op));
}

#[test]
fn floats() {
    all_numbers::<f64>(op::Sum);
}

#[test]
fn bytes_with_an_operation_that_is_not_even_associative() {
    all_numbers(op::ordered(|a: &u8, b: &u8| a.wrapping_mul(3).wrapping_add(*b)));
}

#[test]
fn arrays_of_an_odd_size() {
    all_numbers(op::ordered(|a: &[u8; 3], b: &[u8; 3]| [a[0], b[1], a[2].wrapping_mul(5) ^ b[2]]));
}

#[test]
fn values_that_are_checked() {
    all_numbers::<bool>(op::LogicalXor);
}

#[test]
fn an_enum_that_is_checked() {
    all_numbers(op::ordered(|a: &Colour, b: &Colour| if a == b { a.next() } else { *b }));
}

#[test]
fn integers_of_16_bytes() {
    all_numbers::<i128>(op::Product);
}

#[test]
fn a_mebibyte() {
    for ranks in [2, 3, 8] {
        run(ranks, |world| {
            let len = (1 << 20) / size_of::<f64>();
            moves::all::<f64>(world, len / ranks, 1)?;
            folds::all::<f64>(world, len + 1, 1, op::Sum)
        });
    }
}

/// As threads, which outnumber the CPUs by far: few lengths and roots.
#[test]
fn hundreds_of_ranks() {
    let op = op::ordered(|a: &u64, b: &u64| a.wrapping_mul(3).wrapping_add(*b));
    let most = std::env::var("RINGMPI_TEST_RANKS").map_or(257, |text| text.parse().unwrap());
    let jobs = [(130, &[(1, 65), (300, 65), (2, 129)][..]), (257, &[(2, 128)])];
    assert!(jobs[0].0 <= most, "nothing would be tested");
    for (ranks, cases) in jobs.into_iter().filter(|(ranks, _)| *ranks <= most) {
        run(ranks, |world| {
            for &(len, root) in cases {
                moves::all::<u64>(world, len, root)?;
                folds::all(world, len, root, op)?;
            }
            Ok(())
        });
    }
}

#[test]
fn every_built_in_operation() {
    for ranks in RANKS {
        run(ranks, |world| {
            for len in [1, 15, 16, 999, 1000, 3000] {
                let root = world.size() - 1;
                folds::all::<u64>(world, len, root, op::Sum)?;
                folds::all::<u64>(world, len, root, op::Product)?;
                folds::all::<f64>(world, len, root, op::Product)?;
                folds::all::<u64>(world, len, root, op::Min)?;
                folds::all::<u64>(world, len, root, op::Max)?;
                folds::all::<u64>(world, len, root, op::BitwiseAnd)?;
                folds::all::<u64>(world, len, root, op::BitwiseOr)?;
                folds::all::<bool>(world, len, root, op::BitwiseXor)?;
                folds::all::<u64>(world, len, root, op::LogicalAnd)?;
                folds::all::<bool>(world, len, root, op::LogicalOr)?;
            }
            Ok(())
        });
    }
}

#[test]
fn smallest_and_largest_of_what_does_not_compare() {
    for ranks in RANKS {
        run(ranks, |world| {
            for len in [1, 15, 16, 999, 1000, 3000] {
                let root = world.size() / 2;
                folds::all::<element::OrNan>(world, len, root, op::ordered(element::OrNan::least))?;
                folds::of_floats(world, len, op::Min)?;
                folds::of_floats(world, len, op::Max)?;
                folds::of_located(world, len, op::MinLoc)?;
                folds::of_located(world, len, op::MaxLoc)?;
            }
            Ok(())
        });
    }
}

#[test]
fn a_sum_of_terms_of_very_different_sizes_has_the_bits_of_the_loop_over_the_ranks() {
    for ranks in RANKS {
        run(ranks, |world| {
            for bytes in LIMITS.into_iter().chain([8, 128, 16_000, 1 << 20]) {
                folds::of_terms(world, bytes / 8, op::Sum)?;
            }
            Ok(())
        });
    }
}
