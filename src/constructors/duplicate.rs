//! Duplicates.

use crate::{
    communicator::{Communicator, Foundation, Membership},
    error::Result,
};

impl<'u> Communicator<'u> {
    /// A communicator of the same processes in a context of its own: for a library, or a thread, that
    /// must not mix its messages up with its caller's. All ranks call it. The name is not copied.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// use ringmpi::Source;
    /// let other = world.duplicate()?;
    /// let next = (world.rank() + 1) % 2;
    /// world.process_at_rank(next).send(&[1u8])?;
    /// other.process_at_rank(next).send(&[2u8])?;
    /// // Whatever came first.
    /// assert_eq!(other.any_process().receive::<u8>()?.0, 2);
    /// assert_eq!(world.any_process().receive::<u8>()?.0, 1);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_dup`.
    pub fn duplicate(&self) -> Result<Communicator<'u>> {
        let (engine, membership) = (self.engine(), self.membership());
        self.tidy();
        let laid = (membership.me == 0).then(|| Foundation::lay(engine, membership.members));
        // Also if that has failed: the others wait.
        let mut foundation = laid.as_ref().map_or(Foundation::NONE, Foundation::of);
        self.broadcast_to_construct(&mut foundation.0, 0)?;
        let base = match laid {
            Some(laid) => laid?.1,
            None => foundation.join(engine, membership)?,
        };
        Ok(self.on_base(base, self.local().group.clone(), self.rank()))
    }

    pub(super) fn membership(&self) -> Membership {
        Membership { members: self.size() as usize, me: self.rank() as usize }
    }
}
