//! All-to-all.

pub(super) mod linear;
pub(super) mod pairwise;
mod varcount;

use super::{
    blocks::Blocks,
    call::{Call, Function},
    check_len, check_parts,
    plan::Plan,
    select,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    communicator::{Communicator, PersistentCollective, Request},
    error::Result,
    types::Rank,
};

impl Communicator<'_> {
    /// Sends each rank its part of this rank's slice, and gives the parts that come from all, in the order of ranks. All
    /// parts of all ranks have the same length.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mine: Vec<i32> = (0..3).map(|to| 10 * world.rank() + to).collect();
    /// let expected: Vec<i32> = (0..3).map(|from| 10 * from + world.rank()).collect();
    /// assert_eq!(world.all_to_all(&mine)?, expected);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that does not divide into equal parts; other lengths; bytes that are no values of the type; no memory; the
    /// end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.8: `MPI_Alltoall`.
    pub fn all_to_all<T: Plain>(&self, mine: &[T]) -> Result<Vec<T>> {
        self.collective(Call::new(Function::AllToAll), |entered| {
            check_parts("all_to_all", "mine", mine.len(), self.size())?;
            let (collective, call) = entered.begin()?;
            let (len, mine) = (mine.len(), buffer::of_slice(mine));
            self.run_new(collective, call, len, None, |plan, all| build(plan, mine, all))
        })
    }

    /// As [`all_to_all`](Self::all_to_all), into a slice of the same length.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Twice: what was taken apart comes together again.
    /// let mine = [10 * world.rank(), 10 * world.rank() + 1, 10 * world.rank() + 2];
    /// let (mut column, mut back) = ([0; 3], [0; 3]);
    /// world.all_to_all_into(&mine, &mut column)?;
    /// assert_eq!(column, [world.rank(), 10 + world.rank(), 20 + world.rank()]);
    /// world.all_to_all_into(&column, &mut back)?;
    /// assert_eq!(back, mine);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice of another length; and as [`all_to_all`](Self::all_to_all).
    ///
    /// # Standard
    /// MPI 5.0, 6.8: `MPI_Alltoall`.
    pub fn all_to_all_into<T: Plain>(&self, mine: &[T], all: &mut [T]) -> Result<()> {
        self.collective(Call::new(Function::AllToAll), |entered| {
            check_parts("all_to_all_into", "mine", mine.len(), self.size())?;
            check_len("all_to_all_into", "all", all.len(), mine.len())?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.run_in_place(collective, call, all, None, |plan, all| build(plan, mine, all))
        })
    }

    /// As [`all_to_all`](Self::all_to_all), in place: what comes takes the place of what was sent.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut data: Vec<i32> = (0..3).map(|to| 10 * world.rank() + to).collect();
    /// world.all_to_all_in_place(&mut data)?;
    /// assert_eq!(data, [world.rank(), 10 + world.rank(), 20 + world.rank()]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`all_to_all`](Self::all_to_all).
    ///
    /// # Standard
    /// MPI 5.0, 6.8: `MPI_Alltoall` with `MPI_IN_PLACE`.
    pub fn all_to_all_in_place<T: Plain>(&self, data: &mut [T]) -> Result<()> {
        self.collective(Call::new(Function::AllToAll), |entered| {
            check_parts("all_to_all_in_place", "data", data.len(), self.size())?;
            let (collective, call) = entered.begin()?;
            self.run_in_place(collective, call, data, None, |plan, data| {
                let copy = plan.scratch(data.len())?;
                plan.copy(data.to_send(), copy);
                build(plan, copy.to_send(), data)
            })
        })
    }

    /// As [`all_to_all`](Self::all_to_all), but only begins: the request gives the result.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let exchange = world.immediate_all_to_all(vec![world.rank(); 3])?;
    /// // Computation goes here.
    /// assert_eq!(exchange.wait()?, [0, 1, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that does not divide into equal parts; no memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.6: `MPI_Ialltoall`.
    pub fn immediate_all_to_all<B: Owned>(&self, mine: B) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::new(Function::AllToAll))?;
        let mine = Held::new(mine);
        check_parts("immediate_all_to_all", "mine", mine.len(), self.size())?;
        let len = mine.len();
        collective.begin_new(mine, len, None, build)
    }

    /// An all-to-all that can be started again and again, from `mine` into `all`.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let mut exchange = world.all_to_all_init(vec![0; 2], vec![0; 2])?;
    /// for round in 0..5 {
    ///     exchange.input_mut()?.copy_from_slice(&[round, round + 100]);
    ///     exchange.start()?;
    ///     exchange.wait()?;
    ///     assert_eq!(exchange.output_mut()?, [round + 100 * world.rank(); 2]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that does not divide into equal parts; buffers of different lengths.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.6: `MPI_Alltoall_init`.
    pub fn all_to_all_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::AllToAll))?;
        let (mine, all) = (Held::new(mine), Held::new(all));
        check_parts("all_to_all_init", "mine", mine.len(), self.size())?;
        check_len("all_to_all_init", "all", all.len(), mine.len())?;
        collective.prepare(mine, all, None, build)
    }
}

/// Every rank knows how long a part is.
fn build(plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes) -> Result<()> {
    let size = plan.size();
    let bytes = all.len() / size as u64;
    let blocks = Blocks::equal(size, bytes);
    let (from, into): Parts<'_> = ((mine, &blocks), (all, &blocks));
    keep_own(plan, (from, into), plan.rank());
    match select::all_to_all(bytes) {
        select::AllToAll::Linear => linear::plan(plan, from, into),
        select::AllToAll::Pairwise => pairwise::plan(plan, from, into),
    }
    Ok(())
}

/// What is sent, what is received, and where the parts of each lie.
pub(super) type Parts<'a> = ((SendBytes, &'a Blocks), (ReceiveBytes, &'a Blocks));

/// What a rank sends itself.
pub(super) fn keep_own(plan: &mut Plan<'_>, (from, into): Parts<'_>, me: Rank) {
    plan.copy(from.1.of(from.0, me), into.1.of_mut(into.0, me));
}
