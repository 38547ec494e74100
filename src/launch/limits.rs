//! Limits of the system that a job may run into, and what is said then.

use super::program;
use crate::sys::io::{DescriptorLimit, process_limit};
use std::io;

/// How many descriptors a job takes in the process that starts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptors {
    pub(super) per_rank: u64,
    pub(super) besides: u64,
}

impl Descriptors {
    fn of(self, ranks: u64) -> u64 {
        ranks * self.per_rank + self.besides
    }

    /// Whether the hard limit, to which the soft one is raised, allows so many; else what to tell the user.
    pub(super) fn check(
        self,
        ranks: usize,
        DescriptorLimit { hard, .. }: DescriptorLimit,
    ) -> Result<(), String> {
        let needed = self.of(ranks as u64);
        if needed <= hard {
            return Ok(());
        }
        let instead = match hard.saturating_sub(self.besides) / self.per_rank {
            0 => format!("one rank alone needs {}:", self.of(1)),
            most => format!("start at most {most} ranks, or"),
        };
        let s = if ranks == 1 { "" } else { "s" };
        Err(format!(
            "{ranks} rank{s} need{} {needed} file descriptors, the limit is {hard} \
             (help: {instead} raise the hard limit, see `ulimit -Hn`)",
            if ranks == 1 { "s" } else { "" }
        ))
    }
}

/// What to tell the user if a rank got no process.
pub(super) fn not_forked(rank: usize, error: &io::Error) -> String {
    let what = format!("cannot start rank {rank}: {}", program::reason(error));
    if error.raw_os_error() != Some(libc::EAGAIN) {
        return what;
    }
    let limit = process_limit().map_or_else(|_| "unknown".into(), |limit| limit.to_string());
    format!("{what} (help: this user's limit of processes is {limit}, see `ulimit -u`)")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LAUNCHER: Descriptors = Descriptors { per_rank: 4, besides: 32 };

    fn refusal(ranks: usize, hard: u64) -> String {
        LAUNCHER.check(ranks, DescriptorLimit { soft: 10, hard }).unwrap_err()
    }

    #[test]
    fn too_few_descriptors_is_an_error_that_says_how_many_ranks_would_do() {
        assert_eq!(LAUNCHER.check(17, DescriptorLimit { soft: 10, hard: 100 }), Ok(()));
        let error = refusal(18, 100);
        for fact in ["18 ranks need 104", "limit is 100", "at most 17 ranks", "ulimit -Hn"] {
            assert!(error.contains(fact), "'{fact}' is missing in: {error}");
        }
    }

    #[test]
    fn too_few_descriptors_for_any_rank_is_an_error_that_says_what_one_needs() {
        for (ranks, fact) in [(2, "2 ranks need 40"), (1, "1 rank needs 36")] {
            for hard in [0, 20, 35] {
                let error = refusal(ranks, hard);
                for fact in [fact, &format!("limit is {hard}"), "one rank alone needs 36", "ulimit -Hn"] {
                    assert!(error.contains(fact), "'{fact}' is missing in: {error}");
                }
                assert!(!error.contains("at most"), "{error}");
            }
        }
    }

    #[test]
    fn only_a_limit_of_processes_is_called_one() {
        let report = |errno| not_forked(3, &io::Error::from_raw_os_error(errno));
        assert!(report(libc::EAGAIN).contains("ulimit -u"), "{}", report(libc::EAGAIN));
        assert_eq!(report(libc::ENOMEM), "cannot start rank 3: Cannot allocate memory");
    }
}
