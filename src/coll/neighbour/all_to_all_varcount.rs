//! All-to-all of neighbours, of parts of different lengths.

use super::linear;
use crate::{
    buffer::{self, Held, Owned, Plain},
    coll::{
        blocks::Blocks,
        call::{Call, Function},
        check_len,
        gather::split,
        partition::{Partition, PartitionMut, blocks_of, check_counts},
    },
    communicator::{PersistentCollective, Request},
    error::Result,
    topology::Neighbourhood,
};

impl Neighbourhood<'_> {
    /// Sends each out-neighbour its part of this rank's slice, and gives the parts that come from the in-neighbours, of
    /// any length, a vector each, in their order ([`in_neighbours`](Self::in_neighbours)). Nobody need know how much
    /// others send. Where a grid ends nothing is sent, and the vector is empty.
    ///
    /// ```
    /// use ringmpi::Partition;
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// // One number backward, two forward.
    /// let mine = [ring.rank(), 10 + ring.rank(), 10 + ring.rank()];
    /// let got = ring.neighbour_all_to_all_varcount(Partition::new(&mine, &[1, 2][..]))?;
    /// let (behind, ahead) = ring.shift(0, 1)?;
    /// assert_eq!(got, [vec![10 + behind; 2], vec![ahead]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of the slice, or are not one for each out-neighbour; no memory; bytes that are no values of
    /// the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.2: `MPI_Neighbor_alltoallv`.
    pub fn neighbour_all_to_all_varcount<T: Plain>(&self, mine: Partition<'_, T>) -> Result<Vec<Vec<T>>> {
        const NAME: &str = "neighbour_all_to_all_varcount";
        let call = Call::new(Function::NeighbourAllToAllVarcount);
        let from = self.check_for(call, || mine.check(NAME, "mine", self.outgoing()))?;
        let mut counts = vec![0; self.sources()];
        self.neighbour_all_to_all_into(mine.counts(), &mut counts)?;
        self.collective(call, |entered| {
            let len =
                check_counts::<T>(NAME, "the lengths of what neighbours send", &counts, self.incoming())?;
            let into = blocks_of::<T>(&counts);
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine.data());
            let all: Vec<T> = self.comm().run_new(collective, call, len, None, |plan, all| {
                linear::plan(plan, self.neighbours(), (mine, &from), (all, &into));
                Ok(())
            })?;
            Ok(split(&all, &counts))
        })
    }

    /// As [`neighbour_all_to_all_varcount`](Self::neighbour_all_to_all_varcount), into the parts of a slice, one for each
    /// in-neighbour. Where a grid ends the part stays as it was.
    ///
    /// ```
    /// use ringmpi::{Partition, PartitionMut};
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// // One number backward, two forward: what would go beyond the ends goes nowhere.
    /// let (mine, counts) = ([row.rank(); 3], [1, 2]);
    /// let mut all = [-1; 3];
    /// let into = PartitionMut::new(&mut all, &[2, 1][..]);
    /// row.neighbour_all_to_all_varcount_into(Partition::new(&mine, &counts[..]), into)?;
    /// assert_eq!(all, [[-1, -1, 1], [0, 0, 2], [1, 1, -1]][row.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of their slice, are not one for each neighbour, or, of `all`, overlap; parts of other
    /// lengths than what comes; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.2: `MPI_Neighbor_alltoallv`.
    pub fn neighbour_all_to_all_varcount_into<T: Plain>(
        &self,
        mine: Partition<'_, T>,
        mut all: PartitionMut<'_, T>,
    ) -> Result<()> {
        self.collective(Call::new(Function::NeighbourAllToAllVarcount), |entered| {
            const NAME: &str = "neighbour_all_to_all_varcount_into";
            let (from, into) =
                (mine.check(NAME, "mine", self.outgoing())?, all.check(NAME, "all", self.incoming())?);
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine.data());
            self.comm().run_in_place(collective, call, all.data(), None, |plan, all| {
                linear::plan(plan, self.neighbours(), (mine, &from), (all, &into));
                Ok(())
            })
        })
    }

    /// As [`neighbour_all_to_all_varcount`](Self::neighbour_all_to_all_varcount), but only begins: the parts of `mine` lie
    /// one behind the other, of lengths `counts`, and so will those of the result, of lengths `all_counts`.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let (behind, ahead) = ring.shift(0, 1)?;
    /// // One number backward, two forward.
    /// let exchange = ring.immediate_neighbour_all_to_all_varcount(vec![ring.rank(); 3], &[1, 2], &[2, 1])?;
    /// // Computation goes here.
    /// assert_eq!(exchange.wait()?, [behind, behind, ahead]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each neighbour, do not add up to the length of `mine`, or, of what comes, are not 0
    /// where a grid ends; no memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 8.7.2: `MPI_Ineighbor_alltoallv`.
    pub fn immediate_neighbour_all_to_all_varcount<B: Owned>(
        &self,
        mine: B,
        counts: &[usize],
        all_counts: &[usize],
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.comm().immediate(Call::new(Function::NeighbourAllToAllVarcount))?;
        const NAME: &str = "immediate_neighbour_all_to_all_varcount";
        let mine = Held::new(mine);
        let (len, from, into) = self.check_varied(NAME, &mine, counts, all_counts)?;
        self.check_null_counts(NAME, "all_counts", all_counts)?;
        collective.begin_new(mine, len, None, |plan, mine, all| {
            linear::plan(plan, self.neighbours(), (mine, &from), (all, &into));
            Ok(())
        })
    }

    /// An all-to-all of neighbours, of parts of different lengths, that can be started again and again, from `mine` into
    /// `all`, both one behind the other. Where a grid ends the part stays as it was.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let (behind, ahead) = ring.shift(0, 1)?;
    /// // One number backward, two forward.
    /// let (mine, all) = (vec![ring.rank(); 3], vec![0; 3]);
    /// let mut exchange = ring.neighbour_all_to_all_varcount_init(mine, &[1, 2], all, &[2, 1])?;
    /// for _ in 0..5 {
    ///     exchange.start()?;
    ///     exchange.wait()?;
    ///     assert_eq!(exchange.output_mut()?, [behind, behind, ahead]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each neighbour, or do not add up to the lengths of `mine` and `all`.
    ///
    /// # Standard
    /// MPI 5.0, 8.8.2: `MPI_Neighbor_alltoallv_init`.
    pub fn neighbour_all_to_all_varcount_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        counts: &[usize],
        all: O,
        all_counts: &[usize],
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.comm().persistent(Call::new(Function::NeighbourAllToAllVarcount))?;
        const NAME: &str = "neighbour_all_to_all_varcount_init";
        let (mine, all) = (Held::new(mine), Held::new(all));
        let (len, from, into) = self.check_varied(NAME, &mine, counts, all_counts)?;
        check_len(NAME, "all", all.len(), len)?;
        collective.prepare(mine, all, None, |plan, mine, all| {
            linear::plan(plan, self.neighbours(), (mine, &from), (all, &into));
            Ok(())
        })
    }

    fn check_varied<B: Owned>(
        &self,
        function: &str,
        mine: &Held<B>,
        counts: &[usize],
        all_counts: &[usize],
    ) -> Result<(usize, Blocks, Blocks)> {
        let given = check_counts::<B::Item>(function, "counts", counts, self.outgoing())?;
        check_len(function, "mine", mine.len(), given)?;
        let len = check_counts::<B::Item>(function, "all_counts", all_counts, self.incoming())?;
        Ok((len, blocks_of::<B::Item>(counts), blocks_of::<B::Item>(all_counts)))
    }
}
