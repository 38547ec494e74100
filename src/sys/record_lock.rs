//! POSIX record locks. The kernel gives them back when their process ends, whatever ended it: a lock
//! that is held says that its process lives.
//!
//! A process loses its locks on a file also when it closes *any* descriptor of that file.

use super::process::Pid;
use nix::errno::Errno;
use std::{io, ops::Range, os::fd::RawFd};

/// Holds one byte of the file for as long as this process lives. The byte need not exist.
pub(crate) fn hold(fd: RawFd, byte: i64) -> io::Result<()> {
    control(fd, libc::F_SETLK, libc::F_WRLCK, byte..byte + 1).map(drop)
}

/// As [`hold`]; false if another process holds the byte.
#[cfg(feature = "join")]
pub(crate) fn try_hold(fd: RawFd, byte: i64) -> io::Result<bool> {
    match hold(fd, byte) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a byte back.
#[cfg(feature = "join")]
pub(crate) fn release(fd: RawFd, byte: i64) -> io::Result<()> {
    control(fd, libc::F_SETLK, libc::F_UNLCK, byte..byte + 1).map(drop)
}

/// Whether another process holds the byte. A process does not see its own locks.
pub(crate) fn is_held(fd: RawFd, byte: i64) -> io::Result<bool> {
    holder(fd, byte..byte + 1).map(|holder| holder.is_some())
}

/// Another process that holds one of the bytes; 0 if it is in another pid namespace.
pub(crate) fn holder(fd: RawFd, bytes: Range<i64>) -> io::Result<Option<Pid>> {
    let found = control(fd, libc::F_GETLK, libc::F_WRLCK, bytes)?;
    Ok((i32::from(found.l_type) != libc::F_UNLCK).then_some(found.l_pid.max(0)))
}

fn control(fd: RawFd, command: i32, kind: i32, bytes: Range<i64>) -> io::Result<libc::flock> {
    // SAFETY: all-zero is a valid `flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    (lock.l_start, lock.l_len) = (bytes.start, bytes.end - bytes.start);
    // SAFETY: both commands take a `flock` that is valid for reads and writes; a bad descriptor is an
    // error.
    Errno::result(unsafe { libc::fcntl(fd, command, &raw mut lock) })?;
    Ok(lock)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::memory::create_memfd;
    use std::{
        fs::File,
        io::{BufRead, BufReader, Read, Write},
        os::fd::AsRawFd,
        process::{Command, Stdio},
    };

    /// Names the file whose byte [`holder_process`] holds.
    const FILE: &str = "RINGMPI_TEST_LOCKED_FILE";
    const BYTE: i64 = 1 << 62;

    #[test]
    #[ignore = "the other process of the next test"]
    fn holder_process() {
        let path = std::env::var_os(FILE).expect("run by the next test");
        let file = File::options().read(true).write(true).open(path).unwrap();
        hold(file.as_raw_fd(), BYTE).unwrap();
        // Not by print, which the harness captures.
        io::stderr().write_all(b"held\n").unwrap();
        // Until the other one has seen it.
        io::stdin().read_to_end(&mut vec![]).unwrap();
    }

    #[test]
    fn a_byte_is_held_while_its_process_lives_and_no_longer() {
        let file = create_memfd("ringmpi-test", 4096).unwrap();
        let (fd, byte) = (file.as_raw_fd(), BYTE);
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sys::record_lock::tests::holder_process", "--ignored"])
            .env(FILE, format!("/proc/{}/fd/{fd}", std::process::id()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(is_held(fd, byte).unwrap(), "the holder said {line:?}");
        assert!(!is_held(fd, byte + 1).unwrap());
        assert!(hold(fd, byte).is_err());
        let pid = i32::try_from(holder.id()).unwrap();
        assert_eq!(super::holder(fd, 0..i64::MAX).unwrap(), Some(pid));
        holder.stdin.take().unwrap().flush().unwrap();
        holder.wait().unwrap();
        assert!(!is_held(fd, byte).unwrap());
        hold(fd, byte).unwrap();
        assert!(!is_held(fd, byte).unwrap(), "a process does not see its own locks");
    }
}
