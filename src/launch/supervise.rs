//! The launcher's loop: it starts a job, forwards its output, and ends it when something fails.

use super::{
    LaunchError, descendants,
    ending::{Ending, Step},
    failure::Failure,
    keeper::Keeper,
    limits::not_forked,
    link::{Closed, Link, Order, Report},
    output::{Broken, Output},
    plan::Job,
    program,
    ranks::Ranks,
    start::{Started, cannot, not_started, start},
};
use crate::{
    shm::segment::Segment,
    sys::{
        io::{PollFd, PollFlags, is_ready, poll},
        process::{self, Pid, PidFd},
        signals::{Arrived, Signals},
    },
};
use std::{
    ffi::OsString,
    io,
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

/// How soon, and at last how rarely, the slots are looked at for claims by processes behind shells.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const RAREST_LOOK: Duration = Duration::from_millis(320);

/// Why a job ended before its ranks did by themselves.
#[derive(Debug)]
enum Cause {
    Failed(Failure),
    Signalled(i32),
    OutputBroken(Broken),
    KeeperDied,
    NotStarted(LaunchError),
}

/// Runs a job to its end; returns the exit code, and a line for the user if something went wrong.
pub(super) fn run(job: Job) -> Result<u8, LaunchError> {
    let program = job.program.clone();
    let mut supervisor = Supervisor::new(program, start(job)?);
    supervisor.watch()?;
    supervisor.clear_up();
    supervisor.forward_rest()?;
    supervisor.verdict()
}

struct Supervisor {
    program: OsString,
    segment: Arc<Segment>,
    keeper: Keeper,
    signals: Signals,
    ranks: Ranks,
    output: Output,
    /// Claimants that are not the processes started, by rank.
    claimants: Vec<(usize, PidFd)>,
    cause: Option<Cause>,
    ending: Option<Ending>,
    next_look: Instant,
    look_interval: Duration,
    has_given_up: bool,
}

impl Supervisor {
    fn new(program: OsString, started: Started) -> Self {
        let Started { segment, keeper, signals, output } = started;
        Self {
            program,
            ranks: Ranks::new(&segment),
            segment,
            keeper,
            signals,
            output,
            claimants: Vec::new(),
            cause: None,
            ending: None,
            next_look: Instant::now() + FIRST_LOOK,
            look_interval: FIRST_LOOK,
            has_given_up: false,
        }
    }

    /// Until all ranks have ended, or what can end them has been done.
    fn watch(&mut self) -> Result<(), LaunchError> {
        loop {
            let now = Instant::now();
            self.look_if_due(now);
            self.ranks.judge_overdue(now);
            self.end_if_failed(now);
            self.take_steps(now);
            if self.ranks.all_ended() || self.has_given_up || matches!(self.cause, Some(Cause::KeeperDied)) {
                return Ok(());
            }
            self.wait_and_serve(now)?;
        }
    }

    fn wait_and_serve(&mut self, now: Instant) -> Result<(), LaunchError> {
        let ready = self.wait(now)?;
        let now = Instant::now();
        let (own, ready) = ready.split_at(2);
        let (claimants, outputs) = ready.split_at(self.claimants.len());
        self.note_ended_claimants(claimants, now);
        if own[1] {
            self.hear_keeper(now);
        }
        self.forward(outputs, now);
        if own[0] {
            self.take_signals(now);
        }
        Ok(())
    }

    /// Waits for signals, the keeper, claimants and output; says which are ready, in that order.
    fn wait(&self, now: Instant) -> Result<Vec<bool>, LaunchError> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), poll_of(&self.keeper.link)];
        let claimants = self.claimants.iter();
        fds.extend(claimants.map(|(_, pidfd)| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.output.interests());
        let timeout = self.deadline().map(|deadline| deadline.saturating_duration_since(now));
        poll(&mut fds, timeout).map_err(|error| cannot("poll", &error))?;
        Ok(fds.iter().map(is_ready).collect())
    }

    fn deadline(&self) -> Option<Instant> {
        let look = self.ranks.may_claim().then_some(self.next_look);
        let ending = self.ending.and_then(|ending| ending.deadline());
        [look, ending, self.ranks.deadline(), self.output.deadline()].into_iter().flatten().min()
    }

    fn look_if_due(&mut self, now: Instant) {
        if now >= self.next_look && self.ranks.may_claim() {
            self.look(now);
            self.look_interval = (self.look_interval * 2).min(RAREST_LOOK);
            self.next_look = now + self.look_interval;
        }
    }

    /// Looks at the slots, and watches the processes that have claimed one behind a shell.
    fn look(&mut self, now: Instant) {
        for (rank, pid) in self.ranks.look() {
            match PidFd::open(pid) {
                Ok(pidfd) => self.claimants.push((rank, pidfd)),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                    self.ranks.claimant_ended(rank, now);
                }
                Err(_) => self.ranks.cannot_watch(rank),
            }
        }
    }

    fn note_ended_claimants(&mut self, ended: &[bool], now: Instant) {
        let mut ended = ended.iter();
        let ranks = &mut self.ranks;
        self.claimants.retain(|&(rank, _)| {
            let has_ended = ended.next().is_some_and(|&has_ended| has_ended);
            if has_ended {
                ranks.claimant_ended(rank, now);
            }
            !has_ended
        });
    }

    fn hear_keeper(&mut self, now: Instant) {
        // What it has said before it died is there to be read.
        let _: Result<(), Closed> = self.keeper.link.flush();
        let Ok(reports) = self.keeper.link.receive() else {
            return self.end(Cause::KeeperDied, Ending::at_once(now));
        };
        for report in reports {
            self.note(report, now);
        }
    }

    fn note(&mut self, report: Report, now: Instant) {
        match report {
            Report::Started { rank, pid } => self.ranks.started(rank, pid),
            Report::Ended { pid, status } => {
                self.look(now);
                self.ranks.ended(pid, status, now);
            }
            Report::NotForked { rank, errno } => {
                self.ranks.cancel_from(rank);
                let error = not_started(not_forked(rank, &io::Error::from_raw_os_error(errno)));
                self.end(Cause::NotStarted(error), Ending::at_once(now));
            }
            Report::NotRun { errno } => {
                let error = io::Error::from_raw_os_error(errno);
                let error = program::not_run(&self.program, &error);
                self.end(Cause::NotStarted(error), Ending::at_once(now));
            }
        }
    }

    fn forward(&mut self, ready: &[bool], now: Instant) {
        if let Err(broken) = self.output.serve(ready, now) {
            self.output.close();
            self.end(Cause::OutputBroken(broken), Ending::after_failure(now));
        }
    }

    fn take_signals(&mut self, now: Instant) {
        while let Some(arrived) = self.signals.next() {
            match arrived.signal {
                libc::SIGUSR1 | libc::SIGUSR2 => self.pass_on(arrived.signal),
                _ => self.end_by_signal(arrived, now),
            }
        }
    }

    /// To the ranks only: most programs that they may have started would die of it.
    fn pass_on(&mut self, signal: i32) {
        let roots: Vec<Pid> = self.ranks.living().collect();
        for pid in roots {
            self.order(Order::SignalRank { pid, signal });
        }
        for (_, claimant) in &self.claimants {
            // A claimant that has just ended needs no signal.
            let _ = claimant.send(signal);
        }
    }

    /// To all processes of the job, as a key on the terminal does by itself.
    fn end_by_signal(&mut self, Arrived { signal, from_terminal }: Arrived, now: Instant) {
        if !from_terminal {
            self.order(Order::Signal(signal));
        }
        if self.ending.is_some() {
            // Whoever asks twice does not want to wait.
            self.ending = Some(Ending::at_once(now));
        }
        self.end(Cause::Signalled(signal), Ending::after_signal(now));
    }

    fn end_if_failed(&mut self, now: Instant) {
        if self.ending.is_none()
            && let Some(failure) = self.ranks.failure()
        {
            self.end(Cause::Failed(failure), Ending::after_failure(now));
        }
    }

    /// The first cause stays.
    fn end(&mut self, cause: Cause, ending: Ending) {
        self.cause.get_or_insert(cause);
        self.ending.get_or_insert(ending);
    }

    fn take_steps(&mut self, now: Instant) {
        while let Some(step) = self.ending.as_mut().and_then(|ending| ending.next_due(now)) {
            match step {
                Step::Wake => self.segment.end(),
                Step::Terminate => self.order(Order::Signal(libc::SIGTERM)),
                Step::Kill => self.order(Order::Signal(libc::SIGKILL)),
                Step::GiveUp => self.has_given_up = true,
            }
        }
    }

    /// A keeper that can't be told has died, which the link says by itself.
    fn order(&mut self, order: Order) {
        let _: Result<(), Closed> = self.keeper.link.send(order);
    }

    /// Lets the keeper go. A job that was ended leaves nothing; else daemons may stay.
    fn clear_up(&mut self) {
        let order = if self.cause.is_some() { Order::Clear } else { Order::Leave };
        self.order(order);
        // A keeper that waits for room for its reports would not leave.
        let link = &mut self.keeper.link;
        while link.flush().is_ok() && link.receive::<Report>().is_ok() {
            if poll(&mut [poll_of(link)], None).is_err() {
                break;
            }
        }
        process::wait(self.keeper.pid);
        if self.cause.is_some() {
            descendants::kill_all();
        }
    }

    /// Forwards what the ranks printed before they ended; a signal stops waiting for a slow reader.
    fn forward_rest(&mut self) -> Result<(), LaunchError> {
        self.output.finish();
        loop {
            self.forward(&[], Instant::now());
            if self.output.is_finished() {
                return Ok(());
            }
            let now = Instant::now();
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            fds.extend(self.output.interests());
            let timeout = self.output.deadline().map(|deadline| deadline.saturating_duration_since(now));
            poll(&mut fds, timeout).map_err(|error| cannot("poll", &error))?;
            let ready: Vec<bool> = fds.iter().map(is_ready).collect();
            if ready[0]
                && let Some(Arrived { signal, .. }) = self.signals.next()
            {
                self.cause.get_or_insert(Cause::Signalled(signal));
                return Ok(());
            }
            self.forward(&ready[1..], now);
        }
    }

    fn verdict(mut self) -> Result<u8, LaunchError> {
        let verdict = self.judge();
        if verdict.is_err() {
            self.output.end_error_line();
        }
        verdict
    }

    fn judge(&mut self) -> Result<u8, LaunchError> {
        match self.cause.take() {
            None => Ok(self.ranks.exit_code()),
            Some(Cause::Signalled(signal)) => Ok(code_of_signal(signal)),
            Some(Cause::OutputBroken(broken)) => broken_output(&broken),
            Some(Cause::Failed(failure)) => {
                Err(LaunchError { code: failure.exit_code(), what: failure.to_string() })
            }
            Some(Cause::NotStarted(error)) => Err(error),
            Some(Cause::KeeperDied) => Err(LaunchError {
                code: code_of_signal(libc::SIGKILL),
                what: format!(
                    "the job's keeper (pid {}) was killed; the job has been ended",
                    self.keeper.pid
                ),
            }),
        }
    }
}

fn code_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// A reader that has enough (`| head`) is no error worth a word.
fn broken_output(broken: &Broken) -> Result<u8, LaunchError> {
    if broken.error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(code_of_signal(libc::SIGPIPE));
    }
    let reason = program::reason(&broken.error);
    Err(LaunchError {
        code: 1,
        what: format!("cannot write to {}: {reason}; the job has been ended", broken.stream),
    })
}
fn poll_of(link: &Link) -> PollFd<'_> {
    PollFd::new(link.as_fd(), link.interests())
}
