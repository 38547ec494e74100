//! All-reduce.

pub(super) mod linear;
pub(super) mod rooted;
pub(super) mod slots;
pub(super) mod split;
pub(super) mod staged_combine;
pub(super) mod staged_split;

use super::{
    blocks::Blocks,
    call::{Call, Function, borrowed, shared},
    check_len,
    failing::Entered,
    on_board::Operation,
    plan::Plan,
    select,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes},
    communicator::{Communicator, PersistentCollective, Request, landing},
    error::Result,
    op::Op,
};

impl Communicator<'_> {
    /// Combines the slices of all ranks, of equal length, element by element, for all ranks. In the order of ranks,
    /// whatever the operation: the same bits on every rank and in every run.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let sums = world.all_reduce(&[1.0, f64::from(world.rank())], op::Sum)?;
    /// assert_eq!(sums, [3.0, 3.0]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        self.collective(Call::new(Function::AllReduce).with_op(&op), |entered| {
            landing::new_vec(mine.len(), |result| {
                result.copy_from(buffer::of_slice(mine));
                self.all_reduce_bytes(entered, result, &op)
            })
        })
    }

    /// As [`all_reduce`](Self::all_reduce), into a slice.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // The same memory takes the result of every step.
    /// let mut total = [0; 2];
    /// for step in 1..4 {
    ///     world.all_reduce_into(&[step, world.rank()], &mut total, op::Sum)?;
    ///     assert_eq!(total, [3 * step, 3]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice of another length; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce_into<T: Plain>(&self, mine: &[T], out: &mut [T], op: impl Op<T>) -> Result<()> {
        self.collective(Call::new(Function::AllReduce).with_op(&op), |entered| {
            check_len("all_reduce_into", "out", out.len(), mine.len())?;
            landing::in_place(out, |result| {
                result.copy_from(buffer::of_slice(mine));
                self.all_reduce_bytes(entered, result, &op)
            })
        })
    }

    /// As [`all_reduce`](Self::all_reduce), in place.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // The corners of the smallest box around the points of all ranks.
    /// let x = f64::from(world.rank());
    /// let (mut low, mut high) = ([x, -x], [x, -x]);
    /// world.all_reduce_in_place(&mut low, op::Min)?;
    /// world.all_reduce_in_place(&mut high, op::Max)?;
    /// assert_eq!((low, high), ([0.0, -2.0], [2.0, 0.0]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce` with `MPI_IN_PLACE`.
    pub fn all_reduce_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>) -> Result<()> {
        self.collective(Call::new(Function::AllReduce).with_op(&op), |entered| {
            landing::in_place(data, |data| self.all_reduce_bytes(entered, data, &op))
        })
    }

    /// As [`all_reduce`](Self::all_reduce), of one element.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let is_done = world.rank() != 1;
    /// let are_all_done = world.all_reduce_value(is_done, op::LogicalAnd)?;
    /// assert!(!are_all_done);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.6: `MPI_Allreduce`.
    pub fn all_reduce_value<T: Plain>(&self, mine: T, op: impl Op<T>) -> Result<T> {
        let mut data = [mine];
        self.all_reduce_in_place(&mut data, op)?;
        Ok(data[0])
    }

    /// In place.
    fn all_reduce_bytes<T: Plain>(
        &self,
        entered: &mut Entered<'_, '_>,
        data: ReceiveBytes,
        op: &impl Op<T>,
    ) -> Result<()> {
        let (collective, call) = entered.begin()?;
        let is_on_board = select::all_combine(self, data.len() as usize, collective.board.is_some());
        if let (true, Some(board)) = (is_on_board, &mut collective.board) {
            return slots::run(Operation::new(self, board.get(), call)?, data, op);
        }
        let operation = borrowed(op);
        if let Some(staged) = self.staged(collective, call, data.len() as usize, size_of::<T>())? {
            return match select::all_reduce_staged(data.len(), self.size()) {
                select::AllReduceStaged::Combine => staged_combine::run(staged, data, op),
                select::AllReduceStaged::Split => staged_split::run(staged, data, op),
            };
        }
        self.run(collective, call, Some(&operation), |plan| build(plan, data, size_of::<T>()))
    }

    /// As [`all_reduce`](Self::all_reduce), in place, but only begins: the request gives the buffer back. Progress on any
    /// thread may call the operation.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let summing = world.immediate_all_reduce(vec![1.0, f64::from(world.rank())], op::Sum)?;
    /// // Computation goes here.
    /// assert_eq!(summing.wait()?, [3.0, 3.0]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// What the operation refers to has to be able to go to another thread:
    ///
    /// ```compile_fail,E0277
    /// fn f(world: ringmpi::Communicator<'_>) {
    ///     let factor = std::rc::Rc::new(1);
    ///     let op = ringmpi::op::ordered(move |a: &i32, b: &i32| a + b * *factor);
    ///     let _ = world.immediate_all_reduce(vec![1i32], op);
    /// }
    /// ```
    ///
    /// # Errors
    /// No memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.8: `MPI_Iallreduce`.
    pub fn immediate_all_reduce<B: Owned>(
        &self,
        mine: B,
        op: impl Op<B::Item> + Send + 'static,
    ) -> Result<Request<'_, B>> {
        let collective = self.immediate(Call::new(Function::AllReduce).with_op::<B::Item>(&op))?;
        let operation = Some(shared::<B::Item>(op));
        collective.begin_in_place(mine, operation, |plan, data| build(plan, data, size_of::<B::Item>()))
    }

    /// An all-reduce that can be started again and again, from `mine` into `result`.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut dot = world.all_reduce_init(vec![0.0], vec![0.0], op::Sum)?;
    /// for step in 0..5 {
    ///     dot.input_mut()?[0] = f64::from(step * world.rank());
    ///     dot.start()?;
    ///     // Computation that does not need the result goes here.
    ///     dot.wait()?;
    ///     assert_eq!(dot.output_mut()?, [f64::from(3 * step)]);
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
    /// MPI 5.0, 6.13.8: `MPI_Allreduce_init`.
    pub fn all_reduce_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        result: O,
        op: impl Op<I::Item> + Send + 'static,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::AllReduce).with_op::<I::Item>(&op))?;
        let (mine, result) = (Held::new(mine), Held::new(result));
        check_len("all_reduce_init", "result", result.len(), mine.len())?;
        collective.prepare(mine, result, Some(shared::<I::Item>(op)), |plan, mine, result| {
            plan.copy(mine, result);
            build(plan, result, size_of::<I::Item>())
        })
    }
}

/// In place. Every rank knows the length.
fn build(plan: &mut Plan<'_>, data: ReceiveBytes, unit: usize) -> Result<()> {
    match select::all_reduce(data.len(), plan.size()) {
        select::AllReduce::Linear => linear::plan(plan, data),
        select::AllReduce::Rooted => rooted::plan(plan, data),
        select::AllReduce::Split => {
            let unit = unit.max(1) as u64;
            split::plan(plan, data, &Blocks::even(plan.size(), data.len() / unit, unit))
        }
    }
}
