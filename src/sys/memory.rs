//! Memory that several processes map: memfds, and what becomes of them in forked children.

use memmap2::{MmapOptions, MmapRaw};
use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};
use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
};

/// Makes a memfd of `size` bytes. It survives exec, and nobody can shrink or grow it, so that no
/// access to the mapping can raise SIGBUS.
pub(crate) fn create_memfd(name: &str, size: u64) -> io::Result<File> {
    let file = File::from(memfd_create(name, MFdFlags::MFD_ALLOW_SEALING)?);
    file.set_len(size)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
    Ok(file)
}

/// Maps `size` bytes of a file, shared. Pages come into being when they are touched.
pub(crate) fn map_shared(fd: BorrowedFd<'_>, size: usize) -> io::Result<MmapRaw> {
    let map = MmapOptions::new().len(size).map_raw(fd.as_raw_fd())?;
    advise(&map, libc::MADV_DONTDUMP);
    Ok(map)
}

/// Maps `size` bytes of zeroes that only this process sees, with the pages as above: an allocator may
/// hand out old pages and clear every byte.
pub(crate) fn map_private(size: usize) -> io::Result<MmapRaw> {
    MmapOptions::new().len(size).map_anon().map(MmapRaw::from)
}

/// Keeps a mapping out of children made by fork: they are no ranks, and must not act as one.
pub(crate) fn hide_from_children(map: &MmapRaw) {
    advise(map, libc::MADV_DONTFORK);
}

fn advise(map: &MmapRaw, advice: i32) {
    // Advice that the kernel does not know is no error of ours: it only saves core-dump space, or
    // guards a child that must not touch the mapping anyway.
    // SAFETY: the range is one live mapping of ours; neither advice changes its contents.
    unsafe { libc::madvise(map.as_mut_ptr().cast(), map.len(), advice) };
}

/// The size of the file behind a descriptor that another process may have named.
pub(crate) fn file_size(fd: RawFd) -> io::Result<u64> {
    // SAFETY: all-zero is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writes; a bad descriptor is an error.
    match unsafe { libc::fstat(fd, &raw mut stat) } {
        0 => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_memfd_cannot_be_shrunk_under_its_mapping() {
        let file = create_memfd("ringmpi-test", 8192).unwrap();
        assert!(file.set_len(4096).is_err());
        assert!(file.set_len(16384).is_err());
        assert_eq!(file_size(file.as_raw_fd()).unwrap(), 8192);
        assert_eq!(map_shared(file.as_fd(), 8192).unwrap().len(), 8192);
    }
}
