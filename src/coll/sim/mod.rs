//! Simulated collectives: every algorithm by itself, against a naive oracle.
//!
//! [`case`] knows the algorithms on messages, and what each should give. [`job`] runs several at a time, with messages
//! between them, over engines in one thread: a seed picks what, and who does something next.
//!
//! [`steps`] are the algorithms in shared memory, which wait where they are. [`race`] runs them, one after the other, on
//! ranks that are threads, of which only one runs at a time: a seed picks what, and who that is, at every point where a
//! rank looks at what others write, rings, or waits. [`members`] makes their communicators.

mod case;
mod job;
mod members;
mod neighbours;
mod race;
mod steps;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(feature = "internals")]
pub(crate) use {
    job::{Summary, run},
    race::{Summary as RaceSummary, run as run_race, ways},
};
