//! The keeper: a small process between the launcher and its ranks, so that nothing stays behind
//! whatever is killed.
//!
//! It is the parent of all ranks and adopts their orphans, so every process of the job is below it.
//! If the launcher dies, its end of the link closes and the keeper kills them all. If the keeper
//! dies, the kernel kills the ranks (they die with their parent), and the launcher, which adopts too,
//! what is left; a rank behind a shell sees besides that the keeper's lock byte is free. The keeper
//! blocks all signals: those from the terminal are for the ranks and the launcher.

use super::{
    descendants,
    link::{Closed, Link, Order, Report},
    spawn::{Spawner, Writers},
};
use crate::{
    shm::segment::Segment,
    sys::{
        io::{PollFd, PollFlags, Read, is_ready, pipe, poll, read},
        process::{Forked, Pid, adopt_orphans, finish_child, fork, set_name, take_ended},
        signals::Signals,
    },
};
use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, OwnedFd},
};

/// Not "mpiexec-…": `pkill -9 mpiexec` shall leave someone who clears up.
const KEEPER_NAME: &CStr = c"ringmpi-keeper";

/// The launcher's side of the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) pid: Pid,
    pub(super) link: Link,
}

/// Forks the keeper, which starts a rank for every pair of `writers`. `readers` are the launcher's.
pub(super) fn start(
    segment: &Segment,
    spawner: Spawner,
    writers: Vec<Writers>,
    readers: &mut Vec<OwnedFd>,
) -> io::Result<Keeper> {
    let (launcher_end, keeper_end) = Link::pair()?;
    match fork()? {
        Forked::Parent(pid) => Ok(Keeper { pid, link: launcher_end }),
        Forked::Child => finish_child(move || {
            drop(launcher_end);
            // A rank must learn by SIGPIPE that the launcher reads no more.
            readers.clear();
            segment.keep();
            let leaves_descendants = keep(keeper_end, &spawner, writers).unwrap_or(false);
            if !leaves_descendants {
                descendants::kill_all();
            }
            0
        }),
    }
}

/// The keeper's life. True if the launcher said to leave, false if descendants must not stay.
fn keep(link: Link, spawner: &Spawner, writers: Vec<Writers>) -> io::Result<bool> {
    let signals = Signals::take_children_only()?;
    adopt_orphans()?;
    set_name(KEEPER_NAME);
    let (errors, errors_of_ranks) = pipe()?;
    let mut keeping = Keeping { link, signals, errors };
    if keeping.start_ranks(spawner, writers, &errors_of_ranks).is_err() {
        return Ok(false);
    }
    drop(errors_of_ranks);
    keeping.serve()
}

struct Keeping {
    link: Link,
    signals: Signals,
    /// Where children write why they could not run the program.
    errors: OwnedFd,
}

impl Keeping {
    /// A rank's writers close as soon as it has them, so that its end is seen.
    fn start_ranks(
        &mut self,
        spawner: &Spawner,
        writers: Vec<Writers>,
        errors: &OwnedFd,
    ) -> Result<(), Closed> {
        let size = writers.len();
        for (slot, writers) in writers.into_iter().enumerate() {
            match spawner.spawn((slot, size), &writers, errors.as_fd()) {
                Ok(pid) => self.link.send(Report::Started { rank: slot, pid })?,
                Err(error) => {
                    let errno = error.raw_os_error().unwrap_or(0);
                    return self.link.send(Report::NotForked { rank: slot, errno });
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self) -> io::Result<bool> {
        loop {
            let mut fds = [
                PollFd::new(self.link.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            poll(&mut fds, None)?;
            let [has_orders, has_ended] = [is_ready(&fds[0]), is_ready(&fds[1])];
            if has_ended && self.report_ended().is_err() {
                return Ok(false);
            }
            if has_orders && let Some(leaves_descendants) = self.obey() {
                return Ok(leaves_descendants);
            }
        }
    }

    fn report_ended(&mut self) -> Result<(), Closed> {
        while self.signals.next().is_some() {}
        while let Some((pid, status)) = take_ended(None) {
            self.report_not_run()?;
            self.link.send(Report::Ended { pid, status })?;
        }
        Ok(())
    }

    /// Comes before the end of the child that wrote it: the launcher then knows what 127 means.
    fn report_not_run(&mut self) -> Result<(), Closed> {
        let mut errno = [0; 4];
        while let Read::Bytes(4) = read(&self.errors, &mut errno) {
            self.link.send(Report::NotRun { errno: i32::from_ne_bytes(errno) })?;
        }
        Ok(())
    }

    /// Carries out the launcher's orders; `Some` when the keeper shall leave.
    fn obey(&mut self) -> Option<bool> {
        let Ok(orders) = self.link.receive() else { return Some(false) };
        for order in orders {
            match order {
                Order::Signal(signal) => _ = descendants::signal_all(signal),
                Order::SignalRank { pid, signal } => descendants::signal_child(pid, signal),
                Order::Clear => return Some(false),
                Order::Leave => return Some(true),
            }
        }
        None
    }
}
