//! Jobs late in their lives: every counter is just below its wrap.

use crate::{
    communicator::Communicator,
    error::Result,
    run::threads_over,
    shm::{contexts::CONTEXTS_EACH, segment::Segment, starts::Starts},
};

/// As [`threads`](crate::threads), with counters that have come far.
///
/// # Errors
/// As [`threads`](crate::threads).
pub fn threads<R: Send>(n: usize, f: impl Fn(Communicator<'_>) -> R + Sync) -> Result<Vec<R>> {
    threads_over(&Segment::on_heap_from(n, Starts::LATE)?, f)
}

/// As [`threads`](crate::threads), with context ids for so many communicators at a time beside those that each job has.
///
/// # Errors
/// As [`threads`](crate::threads).
pub fn threads_with_few_ids<R: Send>(
    n: usize,
    communicators: u32,
    f: impl Fn(Communicator<'_>) -> R + Sync,
) -> Result<Vec<R>> {
    let last = u32::MAX - u32::MAX % CONTEXTS_EACH;
    let starts = Starts { context: last - communicators * CONTEXTS_EACH, ..Starts::ZERO };
    threads_over(&Segment::on_heap_from(n, starts)?, f)
}
