//! Many processes that wait for each other by a futex, on all CPUs that they may use.

use std::io;
use std::mem::size_of;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use super::futex;
use super::memory::{Mapping, Padded};
use super::pair::{ExitOnUnwind, end_with};
use super::stats::{MAX_BATCHES, Per, Stats};

/// Barriers of a brief trial.
const TRIAL: u32 = 64;

/// After so many seconds of sleep the first process looks whether the others live.
const LOOK: libc::time_t = 1;

/// What the processes share. All zero is its first state.
#[repr(C)]
struct Hall {
    /// Batches that the first process has begun; a futex on which the others sleep in between.
    begun: Padded<AtomicU32>,
    /// Barriers of the batch. Written by the first process before it begins one.
    rounds: Padded<AtomicU32>,
    /// Processes that have come to the barrier.
    arrived: Padded<AtomicU32>,
    /// Barriers that are over; a futex on which those sleep who have come to the next.
    generation: Padded<AtomicU32>,
}

/// The first process's hold on all. Dropping it ends the others.
pub(crate) struct Crowd {
    memory: Mapping,
    children: Vec<libc::pid_t>,
    budget: Duration,
}

impl Crowd {
    /// Forks all processes but the first, which is this one. Each figure is measured for about `budget`.
    ///
    /// # Errors
    ///
    /// If there is no memory or no process to be had.
    pub(crate) fn start(processes: usize, budget: Duration) -> io::Result<Crowd> {
        let memory = Mapping::shared(size_of::<Hall>())?;
        let mut crowd = Crowd { memory, children: Vec::with_capacity(processes), budget };
        // SAFETY: takes no argument and cannot fail.
        let parent = unsafe { libc::getpid() };
        for _ in 1..processes {
            // SAFETY: the child calls only `follow`, which makes system calls and touches the memory mapped above: nothing
            // there takes a lock that another thread of this process could have held.
            match unsafe { libc::fork() } {
                -1 => return Err(io::Error::last_os_error()),
                0 => follow(crowd.hall(), parent, processes as u32),
                child => crowd.children.push(child),
            }
        }
        Ok(crowd)
    }

    /// A barrier of all: a count of those who have come, and a futex word, changed by the last of them, on which the others
    /// sleep.
    ///
    /// # Panics
    ///
    /// If another process has ended.
    pub(crate) fn barrier(&mut self) -> Stats {
        let round = self.batch(TRIAL).max(1.0);
        let rounds = self.budget.as_nanos() as f64 / MAX_BATCHES as f64 / round;
        let mut samples = [0.0; MAX_BATCHES];
        for sample in &mut samples {
            *sample = self.batch((rounds as u32).max(1));
        }
        Stats::of(&mut samples, Per::Call, 0)
    }

    /// Nanoseconds of a barrier. All meet once before the clock counts.
    fn batch(&mut self, rounds: u32) -> f64 {
        let hall = self.hall();
        hall.rounds.0.store(rounds, Relaxed); // ordered by BEGUN
        // BEGUN: pairs with the Acquire in follow.
        hall.begun.0.fetch_add(1, Release);
        futex::wake_all(&hall.begun.0);
        let barrier = || hall.barrier(self.processes(), || self.look());
        barrier();
        let start = Instant::now();
        (0..rounds).for_each(|_| barrier());
        start.elapsed().as_nanos() as f64 / f64::from(rounds)
    }

    fn processes(&self) -> u32 {
        self.children.len() as u32 + 1
    }

    fn look(&self) {
        for &child in &self.children {
            let mut state = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            // SAFETY: `child` is this process's own child and not reaped; the kernel writes one live siginfo.
            unsafe { libc::waitid(libc::P_PID, child as libc::id_t, state.as_mut_ptr(), options) };
            // SAFETY: zeroed, which is valid, or written by the kernel.
            let state = unsafe { state.assume_init() };
            assert_eq!(
                state.si_signo, 0,
                "process {child} of the bare machine ended in the middle of a measurement"
            );
        }
    }

    fn hall(&self) -> &Hall {
        // SAFETY: the mapping is large enough, page-aligned, zero (a valid Hall) when made, and lives as long as self; every field
        // is atomic.
        unsafe { &*self.memory.base().cast::<Hall>() }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for &child in &self.children {
            // SAFETY: `child` is this process's own child and not reaped yet, so the id is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: as above; no status is asked for.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
    }
}

impl Hall {
    fn barrier(&self, processes: u32, look: impl Fn()) {
        let generation = self.generation.0.load(Relaxed); // cannot change before this process has come
        // ARRIVED: each pairs with all before it; the last has seen all.
        if self.arrived.0.fetch_add(1, AcqRel) + 1 == processes {
            self.arrived.0.store(0, Relaxed); // ordered by GENERATION
            // GENERATION: pairs with the Acquire below.
            self.generation.0.store(generation.wrapping_add(1), Release);
            return futex::wake_all(&self.generation.0);
        }
        // GENERATION: pairs with the Release above.
        while self.generation.0.load(Acquire) == generation {
            futex::wait_for(&self.generation.0, generation, LOOK);
            if self.generation.0.load(Relaxed) == generation {
                look();
            }
        }
    }
}

/// Another process: takes part in each batch, and sleeps in between.
fn follow(hall: &Hall, parent: libc::pid_t, processes: u32) -> ! {
    let _exit = ExitOnUnwind;
    end_with(parent);
    for batch in (1..=u32::MAX).chain(0..=0).cycle() {
        // BEGUN: pairs with the Release in batch.
        while hall.begun.0.load(Acquire) != batch {
            futex::wait(&hall.begun.0, batch.wrapping_sub(1));
        }
        let rounds = hall.rounds.0.load(Relaxed); // ordered by BEGUN
        (0..=rounds).for_each(|_| hall.barrier(processes, || ()));
    }
    unreachable!("an endless cycle")
}
