//! Barrier.

use super::Round;
use crate::{communicator::Communicator, error::Result, types::Rank};

impl Communicator<'_> {
    /// Waits until all ranks have called it.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.3: `MPI_Barrier`.
    pub fn barrier(&self) -> Result<()> {
        let collective = self.enter_collective()?;
        dissemination(&Round::new(self, collective.sequence), self.rank(), self.size())
    }
}

/// Cost: ⌈log₂ n⌉ rounds; in round k everyone hears from the rank 2ᵏ below, and so, in the end, from
/// all.
fn dissemination(round: &Round<'_, '_>, rank: Rank, size: Rank) -> Result<()> {
    let mut distance = 1;
    while distance < size {
        round.send::<u8>((rank + distance) % size, &[])?;
        round.receive::<u8>((rank + size - distance) % size, 0)?;
        distance *= 2;
    }
    Ok(())
}
