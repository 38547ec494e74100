//! [`CopyClock`]: what says how long a copy has taken.

use crate::shm::tuning::Method;
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) enum CopyClock {
    /// The machine's clock.
    Machine,
    /// No clock: the nanoseconds that a byte takes by each method. For simulations, which must not
    /// depend on time.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    PerByte([u64; Method::ALL.len()]),
}

/// The beginning of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) enum CopyStart {
    /// Nobody asks for the time.
    Untimed,
    At(Instant),
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    PerByte([u64; Method::ALL.len()]),
}

impl CopyClock {
    #[inline]
    pub(super) fn start(self, is_timed: bool) -> CopyStart {
        match self {
            _ if !is_timed => CopyStart::Untimed,
            Self::Machine => CopyStart::At(Instant::now()),
            #[cfg(any(all(test, not(loom)), feature = "internals"))]
            Self::PerByte(costs) => CopyStart::PerByte(costs),
        }
    }
}

impl CopyStart {
    /// The nanoseconds that the copy of `bytes` bytes took, which has just ended; 0 if nobody asks.
    #[inline]
    pub(super) fn nanos(self, method: Method, bytes: u64) -> u64 {
        // Only a simulation asks what was copied.
        let _ = (method, bytes);
        match self {
            Self::Untimed => 0,
            Self::At(start) => start.elapsed().as_nanos() as u64,
            #[cfg(any(all(test, not(loom)), feature = "internals"))]
            Self::PerByte(costs) => costs[method as usize] * bytes,
        }
    }
}
