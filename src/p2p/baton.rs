//! [`Baton`]: where a simulation says which rank goes on. Anywhere else it is nothing.
//!
//! In such a simulation ranks are threads, of which only the one that has the baton runs ([`sim::relay`](super::sim)).
//! It may have to pass the baton on whenever it is about to look at what others write, has seen what it has looked for,
//! is about to ring, or waits.

#[cfg(any(all(test, not(loom)), feature = "internals"))]
use super::sim::relay::Runner;
use super::{Until, role::Pause};
use crate::{shm::doorbell::Doorbell, sys::futex::Woken};
use std::time::Duration;

/// A rank's hold on the baton, if there is one.
#[derive(Default)]
pub(super) struct Baton {
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(super) runner: Option<Runner>,
}

#[cfg(any(all(test, not(loom)), feature = "internals"))]
impl Baton {
    /// Others may go on first.
    #[inline]
    pub(super) fn pass(&self) {
        if let Some(runner) = &self.runner {
            runner.pass();
        }
    }

    /// Others should go on first: this rank can do nothing.
    pub(super) fn give_way(&self) {
        match &self.runner {
            Some(runner) => runner.give_way(),
            None => std::thread::yield_now(),
        }
    }

    /// What a rank does that has nothing to do; none if the clock says so.
    #[inline]
    pub(super) fn pause(&self) -> Option<Pause> {
        self.runner.as_ref().map(Runner::pause)
    }

    /// Until the doorbell is rung, at most for so long.
    pub(super) fn sleep(&self, bell: &Doorbell, timeout: Duration, until: &Until<'_>) -> Woken {
        match &self.runner {
            Some(runner) => runner.sleep(bell, until),
            None => bell.sleep(timeout),
        }
    }
}

#[cfg(not(any(all(test, not(loom)), feature = "internals")))]
impl Baton {
    #[inline]
    pub(super) fn pass(&self) {}

    pub(super) fn give_way(&self) {
        std::thread::yield_now();
    }

    #[inline]
    pub(super) fn pause(&self) -> Option<Pause> {
        None
    }

    pub(super) fn sleep(&self, bell: &Doorbell, timeout: Duration, _until: &Until<'_>) -> Woken {
        bell.sleep(timeout)
    }
}
