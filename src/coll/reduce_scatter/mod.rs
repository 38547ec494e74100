//! Reduce-scatter.

pub(super) mod pairwise;

use super::{
    blocks::Blocks,
    call::{Call, Function, borrowed, shared},
    check_len, check_parts,
    partition::{blocks_of, check_counts},
    plan::Plan,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
    op::Op,
};

impl Communicator<'_> {
    /// Combines the slices of all ranks, of equal length, element by element, in the order of ranks, and gives each rank
    /// its part of the result: `counts[rank]` elements, one part behind the other. All ranks give the same counts.
    ///
    /// ```
    /// use ringmpi::op;
    /// ringmpi::threads(2, |world| {
    ///     let mine = [1, 2, 3];
    ///     let part = world.reduce_scatter(&mine, &[1, 2], op::Sum)?;
    ///     assert_eq!(part, if world.rank() == 0 { vec![2] } else { vec![4, 6] });
    ///     ringmpi::Result::Ok(())
    /// })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each rank, or do not add up to the length of `mine`; other lengths; the end of the
    /// job.
    ///
    /// # Standard
    /// MPI 5.0, 6.10.2: `MPI_Reduce_scatter`.
    pub fn reduce_scatter<T: Plain>(&self, mine: &[T], counts: &[usize], op: impl Op<T>) -> Result<Vec<T>> {
        let sum = check_counts::<T>("reduce_scatter", "counts", counts, self.size())?;
        check_len("reduce_scatter", "mine", mine.len(), sum)?;
        let len = counts[self.rank() as usize];
        self.scatter_reduced(mine, len, &blocks_of::<T>(counts), Function::ReduceScatter, &op)
    }

    /// As [`reduce_scatter`](Self::reduce_scatter), with parts of equal length.
    ///
    /// ```
    /// use ringmpi::op;
    /// ringmpi::threads(2, |world| {
    ///     assert_eq!(world.reduce_scatter_block(&[1, 2], op::Sum)?, [2 + 2 * world.rank()]);
    ///     ringmpi::Result::Ok(())
    /// })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that does not divide into equal parts; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.10.1: `MPI_Reduce_scatter_block`.
    pub fn reduce_scatter_block<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        let len = check_parts("reduce_scatter_block", "mine", mine.len(), self.size())?;
        let shares = Blocks::equal(self.size(), (len * size_of::<T>()) as u64);
        self.scatter_reduced(mine, len, &shares, Function::ReduceScatterBlock, &op)
    }

    fn scatter_reduced<T: Plain>(
        &self,
        mine: &[T],
        len: usize,
        shares: &Blocks,
        function: Function,
        op: &impl Op<T>,
    ) -> Result<Vec<T>> {
        let (mut collective, call) = (self.enter_collective()?, Call::new(function).with_op(op));
        let (mine, operation) = (buffer::of_slice(mine), borrowed(op));
        self.run_new(&mut collective, call, len, Some(&operation), |plan, share| {
            build(plan, mine, shares, share)
        })
    }

    /// As [`reduce_scatter`](Self::reduce_scatter), but only begins: the request gives the part. Progress on any thread
    /// may call the operation.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let reducing = world.immediate_reduce_scatter(vec![1, 2, 3], &[1, 2], op::Sum)?;
    /// // Computation goes here.
    /// assert_eq!(reducing.wait()?, if world.rank() == 0 { vec![2] } else { vec![4, 6] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each rank, or do not add up to the length of `mine`; no memory. The rest is reported
    /// by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.10: `MPI_Ireduce_scatter`.
    pub fn immediate_reduce_scatter<B: Owned>(
        &self,
        mine: B,
        counts: &[usize],
        op: impl Op<B::Item> + Send + 'static,
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::new(Function::ReduceScatter).with_op::<B::Item>(&op))?;
        let mine = Held::new(mine);
        let (len, shares) = self.check_shares("immediate_reduce_scatter", &mine, counts)?;
        collective.begin_new(mine, len, Some(shared::<B::Item>(op)), move |plan, mine, share| {
            build(plan, mine, &shares, share)
        })
    }

    /// As [`reduce_scatter_block`](Self::reduce_scatter_block), but only begins: the request gives the part. Progress on
    /// any thread may call the operation.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// // How much comes for each rank, when each knows only what it will send to whom.
    /// let counts = vec![1u64, 0, 2];
    /// let counting = world.immediate_reduce_scatter_block(counts, op::Sum)?;
    /// // The sends may begin here.
    /// assert_eq!(counting.wait()?, [[3], [0], [6]][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that does not divide into equal parts; no memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.9: `MPI_Ireduce_scatter_block`.
    pub fn immediate_reduce_scatter_block<B: Owned>(
        &self,
        mine: B,
        op: impl Op<B::Item> + Send + 'static,
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::new(Function::ReduceScatterBlock).with_op::<B::Item>(&op))?;
        let mine = Held::new(mine);
        let len = check_parts("immediate_reduce_scatter_block", "mine", mine.len(), self.size())?;
        let shares = Blocks::equal(self.size(), (len * size_of::<B::Item>()) as u64);
        collective.begin_new(mine, len, Some(shared::<B::Item>(op)), move |plan, mine, share| {
            build(plan, mine, &shares, share)
        })
    }

    /// A reduce-scatter that can be started again and again, from `mine` into `part`.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let part = vec![0; 1 + world.rank() as usize];
    /// let mut reduce = world.reduce_scatter_init(vec![0; 3], part, &[1, 2], op::Max)?;
    /// for round in 0..3 {
    ///     reduce.input_mut()?.fill(round + world.rank());
    ///     reduce.start()?;
    ///     reduce.wait()?;
    ///     assert!(reduce.output_mut()?.iter().all(|largest| *largest == round + 1));
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_reduce_scatter`](Self::immediate_reduce_scatter); a part of another length.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.10: `MPI_Reduce_scatter_init`.
    pub fn reduce_scatter_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        part: O,
        counts: &[usize],
        op: impl Op<I::Item> + Send + 'static,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::ReduceScatter).with_op::<I::Item>(&op))?;
        let (mine, part) = (Held::new(mine), Held::new(part));
        let (len, shares) = self.check_shares("reduce_scatter_init", &mine, counts)?;
        check_len("reduce_scatter_init", "part", part.len(), len)?;
        collective.prepare(mine, part, Some(shared::<I::Item>(op)), move |plan, mine, share| {
            build(plan, mine, &shares, share)
        })
    }

    /// A reduce-scatter of equal parts that can be started again and again, from `mine` into `part`.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let mut reduce = world.reduce_scatter_block_init(vec![0; 2], vec![0], op::Sum)?;
    /// for round in 0..3 {
    ///     reduce.input_mut()?.copy_from_slice(&[round, 10 * round]);
    ///     reduce.start()?;
    ///     reduce.wait()?;
    ///     assert_eq!(reduce.output_mut()?, [if world.rank() == 0 { 2 * round } else { 20 * round }]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that does not divide into equal parts; a part of another length.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.9: `MPI_Reduce_scatter_block_init`.
    pub fn reduce_scatter_block_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        part: O,
        op: impl Op<I::Item> + Send + 'static,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::ReduceScatterBlock).with_op::<I::Item>(&op))?;
        let (mine, part) = (Held::new(mine), Held::new(part));
        let len = check_parts("reduce_scatter_block_init", "mine", mine.len(), self.size())?;
        check_len("reduce_scatter_block_init", "part", part.len(), len)?;
        let shares = Blocks::equal(self.size(), (len * size_of::<I::Item>()) as u64);
        collective.prepare(mine, part, Some(shared::<I::Item>(op)), move |plan, mine, share| {
            build(plan, mine, &shares, share)
        })
    }

    fn check_shares<B: Owned>(
        &self,
        function: &str,
        mine: &Held<B>,
        counts: &[usize],
    ) -> Result<(usize, Blocks)> {
        let sum = check_counts::<B::Item>(function, "counts", counts, self.size())?;
        check_len(function, "mine", mine.len(), sum)?;
        Ok((counts[self.rank() as usize], blocks_of::<B::Item>(counts)))
    }
}

fn build(plan: &mut Plan<'_>, mine: SendBytes, shares: &Blocks, share: ReceiveBytes) -> Result<()> {
    plan.copy(shares.of(mine, plan.rank()), share);
    pairwise::plan(plan, mine, shares, share)
}
