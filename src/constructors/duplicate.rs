//! Duplicates.

use super::NOT_FOUNDED;
use crate::{communicator::Communicator, error::Result};

impl<'u> Communicator<'u> {
    /// A communicator of the same processes in a context of its own: for a library, or a thread, that
    /// must not mix its messages up with its caller's. All ranks call it.
    ///
    /// # Errors
    /// The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_dup`.
    pub fn duplicate(&self) -> Result<Communicator<'u>> {
        let members = self.size() as usize;
        let founded = if self.rank() == 0 { self.found(members) } else { Ok((NOT_FOUNDED, None)) };
        // Also if that has failed: the others wait.
        let mut foundation = founded.as_ref().map_or(NOT_FOUNDED, |founded| founded.0);
        self.broadcast_into(&mut foundation, 0)?;
        let (_, mut board) = founded?;
        if self.rank() != 0 {
            board = self.attach(foundation, members, self.rank() as usize)?;
        }
        Ok(self.constructed(foundation, self.local().group.clone(), self.rank(), board))
    }
}
