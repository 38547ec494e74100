//! What this process has used: CPU time, sleeps, memory.

use nix::sys::resource::{UsageWho, getrusage};
use std::{io, time::Duration};

/// CPU time so far, of all threads, in the program and in the kernel.
pub(super) fn cpu_time() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// How often this process has given its CPU away to wait.
pub(super) fn sleeps() -> io::Result<u64> {
    Ok(getrusage(UsageWho::RUSAGE_SELF)?.voluntary_context_switches().unsigned_abs())
}

/// Bytes of all pages of this process that are present, also of those that others share.
pub(super) fn memory() -> io::Result<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("/proc/self/smaps_rollup has no Rss"))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_is_counted() {
        let before = memory().unwrap();
        // More than other tests of this process may free meanwhile.
        let pages = std::hint::black_box(vec![1u8; 256 << 20]);
        let after = memory().unwrap();
        assert!(after > before, "{before} bytes, then {after}");
        drop(pages);
    }

    #[test]
    fn a_sleep_is_counted() {
        let before = sleeps().unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert!(sleeps().unwrap() > before);
    }
}
