//! All-gather of neighbours, of slices of different lengths.

use super::{linear, repeated};
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
    communicator::{PersistentCollective, Request},
    error::Result,
    topology::Neighbourhood,
};

impl Neighbourhood<'_> {
    /// Sends this rank's slice to all its out-neighbours, and gives the slices that come from its in-neighbours, of any
    /// length, a vector each, in their order ([`in_neighbours`](Self::in_neighbours)). Nobody need know the lengths.
    /// Where a grid ends the vector is empty.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// let mine = vec![row.rank(); row.rank() as usize];
    /// let expected = [[vec![], vec![1]], [vec![], vec![2, 2]], [vec![1], vec![]]][row.rank() as usize].clone();
    /// assert_eq!(row.neighbour_all_gather_varcount(&mine)?, expected);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// No memory for all slices; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.1: `MPI_Neighbor_allgatherv`.
    pub fn neighbour_all_gather_varcount<T: Plain>(&self, mine: &[T]) -> Result<Vec<Vec<T>>> {
        let counts = self.without_null(self.neighbour_all_gather(&[mine.len()])?);
        self.collective(Call::new(Function::NeighbourAllGatherVarcount), |entered| {
            let all = "the lengths of what neighbours send";
            let len = check_counts::<T>("neighbour_all_gather_varcount", all, &counts, self.incoming())?;
            let (collective, call) = entered.begin()?;
            let (mine, blocks) = (buffer::of_slice(mine), blocks_of::<T>(&counts));
            let all: Vec<T> = self.comm().run_new(collective, call, len, None, |plan, all| {
                self.gather_varied(plan, mine, all, &blocks);
                Ok(())
            })?;
            Ok(split(&all, &counts))
        })
    }

    /// As [`neighbour_all_gather_varcount`](Self::neighbour_all_gather_varcount), into the parts of a slice, one for each
    /// in-neighbour. Where a grid ends the part stays as it was.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// // Each rank has as many elements as its number.
    /// let mine = vec![ring.rank(); ring.rank() as usize];
    /// let counts = [0, 1].map(|side| ring.in_neighbours()[side] as usize);
    /// let mut all = [-1; 3];
    /// ring.neighbour_all_gather_varcount_into(&mine, PartitionMut::new(&mut all, &counts[..]))?;
    /// assert_eq!(all, [[2, 2, 1], [2, 2, -1], [1, -1, -1]][ring.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Parts that lie outside of the slice, overlap, or are not one for each in-neighbour; slices of other lengths than
    /// their parts; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.1: `MPI_Neighbor_allgatherv`.
    pub fn neighbour_all_gather_varcount_into<T: Plain>(
        &self,
        mine: &[T],
        mut all: PartitionMut<'_, T>,
    ) -> Result<()> {
        self.collective(Call::new(Function::NeighbourAllGatherVarcount), |entered| {
            let blocks = all.check("neighbour_all_gather_varcount_into", "all", self.incoming())?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.comm().run_in_place(collective, call, all.data(), None, |plan, all| {
                self.gather_varied(plan, mine, all, &blocks);
                Ok(())
            })
        })
    }

    /// As [`neighbour_all_gather_varcount`](Self::neighbour_all_gather_varcount), but only begins: this rank gives the
    /// lengths of what comes (`counts`), and the request gives the slices, one behind the other.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// // Each rank has as many elements as its number.
    /// let mine = vec![ring.rank(); ring.rank() as usize];
    /// let counts = [0, 1].map(|side| ring.in_neighbours()[side] as usize);
    /// let gathering = ring.immediate_neighbour_all_gather_varcount(mine, &counts)?;
    /// // Computation goes here.
    /// assert_eq!(gathering.wait()?, [&[2, 2, 1][..], &[2, 2], &[1]][ring.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each in-neighbour, or not 0 where a grid ends; no memory for all slices. The rest is
    /// reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 8.7.1: `MPI_Ineighbor_allgatherv`.
    pub fn immediate_neighbour_all_gather_varcount<B: Owned>(
        &self,
        mine: B,
        counts: &[usize],
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.comm().immediate(Call::new(Function::NeighbourAllGatherVarcount))?;
        const NAME: &str = "immediate_neighbour_all_gather_varcount";
        let len = check_counts::<B::Item>(NAME, "counts", counts, self.incoming())?;
        self.check_null_counts(NAME, "counts", counts)?;
        let blocks = blocks_of::<B::Item>(counts);
        collective.begin_new(Held::new(mine), len, None, |plan, mine, all| {
            self.gather_varied(plan, mine, all, &blocks);
            Ok(())
        })
    }

    /// An all-gather of neighbours, of slices of different lengths (`counts`), that can be started again and again, from
    /// `mine` into `all`, one behind the other. Where a grid ends the part stays as it was.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// // Each rank has as many elements as its number.
    /// let mine = vec![ring.rank(); ring.rank() as usize];
    /// let counts = [0, 1].map(|side| ring.in_neighbours()[side] as usize);
    /// let all = vec![0; counts.iter().sum()];
    /// let mut gathering = ring.neighbour_all_gather_varcount_init(mine, all, &counts)?;
    /// for _ in 0..5 {
    ///     gathering.start()?;
    ///     gathering.wait()?;
    ///     assert_eq!(gathering.output_mut()?, [&[2, 2, 1][..], &[2, 2], &[1]][ring.rank() as usize]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Counts that are not one for each in-neighbour, or do not add up to the length of `all`.
    ///
    /// # Standard
    /// MPI 5.0, 8.8.1: `MPI_Neighbor_allgatherv_init`.
    pub fn neighbour_all_gather_varcount_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
        counts: &[usize],
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.comm().persistent(Call::new(Function::NeighbourAllGatherVarcount))?;
        const NAME: &str = "neighbour_all_gather_varcount_init";
        let (mine, all) = (Held::new(mine), Held::new(all));
        let len = check_counts::<I::Item>(NAME, "counts", counts, self.incoming())?;
        check_len(NAME, "all", all.len(), len)?;
        let blocks = blocks_of::<I::Item>(counts);
        collective.prepare(mine, all, None, |plan, mine, all| {
            self.gather_varied(plan, mine, all, &blocks);
            Ok(())
        })
    }

    fn gather_varied(&self, plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes, blocks: &Blocks) {
        let same = repeated(mine.len(), self.destinations());
        linear::plan(plan, self.neighbours(), (mine, &same), (all, blocks));
    }
}
