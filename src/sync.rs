//! Atomics, fences and cells: the only file that names `core::sync::atomic`, `UnsafeCell` or loom.
//!
//! Under `--cfg loom` the same names come from loom, so that the protocols in `shm` and the progress
//! hand-over can be model-checked as they are written.

#[cfg(not(loom))]
pub(crate) use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, compiler_fence, fence},
};

#[cfg(loom)]
pub(crate) use loom;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, fence};

/// Loom has no compiler fence: a full one is at least as strong in a model of the FENCE mode.
#[cfg(loom)]
pub(crate) fn compiler_fence(order: Ordering) {
    fence(order);
}

#[cfg(loom)]
pub(crate) use core::cell::UnsafeCell;

/// What models, and stand-ins for the kernel in them, need of loom.
#[cfg(loom)]
pub(crate) mod model {
    pub(crate) use loom::{
        cell::UnsafeCell as CheckedCell,
        sync::{Condvar, Mutex},
        thread,
    };

    /// Runs a model with at most LOOM_MAX_PREEMPTIONS preemptions, 2 if that is not set.
    pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(2);
        builder.max_branches = 10_000;
        builder.check(model);
    }
}

/// Yields inside a model, spins outside.
#[inline]
pub(crate) fn spin_hint() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Between two polls of words that others write: the next poll begins when the last has its value. A
/// CPU that polls ahead, and it does, throws all of that away when the line changes; then the message it
/// has waited for comes late. Yields inside a model.
#[inline]
pub(crate) fn poll_hint() {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        core::arch::x86_64::_mm_lfence();
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    spin_hint();
}

/// A value on cache lines of its own. 128 bytes: x86-64 prefetches lines in pairs, and big aarch64
/// cores have lines of that size.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> core::ops::Deref for CachePadded<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
