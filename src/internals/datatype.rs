//! Walks over type maps, for benches and fuzzing.

use crate::datatype::{Cursor, TypeMap};
use crate::error::Result;

/// A walk over all runs of a non-contiguous type.
pub struct TypeWalk(Cursor);

impl TypeWalk {
    /// `count` doubles, every other one of an array: a single vector.
    ///
    /// # Errors
    /// A count beyond 64 bits of displacement.
    pub fn vector(count: u64) -> Result<Self> {
        Self::over(&TypeMap::vector(count, 1, 2, &TypeMap::basic(8, 8))?, 1)
    }

    /// `count` blocks of one or two doubles at irregular distances.
    ///
    /// # Errors
    /// As for `vector`.
    pub fn indexed(count: u64) -> Result<Self> {
        let blocks: Vec<_> = (0..count).map(|index| (4 * index.cast_signed(), 1 + (index & 1))).collect();
        Self::over(&TypeMap::indexed(&blocks, &TypeMap::basic(8, 8))?, 1)
    }

    /// An array of `count` structures with three members and gaps between them.
    ///
    /// # Errors
    /// As for `vector`.
    pub fn structures(count: u64) -> Result<Self> {
        let [int, double] = [TypeMap::basic(4, 4), TypeMap::basic(8, 8)];
        let members = [(0, 1, int.clone()), (8, 2, double), (28, 1, int)];
        Self::over(&TypeMap::structure(&members)?, count)
    }

    fn over(map: &TypeMap, count: u64) -> Result<Self> {
        Cursor::new(map.clone(), count).map(Self)
    }

    /// Walks from packed byte 0 to the end in pieces of at most `max` bytes; returns their number.
    pub fn run(&mut self, max: u64) -> u64 {
        self.0.seek(0);
        std::iter::from_fn(|| self.0.next_strided(max)).fold(0, |pieces, piece| {
            std::hint::black_box(piece);
            pieces + 1
        })
    }

    /// Seeks to packed byte `offset`, or to the end if that is nearer.
    pub fn seek(&mut self, offset: u64) {
        self.0.seek(offset.min(self.0.total()));
    }
}

/// The body of the fuzz target `datatype`.
#[cfg(fuzzing)]
pub fn fuzz_datatype(data: &[u8]) {
    crate::datatype::fuzz::fuzz(data);
}
