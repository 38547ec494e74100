//! [`SharedBuffer`]: elements in the rank's arena, which peers read in place.

use super::{Owned, Plain};
use crate::shm::arena::Arena;
use bytemuck::Zeroable;
use std::{
    fmt, io,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    sync::Arc,
};

/// A slice of its own in memory that the other ranks can read: a message from it is copied once, by its
/// receiver. Made by [`Communicator::alloc`](crate::Communicator::alloc).
///
/// Use it like a `Box<[T]>`. It may outlive the universe. In a process made by fork it is empty.
///
/// ```
/// # ringmpi::threads(1, |world| {
/// let mut buffer = world.alloc::<f64>(1000)?;
/// buffer[..2].copy_from_slice(&[0.5, 1.5]);
/// // It is sent as any buffer, and comes back.
/// let sending = world.process_at_rank(0).immediate_send(buffer)?;
/// # use ringmpi::Source;
/// # world.process_at_rank(0).receive_vec::<f64>()?;
/// let buffer = sending.wait()?;
/// assert_eq!(buffer.iter().sum::<f64>(), 2.0);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 9.2: what `MPI_Alloc_mem` is for.
pub struct SharedBuffer<T: Plain> {
    start: NonNull<T>,
    len: usize,
    arena: Arc<Arena>,
}

// SAFETY: like a `Box<[T]>`; the arena may be used from any thread.
unsafe impl<T: Plain + Send> Send for SharedBuffer<T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for SharedBuffer<T> {}

impl<T: Plain + Zeroable> SharedBuffer<T> {
    /// `len` elements whose bytes are zero.
    pub(crate) fn zeroed(arena: Arc<Arena>, len: usize) -> io::Result<Self> {
        const { assert!(align_of::<T>() <= 64, "the arena aligns to 64 bytes") };
        let bytes = len.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let start = arena.allocate(bytes as u64)?.cast();
        Ok(Self { start, len, arena })
    }
}

impl<T: Plain> SharedBuffer<T> {
    /// How many elements there are for this process.
    #[inline]
    fn reachable(&self) -> usize {
        if self.arena.is_in_child() { 0 } else { self.len }
    }
}

impl<T: Plain> Deref for SharedBuffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: allocated for `len` elements, zeroed, which `T: Zeroable` takes for values, and
        // written by the owner alone: peers only read.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.reachable()) }
    }
}

impl<T: Plain> DerefMut for SharedBuffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.reachable()) }
    }
}

impl<T: Plain> Drop for SharedBuffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated with this size in `zeroed`, and freed once.
        unsafe { self.arena.free(self.start.cast(), (self.len * size_of::<T>()) as u64) };
    }
}

// SAFETY: the memory is in the arena, which the word keeps, and does not move with the handle. The
// number of elements stays.
unsafe impl<T: Plain> Owned for SharedBuffer<T> {
    type Item = T;
    fn into_parts(self) -> (*mut T, usize, usize) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is never used or dropped again, so that the reference is taken once.
        let arena = unsafe { ptr::read(&raw const this.arena) };
        (this.start.as_ptr(), this.len, Arc::into_raw(arena).expose_provenance())
    }
    unsafe fn from_parts((start, len, arena): (*mut T, usize, usize)) -> Self {
        let start = NonNull::new(start).expect("the parts of a shared buffer");
        // SAFETY: made by `Arc::into_raw` in `into_parts`, once, by the caller.
        let arena = unsafe { Arc::from_raw(ptr::with_exposed_provenance(arena)) };
        Self { start, len, arena }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for SharedBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
