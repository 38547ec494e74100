//! What the end of a process means for its job.

use crate::{
    shm::slot::{Abort, AbortReason, RankState},
    sys::{process::Pid, signals},
};
use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

/// The failure that ended a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) rank: usize,
    pub(crate) pid: Pid,
    pub(crate) cause: Cause,
}

/// Why a rank counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Killed {
        signal: i32,
        dumped_core: bool,
    },
    /// It ended the job by itself.
    Aborted(Abort),
    /// It left between init and finalize.
    NotFinalized {
        code: i32,
    },
    /// It finalized, then failed.
    Exited {
        code: i32,
    },
    /// It failed before init, and the others wait for it.
    NeverInitialised {
        code: i32,
    },
    /// It ended before finalize behind another process, which got its status.
    Vanished {
        code: i32,
    },
}

/// What follows from a process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Fine,
    /// No MPI program, so no failure of the job; but its exit code counts.
    Counts(u8),
    Fails(Cause),
}

/// Judges the status of a process whose slot says `state`.
pub(super) fn judge(status: ExitStatus, state: RankState, abort: Abort) -> Judgement {
    let code = status.code().unwrap_or(0);
    match (state, status.signal()) {
        (RankState::Aborted, _) => Judgement::Fails(Cause::Aborted(abort)),
        (_, Some(signal)) => Judgement::Fails(Cause::Killed { signal, dumped_core: status.core_dumped() }),
        (_, None) if state.is_in_mpi() => Judgement::Fails(Cause::NotFinalized { code }),
        (_, None) if code == 0 => Judgement::Fine,
        (RankState::Finalized, None) => Judgement::Fails(Cause::Exited { code }),
        (_, None) => Judgement::Counts(exit_byte(code)),
    }
}

/// The part of a code that a parent sees; never 0, because it means a failure.
fn exit_byte(code: i32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or(1).max(1)
}

impl Failure {
    /// The exit code of the job: 128 + signal, or the rank's own unless that is 0.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.cause {
            Cause::Killed { signal, .. } => exit_byte(128 + signal),
            Cause::Aborted(Abort { code, .. })
            | Cause::NotFinalized { code }
            | Cause::Exited { code }
            | Cause::NeverInitialised { code }
            | Cause::Vanished { code } => exit_byte(code),
        }
    }

    fn help(&self) -> Option<&'static str> {
        match self.cause {
            Cause::Killed { signal: libc::SIGKILL, .. } => {
                Some("if nobody killed it, memory may have run out: see `dmesg`")
            }
            Cause::NotFinalized { code: 0 } => Some("call MPI_Finalize before leaving"),
            Cause::Vanished { .. } => Some("run the program without a shell around it to see its status"),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} (pid {}) {}; the job has been ended", self.rank, self.pid, self.cause)?;
        self.help().map_or(Ok(()), |help| write!(f, " (help: {help})"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed { signal, dumped_core } => {
                write!(f, "was killed by signal {signal}")?;
                signals::name(*signal).map_or(Ok(()), |name| write!(f, " ({name})"))?;
                f.write_str(if *dumped_core { ", core dumped" } else { "" })
            }
            Self::Aborted(Abort { code, reason }) => match reason {
                AbortReason::Call => write!(f, "aborted the job with code {code}"),
                AbortReason::Error => f.write_str("returned an error"),
                AbortReason::Panic => f.write_str("panicked"),
            },
            Self::NotFinalized { code } => write!(f, "exited with code {code} without calling MPI_Finalize"),
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::NeverInitialised { code } => {
                write!(f, "exited with code {code} without calling MPI_Init, which other ranks have called")
            }
            Self::Vanished { .. } => {
                f.write_str("ended without calling MPI_Finalize, its parent process got its exit status")
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Of a rank that has not ended the job.
    const NONE: Abort = Abort { code: 0, reason: AbortReason::Call };

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn code_of(judgement: Judgement) -> u8 {
        match judgement {
            Judgement::Fine => 0,
            Judgement::Counts(code) => code,
            Judgement::Fails(cause) => Failure { rank: 0, pid: 1, cause }.exit_code(),
        }
    }

    #[test]
    fn leaving_between_init_and_finalize_is_a_failure_whatever_the_code() {
        for state in [RankState::Attached, RankState::Running, RankState::Settling, RankState::Leaving] {
            assert_eq!(judge(exited(0), state, NONE), Judgement::Fails(Cause::NotFinalized { code: 0 }));
            assert_eq!(code_of(judge(exited(0), state, NONE)), 1);
            assert_eq!(code_of(judge(exited(7), state, NONE)), 7);
        }
    }

    #[test]
    fn a_program_without_mpi_never_fails_by_its_code_and_the_code_counts() {
        assert_eq!(judge(exited(0), RankState::Free, NONE), Judgement::Fine);
        assert_eq!(judge(exited(3), RankState::Free, NONE), Judgement::Counts(3));
    }

    #[test]
    fn after_finalize_only_a_code_of_0_is_fine() {
        assert_eq!(judge(exited(0), RankState::Finalized, NONE), Judgement::Fine);
        assert_eq!(judge(exited(9), RankState::Finalized, NONE), Judgement::Fails(Cause::Exited { code: 9 }));
    }

    #[test]
    fn a_signal_is_128_more_whatever_the_rank_had_done() {
        for state in [RankState::Free, RankState::Running, RankState::Finalized] {
            assert_eq!(code_of(judge(ExitStatus::from_raw(libc::SIGSEGV), state, NONE)), 139);
        }
    }

    #[test]
    fn an_abort_gives_its_own_code_and_never_0() {
        for (given, seen) in [(42, 42), (256, 1), (0, 1)] {
            let abort = Abort { code: given, reason: AbortReason::Call };
            assert_eq!(code_of(judge(exited(1), RankState::Aborted, abort)), seen);
        }
    }

    #[test]
    fn a_report_says_in_which_way_a_rank_has_ended_the_job() {
        let report = |reason| {
            let cause = Cause::Aborted(Abort { code: 42, reason });
            Failure { rank: 1, pid: 7, cause }.to_string()
        };
        for (reason, fact) in [
            (AbortReason::Call, "rank 1 (pid 7) aborted the job with code 42;"),
            (AbortReason::Error, "rank 1 (pid 7) returned an error;"),
            (AbortReason::Panic, "rank 1 (pid 7) panicked;"),
        ] {
            assert!(report(reason).starts_with(fact), "{}", report(reason));
        }
    }

    #[test]
    fn the_report_names_rank_process_and_signal_in_one_line() {
        let cause = Cause::Killed { signal: 9, dumped_core: false };
        let line = Failure { rank: 2, pid: 4711, cause }.to_string();
        assert!(
            line.starts_with("rank 2 (pid 4711) was killed by signal 9 (SIGKILL); the job has been ended")
        );
        assert!(!line.contains('\n'));
    }
}
