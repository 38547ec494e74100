//! A rank whose system calls a container's profile filters.

use nix::errno::Errno;

/// Names the rank that the kernel refuses membarrier.
pub(crate) const WITHOUT_MEMBARRIER: &str = "RINGMPI_TEST_WITHOUT_MEMBARRIER";

/// From here on, in this process and its children.
pub(crate) fn refuse_membarrier_if_asked_to() {
    let asked = std::env::var_os(WITHOUT_MEMBARRIER);
    if asked.is_none() || asked != std::env::var_os("PMI_RANK") {
        return;
    }
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let skip_unless_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let statement = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut filter = [
        // The call's number is the first word of what a filter sees.
        statement(load, 0, 0),
        statement(skip_unless_equal, 1, libc::SYS_membarrier as u32),
        statement(answer, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(answer, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let (yes, none): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: sets an attribute of this process, without which only root may install filters.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) }).unwrap();
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the program is valid for reads, and its statements live to the end of the function.
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    Errno::result(installed).unwrap();
    // SAFETY: membarrier takes no pointers.
    let refused = unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) };
    assert_eq!(Errno::result(refused), Err(Errno::EPERM));
}
