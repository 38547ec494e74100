//! Arenas: memory of a rank that its peers read where it lies.
//!
//! An [`Arena`] is a memfd that its rank makes at first use and grows on demand. It is no region of
//! the segment, and too many for the segment's directory: the rank's slot names the descriptor, and a
//! peer opens it through `/proc` as a [`RemoteArena`], for reading only. The file can't shrink, so
//! that what a peer has found inside stays readable; a peer checks every offset against the size that
//! the kernel reports, not against what a packet says.
//!
//! Free memory is all zeros: whole pages are given back to the kernel, the rest is overwritten.

use super::far::Span;
use crate::sys::{fork::HiddenMap, memory};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, AsRawFd, RawFd},
        unix::fs::{FileExt, OpenOptionsExt},
    },
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What the kernel lists its memfd as.
const NAME: &str = "ringmpi-arena";

/// Whether this process has an arena, its own or a peer's, mapped.
pub(crate) fn is_any_mapped() -> io::Result<bool> {
    memory::is_mapped(NAME)
}

const PAGE: u64 = 4096;
/// Allocations of less than a page are multiples of this, and aligned to it.
const LINE: u64 = 64;
/// The file grows to at least this.
const FIRST_SIZE: u64 = 1 << 20;
/// Addresses that an arena takes, if the process may have so many; they cost nothing.
const RESERVED: usize = 1 << 38;
const RESERVED_MIN: usize = 1 << 26;

/// What the first line of an arena says, so that a peer that has opened some other file finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArenaId {
    /// The segment's nonce.
    pub(crate) nonce: u64,
    /// The rank whose arena it is.
    pub(crate) rank: u32,
}

impl ArenaId {
    const BYTES: usize = 16;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.nonce.to_le_bytes());
        bytes[8..].copy_from_slice(&(u64::from(self.rank) + 1).to_le_bytes());
        bytes
    }
}

/// A rank's own arena.
pub(crate) struct Arena {
    file: File,
    map: HiddenMap,
    space: Mutex<Space>,
}

impl Arena {
    pub(crate) fn new(id: ArenaId) -> io::Result<Self> {
        let file = memory::create_growing_memfd(NAME)?;
        memory::grow(&file, FIRST_SIZE)?;
        file.write_all_at(&id.to_bytes(), 0)?;
        let sizes = std::iter::successors(Some(RESERVED), |size| Some(size / 2));
        let mut maps =
            sizes.take_while(|size| *size >= RESERVED_MIN).map(|size| memory::map_ahead(file.as_fd(), size));
        let first = maps.next().expect("RESERVED is more than RESERVED_MIN");
        let map = first.or_else(|error| maps.find_map(Result::ok).ok_or(error))?;
        let space = Mutex::new(Space::new(LINE, FIRST_SIZE));
        Ok(Self { file, map: HiddenMap::new(map)?, space })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Whether this process was forked from the rank's: it has handles, but not the memory.
    #[inline]
    pub(crate) fn is_in_child(&self) -> bool {
        self.map.is_in_child()
    }

    /// Zeroed memory of `bytes` bytes, aligned to a page if it is as large, else to 64 bytes.
    pub(crate) fn allocate(&self, bytes: u64) -> io::Result<NonNull<u8>> {
        let too_large = || io::Error::from(ErrorKind::OutOfMemory);
        let (len, alignment) = block(bytes).ok_or_else(too_large)?;
        let mut space = self.space();
        let offset = loop {
            if let Some(offset) = space.take(len, alignment) {
                break offset;
            }
            let size = space.grown(len).filter(|&size| size <= self.map.len() as u64);
            let size = size.ok_or_else(too_large)?;
            memory::grow(&self.file, size)?;
            space.grow(size);
        };
        Ok(self.at(offset))
    }

    /// Takes back what `allocate` gave for `bytes` bytes. Nobody may use it any more.
    ///
    /// # Safety
    /// `start` must come from `allocate(bytes)`, and be freed once.
    pub(crate) unsafe fn free(&self, start: NonNull<u8>, bytes: u64) {
        if self.is_in_child() {
            return;
        }
        let (len, _) = block(bytes).expect("as it was allocated");
        let offset = self.offset_of(start.as_ptr() as u64, len).expect("inside, as it was allocated");
        let mut space = self.space();
        let hole = space.give_back(offset, len);
        let (first, last) = (hole.0.next_multiple_of(PAGE), (hole.0 + hole.1) / PAGE * PAGE);
        let is_punched = first < last && memory::punch_hole(&self.file, first, last - first).is_ok();
        // What lies in pages that others use too, or all of it, is overwritten.
        let (first, last) = if is_punched { (first, last) } else { (u64::MAX, u64::MAX) };
        self.clear(offset, (offset + len).min(first));
        self.clear(offset.max(last), offset + len);
    }

    /// Overwrites freed bytes with zeros.
    fn clear(&self, from: u64, to: u64) {
        if from < to {
            // SAFETY: inside the file, by the caller, and free: nobody uses it.
            unsafe { self.at(from).write_bytes(0, (to - from) as usize) };
        }
    }

    /// Where memory lies in the arena, if all of it does.
    #[inline]
    pub(crate) fn offset_of(&self, address: u64, bytes: u64) -> Option<u64> {
        let offset = address.checked_sub(self.map.as_ptr() as u64)?;
        let end = offset.checked_add(bytes)?;
        (end <= self.map.len() as u64).then_some(offset)
    }

    fn at(&self, offset: u64) -> NonNull<u8> {
        let start = NonNull::new(self.map.as_mut_ptr()).expect("a mapping is not null");
        // SAFETY: offsets come from `space`, which has none beyond the mapping.
        unsafe { start.add(offset as usize) }
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length and alignment of the block for an allocation.
fn block(bytes: u64) -> Option<(u64, u64)> {
    let alignment = if bytes < PAGE { LINE } else { PAGE };
    Some((bytes.max(1).checked_next_multiple_of(alignment)?, alignment))
}

/// The free parts of an arena: first fit, and neighbours are merged.
struct Space {
    size: u64,
    /// Offset and length, none next to another.
    free: BTreeMap<u64, u64>,
}

impl Space {
    fn new(start: u64, size: u64) -> Self {
        Self { size, free: BTreeMap::from([(start, size - start)]) }
    }

    fn take(&mut self, len: u64, alignment: u64) -> Option<u64> {
        let fits = |(&start, &room): (&u64, &u64)| {
            let offset = start.next_multiple_of(alignment);
            (offset + len <= start + room).then_some((start, room, offset))
        };
        let (start, room, offset) = self.free.iter().find_map(fits)?;
        self.free.remove(&start);
        let (before, after) = (offset - start, start + room - offset - len);
        if before > 0 {
            self.free.insert(start, before);
        }
        if after > 0 {
            self.free.insert(offset + len, after);
        }
        Some(offset)
    }

    /// Adds a part; returns the free part that it lies in now.
    fn give_back(&mut self, offset: u64, len: u64) -> (u64, u64) {
        let (mut start, mut end) = (offset, offset + len);
        if let Some((&before, &room)) = self.free.range(..offset).next_back()
            && before + room == offset
        {
            start = before;
        }
        if let Some(after) = self.free.remove(&end) {
            end += after;
        }
        self.free.insert(start, end - start);
        (start, end - start)
    }

    /// The size after growing for `len` bytes: at least doubled.
    fn grown(&self, len: u64) -> Option<u64> {
        let needed = self.size.checked_add(len)?.checked_add(PAGE)?;
        needed.max(self.size.checked_mul(2)?).checked_next_multiple_of(PAGE)
    }

    fn grow(&mut self, size: u64) {
        let old = std::mem::replace(&mut self.size, size);
        self.give_back(old, size - old);
    }
}

/// A peer's arena, as far as it has been looked into.
pub(crate) struct RemoteArena {
    file: File,
    map: HiddenMap,
}

impl RemoteArena {
    /// Opens descriptor `fd` of process `pid`, and checks that it is the arena that is meant.
    pub(crate) fn open(pid: i32, fd: RawFd, id: ArenaId) -> io::Result<Self> {
        // The number comes from the peer: not to wait should it be a pipe's.
        let mut options = File::options();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(format!("/proc/{pid}/fd/{fd}"))?;
        let mut found = [0; ArenaId::BYTES];
        file.read_exact_at(&mut found, 0)?;
        if found != id.to_bytes() || !memory::cannot_shrink(&file) {
            return Err(io::Error::new(ErrorKind::InvalidData, "another file than the rank's arena"));
        }
        let map = Self::map(&file)?;
        Ok(Self { file, map })
    }

    /// All of the file as it is now.
    fn map(file: &File) -> io::Result<HiddenMap> {
        let size = memory::file_size(file.as_raw_fd())?;
        let size = usize::try_from(size).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
        HiddenMap::new(memory::map_read_only(file.as_fd(), size)?)
    }

    /// Bytes of the arena, to copy from; None if they lie outside.
    pub(crate) fn span(&mut self, offset: u64, bytes: u64) -> Option<Span<'_>> {
        let end = usize::try_from(offset.checked_add(bytes)?).ok()?;
        if end > self.map.len() {
            self.map = Self::map(&self.file).ok().filter(|map| end <= map.len())?;
        }
        let start = NonNull::new(self.map.as_mut_ptr())?;
        // SAFETY: inside the mapping, by the check.
        let start = unsafe { start.add(offset as usize) };
        // SAFETY: as above; the mapping is inside the file, which can't shrink, and lives as long as
        // the borrow of `self`.
        Some(unsafe { Span::new(start, bytes as usize) })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::process::own_pid;

    const ID: ArenaId = ArenaId { nonce: 77, rank: 3 };

    fn bytes_at(arena: &Arena, start: NonNull<u8>, len: u64) -> Vec<u8> {
        let mut remote = RemoteArena::open(own_pid(), arena.fd(), ID).unwrap();
        let offset = arena.offset_of(start.as_ptr() as u64, len).unwrap();
        let mut bytes = vec![];
        append(&mut bytes, remote.span(offset, len).unwrap());
        bytes
    }

    fn append(to: &mut Vec<u8>, span: Span<'_>) {
        // SAFETY: the span is mapped, and nobody writes it meanwhile.
        to.extend_from_slice(unsafe { std::slice::from_raw_parts(span.as_ptr(), span.len()) });
    }

    #[test]
    fn blocks_are_aligned_zero_and_apart_also_when_reused() {
        let arena = Arena::new(ID).unwrap();
        let sizes = [0, 1, 63, 64, 65, 4095, 4096, 4097, 100_000, 3 << 20, 1];
        for round in 0..20 {
            let mut taken: Vec<(u64, u64, NonNull<u8>)> = vec![];
            for turn in 0..sizes.len() {
                let bytes = sizes[(turn * 7 + round) % sizes.len()];
                let start = arena.allocate(bytes).unwrap();
                let address = start.as_ptr() as u64;
                let alignment = if bytes < 4096 { 64 } else { 4096 };
                assert!(address.is_multiple_of(alignment), "{bytes} bytes at {address:#x}");
                assert!(bytes_at(&arena, start, bytes).iter().all(|byte| *byte == 0), "{bytes} bytes");
                let is_apart =
                    |(other, len, _): &(u64, u64, _)| address + bytes <= *other || other + len <= address;
                assert!(taken.iter().all(is_apart), "{bytes} bytes at {address:#x}");
                // SAFETY: just allocated.
                unsafe { start.write_bytes(0xff, bytes as usize) };
                taken.push((address, bytes.max(1), start));
            }
            for turn in 0..taken.len() {
                let (_, _, start) = taken[(turn * 3 + round) % taken.len()];
                let bytes = sizes[((turn * 3 + round) % taken.len() * 7 + round) % sizes.len()];
                // SAFETY: allocated above with this size; 3 and 11 have no common factor.
                unsafe { arena.free(start, bytes) };
            }
            let space = arena.space();
            assert_eq!(space.free, BTreeMap::from([(LINE, space.size - LINE)]));
        }
    }

    #[test]
    fn freed_pages_go_back_to_the_kernel() {
        let arena = Arena::new(ID).unwrap();
        let blocks = |arena: &Arena| std::os::unix::fs::MetadataExt::blocks(&arena.file.metadata().unwrap());
        let before = blocks(&arena);
        let start = arena.allocate(1 << 20).unwrap();
        // SAFETY: just allocated.
        unsafe { start.write_bytes(1, 1 << 20) };
        assert!(blocks(&arena) > before + 1000);
        // SAFETY: allocated above.
        unsafe { arena.free(start, 1 << 20) };
        assert_eq!(blocks(&arena), before);
    }

    #[test]
    fn a_peer_sees_what_was_written_also_after_the_arena_has_grown() {
        let arena = Arena::new(ID).unwrap();
        let mut remote = RemoteArena::open(own_pid(), arena.fd(), ID).unwrap();
        let start = arena.allocate(5 << 20).unwrap();
        // SAFETY: the last byte of what was just allocated.
        let last_byte = unsafe { start.add((5 << 20) - 1) };
        // SAFETY: nobody else uses the memory.
        unsafe { last_byte.write(9) };
        let offset = arena.offset_of(start.as_ptr() as u64, 5 << 20).unwrap();
        let mut last = vec![];
        append(&mut last, remote.span(offset + (5 << 20) - 1, 1).unwrap());
        assert_eq!(last, [9]);
    }

    #[test]
    fn a_peer_reads_nothing_outside_and_opens_no_other_file() {
        let arena = Arena::new(ID).unwrap();
        let mut remote = RemoteArena::open(own_pid(), arena.fd(), ID).unwrap();
        let size = memory::file_size(arena.fd()).unwrap();
        for (offset, bytes) in [(size, 1), (size - 1, 2), (u64::MAX, 1), (1, u64::MAX), (1 << 62, 1 << 62)] {
            assert!(remote.span(offset, bytes).is_none(), "{bytes} bytes at {offset}");
        }
        let other = ArenaId { rank: 4, ..ID };
        assert!(RemoteArena::open(own_pid(), arena.fd(), other).is_err());
        assert!(RemoteArena::open(own_pid(), -1, ID).is_err());
        assert!(RemoteArena::open(0, arena.fd(), ID).is_err());
        let unsealed = unsealed_file();
        assert!(RemoteArena::open(own_pid(), unsealed.as_raw_fd(), ID).is_err());
    }

    /// A file with the right first line that could shrink.
    fn unsealed_file() -> File {
        let file = File::from(
            nix::sys::memfd::memfd_create("other", nix::sys::memfd::MFdFlags::MFD_ALLOW_SEALING).unwrap(),
        );
        file.write_all_at(&ID.to_bytes(), 0).unwrap();
        file
    }

    #[test]
    fn more_than_there_are_addresses_is_an_error() {
        let arena = Arena::new(ID).unwrap();
        for bytes in [1 << 50, u64::MAX / 2, u64::MAX] {
            assert_eq!(arena.allocate(bytes).unwrap_err().kind(), ErrorKind::OutOfMemory);
        }
        assert!(arena.allocate(1).is_ok());
    }
}
