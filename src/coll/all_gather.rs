//! All-gather.

use super::Round;
use crate::{
    buffer::{self, Plain},
    communicator::Communicator,
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Brings the slices of all ranks, of equal length, to all ranks, in the order of ranks.
    ///
    /// # Errors
    /// Other lengths; no memory for all slices; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgather`.
    pub fn all_gather<T: Plain>(&self, mine: &[T]) -> Result<Vec<T>> {
        let mut collective = self.enter_collective()?;
        ring(&collective.next_round(self), mine, self.rank(), self.size())
    }
}

/// Cost: n − 1 steps; in each, everyone passes on what came in the one before.
fn ring<T: Plain>(round: &Round<'_, '_>, mine: &[T], rank: Rank, size: Rank) -> Result<Vec<T>> {
    let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    let mut all = buffer::with_capacity(mine.len().saturating_mul(size as usize))?;
    let mut parts: Vec<Vec<T>> = vec![vec![]; size as usize];
    parts[rank as usize] = buffer::copy_of(mine)?;
    for step in 0..size - 1 {
        let passed_on = ((rank + size - step) % size) as usize;
        let expected = ((previous + size - step) % size) as usize;
        parts[expected] = round.exchange(next, &parts[passed_on], previous, mine.len())?;
    }
    parts.iter().for_each(|part| all.extend_from_slice(part));
    Ok(all)
}
