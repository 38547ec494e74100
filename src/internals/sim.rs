//! Simulated jobs, by seed.

use crate::{coll, p2p::sim};
use std::collections::BTreeMap;

/// What a simulated job that went well was like.
pub struct Summary {
    /// Ranks of the job.
    pub ranks: usize,
    /// Messages between them.
    pub messages: usize,
    /// Bytes of these.
    pub bytes: u64,
    /// Attempts at anything.
    pub attempts: u64,
    /// Rarer states of an engine that were seen.
    pub reached: Vec<&'static str>,
}

/// Runs the job of a seed.
///
/// # Errors
/// What went wrong, in words.
pub fn run(seed: u64) -> Result<Summary, String> {
    let sim::Summary { ranks, messages, bytes, attempts, reached } = sim::run(seed)?;
    Ok(Summary { ranks, messages, bytes, attempts, reached: reached.seen.into_iter().collect() })
}

/// What a simulated job of collectives that went well was like.
pub struct Collectives {
    /// Ranks of the job.
    pub ranks: usize,
    /// Collectives that they were in.
    pub collectives: usize,
    /// Messages between them meanwhile.
    pub messages: usize,
    /// How often a rank did something.
    pub turns: u64,
}

/// Runs the collectives of a seed.
///
/// # Errors
/// What went wrong, in words.
pub fn run_collectives(seed: u64) -> Result<Collectives, String> {
    let coll::sim::Summary { ranks, collectives, messages, turns } = coll::sim::run(seed)?;
    Ok(Collectives { ranks, collectives, messages, turns })
}

/// What a race of collectives in shared memory that went well was like.
#[derive(Debug, PartialEq, Eq)]
pub struct Race {
    /// Ranks of the job.
    pub ranks: usize,
    /// How often each algorithm was called.
    pub calls: BTreeMap<String, usize>,
    /// Points at which another rank could go on.
    pub points: u64,
    /// How often one did.
    pub passes: u64,
    /// How often a rank slept.
    pub sleeps: u64,
    /// Says, as good as surely, whether ranks have gone on in the same order.
    pub trace: u64,
}

/// Runs the race of a seed.
///
/// # Errors
/// What went wrong, in words.
pub fn run_race(seed: u64) -> Result<Race, String> {
    let coll::sim::RaceSummary { ranks, calls, course } = coll::sim::run_race(seed)?;
    let sim::relay::Course { points, passes, sleeps, trace } = course;
    Ok(Race { ranks, calls, points, passes, sleeps, trace })
}

/// All names that [`Race::calls`] may have.
#[must_use]
pub fn expected_calls() -> Vec<String> {
    coll::sim::ways()
}

/// All states that some thousand seeds together are expected to see.
#[must_use]
pub fn expected() -> &'static [&'static str] {
    &sim::Reached::ALL
}
