//! Jobs late in their lives: every counter is just below its wrap.

use crate::{
    communicator::Communicator,
    error::Result,
    run::threads_over,
    shm::{segment::Segment, starts::Starts},
};

/// As [`threads`](crate::threads), with counters that have come far.
///
/// # Errors
/// As [`threads`](crate::threads).
pub fn threads<R: Send>(n: usize, f: impl Fn(Communicator<'_>) -> R + Sync) -> Result<Vec<R>> {
    threads_over(&Segment::on_heap_from(n, Starts::LATE)?, f)
}
