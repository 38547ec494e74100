//! Scan and exclusive scan.

pub(super) mod chain;
pub(super) mod linear;

use super::{
    call::{Call, Function, borrowed, shared},
    check_len,
    plan::Plan,
    select,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes},
    communicator::{Communicator, PersistentCollective, Request, landing},
    error::Result,
    op::Op,
};

/// Whose parts the result of a rank combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Those of the lower ranks, and its own.
    Inclusive,
    /// Those of the lower ranks.
    Exclusive,
}

impl Kind {
    fn function(self) -> Function {
        match self {
            Self::Inclusive => Function::Scan,
            Self::Exclusive => Function::ExclusiveScan,
        }
    }
}

impl Communicator<'_> {
    /// Combines, for each rank, the slices of the ranks up to it, its own included, element by element, in the order of
    /// ranks.
    ///
    /// ```
    /// use ringmpi::op;
    /// ringmpi::threads(3, |world| {
    ///     assert_eq!(world.scan(&[1, 10], op::Sum)?, [1 + world.rank(), 10 + 10 * world.rank()]);
    ///     ringmpi::Result::Ok(())
    /// })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan`.
    pub fn scan<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        landing::new_vec(mine.len(), |result| {
            result.copy_from(buffer::of_slice(mine));
            self.scan_bytes(result, &op, Kind::Inclusive)
        })
    }

    /// As [`scan`](Self::scan), into a slice.
    ///
    /// # Errors
    /// A slice of another length; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan`.
    pub fn scan_into<T: Plain>(&self, mine: &[T], out: &mut [T], op: impl Op<T>) -> Result<()> {
        check_len("scan_into", "out", out.len(), mine.len())?;
        landing::in_place(out, |result| {
            result.copy_from(buffer::of_slice(mine));
            self.scan_bytes(result, &op, Kind::Inclusive)
        })
    }

    /// As [`scan`](Self::scan), in place.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan` with `MPI_IN_PLACE`.
    pub fn scan_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>) -> Result<()> {
        landing::in_place(data, |data| self.scan_bytes(data, &op, Kind::Inclusive))
    }

    /// As [`scan`](Self::scan), of one element.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan`.
    pub fn scan_value<T: Plain>(&self, mine: T, op: impl Op<T>) -> Result<T> {
        let mut data = [mine];
        self.scan_in_place(&mut data, op)?;
        Ok(data[0])
    }

    /// Combines, for each rank, the slices of the lower ranks, in the order of ranks; `None` at rank 0, which has none.
    ///
    /// ```
    /// use ringmpi::op;
    /// ringmpi::threads(3, |world| {
    ///     let below = world.exclusive_scan(&[1, 10], op::Sum)?;
    ///     assert_eq!(below, (world.rank() > 0).then(|| vec![world.rank(), 10 * world.rank()]));
    ///     ringmpi::Result::Ok(())
    /// })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.2: `MPI_Exscan`.
    pub fn exclusive_scan<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Option<Vec<T>>> {
        let result = landing::new_vec(mine.len(), |result| {
            result.copy_from(buffer::of_slice(mine));
            self.scan_bytes(result, &op, Kind::Exclusive)
        })?;
        Ok((self.rank() > 0).then_some(result))
    }

    /// As [`exclusive_scan`](Self::exclusive_scan), in place; rank 0's slice stays as it is.
    ///
    /// # Errors
    /// As [`exclusive_scan`](Self::exclusive_scan).
    ///
    /// # Standard
    /// MPI 5.0, 6.11.2: `MPI_Exscan` with `MPI_IN_PLACE`.
    pub fn exclusive_scan_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>) -> Result<()> {
        landing::in_place(data, |data| self.scan_bytes(data, &op, Kind::Exclusive))
    }

    /// As [`exclusive_scan`](Self::exclusive_scan), of one element.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.2: `MPI_Exscan`.
    pub fn exclusive_scan_value<T: Plain>(&self, mine: T, op: impl Op<T>) -> Result<Option<T>> {
        let mut data = [mine];
        self.exclusive_scan_in_place(&mut data, op)?;
        Ok((self.rank() > 0).then_some(data[0]))
    }

    /// In place.
    fn scan_bytes<T: Plain>(&self, data: ReceiveBytes, op: &impl Op<T>, kind: Kind) -> Result<()> {
        let mut collective = self.enter_collective()?;
        let (call, operation) = (Call::new(kind.function()).with_op(op), borrowed(op));
        self.run(&mut collective, call, Some(&operation), |plan| build(plan, data, size_of::<T>(), kind))
    }

    /// As [`scan`](Self::scan), in place, but only begins: the request gives the buffer back. Progress on any thread may
    /// call the operation.
    ///
    /// # Errors
    /// No memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.11: `MPI_Iscan`.
    pub fn immediate_scan<B: Owned>(
        &self,
        mine: B,
        op: impl Op<B::Item> + Send + 'static,
    ) -> Result<Request<'_, B>> {
        let operation = Some(shared::<B::Item>(op));
        self.begin_in_place(mine, operation, |plan, data| {
            build(plan, data, size_of::<B::Item>(), Kind::Inclusive)
        })
    }

    /// As [`exclusive_scan_in_place`](Self::exclusive_scan_in_place), but only begins: the request gives the buffer back;
    /// rank 0's is as it was.
    ///
    /// # Errors
    /// No memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.12: `MPI_Iexscan`.
    pub fn immediate_exclusive_scan<B: Owned>(
        &self,
        mine: B,
        op: impl Op<B::Item> + Send + 'static,
    ) -> Result<Request<'_, B>> {
        let operation = Some(shared::<B::Item>(op));
        self.begin_in_place(mine, operation, |plan, data| {
            build(plan, data, size_of::<B::Item>(), Kind::Exclusive)
        })
    }

    /// A scan that can be started again and again, from `mine` into `result`.
    ///
    /// # Errors
    /// Buffers of different lengths.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.11: `MPI_Scan_init`.
    pub fn scan_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        result: O,
        op: impl Op<I::Item> + Send + 'static,
    ) -> Result<PersistentCollective<'_, I, O>> {
        self.prepare_scan("scan_init", mine, result, op, Kind::Inclusive)
    }

    /// An exclusive scan that can be started again and again, from `mine` into `result`; rank 0's takes its own part.
    ///
    /// # Errors
    /// Buffers of different lengths.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.12: `MPI_Exscan_init`.
    pub fn exclusive_scan_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        result: O,
        op: impl Op<I::Item> + Send + 'static,
    ) -> Result<PersistentCollective<'_, I, O>> {
        self.prepare_scan("exclusive_scan_init", mine, result, op, Kind::Exclusive)
    }

    fn prepare_scan<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        function: &str,
        mine: I,
        result: O,
        op: impl Op<I::Item> + Send + 'static,
        kind: Kind,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let (mine, result) = (Held::new(mine), Held::new(result));
        check_len(function, "result", result.len(), mine.len())?;
        self.prepare(mine, result, Some(shared::<I::Item>(op)), move |plan, mine, result| {
            plan.copy(mine, result);
            build(plan, result, size_of::<I::Item>(), kind)
        })
    }
}

/// In place. Every rank knows the length.
fn build(plan: &mut Plan<'_>, data: ReceiveBytes, unit: usize, kind: Kind) -> Result<()> {
    match select::scan(data.len(), plan.size()) {
        select::Scan::Linear => linear::plan(plan, data, kind),
        select::Scan::Chain => chain::plan(plan, data, unit as u64, kind),
    }
}
