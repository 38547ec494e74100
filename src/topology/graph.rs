//! [`GraphCommunicator`]: processes that are joined by edges.

use super::{Neighbourhood, Neighbours};
use crate::communicator::Communicator;
use std::ops::Deref;

/// A communicator in which each process has any number of others that it receives from, and that it sends to: the edges
/// of a directed graph. Made by [`Communicator::create_graph_adjacent`] and [`Communicator::create_graph`].
///
/// It dereferences to a [`Neighbourhood`], which has the lists of neighbours and their collectives, and that to a
/// [`Communicator`], so all calls of one are there too.
///
/// ```
/// use ringmpi::GraphCommunicator;
/// # ringmpi::threads(3, |world| {
/// // Rank 0 sends to the others, and receives from nobody.
/// let sources: &[i32] = if world.rank() == 0 { &[] } else { &[0] };
/// let destinations: &[i32] = if world.rank() == 0 { &[1, 2] } else { &[] };
/// let star: GraphCommunicator<'_> = world.create_graph_adjacent(sources, None, destinations, None, false)?;
/// assert_eq!((star.in_neighbours(), star.out_neighbours()), (sources, destinations));
/// assert_eq!((star.in_weights(), star.out_weights()), (None, None));
/// assert_eq!(star.neighbour_all_gather(&[10 * star.rank()])?, vec![0; sources.len()]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 8.5.4.
pub struct GraphCommunicator<'u> {
    neighbourhood: Neighbourhood<'u>,
    weights: Option<Weights>,
}

/// One for each neighbour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) incoming: Vec<u32>,
    pub(crate) outgoing: Vec<u32>,
}

impl<'u> GraphCommunicator<'u> {
    pub(crate) fn new(comm: Communicator<'u>, neighbours: Neighbours, weights: Option<Weights>) -> Self {
        Self { neighbourhood: Neighbourhood::new(comm, neighbours), weights }
    }

    pub(crate) fn weights(&self) -> Option<&Weights> {
        self.weights.as_ref()
    }

    /// The weights of the edges from [`in_neighbours`](Neighbourhood::in_neighbours); `None` if the graph has none.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Rank 0 gives all edges, which go to rank 1.
    /// let edges: &[_] = if world.rank() == 0 { &[(0, 1), (2, 1)] } else { &[] };
    /// let weights: &[u32] = if world.rank() == 0 { &[7, 8] } else { &[] };
    /// let graph = world.create_graph(edges, Some(weights), false)?;
    /// assert_eq!(graph.in_weights(), Some([&[][..], &[7, 8], &[]][world.rank() as usize]));
    /// assert_eq!(graph.out_weights(), Some([&[7][..], &[], &[8]][world.rank() as usize]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Dist_graph_neighbors`, `MPI_Dist_graph_neighbors_count`.
    #[must_use]
    pub fn in_weights(&self) -> Option<&[u32]> {
        self.weights.as_ref().map(|weights| &weights.incoming[..])
    }

    /// The weights of the edges to [`out_neighbours`](Neighbourhood::out_neighbours); `None` if the graph has none.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // A ring: every rank gives the edge to the next, and how much goes along it.
    /// let (edge, weight) = ((world.rank(), (world.rank() + 1) % 3), 10 + world.rank() as u32);
    /// let ring = world.create_graph(&[edge], Some(&[weight]), false)?;
    /// assert_eq!(ring.out_weights(), Some(&[weight][..]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 8.5.5: `MPI_Dist_graph_neighbors`, `MPI_Dist_graph_neighbors_count`.
    #[must_use]
    pub fn out_weights(&self) -> Option<&[u32]> {
        self.weights.as_ref().map(|weights| &weights.outgoing[..])
    }
}

impl<'u> Deref for GraphCommunicator<'u> {
    type Target = Neighbourhood<'u>;

    fn deref(&self) -> &Neighbourhood<'u> {
        &self.neighbourhood
    }
}

impl std::fmt::Debug for GraphCommunicator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("GraphCommunicator");
        out.field("in_neighbours", &self.in_neighbours()).field("out_neighbours", &self.out_neighbours());
        out.field("weights", &self.weights).finish()
    }
}
