//! A sample sort: samples of all ranks' keys say how to divide the keys among the ranks; each rank sends every other
//! its share, and sorts what comes. Then rank by rank the keys are in order.
//!
//! `cargo run --release --example samplesort [KEYS]`, or `mpiexec -n 4 target/release/examples/samplesort`

use ringmpi::{Communicator, Partition, Result, op};

/// Samples a rank. More of them divide the keys more evenly.
const SAMPLES: usize = 64;

fn main() -> Result<()> {
    let keys_each = std::env::args().nth(1).map_or(200_000, |text| {
        text.parse().unwrap_or_else(|_| {
            eprintln!("'{text}' is no number; usage: samplesort [KEYS]");
            std::process::exit(2)
        })
    });
    ringmpi::run(4, |world| sort_and_check(&world, keys_each))
}

fn sort_and_check(world: &Communicator<'_>, keys_each: usize) -> Result<()> {
    let keys = keys_of(world.rank(), keys_each);
    let before = fingerprint(world, &keys)?;
    let sorted = sample_sort(world, keys)?;
    let after = fingerprint(world, &sorted)?;

    // What lies below is the largest key of all lower ranks; some may have none.
    let below = world.exclusive_scan_value(sorted.last().copied().unwrap_or(0), op::Max)?;
    let is_in_order = sorted.is_sorted() && sorted.first() >= below.as_ref().filter(|_| !sorted.is_empty());
    let are_in_order = world.all_reduce_value(is_in_order, op::LogicalAnd)?;
    let fullest = world.all_reduce_value(sorted.len(), op::Max)?;

    let is_right = are_in_order && before == after;
    if world.rank() == 0 {
        let [count, ..] = after;
        println!("ranks: {}, keys: {count}, the fullest rank has {fullest}", world.size());
        println!("in order: {are_in_order}, the same keys: {}", before == after);
        println!("{}", if is_right { "ok" } else { "wrong" });
    }
    if is_right { Ok(()) } else { world.abort(1) }
}

fn sample_sort(world: &Communicator<'_>, mut keys: Vec<u64>) -> Result<Vec<u64>> {
    keys.sort_unstable();
    let samples: Vec<_> =
        (0..SAMPLES).filter_map(|at| keys.get(at * keys.len() / SAMPLES).copied()).collect();
    let mut samples = world.all_gather_varcount(&samples)?.concat();
    samples.sort_unstable();

    // All ranks have the same samples, and so the same borders: the first key of each rank but the first.
    let ranks = world.size() as usize;
    let borders =
        (1..ranks).map(|rank| samples.get(rank * samples.len() / ranks).copied().unwrap_or(u64::MAX));
    let mut ends: Vec<_> = borders.map(|border| keys.partition_point(|key| *key < border)).collect();
    ends.push(keys.len());
    let starts = std::iter::once(&0).chain(&ends);
    let counts: Vec<_> = ends.iter().zip(starts).map(|(end, start)| end - start).collect();

    // How much comes from whom is known only now.
    let mut sorted = world.all_to_all_varcount(Partition::new(&keys, counts))?.concat();
    sorted.sort_unstable();
    Ok(sorted)
}

/// What is the same for the same keys, wherever they are: their number, their sum, and that of a function of them. Sums
/// of integers wrap, so that they are exact.
fn fingerprint(world: &Communicator<'_>, keys: &[u64]) -> Result<[u64; 3]> {
    let mut sums = keys.iter().fold([0u64; 3], |[count, sum, mixed], key| {
        [count + 1, sum.wrapping_add(*key), mixed.wrapping_add(mix(*key))]
    });
    world.all_reduce_in_place(&mut sums, op::Sum)?;
    Ok(sums)
}

/// Ranks have different numbers of keys, many equal ones, and more small ones than large ones.
fn keys_of(rank: i32, keys_each: usize) -> Vec<u64> {
    let (rank, keys) = (rank as u64, keys_each as u64);
    let random = (0..keys + keys * rank / 10).map(|number| mix(rank << 32 | number));
    random.map(|bits| bits >> (bits % 48)).collect()
}

/// The mixing function of SplitMix64.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
