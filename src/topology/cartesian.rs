//! [`CartesianCommunicator`]: processes in a grid.

use super::{Grid, Neighbourhood, Neighbours};
use crate::{
    communicator::{Communicator, bad_rank},
    error::{Error, ErrorClass, Result},
    types::Rank,
};
use std::ops::Deref;

/// A communicator whose processes are the places of a grid of any number of dimensions, each with or without ends.
/// Made by [`Communicator::create_cartesian`].
///
/// It dereferences to a [`Neighbourhood`], which has the collectives of neighbours, and that to a [`Communicator`], so
/// all calls of one are there too. Neighbours are the processes one place away in one dimension.
///
/// ```
/// use ringmpi::{PROC_NULL, Source};
/// # ringmpi::threads(6, |world| {
/// // Two rows of three; rows are rings, columns have ends.
/// let grid = world.create_cartesian(&[2, 3], &[false, true], false)?.expect("it has a place for all");
/// let [row, column] = grid.coordinates() else { unreachable!("two dimensions") };
/// assert_eq!(grid.rank(), 3 * row + column);
/// assert_eq!(grid.coordinates_to_rank(&[*row, column + 1])?, 3 * row + (column + 1) % 3);
/// // Everyone passes its rank on to the right.
/// let (left, right) = grid.shift(1, 1)?;
/// grid.process_at_rank(right).send(&[grid.rank()])?;
/// assert_eq!(grid.process_at_rank(left).receive::<i32>()?.0, left);
/// // There is nothing above the upper row.
/// let (above, _) = grid.shift(0, 1)?;
/// assert_eq!(above == PROC_NULL, *row == 0);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 8.5.1.
pub struct CartesianCommunicator<'u> {
    neighbourhood: Neighbourhood<'u>,
    grid: Grid,
    coordinates: Vec<Rank>,
}

impl<'u> CartesianCommunicator<'u> {
    /// The communicator has a process for each place.
    pub(crate) fn new(comm: Communicator<'u>, grid: Grid) -> Self {
        let neighbours = Neighbours::of_grid(grid.neighbours(comm.rank()));
        let coordinates = grid.coordinates(comm.rank());
        Self { neighbourhood: Neighbourhood::new(comm, neighbours), grid, coordinates }
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }

    /// How many places each dimension has; as many entries as there are dimensions.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// assert_eq!((row.dims(), row.periods(), row.coordinates()), (&[3][..], &[false][..], &[world.rank()][..]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Cart_get`, `MPI_Cartdim_get`.
    #[must_use]
    pub fn dims(&self) -> &[Rank] {
        self.grid.dims()
    }

    /// Of each dimension, whether its ends meet.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let tube = world.create_cartesian(&[2, 2], &[false, true], false)?.expect("it has a place for all");
    /// // Two for each dimension whose ends do not meet.
    /// let borders = 2 * tube.periods().iter().filter(|meets| !*meets).count();
    /// assert_eq!(borders, 2);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Cart_get`.
    #[must_use]
    pub fn periods(&self) -> &[bool] {
        self.grid.periods()
    }

    /// Where this process is, from 0 in each dimension.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let grid = world.create_cartesian(&[2, 2], &[false; 2], false)?.expect("it has a place for all");
    /// // The colours of a chessboard.
    /// let is_black = grid.coordinates().iter().sum::<i32>() % 2 == 1;
    /// assert_eq!(grid.all_gather(&[is_black])?, [false, true, true, false]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Cart_get`.
    #[must_use]
    pub fn coordinates(&self) -> &[Rank] {
        &self.coordinates
    }

    /// Where a rank is, from 0 in each dimension. Ranks go through the grid with the last coordinate first.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let column = world.create_cartesian(&[3, 1], &[false; 2], false)?.expect("it has a place for all");
    /// assert_eq!(column.rank_to_coordinates(2)?, [2, 0]);
    /// assert!(column.rank_to_coordinates(3).is_err());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that does not exist.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Cart_coords`.
    pub fn rank_to_coordinates(&self, rank: Rank) -> Result<Vec<Rank>> {
        if (0..self.size()).contains(&rank) {
            return Ok(self.grid.coordinates(rank));
        }
        Err(bad_rank("CartesianCommunicator::rank_to_coordinates", "rank", rank, self.size()))
    }

    /// The rank at a place. Coordinates beyond the ends of a periodic dimension count around.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let tube = world.create_cartesian(&[1, 3], &[false, true], false)?.expect("it has a place for all");
    /// assert_eq!(tube.coordinates_to_rank(&[0, 2])?, 2);
    /// assert_eq!(tube.coordinates_to_rank(&[0, -1])?, 2);
    /// assert!(tube.coordinates_to_rank(&[-1, 2]).is_err());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of coordinates than there are dimensions; one beyond the ends of a dimension that is not periodic.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Cart_rank`.
    pub fn coordinates_to_rank(&self, coordinates: &[Rank]) -> Result<Rank> {
        self.grid.rank_at("CartesianCommunicator::coordinates_to_rank", coordinates)
    }

    /// The ranks from which and to which data goes that all processes move by `displacement` places in a dimension, or,
    /// if it is negative, back: source and destination. Beyond the ends of a dimension that is not periodic it is
    /// [`PROC_NULL`](crate::PROC_NULL), with which a send or receive moves nothing.
    ///
    /// ```
    /// use ringmpi::PROC_NULL;
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// let (from, to) = row.shift(0, 2)?;
    /// assert_eq!((from, to), [(PROC_NULL, 2), (PROC_NULL, PROC_NULL), (0, PROC_NULL)][row.rank() as usize]);
    /// let mut got = [-1];
    /// row.process_at_rank(to).send_receive_into(&[row.rank()], row.process_at_rank(from), &mut got)?;
    /// assert_eq!(got, if row.rank() == 2 { [0] } else { [-1] });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension that does not exist.
    ///
    /// # Standard
    /// MPI 5.0, 8.5.6: `MPI_Cart_shift`.
    pub fn shift(&self, dimension: usize, displacement: Rank) -> Result<(Rank, Rank)> {
        let dimensions = self.dims().len();
        if dimension >= dimensions {
            let what = format!(
                "CartesianCommunicator::shift: dimension is {dimension}, in a grid of {dimensions} dimensions"
            );
            return Err(Error::new(ErrorClass::ARG, what).with_help("dimensions count from 0"));
        }
        let step = |displacement| self.grid.step(self.rank(), dimension, displacement);
        let displacement = i64::from(displacement);
        Ok((step(-displacement), step(displacement)))
    }
}

impl<'u> Deref for CartesianCommunicator<'u> {
    type Target = Neighbourhood<'u>;

    fn deref(&self) -> &Neighbourhood<'u> {
        &self.neighbourhood
    }
}

impl std::fmt::Debug for CartesianCommunicator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CartesianCommunicator")
            .field("dims", &self.dims())
            .field("periods", &self.periods())
            .field("coordinates", &self.coordinates)
            .finish()
    }
}
