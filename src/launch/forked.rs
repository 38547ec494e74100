//! Ranks that are forked from the calling program, which waits for them: no exec, no keeper, and
//! the terminal is shared.

use super::{
    ending::{Ending, Step},
    failure::Failure,
    limits::{Descriptors, not_forked},
    ranks::Ranks,
};
use crate::{
    error::{Error, ErrorClass, Result},
    shm::segment::Segment,
    sys::{
        io::{
            DescriptorLimit, PollFd, PollFlags, descriptor_count, is_ready, poll, raise_descriptor_limit,
            set_descriptor_limit,
        },
        process::{
            Forked, Pid, PidFd, die_with_parent, finish_child, flush_output, fork, own_pid, send_by_number,
            take_ended, thread_count, wait,
        },
    },
};
use std::{os::fd::AsFd, sync::Arc, time::Instant};

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The failure that ended the job, if one did.
    pub(crate) failure: Option<Failure>,
    /// The failure's exit code, else the first that was not 0.
    pub(crate) code: u8,
}

/// Forks a process for every slot of the segment, runs `child` in it, and waits for all of them.
/// The first failure ends the others. A rank's process ends with the code that `child` returns.
///
/// # Errors
/// If this process has other threads, or the system has no room for so many processes.
pub(crate) fn run_forked(segment: &Arc<Segment>, child: impl FnOnce(usize) -> i32) -> Result<Outcome> {
    let call = "raising the limit of descriptors";
    let limit = raise_descriptor_limit().map_err(|error| Error::system(call, error))?;
    let outcome = fork_and_watch(segment, limit, child);
    // The limits from before are allowed ones.
    let _ = set_descriptor_limit(limit);
    outcome
}

/// With the soft limit of descriptors raised; `before` is for the ranks.
fn fork_and_watch(
    segment: &Arc<Segment>,
    before: DescriptorLimit,
    child: impl FnOnce(usize) -> i32,
) -> Result<Outcome> {
    refuse_threads()?;
    let in_use = descriptor_count().map_err(|error| Error::system("reading /proc/self/fd", error))?;
    let descriptors = Descriptors { per_rank: 1, besides: in_use as u64 + SPARE_DESCRIPTORS };
    descriptors.check(segment.ranks(), before).map_err(|what| Error::new(ErrorClass::OTHER, what))?;
    flush_output();
    let parent = own_pid();
    let mut family = Family { children: Vec::new() };
    for slot in 0..segment.ranks() {
        let forked = fork().map_err(|error| Error::new(ErrorClass::OTHER, not_forked(slot, &error)))?;
        match forked {
            Forked::Child => finish_child(move || {
                family.leave();
                let _ = set_descriptor_limit(before);
                if die_with_parent(parent) { child(slot) } else { 1 }
            }),
            Forked::Parent(pid) => family.add(pid)?,
        }
    }
    Supervisor::new(segment, family).watch()
}

/// For what is open only for a moment.
const SPARE_DESCRIPTORS: u64 = 4;

fn refuse_threads() -> Result<()> {
    match thread_count().map_err(|error| Error::system("reading /proc/self/task", error))? {
        1 => Ok(()),
        count => Err(Error::new(
            ErrorClass::OTHER,
            format!("this process has {count} threads: ranks can only be forked from a process with one"),
        )
        .with_help("start ranks before any thread, or run the program with mpiexec")),
    }
}

/// The forked children that have not been waited for. Dropping it leaves none.
struct Family {
    children: Vec<(Pid, PidFd)>,
}

impl Family {
    fn add(&mut self, pid: Pid) -> Result<()> {
        let pidfd = PidFd::open(pid).inspect_err(|_| kill(pid));
        self.children.push((pid, pidfd.map_err(|error| Error::system("pidfd_open", error))?));
        Ok(())
    }

    /// A child has nothing to do with its siblings.
    fn leave(mut self) {
        self.children.clear();
    }

    fn signal(&self, signal: i32) {
        for (_, pidfd) in &self.children {
            // A child that has just ended needs no signal.
            let _ = pidfd.send(signal);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for (pid, _) in self.children.drain(..) {
            kill(pid);
        }
    }
}

/// For a child that has not been waited for: its number is still its own.
fn kill(child: Pid) {
    let _ = send_by_number(child, libc::SIGKILL);
    wait(child);
}

struct Supervisor<'a> {
    segment: &'a Arc<Segment>,
    family: Family,
    ranks: Ranks,
    ending: Option<Ending>,
}

impl<'a> Supervisor<'a> {
    fn new(segment: &'a Arc<Segment>, family: Family) -> Self {
        let mut ranks = Ranks::new(segment);
        for (slot, &(pid, _)) in family.children.iter().enumerate() {
            ranks.started(slot, pid);
        }
        Self { segment, family, ranks, ending: None }
    }

    fn watch(mut self) -> Result<Outcome> {
        while !self.ranks.all_ended() {
            let now = Instant::now();
            if self.ending.is_none() && self.ranks.failure().is_some() {
                self.ending = Some(Ending::after_failure(now));
            }
            self.take_steps(now);
            self.wait(now)?;
        }
        Ok(Outcome { failure: self.ranks.failure(), code: self.ranks.exit_code() })
    }

    fn wait(&mut self, now: Instant) -> Result<()> {
        let mut fds: Vec<PollFd<'_>> = self
            .family
            .children
            .iter()
            .map(|(_, pidfd)| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN))
            .collect();
        let deadline = self.ending.and_then(|ending| ending.deadline());
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(now));
        poll(&mut fds, timeout).map_err(|error| Error::system("poll", error))?;
        let ended: Vec<bool> = fds.iter().map(is_ready).collect();
        self.note_ended(&ended);
        Ok(())
    }

    fn note_ended(&mut self, ended: &[bool]) {
        let (now, mut ended) = (Instant::now(), ended.iter());
        let ranks = &mut self.ranks;
        ranks.look();
        self.family.children.retain(|&(pid, _)| {
            let has_ended = ended.next().is_some_and(|&has_ended| has_ended);
            let status = if has_ended { take_ended(Some(pid)) } else { None };
            if let Some((pid, status)) = status {
                ranks.ended(pid, status, now);
            }
            status.is_none()
        });
    }

    fn take_steps(&mut self, now: Instant) {
        while let Some(step) = self.ending.as_mut().and_then(|ending| ending.next_due(now)) {
            match step {
                Step::Wake => self.segment.end(),
                Step::Terminate => self.family.signal(libc::SIGTERM),
                Step::Kill => self.family.signal(libc::SIGKILL),
                Step::GiveUp => {}
            }
        }
    }
}
