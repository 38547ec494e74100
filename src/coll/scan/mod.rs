//! Scan and exclusive scan.

pub(super) mod chain;
pub(super) mod linear;

use super::{
    call::{Call, Function, borrowed, shared},
    check_len,
    failing::Entered,
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

impl<'u> Communicator<'u> {
    /// Combines, for each rank, the slices of the ranks up to it, its own included, element by element, in the order of
    /// ranks.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// assert_eq!(world.scan(&[1, 10], op::Sum)?, [1 + world.rank(), 10 + 10 * world.rank()]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan`.
    pub fn scan<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        self.scanning(&op, Kind::Inclusive, |entered| {
            landing::new_vec(mine.len(), |result| {
                result.copy_from(buffer::of_slice(mine));
                self.scan_bytes(entered, result, &op, Kind::Inclusive)
            })
        })
    }

    /// As [`scan`](Self::scan), into a slice.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut largest_so_far = [0];
    /// world.scan_into(&[[5, 2, 9][world.rank() as usize]], &mut largest_so_far, op::Max)?;
    /// assert_eq!(largest_so_far, [[5, 5, 9][world.rank() as usize]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice of another length; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan`.
    pub fn scan_into<T: Plain>(&self, mine: &[T], out: &mut [T], op: impl Op<T>) -> Result<()> {
        self.scanning(&op, Kind::Inclusive, |entered| {
            check_len("scan_into", "out", out.len(), mine.len())?;
            landing::in_place(out, |result| {
                result.copy_from(buffer::of_slice(mine));
                self.scan_bytes(entered, result, &op, Kind::Inclusive)
            })
        })
    }

    /// As [`scan`](Self::scan), in place.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // The order of ranks is that of the operands: products of matrices, say.
    /// let then = op::ordered(|[a, b]: &[i32; 2], [c, d]: &[i32; 2]| [a * c, b * c + d]);
    /// let mut function = [[2, world.rank()]]; // [a, b] stands for x ↦ a·x + b
    /// world.scan_in_place(&mut function, then)?;
    /// assert_eq!(function, [[[2, 0], [4, 1], [8, 4]][world.rank() as usize]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    ///
    /// # Standard
    /// MPI 5.0, 6.11.1: `MPI_Scan` with `MPI_IN_PLACE`.
    pub fn scan_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>) -> Result<()> {
        self.scanning(&op, Kind::Inclusive, |entered| {
            landing::in_place(data, |data| self.scan_bytes(entered, data, &op, Kind::Inclusive))
        })
    }

    /// As [`scan`](Self::scan), of one element.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // Where the part of each rank ends in the whole.
    /// let len = [4, 0, 2][world.rank() as usize];
    /// let end = world.scan_value(len, op::Sum)?;
    /// assert_eq!(end, [4, 4, 6][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
    /// # ringmpi::threads(3, |world| {
    /// let below = world.exclusive_scan(&[1, 10], op::Sum)?;
    /// assert_eq!(below, (world.rank() > 0).then(|| vec![world.rank(), 10 * world.rank()]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.2: `MPI_Exscan`.
    pub fn exclusive_scan<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Option<Vec<T>>> {
        let result = self.scanning(&op, Kind::Exclusive, |entered| {
            landing::new_vec(mine.len(), |result| {
                result.copy_from(buffer::of_slice(mine));
                self.scan_bytes(entered, result, &op, Kind::Exclusive)
            })
        })?;
        Ok((self.rank() > 0).then_some(result))
    }

    /// As [`exclusive_scan`](Self::exclusive_scan), into a slice; rank 0's stays as it was.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // Before the first rank there is nothing: what the slice holds says what that is.
    /// let mut below = [0, 0];
    /// world.exclusive_scan_into(&[1, 10], &mut below, op::Sum)?;
    /// assert_eq!(below, [world.rank(), 10 * world.rank()]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice of another length; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.11.2: `MPI_Exscan`.
    pub fn exclusive_scan_into<T: Plain>(&self, mine: &[T], out: &mut [T], op: impl Op<T>) -> Result<()> {
        self.scanning(&op, Kind::Exclusive, |entered| {
            check_len("exclusive_scan_into", "out", out.len(), mine.len())?;
            let mut scan = |result: ReceiveBytes| self.scan_bytes(entered, result, &op, Kind::Exclusive);
            if self.rank() == 0 {
                return landing::in_place(&mut buffer::copy_of(mine)?, scan);
            }
            landing::in_place(out, |result| {
                result.copy_from(buffer::of_slice(mine));
                scan(result)
            })
        })
    }

    /// As [`exclusive_scan`](Self::exclusive_scan), in place; rank 0's slice stays as it is.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut data = [1 + world.rank()];
    /// world.exclusive_scan_in_place(&mut data, op::Sum)?;
    /// assert_eq!(data, [[1, 1, 3][world.rank() as usize]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`exclusive_scan`](Self::exclusive_scan).
    ///
    /// # Standard
    /// MPI 5.0, 6.11.2: `MPI_Exscan` with `MPI_IN_PLACE`.
    pub fn exclusive_scan_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>) -> Result<()> {
        self.scanning(&op, Kind::Exclusive, |entered| {
            landing::in_place(data, |data| self.scan_bytes(entered, data, &op, Kind::Exclusive))
        })
    }

    /// As [`exclusive_scan`](Self::exclusive_scan), of one element.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // Where the part of each rank begins in the whole.
    /// let len = [4, 0, 2][world.rank() as usize];
    /// let start = world.exclusive_scan_value(len, op::Sum)?.unwrap_or(0);
    /// assert_eq!(start, [0, 4, 4][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
    fn scanning<T: Plain, R>(
        &self,
        op: &impl Op<T>,
        kind: Kind,
        body: impl FnOnce(&mut Entered<'_, 'u>) -> Result<R>,
    ) -> Result<R> {
        self.collective(Call::new(kind.function()).with_op(op), body)
    }

    fn scan_bytes<T: Plain>(
        &self,
        entered: &mut Entered<'_, '_>,
        data: ReceiveBytes,
        op: &impl Op<T>,
        kind: Kind,
    ) -> Result<()> {
        let (collective, call) = entered.begin()?;
        self.run(collective, call, Some(&borrowed(op)), |plan| build(plan, data, size_of::<T>(), kind))
    }

    /// As [`scan`](Self::scan), in place, but only begins: the request gives the buffer back. Progress on any thread may
    /// call the operation.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let scanning = world.immediate_scan(vec![1, world.rank()], op::Sum)?;
    /// // Computation goes here.
    /// assert_eq!(scanning.wait()?, [[1, 0], [2, 1], [3, 3]][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
        let collective = self.immediate(Call::new(Function::Scan).with_op::<B::Item>(&op))?;
        let operation = Some(shared::<B::Item>(op));
        collective.begin_in_place(mine, operation, |plan, data| {
            build(plan, data, size_of::<B::Item>(), Kind::Inclusive)
        })
    }

    /// As [`exclusive_scan_in_place`](Self::exclusive_scan_in_place), but only begins: the request gives the buffer back;
    /// rank 0's is as it was.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // The numbers of new elements, while their values are still being computed.
    /// let numbering = world.immediate_exclusive_scan(vec![10], op::Sum)?;
    /// // Computation goes here.
    /// let first = if world.rank() == 0 { 0 } else { numbering.wait()?[0] };
    /// assert_eq!(first, 10 * world.rank());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
        let collective = self.immediate(Call::new(Function::ExclusiveScan).with_op::<B::Item>(&op))?;
        let operation = Some(shared::<B::Item>(op));
        collective.begin_in_place(mine, operation, |plan, data| {
            build(plan, data, size_of::<B::Item>(), Kind::Exclusive)
        })
    }

    /// A scan that can be started again and again, from `mine` into `result`.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut scan = world.scan_init(vec![0], vec![0], op::Sum)?;
    /// for round in 0..5 {
    ///     scan.input_mut()?[0] = round;
    ///     scan.start()?;
    ///     scan.wait()?;
    ///     assert_eq!(scan.output_mut()?, [(1 + world.rank()) * round]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut scan = world.exclusive_scan_init(vec![0], vec![0], op::Sum)?;
    /// for round in 0..5 {
    ///     scan.input_mut()?[0] = round;
    ///     scan.start()?;
    ///     scan.wait()?;
    ///     let below = if world.rank() == 0 { 0 } else { scan.output_mut()?[0] };
    ///     assert_eq!(below, world.rank() * round);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
        function: &'static str,
        mine: I,
        result: O,
        op: impl Op<I::Item> + Send + 'static,
        kind: Kind,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(kind.function()).with_op::<I::Item>(&op))?;
        let (mine, result) = (Held::new(mine), Held::new(result));
        check_len(function, "result", result.len(), mine.len())?;
        collective.prepare(mine, result, Some(shared::<I::Item>(op)), move |plan, mine, result| {
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
