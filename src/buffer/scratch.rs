//! [`Scratch`]: memory of the engine's own, beside that of a collective's user.

use super::ReceiveBytes;
use crate::error::{Error, ErrorClass, Result};
use std::mem::MaybeUninit;

/// Aligned for every type that can be reduced.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([MaybeUninit<u8>; 64]);

/// Memory that nobody has written yet. It stays where it is when the handle moves.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    bytes: u64,
}

/// As [`Scratch`], of a few bytes, and in the caller's frame.
pub(crate) struct FewBytes([Line; FewBytes::LINES]);

impl FewBytes {
    const LINES: usize = 2;

    /// How many.
    pub(crate) const MAX: u64 = (Self::LINES * size_of::<Line>()) as u64;

    #[inline]
    pub(crate) fn new() -> Self {
        Self([Line([MaybeUninit::uninit(); 64]); Self::LINES])
    }

    /// The first of them. Whatever is read from there has to be written before.
    #[inline]
    pub(crate) fn memory(&mut self, bytes: u64) -> ReceiveBytes {
        ReceiveBytes::new(self.0.as_mut_ptr().cast(), Self::MAX, 1).part(0, bytes)
    }
}

impl Scratch {
    /// The largest alignment that elements in it may need.
    pub(super) const ALIGN: usize = align_of::<Line>();

    pub(crate) fn new(bytes: u64) -> Result<Self> {
        let mut lines = Vec::new();
        let count = usize::try_from(bytes.div_ceil(size_of::<Line>() as u64));
        let is_there = count.is_ok_and(|count| lines.try_reserve_exact(count).is_ok());
        if is_there { Ok(Self { lines, bytes }) } else { Err(no_memory_for(bytes)) }
    }

    /// All of it. Whatever is read from it has to be written before.
    pub(crate) fn memory(&mut self) -> ReceiveBytes {
        // The spare room, through which the pointer reaches all of it.
        let start = self.lines.spare_capacity_mut().as_mut_ptr();
        ReceiveBytes::new(start.cast(), self.bytes, 1)
    }
}

#[cold]
fn no_memory_for(bytes: u64) -> Error {
    Error::new(ErrorClass::NO_MEM, format!("no memory for {bytes} bytes beside the buffers of a collective"))
}
