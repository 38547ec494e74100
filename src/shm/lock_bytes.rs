//! Lock bytes: who of a job is alive, as the kernel knows it.
//!
//! The keeper and the ranks of a launched job hold a record lock each on a byte of the memfd, far beyond
//! its end. A signal on the parent's death misses ranks behind a shell; these bytes miss nobody.

use super::segment::Segment;
use crate::{sync::Ordering, sys::record_lock};

/// A byte, by who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockByte {
    /// The process that ends the job's ranks when something fails.
    Keeper,
    Rank(usize),
}

/// The keeper's; those of the ranks follow.
pub(super) const FIRST: i64 = 1 << 62;

impl LockByte {
    fn offset(self) -> i64 {
        match self {
            Self::Keeper => FIRST,
            Self::Rank(rank) => FIRST + 1 + rank as i64,
        }
    }
}

impl Segment {
    /// Holds a lock byte until this process ends. False without a memfd, or if the kernel refuses: then
    /// only the other ways to learn of a death are left.
    pub(crate) fn hold(&self, byte: LockByte) -> bool {
        self.fd().is_some_and(|memfd| record_lock::hold(memfd, byte.offset()).is_ok())
    }

    /// Whether another process holds the lock byte.
    pub(crate) fn is_held(&self, byte: LockByte) -> bool {
        self.fd().is_some_and(|memfd| record_lock::is_held(memfd, byte.offset()).unwrap_or(false))
    }

    /// Makes this process the job's keeper, before there are any ranks.
    pub(crate) fn keep(&self) {
        let is_kept = self.hold(LockByte::Keeper);
        // Relaxed: the fork of each rank orders it.
        self.header().has_keeper.store(is_kept.into(), Ordering::Relaxed);
    }

    /// Whether the job had a keeper, and has none any more.
    pub(crate) fn has_lost_keeper(&self) -> bool {
        // Relaxed: constant since before this rank was forked.
        self.header().has_keeper.load(Ordering::Relaxed) != 0 && self.is_free(LockByte::Keeper)
    }

    /// Whether no other process holds the lock byte. False if that can't be found out: a program may close
    /// descriptors that it does not know.
    fn is_free(&self, byte: LockByte) -> bool {
        self.memfd().is_some_and(|memfd| {
            matches!(record_lock::is_held(memfd.fd, byte.offset()), Ok(false)) && memfd.is_open()
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::types::RANKS_MAX;

    #[test]
    fn every_holder_has_a_byte_of_its_own_beyond_any_segment() {
        let offsets =
            [LockByte::Keeper, LockByte::Rank(0), LockByte::Rank(RANKS_MAX - 1)].map(LockByte::offset);
        assert!(offsets.is_sorted_by(|a, b| a < b));
        assert!(offsets[0] > 1 << 47, "no address space is that large");
    }

    #[test]
    fn a_keeper_that_has_died_is_missed() {
        let segment = Segment::create(1).unwrap();
        // No other process holds the byte.
        segment.keep();
        assert!(segment.has_lost_keeper());
    }

    #[test]
    fn a_keeper_that_can_not_be_asked_for_is_not_missed() {
        let segment = Segment::create(1).unwrap();
        segment.keep();
        let memfd = segment.memfd().unwrap();
        nix::unistd::close(memfd.fd).unwrap();
        assert!(!segment.has_lost_keeper());
        // The number may be another file's by now.
        let other = std::fs::File::open("/dev/null").unwrap();
        assert!(!segment.has_lost_keeper());
        drop(other);
    }

    #[test]
    fn a_job_without_a_keeper_loses_none() {
        assert!(!Segment::create(1).unwrap().has_lost_keeper());
        assert!(!Segment::create_without_descriptor(1).unwrap().has_lost_keeper());
        assert!(!Segment::on_heap(1).unwrap().has_lost_keeper());
    }
}
