//! Gather.

use super::{Round, check_root};
use crate::{
    buffer::{self, Plain},
    communicator::Communicator,
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Brings the slices of all ranks, of equal length, to the root, in the order of ranks; `None`
    /// elsewhere.
    ///
    /// # Errors
    /// A root that does not exist; other lengths; no memory for all slices; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gather`.
    pub fn gather<T: Plain>(&self, mine: &[T], root: Rank) -> Result<Option<Vec<T>>> {
        check_root(self, root)?;
        let mut collective = self.enter_collective()?;
        let round = collective.next_round(self);
        if self.rank() != root {
            return round.send(root, mine).map(|()| None);
        }
        linear(&round, mine, root, self.size()).map(Some)
    }
}

/// Cost: n − 1 messages, all to the root.
pub(super) fn linear<T: Plain>(round: &Round<'_, '_>, mine: &[T], root: Rank, size: Rank) -> Result<Vec<T>> {
    let mut all = buffer::with_capacity(mine.len().saturating_mul(size as usize))?;
    for rank in 0..size {
        match rank == root {
            true => all.extend_from_slice(mine),
            false => all.extend(round.receive::<T>(rank, mine.len())?),
        }
    }
    Ok(all)
}
