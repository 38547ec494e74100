//! Simulated collectives: every algorithm on messages by itself, against a naive oracle.
//!
//! [`case`] knows the algorithms and what they should give. [`job`] runs several at a time, with messages between
//! them, over engines in one thread: a seed picks what, and who does something next.

mod case;
mod job;
mod neighbours;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(feature = "internals")]
pub(crate) use job::{Summary, run};
