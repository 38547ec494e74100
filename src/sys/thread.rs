//! Which thread is this, in one instruction; and is it the only one?

/// A number that no other live thread of this process has, and that is never 0.
#[cfg(not(loom))]
#[inline]
pub(crate) fn token() -> u64 {
    let token: u64;
    // The thread pointer: a thread-local variable's address would cost a call in a shared library.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the System V ABI keeps the thread pointer's own address at fs:0.
    unsafe {
        core::arch::asm!("mov {}, fs:0", out(reg) token, options(nostack, readonly, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: user mode may read tpidr_el0, the thread pointer.
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el0", out(reg) token, options(nostack, nomem, preserves_flags));
    }
    token
}

/// Whether this process has no other thread.
pub(crate) fn is_only_one() -> bool {
    super::process::thread_count().is_ok_and(|count| count == 1)
}

#[cfg(loom)]
pub(crate) fn token() -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    crate::sync::model::thread::current().id().hash(&mut hasher);
    hasher.finish() | 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    #[test]
    fn live_threads_have_different_tokens() {
        let mine = super::token();
        let other = std::thread::spawn(super::token).join().unwrap();
        assert_eq!(mine, super::token());
        assert_ne!(mine, other);
        assert_ne!(mine, 0);
    }
}
