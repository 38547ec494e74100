//! Descriptors: pipes, polling, reads and writes that never block.

pub(crate) use nix::poll::{PollFd, PollFlags};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::PollTimeout,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        stat::fstat,
    },
    unistd::{self, AccessFlags},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

/// A pipe whose reading end never blocks; both ends are closed by exec.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Only the reading end: the flag belongs to the open file, and the writer is a user's program.
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Waits until a descriptor is ready, a signal arrives, or the time is over (`None`: for ever).
pub(crate) fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    match nix::poll::poll(fds, to_poll_timeout(timeout)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Rounds up to whole milliseconds: a deadline has passed when the call returns.
fn to_poll_timeout(timeout: Option<Duration>) -> PollTimeout {
    timeout.map_or(PollTimeout::NONE, |time| {
        let millis = i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    })
}

/// Whether anything happened to the descriptor: data, room, hang-up or error.
pub(crate) fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.any().unwrap_or(true)
}

/// Whether a small write (up to [`ATOMIC_WRITE`] bytes) to the descriptor would not block.
pub(crate) fn has_room(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    poll(&mut fds, Some(Duration::ZERO))?;
    Ok(is_ready(&fds[0]))
}

/// A write of so many bytes to a pipe is one piece for its reader, and fits when poll says room.
pub(crate) const ATOMIC_WRITE: usize = libc::PIPE_BUF;

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing at the moment.
    Nothing,
    /// All writers have closed, or the descriptor can't be read any more.
    End,
}

/// Reads what is there.
pub(crate) fn read(fd: impl AsFd, buffer: &mut [u8]) -> Read {
    match unistd::read(fd, buffer) {
        Ok(0) => Read::End,
        Ok(count) => Read::Bytes(count),
        Err(Errno::EAGAIN | Errno::EINTR) => Read::Nothing,
        Err(_) => Read::End,
    }
}

/// How many bytes a pipe holds.
pub(crate) fn unread(pipe: impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: `count` is the int that FIONREAD writes.
    let status = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if status == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// Writes what fits at once; 0 bytes if nothing does.
pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    match unistd::write(fd, bytes) {
        Ok(count) => Ok(count),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether two descriptors name the same file: one terminal, one pipe.
pub(crate) fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// Whether this process may execute the file.
pub(crate) fn check_executable(path: &Path) -> io::Result<()> {
    Ok(unistd::access(path, AccessFlags::X_OK)?)
}

/// Soft and hard limit of a process's number of descriptors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DescriptorLimit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Raises the soft limit of descriptors to the hard one; returns the limits from before.
pub(crate) fn raise_descriptor_limit() -> io::Result<DescriptorLimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(DescriptorLimit { soft, hard })
}

/// Sets both limits of descriptors: to what [`raise_descriptor_limit`] has returned.
pub(crate) fn set_descriptor_limit(DescriptorLimit { soft, hard }: DescriptorLimit) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?)
}

/// How many descriptors this process has.
pub(crate) fn descriptor_count() -> io::Result<usize> {
    // One of them is the directory's own.
    Ok(std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// The limit of this user's number of processes.
pub(crate) fn process_limit() -> io::Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NPROC)?.0)
}

/// What a process's memory may run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteLimit {
    /// Of all its addresses.
    Addresses,
    /// Of any file that it makes larger, a memfd too.
    FileSize,
}

impl ByteLimit {
    /// The limit in bytes, if there is one.
    pub(crate) fn get(self) -> Option<u64> {
        let resource = match self {
            Self::Addresses => Resource::RLIMIT_AS,
            Self::FileSize => Resource::RLIMIT_FSIZE,
        };
        let (soft, _) = getrlimit(resource).ok()?;
        Some(soft).filter(|&soft| soft != libc::RLIM_INFINITY)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn reading_tells_nothing_yet_from_data_and_from_the_end() {
        let (reader, writer) = pipe().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read(&reader, &mut buffer), Read::Nothing);
        assert_eq!(write(&writer, b"abc").unwrap(), 3);
        assert_eq!(unread(&reader), 3);
        assert_eq!(read(&reader, &mut buffer), Read::Bytes(3));
        drop(writer);
        assert_eq!(read(&reader, &mut buffer), Read::End);
    }

    #[test]
    fn a_full_pipe_has_no_room_and_an_emptied_one_has() {
        let (reader, writer) = pipe().unwrap();
        while has_room(writer.as_fd()).unwrap() {
            assert_ne!(write(&writer, &[0; ATOMIC_WRITE]).unwrap(), 0);
        }
        let mut buffer = vec![0; 1 << 20];
        assert!(matches!(read(&reader, &mut buffer), Read::Bytes(_)));
        assert!(has_room(writer.as_fd()).unwrap());
    }

    #[test]
    fn a_timeout_is_rounded_up() {
        assert_eq!(to_poll_timeout(Some(Duration::from_micros(1))), PollTimeout::from(1_u8));
        assert_eq!(to_poll_timeout(Some(Duration::from_micros(2001))), PollTimeout::from(3_u8));
    }
}
