//! What the kernel says about a process: `/proc/PID/stat`.

use super::process::{Pid, parent_pid};
use std::fs;

/// A process, as it was a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) is_zombie: bool,
}

impl ProcessStat {
    /// None if there is no such process any more.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// All processes that this one can see.
    pub(crate) fn of_all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of).collect()
    }

    /// "pid (name) state parent …", where the name may hold anything, parentheses too.
    fn parse(stat: &[u8]) -> Option<Self> {
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let mut fields = str::from_utf8(stat.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
        let pid = str::from_utf8(stat.split(|&byte| byte == b' ').next()?).ok()?.parse().ok()?;
        let is_zombie = matches!(fields.next()?, "Z" | "X");
        Some(Self { pid, parent: fields.next()?.parse().ok()?, is_zombie })
    }
}

/// Whether this process descends from `pid`.
pub(crate) fn is_ancestor(pid: Pid) -> bool {
    let parent = |of: &Pid| Some(ProcessStat::of(*of)?.parent).filter(|parent| *parent > 0);
    std::iter::successors(Some(parent_pid()), parent).any(|ancestor| ancestor == pid)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::process::own_pid;

    #[test]
    fn a_name_with_anything_in_it_does_not_confuse_the_fields() {
        let child = ProcessStat { pid: 4711, parent: 42, is_zombie: false };
        assert_eq!(ProcessStat::parse(b"4711 (a) S 1 (b) S 42 4711 1 0 -1"), Some(child));
        assert_eq!(ProcessStat::parse(b"4711 (\xff\xfe) R 42 4711"), Some(child));
        assert!(ProcessStat::parse(b"17 (sh) Z 3 17").unwrap().is_zombie);
        assert_eq!(ProcessStat::parse(b"garbage"), None);
    }

    #[test]
    fn this_process_has_the_parent_that_the_system_says() {
        let own = ProcessStat::of(own_pid()).unwrap();
        assert_eq!((own.parent, own.is_zombie), (parent_pid(), false));
        assert!(is_ancestor(parent_pid()) && !is_ancestor(own_pid()));
        assert!(ProcessStat::of_all().contains(&own));
    }
}
