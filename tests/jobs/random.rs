//! Random numbers that a seed repeats.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A size in bytes: every power of two up to 1 MiB is as likely, so all ways to send are taken.
    pub(crate) fn size(&mut self) -> usize {
        let bits = self.below(21);
        (self.next() >> (63 - bits)) as usize
    }
}

/// The seed of this run: given by the user, or the clock.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("RINGMPI_TEST_SEED").ok();
    given.map_or_else(from_clock, |text| text.parse().expect("RINGMPI_TEST_SEED is a number"))
}

fn from_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos() as u64
}
