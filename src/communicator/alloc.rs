//! Memory that the other ranks can read.

use super::Communicator;
use crate::{
    buffer::{Plain, SharedBuffer},
    error::{Error, ErrorClass, Result},
};
use bytemuck::Zeroable;

impl Communicator<'_> {
    /// Allocates `len` zeroed elements in memory that the other ranks can read. Messages of some
    /// kilobytes and more from there are copied once, by the receiver, where that is the fastest way; their
    /// sends wait for their receives, as those of large messages do.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let mut numbers = world.alloc::<f64>(100_000)?;
    /// if world.rank() == 0 {
    ///     numbers.fill(0.5);
    ///     world.process_at_rank(1).send(&numbers)?;
    /// } else {
    ///     world.process_at_rank(0).receive_into(&mut numbers)?;
    ///     assert_eq!(numbers[99_999], 0.5);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// No memory, no more descriptors, or no addresses.
    ///
    /// # Standard
    /// MPI 5.0, 9.2: `MPI_Alloc_mem`.
    pub fn alloc<T: Plain + Zeroable>(&self, len: usize) -> Result<SharedBuffer<T>> {
        self.check_caller()?;
        let arena = self.engine().arena()?;
        SharedBuffer::zeroed(arena, len).map_err(|errno| {
            let what =
                format!("alloc: no shared memory for {len} elements of {} bytes: {errno}", size_of::<T>());
            Error::new(ErrorClass::NO_MEM, what)
        })
    }
}
