//! Scatter.

pub(super) mod binomial;
pub(super) mod linear;
mod varcount;

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
    error::{Error, ErrorClass, Result},
    types::Rank,
};

impl Communicator<'_> {
    /// Gives every rank its part of the root's slice: parts of equal length, in the order of ranks. Only the root's
    /// `all` matters.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let all = [0, 1, 10, 11, 20, 21];
    /// let mine = world.scatter((world.rank() == 1).then_some(&all[..]), 1)?;
    /// assert_eq!(mine, [10 * world.rank(), 10 * world.rank() + 1]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, that gives no slice, or one that does not divide into equal parts: then the other
    /// ranks get an error too; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.6: `MPI_Scatter`.
    pub fn scatter<T: Plain>(&self, all: Option<&[T]>, root: Rank) -> Result<Vec<T>> {
        let call = Call::rooted(Function::Scatter, root);
        self.check_for(call, || check_root(self, "scatter", root))?;
        let is_root = self.rank() == root;
        let len = match all {
            _ if !is_root => Ok(0),
            Some(all) => check_parts("scatter", "all", all.len(), self.size()),
            None => Err(Error::new(ErrorClass::BUFFER, "scatter: all is None at the root")),
        };
        // The others do not know how long their parts are, and wait.
        let told = self.broadcast_value(len.as_ref().map_or(u64::MAX, |len| *len as u64), root)?;
        let len = match told {
            u64::MAX if !is_root => {
                let what =
                    format!("scatter: the root, rank {root}, has no slice of {} equal parts", self.size());
                return Err(Error::new(ErrorClass::COUNT, what));
            }
            told => len.map(|_| told as usize)?,
        };
        self.collective(call, |entered| {
            let (collective, call) = entered.begin()?;
            let all = all.filter(|_| is_root).map(buffer::of_slice);
            self.run_new(collective, call, len, None, |plan, mine| {
                build(plan, all, Some(mine), mine.len(), root)
            })
        })
    }

    /// As [`scatter`](Self::scatter), into slices of equal length on all ranks.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Each rank has a buffer of its own, used for one line after the other of the root's table.
    /// let table = [[0, 1, 2], [10, 11, 12]];
    /// let mut mine = [0];
    /// for (line, numbers) in (0..).zip(&table) {
    ///     world.scatter_into((world.rank() == 0).then_some(&numbers[..]), &mut mine, 0)?;
    ///     assert_eq!(mine, [10 * line + world.rank()]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, that gives no slice, or one that is not as long as all parts: then the other ranks get
    /// an error too; other lengths; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.6: `MPI_Scatter`.
    pub fn scatter_into<T: Plain>(&self, all: Option<&[T]>, mine: &mut [T], root: Rank) -> Result<()> {
        self.collective(Call::rooted(Function::Scatter, root), |entered| {
            check_root(self, "scatter_into", root)?;
            let all = (self.rank() == root).then(|| all.unwrap_or(&[]));
            let check = |all: &[T]| {
                let needed = whole("scatter_into", "mine", mine.len(), self.size())?;
                check_len("scatter_into", "all", all.len(), needed)
            };
            all.map_or(Ok(()), check)?;
            let (collective, call) = entered.begin()?;
            let (all, bytes) = (all.map(buffer::of_slice), size_of_val(mine) as u64);
            self.run_in_place(collective, call, mine, None, |plan, mine| {
                build(plan, all, Some(mine), bytes, root)
            })
        })
    }

    /// As [`scatter`](Self::scatter), in place: the root's slice has a part for each rank, and keeps its own; the slices
    /// of the others take their parts.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut data = if world.rank() == 0 { vec![5, 6, 7] } else { vec![0] };
    /// world.scatter_in_place(&mut data, 0)?;
    /// // The root's own part stays where it is, the first of three.
    /// assert_eq!(data[0], 5 + world.rank());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose slice does not divide into equal parts: then the other ranks get an error too;
    /// other lengths; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.6: `MPI_Scatter` with `MPI_IN_PLACE`.
    pub fn scatter_in_place<T: Plain>(&self, data: &mut [T], root: Rank) -> Result<()> {
        self.collective(Call::rooted(Function::Scatter, root), |entered| {
            check_root(self, "scatter_in_place", root)?;
            let (is_root, size) = (self.rank() == root, self.size());
            if is_root {
                check_parts("scatter_in_place", "data", data.len(), size)?;
            }
            let (collective, call) = entered.begin()?;
            let bytes = size_of_val(data) as u64;
            self.run_in_place(collective, call, data, None, |plan, data| match is_root {
                true => build(plan, Some(data.to_send()), None, bytes / size as u64, root),
                false => build(plan, None, Some(data), bytes, root),
            })
        })
    }

    /// As [`scatter`](Self::scatter), of `len` elements a rank, but only begins: the request gives the part. Only the
    /// root's `all` matters; the others may give an empty buffer.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let all = if world.rank() == 2 { vec!['a', 'b', 'c', 'd', 'e', 'f'] } else { vec![] };
    /// let scattering = world.immediate_scatter(all, 2, 2)?;
    /// // Computation goes here.
    /// let mine = scattering.wait()?;
    /// assert_eq!(mine, [['a', 'b'], ['c', 'd'], ['e', 'f']][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A root that does not exist, or whose buffer is not as long as all parts. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.4: `MPI_Iscatter`.
    pub fn immediate_scatter<B: Owned>(
        &self,
        all: B,
        len: usize,
        root: Rank,
    ) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::rooted(Function::Scatter, root))?;
        let (is_root, all) = (self.rank() == root, Held::new(all));
        self.check_scattered("immediate_scatter", "len", &all, len, root)?;
        collective.begin_new(all, len, None, move |plan, all, mine| {
            build(plan, is_root.then_some(all), Some(mine), mine.len(), root)
        })
    }

    /// A scatter that can be started again and again, from the root's `all` into `mine`; the others' `all` may be
    /// empty.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let all = vec![0; if world.rank() == 0 { 2 } else { 0 }];
    /// let mut scatter = world.scatter_init(all, vec![0], 0)?;
    /// for round in 0..5 {
    ///     if world.rank() == 0 {
    ///         scatter.input_mut()?.copy_from_slice(&[round, -round]);
    ///     }
    ///     scatter.start()?;
    ///     scatter.wait()?;
    ///     assert_eq!(scatter.output_mut()?, [if world.rank() == 0 { round } else { -round }]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_scatter`](Self::immediate_scatter).
    ///
    /// # Standard
    /// MPI 5.0, 6.13.4: `MPI_Scatter_init`.
    pub fn scatter_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        all: I,
        mine: O,
        root: Rank,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::rooted(Function::Scatter, root))?;
        let (is_root, all, mine) = (self.rank() == root, Held::new(all), Held::new(mine));
        self.check_scattered("scatter_init", "mine", &all, mine.len(), root)?;
        collective.prepare(all, mine, None, move |plan, all, mine| {
            build(plan, is_root.then_some(all), Some(mine), mine.len(), root)
        })
    }

    /// `argument` says how long a part is.
    fn check_scattered<B: Owned>(
        &self,
        function: &str,
        argument: &str,
        all: &Held<B>,
        len: usize,
        root: Rank,
    ) -> Result<()> {
        check_root(self, function, root)?;
        let needed = whole(function, argument, len, self.size())?;
        match self.rank() == root {
            true => check_len(function, "all", all.len(), needed),
            false => Ok(()),
        }
    }
}

/// `mine` is none if it stays in its place in the root's `all`. Every rank knows how long a part is.
fn build(
    plan: &mut Plan<'_>,
    all: Option<SendBytes>,
    mine: Option<ReceiveBytes>,
    bytes: u64,
    root: Rank,
) -> Result<()> {
    let size = plan.size();
    let blocks = Blocks::equal(size, bytes);
    let all = all.map(|memory| (memory, &blocks));
    match select::tree(bytes, size) {
        Tree::Linear => linear::plan(plan, all, mine, root),
        Tree::Binomial => binomial::plan(plan, all, mine, bytes, root)?,
    }
    Ok(())
}
