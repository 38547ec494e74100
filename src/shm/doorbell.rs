//! Doorbells: how a rank that has gone to sleep learns that there is something for it.
//!
//! | word | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | `state` | owner (to sleep and after), ringers (to awake) | ringers | [`AWAKE`] or [`ASLEEP`] |
//! | `armed`, bit s | owner | sender s | the owner polls the ring from s |
//! | `pending`, bit s | senders set, owner clears | owner | an unpolled ring has news |
//!
//! `state` and `pending` have several writers: every change of `state` is a swap, and the ringer whose
//! swap finds [`ASLEEP`] wakes; bits of `pending` are set and cleared by read-modify-write operations.
//! (The owner's changes could be stores, but loom does not order those with the swaps of others.)
//!
//! The protocol (docs/PROTOCOL.md has the proof). The owner: announce (`state = ASLEEP`), barrier,
//! look at everything once more, sleep on the word. A ringer: publish, [barrier], read `state`,
//! and if asleep swap it to awake and wake. In FENCE mode both barriers are fences; in MEMBARRIER
//! mode the owner's membarrier stands for both, and the ringer has none.

use super::{
    far::{Far, Words},
    shape::Shape,
};
use crate::{
    sync::{AtomicU64, Ordering, compiler_fence, fence},
    sys::{
        futex::{FutexWord, Scope, Woken},
        membarrier,
    },
};
use std::time::{Duration, Instant};

pub(crate) const AWAKE: u32 = 0;
pub(crate) const ASLEEP: u32 = 1;

// SAFETY: an atomic integer (models keep it on the heap).
unsafe impl Words for FutexWord {
    const SHAPE: Shape = Shape::START.with_size_of::<Self>();
}

/// Who pays for the barrier between publishing and reading `state`. One constant for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BarrierMode {
    /// The sleeper, by `membarrier(2)`.
    Membarrier,
    /// Both sides, by a fence.
    Fence,
}

impl BarrierMode {
    /// The ringer's barrier: between publishing and looking whether somebody has to be told.
    #[inline]
    pub(super) fn after_publishing(self) {
        match self {
            Self::Membarrier => compiler_fence(Ordering::SeqCst),
            Self::Fence => fence(Ordering::SeqCst),
        }
    }
}

/// One rank's doorbell, as its owner and all others see it.
#[derive(Clone)]
pub(crate) struct Doorbell {
    state: Far<FutexWord>,
    armed: Far<[AtomicU64]>,
    pending: Far<[AtomicU64]>,
    mode: BarrierMode,
}

impl Doorbell {
    pub(crate) fn new(
        state: Far<FutexWord>,
        armed: Far<[AtomicU64]>,
        pending: Far<[AtomicU64]>,
        mode: BarrierMode,
    ) -> Self {
        Self { state, armed, pending, mode }
    }

    /// After publishing a packet in the ring from `sender`.
    #[inline]
    pub(crate) fn announce(&self, sender: u32) {
        self.mode.after_publishing();
        let (word, bit) = split(sender);
        // Relaxed: BELL_ARMED, ordered by the barriers; a stale "armed" is found by the owner's look
        // after its own barrier.
        if self.armed[word].load(Ordering::Relaxed) & bit == 0 {
            self.mark_pending(word, bit);
        }
        self.wake_if_asleep();
    }

    /// After making any other condition true that the owner may wait for.
    #[inline]
    pub(crate) fn ring(&self) {
        self.mode.after_publishing();
        self.wake_if_asleep();
    }

    #[cold]
    fn mark_pending(&self, word: usize, bit: u64) {
        // Release: BELL_PENDING, pairs with the Acquire in `take_pending`.
        self.pending[word].fetch_or(bit, Ordering::Release);
        self.mode.after_publishing();
    }

    #[inline]
    fn wake_if_asleep(&self) {
        // Relaxed: BELL_STATE, ordered by the barriers.
        if self.state.word.load(Ordering::Relaxed) == ASLEEP {
            self.wake();
        }
    }

    /// Wakes the owner if it sleeps; of several ringers one makes the system call.
    #[cold]
    fn wake(&self) {
        // AcqRel: BELL_STATE; only the order of the swaps on this word matters.
        if self.state.word.swap(AWAKE, Ordering::AcqRel) == ASLEEP {
            self.state.wake(1, Scope::Shared);
        }
    }

    /// Owner: says that it is about to sleep. What it looks at afterwards is up to date, or whoever
    /// changes it wakes.
    pub(crate) fn announce_sleep(&self) {
        // Relaxed: BELL_STATE, ordered by the barrier that follows.
        self.state.word.swap(ASLEEP, Ordering::Relaxed);
        self.owner_barrier();
    }

    /// Owner: a barrier on both sides, so that a ring that has been disarmed before is either seen
    /// non-empty after it, or its sender sees it disarmed.
    pub(crate) fn owner_barrier(&self) {
        if self.mode == BarrierMode::Membarrier && membarrier::between_processes().is_ok() {
            return;
        }
        fence(Ordering::SeqCst);
    }

    /// Owner: sleeps until rung, at most `timeout`.
    pub(crate) fn sleep(&self, timeout: Duration) -> Woken {
        match self.state.wait(ASLEEP, Some(timeout), Scope::Shared) {
            // Relaxed: BELL_STATE; a ring that came with the time-out is a ring.
            Woken::TimedOut if self.state.word.load(Ordering::Relaxed) == ASLEEP => Woken::TimedOut,
            _ => Woken::MaybeReady,
        }
    }

    /// After the owner has announced a sleep: whether somebody has rung since.
    pub(crate) fn is_rung(&self) -> bool {
        // Relaxed: BELL_STATE; only whether somebody has rung matters.
        self.state.word.load(Ordering::Relaxed) != ASLEEP
    }

    /// Owner, after a sleep that timed out: whether a ring comes after all.
    pub(crate) fn is_rung_within(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            if self.is_rung() {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// Owner: takes the announcement back.
    pub(crate) fn stay_awake(&self) {
        // Relaxed: BELL_STATE; a ringer that still sees ASLEEP wakes nobody.
        self.state.word.swap(AWAKE, Ordering::Relaxed);
    }

    /// Owner: from now on the ring from `sender` is polled, or not.
    pub(crate) fn set_armed(&self, sender: u32, armed: bool) {
        let (word, bit) = split(sender);
        let cell = &self.armed[word];
        // Relaxed: BELL_ARMED; only the owner writes.
        let old = cell.load(Ordering::Relaxed);
        let new = if armed { old | bit } else { old & !bit };
        // Relaxed: BELL_ARMED, ordered by the barriers.
        cell.store(new, Ordering::Relaxed);
    }

    /// Owner: calls `each` with every sender that has rung for an unpolled ring since the last time.
    #[inline]
    pub(crate) fn take_pending(&self, mut each: impl FnMut(u32)) {
        for (index, word) in self.pending.iter().enumerate() {
            // Relaxed: a hint; the swap below is the real look.
            if word.load(Ordering::Relaxed) != 0 {
                // Acquire: BELL_PENDING, pairs with the Release in `mark_pending`.
                let mut bits = word.swap(0, Ordering::Acquire);
                while bits != 0 {
                    each(index as u32 * 64 + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
    }

    pub(crate) fn mode(&self) -> BarrierMode {
        self.mode
    }
}

#[inline]
fn split(sender: u32) -> (usize, u64) {
    ((sender / 64) as usize, 1 << (sender % 64))
}

/// Sleeps on the doorbell until the condition holds. The first look comes without a barrier, as in
/// the progress loop: one in every wait would hide in a model that one is missing elsewhere.
#[cfg(test)]
pub(super) fn sleep_until(bell: &Doorbell, mut holds: impl FnMut() -> bool) {
    while !holds() {
        bell.announce_sleep();
        if holds() {
            return bell.stay_awake();
        }
        let woken = bell.sleep(Duration::from_secs(60));
        assert_eq!(woken, Woken::MaybeReady, "a wake-up was lost, or nobody makes the condition true");
    }
}

/// A doorbell over heap memory, for models.
#[cfg(any(test, loom))]
pub(crate) fn on_heap(ranks: usize, mode: BarrierMode) -> Doorbell {
    let words = || -> Far<[AtomicU64]> {
        Far::on_heap((0..ranks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>())
    };
    Doorbell::new(Far::on_heap(Box::<FutexWord>::default()), words(), words(), mode)
}

#[cfg(all(test, loom))]
#[path = "doorbell_loom.rs"]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn news_for_an_unpolled_ring_is_pending_once() {
        let bell = on_heap(130, BarrierMode::Fence);
        bell.announce(129);
        bell.announce(3);
        bell.announce(3);
        bell.set_armed(64, true);
        bell.announce(64);
        let mut seen = vec![];
        bell.take_pending(|sender| seen.push(sender));
        assert_eq!(seen, [3, 129]);
        bell.take_pending(|sender| panic!("{sender} is pending twice"));
    }

    #[test]
    fn a_ring_between_announcement_and_sleep_is_not_lost() {
        let bell = on_heap(2, BarrierMode::Fence);
        bell.announce_sleep();
        bell.ring();
        assert_eq!(bell.sleep(Duration::from_secs(60)), Woken::MaybeReady);
    }

    #[test]
    fn disarming_one_ring_leaves_the_others_armed() {
        let bell = on_heap(3, BarrierMode::Fence);
        (0..3).for_each(|sender| bell.set_armed(sender, true));
        bell.set_armed(1, false);
        (0..3).for_each(|sender| bell.announce(sender));
        let mut seen = vec![];
        bell.take_pending(|sender| seen.push(sender));
        assert_eq!(seen, [1]);
    }
}
