//! A word that a process or thread can sleep on.

use crate::sync::AtomicU32;
#[cfg(not(loom))]
use std::ptr::null;
use std::time::Duration;

/// Why [`FutexWord::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Woken, interrupted by a signal, or the word had another value already.
    MaybeReady,
    /// The time-out ran out.
    TimedOut,
}

/// Who may sleep on the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Any process that maps the word.
    Shared,
    /// Threads of this process.
    Private,
}

/// A 32-bit word to sleep on. Under loom a mutex and a condition variable stand in for the kernel's
/// queue: loom does not know futexes.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct FutexWord {
    pub(crate) word: AtomicU32,
    #[cfg(loom)]
    queue: loom_queue::Queue,
}

#[cfg(not(loom))]
impl FutexWord {
    /// Sleeps while the word equals `expected`, at most `timeout`.
    pub(crate) fn wait(&self, expected: u32, timeout: Option<Duration>, scope: Scope) -> Woken {
        let limit = timeout.map(|t| libc::timespec {
            tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(null(), std::ptr::from_ref);
        // SAFETY: the word outlives the call; the kernel only reads it and `limit`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT | scope.flag(),
                expected,
                limit,
            )
        };
        match result {
            -1 if std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) => Woken::TimedOut,
            _ => Woken::MaybeReady,
        }
    }

    /// Wakes up to `count` sleepers.
    pub(crate) fn wake(&self, count: i32, scope: Scope) {
        // SAFETY: the kernel uses the address as a key only.
        unsafe {
            libc::syscall(libc::SYS_futex, self.word.as_ptr(), libc::FUTEX_WAKE | scope.flag(), count);
        }
    }
}

#[cfg(not(loom))]
impl Scope {
    fn flag(self) -> i32 {
        match self {
            Scope::Shared => 0,
            Scope::Private => libc::FUTEX_PRIVATE_FLAG,
        }
    }
}

#[cfg(loom)]
mod loom_queue {
    use super::{FutexWord, Scope, Woken};
    use crate::sync::{
        Ordering,
        model::{Condvar, Mutex},
    };
    use std::time::Duration;

    #[derive(Debug, Default)]
    pub(super) struct Queue {
        lock: Mutex<()>,
        woken: Condvar,
    }

    impl FutexWord {
        /// As the kernel does it: the comparison and the going to sleep are one step against a wake.
        /// A time-out never comes: a model that needs one is a deadlock that loom reports.
        pub(crate) fn wait(&self, expected: u32, _timeout: Option<Duration>, _scope: Scope) -> Woken {
            let guard = self.queue.lock.lock().expect("no holder panics");
            if self.word.load(Ordering::SeqCst) == expected {
                drop(self.queue.woken.wait(guard).expect("no holder panics"));
            }
            Woken::MaybeReady
        }

        pub(crate) fn wake(&self, _count: i32, _scope: Scope) {
            drop(self.queue.lock.lock().expect("no holder panics"));
            self.queue.woken.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering;

    #[test]
    fn a_word_with_another_value_is_not_slept_on() {
        let word = FutexWord::default();
        assert_eq!(word.wait(1, None, Scope::Private), Woken::MaybeReady);
    }

    #[test]
    fn a_time_out_is_told_from_a_wake() {
        let word = FutexWord::default();
        assert_eq!(word.wait(0, Some(Duration::from_millis(1)), Scope::Shared), Woken::TimedOut);
    }

    #[test]
    fn a_sleeper_is_woken() {
        let word = FutexWord::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.word.load(Ordering::SeqCst) == 0 {
                    word.wait(0, None, Scope::Private);
                }
            });
            word.word.store(1, Ordering::SeqCst);
            word.wake(i32::MAX, Scope::Private);
        });
    }
}
