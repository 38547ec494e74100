//! Typed memory: which values may travel, and how slices and owned buffers become bytes.

use super::{Keep, ReceiveBytes, SendBytes};
use crate::error::{Error, ErrorClass, Result};
use bytemuck::{CheckedBitPattern, NoUninit};
use std::{
    any::TypeId,
    mem::{ManuallyDrop, MaybeUninit},
    ptr::NonNull,
};

/// Plain data: no padding bytes leave the process, no invalid value comes out of it.
///
/// Every type with bytemuck's [`NoUninit`] and [`CheckedBitPattern`] is one: numbers, arrays of
/// them, `bool`, `char`, and your own `repr(C)` structs and enums that derive the two.
///
/// ```
/// use ringmpi::{Communicator, Plain, Result, Source};
///
/// /// Of any element type.
/// fn echo<T: Plain>(world: &Communicator<'_>, data: &[T]) -> Result<Vec<T>> {
///     let myself = world.process_at_rank(world.rank());
///     myself.buffered_send(data)?;
///     Ok(myself.receive_vec()?.0)
/// }
/// # ringmpi::threads(1, |world| {
/// #     assert_eq!(echo(&world, &[[1u8, 2], [3, 4]]).unwrap(), [[1, 2], [3, 4]]);
/// # })?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// A type with bytes that mean nothing, or that refers to memory, is none:
///
/// ```compile_fail,E0277
/// # fn f(world: ringmpi::Communicator<'_>) {
/// let _ = world.all_gather(&["text"]);
/// # }
/// ```
///
/// # Standard
/// MPI 5.0, 3.2.2: what the datatype argument is elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain data, so it cannot travel in a message",
    label = "has padding, pointers, or no `repr(C)`",
    note = "`cargo add bytemuck --features derive`, then `#[derive(Clone, Copy, NoUninit, CheckedBitPattern)] #[repr(C)]`; \
            fill padding with explicit fields; instead of a tuple send a struct"
)]
pub trait Plain: NoUninit + CheckedBitPattern {}

#[diagnostic::do_not_recommend]
impl<T: NoUninit + CheckedBitPattern> Plain for T {}

/// Whether every bit pattern is a value, so that messages may be received in place. Others are
/// received aside and checked.
#[inline]
pub(crate) fn any_bits<T: Plain>() -> bool {
    TypeId::of::<T>() == TypeId::of::<T::Bits>()
}

/// A buffer that the engine may hold while its handle moves, or is forgotten.
///
/// ```
/// use ringmpi::{Communicator, Owned, Request, Result, Source};
/// # ringmpi::threads(1, |world| {
///
/// /// Of a vector, a boxed slice or a `SharedBuffer`.
/// fn come_back<'c, B: Owned>(world: &'c Communicator<'_>, buffer: B) -> Result<Request<'c, B>> {
///     world.process_at_rank(world.rank()).immediate_send(buffer)
/// }
/// # let sending = come_back(&world, vec![1u8].into_boxed_slice())?;
/// # assert_eq!(world.any_process().receive::<u8>()?.0, 1);
/// # assert_eq!(*sending.wait()?, [1]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Safety
/// The memory that `into_parts` gives (start, elements, a word of the type's own, such as a vector's
/// capacity) stays valid and unaliased until `from_parts` takes it back, wherever the value was moved
/// before. It starts at no address that is the last aligned one there is. A buffer whose request was dropped is
/// dropped when its operation ends: on any thread, and in the midst of ringmpi, so that dropping it must neither
/// call ringmpi nor panic.
///
/// # Standard
/// MPI 5.0, 3.7.2: the buffer of a nonblocking operation, which stays until it has completed.
pub unsafe trait Owned: 'static + Sized {
    /// What the buffer holds.
    ///
    /// ```
    /// use ringmpi::Owned;
    ///
    /// /// The bytes of a message of so many elements.
    /// fn bytes<B: Owned>(count: usize) -> usize {
    ///     count * size_of::<B::Item>()
    /// }
    /// assert_eq!(bytes::<Vec<f64>>(3), 24);
    /// ```
    type Item: Plain;
    /// Takes the buffer apart: start, elements, and what else it needs to be put together again.
    ///
    /// ```
    /// use ringmpi::Owned;
    /// let (start, elements, capacity) = Vec::<u16>::with_capacity(8).into_parts();
    /// assert!(start.is_aligned() && capacity >= 8);
    /// assert_eq!(elements, 0);
    /// // SAFETY: the parts of the vector, for the first time.
    /// drop(unsafe { Vec::from_parts((start, elements, capacity)) });
    /// ```
    fn into_parts(self) -> (*mut Self::Item, usize, usize);
    /// Puts a buffer together again.
    ///
    /// ```
    /// use ringmpi::Owned;
    /// let (start, _, capacity) = vec![7u8, 8, 9].into_parts();
    /// // SAFETY: the vector's parts, for the first time, and its first two elements.
    /// let front: Vec<u8> = unsafe { Owned::from_parts((start, 2, capacity)) };
    /// assert_eq!(front, [7, 8]);
    /// ```
    ///
    /// # Safety
    /// The parts are those of `into_parts`, once only. Of a vector the number of elements may have
    /// changed: so many are initialised, and no more than its capacity.
    unsafe fn from_parts(parts: (*mut Self::Item, usize, usize)) -> Self;
}

// SAFETY: a vector's memory is on the heap and does not move with the handle.
unsafe impl<T: Plain> Owned for Vec<T> {
    type Item = T;
    #[inline]
    fn into_parts(self) -> (*mut T, usize, usize) {
        let mut this = ManuallyDrop::new(self);
        (this.as_mut_ptr(), this.len(), this.capacity())
    }
    #[inline]
    unsafe fn from_parts((start, len, capacity): (*mut T, usize, usize)) -> Self {
        // SAFETY: the parts of a vector, by the caller.
        unsafe { Self::from_raw_parts(start, len, capacity) }
    }
}

// SAFETY: as for a vector.
unsafe impl<T: Plain> Owned for Box<[T]> {
    type Item = T;
    #[inline]
    fn into_parts(self) -> (*mut T, usize, usize) {
        let len = self.len();
        (Box::into_raw(self).cast(), len, len)
    }
    #[inline]
    unsafe fn from_parts((start, len, _): (*mut T, usize, usize)) -> Self {
        // SAFETY: the parts of a boxed slice, by the caller.
        unsafe { Self::from_raw(std::ptr::slice_from_raw_parts_mut(start, len)) }
    }
}

// SAFETY: there is no memory.
unsafe impl Owned for () {
    type Item = u8;
    fn into_parts(self) -> (*mut u8, usize, usize) {
        (NonNull::dangling().as_ptr(), 0, 0)
    }
    unsafe fn from_parts(_: (*mut u8, usize, usize)) -> Self {}
}

/// An address at which no buffer begins: an element there would end where addresses do.
fn nowhere<T>() -> *mut T {
    std::ptr::without_provenance_mut(align_of::<T>().wrapping_neg())
}

/// What only some of the ranks have: the result of a gather, say.
// SAFETY: the buffer's, if there is one; none is told by an address that no buffer has.
unsafe impl<B: Owned> Owned for Option<B> {
    type Item = B::Item;
    fn into_parts(self) -> (*mut B::Item, usize, usize) {
        match self {
            Some(buffer) => buffer.into_parts(),
            None => (nowhere(), 0, 0),
        }
    }
    unsafe fn from_parts(parts: (*mut B::Item, usize, usize)) -> Self {
        if parts.0.addr() == nowhere::<B::Item>().addr() {
            return None;
        }
        // SAFETY: the parts of the buffer, by the caller.
        Some(unsafe { B::from_parts(parts) })
    }
}

/// Buffers that can be made empty, with room for what is received.
pub(crate) trait Growing: Owned {}
impl<T: Plain> Growing for Vec<T> {}
impl<T: Plain> Growing for Option<Vec<T>> {}

/// An owned buffer taken apart while the engine uses its memory.
pub(crate) struct Held<B: Owned> {
    start: NonNull<B::Item>,
    len: usize,
    more: usize,
}

// SAFETY: plain data in memory of its own.
unsafe impl<B: Owned + Send> Send for Held<B> {}
// SAFETY: shared access reads nothing but the parts.
unsafe impl<B: Owned + Sync> Sync for Held<B> {}

impl<B: Owned> Held<B> {
    #[inline]
    pub(crate) fn new(buffer: B) -> Self {
        let (start, len, more) = buffer.into_parts();
        let start = NonNull::new(start).expect("memory, even of no bytes, is not at address 0");
        Self { start, len, more }
    }

    #[inline]
    fn parts(&self) -> (*mut B::Item, usize, usize) {
        (self.start.as_ptr(), self.len, self.more)
    }

    /// The parts, which from now on are the caller's.
    #[inline]
    fn into_parts(self) -> (*mut B::Item, usize, usize) {
        ManuallyDrop::new(self).parts()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn to_send(&self) -> SendBytes {
        SendBytes::new(self.start.as_ptr().cast(), (self.len * size_of::<B::Item>()) as u64)
    }

    #[inline]
    pub(crate) fn to_fill(&self) -> ReceiveBytes {
        receive_bytes(self.start.as_ptr(), self.len)
    }

    /// The elements, while no operation uses them.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [B::Item] {
        let (start, len, _) = self.parts();
        // SAFETY: valid and unaliased by the contract of `Owned`; the caller holds no request.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }

    #[inline]
    pub(crate) fn into_inner(self) -> B {
        // SAFETY: the parts of the buffer's `into_parts`, once.
        unsafe { B::from_parts(self.into_parts()) }
    }

    /// Leaves the memory to the engine, which frees it when its operation has ended.
    pub(crate) fn into_keep(self) -> Keep {
        let (start, len, more) = self.into_parts();
        // SAFETY: `free` puts the buffer together again, once, and drops it.
        unsafe { Keep::new((start.cast(), len, more), free::<B>) }
    }
}

impl<T: Plain> Held<Vec<T>> {
    /// A vector with room for `len` elements and none in it.
    #[inline]
    pub(crate) fn with_room(len: usize) -> Result<Self> {
        with_capacity(len).map(Self::new)
    }
}

impl<B: Growing> Held<B> {
    /// The buffer of a receive into the vector's spare room of `len` elements.
    pub(crate) fn room(&self, len: usize) -> ReceiveBytes {
        debug_assert!(len <= self.more);
        receive_bytes(self.start.as_ptr(), len)
    }

    /// After a receive of `len` elements in place into the room.
    pub(crate) fn into_received(mut self, len: usize) -> B {
        assert!(any_bits::<B::Item>() && len <= self.more);
        self.len = len;
        self.into_inner()
    }
}

impl<B: Owned> Drop for Held<B> {
    fn drop(&mut self) {
        // SAFETY: the parts of the buffer's `into_parts`, once: other ways out forget the holder.
        drop(unsafe { B::from_parts(self.parts()) });
    }
}

unsafe fn free<B: Owned>((start, len, capacity): (*mut u8, usize, usize)) {
    // SAFETY: made by `into_keep` from the parts of a `B`.
    drop(unsafe { B::from_parts((start.cast(), len, capacity)) });
}

/// As [`of_slice_mut`], of values that [`in_place`](any_bits) cannot be received: memory beside them that has their
/// bytes.
pub(crate) fn aside_of<T: Plain>(data: &[T]) -> Result<Vec<T::Bits>> {
    let mut bits = aside::<T>(data.len())?;
    of_aside::<T>(&mut bits).copy_from(of_slice(data));
    Ok(bits)
}

/// The bytes of a slice, to send.
#[inline]
pub(crate) fn of_slice<T: Plain>(data: &[T]) -> SendBytes {
    SendBytes::new(data.as_ptr().cast(), size_of_val(data) as u64)
}

/// The memory of a slice, to receive into in place: for types of which every bit pattern is a value.
#[inline]
pub(crate) fn of_slice_mut<T: Plain>(data: &mut [T]) -> ReceiveBytes {
    debug_assert!(any_bits::<T>());
    receive_bytes(data.as_mut_ptr(), data.len())
}

/// As [`of_slice_mut`], of memory that need not hold values.
pub(crate) fn of_uninit<T: Plain>(memory: &mut [MaybeUninit<T>]) -> ReceiveBytes {
    debug_assert!(any_bits::<T>());
    receive_bytes(memory.as_mut_ptr(), memory.len())
}

/// After a receive of `len` elements in place into the memory: those.
pub(crate) fn received<T: Plain>(memory: &mut [MaybeUninit<T>], len: usize) -> &mut [T] {
    assert!(any_bits::<T>() && len <= memory.len());
    let front = &raw mut memory[..len];
    // SAFETY: the receive has written all bytes of `front`, and every bit pattern is a value.
    unsafe { &mut *(front as *mut [T]) }
}

/// Memory beside the user's for `len` elements that have to be checked first.
pub(crate) fn aside<T: Plain>(len: usize) -> Result<Vec<T::Bits>> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| no_memory::<T>(len))
}

/// An empty vector with room for `len` elements.
#[inline]
pub(crate) fn with_capacity<T>(len: usize) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    match vec.try_reserve_exact(len) {
        Ok(()) => Ok(vec),
        Err(_) => Err(no_memory::<T>(len)),
    }
}

/// A copy of a slice.
pub(crate) fn copy_of<T: Copy>(data: &[T]) -> Result<Vec<T>> {
    let mut copy = with_capacity(data.len())?;
    copy.extend_from_slice(data);
    Ok(copy)
}

/// A count of elements that no address space holds, or for which there is no memory.
#[cold]
fn no_memory<T>(len: usize) -> Error {
    let size = size_of::<T>();
    let most = isize::MAX as usize / size.max(1);
    if len > most {
        let what =
            format!("a count of {len} elements of {size} bytes is too large: at most {most} are allowed");
        return Error::new(ErrorClass::COUNT, what);
    }
    Error::new(ErrorClass::NO_MEM, format!("no memory for {len} elements of {size} bytes"))
}

/// The memory of such elements.
pub(crate) fn of_aside<T: Plain>(bits: &mut [T::Bits]) -> ReceiveBytes {
    receive_bytes(bits.as_mut_ptr(), bits.len())
}

/// Copies what has come aside to where it is values; else the index of the first that is none, and nothing is copied.
/// The memory is reached through this pointer only, which a schedule that is started again has too: no borrow of it ends
/// the pointer's right to it.
pub(crate) fn fill_from_aside<T: Plain>(into: &mut [T], aside: ReceiveBytes) -> Result<(), usize> {
    assert_eq!(size_of_val(into) as u64, aside.len, "all of it");
    let is_value = |index: &usize| {
        let at = aside.base.cast::<T::Bits>().wrapping_add(*index);
        // SAFETY: inside, by the assertion, and written: it was zeroed at first. `Bits` has the layout of `T`.
        let bits = unsafe { at.read_unaligned() };
        T::is_valid_bit_pattern(&bits)
    };
    match (0..into.len()).find(|index| !is_value(index)) {
        Some(index) => Err(index),
        None => {
            receive_bytes(into.as_mut_ptr(), into.len()).copy_from(aside.to_send());
            Ok(())
        }
    }
}

#[inline]
fn receive_bytes<T>(start: *mut T, len: usize) -> ReceiveBytes {
    ReceiveBytes::new(start.cast(), (len * size_of::<T>()) as u64, size_of::<T>())
}

/// The elements, if all are values of their type; else the index of the first that is not.
pub(crate) fn check<T: Plain>(bits: &[T::Bits]) -> Result<&[T], usize> {
    match bits.iter().position(|bits| !T::is_valid_bit_pattern(bits)) {
        Some(index) => Err(index),
        // SAFETY: `Bits` has the layout of `T`, and all patterns are valid.
        None => Ok(unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }),
    }
}

/// Fills the front of uninitialised memory with values.
pub(crate) fn fill<'m, T: Plain>(memory: &'m mut [MaybeUninit<T>], values: &[T]) -> &'m mut [T] {
    let (front, _) = memory.split_at_mut(values.len());
    for (place, value) in front.iter_mut().zip(values) {
        place.write(*value);
    }
    // SAFETY: every place of `front` has just been written.
    unsafe { &mut *(std::ptr::from_mut(front) as *mut [T]) }
}
