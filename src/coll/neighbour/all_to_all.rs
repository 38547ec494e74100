//! All-to-all of neighbours.

use super::{check_parts_for, divided, linear, whole_of};
use crate::{
    buffer::{self, Held, Owned, Plain, ReceiveBytes, SendBytes},
    coll::{
        call::{Call, Function},
        plan::Plan,
    },
    communicator::{PersistentCollective, Request},
    error::{Error, ErrorClass, Result},
    topology::Neighbourhood,
};

impl Neighbourhood<'_> {
    /// Sends each out-neighbour its part of this rank's slice, and gives the parts that come from the in-neighbours, in
    /// their order ([`in_neighbours`](Self::in_neighbours)). All parts have the same length.
    ///
    /// Where a grid ends there is no neighbour: the part is what this rank would have sent there.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// // Both neighbours of each are the other one.
    /// let ring = world.create_cartesian(&[2], &[true], false)?.expect("it has a place for all");
    /// let (backward, forward) = (10 * ring.rank(), 10 * ring.rank() + 1);
    /// let other = 10 * (1 - ring.rank());
    /// // What comes from behind was sent forward.
    /// assert_eq!(ring.neighbour_all_to_all(&[backward, forward])?, [other + 1, other]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A slice that is no equal parts, one for each out-neighbour; a rank that has in-neighbours but no out-neighbours,
    /// and so gives no length: it calls [`neighbour_all_to_all_into`](Self::neighbour_all_to_all_into). Other lengths; no
    /// memory; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.2: `MPI_Neighbor_alltoall`.
    pub fn neighbour_all_to_all<T: Plain>(&self, mine: &[T]) -> Result<Vec<T>> {
        self.collective(Call::new(Function::NeighbourAllToAll), |entered| {
            let len = self.exchanged("neighbour_all_to_all", mine.len(), "neighbour_all_to_all_into")?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.comm().run_new(collective, call, len, None, |plan, all| self.exchange_new(plan, mine, all))
        })
    }

    /// As [`neighbour_all_to_all`](Self::neighbour_all_to_all), into a slice of equal parts, one for each in-neighbour.
    /// Where a grid ends the part stays as it was.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// // What is known at the ends is there before.
    /// let mut around = [-1, 99];
    /// row.neighbour_all_to_all_into(&[10 * row.rank(), 10 * row.rank() + 1], &mut around)?;
    /// assert_eq!(around, [[-1, 10], [1, 20], [11, 99]][row.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Slices that are no equal parts; other lengths; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 8.6.2: `MPI_Neighbor_alltoall`.
    pub fn neighbour_all_to_all_into<T: Plain>(&self, mine: &[T], all: &mut [T]) -> Result<()> {
        self.collective(Call::new(Function::NeighbourAllToAll), |entered| {
            self.check_exchanged_parts("neighbour_all_to_all_into", mine.len(), all.len())?;
            let (collective, call) = entered.begin()?;
            let mine = buffer::of_slice(mine);
            self.comm()
                .run_in_place(collective, call, all, None, |plan, all| self.exchange_into(plan, mine, all))
        })
    }

    /// As [`neighbour_all_to_all`](Self::neighbour_all_to_all), but only begins: the request gives the result.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let (behind, ahead) = ring.shift(0, 1)?;
    /// let exchange = ring.immediate_neighbour_all_to_all(vec![10 * ring.rank(), 10 * ring.rank() + 1])?;
    /// // Computation goes here.
    /// assert_eq!(exchange.wait()?, [10 * behind + 1, 10 * ahead]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A buffer that is no equal parts; a rank that has in-neighbours but no out-neighbours, which calls
    /// [`immediate_neighbour_all_to_all_varcount`](Self::immediate_neighbour_all_to_all_varcount) where others call this;
    /// no memory. The rest is reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 8.7.2: `MPI_Ineighbor_alltoall`.
    pub fn immediate_neighbour_all_to_all<B: Owned>(&self, mine: B) -> Result<Request<'_, Vec<B::Item>>> {
        let collective = self.comm().immediate(Call::new(Function::NeighbourAllToAll))?;
        let mine = Held::new(mine);
        const OTHER: &str = "immediate_neighbour_all_to_all_varcount";
        let len = self.exchanged("immediate_neighbour_all_to_all", mine.len(), OTHER)?;
        collective.begin_new(mine, len, None, |plan, mine, all| self.exchange_new(plan, mine, all))
    }

    /// An all-to-all of neighbours that can be started again and again, from `mine` into `all`. Where a grid ends the part
    /// stays as it was.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let (behind, ahead) = ring.shift(0, 1)?;
    /// let mut exchange = ring.neighbour_all_to_all_init(vec![0; 2], vec![0; 2])?;
    /// for round in 0..5 {
    ///     exchange.input_mut()?.copy_from_slice(&[ring.rank(), round * ring.rank()]);
    ///     exchange.start()?;
    ///     exchange.wait()?;
    ///     assert_eq!(exchange.output_mut()?, [round * behind, ahead]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Buffers that are no equal parts, one for each out-neighbour and in-neighbour.
    ///
    /// # Standard
    /// MPI 5.0, 8.8.2: `MPI_Neighbor_alltoall_init`.
    pub fn neighbour_all_to_all_init<I: Owned, O: Owned<Item = I::Item>>(
        &self,
        mine: I,
        all: O,
    ) -> Result<PersistentCollective<'_, I, O>> {
        let collective = self.comm().persistent(Call::new(Function::NeighbourAllToAll))?;
        let (mine, all) = (Held::new(mine), Held::new(all));
        self.check_exchanged_parts("neighbour_all_to_all_init", mine.len(), all.len())?;
        collective.prepare(mine, all, None, |plan, mine, all| self.exchange_into(plan, mine, all))
    }

    /// How much comes if so much goes; or that another function takes what does not say that.
    fn exchanged(&self, function: &str, len: usize, other: &str) -> Result<usize> {
        match check_parts_for(function, "mine", len, self.outgoing())? {
            Some(part) => whole_of(function, "mine", part, self.incoming()),
            None if self.sources() == 0 => Ok(0),
            None => {
                let what = format!(
                    "{function}: mine is empty: this rank has {} in-neighbours and no out-neighbour: nothing says how long parts are",
                    self.sources()
                );
                Err(Error::new(ErrorClass::COUNT, what).with_help(format!("use {other}")))
            }
        }
    }

    fn check_exchanged_parts(&self, function: &str, given: usize, taken: usize) -> Result<()> {
        check_parts_for(function, "mine", given, self.outgoing())?;
        check_parts_for(function, "all", taken, self.incoming()).map(drop)
    }

    fn exchange_new(&self, plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes) -> Result<()> {
        let (given, taken) = (divided(mine.len(), self.destinations()), divided(all.len(), self.sources()));
        self.mirror(plan, (mine, &given), (all, &taken));
        self.exchange_into(plan, mine, all)
    }

    fn exchange_into(&self, plan: &mut Plan<'_>, mine: SendBytes, all: ReceiveBytes) -> Result<()> {
        let (given, taken) = (divided(mine.len(), self.destinations()), divided(all.len(), self.sources()));
        linear::plan(plan, self.neighbours(), (mine, &given), (all, &taken));
        Ok(())
    }
}
