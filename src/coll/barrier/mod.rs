//! Barrier.

pub(super) mod dissemination;

use super::{
    call::{Call, Function},
    on_board::{Operation, Waiting},
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
            _ => self.run(&mut collective, Call::new(Function::Barrier), None, |plan| {
                dissemination::plan(plan);
                Ok(())
            }),
        }
    }

    /// As [`barrier`](Self::barrier), but only begins: the request ends when all ranks have called it.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.1: `MPI_Ibarrier`.
    pub fn immediate_barrier(&self) -> Result<Request<'_, ()>> {
        self.begin_in_place((), None, |plan, _| {
            dissemination::plan(plan);
            Ok(())
        })
    }

    /// A barrier that can be started again and again.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.1: `MPI_Barrier_init`.
    pub fn barrier_init(&self) -> Result<PersistentCollective<'_, (), ()>> {
        self.prepare(Held::new(()), Held::new(()), None, |plan, _, _| {
            dissemination::plan(plan);
            Ok(())
        })
    }
}

/// Cost: one line from every other rank, all at the same time.
fn flags(mut operation: Operation<'_, '_, '_>) -> Result<()> {
    operation.enter(Waiting::All);
    operation.wait_for_all()
}
