//! All-gather of slices of different lengths.

use super::ring;
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    coll::{
        blocks::Blocks,
        call::{Call, Function},
        check_len,
        gather::split,
        partition::{PartitionMut, blocks_of, check_counts},
        plan::Plan,
    },
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
};

impl Communicator<'_> {
    /// Brings the slices of all ranks, of any length, to all ranks, which need not know the lengths.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// assert_eq!(world.all_gather_varcount(&mine)?, [vec![], vec![1], vec![2, 2]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// No memory for all slices; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgatherv`.
    pub fn all_gather_varcount<T: Plain>(&self, mine: &[T]) -> Result<Vec<Vec<T>>> {
        let counts = self.all_gather(&[mine.len()])?;
        self.collective(Call::new(Function::AllGatherVarcount), |entered| {
            let len = check_counts::<T>("all_gather_varcount", "all ranks' lengths", &counts, self.size())?;
            let (collective, call) = entered.begin()?;
            let (mine, blocks) = (buffer::of_slice(mine), blocks_of::<T>(&counts));
            let all: Vec<T> = self.run_new(collective, call, len, None, |plan, all| {
                build(plan, mine, all, &blocks);
                Ok(())
            })?;
            Ok(split(&all, &counts))
        })
    }

    /// As [`all_gather_varcount`](Self::all_gather_varcount), into the parts of a slice.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// // All ranks know all lengths.
    /// let mut all = [0; 3];
    /// world.all_gather_varcount_into(&mine, PartitionMut::new(&mut all, vec![0, 1, 2]))?;
    /// assert_eq!(all, [1, 2, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of the slice, overlap, or are not one for each rank, or whose own is of another length than
    /// `mine`; slices of other lengths than their parts; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgatherv`.
    pub fn all_gather_varcount_into<T: Plain>(&self, mine: &[T], mut all: PartitionMut<'_, T>) -> Result<()> {
        self.collective(Call::new(Function::AllGatherVarcount), |entered| {
            const NAME: &str = "all_gather_varcount_into";
            let blocks = all.check(NAME, "all", self.size())?;
            check_len(NAME, "mine", mine.len(), all.count(self.rank()))?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.run_in_place(collective, call, all.data(), None, |plan, all| {
                build(plan, mine, all, &blocks);
                Ok(())
            })
        })
    }

    /// As [`all_gather_varcount`](Self::all_gather_varcount), in place: the slice has a part for each rank, and this rank's
    /// is there already.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// // Rank r has computed r elements of a table.
    /// let mut table = [[0, 0, 0], [1, 0, 0], [0, 2, 2]][world.rank() as usize];
    /// world.all_gather_varcount_in_place(PartitionMut::new(&mut table, vec![0, 1, 2]))?;
    /// assert_eq!(table, [1, 2, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of the slice, overlap, or are not one for each rank; slices of other lengths than their parts;
    /// bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgatherv` with `MPI_IN_PLACE`.
    pub fn all_gather_varcount_in_place<T: Plain>(&self, mut all: PartitionMut<'_, T>) -> Result<()> {
        self.collective(Call::new(Function::AllGatherVarcount), |entered| {
            let blocks = all.check("all_gather_varcount_in_place", "all", self.size())?;
            let (collective, call) = entered.begin()?;
            self.run_in_place(collective, call, all.data(), None, |plan, all| {
                ring::plan(plan, all, &blocks);
                Ok(())
            })
        })
    }

    /// As [`all_gather_varcount`](Self::all_gather_varcount), but only begins: all ranks give all lengths (`counts`), and
    /// the request gives the slices, one behind the other.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// let gathering = world.immediate_all_gather_varcount(mine, &[0, 1, 2])?;
    /// // Computation goes here.
    /// assert_eq!(gathering.wait()?, [1, 2, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each rank, or of which the own is not the length of `mine`; no memory for all slices.
    /// The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.5: `MPI_Iallgatherv`.
    pub fn immediate_all_gather_varcount<B: Owned>(
        &self,
        mine: B,
        counts: &[usize],
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::new(Function::AllGatherVarcount))?;
        let mine = Held::new(mine);
        let (len, blocks) = self.check_all_gathered("immediate_all_gather_varcount", &mine, counts)?;
        collective.begin_new(mine, len, None, move |plan, mine, all| {
            build(plan, mine, all, &blocks);
            Ok(())
        })
    }

    /// An all-gather of slices of different lengths that can be started again and again, from `mine` into `all`, one
    /// behind the other.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let mine = vec![0; 1 + world.rank() as usize];
    /// let mut all_gather = world.all_gather_varcount_init(mine, vec![0; 3], &[1, 2])?;
    /// for round in 0..3 {
    ///     all_gather.input_mut()?.fill(10 * round + world.rank());
    ///     all_gather.start()?;
    ///     all_gather.wait()?;
    ///     assert_eq!(all_gather.output_mut()?, [10 * round, 10 * round + 1, 10 * round + 1]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_all_gather_varcount`](Self::immediate_all_gather_varcount); a buffer of another length.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.5: `MPI_Allgatherv_init`.
    pub fn all_gather_varcount_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
        counts: &[usize],
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::AllGatherVarcount))?;
        const NAME: &str = "all_gather_varcount_init";
        let (mine, all) = (Held::new(mine), Held::new(all));
        let (len, blocks) = self.check_all_gathered(NAME, &mine, counts)?;
        check_len(NAME, "all", all.len(), len)?;
        collective.prepare(mine, all, None, move |plan, mine, all| {
            build(plan, mine, all, &blocks);
            Ok(())
        })
    }

    fn check_all_gathered<B: Owned>(
        &self,
        function: &str,
        mine: &Held<B>,
        counts: &[usize],
    ) -> Result<(usize, Blocks)> {
        let len = check_counts::<B::Item>(function, "counts", counts, self.size())?;
        check_len(function, "mine", mine.len(), counts[self.rank() as usize])?;
        Ok((len, blocks_of::<B::Item>(counts)))
    }
}

fn build(plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes, blocks: &Blocks) {
    plan.copy(mine, blocks.of_mut(all, plan.rank()));
    ring::plan(plan, all, blocks);
}
