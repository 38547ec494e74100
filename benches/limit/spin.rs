//! Busy waiting for the partner, without hanging when it cannot run or is gone.

use std::cell::Cell;
use std::hint::spin_loop;

/// Polls between two looks at whether the partner still lives.
const POLLS_PER_LOOK: u32 = 1 << 22;

/// Polls before the first pause: a pause can cost as much as a line's way between two cores.
const EAGER_POLLS: u32 = 256;

/// How one side waits.
pub(super) struct Spin {
    /// Both sides share one CPU: a poll that finds nothing gives it away.
    yields: bool,
    /// The partner's process id, where this side is its parent and has not reaped it yet.
    child: Cell<Option<libc::pid_t>>,
}

impl Spin {
    pub(super) fn new(yields: bool, child: Option<libc::pid_t>) -> Spin {
        Spin { yields, child: Cell::new(child) }
    }

    /// Polls `ready` until it is true.
    ///
    /// # Panics
    ///
    /// If the partner has ended meanwhile.
    #[inline(always)]
    pub(super) fn until(&self, mut ready: impl FnMut() -> bool) {
        let mut polls = 0;
        while !ready() {
            polls += 1;
            if polls > EAGER_POLLS || self.yields {
                self.rest(polls);
            }
        }
    }

    fn rest(&self, polls: u32) {
        if self.yields {
            std::thread::yield_now();
        } else {
            spin_loop();
        }
        if polls.is_multiple_of(POLLS_PER_LOOK) {
            self.look();
        }
    }

    fn look(&self) {
        let Some(child) = self.child.get() else { return };
        // SAFETY: `child` is this process's own child and not reaped yet; no status is asked for.
        let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) };
        if ended != 0 {
            self.child.set(None);
            panic!("the bare machine's partner (pid {child}) ended in the middle of a measurement");
        }
    }

    /// Ends the child, if there is one, and reaps it.
    pub(super) fn end(&self) {
        let Some(child) = self.child.take() else { return };
        // SAFETY: `child` is this process's own child and not reaped yet, so the id is still its own.
        unsafe { libc::kill(child, libc::SIGKILL) };
        // SAFETY: as above; no status is asked for.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
}
