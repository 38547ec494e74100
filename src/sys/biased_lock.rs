//! A lock whose usual owner pays plain loads and stores.
//!
//! A locked instruction in every MPI call would drain the store that has just published a message:
//! the very fence that the fast path avoids. So the first thread that enters owns the *bias*. A second
//! thread revokes it once, with a membarrier over the threads of the process, and from then on the
//! lock is an ordinary futex mutex.
//!
//! | word | written by | read by | meaning |
//! | --- | --- | --- | --- |
//! | `owner` | the first thread, under `mutex` | all | token of the thread with the bias |
//! | `inside` | the owner | the revoker | the owner is in the critical section |
//! | `revoked` | the revoker, once, under `mutex` | all | the bias is gone for good |
//! | `mutex` | all | all | 0 free, 1 held, 2 held and waited for |
//!
//! Proof. The owner stores `inside`, then loads `revoked`; the revoker stores `revoked`, then loads
//! `inside`: of two such, at least one sees the other's store if a full barrier lies between store
//! and load on both sides. The revoker's membarrier is that barrier for both: an owner that loaded
//! `revoked == 0` did so before the barrier reached its CPU, so its earlier store to `inside` is
//! visible after it.

use super::{
    futex::{FutexWord, Scope},
    membarrier, thread,
};
use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell, compiler_fence, fence, spin_hint};
use core::ops::{Deref, DerefMut};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

pub(crate) struct BiasedLock<T> {
    owner: AtomicU64,
    inside: AtomicU32,
    revoked: AtomicU32,
    mutex: FutexWord,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached only through a guard, and guards exclude each other (proof above).
unsafe impl<T: Send> Sync for BiasedLock<T> {}
// SAFETY: as for any lock: moving it moves the value.
unsafe impl<T: Send> Send for BiasedLock<T> {}

#[clippy::has_significant_drop]
pub(crate) struct Guard<'a, T> {
    lock: &'a BiasedLock<T>,
    biased: bool,
}

impl<T> BiasedLock<T> {
    /// Without membarrier the lock starts as a mutex.
    pub(crate) fn new(value: T) -> Self {
        let can_revoke = cfg!(loom) || membarrier::register_between_threads().is_ok();
        Self::with_bias(value, can_revoke)
    }

    /// A mutex from the start: models of what it protects have fewer interleavings.
    #[cfg(all(test, loom))]
    pub(crate) fn without_bias(value: T) -> Self {
        Self::with_bias(value, false)
    }

    fn with_bias(value: T, has_bias: bool) -> Self {
        Self {
            owner: AtomicU64::new(0),
            inside: AtomicU32::new(0),
            revoked: AtomicU32::new((!has_bias).into()),
            mutex: FutexWord::default(),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        // Relaxed: only this thread can have stored its own token.
        if self.owner.load(Ordering::Relaxed) == thread::token() && self.enter_biased() {
            return Guard { lock: self, biased: true };
        }
        self.lock_slow()
    }

    /// The lock, unless a thread is inside, be it this one. If threads try at the same time, all may fail.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        // Relaxed: only this thread can have stored its own token, and then `inside`.
        if self.owner.load(Ordering::Relaxed) == thread::token() {
            if self.inside.load(Ordering::Relaxed) != 0 {
                return None;
            }
            if self.enter_biased() {
                return Some(Guard { lock: self, biased: true });
            }
        }
        self.try_lock_slow()
    }

    #[inline]
    fn enter_biased(&self) -> bool {
        #[cfg(not(loom))]
        // Relaxed: written by this thread only.
        debug_assert_eq!(self.inside.load(Ordering::Relaxed), 0, "the lock is not reentrant");
        // Relaxed: BIAS_REVOKE, ordered by the revoker's membarrier.
        self.inside.store(1, Ordering::Relaxed);
        store_load_barrier();
        // Relaxed: BIAS_REVOKE, as above.
        if self.revoked.load(Ordering::Relaxed) == 0 {
            return true;
        }
        // Release: BIAS_LEAVE, pairs with the revoker's Acquire.
        self.inside.store(0, Ordering::Release);
        false
    }

    /// Whether a second thread has ever entered.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        // Relaxed: a hint.
        self.revoked.load(Ordering::Relaxed) != 0
    }

    #[cold]
    fn lock_slow(&self) -> Guard<'_, T> {
        self.lock_mutex();
        if self.take_bias() {
            return Guard { lock: self, biased: true };
        }
        self.revoke();
        while self.is_owner_inside() {
            spin_hint();
            #[cfg(not(loom))]
            std::thread::yield_now();
        }
        Guard { lock: self, biased: false }
    }

    #[cold]
    fn try_lock_slow(&self) -> Option<Guard<'_, T>> {
        if !self.try_lock_mutex() {
            return None;
        }
        if self.take_bias() {
            return Some(Guard { lock: self, biased: true });
        }
        self.revoke();
        let guard = Guard { lock: self, biased: false };
        (!self.is_owner_inside()).then_some(guard)
    }

    /// With the mutex: the first thread takes the bias, is inside, and gives the mutex back.
    fn take_bias(&self) -> bool {
        // Relaxed: `revoked` and `owner` are written under the mutex only.
        let is_free = self.revoked.load(Ordering::Relaxed) == 0 && self.owner.load(Ordering::Relaxed) == 0;
        if is_free {
            self.owner.store(thread::token(), Ordering::Relaxed);
            // Relaxed: a revoker gets the mutex after this thread, and so sees it.
            self.inside.store(1, Ordering::Relaxed);
            self.unlock_mutex();
        }
        is_free
    }

    /// With the mutex: from then on the bias lets nobody in; the owner may be inside still.
    fn revoke(&self) {
        // Relaxed: written under the mutex only. BIAS_REVOKE: ordered by the barrier that follows.
        if self.revoked.load(Ordering::Relaxed) == 0 {
            self.revoked.store(1, Ordering::Relaxed);
            barrier_on_all_threads();
        }
    }

    /// After the bias has been revoked.
    fn is_owner_inside(&self) -> bool {
        // Acquire: BIAS_LEAVE, pairs with the owner's Release.
        self.inside.load(Ordering::Acquire) != 0
    }

    fn lock_mutex(&self) {
        if self.try_lock_mutex() {
            return;
        }
        // Acquire: LOCK_HANDOVER, pairs with the Release in `unlock_mutex`.
        while self.mutex.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            self.mutex.wait(CONTENDED, None, Scope::Private);
        }
    }

    fn try_lock_mutex(&self) -> bool {
        // Acquire: LOCK_HANDOVER, pairs with the Release in `unlock_mutex`.
        self.mutex.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn unlock_mutex(&self) {
        // Release: LOCK_HANDOVER, pairs with the Acquires in `lock_mutex` and `try_lock_mutex`.
        if self.mutex.word.swap(FREE, Ordering::Release) == CONTENDED {
            self.mutex.wake(1, Scope::Private);
        }
    }
}

/// Between the owner's store and load: the revoker's membarrier makes it a full fence, here it only
/// keeps the compiler from swapping the two. Models have no membarrier and take the full fence.
#[inline]
fn store_load_barrier() {
    #[cfg(not(loom))]
    compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

fn barrier_on_all_threads() {
    fence(Ordering::SeqCst);
    #[cfg(not(loom))]
    membarrier::between_threads().expect("registered by `new`, which else gives no bias");
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.biased {
            // Release: BIAS_LEAVE, pairs with the revoker's Acquire.
            self.lock.inside.store(0, Ordering::Release);
        } else {
            self.lock.unlock_mutex();
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: guards exclude each other.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: guards exclude each other, and `self` is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_tries_gets_the_lock_unless_some_thread_is_inside() {
        let lock = BiasedLock::new(());
        let elsewhere =
            || std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_some()).join().unwrap());
        let first = lock.try_lock();
        assert!(first.is_some() && lock.try_lock().is_none() && !elsewhere() && !elsewhere());
        drop(first);
        assert!(elsewhere());
        let second = lock.try_lock();
        assert!(second.is_some() && lock.try_lock().is_none() && !elsewhere());
        drop(second);
        drop(lock.lock());
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn threads_exclude_each_other_while_the_bias_is_revoked() {
        for _ in 0..50 {
            let lock = BiasedLock::new(0u64);
            *lock.lock() += 1;
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| (0..1000).for_each(|_| *lock.lock() += 1));
                }
                (0..1000).for_each(|_| *lock.lock() += 1);
            });
            assert_eq!(*lock.lock(), 4001);
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::model::{CheckedCell, check, thread};
    use std::sync::Arc;

    /// Loom cannot see through `UnsafeCell` of core: a loom cell inside checks the exclusion.
    type Lock = BiasedLock<CheckedCell<u32>>;

    fn bump(lock: &Lock) {
        // SAFETY: the guard is held across the access; loom reports any overlap.
        lock.lock().with_mut(|value| unsafe { *value += 1 });
    }

    /// The first thread enters `first` times before the others come, and once more beside them.
    fn check_exclusion(first: u32, others: u32) {
        check(move || {
            let lock = Arc::new(Lock::new(CheckedCell::new(0)));
            (0..first).for_each(|_| bump(&lock));
            let start = |_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || bump(&lock))
            };
            let threads: Vec<_> = (0..others).map(start).collect();
            bump(&lock);
            threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
            // SAFETY: the only thread left.
            lock.lock().with(|value| assert_eq!(unsafe { *value }, first + 1 + others));
        });
    }

    #[test]
    fn a_revoker_excludes_the_owner() {
        check_exclusion(1, 1);
    }

    /// The first thread enters `first` times before another comes; both try.
    fn check_tries(first: u32) {
        check(move || {
            let lock = Arc::new(Lock::new(CheckedCell::new(0)));
            (0..first).for_each(|_| bump(&lock));
            // SAFETY: as for `bump`.
            let try_bump = |lock: &Lock| {
                lock.try_lock().map(|guard| guard.with_mut(|value| unsafe { *value += 1 })).is_some()
            };
            let other = Arc::clone(&lock);
            let thread = thread::spawn(move || try_bump(&other));
            let here = try_bump(&lock);
            let there = thread.join().expect("no thread panics");
            let entered = u32::from(here) + u32::from(there);
            // SAFETY: the only thread left.
            lock.try_lock().expect("free").with(|value| assert_eq!(unsafe { *value }, first + entered));
        });
    }

    #[test]
    fn a_thread_that_tries_excludes_the_owner() {
        check_tries(1);
    }

    #[test]
    fn two_threads_that_try_first_exclude_each_other() {
        check_tries(0);
    }

    #[test]
    fn two_threads_that_enter_first_at_once_exclude_each_other() {
        check_exclusion(0, 1);
    }

    #[test]
    fn two_revokers_exclude_the_owner_and_each_other() {
        check_exclusion(1, 2);
    }

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn a_revoker_that_does_not_wait_for_the_owner_is_refused() {
        check(|| {
            let lock = Arc::new(Lock::new(CheckedCell::new(0)));
            bump(&lock);
            let other = Arc::clone(&lock);
            let revoker = thread::spawn(move || {
                other.lock_mutex();
                other.revoked.store(1, Ordering::Relaxed);
                barrier_on_all_threads();
                bump_as(&other);
            });
            bump(&lock);
            revoker.join().expect("no thread panics");
        });
    }

    /// Enters as a thread that holds the mutex and believes that nobody is inside.
    fn bump_as(lock: &Lock) {
        // SAFETY: loom reports the overlap that this leads to.
        Guard { lock, biased: false }.with_mut(|value| unsafe { *value += 1 });
    }

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn a_revoker_without_a_barrier_is_refused() {
        check(|| {
            let lock = Arc::new(Lock::new(CheckedCell::new(0)));
            bump(&lock);
            let other = Arc::clone(&lock);
            let revoker = thread::spawn(move || {
                other.lock_mutex();
                other.revoked.store(1, Ordering::Relaxed);
                while other.inside.load(Ordering::Acquire) != 0 {
                    spin_hint();
                }
                bump_as(&other);
            });
            bump(&lock);
            revoker.join().expect("no thread panics");
        });
    }
}
