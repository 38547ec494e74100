//! Gather.

pub(super) mod binomial;
pub(super) mod linear;
mod varcount;

pub(super) use varcount::split;

use super::{
    blocks::Blocks,
    call::{Call, Function},
    check_len, check_parts, check_root,
    plan::Plan,
    select::{self, Tree},
    whole,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Brings the slices of all ranks, of equal length, to the root, in the order of ranks; `None`
    /// elsewhere.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let all = world.gather(&[world.rank(), 7], 2)?;
    /// assert_eq!(all, (world.rank() == 2).then(|| vec![0, 7, 1, 7, 2, 7]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; other lengths; no memory for all slices; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gather`.
    pub fn gather<T: Plain>(&self, mine: &[T], root: Rank) -> Result<Option<Vec<T>>> {
        self.collective(Call::rooted(Function::Gather, root), |entered| {
            check_root(self, "gather", root)?;
            let len = whole("gather", "mine", mine.len(), self.size())?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            if self.rank() != root {
                return self
                    .run(collective, call, None, |plan| build(plan, Some(mine), None, root))
                    .map(|()| None);
            }
            let gathered = self
                .run_new(collective, call, len, None, |plan, all| build(plan, Some(mine), Some(all), root));
            gathered.map(Some)
        })
    }

    /// As [`gather`](Self::gather), into the root's slice; the other ranks have none.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Only the root needs room for all; it is used again and again.
    /// let mut all = vec![0; if world.rank() == 0 { 3 } else { 0 }];
    /// for round in 0..4 {
    ///     let room = (world.rank() == 0).then_some(&mut all[..]);
    ///     world.gather_into(&[10 * round + world.rank()], room, 0)?;
    ///     if world.rank() == 0 {
    ///         assert_eq!(all, [10 * round, 10 * round + 1, 10 * round + 2]);
    ///     }
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; a root without a slice, or with one of another length; other lengths; the end of
    /// the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gather`.
    pub fn gather_into<T: Plain>(&self, mine: &[T], all: Option<&mut [T]>, root: Rank) -> Result<()> {
        self.collective(Call::rooted(Function::Gather, root), |entered| {
            check_root(self, "gather_into", root)?;
            let needed = whole("gather_into", "mine", mine.len(), self.size())?;
            let all = match all {
                _ if self.rank() != root => None,
                Some(all) => Some(all),
                None => Some(&mut [] as &mut [T]),
            };
            all.iter().try_for_each(|all| check_len("gather_into", "all", all.len(), needed))?;
            let (collective, call) = entered.begin()?;
            let mine = Some(buffer::of_slice(mine));
            match all {
                Some(all) => self.run_in_place(collective, call, all, None, |plan, all| {
                    build(plan, mine, Some(all), root)
                }),
                None => self.run(collective, call, None, |plan| build(plan, mine, None, root)),
            }
        })
    }

    /// As [`gather`](Self::gather), in place: the root's slice has a part for each rank, its own is there already; the
    /// slices of the others are their parts.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut data = if world.rank() == 1 { vec![0, 10, 0] } else { vec![10 * world.rank()] };
    /// world.gather_in_place(&mut data, 1)?;
    /// assert_eq!(data, if world.rank() == 1 { vec![0, 10, 20] } else { vec![10 * world.rank()] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; a root whose slice does not divide into equal parts; other lengths; the end of the
    /// job.
    ///
    /// # Standard
    /// MPI 5.0, 6.5: `MPI_Gather` with `MPI_IN_PLACE`.
    pub fn gather_in_place<T: Plain>(&self, data: &mut [T], root: Rank) -> Result<()> {
        self.collective(Call::rooted(Function::Gather, root), |entered| {
            check_root(self, "gather_in_place", root)?;
            let is_root = self.rank() == root;
            if is_root {
                check_parts("gather_in_place", "data", data.len(), self.size())?;
            }
            let (collective, call) = entered.begin()?;
            self.run_in_place(collective, call, data, None, |plan, data| match is_root {
                true => build(plan, None, Some(data), root),
                false => build(plan, Some(data.to_send()), None, root),
            })
        })
    }

    /// As [`gather`](Self::gather), but only begins: the request gives the result.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let gathering = world.immediate_gather(vec![world.rank(); 2], 0)?;
    /// // Computation goes here.
    /// if let Some(all) = gathering.wait()? {
    ///     assert_eq!(all, [0, 0, 1, 1, 2, 2]); // at the root
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist; no memory for all slices. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.3: `MPI_Igather`.
    pub fn immediate_gather<B: Owned>(
        &self,
        mine: B,
        root: Rank,
    ) -> Result<Request<'_, Option<Vec<B::Item>>>> {
        let collective = self.immediate(Call::rooted(Function::Gather, root))?;
        check_root(self, "immediate_gather", root)?;
        let (is_root, size) = (self.rank() == root, self.size());
        let input = Held::new(mine);
        let len = whole("immediate_gather", "mine", input.len(), size)?;
        collective.begin_new_if(input, is_root.then_some(len), None, move |plan, mine, all| {
            build(plan, Some(mine), is_root.then_some(all), root)
        })
    }

    /// A gather that can be started again and again, from `mine` into the root's `all`; the others' may be empty.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let room = if world.rank() == 0 { 3 } else { 0 };
    /// let mut gather = world.gather_init(vec![0.0], vec![0.0; room], 0)?;
    /// for step in 0..5 {
    ///     gather.input_mut()?[0] = f64::from(step * world.rank());
    ///     gather.start()?;
    ///     gather.wait()?;
    ///     if world.rank() == 0 {
    ///         assert_eq!(gather.output_mut()?, [0.0, f64::from(step), f64::from(2 * step)]);
    ///     }
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose `all` is not as long as all parts.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.3: `MPI_Gather_init`.
    pub fn gather_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
        root: Rank,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::rooted(Function::Gather, root))?;
        check_root(self, "gather_init", root)?;
        let (is_root, mine, all) = (self.rank() == root, Held::new(mine), Held::new(all));
        let needed = whole("gather_init", "mine", mine.len(), self.size())?;
        if is_root {
            check_len("gather_init", "all", all.len(), needed)?;
        }
        collective.prepare(mine, all, None, move |plan, mine, all| {
            build(plan, Some(mine), is_root.then_some(all), root)
        })
    }
}

/// `mine` is none if it lies in its place in the root's `all`. Every rank knows how long a part is.
fn build(plan: &mut Plan<'_>, mine: Option<SendBytes>, all: Option<ReceiveBytes>, root: Rank) -> Result<()> {
    let size = plan.size();
    let bytes = match (mine, all) {
        (Some(mine), _) => mine.len(),
        (None, Some(all)) => all.len() / size as u64,
        (None, None) => 0,
    };
    let blocks = Blocks::equal(size, bytes);
    let all = all.map(|memory| (memory, &blocks));
    match select::tree(bytes, size) {
        Tree::Linear => linear::plan(plan, mine, all, root),
        Tree::Binomial => binomial::plan(plan, mine, all, root)?,
    }
    Ok(())
}
