//! All-gather.

pub(super) mod dissemination;
pub(super) mod linear;
pub(super) mod ring;
pub(super) mod slots;
pub(super) mod staged;
mod varcount;

use super::{
    blocks::Blocks,
    call::{Call, Function},
    check_len, check_parts,
    failing::Entered,
    on_board::Operation,
    plan::Plan,
    select, whole,
};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    communicator::{Communicator, PersistentCollective, Request, landing},
    error::Result,
};

impl Communicator<'_> {
    /// Brings the slices of all ranks, of equal length, to all ranks, in the order of ranks.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// assert_eq!(world.all_gather(&[world.rank(), 7])?, [0, 7, 1, 7, 2, 7]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; no memory for all slices; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgather`.
    pub fn all_gather<T: Plain>(&self, mine: &[T]) -> Result<Vec<T>> {
        self.all_gather_new(Function::AllGather, mine)
    }

    /// For a new communicator: never taken for an all-gather of the program's.
    pub(crate) fn all_gather_to_construct<T: Plain>(&self, mine: &[T]) -> Result<Vec<T>> {
        self.all_gather_new(Function::Construction, mine)
    }

    fn all_gather_new<T: Plain>(&self, function: Function, mine: &[T]) -> Result<Vec<T>> {
        self.collective(Call::new(function), |entered| {
            let len = whole("all_gather", "mine", mine.len(), self.size())?;
            landing::new_vec(len, |all| self.all_gather_bytes(entered, Some(buffer::of_slice(mine)), all))
        })
    }

    /// As [`all_gather`](Self::all_gather), into a slice.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut ranks = [0; 3];
    /// world.all_gather_into(&[world.rank()], &mut ranks)?;
    /// assert_eq!(ranks, [0, 1, 2]);
    /// // A slice that has no room for all is an error, and nothing is sent.
    /// let error = world.all_gather_into(&[world.rank()], &mut ranks[..2]).unwrap_err();
    /// assert_eq!(error.class(), ringmpi::ErrorClass::COUNT);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that is not as long as all parts; and as [`all_gather`](Self::all_gather).
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgather`.
    pub fn all_gather_into<T: Plain>(&self, mine: &[T], all: &mut [T]) -> Result<()> {
        self.collective(Call::new(Function::AllGather), |entered| {
            let needed = whole("all_gather_into", "mine", mine.len(), self.size())?;
            check_len("all_gather_into", "all", all.len(), needed)?;
            landing::in_place(all, |all| self.all_gather_bytes(entered, Some(buffer::of_slice(mine)), all))
        })
    }

    /// As [`all_gather`](Self::all_gather), in place: the slice has a part for each rank, and this rank's is there
    /// already.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Each rank has computed its third of a table.
    /// let mut table = [0; 6];
    /// let mine = 2 * world.rank() as usize;
    /// table[mine..mine + 2].copy_from_slice(&[mine, mine + 1]);
    /// world.all_gather_in_place(&mut table)?;
    /// assert_eq!(table, [0, 1, 2, 3, 4, 5]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that does not divide into equal parts; and as [`all_gather`](Self::all_gather).
    ///
    /// # Standard
    /// MPI 5.0, 6.7: `MPI_Allgather` with `MPI_IN_PLACE`.
    pub fn all_gather_in_place<T: Plain>(&self, all: &mut [T]) -> Result<()> {
        self.collective(Call::new(Function::AllGather), |entered| {
            check_parts("all_gather_in_place", "all", all.len(), self.size())?;
            landing::in_place(all, |all| self.all_gather_bytes(entered, None, all))
        })
    }

    /// `mine` is none if it is in its place.
    fn all_gather_bytes(
        &self,
        entered: &mut Entered<'_, '_>,
        mine: Option<SendBytes>,
        all: ReceiveBytes,
    ) -> Result<()> {
        let (collective, call) = entered.begin()?;
        let blocks = Blocks::equal(self.size(), all.len() / self.size() as u64);
        let bytes = blocks.bytes(self.rank());
        let way = select::small_all_gather(bytes, collective.board.is_some());
        if let (select::Way::Board, Some(board)) = (way, &mut collective.board) {
            mine.into_iter().for_each(|mine| blocks.of_mut(all, self.rank()).copy_from(mine));
            return slots::run(Operation::new(self, board.get(), call)?, all, &blocks);
        }
        if let Some(staged) = self.staged(collective, call, bytes as usize, 1)? {
            mine.into_iter().for_each(|mine| blocks.of_mut(all, self.rank()).copy_from(mine));
            return staged::run(staged, all, &blocks);
        }
        self.run(collective, call, None, |plan| build(plan, mine, all))
    }

    /// As [`all_gather`](Self::all_gather), but only begins: the request gives the result.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Two at the same time, of different types; they may end in any order.
    /// let names = world.immediate_all_gather(vec![b'a' + world.rank() as u8])?;
    /// let ranks = world.immediate_all_gather(vec![world.rank()])?;
    /// assert_eq!(ranks.wait()?, [0, 1, 2]);
    /// assert_eq!(names.wait()?, b"abc");
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// No memory for all slices. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 6.12.5: `MPI_Iallgather`.
    pub fn immediate_all_gather<B: Owned>(&self, mine: B) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.immediate(Call::new(Function::AllGather))?;
        let mine = Held::new(mine);
        let len = whole("immediate_all_gather", "mine", mine.len(), self.size())?;
        collective.begin_new(mine, len, None, |plan, mine, all| build(plan, Some(mine), all))
    }

    /// An all-gather that can be started again and again, from `mine` into `all`.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let mut all_gather = world.all_gather_init(vec![0.0], vec![0.0; 3])?;
    /// for step in 1..5 {
    ///     all_gather.input_mut()?[0] = f64::from(step);
    ///     all_gather.start()?;
    ///     all_gather.wait()?;
    ///     assert_eq!(all_gather.output_mut()?, [f64::from(step); 3]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that is not as long as all parts.
    ///
    /// # Standard
    /// MPI 5.0, 6.13.5: `MPI_Allgather_init`.
    pub fn all_gather_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.persistent(Call::new(Function::AllGather))?;
        let (mine, all) = (Held::new(mine), Held::new(all));
        let needed = whole("all_gather_init", "mine", mine.len(), self.size())?;
        check_len("all_gather_init", "all", all.len(), needed)?;
        collective.prepare(mine, all, None, |plan, mine, all| build(plan, Some(mine), all))
    }
}

/// `mine` is none if it is in its place. Every rank knows how long a part is.
fn build(plan: &mut Plan<'_>, mine: Option<SendBytes>, all: ReceiveBytes) -> Result<()> {
    let size = plan.size();
    let bytes = all.len() / size as u64;
    let blocks = Blocks::equal(size, bytes);
    mine.into_iter().for_each(|mine| plan.copy(mine, blocks.of_mut(all, plan.rank())));
    match select::all_gather(bytes, size) {
        select::AllGather::Linear => linear::plan(plan, all, &blocks),
        select::AllGather::Dissemination => dissemination::plan(plan, all, &blocks)?,
        select::AllGather::Ring => ring::plan(plan, all, &blocks),
    }
    Ok(())
}
