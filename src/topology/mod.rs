//! Topologies: which processes of a communicator are neighbours.

mod cartesian;
mod dimensions;
mod graph;
mod grid;

pub use cartesian::CartesianCommunicator;
pub use dimensions::dimensions_create;
pub use graph::GraphCommunicator;
pub(crate) use graph::Weights;
pub(crate) use grid::Grid;

use crate::{communicator::Communicator, status::PROC_NULL, types::Rank};
use std::ops::Deref;

/// The neighbours of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbours {
    /// From whom it receives; the null process too.
    pub(crate) sources: Vec<Rank>,
    /// To whom it sends; the null process too.
    pub(crate) destinations: Vec<Rank>,
    pairing: Pairing,
}

/// Which of several edges from one process to another is which: each end has a list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairing {
    /// The first in one list is the first in the other.
    InOrder,
    /// Neighbours come in pairs, and what goes out on one side of a process comes in on the other side of the next.
    Opposite,
}

impl Neighbours {
    /// Any; several edges between two processes are in the same order at both ends.
    pub(crate) fn of_graph(sources: Vec<Rank>, destinations: Vec<Rank>) -> Self {
        Self { sources, destinations, pairing: Pairing::InOrder }
    }

    /// Pairs on opposite sides.
    pub(crate) fn of_grid(both: Vec<Rank>) -> Self {
        Self { sources: both.clone(), destinations: both, pairing: Pairing::Opposite }
    }

    /// The places of the sources in the order in which their messages come, if everyone sends in the order of its
    /// destinations: what matters is the order of edges from one process.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.sources.len()).map(|place| match self.pairing {
            Pairing::InOrder => place,
            Pairing::Opposite => place ^ 1,
        })
    }

    /// The sources that are no process.
    pub(crate) fn null_sources(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.sources.len()).filter(|place| self.sources[*place] == PROC_NULL)
    }
}

/// A communicator whose processes have neighbours: what [`CartesianCommunicator`] and [`GraphCommunicator`] have in
/// common. It dereferences to its [`Communicator`], so all calls of one are there too.
///
/// Messages of its collectives go along the edges between neighbours only. All ranks call the same ones in the same
/// order, and they do not mix with other collectives of the communicator. Two edges between the same two processes are
/// told apart: in a grid, what a process sends in the negative direction of a dimension is what its neighbour
/// receives from the positive one, also where both are the same process, or this one; in a graph the first of several
/// edges in one list is the first in the other.
///
/// ```
/// use ringmpi::{Neighbourhood, Result};
/// # ringmpi::threads(3, |world| {
///
/// /// What neighbours have on average; of a grid or a graph. Nobody has an end here.
/// fn smooth(place: &Neighbourhood<'_>, mine: f64) -> Result<f64> {
///     let sum: f64 = place.neighbour_all_gather(&[mine])?.iter().sum();
///     Ok(sum / place.in_neighbours().len() as f64)
/// }
/// let ring = world.create_cartesian(&[3], &[true], false)?.expect("it has a place for all");
/// assert_eq!(smooth(&ring, f64::from(3 * ring.rank()))?, [4.5, 3.0, 1.5][ring.rank() as usize]);
/// assert_eq!(ring.out_neighbours(), ring.in_neighbours());
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 8.6.
pub struct Neighbourhood<'u> {
    comm: Communicator<'u>,
    neighbours: Neighbours,
}

impl<'u> Neighbourhood<'u> {
    pub(crate) fn new(comm: Communicator<'u>, neighbours: Neighbours) -> Self {
        Self { comm, neighbours }
    }

    pub(crate) fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// The ranks from which this process receives, in the order of the parts of what it gets.
    ///
    /// In a grid there are two for each dimension, first the one in the negative direction, then the one in the
    /// positive direction; beyond the ends [`PROC_NULL`]. In a graph a rank is there once for each edge.
    ///
    /// ```
    /// use ringmpi::PROC_NULL;
    /// # ringmpi::threads(3, |world| {
    /// let row = world.create_cartesian(&[3], &[false], false)?.expect("it has a place for all");
    /// assert_eq!(row.in_neighbours(), [[PROC_NULL, 1], [0, 2], [1, PROC_NULL]][row.rank() as usize]);
    /// assert_eq!(row.out_neighbours(), row.in_neighbours());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Dist_graph_neighbors`.
    #[must_use]
    pub fn in_neighbours(&self) -> &[Rank] {
        &self.neighbours.sources
    }

    /// The ranks to which this process sends, in the order of the parts of what it gives; in a grid as
    /// [`in_neighbours`](Self::in_neighbours).
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// // A chain: each rank but the last one sends to the next.
    /// let edges: Vec<_> = (world.rank()..2).map(|rank| (rank, rank + 1)).take(1).collect();
    /// let chain = world.create_graph(&edges, None, false)?;
    /// for &next in chain.out_neighbours() {
    ///     chain.process_at_rank(next).send(&[chain.rank()])?;
    /// }
    /// for &previous in chain.in_neighbours() {
    ///     assert_eq!(chain.process_at_rank(previous).receive::<i32>()?.0, chain.rank() - 1);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Dist_graph_neighbors`.
    #[must_use]
    pub fn out_neighbours(&self) -> &[Rank] {
        &self.neighbours.destinations
    }
}

impl<'u> Deref for Neighbourhood<'u> {
    type Target = Communicator<'u>;

    fn deref(&self) -> &Communicator<'u> {
        &self.comm
    }
}

impl std::fmt::Debug for Neighbourhood<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Neighbours { sources, destinations, .. } = &self.neighbours;
        f.debug_struct("Neighbourhood")
            .field("comm", &self.comm)
            .field("in_neighbours", sources)
            .field("out_neighbours", destinations)
            .finish()
    }
}
