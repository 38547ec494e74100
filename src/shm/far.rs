//! [`Far`]: a checked reference to words in a segment, which keeps the segment mapped.

use super::{segment::Segment, shape::Shape};
use core::{ops::Deref, ptr::NonNull};
use std::sync::Arc;

/// Types that may be laid over shared bytes.
///
/// # Safety
/// Every bit pattern is a value, and every field is an atomic (or an array of such): other
/// processes write at any time.
pub(crate) unsafe trait Words: Sync {
    /// How it lies there.
    const SHAPE: Shape;
}

// SAFETY: an atomic integer.
unsafe impl Words for crate::sync::AtomicU32 {
    const SHAPE: Shape = Shape::START.with_size_of::<Self>();
}
// SAFETY: an atomic integer.
unsafe impl Words for crate::sync::AtomicU64 {
    const SHAPE: Shape = Shape::START.with_size_of::<Self>();
}
// SAFETY: as its elements.
unsafe impl<T: Words> Words for [T] {
    const SHAPE: Shape = T::SHAPE;
}
// SAFETY: as its elements.
unsafe impl<T: Words, const N: usize> Words for [T; N] {
    const SHAPE: Shape = T::SHAPE.with(N as u64);
}

/// Shared words, wherever they lie: in a segment that the reference keeps mapped, or on the heap of
/// a model (loom's atomics can't be laid over mapped bytes).
pub(crate) struct Far<T: Words + ?Sized> {
    words: NonNull<T>,
    segment: Option<Arc<Segment>>,
}

// SAFETY: like `&T`, and `T: Sync`.
unsafe impl<T: Words + ?Sized> Send for Far<T> {}
// SAFETY: like `&T`, and `T: Sync`.
unsafe impl<T: Words + ?Sized> Sync for Far<T> {}

impl<T: Words + ?Sized> Far<T> {
    /// # Safety
    /// `words` must be aligned, lie inside the segment's mapping, and hold words that every process
    /// accesses as `T` only.
    pub(super) unsafe fn in_segment(words: NonNull<T>, segment: Arc<Segment>) -> Self {
        Self { words, segment: Some(segment) }
    }

    /// Words on the heap, for models. They are never freed: a model is short.
    #[cfg(any(test, loom))]
    pub(crate) fn on_heap(words: Box<T>) -> Self {
        Self { words: NonNull::from(Box::leak(words)), segment: None }
    }

    /// Some of the words.
    pub(crate) fn part<U: Words + ?Sized>(&self, pick: impl FnOnce(&T) -> &U) -> Far<U> {
        Far { words: NonNull::from(pick(self)), segment: self.segment.clone() }
    }
}

impl<T: Words + ?Sized> Clone for Far<T> {
    fn clone(&self) -> Self {
        Self { words: self.words, segment: self.segment.clone() }
    }
}

impl<T: Words + ?Sized> Deref for Far<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: valid and aligned by construction; `segment` keeps the mapping, or the heap value
        // is leaked; `T` is all atomics.
        unsafe { self.words.as_ref() }
    }
}

/// Bytes of a block in a segment. They are only copied, never borrowed: another process may write.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    start: NonNull<u8>,
    len: usize,
    segment: core::marker::PhantomData<&'a Segment>,
}

impl<'a> Span<'a> {
    /// # Safety
    /// The bytes must lie inside a mapping that lives for `'a`.
    pub(crate) unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len, segment: core::marker::PhantomData }
    }

    /// The `len` bytes from `offset` on.
    #[inline]
    pub(crate) fn part(self, offset: usize, len: usize) -> Self {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "a part lies inside");
        // SAFETY: inside the bytes, by the assertion.
        Self { start: unsafe { self.start.add(offset) }, len, segment: self.segment }
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}
