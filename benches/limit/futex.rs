//! Waking a process that sleeps.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use super::play::{Player, Side};

/// How long the waker of [`WakeUp`] gives the sleeper: as long as a rank takes that polls before it sleeps, and more.
const LONG_ASLEEP: Duration = Duration::from_millis(1);

/// How long the waker of [`WakeCall`] gives the sleeper to fall asleep.
const ASLEEP: Duration = Duration::from_micros(40);

/// Sleeps while `word` is `value`; may return early.
pub(super) fn wait(word: &AtomicU32, value: u32) {
    let forever: *const libc::timespec = std::ptr::null();
    // SAFETY: `word` is a live, aligned 32-bit word; the kernel only reads it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, forever) };
}

/// As [`wait`], for so long at most.
pub(super) fn wait_for(word: &AtomicU32, value: u32, seconds: libc::time_t) {
    let limit = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    // SAFETY: `word` is a live, aligned 32-bit word, `limit` a live timespec; the kernel only reads them.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const limit) };
}

/// Wakes the process that sleeps on `word`, if there is one.
pub(super) fn wake(word: &AtomicU32) {
    wake_up_to(word, 1);
}

/// Wakes all processes that sleep on `word`.
pub(super) fn wake_all(word: &AtomicU32) {
    wake_up_to(word, i32::MAX);
}

fn wake_up_to(word: &AtomicU32, sleepers: i32) {
    // SAFETY: `word` is a live, aligned 32-bit word; the kernel uses only its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, sleepers) };
}

/// Each side in turn wakes the other, then sleeps until it is woken.
pub(super) struct Handover<'a> {
    side: &'a Side<'a>,
    turn: u32,
}

impl<'a> Handover<'a> {
    pub(super) fn new(side: &'a Side<'a>) -> Self {
        Handover { side, turn: 0 }
    }

    fn give(&self) {
        // TURN: pairs with the Acquire in take.
        self.side.out().wake.0.store(self.turn, Release);
        wake(&self.side.out().wake.0);
    }

    fn take(&self) {
        let word = &self.side.back().wake.0;
        // TURN: pairs with the Release in give.
        while word.load(Acquire) != self.turn {
            wait(word, self.turn.wrapping_sub(1));
        }
    }
}

impl Player for Handover<'_> {
    fn round(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        if self.side.is_first() {
            self.give();
            self.take();
        } else {
            self.take();
            self.give();
        }
    }
}

/// The first side's call that wakes the second.
pub(super) struct WakeCall<'a> {
    handover: Handover<'a>,
    calls: Duration,
}

impl<'a> WakeCall<'a> {
    pub(super) fn new(side: &'a Side<'a>) -> Self {
        WakeCall { handover: Handover::new(side), calls: Duration::ZERO }
    }
}

impl Player for WakeCall<'_> {
    fn round(&mut self) {
        if !self.handover.side.is_first() {
            return self.handover.round();
        }
        poll_for(ASLEEP);
        self.handover.turn = self.handover.turn.wrapping_add(1);
        let start = Instant::now();
        self.handover.give();
        self.calls += start.elapsed();
        self.handover.take();
    }

    fn time(&mut self, rounds: u32) -> f64 {
        self.calls = Duration::ZERO;
        for _ in 0..rounds {
            self.round();
        }
        self.calls.as_nanos() as f64
    }
}

/// The first side wakes the second, which has slept for long and says when it runs: the first may still be in the call.
pub(super) struct WakeUp<'a> {
    handover: Handover<'a>,
    nanoseconds: u64,
}

impl<'a> WakeUp<'a> {
    pub(super) fn new(side: &'a Side<'a>) -> Self {
        WakeUp { handover: Handover::new(side), nanoseconds: 0 }
    }

    fn wake(&mut self) {
        let side = self.handover.side;
        poll_for(LONG_ASLEEP);
        let start = clock();
        self.handover.give();
        self.handover.take();
        let awake = side.back().cells[0].payload[0].load(Relaxed); // ordered by TURN
        self.nanoseconds += awake.saturating_sub(start);
    }

    fn wake_up(&self) {
        self.handover.take();
        self.handover.side.out().cells[0].payload[0].store(clock(), Relaxed); // ordered by TURN
        self.handover.give();
    }
}

impl Player for WakeUp<'_> {
    fn round(&mut self) {
        self.handover.turn = self.handover.turn.wrapping_add(1);
        if self.handover.side.is_first() { self.wake() } else { self.wake_up() }
    }

    fn time(&mut self, rounds: u32) -> f64 {
        self.nanoseconds = 0;
        for _ in 0..rounds {
            self.round();
        }
        self.nanoseconds as f64
    }
}

/// Nanoseconds of a clock that both processes read.
fn clock() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn poll_for(length: Duration) {
    let end = Instant::now() + length;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
