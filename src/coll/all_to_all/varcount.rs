//! All-to-all of parts of different lengths.

use super::{keep_own, pairwise};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    coll::{
        blocks::Blocks,
        call::{Call, Function},
        check_len,
        gather::split,
        partition::{Partition, PartitionMut, blocks_of, check_counts},
        plan::Plan,
    },
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
};

impl Communicator<'_> {
    /// Sends each rank its part of this rank's slice, and gives the parts that come from all, a vector each. Nobody need
    /// know how much others send.
    ///
    /// ```
    /// use ringmpi::Partition;
    /// # ringmpi::threads(2, |world| {
    /// let (data, counts) = if world.rank() == 0 { ([1, 2, 3], [1, 2]) } else { ([4, 5, 6], [3, 0]) };
    /// let parts = world.all_to_all_varcount(Partition::new(&data, &counts[..]))?;
    /// assert_eq!(parts, if world.rank() == 0 { [vec![1], vec![4, 5, 6]] } else { [vec![2, 3], vec![]] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of the slice, or are not one for each rank; no memory; bytes that are no values of the
    /// type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.8: `MPI_Alltoallv`.
    pub fn all_to_all_varcount<T: Plain>(&self, mine: Partition<'_, T>) -> Result<Vec<Vec<T>>> {
        const NAME: &str = "all_to_all_varcount";
        let call = Call::new(Function::AllToAllVarcount);
        let from = self.check_for(call, || mine.check(NAME, "mine", self.size()))?;
        let lens: Vec<usize> = (0..self.size()).map(|rank| mine.count(rank)).collect();
        let counts = self.all_to_all(&lens)?;
        self.collective(call, |entered| {
            let len = check_counts::<T>(NAME, "the lengths of what others send", &counts, self.size())?;
            let into = blocks_of::<T>(&counts);
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine.data());
            let all: Vec<T> = self.run_new(collective, call, len, None, |plan, all| {
                build(plan, (mine, &from), (all, &into));
                Ok(())
            })?;
            Ok(split(&all, &counts))
        })
    }

    /// As [`all_to_all_varcount`](Self::all_to_all_varcount), into the parts of a slice.
    ///
    /// ```
    /// use ringmpi::{Partition, PartitionMut};
    /// # ringmpi::threads(2, |world| {
    /// // Rank 0 keeps one element and sends two; rank 1 sends none and keeps one.
    /// let (mine, counts) = if world.rank() == 0 { (vec![1, 2, 3], [1, 2]) } else { (vec![4], [0, 1]) };
    /// let all_counts = if world.rank() == 0 { [1, 0] } else { [2, 1] };
    /// let mut all = [0; 3];
    /// world.all_to_all_varcount_into(Partition::new(&mine, &counts[..]), PartitionMut::new(&mut all, &all_counts[..]))?;
    /// assert_eq!(all, if world.rank() == 0 { [1, 0, 0] } else { [2, 3, 4] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of their slice, are not one for each rank, or, of `all`, overlap; a rank's own part of
    /// different lengths in both; parts of other lengths than what comes; bytes that are no values of the type; the end
    /// of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.8: `MPI_Alltoallv`.
    pub fn all_to_all_varcount_into<T: Plain>(
        &self,
        mine: Partition<'_, T>,
        mut all: PartitionMut<'_, T>,
    ) -> Result<()> {
        self.collective(Call::new(Function::AllToAllVarcount), |entered| {
            const NAME: &str = "all_to_all_varcount_into";
            let (from, into) = (mine.check(NAME, "mine", self.size())?, all.check(NAME, "all", self.size())?);
            check_len(NAME, "all: this rank's own part", all.count(self.rank()), mine.count(self.rank()))?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine.data());
            self.run_in_place(collective, call, all.data(), None, |plan, all| {
                build(plan, (mine, &from), (all, &into));
                Ok(())
            })
        })
    }

    /// As [`all_to_all_varcount`](Self::all_to_all_varcount), in place: what comes from a rank takes the place of what was
    /// sent to it, which has the same length.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(2, |world| {
    /// // Two elements change places with the other rank; each keeps as many as its rank.
    /// let (mut data, counts) = if world.rank() == 0 { (vec![1, 2], [0, 2]) } else { (vec![3, 4, 5], [2, 1]) };
    /// world.all_to_all_varcount_in_place(PartitionMut::new(&mut data, &counts[..]))?;
    /// assert_eq!(data, if world.rank() == 0 { vec![3, 4] } else { vec![1, 2, 5] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of the slice, overlap, or are not one for each rank; parts of other lengths than what comes;
    /// bytes that are no values of the type; no memory; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.8: `MPI_Alltoallv` with `MPI_IN_PLACE`.
    pub fn all_to_all_varcount_in_place<T: Plain>(&self, mut data: PartitionMut<'_, T>) -> Result<()> {
        self.collective(Call::new(Function::AllToAllVarcount), |entered| {
            let blocks = data.check("all_to_all_varcount_in_place", "data", self.size())?;
            let (collective, call) = entered.begin()?;
            self.run_in_place(collective, call, data.data(), None, |plan, data| {
                let copy = plan.scratch(data.len())?;
                plan.copy(data.to_send(), copy);
                build(plan, (copy.to_send(), &blocks), (data, &blocks));
                Ok(())
            })
        })
    }

    /// As [`all_to_all_varcount`](Self::all_to_all_varcount), but only begins: the parts of `mine` lie one behind the
    /// other, of lengths `counts`, and so will those of the result, of lengths `all_counts`.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// // Every rank gives rank 0 one element, and rank 1 two.
    /// let (rank, counts) = (world.rank(), [1, 2]);
    /// let all_counts = [counts[rank as usize]; 2];
    /// let exchange = world.immediate_all_to_all_varcount(vec![rank; 3], &counts, &all_counts)?;
    /// // Computation goes here.
    /// assert_eq!(exchange.wait()?, if rank == 0 { vec![0, 1] } else { vec![0, 0, 1, 1] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each rank, do not add up to the length of `mine`, or differ for this rank's own part;
    /// no memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.6: `MPI_Ialltoallv`.
    pub fn immediate_all_to_all_varcount<B: Owned>(
        &self,
        mine: B,
        counts: &[usize],
        all_counts: &[usize],
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::new(Function::AllToAllVarcount))?;
        let mine = Held::new(mine);
        let (len, from, into) =
            self.check_exchanged("immediate_all_to_all_varcount", &mine, counts, all_counts)?;
        collective.begin_new(mine, len, None, move |plan, mine, all| {
            build(plan, (mine, &from), (all, &into));
            Ok(())
        })
    }

    /// An all-to-all of parts of different lengths that can be started again and again, from `mine` into `all`, both one
    /// behind the other.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let (rank, counts) = (world.rank() as usize, [1, 2]);
    /// let all = vec![0; 2 * counts[rank]];
    /// let mut exchange = world.all_to_all_varcount_init(vec![0; 3], &counts, all, &[counts[rank]; 2])?;
    /// for round in 0..3 {
    ///     exchange.input_mut()?.fill(round);
    ///     exchange.start()?;
    ///     exchange.wait()?;
    ///     assert!(exchange.output_mut()?.iter().all(|number| *number == round));
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_all_to_all_varcount`](Self::immediate_all_to_all_varcount); a buffer of another length.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.6: `MPI_Alltoallv_init`.
    pub fn all_to_all_varcount_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        counts: &[usize],
        all: O,
        all_counts: &[usize],
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::AllToAllVarcount))?;
        const NAME: &str = "all_to_all_varcount_init";
        let (mine, all) = (Held::new(mine), Held::new(all));
        let (len, from, into) = self.check_exchanged(NAME, &mine, counts, all_counts)?;
        check_len(NAME, "all", all.len(), len)?;
        collective.prepare(mine, all, None, move |plan, mine, all| {
            build(plan, (mine, &from), (all, &into));
            Ok(())
        })
    }

    fn check_exchanged<B: Owned>(
        &self,
        function: &str,
        mine: &Held<B>,
        counts: &[usize],
        all_counts: &[usize],
    ) -> Result<(usize, Blocks, Blocks)> {
        let (me, size) = (self.rank() as usize, self.size());
        let given = check_counts::<B::Item>(function, "counts", counts, size)?;
        check_len(function, "mine", mine.len(), given)?;
        let len = check_counts::<B::Item>(function, "all_counts", all_counts, size)?;
        check_len(function, "all_counts: this rank's own part", all_counts[me], counts[me])?;
        Ok((len, blocks_of::<B::Item>(counts), blocks_of::<B::Item>(all_counts)))
    }
}

fn build(plan: &mut Plan<'_>, from: (SendBytes, &Blocks), into: (ReceiveBytes, &Blocks)) {
    keep_own(plan, (from, into), plan.rank());
    pairwise::plan(plan, from, into);
}
