//! Processes: fork, exec, wait, pidfds, and what ties a child to its parent.

use super::{io::DescriptorLimit, signals::Mask};
use nix::{errno::Errno, sys::prctl};
use std::{
    ffi::{CStr, c_char},
    io::{self, Write},
    marker::PhantomData,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::process::ExitStatusExt,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitStatus,
};

/// A process's number.
pub(crate) type Pid = i32;

/// This process's number.
pub(crate) fn own_pid() -> Pid {
    // SAFETY: no preconditions.
    unsafe { libc::getpid() }
}

/// The process that started this one, or has adopted it.
pub(crate) fn parent_pid() -> Pid {
    nix::unistd::getppid().as_raw()
}

/// How many threads this process has.
pub(crate) fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forked {
    Child,
    Parent(Pid),
}

/// Forks a process that has one thread; refuses if there are others, whose locks would stay locked
/// in the child for ever.
pub(crate) fn fork() -> io::Result<Forked> {
    let counted = thread_count()
        .map_err(|error| io::Error::new(error.kind(), format!("reading /proc/self/task: {error}")));
    match counted? {
        1 => {}
        threads => return Err(io::Error::other(format!("this process has {threads} threads"))),
    }
    // SAFETY: no other thread exists, so the child's copy of the memory is consistent.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(child)),
    }
}

/// Ends this process at once: no destructors, no exit handlers, no buffers flushed.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: no preconditions.
    unsafe { libc::_exit(code) }
}

/// Runs the rest of a forked child. It never returns into the frames that it shares with its parent,
/// whose destructors must not run twice; a panic, which has printed its message, gives code 101.
pub(crate) fn finish_child(body: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
    flush_output();
    exit_now(code)
}

/// Writes out what Rust's and C's buffers hold: before a fork, because every child would print it
/// again, and before the end of a child, which runs no exit handlers.
pub(crate) fn flush_output() {
    // Nobody to tell if the stream is closed.
    let _ = io::stdout().flush();
    // SAFETY: NULL names all output streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Has the kernel kill this process when the thread that forked it ends. False if that has already
/// happened: `parent` is not the parent any more.
pub(crate) fn die_with_parent(parent: Pid) -> bool {
    // SAFETY: sets an attribute of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: no preconditions.
    parent == unsafe { libc::getppid() }
}

/// Makes this process the new parent of descendants whose parents have ended.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// The name that `ps` and `top` show, at most 15 bytes.
pub(crate) fn set_name(name: &CStr) {
    // A name is only for people: a kernel that refuses it is no error.
    let _ = prctl::set_name(name);
}

/// Pointers to C strings and a final NULL, as exec wants them.
#[derive(Debug)]
pub(crate) struct StringArray<'a> {
    pointers: Vec<*const c_char>,
    strings: PhantomData<&'a CStr>,
}

impl<'a> StringArray<'a> {
    pub(crate) fn new(strings: impl IntoIterator<Item = &'a CStr>) -> Self {
        let pointers = strings.into_iter().map(CStr::as_ptr).chain([std::ptr::null()]).collect();
        Self { pointers, strings: PhantomData }
    }
}

/// A program to run in a child, and all that the child inherits or loses.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: StringArray<'a>,
    pub(crate) environment: StringArray<'a>,
    /// `None` leaves the parent's.
    pub(crate) stdin: Option<BorrowedFd<'a>>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// The one other descriptor that stays open, under its number.
    pub(crate) kept: RawFd,
    pub(crate) mask: &'a Mask,
    pub(crate) descriptors: DescriptorLimit,
    /// If the program can't be run, the child writes the error's number here (4 bytes) and ends.
    pub(crate) errors: BorrowedFd<'a>,
}

/// Runs the program in a new process that dies with the calling thread.
pub(crate) fn spawn(program: &Program<'_>) -> io::Result<Pid> {
    let parent = own_pid();
    // SAFETY: the child calls only async-signal-safe functions (`become_program`) and never returns.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => become_program(program, parent),
        child => Ok(child),
    }
}

/// In the child. Allocates nothing and takes no lock: the parent may have had other threads.
fn become_program(program: &Program<'_>, parent: Pid) -> ! {
    if !die_with_parent(parent) {
        exit_now(127);
    }
    let errno = inherit(program).and_then(|()| execute(program)).err().unwrap_or(Errno::UnknownErrno);
    let number = (errno as i32).to_ne_bytes();
    let _ = nix::unistd::write(program.errors, &number);
    exit_now(127);
}

/// Gives the child its standard streams, descriptor, limits and signals.
fn inherit(program: &Program<'_>) -> Result<(), Errno> {
    program.stdin.map_or(Ok(()), |fd| duplicate(fd, libc::STDIN_FILENO))?;
    duplicate(program.stdout, libc::STDOUT_FILENO)?;
    duplicate(program.stderr, libc::STDERR_FILENO)?;
    // SAFETY: clears close-on-exec on an open descriptor.
    Errno::result(unsafe { libc::fcntl(program.kept, libc::F_SETFD, 0) })?;
    let limit = libc::rlimit { rlim_cur: program.descriptors.soft, rlim_max: program.descriptors.hard };
    // SAFETY: `limit` is valid for reads.
    Errno::result(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    // Rust's runtime ignores SIGPIPE, and exec would keep that.
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: the mask is valid for reads.
    Errno::result(unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, program.mask.as_raw(), std::ptr::null_mut())
    })
    .map(drop)
}

fn duplicate(from: BorrowedFd<'_>, to: i32) -> Result<(), Errno> {
    // SAFETY: replaces a standard stream of the child, which nothing in it owns.
    Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) }).map(drop)
}

fn execute(program: &Program<'_>) -> Result<(), Errno> {
    let (arguments, environment) =
        (program.arguments.pointers.as_ptr(), program.environment.pointers.as_ptr());
    // SAFETY: the arrays end with NULL and their strings outlive the call.
    Errno::result(unsafe { libc::execve(program.path.as_ptr(), arguments, environment) }).map(drop)
}

/// Takes the status of a child that has ended, if there is one: the given child, or any.
pub(crate) fn take_ended(child: Option<Pid>) -> Option<(Pid, ExitStatus)> {
    let mut status = 0;
    // SAFETY: `status` is valid for writes.
    let pid = unsafe { libc::waitpid(child.unwrap_or(-1), &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, ExitStatus::from_raw(status)))
}

/// Waits until the child has ended and takes its status; `None` if it is no child (any more).
pub(crate) fn wait(child: Pid) -> Option<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for writes.
        match Errno::result(unsafe { libc::waitpid(child, &raw mut status, 0) }) {
            Ok(_) => return Some(ExitStatus::from_raw(status)),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// A descriptor that becomes readable when the process ends. It names that very process, also when
/// its number has gone to another.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    pub(crate) fn open(pid: Pid) -> io::Result<Self> {
        // SAFETY: two integers; the kernel checks them.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        match i32::try_from(fd) {
            // SAFETY: a new descriptor that nothing else owns.
            Ok(fd) if fd >= 0 => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub(crate) fn send(&self, signal: i32) -> io::Result<()> {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: without information of ours the kernel fills in what kill(2) would.
        let status =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, info, 0) };
        Errno::result(status).map(drop).map_err(io::Error::from)
    }
}

impl std::os::fd::AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a signal to whatever process has this number: for a child that has not been waited for, or
/// where there are no pidfds.
pub(crate) fn send_by_number(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: two integers; the kernel checks them.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop).map_err(io::Error::from)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        std::thread::scope(|scope| {
            let (hold, held) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || held.recv());
            let refusal = fork().unwrap_err().to_string();
            assert!(refusal.contains("threads"), "{refusal}");
            drop(hold);
        });
    }

    #[test]
    fn a_pidfd_of_this_process_takes_signal_0_and_one_of_no_process_is_an_error() {
        PidFd::open(own_pid()).unwrap().send(0).unwrap();
        assert!(PidFd::open(-1).is_err());
    }
}
