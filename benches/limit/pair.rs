//! Two processes, each on its own CPU: the second does what the first commands.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::futex;
use super::memory::{Control, Memory, Way};
use super::play::{self, Job, Samples, Schedule, Side, Task};
use super::spin::Spin;

/// The first side's hold on both. Dropping it ends the partner.
pub(super) struct Pair {
    memory: Memory,
    spin: Spin,
    child: libc::pid_t,
    /// One CPU for each side, unless only one is allowed.
    cpus: Option<[libc::cpu_set_t; 2]>,
    commands: u32,
}

impl Pair {
    /// Forks the partner. Each of the two gets one of the first two CPUs that this process may use, if it may use two.
    pub(super) fn start() -> io::Result<Pair> {
        let memory = Memory::new()?;
        let cpus = first_two(&affinity()?);
        // SAFETY: takes no argument and cannot fail.
        let parent = unsafe { libc::getpid() };
        // SAFETY: the child calls only `partner`, which makes system calls and touches memory mapped above: nothing
        // there takes a lock that another thread of this process could have held.
        let child = unsafe { libc::fork() };
        match child {
            -1 => Err(io::Error::last_os_error()),
            0 => partner(&memory, parent, cpus),
            _ => {
                let spin = Spin::new(cpus.is_none(), Some(child));
                Ok(Pair { memory, spin, child, cpus, commands: 0 })
            }
        }
    }

    /// Whether both processes have to share one CPU.
    pub(super) fn shares_a_cpu(&self) -> bool {
        self.cpus.is_none()
    }

    /// Whether the kernel lets each side read the other's private memory.
    pub(super) fn kernel_copies(&mut self) -> bool {
        self.play(Task { job: Job::Probe, schedule: Schedule { warm_up: 1, batches: 1, rounds: 1 } });
        // Ordered by DONE in `play`.
        self.memory.control().refused.0.load(Relaxed) == 0
    }

    /// Has both sides play `task`; returns what the first side's clock said.
    ///
    /// # Panics
    ///
    /// If the partner ended, or a payload arrived wrong.
    pub(super) fn play(&mut self, task: Task) -> Samples {
        self.command(task);
        let _pinned = self.cpus.as_ref().and_then(|[first, _]| Pinned::to(first));
        let side = Side { index: 0, memory: &self.memory, spin: &self.spin, partner: self.child };
        let samples = play::play(&side, task);
        let control = self.memory.control();
        // DONE: pairs with the Release in partner.
        self.spin.until(|| control.done.0.load(Acquire) == self.commands);
        let wrong = control.wrong.0.load(Relaxed);
        assert_eq!(wrong, 0, "the bare machine received wrong payloads in {task:?}");
        samples
    }

    fn command(&mut self, task: Task) {
        let control = self.memory.control();
        for way in &control.ways {
            reset(way);
        }
        // SAFETY: the partner reads the task only after the next COMMAND, and is done with the last (DONE).
        unsafe { control.task.0.get().write(MaybeUninit::new(task)) };
        self.commands = self.commands.wrapping_add(1);
        // COMMAND: pairs with the Acquire in partner.
        control.commanded.0.store(self.commands, Release);
        futex::wake(&control.commanded.0);
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.spin.end();
    }
}

/// Makes `way` as new; ordered before the partner's use by COMMAND.
fn reset(way: &Way) {
    for cell in &way.cells {
        cell.sequence.store(0, Relaxed);
    }
    for word in [&way.head, &way.written, &way.begun, &way.acknowledged, &way.met] {
        word.0.store(0, Relaxed);
    }
    way.wake.0.store(0, Relaxed);
}

/// The second process: plays each task commanded, and sleeps in between.
fn partner(memory: &Memory, parent: libc::pid_t, cpus: Option<[libc::cpu_set_t; 2]>) -> ! {
    let _exit = ExitOnUnwind;
    end_with(parent);
    if let Some([_, second]) = &cpus {
        set_affinity(second);
    }
    let spin = Spin::new(cpus.is_none(), None);
    let side = Side { index: 1, memory, spin: &spin, partner: parent };
    let control = memory.control();
    for command in (1..=u32::MAX).chain(0..=0).cycle() {
        // COMMAND: pairs with the Release in command.
        while control.commanded.0.load(Acquire) != command {
            futex::wait(&control.commanded.0, command.wrapping_sub(1));
        }
        play::play(&side, task_of(control));
        // DONE: pairs with the Acquire in play.
        control.done.0.store(command, Release);
    }
    unreachable!("an endless cycle")
}

fn task_of(control: &Control) -> Task {
    // SAFETY: written before COMMAND, and not again before DONE.
    let task = unsafe { control.task.0.get().read() };
    // SAFETY: as above: it has been written, by a process of the same binary.
    unsafe { task.assume_init() }
}

/// Has the kernel end this process when the thread that forked it ends.
pub(super) fn end_with(parent: libc::pid_t) {
    // SAFETY: sets an attribute of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: takes no argument and cannot fail.
    if unsafe { libc::getppid() } != parent {
        // SAFETY: ends this process, whose parent ended before it could ask to be told.
        unsafe { libc::_exit(1) };
    }
}

/// Keeps a panic of the partner from unwinding into a copy of its parent's stack.
pub(super) struct ExitOnUnwind;

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        // SAFETY: ends this process at once, without running the parent's exit functions.
        unsafe { libc::_exit(101) };
    }
}

fn affinity() -> io::Result<libc::cpu_set_t> {
    let mut allowed = no_cpu();
    // SAFETY: the kernel writes at most the size given into a live set.
    let status = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) };
    if status == 0 { Ok(allowed) } else { Err(io::Error::last_os_error()) }
}

/// Moves this thread to `set`. A refusal (the allowed CPUs have changed meanwhile) leaves it where it is.
fn set_affinity(set: &libc::cpu_set_t) {
    // SAFETY: the kernel reads a live set of the size given.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) };
}

/// Sets of the first and of the second CPU of `allowed`; None if there is only one.
fn first_two(allowed: &libc::cpu_set_t) -> Option<[libc::cpu_set_t; 2]> {
    // SAFETY: the index is below CPU_SETSIZE.
    let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, allowed) };
    let mut cpus = (0..libc::CPU_SETSIZE as usize).filter(is_allowed);
    Some([only(cpus.next()?), only(cpus.next()?)])
}

fn no_cpu() -> libc::cpu_set_t {
    // SAFETY: a set of bits; all zero is the empty set.
    unsafe { std::mem::zeroed() }
}

fn only(cpu: usize) -> libc::cpu_set_t {
    let mut set = no_cpu();
    // SAFETY: `cpu` is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    set
}

/// This thread on one CPU, until dropped: the caller's own work is not to be confined.
struct Pinned {
    before: libc::cpu_set_t,
}

impl Pinned {
    fn to(cpu: &libc::cpu_set_t) -> Option<Pinned> {
        let before = affinity().ok()?;
        set_affinity(cpu);
        Some(Pinned { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        set_affinity(&self.before);
    }
}
