//! From a plan to running ranks: everything that can fail before there is a job.

use super::{
    LaunchError,
    keeper::{self, Keeper},
    limits::Descriptors,
    output::Output,
    plan::{Job, RankCount},
    program,
    spawn::{Before, Spawner, Writers},
};
use crate::{
    shm::segment::Segment,
    sys::{
        cpus,
        io::{DescriptorLimit, pipe, raise_descriptor_limit},
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

/// Two pipes for a rank, two ends each.
const DESCRIPTORS: Descriptors = Descriptors { per_rank: 4, besides: 32 };

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
    DESCRIPTORS.check(size, descriptors).map_err(not_started)?;
    let segment = Segment::create(size).map_err(|error| not_started(error.to_string()))?;
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

/// The error of a job that could not be started.
pub(super) fn not_started(what: String) -> LaunchError {
    LaunchError { code: NOT_STARTED, what }
}

/// The error of a system call that the launcher can't do without.
pub(super) fn cannot(what: &str, error: &io::Error) -> LaunchError {
    not_started(format!("cannot {what}: {}", program::reason(error)))
}
