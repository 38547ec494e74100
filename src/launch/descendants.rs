//! All processes below one: what a shell started stays findable, because orphans come to the
//! nearest ancestor that adopts them.

use crate::sys::process::{Pid, PidFd, own_pid, send_by_number, take_ended};
use std::{
    fs,
    time::{Duration, Instant},
};

/// A process that SIGKILL does not end (it waits for a dead disk) is given up after this.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: Pid,
    is_zombie: bool,
}

/// Sends a signal to every living descendant of this process; returns how many it found.
pub(super) fn signal_all(signal: i32) -> usize {
    let found = below(own_pid(), &snapshot());
    for process in &found {
        send(*process, signal);
    }
    found.len()
}

/// Sends a signal to a child of this process, if `pid` is one and lives.
pub(super) fn signal_child(pid: Pid, signal: i32) {
    if let Some(process) = read(pid).filter(|process| process.parent == own_pid()) {
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
fn send(process: Process, signal: i32) {
    let held = PidFd::open(process.pid);
    if read(process.pid).is_some_and(|now| now.parent == process.parent || now.parent == own_pid()) {
        // It may have ended by now, which is as good.
        let _ = match held {
            Ok(held) => held.send(signal),
            Err(_) => send_by_number(process.pid, signal),
        };
    }
}

fn snapshot() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

fn read(pid: Pid) -> Option<Process> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// "pid (name) state parent …", where the name may hold anything, parentheses too.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = str::from_utf8(stat.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
    let pid = str::from_utf8(stat.split(|&byte| byte == b' ').next()?).ok()?.parse().ok()?;
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    Some(Process { pid, parent: fields.next()?.parse().ok()?, is_zombie })
}

/// The living processes of `all` that have `ancestor` among their ancestors, parents first.
fn below(ancestor: Pid, all: &[Process]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
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

    fn process(pid: Pid, parent: Pid) -> Process {
        Process { pid, parent, is_zombie: false }
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_confuse_the_fields() {
        let stat = b"4711 (a) S 1 (b) S 42 4711 1 0 -1";
        assert_eq!(parse_stat(stat), Some(process(4711, 42)));
        assert!(parse_stat(b"17 (sh) Z 3 17").unwrap().is_zombie);
        assert_eq!(parse_stat(b"garbage"), None);
    }

    #[test]
    fn this_process_has_the_parent_that_the_system_says() {
        let parent = Pid::try_from(std::os::unix::process::parent_id()).unwrap();
        assert_eq!(read(own_pid()).unwrap().parent, parent);
    }

    #[test]
    fn descendants_of_all_generations_are_found_and_nobody_else() {
        let all = [process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 5)];
        let pids: Vec<Pid> = below(2, &all).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [3, 4]);
    }
}
