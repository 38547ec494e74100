//! POSIX record locks. The kernel gives them back when their process ends, whatever ended it: a lock
//! that is held says that its process lives.
//!
//! A process loses its locks on a file also when it closes *any* descriptor of that file.

use nix::errno::Errno;
use std::{io, os::fd::RawFd};

/// Holds one byte of the file for as long as this process lives. The byte need not exist.
pub(crate) fn hold(fd: RawFd, byte: i64) -> io::Result<()> {
    control(fd, libc::F_SETLK, byte).map(drop)
}

/// Whether another process holds the byte. A process does not see its own locks.
pub(crate) fn is_held(fd: RawFd, byte: i64) -> io::Result<bool> {
    let found = control(fd, libc::F_GETLK, byte)?;
    Ok(i32::from(found.l_type) != libc::F_UNLCK)
}

fn control(fd: RawFd, command: i32, byte: i64) -> io::Result<libc::flock> {
    // SAFETY: all-zero is a valid `flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (libc::F_WRLCK as libc::c_short, libc::SEEK_SET as libc::c_short);
    (lock.l_start, lock.l_len) = (byte, 1);
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
        io::{BufRead, BufReader, Write},
        os::fd::AsRawFd,
        process::{Command, Stdio},
    };

    /// Locks the byte of the file in its first argument, says so, and waits for the end of its input.
    const HOLDER: &str = "import fcntl, sys\n\
        file = open(sys.argv[1], 'r+b')\n\
        fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))\n\
        print('held', flush=True)\n\
        sys.stdin.read()";

    #[test]
    fn a_byte_is_held_while_its_process_lives_and_no_longer() {
        let file = create_memfd("ringmpi-test", 4096).unwrap();
        let (fd, byte) = (file.as_raw_fd(), 1 << 62);
        let path = format!("/proc/{}/fd/{fd}", std::process::id());
        let mut holder = Command::new("python3")
            .args(["-c", HOLDER, &path, &byte.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(is_held(fd, byte).unwrap(), "the holder said {line:?}");
        assert!(!is_held(fd, byte + 1).unwrap());
        assert!(hold(fd, byte).is_err());
        holder.stdin.take().unwrap().flush().unwrap();
        holder.wait().unwrap();
        assert!(!is_held(fd, byte).unwrap());
        hold(fd, byte).unwrap();
        assert!(!is_held(fd, byte).unwrap(), "a process does not see its own locks");
    }
}
