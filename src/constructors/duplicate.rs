//! Duplicates.

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
        let (mut foundation, mut board) = ([0; 2], None);
        if self.rank() == 0 {
            (foundation, board) = self.found(members)?;
        }
        self.broadcast_into(&mut foundation, 0)?;
        if self.rank() != 0 {
            board = self.attach_board(foundation, members, self.rank() as usize);
        }
        Ok(self.constructed(foundation, self.group().clone(), self.rank(), board))
    }
}
