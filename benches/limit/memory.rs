//! The memory of a pair: what both see, and each side's own buffers.

use std::cell::UnsafeCell;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::play::Task;

/// The longest message, in bytes.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// The shared staging area of one direction.
pub(super) const STAGING: usize = 2 << 20;

/// Cells of one direction: a flag for each piece of 2 KiB that fits the staging area.
pub(super) const CELLS: usize = STAGING / (2 << 10);

/// A word on cache lines of its own (two: the adjacent line is fetched with it).
#[repr(C, align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// One cache line: a sequence word and a small payload beside it.
#[repr(C, align(64))]
pub(super) struct Cell {
    pub(super) sequence: AtomicU64,
    pub(super) payload: [AtomicU64; 7],
}

/// One direction.
///
/// | word | writer | meaning |
/// | --- | --- | --- |
/// | `cells` | sender | number of the piece or message in a slot, and a small one itself |
/// | `head` | receiver | how many it has taken |
/// | `written` | sender | how many messages it has written its half of |
/// | `begun` | receiver | how many receives it has begun |
/// | `acknowledged` | receiver | how many windows of a stream it has taken |
/// | `met` | sender | how many meetings it has come to |
/// | `wake` | sender | whose turn it is; a futex on which the receiver sleeps |
#[repr(C)]
pub(super) struct Way {
    pub(super) cells: [Cell; CELLS],
    pub(super) head: Padded<AtomicU64>,
    pub(super) written: Padded<AtomicU64>,
    pub(super) begun: Padded<AtomicU64>,
    pub(super) acknowledged: Padded<AtomicU64>,
    pub(super) met: Padded<AtomicU64>,
    pub(super) wake: Padded<AtomicU32>,
}

/// What both processes share beside bulk data. All zero is its first state.
#[repr(C)]
pub(super) struct Control {
    /// Commands given; a futex on which the partner sleeps. Written by the first side.
    pub(super) commanded: Padded<AtomicU32>,
    /// Commands done. Written by the second side.
    pub(super) done: Padded<AtomicU32>,
    /// Payloads that arrived wrong, since the start; counted by both sides.
    pub(super) wrong: Padded<AtomicU64>,
    /// Kernel copies refused, counted by both sides.
    pub(super) refused: Padded<AtomicU64>,
    /// The command: written by the first side while the second sleeps.
    pub(super) task: Padded<UnsafeCell<MaybeUninit<Task>>>,
    /// First to second, second to first.
    pub(super) ways: [Way; 2],
}

/// An anonymous mapping, unmapped when dropped.
pub(super) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn new(bytes: usize, sharing: libc::c_int) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no other memory.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, sharing | libc::MAP_ANONYMOUS, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mmap gave address 0"))?;
        Ok(Mapping { base, bytes })
    }

    pub(super) fn shared(bytes: usize) -> io::Result<Mapping> {
        Mapping::new(bytes, libc::MAP_SHARED)
    }

    fn private(bytes: usize) -> io::Result<Mapping> {
        Mapping::new(bytes, libc::MAP_PRIVATE)
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made; whoever drops it has no reference into it left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// All mappings of a pair, made before the fork, so that they have the same addresses on both sides.
pub(super) struct Memory {
    control: Mapping,
    /// By direction: where the sender leaves pieces for the receiver.
    pub(super) staging: [Mapping; 2],
    /// By direction: a send buffer that the receiver can read.
    pub(super) loans: [Mapping; 2],
    /// Each side's own send buffer: the same address, other pages.
    pub(super) send: Mapping,
    /// Each side's own receive buffer.
    pub(super) receive: Mapping,
}

impl Memory {
    pub(super) fn new() -> io::Result<Memory> {
        Ok(Memory {
            control: Mapping::shared(size_of::<Control>())?,
            staging: [Mapping::shared(STAGING)?, Mapping::shared(STAGING)?],
            loans: [Mapping::shared(MAX_BYTES)?, Mapping::shared(MAX_BYTES)?],
            send: Mapping::private(MAX_BYTES)?,
            receive: Mapping::private(MAX_BYTES)?,
        })
    }

    pub(super) fn control(&self) -> &Control {
        // SAFETY: the mapping is large enough, page-aligned, zero (a valid Control) when made, and lives as long as
        // self; every field is atomic or an UnsafeCell.
        unsafe { self.control.base.cast::<Control>().as_ref() }
    }
}
