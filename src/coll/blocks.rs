//! [`Blocks`]: how the bytes of a buffer divide into one block a rank, or a neighbour.

use crate::{
    buffer::{ReceiveBytes, SendBytes},
    types::Rank,
};

/// One block of bytes a rank, or a neighbour: where it begins, and how long it is.
#[derive(Clone, Debug)]
pub(super) struct Blocks(Vec<(u64, u64)>);

impl Blocks {
    /// One behind the other, of equal length.
    pub(super) fn equal(ranks: Rank, bytes: u64) -> Self {
        Self((0..ranks as u64).map(|rank| (rank * bytes, bytes)).collect())
    }

    /// So many elements of `unit` bytes, divided as evenly as whole elements go.
    pub(super) fn even(ranks: Rank, elements: u64, unit: u64) -> Self {
        let (ranks, mut start) = (ranks as u64, 0);
        let block = |rank| {
            let bytes = (elements / ranks + u64::from(rank < elements % ranks)) * unit;
            start += bytes;
            (start - bytes, bytes)
        };
        Self((0..ranks).map(block).collect())
    }

    /// Given by where each begins and how long it is, in elements of `unit` bytes.
    pub(super) fn of_elements(blocks: impl Iterator<Item = (usize, usize)>, unit: usize) -> Self {
        let unit = unit as u64;
        Self(blocks.map(|(start, len)| (start as u64 * unit, len as u64 * unit)).collect())
    }

    /// Without what lies behind so many bytes.
    pub(super) fn cut_to(self, bytes: u64) -> Self {
        let cut = |(start, len): (u64, u64)| {
            let start = start.min(bytes);
            (start, len.min(bytes - start))
        };
        Self(self.0.into_iter().map(cut).collect())
    }

    pub(super) fn start(&self, rank: Rank) -> u64 {
        self.0[rank as usize].0
    }

    pub(super) fn bytes(&self, rank: Rank) -> u64 {
        self.0[rank as usize].1
    }

    /// A rank's block of memory that is read.
    pub(super) fn of(&self, memory: SendBytes, rank: Rank) -> SendBytes {
        self.nth(memory, rank as usize)
    }

    /// A rank's block of memory that is written.
    pub(super) fn of_mut(&self, memory: ReceiveBytes, rank: Rank) -> ReceiveBytes {
        self.nth_mut(memory, rank as usize)
    }

    /// The block of a place in memory that is read.
    pub(super) fn nth(&self, memory: SendBytes, place: usize) -> SendBytes {
        let (start, len) = self.0[place];
        memory.part(start, len)
    }

    /// The block of a place in memory that is written.
    pub(super) fn nth_mut(&self, memory: ReceiveBytes, place: usize) -> ReceiveBytes {
        let (start, len) = self.0[place];
        memory.part(start, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_divided_evenly_and_none_is_lost() {
        assert_eq!(Blocks::even(3, 7, 8).0, [(0, 24), (24, 16), (40, 16)]);
        assert_eq!(Blocks::even(3, 2, 1).0, [(0, 1), (1, 1), (2, 0)]);
        assert_eq!(Blocks::even(2, 0, 4).0, [(0, 0), (0, 0)]);
        assert_eq!(Blocks::even(4, 3, 64).cut_to(100).0, [(0, 64), (64, 36), (100, 0), (100, 0)]);
    }
}
