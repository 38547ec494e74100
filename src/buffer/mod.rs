//! User memory, reached only through the types here.
//!
//! A [`SendBuffer`] or [`ReceiveBuffer`] is a description of memory: base, size, and a type map
//! unless the bytes are contiguous. Nothing above this layer dereferences a user's pointer.
//!
//! The contract, which the layers above keep and every `SAFETY` comment here relies on: *the memory
//! that a buffer describes stays valid, and a receive buffer unaliased, until the request that holds
//! the buffer has ended*. Blocking calls end their request before they return; owned requests keep the memory
//! in a [`Keep`]; scopes end their requests before the borrow does.

mod combine;
mod pairs;
mod scratch;
mod shared;
mod typed;

pub(crate) use combine::{BorrowedOperation, Combination, Operation, Order, SharedOperation, combine};
pub(crate) use scratch::{FewBytes, Scratch};
pub use shared::SharedBuffer;
pub(crate) use typed::{
    Growing, Held, any_bits, aside, aside_of, check, copy_of, fill, fill_from_aside, of_aside, of_slice,
    of_slice_mut, of_uninit, received, with_capacity,
};
pub use typed::{Owned, Plain};

use crate::{
    datatype::{Cursor, Strided},
    error::Result,
    shm::far::Span,
    sys::cma,
};
use std::io;

/// Payload words of a cell.
pub(crate) const INLINE_WORDS: usize = 5;
/// Payload bytes that fit into a cell.
pub(crate) const INLINE_BYTES: u64 = 8 * INLINE_WORDS as u64;

/// Memory that the engine frees when its request ends, because its owner has let go of it.
pub(crate) struct Keep {
    parts: (*mut u8, usize, usize),
    free: unsafe fn((*mut u8, usize, usize)),
}

// SAFETY: made from `Vec`s of plain data and from owned buffers, whose memory may be freed anywhere.
unsafe impl Send for Keep {}
// SAFETY: shared access does nothing.
unsafe impl Sync for Keep {}

impl Keep {
    /// # Safety
    /// `free(parts)` must free memory that nobody else frees, on any thread.
    pub(crate) unsafe fn new(
        parts: (*mut u8, usize, usize),
        free: unsafe fn((*mut u8, usize, usize)),
    ) -> Self {
        Self { parts, free }
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        // SAFETY: `new`'s caller vouches for it, and drop runs once.
        unsafe { (self.free)(self.parts) };
    }
}

impl<T: Copy + 'static> From<Vec<T>> for Keep {
    fn from(vec: Vec<T>) -> Self {
        let mut vec = std::mem::ManuallyDrop::new(vec);
        let parts = (vec.as_mut_ptr().cast(), vec.len(), vec.capacity());
        // SAFETY: the vector is forgotten, so that only the keep frees it; what is `Copy` has no drop.
        unsafe { Self::new(parts, free_vec::<T>) }
    }
}

unsafe fn free_vec<T>((start, len, capacity): (*mut u8, usize, usize)) {
    // SAFETY: the parts are those of a Vec<T>.
    drop(unsafe { Vec::from_raw_parts(start.cast::<T>(), len, capacity) });
}

/// Memory that is sent from.
pub(crate) struct SendBuffer {
    base: *const u8,
    bytes: u64,
    cursor: Option<Box<Cursor>>,
    keep: Option<Keep>,
}

// SAFETY: the contract above holds on whatever thread the request ends.
unsafe impl Send for SendBuffer {}

/// Memory that is received into.
pub(crate) struct ReceiveBuffer {
    base: *mut u8,
    bytes: u64,
    cursor: Option<Box<Cursor>>,
    keep: Option<Keep>,
    /// The memory is gone: what comes in is dropped.
    is_gone: bool,
    /// Bytes of an element: a message that is no whole number of them is refused.
    unit: u32,
}

// SAFETY: as for `SendBuffer`.
unsafe impl Send for ReceiveBuffer {}

/// Contiguous memory that is sent from: what a buffer is made of only when somebody has to keep it.
/// (To move a description that has just been written costs more than a small message.)
#[derive(Clone, Copy)]
pub(crate) struct SendBytes {
    base: *const u8,
    len: u64,
}

/// Contiguous memory that is received into; see [`SendBytes`].
#[derive(Clone, Copy)]
pub(crate) struct ReceiveBytes {
    base: *mut u8,
    len: u64,
    unit: u32,
}

// SAFETY: the contract above holds on whatever thread the bytes are used.
unsafe impl Send for SendBytes {}
// SAFETY: as above; it only says where they lie.
unsafe impl Sync for SendBytes {}
// SAFETY: as for `SendBytes`.
unsafe impl Send for ReceiveBytes {}
// SAFETY: as for `SendBytes`.
unsafe impl Sync for ReceiveBytes {}

/// What can be sent.
pub(crate) trait Payload: Into<SendBuffer> {
    /// The bytes, if they lie one behind the other.
    fn contiguous(&self) -> Option<SendBytes>;
}

impl SendBytes {
    #[inline]
    pub(crate) fn new(base: *const u8, len: u64) -> Self {
        Self { base, len }
    }

    #[inline]
    pub(crate) fn len(self) -> u64 {
        self.len
    }

    /// Copies all of it to a block, in full length.
    #[inline]
    pub(crate) fn pack(self, span: Span<'_>) {
        assert_eq!(span.len() as u64, self.len, "copies are of one length");
        // SAFETY: readable by the contract; the span lies in the segment, and this rank owns it until it
        // publishes it.
        unsafe { self.base.copy_to_nonoverlapping(span.as_ptr(), span.len()) };
    }

    /// The `len` bytes from `offset` on.
    pub(crate) fn part(self, offset: u64, len: u64) -> Self {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "a part lies inside");
        // SAFETY: inside the memory, by the assertion.
        Self { base: unsafe { self.base.add(offset as usize) }, len }
    }

    /// The bytes in 64-bit words, the last one filled up with zeros.
    #[inline]
    pub(crate) fn words(self) -> impl ExactSizeIterator<Item = u64> {
        (0..self.len.div_ceil(8) as usize).map(move |index| {
            let offset = 8 * index as u64;
            self.part(offset, (self.len - offset).min(8)).inline_word()
        })
    }

    /// The whole of a message of at most [`INLINE_BYTES`], in words.
    #[inline]
    pub(crate) fn inline_words(self) -> [u64; INLINE_WORDS] {
        debug_assert!(self.len <= INLINE_BYTES);
        let mut words = [0; INLINE_WORDS];
        // SAFETY: the words hold INLINE_BYTES, and `len` is no more; readable by the contract.
        unsafe { self.base.copy_to_nonoverlapping(words.as_mut_ptr().cast(), self.len as usize) };
        words
    }

    /// The whole of a message of at most 8 bytes.
    #[inline]
    pub(crate) fn inline_word(self) -> u64 {
        debug_assert!(self.len <= 8);
        if self.len == 8 {
            // SAFETY: 8 bytes are readable, by the contract.
            return unsafe { self.base.cast::<u64>().read_unaligned() };
        }
        let mut word = 0u64;
        // SAFETY: the word holds 8 bytes, and `len` is no more; readable by the contract.
        unsafe { self.base.copy_to_nonoverlapping((&raw mut word).cast(), self.len as usize) };
        word
    }
}

impl Payload for SendBytes {
    #[inline]
    fn contiguous(&self) -> Option<SendBytes> {
        Some(*self)
    }
}

impl From<SendBytes> for SendBuffer {
    #[inline]
    fn from(bytes: SendBytes) -> Self {
        Self::contiguous(bytes.base, bytes.len)
    }
}

impl Payload for SendBuffer {
    #[inline]
    fn contiguous(&self) -> Option<SendBytes> {
        self.is_contiguous().then_some(SendBytes { base: self.base, len: self.bytes })
    }
}

impl ReceiveBytes {
    /// Only messages of whole elements of `unit` bytes are accepted.
    #[inline]
    pub(crate) fn new(base: *mut u8, len: u64, unit: usize) -> Self {
        Self { base, len, unit: u32::try_from(unit).unwrap_or(1).max(1) }
    }

    #[inline]
    pub(crate) fn len(self) -> u64 {
        self.len
    }

    /// The `len` bytes from `offset` on, into which any number of bytes may be received.
    pub(crate) fn part(self, offset: u64, len: u64) -> Self {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "a part lies inside");
        // SAFETY: inside the memory, by the assertion.
        Self { base: unsafe { self.base.add(offset as usize) }, len, unit: 1 }
    }

    /// The same memory, to send what is in it.
    pub(crate) fn to_send(self) -> SendBytes {
        SendBytes { base: self.base, len: self.len }
    }

    /// Fills it from words, the last of which may have more bytes than are needed.
    #[inline]
    pub(crate) fn fill_from_words(self, words: impl Iterator<Item = u64>) {
        for (offset, word) in (0..self.len).step_by(8).zip(words) {
            let len = (self.len - offset).min(8);
            self.part(offset, len).store_word(word, len);
        }
    }

    /// Copies as many bytes from other memory of this rank, which may overlap.
    pub(crate) fn copy_from(self, from: SendBytes) {
        assert_eq!(from.len, self.len, "copies are of one length");
        // SAFETY: readable and writable by the contract, in full length.
        unsafe { self.base.copy_from(from.base, self.len as usize) };
    }

    /// Whether a message of so many bytes fits and is whole elements.
    #[inline]
    pub(crate) fn accepts(self, bytes: u64) -> bool {
        bytes == self.len || bytes < self.len && bytes.is_multiple_of(self.unit.into())
    }

    /// Stores a message of at most 8 bytes. The caller has checked that it fits.
    #[inline]
    pub(crate) fn store_word(self, word: u64, len: u64) {
        debug_assert!(len <= self.len && len <= 8);
        if len == 8 {
            // SAFETY: 8 bytes are writable, by the contract and the caller's check.
            unsafe { self.base.cast::<u64>().write_unaligned(word) };
        } else {
            self.store(&[word], len);
        }
    }

    /// As [`Self::store_word`], of at most [`INLINE_BYTES`].
    #[inline]
    pub(crate) fn store_words(self, words: &[u64; INLINE_WORDS], len: u64) {
        self.store(words, len);
    }

    #[inline]
    fn store<const N: usize>(self, words: &[u64; N], len: u64) {
        assert!(len <= self.len && len <= 8 * N as u64, "callers check that a message fits");
        // SAFETY: `len` bytes are writable, by the contract, and the words have as many.
        unsafe { self.base.copy_from_nonoverlapping(words.as_ptr().cast(), len as usize) };
    }

    /// Stores a block's bytes. The caller has checked that they fit.
    #[inline]
    pub(crate) fn unpack(self, span: Span<'_>) {
        assert!(span.len() as u64 <= self.len, "callers check that a message fits");
        // SAFETY: writable by the contract; the span lies in the segment.
        unsafe { self.base.copy_from_nonoverlapping(span.as_ptr(), span.len()) };
    }
}

/// What can be received into.
pub(crate) trait Room: Into<ReceiveBuffer> {
    /// The memory, if it is there and in one piece.
    fn contiguous(&self) -> Option<ReceiveBytes>;
}

impl Room for ReceiveBytes {
    #[inline]
    fn contiguous(&self) -> Option<ReceiveBytes> {
        Some(*self)
    }
}

impl Room for ReceiveBuffer {
    #[inline]
    fn contiguous(&self) -> Option<ReceiveBytes> {
        let is_there = self.is_contiguous() && !self.is_gone;
        is_there.then_some(ReceiveBytes { base: self.base, len: self.bytes, unit: self.unit })
    }
}

impl From<ReceiveBytes> for ReceiveBuffer {
    #[inline]
    fn from(ReceiveBytes { base, len, unit }: ReceiveBytes) -> Self {
        Self { unit, ..Self::contiguous(base, len) }
    }
}

impl SendBuffer {
    #[inline]
    pub(crate) fn contiguous(base: *const u8, bytes: u64) -> Self {
        Self { base, bytes, cursor: None, keep: None }
    }

    /// Elements described by a type map, from the address that displacement 0 means.
    #[cfg_attr(not(any(test, feature = "internals")), allow(dead_code))]
    pub(crate) fn mapped(base: *const u8, cursor: Cursor) -> Self {
        Self { base, bytes: cursor.total(), cursor: Some(Box::new(cursor)), keep: None }
    }

    /// Bytes of the buffer's own.
    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        let (base, len) = (bytes.as_ptr(), bytes.len() as u64);
        Self { base, bytes: len, cursor: None, keep: Some(Keep::from(bytes)) }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_contiguous(&self) -> bool {
        self.cursor.is_none()
    }

    /// Where the bytes lie, for a peer that can read them in place.
    pub(crate) fn address(&self) -> Option<u64> {
        self.is_contiguous().then_some(self.base as u64)
    }

    /// The memory's owner lets go of it: the buffer frees it, at once if it has a copy already.
    pub(crate) fn keep(&mut self, keep: Keep) {
        self.keep.get_or_insert(keep);
    }

    /// Copies the bytes aside, unless the memory is the buffer's own: its owner may reuse it.
    pub(crate) fn own(&mut self) {
        if self.keep.is_none() {
            *self = Self::owned(self.pack_all());
        }
    }

    /// As [`Self::own`]; without memory for the copy, an error.
    pub(crate) fn try_own(&mut self) -> Result<()> {
        if self.keep.is_none() {
            let room = with_capacity(self.len())?;
            *self = Self::owned(self.pack_into(room));
        }
        Ok(())
    }

    fn len(&self) -> usize {
        usize::try_from(self.bytes).expect("memory that exists has a usize length")
    }

    /// The bytes, packed.
    pub(crate) fn pack_all(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.len());
        self.pack_into(room)
    }

    /// The bytes, packed into an empty vector that has room for them.
    fn pack_into(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let len = self.len();
        assert!(bytes.capacity() >= len);
        // SAFETY: the vector has room for `len` bytes.
        unsafe { self.copy_out(0, bytes.as_mut_ptr(), len) };
        // SAFETY: `copy_out` has written all of them.
        unsafe { bytes.set_len(len) };
        bytes
    }

    /// The whole of a message of at most [`INLINE_BYTES`], in words.
    #[inline]
    pub(crate) fn inline_words(&mut self) -> [u64; INLINE_WORDS] {
        if let Some(bytes) = self.contiguous() {
            return bytes.inline_words();
        }
        debug_assert!(self.bytes <= INLINE_BYTES);
        let mut words = [0; INLINE_WORDS];
        // SAFETY: the words hold INLINE_BYTES, and `bytes` is no more.
        unsafe { self.copy_out(0, words.as_mut_ptr().cast(), self.bytes as usize) };
        words
    }

    /// Packs the bytes from `offset` into a block, as many as the span holds.
    pub(crate) fn pack(&mut self, offset: u64, span: Span<'_>) {
        debug_assert!(offset + span.len() as u64 <= self.bytes);
        // SAFETY: the span lies in the segment, and this rank owns the block until it publishes it.
        unsafe { self.copy_out(offset, span.as_ptr(), span.len()) };
    }

    /// # Safety
    /// `to` must be valid for writes of `len` bytes, and `offset + len` at most `bytes`.
    #[inline]
    unsafe fn copy_out(&mut self, offset: u64, to: *mut u8, len: usize) {
        let (base, mut to) = (self.base, to);
        each_run(self.cursor.as_deref_mut(), offset, len, |displacement, len| {
            // SAFETY: inside the buffer, by the caller, or in memory that the type map describes.
            let from = unsafe { base.offset(displacement) };
            // SAFETY: readable by the contract, writable by the caller: runs add up to its `len`.
            unsafe { from.copy_to_nonoverlapping(to, len) };
            // SAFETY: at most one past the end.
            to = unsafe { to.add(len) };
        });
    }
}

impl ReceiveBuffer {
    #[inline]
    pub(crate) fn contiguous(base: *mut u8, bytes: u64) -> Self {
        Self { base, bytes, cursor: None, keep: None, is_gone: false, unit: 1 }
    }

    /// Elements described by a type map, from the address that displacement 0 means.
    #[cfg_attr(not(any(test, feature = "internals")), allow(dead_code))]
    pub(crate) fn mapped(base: *mut u8, cursor: Cursor) -> Self {
        let bytes = cursor.total();
        Self { base, bytes, cursor: Some(Box::new(cursor)), keep: None, is_gone: false, unit: 1 }
    }

    /// Bytes of an element.
    #[inline]
    pub(crate) fn unit(&self) -> u64 {
        self.unit.into()
    }

    /// Room for `bytes` bytes that nobody will read.
    pub(crate) fn discarding(bytes: u64) -> Self {
        Self { is_gone: true, ..Self::contiguous(std::ptr::NonNull::dangling().as_ptr(), bytes) }
    }

    /// The memory goes away: from now on what comes in is dropped.
    pub(crate) fn discard(&mut self) {
        *self = Self::discarding(self.bytes);
    }

    /// Whether what comes in is dropped.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// How many bytes fit.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_contiguous(&self) -> bool {
        self.cursor.is_none()
    }

    /// Whether it owns nothing: memory of the user's, in one piece.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.cursor.is_none() && self.keep.is_none()
    }

    /// The memory's owner lets go of it: the buffer frees it.
    pub(crate) fn keep(&mut self, keep: Keep) {
        self.keep = Some(keep);
    }

    /// Stores a message that came in a cell. The caller has checked that it fits.
    pub(crate) fn store_words(&mut self, words: &[u64; INLINE_WORDS], len: u64) {
        debug_assert!(len <= INLINE_BYTES);
        // SAFETY: `len` is at most the words' size.
        unsafe { self.copy_in(0, words.as_ptr().cast(), len as usize) };
    }

    /// Unpacks a block's bytes to `offset`. The caller has checked that they fit.
    pub(crate) fn unpack(&mut self, offset: u64, span: Span<'_>) {
        // SAFETY: the span lies in the segment.
        unsafe { self.copy_in(offset, span.as_ptr(), span.len()) };
    }

    /// As [`Self::unpack`], from memory of this process.
    pub(crate) fn unpack_bytes(&mut self, offset: u64, bytes: &[u8]) {
        // SAFETY: a slice is readable.
        unsafe { self.copy_in(offset, bytes.as_ptr(), bytes.len()) };
    }

    /// Copies a message to this rank itself. The caller has checked that it fits.
    pub(crate) fn copy_from(&mut self, from: &mut SendBuffer) {
        match from.cursor {
            None => {
                let (base, len) = (from.base, from.bytes as usize);
                // SAFETY: readable by the contract.
                unsafe { self.copy_in(0, base, len) };
            }
            Some(_) => self.unpack_bytes(0, &from.pack_all()),
        }
    }

    /// Reads `len` bytes at `remote` in process `pid` to `offset`; how many arrived.
    pub(crate) fn read_process(
        &mut self,
        offset: u64,
        pid: i32,
        remote: u64,
        len: usize,
    ) -> io::Result<usize> {
        debug_assert!(self.is_contiguous() && offset + len as u64 <= self.bytes);
        // SAFETY: inside the buffer, by the caller's check; writable by the contract.
        let to = unsafe { self.base.add(offset as usize) };
        // SAFETY: as above.
        unsafe { cma::read(pid, remote, to, len) }
    }

    /// # Safety
    /// `from` must be valid for reads of `len` bytes.
    #[inline]
    unsafe fn copy_in(&mut self, offset: u64, from: *const u8, len: usize) {
        assert!(offset + len as u64 <= self.bytes, "callers check that a message fits");
        if self.is_gone {
            return;
        }
        let (base, mut from) = (self.base, from);
        each_run(self.cursor.as_deref_mut(), offset, len, |displacement, len| {
            // SAFETY: inside the buffer, by the assertion, or in memory that the type map describes.
            let to = unsafe { base.offset(displacement) };
            // A message to oneself may overlap its source in a wrong program: hence `copy`.
            // SAFETY: writable by the contract, readable by the caller: runs add up to its `len`.
            unsafe { to.copy_from(from, len) };
            // SAFETY: at most one past the end.
            from = unsafe { from.add(len) };
        });
    }
}

/// Calls `each` with (displacement, length) of the contiguous runs that hold bytes `offset` to
/// `offset + len` of a message: one run, unless a type map says more.
#[inline]
fn each_run(cursor: Option<&mut Cursor>, offset: u64, len: usize, mut each: impl FnMut(isize, usize)) {
    let Some(cursor) = cursor else { return each(offset as isize, len) };
    if cursor.position() != offset {
        cursor.seek(offset);
    }
    let mut left = len as u64;
    while left > 0 {
        let Some(runs) = cursor.next_strided(left) else { return };
        let Strided { displacement, len, stride, times } = runs;
        for time in 0..times {
            each((displacement + time as i64 * stride) as isize, len as usize);
        }
        left -= len * times;
    }
}

/// Appends a block's bytes to a vector.
pub(crate) fn append(to: &mut Vec<u8>, span: Span<'_>) {
    to.reserve(span.len());
    let len = to.len();
    // SAFETY: the vector has room for the span behind its end.
    let end = unsafe { to.as_mut_ptr().add(len) };
    // SAFETY: the span lies in the segment, the room is this vector's.
    unsafe { end.copy_from_nonoverlapping(span.as_ptr(), span.len()) };
    // SAFETY: the bytes up to there are written.
    unsafe { to.set_len(len + span.len()) };
}
