//! Telling a process from the children that user code forks from it (`os.fork`, `multiprocessing`).

use super::memory;
use memmap2::{MmapOptions, MmapRaw};
use std::{io, mem::ManuallyDrop, ops::Deref};

/// A mark that a process bears and its children don't.
///
/// One page that the kernel wipes in every child (`MADV_WIPEONFORK`). Unlike a `pthread_atfork`
/// handler it needs no list of live engines, and it also works for a raw `clone`.
#[derive(Debug)]
pub(crate) struct ForkMark(MmapRaw);

const BORNE: u8 = 1;

impl ForkMark {
    pub(crate) fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapOptions::new().len(1).map_anon()?);
        // SAFETY: the page is ours alone and holds nothing yet.
        match unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) } {
            0 => {}
            _ => return Err(io::Error::last_os_error()),
        }
        // SAFETY: the page is writable, and nobody else knows it yet.
        unsafe { page.as_mut_ptr().write(BORNE) };
        Ok(Self(page))
    }

    /// Whether this process was forked from the one that made the mark.
    #[inline]
    pub(crate) fn is_in_child(&self) -> bool {
        // SAFETY: the page is mapped while `self` lives, and is written only before it is shared.
        unsafe { self.0.as_ptr().read() != BORNE }
    }
}

/// A mapping that this process's forked children don't have. Something else may lie at its place there:
/// a child must not touch it, and never unmaps it.
#[derive(Debug)]
pub(crate) struct HiddenMap {
    map: ManuallyDrop<MmapRaw>,
    mark: ForkMark,
}

impl HiddenMap {
    pub(crate) fn new(map: MmapRaw) -> io::Result<Self> {
        let mark = ForkMark::new()?;
        memory::hide_from_children(&map);
        Ok(Self { map: ManuallyDrop::new(map), mark })
    }

    /// Whether this process is one that does not have it.
    #[inline]
    pub(crate) fn is_in_child(&self) -> bool {
        self.mark.is_in_child()
    }
}

impl Deref for HiddenMap {
    type Target = MmapRaw;
    #[inline]
    fn deref(&self) -> &MmapRaw {
        &self.map
    }
}

impl Drop for HiddenMap {
    fn drop(&mut self) {
        if !self.is_in_child() {
            // SAFETY: dropped once, and not used any more.
            unsafe { ManuallyDrop::drop(&mut self.map) };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_made_the_mark_bears_it() {
        assert!(!ForkMark::new().unwrap().is_in_child());
    }
}
