//! Reduce.

pub(super) mod linear;
pub(super) mod slots;
pub(super) mod split;
pub(super) mod staged_rooted;
pub(super) mod staged_split;

use super::{
    blocks::Blocks,
    call::{Call, Function, borrowed, shared},
    check_len, check_root,
    failing::Entered,
    on_board::Operation,
    on_stage::Staged,
    plan::Plan,
    select::{self, Way},
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    communicator::{Communicator, PersistentCollective, Request, landing},
    error::{Error, ErrorClass, Result},
    op::Op,
    types::Rank,
};

impl Communicator<'_> {
    /// Combines the slices of all ranks, of equal length, element by element, at the root; `None`
    /// elsewhere. In the order of ranks, whatever the operation: the same bits in every run.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let sums = world.reduce(&[1.0, f64::from(world.rank())], op::Sum, 2)?;
    /// assert_eq!(sums, (world.rank() == 2).then(|| vec![3.0, 3.0]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.1: `MPI_Reduce`.
    pub fn reduce<T: Plain>(&self, mine: &[T], op: impl Op<T>, root: Rank) -> Result<Option<Vec<T>>> {
        self.reduce_new("reduce", mine, &op, root)
    }

    /// As [`reduce`](Self::reduce), into the root's slice; the other ranks have none.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut largest = [0.0; 2];
    /// let room = (world.rank() == 0).then_some(&mut largest[..]);
    /// world.reduce_into(&[f64::from(world.rank()), 0.5], room, op::Max, 0)?;
    /// if world.rank() == 0 {
    ///     assert_eq!(largest, [2.0, 0.5]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, without a slice, or with one of another length; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.9.1: `MPI_Reduce`.
    pub fn reduce_into<T: Plain>(
        &self,
        mine: &[T],
        result: Option<&mut [T]>,
        op: impl Op<T>,
        root: Rank,
    ) -> Result<()> {
        self.collective(Call::rooted(Function::Reduce, root).with_op(&op), |entered| {
            check_root(self, "reduce_into", root)?;
            if self.rank() != root {
                return self.contribute(entered, mine, &op, root);
            }
            let Some(result) = result else {
                return Err(Error::new(ErrorClass::BUFFER, "reduce_into: result is None at the root"));
            };
            check_len("reduce_into", "result", result.len(), mine.len())?;
            landing::in_place(result, |result| {
                self.reduce_at_root(entered, buffer::of_slice(mine), result, &op)
            })
        })
    }

    /// As [`reduce`](Self::reduce), in place: the root's slice takes the result, and those of the others stay as they
    /// are.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut data = [1 + world.rank()];
    /// world.reduce_in_place(&mut data, op::Product, 0)?;
    /// assert_eq!(data, [if world.rank() == 0 { 6 } else { 1 + world.rank() }]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce).
    ///
    /// # Standard
    /// MPI 5.0, 6.9.1: `MPI_Reduce` with `MPI_IN_PLACE`.
    pub fn reduce_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>, root: Rank) -> Result<()> {
        self.collective(Call::rooted(Function::Reduce, root).with_op(&op), |entered| {
            check_root(self, "reduce_in_place", root)?;
            if self.rank() != root {
                return self.contribute(entered, data, &op, root);
            }
            landing::in_place(data, |data| self.reduce_at_root(entered, data.to_send(), data, &op))
        })
    }

    /// As [`reduce`](Self::reduce), of one element.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// if let Some(sum) = world.reduce_value(world.rank(), op::Sum, 0)? {
    ///     println!("the ranks add up to {sum}"); // printed once, by the root
    /// #   assert_eq!(sum, 3);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce).
    ///
    /// # Standard
    /// MPI 5.0, 6.9.1: `MPI_Reduce`.
    pub fn reduce_value<T: Plain>(&self, mine: T, op: impl Op<T>, root: Rank) -> Result<Option<T>> {
        let reduced = self.reduce_new("reduce_value", &[mine], &op, root)?;
        Ok(reduced.and_then(|all| all.first().copied()))
    }

    /// `name` is what users call.
    fn reduce_new<T: Plain>(
        &self,
        name: &str,
        mine: &[T],
        op: &impl Op<T>,
        root: Rank,
    ) -> Result<Option<Vec<T>>> {
        self.collective(Call::rooted(Function::Reduce, root).with_op(op), |entered| {
            check_root(self, name, root)?;
            if self.rank() != root {
                return self.contribute(entered, mine, op, root).map(|()| None);
            }
            let reduce = |result| self.reduce_at_root(entered, buffer::of_slice(mine), result, op);
            landing::new_vec(mine.len(), reduce).map(Some)
        })
    }

    /// A rank that is not the root.
    fn contribute<T: Plain>(
        &self,
        entered: &mut Entered<'_, '_>,
        mine: &[T],
        op: &impl Op<T>,
        root: Rank,
    ) -> Result<()> {
        let (collective, call) = entered.begin()?;
        let way = select::small_reduce(size_of_val(mine), collective.board.is_some());
        if let (Way::Board, Some(board)) = (way, &mut collective.board) {
            return slots::contribute(Operation::new(self, board.get(), call)?, buffer::of_slice(mine), root);
        }
        let operation = borrowed(op);
        let mine = buffer::of_slice(mine);
        if let Some(staged) = self.staged(collective, call, mine.len() as usize, size_of::<T>())? {
            return run_staged(staged, mine, None, op, root);
        }
        self.run(collective, call, Some(&operation), |plan| build(plan, mine, None, size_of::<T>(), root))
    }

    /// `result` may be where `mine` is.
    fn reduce_at_root<T: Plain>(
        &self,
        entered: &mut Entered<'_, '_>,
        mine: SendBytes,
        result: ReceiveBytes,
        op: &impl Op<T>,
    ) -> Result<()> {
        let root = self.rank();
        let (collective, call) = entered.begin()?;
        result.copy_from(mine);
        let way = select::small_reduce(mine.len() as usize, collective.board.is_some());
        if let (Way::Board, Some(board)) = (way, &mut collective.board) {
            return slots::combine(Operation::new(self, board.get(), call)?, result, op);
        }
        let operation = borrowed(op);
        if let Some(staged) = self.staged(collective, call, mine.len() as usize, size_of::<T>())? {
            return run_staged(staged, mine, Some(result), op, root);
        }
        self.run(collective, call, Some(&operation), |plan| {
            build(plan, mine, Some(result), size_of::<T>(), root)
        })
    }

    /// As [`reduce`](Self::reduce), but only begins: the request gives the result. Progress on any thread may call the
    /// operation.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // One to each root, under way at the same time.
    /// let reductions: Vec<_> =
    ///     (0..3).map(|root| world.immediate_reduce(vec![root], op::Sum, root)).collect::<Result<_, _>>()?;
    /// let results = ringmpi::wait_all(reductions)?;
    /// let mine: Vec<_> = results.into_iter().flatten().collect();
    /// assert_eq!(mine, [[3 * world.rank()]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; no memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.7: `MPI_Ireduce`.
    pub fn immediate_reduce<B: Owned>(
        &self,
        mine: B,
        op: impl Op<B::Item> + Send + 'static,
        root: Rank,
    ) -> Result<Request<'_, Option<Vec<B::Item>>>> {
        let collective = self.immediate(Call::rooted(Function::Reduce, root).with_op::<B::Item>(&op))?;
        check_root(self, "immediate_reduce", root)?;
        let (is_root, mine) = (self.rank() == root, Held::new(mine));
        let len = is_root.then_some(mine.len());
        collective.begin_new_if(mine, len, Some(shared::<B::Item>(op)), move |plan, mine, result| {
            build_from::<B::Item>(plan, mine, is_root.then_some(result), root)
        })
    }

    /// A reduction that can be started again and again, from `mine` into the root's `result`; the others' may be empty.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let room = if world.rank() == 0 { 2 } else { 0 };
    /// let mut reduce = world.reduce_init(vec![0; 2], vec![0; room], op::Sum, 0)?;
    /// for round in 0..5 {
    ///     reduce.input_mut()?.copy_from_slice(&[round, world.rank()]);
    ///     reduce.start()?;
    ///     reduce.wait()?;
    ///     if world.rank() == 0 {
    ///         assert_eq!(reduce.output_mut()?, [3 * round, 3]);
    ///     }
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose buffers have different lengths.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.7: `MPI_Reduce_init`.
    pub fn reduce_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        result: O,
        op: impl Op<I::Item> + Send + 'static,
        root: Rank,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::rooted(Function::Reduce, root).with_op::<I::Item>(&op))?;
        check_root(self, "reduce_init", root)?;
        let (is_root, mine, result) = (self.rank() == root, Held::new(mine), Held::new(result));
        if is_root {
            check_len("reduce_init", "result", result.len(), mine.len())?;
        }
        collective.prepare(mine, result, Some(shared::<I::Item>(op)), move |plan, mine, result| {
            build_from::<I::Item>(plan, mine, is_root.then_some(result), root)
        })
    }
}

/// `result` holds the root's own part.
fn run_staged<T: Plain>(
    staged: Staged<'_, '_, '_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    op: &impl Op<T>,
    root: Rank,
) -> Result<()> {
    match select::reduce_staged(mine.len(), staged.comm().size()) {
        select::ReduceStaged::Rooted => staged_rooted::run(staged, mine, result, op, root),
        select::ReduceStaged::Split => staged_split::run(staged, mine, result, op, root),
    }
}

fn build_from<T>(
    plan: &mut Plan<'_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    root: Rank,
) -> Result<()> {
    result.into_iter().for_each(|result| plan.copy(mine, result));
    build(plan, mine, result, size_of::<T>(), root)
}

/// `result` holds the root's own part. Every rank knows the length.
fn build(
    plan: &mut Plan<'_>,
    mine: SendBytes,
    result: Option<ReceiveBytes>,
    unit: usize,
    root: Rank,
) -> Result<()> {
    match select::reduce(mine.len()) {
        select::Reduce::Linear => linear::plan(plan, mine, result, root),
        select::Reduce::Split => {
            let unit = unit.max(1) as u64;
            let shares = Blocks::even(plan.size(), mine.len() / unit, unit);
            split::plan(plan, mine, result, &shares, root)
        }
    }
}
