//! How many CPUs this process may use: affinity ∩ cgroup quota.

use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};
use std::path::{Path, PathBuf};

/// Words of a set of CPUs.
pub(crate) const CPU_SET_WORDS: usize = CpuSet::count() / 64;

/// A set of CPUs: bit b of word w is CPU 64 w + b.
pub(crate) type CpuSetWords = [u64; CPU_SET_WORDS];

/// The number of CPUs that this process may keep busy at once, at least 1.
pub(crate) fn allowed() -> usize {
    let affinity = affinity().iter().map(|word| word.count_ones() as usize).sum();
    quota().map_or(affinity, |quota| quota.min(affinity)).max(1)
}

/// The CPUs that this thread may run on; just one, the first, if the system does not say.
pub(crate) fn affinity() -> CpuSetWords {
    let mut words = CpuSetWords::default();
    match sched_getaffinity(Pid::from_raw(0)) {
        Ok(set) => {
            let is_set = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
            (0..CpuSet::count()).filter(is_set).for_each(|cpu| words[cpu / 64] |= 1 << (cpu % 64));
        }
        Err(_) => words[0] = 1,
    }
    words
}

/// The tightest `cpu.max` (cgroup 2) or `cpu.cfs_quota_us` (cgroup 1) on the way to the root.
fn quota() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().filter_map(|line| quota_of_line(line, Path::new("/sys/fs/cgroup"))).min()
}

fn quota_of_line(line: &str, mount: &Path) -> Option<usize> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let path = path.trim_start_matches('/');
    match controllers {
        "" => ancestors(mount, path).filter_map(|dir| cpu_max(&dir)).min(),
        _ if controllers.split(',').any(|c| c == "cpu") => {
            ancestors(&mount.join("cpu"), path).filter_map(|dir| cfs_quota(&dir)).min()
        }
        _ => None,
    }
}

fn ancestors(mount: &Path, path: &str) -> impl Iterator<Item = PathBuf> {
    let leaf = mount.join(path);
    let depth = Path::new(path).components().count() + 1;
    (0..depth).scan(leaf, |dir, _| {
        let here = dir.clone();
        dir.pop();
        Some(here)
    })
}

fn cpu_max(dir: &Path) -> Option<usize> {
    parse_cpu_max(&std::fs::read_to_string(dir.join("cpu.max")).ok()?)
}

fn cfs_quota(dir: &Path) -> Option<usize> {
    let read = |file| std::fs::read_to_string(dir.join(file)).ok();
    parse_cpu_max(&format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim()))
}

/// `"150000 100000"` is 1.5 CPUs, rounded up; `"max 100000"` and `"-1 100000"` are no limit.
fn parse_cpu_max(text: &str) -> Option<usize> {
    let mut words = text.split_whitespace();
    let quota: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok().filter(|&period| period > 0)?;
    Some(quota.div_ceil(period).max(1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_quota_rounds_up_and_max_is_no_limit() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(2));
        assert_eq!(parse_cpu_max("1000 100000"), Some(1));
        assert_eq!(parse_cpu_max("max 100000"), None);
        assert_eq!(parse_cpu_max("-1 100000"), None);
        assert_eq!(parse_cpu_max("100000 0"), None);
        assert_eq!(parse_cpu_max(""), None);
    }

    #[test]
    fn a_parents_quota_binds_the_child() {
        let mount = std::env::temp_dir().join(format!("ringmpi-cpus-{}", std::process::id()));
        std::fs::create_dir_all(mount.join("a/b")).unwrap();
        std::fs::write(mount.join("a/cpu.max"), "200000 100000").unwrap();
        std::fs::write(mount.join("a/b/cpu.max"), "max 100000").unwrap();
        let quota = quota_of_line("0::/a/b", &mount);
        std::fs::remove_dir_all(&mount).unwrap();
        assert_eq!(quota, Some(2));
    }

    #[test]
    fn at_least_one_cpu_is_allowed() {
        assert!(allowed() >= 1);
        assert_ne!(affinity(), CpuSetWords::default());
    }
}
