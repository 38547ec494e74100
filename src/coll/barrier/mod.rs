//! Barrier.

pub(super) mod count;
pub(super) mod dissemination;
pub(super) mod flags;

use super::{
    call::{Call, Function},
    on_board::Operation,
    select,
};
use crate::{
    buffer::Held,
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
};

impl Communicator<'_> {
    /// Waits until all ranks have called it.
    ///
    /// ```
    /// use std::time::Instant;
    /// # ringmpi::threads(3, |world| {
    /// // Nobody starts the clock before all are there.
    /// world.barrier()?;
    /// let start = Instant::now();
    /// // The work to be measured goes here.
    /// world.barrier()?;
    /// let seconds = start.elapsed().as_secs_f64();
    /// # assert!(seconds >= 0.0);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.3: `MPI_Barrier`.
    pub fn barrier(&self) -> Result<()> {
        self.collective(Call::new(Function::Barrier), |entered| {
            let (collective, call) = entered.begin()?;
            let way = select::barrier(self, collective.board.is_some());
            match (way, &mut collective.board) {
                (select::Barrier::Flags, Some(board)) => flags::run(Operation::new(self, board.get(), call)?),
                (select::Barrier::Count, Some(board)) => count::run(Operation::new(self, board.get(), call)?),
                _ => self.run(collective, call, None, |plan| {
                    dissemination::plan(plan);
                    Ok(())
                }),
            }
        })
    }

    /// As [`barrier`](Self::barrier), but only begins: the request ends when all ranks have called it.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut barrier = world.immediate_barrier()?;
    /// while !barrier.test()? {
    ///     std::thread::yield_now(); // or useful work, until the last rank has come
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.1: `MPI_Ibarrier`.
    pub fn immediate_barrier(&self) -> Result<Request<'_, ()>> {
        let collective = self.immediate(Call::new(Function::Barrier))?;
        collective.begin_in_place((), None, |plan, _| {
            dissemination::plan(plan);
            Ok(())
        })
    }

    /// A barrier that can be started again and again.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut barrier = world.barrier_init()?;
    /// for _ in 0..10 {
    ///     barrier.start()?;
    ///     // Work that need not wait for the others goes here.
    ///     barrier.wait()?;
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.1: `MPI_Barrier_init`.
    pub fn barrier_init(&self) -> Result<PersistentCollective<'_, (), ()>> {
        let collective = self.persistent(Call::new(Function::Barrier))?;
        collective.prepare(Held::new(()), Held::new(()), None, |plan, _, _| {
            dissemination::plan(plan);
            Ok(())
        })
    }
}
