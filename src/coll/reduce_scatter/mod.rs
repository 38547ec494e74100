//! Reduce-scatter.

pub(super) mod pairwise;

use super::{
    blocks::Blocks,
    call::{Call, Function, borrowed, shared},
    check_len, check_parts,
    failing::Entered,
    partition::{blocks_of, check_counts},
    plan::Plan,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    communicator::{Communicator, PersistentCollective, Request, landing},
    error::Result,
    op::Op,
};

impl<'u> Communicator<'u> {
    /// Combines the slices of all ranks, of equal length, element by element, in the order of ranks, and gives each rank
    /// its part of the result: `counts[rank]` elements, one part behind the other. All ranks give the same counts.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let mine = [1, 2, 3];
    /// let part = world.reduce_scatter(&mine, &[1, 2], op::Sum)?;
    /// assert_eq!(part, if world.rank() == 0 { vec![2] } else { vec![4, 6] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
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
        self.reducing(Function::ReduceScatter, &op, |entered| {
            let (len, shares) = self.check_shares::<T>("reduce_scatter", mine.len(), counts)?;
            let mine = buffer::of_slice(mine);
            landing::new_vec(len, |share| self.scatter_reduced(entered, mine, share, &shares, &op))
        })
    }

    /// As [`reduce_scatter`](Self::reduce_scatter), into a slice of the length of this rank's part.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let mut part = vec![0; 1 + world.rank() as usize];
    /// for round in 0..3 {
    ///     world.reduce_scatter_into(&[round, 2, 3], &mut part, &[1, 2], op::Sum)?;
    ///     assert_eq!(part, if world.rank() == 0 { vec![2 * round] } else { vec![4, 6] });
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice of another length; and as [`reduce_scatter`](Self::reduce_scatter).
    ///
    /// # Standard
    /// MPI 5.0, 6.10.2: `MPI_Reduce_scatter`.
    pub fn reduce_scatter_into<T: Plain>(
        &self,
        mine: &[T],
        part: &mut [T],
        counts: &[usize],
        op: impl Op<T>,
    ) -> Result<()> {
        self.reducing(Function::ReduceScatter, &op, |entered| {
            let (len, shares) = self.check_shares::<T>("reduce_scatter_into", mine.len(), counts)?;
            check_len("reduce_scatter_into", "part", part.len(), len)?;
            let mine = buffer::of_slice(mine);
            landing::in_place(part, |share| self.scatter_reduced(entered, mine, share, &shares, &op))
        })
    }

    /// As [`reduce_scatter`](Self::reduce_scatter), in place: this rank's part takes the front of its slice, the rest of
    /// which stays as it is.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let mut data = [1, 2, 3];
    /// world.reduce_scatter_in_place(&mut data, &[1, 2], op::Sum)?;
    /// assert_eq!(data, if world.rank() == 0 { [2, 2, 3] } else { [4, 6, 3] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`reduce_scatter`](Self::reduce_scatter).
    ///
    /// # Standard
    /// MPI 5.0, 6.10.2: `MPI_Reduce_scatter` with `MPI_IN_PLACE`.
    pub fn reduce_scatter_in_place<T: Plain>(
        &self,
        data: &mut [T],
        counts: &[usize],
        op: impl Op<T>,
    ) -> Result<()> {
        self.reducing(Function::ReduceScatter, &op, |entered| {
            let (_, shares) = self.check_shares::<T>("reduce_scatter_in_place", data.len(), counts)?;
            landing::in_place(data, |data| self.scatter_reduced_in_place(entered, data, &shares, &op))
        })
    }

    /// As [`reduce_scatter`](Self::reduce_scatter), with parts of equal length.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// assert_eq!(world.reduce_scatter_block(&[1, 2], op::Sum)?, [2 + 2 * world.rank()]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that does not divide into equal parts; other lengths; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.10.1: `MPI_Reduce_scatter_block`.
    pub fn reduce_scatter_block<T: Plain>(&self, mine: &[T], op: impl Op<T>) -> Result<Vec<T>> {
        self.reducing(Function::ReduceScatterBlock, &op, |entered| {
            let (len, shares) = self.check_equal_shares::<T>("reduce_scatter_block", "mine", mine.len())?;
            let mine = buffer::of_slice(mine);
            landing::new_vec(len, |share| self.scatter_reduced(entered, mine, share, &shares, &op))
        })
    }

    /// As [`reduce_scatter_block`](Self::reduce_scatter_block), into a slice of the length of a part.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let mut largest = [0];
    /// world.reduce_scatter_block_into(&[world.rank(), 7], &mut largest, op::Max)?;
    /// assert_eq!(largest, [if world.rank() == 0 { 1 } else { 7 }]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice of another length; and as [`reduce_scatter_block`](Self::reduce_scatter_block).
    ///
    /// # Standard
    /// MPI 5.0, 6.10.1: `MPI_Reduce_scatter_block`.
    pub fn reduce_scatter_block_into<T: Plain>(
        &self,
        mine: &[T],
        part: &mut [T],
        op: impl Op<T>,
    ) -> Result<()> {
        self.reducing(Function::ReduceScatterBlock, &op, |entered| {
            const NAME: &str = "reduce_scatter_block_into";
            let (len, shares) = self.check_equal_shares::<T>(NAME, "mine", mine.len())?;
            check_len(NAME, "part", part.len(), len)?;
            let mine = buffer::of_slice(mine);
            landing::in_place(part, |share| self.scatter_reduced(entered, mine, share, &shares, &op))
        })
    }

    /// As [`reduce_scatter_block`](Self::reduce_scatter_block), in place: this rank's part takes the front of its slice, the
    /// rest of which stays as it is.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(2, |world| {
    /// let mut data = [1, 2];
    /// world.reduce_scatter_block_in_place(&mut data, op::Sum)?;
    /// assert_eq!(data, [2 + 2 * world.rank(), 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`reduce_scatter_block`](Self::reduce_scatter_block).
    ///
    /// # Standard
    /// MPI 5.0, 6.10.1: `MPI_Reduce_scatter_block` with `MPI_IN_PLACE`.
    pub fn reduce_scatter_block_in_place<T: Plain>(&self, data: &mut [T], op: impl Op<T>) -> Result<()> {
        self.reducing(Function::ReduceScatterBlock, &op, |entered| {
            let (_, shares) =
                self.check_equal_shares::<T>("reduce_scatter_block_in_place", "data", data.len())?;
            landing::in_place(data, |data| self.scatter_reduced_in_place(entered, data, &shares, &op))
        })
    }

    /// `body` looks at the arguments, and goes on.
    fn reducing<T: Plain, R>(
        &self,
        function: Function,
        op: &impl Op<T>,
        body: impl FnOnce(&mut Entered<'_, 'u>) -> Result<R>,
    ) -> Result<R> {
        self.collective(Call::new(function).with_op(op), body)
    }

    fn scatter_reduced<T: Plain>(
        &self,
        entered: &mut Entered<'_, '_>,
        mine: SendBytes,
        share: ReceiveBytes,
        shares: &Blocks,
        op: &impl Op<T>,
    ) -> Result<()> {
        let (collective, call) = entered.begin()?;
        self.run(collective, call, Some(&borrowed(op)), |plan| build(plan, mine, shares, share))
    }

    /// This rank's share takes the front of `data`.
    fn scatter_reduced_in_place<T: Plain>(
        &self,
        entered: &mut Entered<'_, '_>,
        data: ReceiveBytes,
        shares: &Blocks,
        op: &impl Op<T>,
    ) -> Result<()> {
        let (collective, call) = entered.begin()?;
        self.run(collective, call, Some(&borrowed(op)), |plan| {
            let share = plan.scratch(shares.bytes(plan.rank()))?;
            build(plan, data.to_send(), shares, share)?;
            // What is sent must not change while it is on its way.
            plan.wait_all();
            plan.copy(share.to_send(), data.part(0, share.len()));
            Ok(())
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
        let (len, shares) = self.check_shares::<B::Item>("immediate_reduce_scatter", mine.len(), counts)?;
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
        let (len, shares) =
            self.check_equal_shares::<B::Item>("immediate_reduce_scatter_block", "mine", mine.len())?;
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
        let (len, shares) = self.check_shares::<I::Item>("reduce_scatter_init", mine.len(), counts)?;
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
        let (len, shares) =
            self.check_equal_shares::<I::Item>("reduce_scatter_block_init", "mine", mine.len())?;
        check_len("reduce_scatter_block_init", "part", part.len(), len)?;
        collective.prepare(mine, part, Some(shared::<I::Item>(op)), move |plan, mine, share| {
            build(plan, mine, &shares, share)
        })
    }

    /// Of a slice of so many elements: how long this rank's part is, and where those of all lie.
    fn check_shares<T>(&self, function: &str, len: usize, counts: &[usize]) -> Result<(usize, Blocks)> {
        let sum = check_counts::<T>(function, "counts", counts, self.size())?;
        check_len(function, "mine", len, sum)?;
        Ok((counts[self.rank() as usize], blocks_of::<T>(counts)))
    }

    /// As [`Self::check_shares`], of equal parts.
    fn check_equal_shares<T>(&self, function: &str, argument: &str, len: usize) -> Result<(usize, Blocks)> {
        let part = check_parts(function, argument, len, self.size())?;
        Ok((part, Blocks::equal(self.size(), (part * size_of::<T>()) as u64)))
    }
}

fn build(plan: &mut Plan<'_>, mine: SendBytes, shares: &Blocks, share: ReceiveBytes) -> Result<()> {
    plan.copy(shares.of(mine, plan.rank()), share);
    pairwise::plan(plan, mine, shares, share)
}
