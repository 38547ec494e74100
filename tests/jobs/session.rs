//! All processes of a trial: those of one session, as `/proc` shows them.

use std::{fmt::Write, fs};

/// The session that a process leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session(pub(crate) i32);

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) name: String,
    state: String,
    session: i32,
}

impl Session {
    /// Its processes that have not ended.
    pub(crate) fn processes(self) -> Vec<Process> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let of_session = |process: &Process| process.session == self.0 && !process.is_zombie();
        pids.filter_map(Process::read).filter(of_session).collect()
    }

    /// Kills its processes, and those that they start meanwhile.
    pub(crate) fn kill(self) {
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            processes.iter().for_each(|process| process.signal(libc::SIGKILL));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// What each of its threads is doing.
    pub(crate) fn describe(self) -> String {
        let mut text = String::new();
        for process in self.processes() {
            process.describe(&mut text);
        }
        text
    }
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse().ok();
        Some(Self {
            pid,
            parent: number(1)?,
            name: name.into(),
            state: (*fields.first()?).into(),
            session: number(3)?,
        })
    }

    fn is_zombie(&self) -> bool {
        matches!(&*self.state, "Z" | "X")
    }

    pub(crate) fn signal(&self, signal: i32) {
        let signal = nix::sys::signal::Signal::try_from(signal).unwrap();
        // It may have ended by now.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), signal);
    }

    fn describe(&self, text: &mut String) {
        let Self { pid, parent, name, state, .. } = self;
        let read = |path: String| fs::read_to_string(path).unwrap_or_default();
        let command = read(format!("/proc/{pid}/cmdline")).replace('\0', " ");
        writeln!(text, "process {pid} ({name}), child of {parent}, state {state}: {command}").unwrap();
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let path = task.path().display().to_string();
            let (waits_in, stack) = (read(format!("{path}/wchan")), read(format!("{path}/stack")));
            writeln!(text, "  thread {}: in {waits_in}", task.file_name().display()).unwrap();
            stack.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
        }
    }
}
