//! `membarrier(2)`: a full barrier on other CPUs, paid by the one who asks, so that the others'
//! fast paths need no fence.

use std::io;

// linux/membarrier.h
const REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;
const GLOBAL_EXPEDITED: i32 = 1 << 1;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
const PRIVATE_EXPEDITED: i32 = 1 << 3;

fn membarrier(command: i32) -> io::Result<()> {
    // SAFETY: membarrier takes no pointers.
    match unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Lets barriers of other processes reach the threads of this one. Errs where the kernel or a
/// seccomp profile forbids it.
pub(crate) fn register_between_processes() -> io::Result<()> {
    membarrier(REGISTER_GLOBAL_EXPEDITED)
}

/// A full barrier on every CPU that runs a registered process. Only after all have registered.
pub(crate) fn between_processes() -> io::Result<()> {
    membarrier(GLOBAL_EXPEDITED)
}

/// Prepares [`between_threads`] for this process.
pub(crate) fn register_between_threads() -> io::Result<()> {
    membarrier(REGISTER_PRIVATE_EXPEDITED)
}

/// A full barrier on every CPU that runs a thread of this process.
pub(crate) fn between_threads() -> io::Result<()> {
    membarrier(PRIVATE_EXPEDITED)
}
