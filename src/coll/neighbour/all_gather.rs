//! All-gather of neighbours.

use super::{check_parts_for, divided, linear, repeated, whole_of};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    coll::{
        call::{Call, Function},
        plan::Plan,
    },
    communicator::{PersistentCollective, Request},
    error::Result,
    topology::Neighbourhood,
};

impl Neighbourhood<'_> {
    /// Sends this rank's slice to all its out-neighbours, and gives the slices that come from its in-neighbours, of the
    /// same length, in their order ([`in_neighbours`](Self::in_neighbours)).
    ///
    /// Where a grid ends there is no neighbour: the part is this rank's own slice.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let row = world.create_cartesian(&[4], &[false], false)?.expect("it has a place for all");
    /// let expected = [[0, 1], [0, 2], [1, 3], [2, 3]][row.rank() as usize];
    /// assert_eq!(row.neighbour_all_gather(&[row.rank()])?, expected);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other lengths; no memory for all slices; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.1: `MPI_Neighbor_allgather`.
    pub fn neighbour_all_gather<T: Plain>(&self, mine: &[T]) -> Result<Vec<T>> {
        self.collective(Call::new(Function::NeighbourAllGather), |entered| {
            let len = whole_of("neighbour_all_gather", "mine", mine.len(), self.incoming())?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.comm().run_new(collective, call, len, None, |plan, all| self.gather_new(plan, mine, all))
        })
    }

    /// As [`neighbour_all_gather`](Self::neighbour_all_gather), into a slice, whose equal parts need not be as long as
    /// this rank's. Where a grid ends the part stays as it was.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// // What is known at the ends is there before.
    /// let mut around = [-1, 99];
    /// row.neighbour_all_gather_into(&[row.rank()], &mut around)?;
    /// assert_eq!(around, [[-1, 1], [0, 2], [1, 99]][row.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that is no equal parts; and as [`neighbour_all_gather`](Self::neighbour_all_gather).
    ///
    /// # Standard
    /// MPI 5.0, 8.6.1: `MPI_Neighbor_allgather`.
    pub fn neighbour_all_gather_into<T: Plain>(&self, mine: &[T], all: &mut [T]) -> Result<()> {
        self.collective(Call::new(Function::NeighbourAllGather), |entered| {
            check_parts_for("neighbour_all_gather_into", "all", all.len(), self.incoming())?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.comm()
                .run_in_place(collective, call, all, None, |plan, all| self.gather_into(plan, mine, all))
        })
    }

    /// As [`neighbour_all_gather`](Self::neighbour_all_gather), but only begins: the request gives the result.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let gathering = ring.immediate_neighbour_all_gather(vec![ring.rank()])?;
    /// // Computation goes here.
    /// assert_eq!(gathering.wait()?, ring.in_neighbours());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// No memory for all slices. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 8.7.1: `MPI_Ineighbor_allgather`.
    pub fn immediate_neighbour_all_gather<B: Owned>(&self, mine: B) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.comm().immediate(Call::new(Function::NeighbourAllGather))?;
        let mine = Held::new(mine);
        let len = whole_of("immediate_neighbour_all_gather", "mine", mine.len(), self.incoming())?;
        collective.begin_new(mine, len, None, |plan, mine, all| self.gather_new(plan, mine, all))
    }

    /// An all-gather of neighbours that can be started again and again, from `mine` into `all`. Where a grid ends the
    /// part stays as it was.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let mut gathering = ring.neighbour_all_gather_init(vec![0], vec![0; 2])?;
    /// for round in 0..5 {
    ///     gathering.input_mut()?[0] = 10 * round + ring.rank();
    ///     gathering.start()?;
    ///     gathering.wait()?;
    ///     let expected = [0, 1].map(|side| 10 * round + ring.in_neighbours()[side]);
    ///     assert_eq!(gathering.output_mut()?, expected);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that is no equal parts, one for each in-neighbour.
    ///
    /// # Standard
    /// MPI 5.0, 8.8.1: `MPI_Neighbor_allgather_init`.
    pub fn neighbour_all_gather_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.comm().persistent(Call::new(Function::NeighbourAllGather))?;
        let (mine, all) = (Held::new(mine), Held::new(all));
        check_parts_for("neighbour_all_gather_init", "all", all.len(), self.incoming())?;
        collective.prepare(mine, all, None, |plan, mine, all| self.gather_into(plan, mine, all))
    }

    fn gather_new(&self, plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes) -> Result<()> {
        let (same, parts) = (repeated(mine.len(), self.sources()), divided(all.len(), self.sources()));
        self.mirror(plan, (mine, &same), (all, &parts));
        self.gather_into(plan, mine, all)
    }

    fn gather_into(&self, plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes) -> Result<()> {
        let (same, parts) = (repeated(mine.len(), self.destinations()), divided(all.len(), self.sources()));
        linear::plan(plan, self.neighbours(), (mine, &same), (all, &parts));
        Ok(())
    }
}
