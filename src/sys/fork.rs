//! Telling a process from the children that user code forks from it (`os.fork`, `multiprocessing`).

use super::memory;
use crate::sync::{AtomicU32, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use std::{io, mem::ManuallyDrop, ops::Deref};

/// A mark that a process bears and its children don't.
///
/// One page that the kernel wipes in every child (`MADV_WIPEONFORK`). Unlike a `pthread_atfork`
/// handler it needs no list of live engines, and it also works for a raw `clone`.
///
/// Its word is 0 in a child; else 1, and more for every [`Self::raise`]: one look tells whether there is
/// anything unusual.
#[derive(Debug)]
pub(crate) struct ForkMark(MmapRaw);

const BORNE: u32 = 1;

impl ForkMark {
    pub(crate) fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapOptions::new().len(size_of::<AtomicU32>()).map_anon()?);
        // SAFETY: the page is ours alone and holds nothing yet.
        match unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) } {
            0 => {}
            _ => return Err(io::Error::last_os_error()),
        }
        let mark = Self(page);
        // Relaxed: whatever hands the mark to other threads publishes it.
        mark.word().store(BORNE, Ordering::Relaxed);
        Ok(mark)
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped while `self` lives, long enough and aligned; an atomic from the start.
        unsafe { &*self.0.as_ptr().cast::<AtomicU32>() }
    }

    /// Whether this process made the mark, and nobody has raised it.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        // Relaxed: a thread sees its own changes, and those of others do not concern it.
        self.word().load(Ordering::Relaxed) == BORNE
    }

    /// Whether this process was forked from the one that made the mark.
    #[inline]
    pub(crate) fn is_in_child(&self) -> bool {
        // Relaxed: the kernel wipes it before the child runs.
        self.word().load(Ordering::Relaxed) == 0
    }

    /// Until [`Self::lower`] the mark is not plain. Not in a child.
    pub(crate) fn raise(&self) {
        // Relaxed: as in `is_plain`.
        self.word().fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one [`Self::raise`] back, in the same process.
    pub(crate) fn lower(&self) {
        // Relaxed: as in `is_plain`.
        self.word().fetch_sub(1, Ordering::Relaxed);
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
    fn the_process_that_made_the_mark_bears_it_plain_unless_it_is_raised() {
        let mark = ForkMark::new().unwrap();
        assert!(!mark.is_in_child() && mark.is_plain());
        mark.raise();
        mark.raise();
        mark.lower();
        assert!(!mark.is_in_child() && !mark.is_plain());
        mark.lower();
        assert!(!mark.is_in_child() && mark.is_plain());
    }
}
