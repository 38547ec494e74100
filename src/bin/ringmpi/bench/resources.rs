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

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// All pages that are mapped and present.
    pub(super) resident: u64,
    /// The same, where a page that n processes share counts 1/n.
    pub(super) proportional: u64,
}

pub(super) fn memory() -> io::Result<Memory> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let field = |name: &str| {
        let number = rollup.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let missing = || io::Error::other(format!("/proc/self/smaps_rollup has no number for {name}"));
        number.and_then(|number| number.parse::<u64>().ok()).map(|kib| kib << 10).ok_or_else(missing)
    };
    Ok(Memory { resident: field("Rss:")?, proportional: field("Pss:")? })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_is_counted() {
        let before = memory().unwrap();
        let pages = std::hint::black_box(vec![1u8; 32 << 20]);
        let after = memory().unwrap();
        assert!(after.resident > before.resident && after.proportional > before.proportional);
        assert!(after.proportional <= after.resident);
        drop(pages);
    }

    #[test]
    fn a_sleep_is_counted() {
        let before = sleeps().unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert!(sleeps().unwrap() > before);
    }
}
