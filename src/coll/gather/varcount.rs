//! Gather of slices of different lengths.

use super::linear;
use crate::{
    buffer::{self, Held, Owned, Plain},
    coll::{
        blocks::Blocks,
        call::{Call, Function},
        check_len, check_root,
        partition::{PartitionMut, blocks_of, check_counts},
    },
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Brings the slices of all ranks, of any length, to the root; `None` elsewhere. The root need not know the
    /// lengths.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// let all = world.gather_varcount(&mine, 0)?;
    /// assert_eq!(all, (world.rank() == 0).then(|| vec![vec![], vec![1], vec![2, 2]]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; no memory for all slices; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gatherv`.
    pub fn gather_varcount<T: Plain>(&self, mine: &[T], root: Rank) -> Result<Option<Vec<Vec<T>>>> {
        let call = Call::rooted(Function::GatherVarcount, root);
        self.check_for(call, || check_root(self, "gather_varcount", root))?;
        let Some(counts) = self.gather(&[mine.len()], root)? else {
            return self.gather_parts(mine, root, &[]).map(|_| None);
        };
        let all = self.gather_parts(mine, root, &counts)?;
        Ok(Some(split(&all, &counts)))
    }

    /// Parts one behind the other, at the root.
    fn gather_parts<T: Plain>(&self, mine: &[T], root: Rank, counts: &[usize]) -> Result<Vec<T>> {
        self.collective(Call::rooted(Function::GatherVarcount, root), |entered| {
            let mine = buffer::of_slice(mine);
            if self.rank() != root {
                let (collective, call) = entered.begin()?;
                self.run(collective, call, None, |plan| {
                    linear::plan(plan, Some(mine), None, root);
                    Ok(())
                })?;
                return Ok(vec![]);
            }
            let len = check_counts::<T>("gather_varcount", "all ranks' lengths", counts, self.size())?;
            let blocks = blocks_of::<T>(counts);
            let (collective, call) = entered.begin()?;
            self.run_new(collective, call, len, None, |plan, all| {
                linear::plan(plan, Some(mine), Some((all, &blocks)), root);
                Ok(())
            })
        })
    }

    /// As [`gather_varcount`](Self::gather_varcount), into the parts of the root's slice; the other ranks have none.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// // The parts of a table, with a gap of one element behind each.
    /// let mut table = [-1; 6];
    /// let parts = PartitionMut::with_displacements(&mut table, vec![0, 1, 2], vec![0, 1, 3]);
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// world.gather_varcount_into(&mine, (world.rank() == 0).then_some(parts), 0)?;
    /// if world.rank() == 0 {
    ///     assert_eq!(table, [-1, 1, -1, 2, 2, -1]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; a root without a slice; parts that lie outside of it, overlap, or are not one for
    /// each rank, or whose own is of another length than `mine`; slices of other lengths than their parts; the end of
    /// the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gatherv`.
    pub fn gather_varcount_into<T: Plain>(
        &self,
        mine: &[T],
        all: Option<PartitionMut<'_, T>>,
        root: Rank,
    ) -> Result<()> {
        self.collective(Call::rooted(Function::GatherVarcount, root), |entered| {
            const NAME: &str = "gather_varcount_into";
            check_root(self, NAME, root)?;
            let is_root = self.rank() == root;
            let mut all = match all {
                _ if !is_root => None,
                Some(all) => Some(all),
                None => Some(PartitionMut::new(&mut [], vec![])),
            };
            let blocks = all.as_ref().map(|all| all.check(NAME, "all", self.size())).transpose()?;
            if let Some(all) = &all {
                check_len(NAME, "mine", mine.len(), all.count(root))?;
            }
            let (collective, call) = entered.begin()?;
            let mine = Some(buffer::of_slice(mine));
            match (&mut all, blocks) {
                (Some(all), Some(blocks)) => {
                    self.run_in_place(collective, call, all.data(), None, |plan, all| {
                        linear::plan(plan, mine, Some((all, &blocks)), root);
                        Ok(())
                    })
                }
                _ => self.run(collective, call, None, |plan| {
                    linear::plan(plan, mine, None, root);
                    Ok(())
                }),
            }
        })
    }

    /// As [`gather_varcount`](Self::gather_varcount), in place: the root's slice has a part for each rank, its own is there
    /// already. The slices of the others are their parts, whole, and their counts do not matter.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// let (mut data, counts) = match world.rank() {
    ///     1 => (vec![0, 10, 11, 0], vec![1, 2, 1]),
    ///     rank => (vec![10 * rank], vec![]),
    /// };
    /// world.gather_varcount_in_place(PartitionMut::new(&mut data, counts), 1)?;
    /// assert_eq!(data, if world.rank() == 1 { vec![0, 10, 11, 20] } else { vec![10 * world.rank()] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose parts lie outside of its slice, overlap, or are not one for each rank; slices of
    /// other lengths than their parts; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gatherv` with `MPI_IN_PLACE`.
    pub fn gather_varcount_in_place<T: Plain>(
        &self,
        mut data: PartitionMut<'_, T>,
        root: Rank,
    ) -> Result<()> {
        self.collective(Call::rooted(Function::GatherVarcount, root), |entered| {
            const NAME: &str = "gather_varcount_in_place";
            check_root(self, NAME, root)?;
            let blocks = (self.rank() == root).then(|| data.check(NAME, "data", self.size())).transpose()?;
            let (collective, call) = entered.begin()?;
            self.run_in_place(collective, call, data.data(), None, |plan, data| {
                match &blocks {
                    Some(blocks) => linear::plan(plan, None, Some((data, blocks)), root),
                    None => linear::plan(plan, Some(data.to_send()), None, root),
                }
                Ok(())
            })
        })
    }

    /// As [`gather_varcount`](Self::gather_varcount), but only begins; the root says how long the slices are (`counts`,
    /// which the other ranks need not give), and the request gives it all of them, one behind the other.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// // The root knows how much comes from whom.
    /// let counts: &[usize] = if world.rank() == 0 { &[0, 1, 2] } else { &[] };
    /// let gathering = world.immediate_gather_varcount(mine, counts, 0)?;
    /// // Computation goes here.
    /// assert_eq!(gathering.wait()?, (world.rank() == 0).then(|| vec![1, 2, 2]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose counts are not one for each rank, or whose own is not the length of `mine`;
    /// no memory for all slices. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.3: `MPI_Igatherv`.
    pub fn immediate_gather_varcount<B: Owned>(
        &self,
        mine: B,
        counts: &[usize],
        root: Rank,
    ) -> Result<Request<'_, Option<Vec<B::Item>>>> {
        let collective = self.immediate(Call::rooted(Function::GatherVarcount, root))?;
        let mine = Held::new(mine);
        let parts = self.check_gathered("immediate_gather_varcount", &mine, counts, root)?;
        let len = parts.as_ref().map(|(len, _)| *len);
        collective.begin_new_if(mine, len, None, move |plan, mine, all| {
            let all = parts.as_ref().map(|(_, blocks)| (all, blocks));
            linear::plan(plan, Some(mine), all, root);
            Ok(())
        })
    }

    /// A gather of slices of different lengths that can be started again and again, from `mine` into the root's `all`,
    /// one behind the other.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let (mine, all) = if world.rank() == 0 { (vec![0], vec![0; 3]) } else { (vec![7; 2], vec![]) };
    /// let mut gather = world.gather_varcount_init(mine, all, &[1, 2], 0)?;
    /// for round in 0..3 {
    ///     gather.input_mut()?[0] = round;
    ///     gather.start()?;
    ///     gather.wait()?;
    ///     if world.rank() == 0 {
    ///         assert_eq!(gather.output_mut()?, [round, round, 7]);
    ///     }
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_gather_varcount`](Self::immediate_gather_varcount); a root whose `all` has another length.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.3: `MPI_Gatherv_init`.
    pub fn gather_varcount_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
        counts: &[usize],
        root: Rank,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::rooted(Function::GatherVarcount, root))?;
        const NAME: &str = "gather_varcount_init";
        let (mine, all) = (Held::new(mine), Held::new(all));
        let parts = self.check_gathered(NAME, &mine, counts, root)?;
        parts.iter().try_for_each(|(len, _)| check_len(NAME, "all", all.len(), *len))?;
        collective.prepare(mine, all, None, move |plan, mine, all| {
            let all = parts.as_ref().map(|(_, blocks)| (all, blocks));
            linear::plan(plan, Some(mine), all, root);
            Ok(())
        })
    }

    /// At the root: how long all parts are, and where each lies.
    fn check_gathered<B: Owned>(
        &self,
        function: &str,
        mine: &Held<B>,
        counts: &[usize],
        root: Rank,
    ) -> Result<Option<(usize, Blocks)>> {
        check_root(self, function, root)?;
        if self.rank() != root {
            return Ok(None);
        }
        let len = check_counts::<B::Item>(function, "counts", counts, self.size())?;
        check_len(function, "mine", mine.len(), counts[root as usize])?;
        Ok(Some((len, blocks_of::<B::Item>(counts))))
    }
}

/// A vector for each part.
pub(in crate::coll) fn split<T: Plain>(all: &[T], counts: &[usize]) -> Vec<Vec<T>> {
    let mut rest = all;
    let next = |count: &usize| {
        let (part, behind) = rest.split_at(*count);
        rest = behind;
        part.to_vec()
    };
    counts.iter().map(next).collect()
}
