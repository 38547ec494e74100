//! From a plan to running ranks: everything that can fail before there is a job.

use super::{
    LaunchError,
    keeper::{self, Keeper},
    output::Output,
    plan::{Job, RankCount},
    program,
    spawn::{Before, Spawner, Writers},
};
use crate::{
    shm::segment::Segment,
    sys::{
        cpus,
        io::{DescriptorLimit, pipe, process_limit, raise_descriptor_limit},
        process::adopt_orphans,
        signals::Signals,
    },
    types::RANKS_MAX,
};
use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// The exit code of a job that could not be started.
const NOT_STARTED: u8 = 125;

/// Signals that end the job, and two that are only passed on.
const SIGNALS: [i32; 6] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// Descriptors of the launcher besides the ranks' pipes.
const OWN_DESCRIPTORS: u64 = 32;

/// Two pipes, two ends each.
const DESCRIPTORS_PER_RANK: u64 = 4;

/// A job that is being started by its keeper.
pub(super) struct Started {
    pub(super) segment: Arc<Segment>,
    pub(super) keeper: Keeper,
    pub(super) signals: Signals,
    pub(super) output: Output,
}

/// Starts a job.
///
/// # Errors
/// If the program can't be run, or the system's limits don't allow so many ranks.
pub(super) fn start(job: Job) -> Result<Started, LaunchError> {
    let path = program::find(&job.program)?;
    let size = rank_count(job.ranks);
    let descriptors =
        raise_descriptor_limit().map_err(|error| cannot("raise the limit of descriptors", &error))?;
    check_descriptors(size, descriptors)?;
    let segment =
        Segment::create(size).map_err(|error| LaunchError { code: NOT_STARTED, what: error.to_string() })?;
    let command = [job.program].into_iter().chain(job.arguments).collect();
    launch(segment, &path, command, descriptors).map_err(|error| cannot("start the job", &error))
}

fn launch(
    segment: Arc<Segment>,
    path: &Path,
    command: Vec<OsString>,
    descriptors: DescriptorLimit,
) -> io::Result<Started> {
    let (stdout, stderr) = own_streams()?;
    let (mut readers, writers) = pipes(segment.ranks())?;
    let (signals, mask) = Signals::take(&SIGNALS)?;
    adopt_orphans()?;
    let memfd = segment.fd().expect("a segment made by `create` has a memfd");
    let spawner = Spawner::new(path, &command, memfd, Before { mask, descriptors })?;
    let keeper = keeper::start(&segment, spawner, writers, &mut readers)?;
    Ok(Started { segment, keeper, signals, output: Output::new(readers, stdout, stderr) })
}

fn rank_count(asked: RankCount) -> usize {
    match asked {
        RankCount::Exactly(size) => size,
        RankCount::Auto => cpus::allowed().clamp(1, RANKS_MAX),
    }
}

fn check_descriptors(size: usize, DescriptorLimit { hard, .. }: DescriptorLimit) -> Result<(), LaunchError> {
    let needed = size as u64 * DESCRIPTORS_PER_RANK + OWN_DESCRIPTORS;
    if needed <= hard {
        return Ok(());
    }
    let most = hard.saturating_sub(OWN_DESCRIPTORS) / DESCRIPTORS_PER_RANK;
    let what = format!(
        "{size} ranks need {needed} file descriptors, the limit is {hard} \
         (help: start at most {most} ranks, or raise the hard limit, see `ulimit -Hn`)"
    );
    Err(LaunchError { code: NOT_STARTED, what })
}

/// Duplicates, because the standard streams themselves are never closed.
fn own_streams() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok((io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?))
}

/// Pipes for the output of `size` ranks: what the launcher reads, and what the ranks write.
fn pipes(size: usize) -> io::Result<(Vec<OwnedFd>, Vec<Writers>)> {
    let (mut readers, mut writers) = (Vec::with_capacity(2 * size), Vec::with_capacity(size));
    for _ in 0..size {
        let ((read_stdout, stdout), (read_stderr, stderr)) = (pipe()?, pipe()?);
        readers.extend([read_stdout, read_stderr]);
        writers.push(Writers { stdout, stderr });
    }
    Ok((readers, writers))
}

/// The error of a system call that the launcher can't do without.
pub(super) fn cannot(what: &str, error: &io::Error) -> LaunchError {
    LaunchError { code: NOT_STARTED, what: format!("cannot {what}: {}", program::reason(error)) }
}

/// The error of a rank that got no process.
pub(super) fn not_forked(rank: usize, error: &io::Error) -> LaunchError {
    let limit = process_limit().map_or_else(|_| "unknown".into(), |limit| limit.to_string());
    let reason = program::reason(error);
    let what = format!(
        "cannot start rank {rank}: {reason} (help: this user's limit of processes is {limit}, see `ulimit -u`)"
    );
    LaunchError { code: NOT_STARTED, what }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_is_an_error_that_says_how_many_ranks_would_do() {
        let limit = DescriptorLimit { soft: 100, hard: 100 };
        assert!(check_descriptors(17, limit).is_ok());
        let error = check_descriptors(18, limit).unwrap_err();
        assert_eq!(error.code, NOT_STARTED);
        for fact in ["18 ranks", "104", "limit is 100", "at most 17"] {
            assert!(error.what.contains(fact), "'{fact}' is missing in: {}", error.what);
        }
    }
}
