//! Cross-memory attach: reading another process's memory with one copy, where permitted.

use std::io;

/// Copies `len` bytes at `remote` in process `pid` to `local`; returns how many arrived, which may
/// be fewer.
///
/// # Safety
/// `local` must be valid for writes of `len` bytes, and nothing else may access them meanwhile.
pub(crate) unsafe fn read(pid: i32, remote: u64, local: *mut u8, len: usize) -> io::Result<usize> {
    let here = libc::iovec { iov_base: local.cast(), iov_len: len };
    let there = libc::iovec { iov_base: remote as *mut libc::c_void, iov_len: len };
    // SAFETY: the kernel writes at most `len` bytes to `local`, which the caller vouches for; a bad
    // remote address is an error, not a fault.
    let copied = unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) };
    usize::try_from(copied).map_err(|_| io::Error::last_os_error())
}

/// Where Yama restricts who may look into whom, lets any process read this one's memory. Elsewhere
/// nothing: the ordinary same-user rule is enough.
pub(crate) fn permit_readers() {
    let restricted =
        std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.trim() == "1");
    if restricted {
        // SAFETY: PR_SET_PTRACER takes no pointers.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
    }
}
