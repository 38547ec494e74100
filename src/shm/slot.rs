//! What a rank publishes about itself, for the launcher and for its peers.
//!
//! | word | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | `pid` | the first process that claims the slot, once | launcher, peers | 0: free |
//! | `state` | the rank | launcher, peers | a [`RankState`] |
//! | `abort_code`, `abort_reason` | the rank, before `state` becomes ABORTED | launcher | an [`Abort`] |
//! | `nonce_address` | the rank, before its first packet | peers | where its copy of the nonce lies |
//! | `arena` | the rank, once, before it announces a message there | peers | its arena's descriptor plus 1; 0: none |
//! | `revocations` | the rank | peers | how often places that it announced have become invalid |
//! | `epoch` | the rank | peers | odd while it is blocked; even while it runs |
//! | `waits_for` | the rank, while `epoch` is even | peers | which ranks could end the blocking |

use super::{
    far::{Far, Words},
    shape::{Shape, shape},
};
use crate::sync::{AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
use std::os::fd::RawFd;

/// How far a rank has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum RankState {
    /// No process has claimed the slot.
    Free = 0,
    /// A process is initialising.
    Attached = 1,
    /// Between init and finalize.
    Running = 2,
    /// Finalized: the process may leave.
    Finalized = 3,
    /// The rank ended the job by itself: its [`Abort`] says why.
    Aborted = 4,
    /// In finalize: the rank sends no message any more and takes none, and waits for those that it has
    /// sent to be taken.
    Leaving = 5,
    /// In finalize, before that: only collectives that it has let go of send and take messages.
    Settling = 6,
}

impl RankState {
    /// Between the beginning of init and the end of finalize.
    pub(crate) fn is_in_mpi(self) -> bool {
        matches!(self, Self::Attached | Self::Running | Self::Settling | Self::Leaving)
    }

    fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Free,
            1 => Self::Attached,
            2 => Self::Running,
            3 => Self::Finalized,
            5 => Self::Leaving,
            6 => Self::Settling,
            _ => Self::Aborted,
        }
    }
}

/// A rank's own end of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abort {
    /// The job's exit code.
    pub(crate) code: i32,
    pub(crate) reason: AbortReason,
}

impl Abort {
    /// A panic, with the exit code that the standard library gives it.
    pub(crate) const PANIC: Self = Self { code: 101, reason: AbortReason::Panic };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum AbortReason {
    /// It called abort.
    Call = 0,
    /// Its function returned an error.
    Error = 1,
    Panic = 2,
}

impl AbortReason {
    fn from_word(word: u32) -> Self {
        match word {
            1 => Self::Error,
            2 => Self::Panic,
            _ => Self::Call,
        }
    }
}

/// One rank's published words.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    pid: AtomicI32,
    state: AtomicU32,
    abort_code: AtomicI32,
    abort_reason: AtomicU32,
    nonce_address: AtomicU64,
    epoch: AtomicU64,
    arena: AtomicU32,
    revocations: AtomicU32,
}

// SAFETY: all atomics.
unsafe impl Words for Slot {
    const SHAPE: Shape =
        shape!(Slot { pid, state, abort_code, abort_reason, nonce_address, epoch, arena, revocations });
}

impl Slot {
    /// Claims the slot for process `pid`; errs with the pid of the process that holds it.
    pub(crate) fn claim(&self, pid: i32) -> Result<(), i32> {
        // AcqRel: SLOT_CLAIM; the winner's later words are published by SLOT_STATE.
        let claimed = self.pid.compare_exchange(0, pid, Ordering::AcqRel, Ordering::Acquire);
        claimed.map(|_| self.set_state(RankState::Attached))
    }

    /// The process that claimed the slot, 0 if none.
    pub(crate) fn pid(&self) -> i32 {
        // Acquire: SLOT_CLAIM.
        self.pid.load(Ordering::Acquire)
    }

    pub(crate) fn state(&self) -> RankState {
        // Acquire: SLOT_STATE, pairs with the Release in `set_state`.
        RankState::from_word(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set_state(&self, state: RankState) {
        // Release: SLOT_STATE, pairs with the Acquire in `state`.
        self.state.store(state as u32, Ordering::Release);
    }

    /// The rank ends the job.
    pub(crate) fn set_aborted(&self, Abort { code, reason }: Abort) {
        // Relaxed: SLOT_STATE publishes both.
        self.abort_code.store(code, Ordering::Relaxed);
        self.abort_reason.store(reason as u32, Ordering::Relaxed);
        self.set_state(RankState::Aborted);
    }

    /// How the rank has ended the job, if its state is ABORTED.
    pub(crate) fn abort(&self) -> Abort {
        // Relaxed: read after `state` said Aborted.
        let reason = self.abort_reason.load(Ordering::Relaxed);
        Abort { code: self.abort_code.load(Ordering::Relaxed), reason: AbortReason::from_word(reason) }
    }

    /// Whether the rank has ended the job by a panic.
    pub(crate) fn has_panicked(&self) -> bool {
        self.state() == RankState::Aborted && self.abort().reason == AbortReason::Panic
    }

    /// Where the rank's copy of the nonce lies; 0 if it has none. Meaningful to whoever has had a
    /// packet from the rank.
    pub(crate) fn nonce_address(&self) -> u64 {
        // Relaxed: RING_PUBLISH, of any packet, orders it.
        self.nonce_address.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonce_address(&self, address: u64) {
        // Relaxed: RING_PUBLISH orders it.
        self.nonce_address.store(address, Ordering::Relaxed);
    }

    /// The descriptor of the rank's arena in its process. Meaningful to whoever has had an
    /// announcement of a message there.
    pub(crate) fn arena(&self) -> Option<RawFd> {
        // Relaxed: RING_PUBLISH, of the announcement, orders it.
        RawFd::try_from(self.arena.load(Ordering::Relaxed).checked_sub(1)?).ok()
    }

    pub(crate) fn set_arena(&self, fd: RawFd) {
        // Relaxed: RING_PUBLISH orders it.
        self.arena.store(u32::try_from(fd).map_or(0, |fd| fd + 1), Ordering::Relaxed);
    }

    /// How often places that the rank announced have become invalid so far. Read by the rank itself
    /// when it announces one.
    pub(crate) fn revocations(&self) -> u32 {
        // Relaxed: only the rank itself writes.
        self.revocations.load(Ordering::Relaxed)
    }

    /// Before the rank is there.
    pub(super) fn start_revocations(&self, start: u32) {
        // Relaxed: before anyone shares the segment.
        self.revocations.store(start, Ordering::Relaxed);
    }

    /// Memory that the rank has announced is about to change: whoever reads it finds out by
    /// [`Self::is_revoked_since`]. As in a sequence lock, with one side that never retries.
    pub(crate) fn revoke(&self) {
        // Relaxed: only the rank itself writes; the fence orders it before the change.
        self.revocations.store(self.revocations().wrapping_add(1), Ordering::Relaxed);
        // Release: PLACE_REVOKED, pairs with the fence in `is_revoked_since`.
        fence(Ordering::Release);
    }

    /// Whether memory that the rank announced at `revocations` may have changed under a copy that
    /// the caller has just made of it.
    pub(crate) fn is_revoked_since(&self, revocations: u32) -> bool {
        // Acquire: PLACE_REVOKED; the copy's loads are before the word's.
        fence(Ordering::Acquire);
        // Relaxed: the fence orders it.
        self.revocations.load(Ordering::Relaxed) != revocations
    }

    /// Odd while the rank is blocked; changes with every blocking.
    pub(crate) fn epoch(&self) -> u64 {
        // Acquire: WAIT_EPOCH, pairs with the Releases in `block` and `unblock`.
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn block(&self) {
        self.set_epoch_parity(1);
    }

    pub(crate) fn unblock(&self) {
        self.set_epoch_parity(0);
    }

    fn set_epoch_parity(&self, parity: u64) {
        // Relaxed: only the rank itself writes.
        let epoch = self.epoch.load(Ordering::Relaxed);
        if epoch % 2 != parity {
            // Release: WAIT_EPOCH, pairs with the Acquire in `epoch`.
            self.epoch.store(epoch.wrapping_add(1), Ordering::Release);
        }
    }
}

/// A rank's slot and the bitmap of those it waits for.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) slot: Far<Slot>,
    pub(crate) waits_for: Far<[AtomicU64]>,
}

impl Published {
    /// Says that the rank is blocked until one of `ranks` acts.
    pub(crate) fn block_on(&self, ranks: impl Iterator<Item = u32>) {
        self.slot.unblock();
        for word in &*self.waits_for {
            // Relaxed: WAIT_EPOCH publishes them.
            word.store(0, Ordering::Relaxed);
        }
        for rank in ranks {
            let word = &self.waits_for[rank as usize / 64];
            // Relaxed: WAIT_EPOCH publishes them; only the rank itself writes.
            word.store(word.load(Ordering::Relaxed) | 1 << (rank % 64), Ordering::Relaxed);
        }
        self.slot.block();
    }

    /// Whether the rank says that `other` could end its blocking.
    pub(crate) fn waits_for(&self, other: u32) -> bool {
        // Relaxed: read after `epoch` said blocked, and checked against it again.
        self.waits_for[other as usize / 64].load(Ordering::Relaxed) >> (other % 64) & 1 == 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_wins_and_the_second_learns_of_it() {
        let slot = Slot::default();
        assert_eq!(slot.claim(17), Ok(()));
        assert_eq!(slot.claim(18), Err(17));
        assert_eq!((slot.pid(), slot.state()), (17, RankState::Attached));
    }

    #[test]
    fn an_abort_is_published_with_its_code_and_reason() {
        for reason in [AbortReason::Call, AbortReason::Error, AbortReason::Panic] {
            let (slot, abort) = (Slot::default(), Abort { code: -7, reason });
            slot.set_aborted(abort);
            assert_eq!((slot.state(), slot.abort()), (RankState::Aborted, abort));
        }
    }

    #[test]
    fn an_arena_is_published_with_any_descriptor_and_a_revocation_is_seen() {
        let slot = Slot::default();
        assert_eq!(slot.arena(), None);
        slot.set_arena(0);
        assert_eq!(slot.arena(), Some(0));
        let before = slot.revocations();
        assert!(!slot.is_revoked_since(before));
        slot.revoke();
        assert!(slot.is_revoked_since(before));
        assert!(!slot.is_revoked_since(slot.revocations()));
    }

    #[test]
    fn every_blocking_has_an_epoch_of_its_own() {
        let slot = Slot::default();
        slot.block();
        let first = slot.epoch();
        slot.block();
        assert_eq!(slot.epoch(), first);
        slot.unblock();
        slot.block();
        assert_eq!((first % 2, slot.epoch() % 2), (1, 1));
        assert_ne!(slot.epoch(), first);
    }
}
