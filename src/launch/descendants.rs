//! All processes below one: what a shell started stays findable, because orphans come to the
//! nearest ancestor that adopts them.

use crate::sys::{
    process::{Pid, PidFd, own_pid, send_by_number, take_ended},
    process_stat::ProcessStat,
};
use std::time::{Duration, Instant};

/// A process that SIGKILL does not end (it waits for a dead disk) is given up after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a signal to every living descendant of this process; returns how many it found.
pub(super) fn signal_all(signal: i32) -> usize {
    let found = below(own_pid(), &ProcessStat::of_all());
    for process in &found {
        send(*process, signal);
    }
    found.len()
}

/// Sends a signal to a child of this process, if `pid` is one and lives.
pub(super) fn signal_child(pid: Pid, signal: i32) {
    if let Some(process) = ProcessStat::of(pid).filter(|process| process.parent == own_pid()) {
        send(process, signal);
    }
}

/// Kills all descendants of this process, also those that they start meanwhile, and takes the
/// statuses of those that are or become its children.
pub(super) fn kill_all() {
    let until = Instant::now() + PATIENCE;
    while signal_all(libc::SIGKILL) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
        while take_ended(None).is_some() {}
    }
}

/// The pidfd holds on to the process; if it still has the same parent, it is the one that was found.
fn send(process: ProcessStat, signal: i32) {
    let held = PidFd::open(process.pid);
    if ProcessStat::of(process.pid).is_some_and(|now| now.parent == process.parent || now.parent == own_pid())
    {
        // It may have ended by now, which is as good.
        let _ = match held {
            Ok(held) => held.send(signal),
            Err(_) => send_by_number(process.pid, signal),
        };
    }
}

/// The living processes of `all` that have `ancestor` among their ancestors, parents first.
fn below(ancestor: Pid, all: &[ProcessStat]) -> Vec<ProcessStat> {
    let mut found: Vec<ProcessStat> = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent && !process.is_zombie) {
            found.push(*child);
            parents.push(child.pid);
        }
    }
    found
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn process(pid: Pid, parent: Pid) -> ProcessStat {
        ProcessStat { pid, parent, is_zombie: false }
    }

    #[test]
    fn descendants_of_all_generations_are_found_and_nobody_else() {
        let all = [process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 5)];
        let pids: Vec<Pid> = below(2, &all).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [3, 4]);
    }
}
