//! Record locks on bytes of a file, by which processes see one another live.
//!
//! The kernel drops a process's locks when it ends, however it ends. They belong to the process and
//! the file, not to the descriptor: a forked child has none of its parent's, and whoever closes *any*
//! descriptor of the file drops all that its process holds on it. So a process opens a segment once.

use crate::sys::process::Pid;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};
use std::{fs::File, io, ops::Range};

/// A file and the locks that this process holds on its bytes. The bytes need not exist.
#[derive(Debug)]
pub(super) struct Locks(File);

impl Locks {
    pub(super) fn on(file: File) -> Self {
        Self(file)
    }

    pub(super) fn file(&self) -> &File {
        &self.0
    }

    /// Locks a byte; false if another process has.
    pub(super) fn try_lock(&self, byte: usize) -> io::Result<bool> {
        match fcntl(&self.0, FcntlArg::F_SETLK(&record(libc::F_WRLCK, byte..byte + 1))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(super) fn unlock(&self, byte: usize) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_SETLK(&record(libc::F_UNLCK, byte..byte + 1)))?;
        Ok(())
    }

    /// Another process that has locked one of the bytes; 0 if it is in another pid namespace.
    pub(super) fn holder(&self, bytes: Range<usize>) -> io::Result<Option<Pid>> {
        let mut found = record(libc::F_WRLCK, bytes);
        fcntl(&self.0, FcntlArg::F_GETLK(&mut found))?;
        Ok((i32::from(found.l_type) != libc::F_UNLCK).then_some(found.l_pid.max(0)))
    }
}

fn record(kind: i32, bytes: Range<usize>) -> libc::flock {
    let offset = |byte: usize| libc::off_t::try_from(byte).expect("bytes below the number of ranks");
    libc::flock {
        l_type: i16::try_from(kind).expect("a small constant"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("a small constant"),
        l_start: offset(bytes.start),
        l_len: offset(bytes.len()),
        l_pid: 0,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::memory;

    #[test]
    fn a_process_does_not_stand_in_its_own_way() {
        let locks = Locks::on(memory::create_memfd("locks", 4096).unwrap());
        assert!(locks.try_lock(7).unwrap() && locks.try_lock(7).unwrap());
        assert_eq!(locks.holder(0..100).unwrap(), None);
        locks.unlock(7).unwrap();
    }
}
