//! Criterion benches and the bare machine; see docs/PERFORMANCE.md.

/// Moves this thread to that CPU, if it may run there; threads that it starts later stay there too. Two threads that
/// poll must not share a CPU.
pub fn pin(cpu: usize) {
    // SAFETY: a set of bits; all zero is the empty set.
    let mut only: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a live set; a CPU beyond its end is ignored.
    unsafe { libc::CPU_SET(cpu % libc::CPU_SETSIZE as usize, &mut only) };
    // SAFETY: the kernel reads a live set of the size given. A refusal leaves the thread where it is.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &only) };
}
