//! Doorbells, each owned by a thread.

use crate::{
    error::{Error, Result},
    shm::{
        doorbell::{BarrierMode, Doorbell},
        segment::Segment,
    },
    sys::membarrier,
};
use std::time::Duration;

/// A doorbell, as its owner and as others see it.
#[derive(Clone)]
pub struct Bell(Doorbell);

/// Longer than any sleep that somebody ends.
const TIME_OUT: Duration = Duration::from_secs(1);

/// Two doorbells on the heap; who sleeps pays for the barrier if `by_membarrier`, else both sides have a fence.
///
/// # Errors
/// No memory; a kernel that refuses membarrier.
pub fn bells(by_membarrier: bool) -> Result<[Bell; 2]> {
    let mode = if by_membarrier { BarrierMode::Membarrier } else { BarrierMode::Fence };
    if by_membarrier {
        membarrier::register_between_processes().map_err(|error| Error::system("membarrier", error))?;
    }
    let segment = Segment::on_heap(2)?;
    Ok([0, 1].map(|rank| Bell(segment.doorbell(rank, mode))))
}

impl Bell {
    /// Wakes the owner if it sleeps, after something that it may wait for.
    #[inline]
    pub fn ring(&self) {
        self.0.ring();
    }

    /// The owner sleeps at once, until the condition holds.
    pub fn sleep_until(&self, mut holds: impl FnMut() -> bool) {
        loop {
            self.0.announce_sleep();
            if holds() {
                return self.0.stay_awake();
            }
            self.0.sleep(TIME_OUT);
        }
    }
}
