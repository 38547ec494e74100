//! Lock bytes: who of a job is alive, as the kernel knows it.
//!
//! The keeper and every rank hold a record lock on a byte of the memfd, far beyond its end. A signal
//! on the parent's death misses ranks behind a shell; these bytes miss nobody.

use super::segment::Segment;
use crate::sys::record_lock;
use std::os::fd::RawFd;

/// A byte, by who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockByte {
    /// The process that ends the job's ranks when something fails.
    Keeper,
    Rank(usize),
}

const FIRST: i64 = 1 << 62;

impl LockByte {
    fn offset(self) -> i64 {
        match self {
            Self::Keeper => FIRST,
            Self::Rank(rank) => FIRST + 1 + rank as i64,
        }
    }

    /// Holds the byte until this process ends.
    pub(crate) fn hold(self, memfd: RawFd) {
        // A kernel that refuses locks only leaves the other ways to learn of a death.
        let _ = record_lock::hold(memfd, self.offset());
    }

    /// Whether another process holds the byte.
    pub(crate) fn is_held(self, memfd: RawFd) -> bool {
        record_lock::is_held(memfd, self.offset()).unwrap_or(false)
    }
}

impl Segment {
    /// Holds a lock byte until this process ends, if the segment is a memfd.
    pub(crate) fn hold(&self, byte: LockByte) {
        if let Some(memfd) = self.fd() {
            byte.hold(memfd);
        }
    }

    /// Whether another process holds the lock byte.
    pub(crate) fn is_held(&self, byte: LockByte) -> bool {
        self.fd().is_some_and(|memfd| byte.is_held(memfd))
    }

    /// Whether the job had a keeper when this process attached, and has none any more.
    pub(crate) fn has_lost_keeper(&self) -> bool {
        self.had_keeper() && !self.is_held(LockByte::Keeper)
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
    fn a_job_without_a_keeper_loses_none() {
        assert!(!Segment::create(1).unwrap().has_lost_keeper());
        assert!(!Segment::on_heap(1).unwrap().has_lost_keeper());
    }
}
