//! Matching: which receive takes which message.
//!
//! A rank keeps two queues. The [`PostedQueue`] holds receives that wait for a message, the
//! [`UnexpectedQueue`] messages that arrived before their receive. MPI's order asks both for the
//! *earliest* entry that fits: a message takes the earliest posted receive that accepts it, a receive
//! or a probe the earliest message that it accepts (MPI 5.0, 3.5).
//!
//! Most matches are among the oldest entries, and the quickest way through these is to look at each. A
//! search that goes beyond [`SCAN_MAX`] has the queue indexed: an [`index::Index`] leads from a pattern
//! to the entries under it, oldest first. Patterns come in four *classes*, by what they leave open
//! (nothing, the tag, the source, both), so
//!
//! - a posted receive is filed once, under its own pattern, and a message looks under the four patterns
//!   that accept it and takes the oldest of the four firsts;
//! - an unexpected message is filed under the four patterns that accept it, and a receive looks only
//!   under its own. The index of a class is built when the first receive of that class needs it.
//!
//! So a match costs the same at any depth. An index is dropped again when its queue has become short:
//! what building it cost has then been spread over the entries that left. All of it is pure: no I/O and
//! no unsafe code. Places are reused: memory is what the queue and its index took when they were deepest, and
//! from then on nothing is allocated.

mod chain;
mod index;
mod posted;
mod slab;
mod unexpected;

#[cfg(any(all(test, not(loom)), fuzzing))]
mod oracle;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(any(all(test, not(loom)), fuzzing))]
pub(crate) use oracle::fuzz;
pub(crate) use posted::{PostedId, PostedQueue};
pub(crate) use unexpected::{UnexpectedId, UnexpectedQueue};

use crate::envelope::{Envelope, Pattern};

/// The most entries that are searched one by one. Looking at this many costs about as much as going
/// through an index (benches/matching.rs).
pub(super) const SCAN_MAX: usize = 16;

/// An indexed queue that has become this short goes back to scanning. Far below [`SCAN_MAX`], so that a
/// queue that hovers about either length is not indexed and dropped at every step.
const INDEX_MIN: usize = 4;

/// How many classes of pattern there are.
const CLASSES: usize = 4;

/// What a pattern leaves open, as a number below [`CLASSES`]: bit 0 the tag, bit 1 the source.
fn class(pattern: &Pattern) -> usize {
    usize::from(pattern.tag.is_none()) | usize::from(pattern.source.is_none()) << 1
}

/// The one pattern of a class that accepts messages with this envelope, whose mark is no part of it.
fn pattern_of_class(class: usize, envelope: &Envelope) -> Pattern {
    Pattern {
        context: envelope.context,
        source: (class & 0b10 == 0).then_some(envelope.sender()),
        tag: (class & 0b01 == 0).then_some(envelope.tag),
    }
}
