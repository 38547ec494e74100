//! Signals: read from a descriptor instead of interrupting.

use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, SigmaskHow, Signal, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
    },
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// The signals that a thread had blocked: what its children should have blocked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask(SigSet);

impl Mask {
    pub(super) fn as_raw(&self) -> *const libc::sigset_t {
        std::ptr::from_ref(self.0.as_ref())
    }
}

/// Signals that are blocked and read from a descriptor.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

/// One signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) signal: i32,
    /// The kernel sent it, to the whole foreground process group: a key on the terminal.
    pub(crate) from_terminal: bool,
}

impl Signals {
    /// Takes those of `signals` that are not ignored; returns the mask from before. (`nohup` ignores
    /// SIGHUP, a shell ignores SIGINT for its background jobs; a blocked signal would arrive anyway.)
    pub(crate) fn take(signals: &[i32]) -> io::Result<(Self, Mask)> {
        let mut set = SigSet::empty();
        for &signal in signals.iter().filter(|&&signal| !is_ignored(signal)) {
            set.add(Signal::try_from(signal)?);
        }
        Self::take_set(&set)
    }

    /// Blocks every signal, whatever its disposition (children inherit dispositions), and reads only
    /// SIGCHLD.
    pub(crate) fn take_children_only() -> io::Result<Self> {
        let (_, _) = Self::take_set(&SigSet::all())?;
        Self::open(&SigSet::from(Signal::SIGCHLD))
    }

    fn take_set(set: &SigSet) -> io::Result<(Self, Mask)> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(set), Some(&mut before))?;
        Ok((Self::open(set)?, Mask(before)))
    }

    fn open(set: &SigSet) -> io::Result<Self> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(set, flags)?))
    }

    /// The next signal that arrived, if any.
    pub(crate) fn next(&self) -> Option<Arrived> {
        match self.0.read_signal() {
            Ok(Some(info)) => Some(Arrived {
                signal: i32::try_from(info.ssi_signo).unwrap_or(0),
                from_terminal: info.ssi_code == libc::SI_KERNEL,
            }),
            Ok(None) | Err(Errno::EINTR) | Err(_) => None,
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all-zero is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only reads the disposition, into memory that is valid for writes.
    let status = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    status == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// The signal's name: `SIGKILL`.
pub(crate) fn name(signal: i32) -> Option<&'static str> {
    Signal::try_from(signal).ok().map(Signal::as_str)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names_and_numbers_beyond_have_none() {
        assert_eq!(name(libc::SIGKILL), Some("SIGKILL"));
        assert_eq!(name(libc::SIGSEGV), Some("SIGSEGV"));
        assert_eq!(name(200), None);
    }

    #[test]
    fn rusts_runtime_ignores_sigpipe_and_nothing_ignores_sigterm() {
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!is_ignored(libc::SIGTERM));
    }
}
