//! Memory that several processes map: memfds, and what becomes of them in forked children.

use super::io::ByteLimit;
use memmap2::{MmapOptions, MmapRaw};
use nix::{
    fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl},
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
    grow(&file, size)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
    Ok(file)
}

/// Whether this process has mapped a memfd of that name.
pub(crate) fn is_mapped(name: &str) -> io::Result<bool> {
    // Not text: names of files may be anything.
    let mappings = std::fs::read("/proc/self/maps")?;
    let name = format!("/memfd:{name} (deleted)");
    Ok(mappings.split(|byte| *byte == b'\n').any(|line| line.ends_with(name.as_bytes())))
}

/// Makes a file larger.
pub(crate) fn grow(file: &File, size: u64) -> io::Result<()> {
    check_file_size(size)?;
    file.set_len(size)
}

/// Errs if this process may make no file of that size: to try it would raise SIGXFSZ.
pub(crate) fn check_file_size(size: u64) -> io::Result<()> {
    match ByteLimit::FileSize.get() {
        Some(limit) if size > limit => Err(io::Error::from_raw_os_error(libc::EFBIG)),
        _ => Ok(()),
    }
}

/// Makes an empty memfd that can grow, but that nobody can shrink: what was inside stays inside. It
/// is closed by exec.
pub(crate) fn create_growing_memfd(name: &str) -> io::Result<File> {
    let file = File::from(memfd_create(name, MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC)?);
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
    Ok(file)
}

/// Whether the file is a memfd that nobody can shrink, so that its present size stays readable.
pub(crate) fn cannot_shrink(file: &File) -> bool {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(SealFlag::F_SEAL_SHRINK))
}

/// Maps more of a file than there is yet: `size` bytes of addresses, of which those inside the file
/// may be touched.
pub(crate) fn map_ahead(fd: BorrowedFd<'_>, size: usize) -> io::Result<MmapRaw> {
    let map = MmapOptions::new().len(size).no_reserve_swap().map_raw(fd.as_raw_fd())?;
    advise(&map, libc::MADV_DONTDUMP);
    Ok(map)
}

/// Maps `size` bytes of a file for reading.
pub(crate) fn map_read_only(fd: BorrowedFd<'_>, size: usize) -> io::Result<MmapRaw> {
    let map = MmapOptions::new().len(size).map_raw_read_only(fd.as_raw_fd())?;
    advise(&map, libc::MADV_DONTDUMP);
    Ok(map)
}

/// Gives the memory behind a range of whole pages back; they read as zeros.
pub(crate) fn punch_hole(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let too_large = |_| io::Error::from_raw_os_error(libc::EFBIG);
    let (offset, len) = (offset.try_into().map_err(too_large)?, len.try_into().map_err(too_large)?);
    Ok(fallocate(file, mode, offset, len)?)
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
    stat(fd).map(|stat| u64::try_from(stat.st_size).unwrap_or(0))
}

/// Which file it is: device and inode.
pub(crate) type FileId = (u64, u64);

/// Which file is behind a descriptor.
pub(crate) fn file_id(fd: RawFd) -> io::Result<FileId> {
    stat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

fn stat(fd: RawFd) -> io::Result<libc::stat> {
    // SAFETY: all-zero is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writes; a bad descriptor is an error.
    match unsafe { libc::fstat(fd, &raw mut stat) } {
        0 => Ok(stat),
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
