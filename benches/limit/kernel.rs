//! Copies between the two processes' private memory, by the kernel (cross memory attach, CMA).

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::play::{Player, Side};

/// Which way the bytes go.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// From the partner: `process_vm_readv`.
    Read,
    /// To the partner: `process_vm_writev`.
    Write,
}

/// Moves `bytes` between `mine`, in this process, and `theirs`, an address in the partner's.
///
/// # Safety
///
/// `mine` is valid for `bytes` and nobody else writes it meanwhile, nor reads it if the call is `Read`; writing `bytes` at
/// `theirs` breaks no rule of the partner's.
pub(super) unsafe fn copy(
    side: &Side<'_>,
    call: Call,
    mine: *mut u8,
    theirs: *mut u8,
    bytes: usize,
) -> io::Result<()> {
    let number = match call {
        Call::Read => libc::SYS_process_vm_readv,
        Call::Write => libc::SYS_process_vm_writev,
    };
    let mut done = 0;
    while done < bytes {
        let rest =
            |base: *mut u8| libc::iovec { iov_base: base.wrapping_add(done).cast(), iov_len: bytes - done };
        let (local, remote) = (rest(mine), rest(theirs));
        let (local, remote) = (&raw const local, &raw const remote);
        // SAFETY: two live iovecs, one each; the caller vouches for what they describe.
        let moved = unsafe { libc::syscall(number, side.partner, local, 1_usize, remote, 1_usize, 0_usize) };
        match usize::try_from(moved) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(moved) => done += moved,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

/// Reads a word of the partner's private memory, and counts refusals: seccomp and Yama (which lets a parent read its
/// child, but not the other way round) forbid it on some machines.
pub(super) struct Probe<'a>(pub(super) &'a Side<'a>);

impl Player for Probe<'_> {
    fn round(&mut self) {
        let memory = self.0.memory;
        let (mine, theirs) = (memory.receive.base(), memory.send.base());
        // SAFETY: this side's own receive buffer, unused in this job.
        let copied = unsafe { copy(self.0, Call::Read, mine, theirs, size_of::<u64>()) };
        // DONE orders it before the first side's look.
        memory.control().refused.0.fetch_add(u64::from(copied.is_err()), Relaxed);
    }
}
