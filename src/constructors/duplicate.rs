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
        let mut first = [0];
        if self.rank() == 0 {
            first = [self.draw_contexts()?];
        }
        self.broadcast_into(&mut first, 0)?;
        Ok(self.constructed(first[0], self.group().clone(), self.rank()))
    }
}
