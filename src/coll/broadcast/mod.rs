//! Broadcast.

pub(super) mod binomial;
pub(super) mod chain;
pub(super) mod split;
pub(super) mod staged;
pub(super) mod window;

use super::{
    call::{Call, Function},
    check_root,
    on_board::Operation,
    plan::Plan,
    select::{self, Way},
};
use crate::{
    buffer::{Held, Owned, Plain, ReceiveBytes},
    communicator::{Communicator, PersistentCollective, Request, landing},
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Copies the root's slice to all ranks; all slices have the same length.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut numbers = if world.rank() == 1 { [4, 2] } else { [0, 0] };
    /// world.broadcast_into(&mut numbers, 1)?;
    /// assert_eq!(numbers, [4, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; other lengths; bytes that are no values of the type; the end of
    /// the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.4: `MPI_Bcast`.
    pub fn broadcast_into<T: Plain>(&self, data: &mut [T], root: Rank) -> Result<()> {
        self.broadcast("broadcast_into", Function::Broadcast, data, root)
    }

    /// For a new communicator: never taken for a broadcast of the program's.
    pub(crate) fn broadcast_to_construct<T: Plain>(&self, data: &mut [T], root: Rank) -> Result<()> {
        self.broadcast("a constructor of communicators", Function::Construction, data, root)
    }

    fn broadcast<T: Plain>(&self, name: &str, function: Function, data: &mut [T], root: Rank) -> Result<()> {
        self.collective(Call::rooted(function, root), |entered| {
            check_root(self, name, root)?;
            let (collective, call) = entered.begin()?;
            let way = select::small_broadcast(size_of_val(data), collective.board.is_some());
            if let (Way::Board, Some(board)) = (way, &mut collective.board) {
                let operation = Operation::new(self, board.get(), call)?;
                return landing::in_place(data, |data| window::run(operation, data, root));
            }
            if let Some(staged) = self.staged(collective, call, size_of_val(data), 1)? {
                return landing::in_place(data, |data| staged::run(staged, data, root));
            }
            self.run_in_place(collective, call, data, None, |plan, data| {
                build(plan, data, root);
                Ok(())
            })
        })
    }

    /// As [`broadcast_into`](Self::broadcast_into), of one element: the root's, on all ranks.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Only the root knows the number; what the others give does not matter.
    /// let seed = if world.rank() == 0 { 42 } else { 0 };
    /// assert_eq!(world.broadcast_value(seed, 0)?, 42);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`broadcast_into`](Self::broadcast_into).
    ///
    /// # Standard
    /// MPI 5.0, 6.4: `MPI_Bcast`.
    pub fn broadcast_value<T: Plain>(&self, value: T, root: Rank) -> Result<T> {
        let mut data = [value];
        self.broadcast("broadcast_value", Function::Broadcast, &mut data, root)?;
        Ok(data[0])
    }

    /// As [`broadcast_into`](Self::broadcast_into), but only begins: the request gives the buffer back.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // A broadcast of every rank, all at the same time.
    /// let mut requests = vec![];
    /// for root in 0..world.size() {
    ///     requests.push(world.immediate_broadcast(vec![world.rank(); 1000], root)?);
    /// }
    /// for (root, numbers) in (0..).zip(ringmpi::wait_all(requests)?) {
    ///     assert_eq!(numbers, [root; 1000]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; the rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.2: `MPI_Ibcast`.
    pub fn immediate_broadcast<B: Owned>(&self, data: B, root: Rank) -> Result<Request<'_, B>> {
        let collective = self.immediate(Call::rooted(Function::Broadcast, root))?;
        check_root(self, "immediate_broadcast", root)?;
        collective.begin_in_place(data, None, |plan, data| {
            build(plan, data, root);
            Ok(())
        })
    }

    /// A broadcast that can be started again and again.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut broadcast = world.broadcast_init(vec![0; 4], 0)?;
    /// for round in 0..10 {
    ///     if world.rank() == 0 {
    ///         broadcast.output_mut()?.fill(round);
    ///     }
    ///     broadcast.start()?;
    ///     broadcast.wait()?;
    ///     assert_eq!(broadcast.output_mut()?, [round; 4]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.2: `MPI_Bcast_init`.
    pub fn broadcast_init<B: Owned>(&self, data: B, root: Rank) -> Result<PersistentCollective<'_, (), B>> {
        let collective = self.persistent(Call::rooted(Function::Broadcast, root))?;
        check_root(self, "broadcast_init", root)?;
        collective.prepare(Held::new(()), Held::new(data), None, |plan, _, data| {
            build(plan, data, root);
            Ok(())
        })
    }
}

/// Every rank knows the length.
pub(super) fn build(plan: &mut Plan<'_>, data: ReceiveBytes, root: Rank) {
    match select::broadcast(data.len(), plan.size()) {
        select::Broadcast::Binomial => binomial::plan(plan, data, root),
        select::Broadcast::Chain => chain::plan(plan, data, root),
        select::Broadcast::Split => split::plan(plan, data, root),
    }
}
