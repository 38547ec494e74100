//! Barrier.

use super::{
    Round,
    on_board::{Operation, Waiting},
    select,
};
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
        let mut collective = self.enter_collective()?;
        let way = select::barrier(self, collective.board.is_some());
        match (way, &mut collective.board) {
            (select::Barrier::Flags, Some(board)) => flags(Operation::new(self, board.get())),
            (select::Barrier::Count, Some(board)) => Operation::new(self, board.get()).arrive_and_wait(),
            _ => dissemination(&collective.next_round(self), self.rank(), self.size()),
        }
    }
}

/// Cost: one line from every other rank, all at the same time.
fn flags(mut operation: Operation<'_, '_, '_>) -> Result<()> {
    operation.enter(Waiting::All);
    operation.wait_for_all()
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
