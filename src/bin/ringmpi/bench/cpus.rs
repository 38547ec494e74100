//! Which CPU a rank runs on.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// How many CPUs this process may use, one at least.
pub(super) fn count() -> usize {
    let allowed = sched_getaffinity(Pid::from_raw(0));
    let is_allowed =
        |set: &CpuSet| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).count();
    allowed.as_ref().map_or(1, is_allowed).max(1)
}

/// Moves this process to the CPU of that index among those that it may use, as the bare machine does with its two
/// sides. Without so many it stays where it is: the report says so.
pub(super) fn pin(index: usize) {
    let this = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(this) else { return };
    let nth = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).nth(index);
    let Some(cpu) = nth else { return };
    let mut only = CpuSet::new();
    // A refusal only leaves the process to the scheduler.
    let _ = only.set(cpu).and_then(|()| sched_setaffinity(this, &only));
}
