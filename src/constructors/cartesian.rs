//! Constructors of communicators whose processes are in a grid.

use super::agreement::digest;
use crate::{
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    topology::{CartesianCommunicator, Grid},
    types::Rank,
};

impl<'u> Communicator<'u> {
    /// A communicator whose processes are in a grid: so many places in each dimension (`dims`), of which the ends meet
    /// or do not (`periods`). All ranks call it with the same arguments; those beyond the last place get `None`.
    ///
    /// [`dimensions_create`](crate::dimensions_create) divides a number of ranks into dimensions. Ranks stay what they
    /// are: on one machine there is nothing to gain by `reorder`.
    ///
    /// ```
    /// # ringmpi::threads(5, |world| {
    /// let mut dims = [0; 2];
    /// ringmpi::dimensions_create(world.size() - 1, &mut dims)?;
    /// let Some(grid) = world.create_cartesian(&dims, &[true; 2], false)? else {
    ///     assert_eq!(world.rank(), 4);
    ///     return Ok(());
    /// };
    /// assert_eq!((grid.size(), grid.dims()), (4, &[2, 2][..]));
    /// grid.barrier()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Different numbers of `dims` and `periods`; an entry of `dims` that is not positive; more places than there are
    /// ranks; a rank that gives other arguments, or that refuses its own: then all ranks err. The end of the job; all
    /// context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.1: `MPI_Cart_create`.
    pub fn create_cartesian(
        &self,
        dims: &[Rank],
        periods: &[bool],
        reorder: bool,
    ) -> Result<Option<CartesianCommunicator<'u>>> {
        const NAME: &str = "Communicator::create_cartesian";
        self.tidy();
        let grid = Grid::new(NAME, dims, periods, self.size());
        let grid = self.agree_on_same(NAME, grid, |grid| {
            let dims = grid.dims().iter().zip(grid.periods());
            digest(dims.flat_map(|(dim, period)| [i64::from(*dim), i64::from(*period)]))
                .wrapping_add(reorder.into())
        })?;
        let members: Vec<Rank> = (0..grid.size()).collect();
        let is_in = self.rank() < grid.size();
        let made = self.of_members(is_in.then_some(&members))?;
        Ok(made.map(|comm| CartesianCommunicator::new(comm, grid)))
    }
}

impl<'u> CartesianCommunicator<'u> {
    /// The grid of lower dimension in which this process is if only the dimensions of `retain` are kept: all processes
    /// that have the same coordinates in the others. All ranks call it with the same argument.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(6, |world| {
    /// let grid = world.create_cartesian(&[2, 3], &[false; 2], false)?.expect("it has a place for all");
    /// let row = grid.subgroup(&[false, true])?;
    /// assert_eq!((row.dims(), row.coordinates()), (&[3][..], &grid.coordinates()[1..]));
    /// assert_eq!(row.all_reduce_value(grid.rank(), op::Sum)?, [3, 12][grid.coordinates()[0] as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of entries than there are dimensions; a rank that gives another argument: then all ranks err. The
    /// end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.7: `MPI_Cart_sub`.
    pub fn subgroup(&self, retain: &[bool]) -> Result<CartesianCommunicator<'u>> {
        const NAME: &str = "CartesianCommunicator::subgroup";
        self.tidy();
        let dimensions = self.dims().len();
        let retain = if retain.len() == dimensions {
            Ok(retain)
        } else {
            let what =
                format!("{NAME}: retain has {} entries, for a grid of {dimensions} dimensions", retain.len());
            Err(Error::new(ErrorClass::ARG, what))
        };
        let retain =
            self.agree_on_same(NAME, retain, |retain| digest(retain.iter().map(|it| i64::from(*it))))?;
        let members = self.grid().slice(self.rank(), retain);
        let made = self.of_members(Some(&members))?.expect("this process is among its own");
        Ok(CartesianCommunicator::new(made, self.grid().retained(retain)))
    }

    /// The same grid of the same processes in a context of its own. All ranks call it. The name is not copied.
    ///
    /// ```
    /// use ringmpi::CommunicatorRelation;
    /// # ringmpi::threads(3, |world| {
    /// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
    /// let mine = ring.duplicate()?;
    /// assert_eq!((mine.dims(), mine.in_neighbours()), (ring.dims(), ring.in_neighbours()));
    /// assert_eq!(mine.compare(&ring), CommunicatorRelation::Congruent);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_dup`.
    pub fn duplicate(&self) -> Result<CartesianCommunicator<'u>> {
        Ok(CartesianCommunicator::new(Communicator::duplicate(self)?, self.grid().clone()))
    }
}
