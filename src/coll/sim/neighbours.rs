//! Topologies of cases: a grid, or a graph with loops and several edges between two ranks.

use super::case::Case;
use crate::{
    coll::blocks::Blocks,
    status::PROC_NULL,
    topology::{Grid, Neighbours, dimensions_create},
    types::Rank,
};

/// The elements of all parts of a rank, one behind the other, for each place in a list of neighbours.
type Lens = Vec<usize>;

/// Who is whose neighbour, on all ranks.
pub(super) struct Topology {
    ranks: Vec<Neighbours>,
    is_grid: bool,
}

impl Topology {
    /// Periodic as the key says.
    pub(super) fn grid(case: &Case) -> Self {
        let mut dims = [0; 3];
        dimensions_create(case.ranks, &mut dims).expect("there are ranks");
        dims.rotate_left((case.key >> 8) as usize % 3);
        let periods = [1, 2, 4].map(|bit| case.key & bit > 0);
        let grid = Grid::new("simulation", &dims, &periods, case.ranks).expect("its product is the ranks");
        let neighbours = |rank| Neighbours::of_grid(grid.neighbours(rank));
        Self { ranks: (0..case.ranks).map(neighbours).collect(), is_grid: true }
    }

    /// Up to two edges from each rank to each; lists begin somewhere.
    pub(super) fn graph(case: &Case) -> Self {
        let edges = |from: Rank, to: Rank| case.value(from, 1000 + to as usize) as usize % 5 / 2;
        let list = |rank: Rank, edges: &dyn Fn(Rank) -> usize| {
            let mut list: Vec<Rank> =
                (0..case.ranks).flat_map(|other| std::iter::repeat_n(other, edges(other))).collect();
            let start = case.value(rank, 2000) as usize % list.len().max(1);
            list.rotate_left(start);
            list
        };
        let neighbours = |rank: Rank| {
            let sources = list(rank, &|from| edges(from, rank));
            Neighbours::of_graph(sources, list(rank, &|to| edges(rank, to)))
        };
        Self { ranks: (0..case.ranks).map(neighbours).collect(), is_grid: false }
    }

    pub(super) fn of(&self, rank: Rank) -> &Neighbours {
        &self.ranks[rank as usize]
    }

    /// Which of the source's parts comes to a place; none from the null process.
    fn origin(&self, rank: Rank, place: usize) -> Option<(Rank, usize)> {
        let sources = &self.of(rank).sources;
        let source = sources[place];
        if source == PROC_NULL {
            return None;
        }
        if self.is_grid {
            return Some((source, if place.is_multiple_of(2) { place + 1 } else { place - 1 }));
        }
        let before = sources[..place].iter().filter(|other| **other == source).count();
        let to_here = self.of(source).destinations.iter().enumerate().filter(|(_, to)| **to == rank);
        to_here.map(|(place, _)| (source, place)).nth(before)
    }

    /// How much a rank gives its neighbours.
    pub(super) fn given(&self, case: &Case, rank: Rank) -> Lens {
        (0..self.of(rank).destinations.len()).map(|place| case.varied(rank, place as Rank)).collect()
    }

    /// How much a rank takes from its neighbours; there is room for what does not come.
    pub(super) fn taken(&self, case: &Case, rank: Rank) -> Lens {
        let len = |place| match self.origin(rank, place) {
            Some((source, its)) => self.given(case, source)[its],
            None => case.varied(rank, place as Rank),
        };
        (0..self.of(rank).sources.len()).map(len).collect()
    }

    /// What a rank has in the end, if it began with `output`.
    pub(super) fn expected(&self, case: &Case, rank: Rank, mut output: Vec<u32>) -> Vec<u32> {
        let mut start = 0;
        for (place, len) in self.taken(case, rank).into_iter().enumerate() {
            if let Some((source, its)) = self.origin(rank, place) {
                let first = self.given(case, source)[..its].iter().sum::<usize>();
                for index in 0..len {
                    output[start + index] = case.value(source, first + index);
                }
            }
            start += len;
        }
        output
    }
}

/// Parts one behind the other.
pub(super) fn blocks(lens: Lens) -> Blocks {
    let mut end = 0;
    let place = |len: usize| {
        end += len;
        (end - len, len)
    };
    Blocks::of_elements(lens.into_iter().map(place).collect::<Vec<_>>().into_iter(), size_of::<u32>())
}
