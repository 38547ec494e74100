//! Scatter of parts of different lengths.

use super::linear;
use crate::{
    buffer::{self, Held, Owned, Plain},
    coll::{
        blocks::Blocks,
        call::{Call, Function},
        check_len, check_root,
        partition::{Partition, PartitionMut, blocks_of, check_counts},
    },
    communicator::{Communicator, PersistentCollective, Request},
    error::{Error, ErrorClass, Result},
    types::Rank,
};

impl Communicator<'_> {
    /// Gives every rank its part of the root's slice; only the root's `all` matters. The other ranks need not know how
    /// long their parts are.
    ///
    /// ```
    /// use ringmpi::Partition;
    /// # ringmpi::threads(3, |world| {
    /// let all = [1, 2, 2];
    /// let all = (world.rank() == 0).then(|| Partition::new(&all, vec![0, 1, 2]));
    /// assert_eq!(world.scatter_varcount(all, 0)?, vec![world.rank(); world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, that gives no slice, or parts that lie outside of it or are not one for each rank:
    /// then the other ranks get an error too; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.6: `MPI_Scatterv`.
    pub fn scatter_varcount<T: Plain>(&self, all: Option<Partition<'_, T>>, root: Rank) -> Result<Vec<T>> {
        const NAME: &str = "scatter_varcount";
        let call = Call::rooted(Function::ScatterVarcount, root);
        self.check_for(call, || check_root(self, NAME, root))?;
        let (is_root, size) = (self.rank() == root, self.size());
        let blocks = match &all {
            _ if !is_root => None,
            Some(all) => Some(all.check(NAME, "all", size)),
            None => Some(Err(Error::new(ErrorClass::BUFFER, "scatter_varcount: all is None at the root"))),
        };
        // The others do not know how long their parts are, and wait.
        let bytes = |rank| match &blocks {
            Some(Ok(blocks)) => blocks.bytes(rank),
            _ => u64::MAX,
        };
        let told: Option<Vec<u64>> = is_root.then(|| (0..size).map(bytes).collect());
        let mut mine = [0];
        self.scatter_into(told.as_deref(), &mut mine, root)?;
        let blocks = blocks.transpose()?;
        if mine[0] == u64::MAX {
            let what =
                format!("scatter_varcount: the root, rank {root}, has no slice with a part for each rank");
            return Err(Error::new(ErrorClass::COUNT, what));
        }
        let len = usize::try_from(mine[0]).map_or(usize::MAX, |bytes| bytes / size_of::<T>().max(1));
        let all = all.as_ref().map(|all| buffer::of_slice(all.data()));
        self.collective(call, |entered| {
            let (collective, call) = entered.begin()?;
            self.run_new(collective, call, len, None, |plan, mine| {
                linear::plan(plan, all.zip(blocks.as_ref()), Some(mine), root);
                Ok(())
            })
        })
    }

    /// As [`scatter_varcount`](Self::scatter_varcount), into slices of the lengths of the parts.
    ///
    /// ```
    /// use ringmpi::Partition;
    /// # ringmpi::threads(2, |world| {
    /// // Parts may begin anywhere, and may overlap: both have the middle.
    /// let all = [1, 2, 3, 4, 5];
    /// let parts = Partition::with_displacements(&all, vec![3, 3], vec![0, 2]);
    /// let mut mine = [0; 3];
    /// world.scatter_varcount_into((world.rank() == 0).then_some(parts), &mut mine, 0)?;
    /// assert_eq!(mine, if world.rank() == 0 { [1, 2, 3] } else { [3, 4, 5] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, that gives no slice, or parts that lie outside of it or are not one for each rank, or
    /// whose own is of another length than its `mine`: then the other ranks get an error too; slices of other lengths
    /// than their parts; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.6: `MPI_Scatterv`.
    pub fn scatter_varcount_into<T: Plain>(
        &self,
        all: Option<Partition<'_, T>>,
        mine: &mut [T],
        root: Rank,
    ) -> Result<()> {
        self.collective(Call::rooted(Function::ScatterVarcount, root), |entered| {
            const NAME: &str = "scatter_varcount_into";
            check_root(self, NAME, root)?;
            let all = match all {
                _ if self.rank() != root => None,
                Some(all) => Some(all),
                None => Some(Partition::new(&[], vec![])),
            };
            let check = |all: &Partition<'_, T>| {
                let blocks = all.check(NAME, "all", self.size())?;
                check_len(NAME, "mine", mine.len(), all.count(root)).map(|()| blocks)
            };
            let blocks = all.as_ref().map(check).transpose()?;
            let (collective, call) = entered.begin()?;
            let all = all.as_ref().map(|all| buffer::of_slice(all.data()));
            self.run_in_place(collective, call, mine, None, |plan, mine| {
                linear::plan(plan, all.zip(blocks.as_ref()), Some(mine), root);
                Ok(())
            })
        })
    }

    /// As [`scatter_varcount`](Self::scatter_varcount), in place: the root's slice has a part for each rank, and keeps its
    /// own. The slices of the others take their parts, whole, and their counts do not matter.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// let (mut data, counts) = match world.rank() {
    ///     1 => (vec![0, 10, 11, 20], vec![1, 2, 1]),
    ///     _ => (vec![-1], vec![]),
    /// };
    /// world.scatter_varcount_in_place(PartitionMut::new(&mut data, counts), 1)?;
    /// assert_eq!(data, if world.rank() == 1 { vec![0, 10, 11, 20] } else { vec![10 * world.rank()] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose parts lie outside of its slice, overlap, or are not one for each rank: then the
    /// other ranks get an error too; slices of other lengths than their parts; bytes that are no values of the type; the
    /// end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.6: `MPI_Scatterv` with `MPI_IN_PLACE`.
    pub fn scatter_varcount_in_place<T: Plain>(
        &self,
        mut data: PartitionMut<'_, T>,
        root: Rank,
    ) -> Result<()> {
        self.collective(Call::rooted(Function::ScatterVarcount, root), |entered| {
            const NAME: &str = "scatter_varcount_in_place";
            check_root(self, NAME, root)?;
            let blocks = (self.rank() == root).then(|| data.check(NAME, "data", self.size())).transpose()?;
            let (collective, call) = entered.begin()?;
            self.run_in_place(collective, call, data.data(), None, |plan, data| {
                match &blocks {
                    Some(blocks) => linear::plan(plan, Some((data.to_send(), blocks)), None, root),
                    None => linear::plan(plan, None, Some(data), root),
                }
                Ok(())
            })
        })
    }

    /// As [`scatter_varcount`](Self::scatter_varcount), but only begins: the parts of the root's `all` lie one behind
    /// the other, of lengths `counts` (which, as `all`, the other ranks need not give); `len` is that of this rank's.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let (all, counts) = if world.rank() == 0 { (vec![1, 2, 2], vec![0, 1, 2]) } else { (vec![], vec![]) };
    /// // A rank knows how long its own part is.
    /// let len = world.rank() as usize;
    /// let scattering = world.immediate_scatter_varcount(all, &counts, len, 0)?;
    /// // Computation goes here.
    /// assert_eq!(scattering.wait()?, vec![world.rank(); len]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose counts are not one for each rank, do not add up to the length of `all`, or
    /// whose own is not `len`. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.4: `MPI_Iscatterv`.
    pub fn immediate_scatter_varcount<B: Owned>(
        &self,
        all: B,
        counts: &[usize],
        len: usize,
        root: Rank,
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::rooted(Function::ScatterVarcount, root))?;
        let all = Held::new(all);
        let blocks = self.check_scattered_parts(
            "immediate_scatter_varcount",
            "len: the root's part",
            &all,
            counts,
            len,
            root,
        )?;
        collective.begin_new(all, len, None, move |plan, all, mine| {
            linear::plan(plan, blocks.as_ref().map(|blocks| (all, blocks)), Some(mine), root);
            Ok(())
        })
    }

    /// A scatter of parts of different lengths that can be started again and again, from the root's `all` into `mine`.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let is_root = world.rank() == 0;
    /// let mine = vec![0; if is_root { 1 } else { 2 }];
    /// let mut scatter = world.scatter_varcount_init(vec![0; if is_root { 3 } else { 0 }], &[1, 2], mine, 0)?;
    /// for round in 0..3 {
    ///     if is_root {
    ///         scatter.input_mut()?.fill(round);
    ///     }
    ///     scatter.start()?;
    ///     scatter.wait()?;
    ///     assert!(scatter.output_mut()?.iter().all(|number| *number == round));
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_scatter_varcount`](Self::immediate_scatter_varcount).
    ///
    /// # Standard
    /// MPI 5.0, 6.13.4: `MPI_Scatterv_init`.
    pub fn scatter_varcount_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        all: I,
        counts: &[usize],
        mine: O,
        root: Rank,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::rooted(Function::ScatterVarcount, root))?;
        let (all, mine) = (Held::new(all), Held::new(mine));
        let blocks =
            self.check_scattered_parts("scatter_varcount_init", "mine", &all, counts, mine.len(), root)?;
        collective.prepare(all, mine, None, move |plan, all, mine| {
            linear::plan(plan, blocks.as_ref().map(|blocks| (all, blocks)), Some(mine), root);
            Ok(())
        })
    }

    /// At the root: where each part lies. `argument` says how long its own is.
    fn check_scattered_parts<B: Owned>(
        &self,
        function: &str,
        argument: &str,
        all: &Held<B>,
        counts: &[usize],
        len: usize,
        root: Rank,
    ) -> Result<Option<Blocks>> {
        check_root(self, function, root)?;
        if self.rank() != root {
            return Ok(None);
        }
        let sum = check_counts::<B::Item>(function, "counts", counts, self.size())?;
        check_len(function, "all", all.len(), sum)?;
        check_len(function, argument, len, counts[root as usize])?;
        Ok(Some(blocks_of::<B::Item>(counts)))
    }
}
