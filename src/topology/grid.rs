//! [`Grid`]: ranks as places in a grid of any number of dimensions.

use crate::{
    error::{Error, ErrorClass, Result},
    status::PROC_NULL,
    types::Rank,
};

/// So many places in each dimension, and whether its ends meet. Ranks go through the grid with the last coordinate
/// first (row-major).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    dims: Vec<Rank>,
    periods: Vec<bool>,
}

impl Grid {
    /// A grid of at most `ranks` places.
    pub(crate) fn new(function: &str, dims: &[Rank], periods: &[bool], ranks: Rank) -> Result<Self> {
        if dims.len() != periods.len() {
            let what = format!("{function}: {} dims, and {} periods", dims.len(), periods.len());
            return Err(Error::new(ErrorClass::ARG, what).with_help("give one of each for each dimension"));
        }
        if let Some(dimension) = dims.iter().position(|dim| *dim <= 0) {
            let what = format!("{function}: dims[{dimension}] is {}", dims[dimension]);
            return Err(
                Error::new(ErrorClass::DIMS, what).with_help("every dimension has at least one place")
            );
        }
        let size = dims.iter().try_fold(1, |size: Rank, dim| size.checked_mul(*dim));
        if size.is_none_or(|size| size > ranks) {
            let what = format!("{function}: a grid of dims {dims:?} has more places than the {ranks} ranks");
            return Err(Error::new(ErrorClass::DIMS, what));
        }
        Ok(Self { dims: dims.into(), periods: periods.into() })
    }

    pub(crate) fn dims(&self) -> &[Rank] {
        &self.dims
    }

    pub(crate) fn periods(&self) -> &[bool] {
        &self.periods
    }

    /// How many places there are.
    pub(crate) fn size(&self) -> Rank {
        self.dims.iter().product()
    }

    /// Of a rank in the grid.
    pub(crate) fn coordinates(&self, rank: Rank) -> Vec<Rank> {
        let mut rest = rank;
        let mut coordinates: Vec<Rank> = self
            .dims
            .iter()
            .rev()
            .map(|dim| {
                let coordinate = rest % dim;
                rest /= dim;
                coordinate
            })
            .collect();
        coordinates.reverse();
        coordinates
    }

    /// The coordinate in the grid, around the ends where they meet; None beyond them.
    fn wrap(&self, dimension: usize, coordinate: i64) -> Option<Rank> {
        let dim = i64::from(self.dims[dimension]);
        let inside = if self.periods[dimension] { coordinate.rem_euclid(dim) } else { coordinate };
        // Below a number of ranks.
        (0..dim).contains(&inside).then_some(inside as Rank)
    }

    fn rank(&self, coordinates: impl Iterator<Item = Rank>) -> Rank {
        coordinates.zip(&self.dims).fold(0, |rank, (coordinate, dim)| rank * dim + coordinate)
    }

    /// The rank at coordinates that may lie beyond ends which meet.
    pub(crate) fn rank_at(&self, function: &str, coordinates: &[Rank]) -> Result<Rank> {
        if coordinates.len() != self.dims.len() {
            let what = format!(
                "{function}: {} coordinates, in a grid of {} dimensions",
                coordinates.len(),
                self.dims.len()
            );
            return Err(Error::new(ErrorClass::ARG, what));
        }
        let wrap = |(dimension, coordinate): (usize, &Rank)| {
            self.wrap(dimension, (*coordinate).into()).ok_or_else(|| {
                let last = self.dims[dimension] - 1;
                let what = format!(
                    "{function}: coordinates[{dimension}] is {coordinate}, in a dimension with places 0 to {last} \
                     that is not periodic"
                );
                Error::new(ErrorClass::ARG, what)
            })
        };
        let inside = coordinates.iter().enumerate().map(wrap).collect::<Result<Vec<Rank>>>()?;
        Ok(self.rank(inside.into_iter()))
    }

    /// The rank so many places from another one; the null process beyond the ends.
    pub(crate) fn step(&self, from: Rank, dimension: usize, displacement: i64) -> Rank {
        let mut coordinates = self.coordinates(from);
        let there = i64::from(coordinates[dimension]) + displacement;
        self.wrap(dimension, there).map_or(PROC_NULL, |coordinate| {
            coordinates[dimension] = coordinate;
            self.rank(coordinates.into_iter())
        })
    }

    /// A rank's neighbours: in each dimension first the one in the negative direction, then the other one.
    pub(crate) fn neighbours(&self, rank: Rank) -> Vec<Rank> {
        (0..self.dims.len())
            .flat_map(|dimension| [-1, 1].map(|displacement| self.step(rank, dimension, displacement)))
            .collect()
    }

    /// The grid of those dimensions that are retained.
    pub(crate) fn retained(&self, retain: &[bool]) -> Self {
        let dimensions = || (0..self.dims.len()).filter(|dimension| retain[*dimension]);
        Self {
            dims: dimensions().map(|dimension| self.dims[dimension]).collect(),
            periods: dimensions().map(|dimension| self.periods[dimension]).collect(),
        }
    }

    /// All ranks that differ from one only in dimensions that are retained, in their order.
    pub(crate) fn slice(&self, rank: Rank, retain: &[bool]) -> Vec<Rank> {
        let mine = self.coordinates(rank);
        let is_in = |other: &Rank| {
            let other = self.coordinates(*other);
            (0..mine.len()).all(|dimension| retain[dimension] || other[dimension] == mine[dimension])
        };
        (0..self.size()).filter(is_in).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn grid(dims: &[Rank], periods: &[bool]) -> Grid {
        Grid::new("f", dims, periods, 100).unwrap()
    }

    #[test]
    fn ranks_and_coordinates_are_each_others_inverse() {
        for dims in [&[][..], &[1], &[7], &[2, 3], &[3, 1, 4], &[2, 2, 2, 3]] {
            let grid = grid(dims, &vec![false; dims.len()]);
            let mut all: Vec<Vec<Rank>> = Vec::new();
            for rank in 0..grid.size() {
                let coordinates = grid.coordinates(rank);
                assert_eq!(grid.rank_at("f", &coordinates).unwrap(), rank);
                all.push(coordinates);
            }
            // Row-major.
            assert!(all.is_sorted(), "{all:?}");
        }
    }

    #[test]
    fn steps_wrap_where_the_ends_meet_and_end_where_they_do_not() {
        let grid = grid(&[3, 4], &[true, false]);
        assert_eq!(grid.neighbours(0), [8, 4, PROC_NULL, 1]);
        assert_eq!(grid.neighbours(11), [7, 3, 10, PROC_NULL]);
        assert_eq!(
            grid.step(5, 0, i64::from(Rank::MIN)),
            grid.step(5, 0, i64::from(Rank::MIN).rem_euclid(3))
        );
        assert_eq!(grid.step(5, 1, i64::from(Rank::MAX)), PROC_NULL);
        assert_eq!(grid.step(5, 1, 0), 5);
        assert_eq!(grid.rank_at("f", &[-1, 3]).unwrap(), 11);
        assert_eq!(grid.rank_at("f", &[Rank::MAX, 0]).unwrap(), Rank::MAX % 3 * 4);
    }

    #[test]
    fn what_is_no_grid_or_no_place_in_it_is_refused_with_its_numbers() {
        let refused = |result: Result<Grid>, class, text: &str| {
            let error = result.unwrap_err();
            assert!(error.class() == class && error.to_string().contains(text), "{error:?}");
        };
        refused(Grid::new("f", &[2, 2], &[true], 9), ErrorClass::ARG, "f: 2 dims, and 1 periods");
        refused(Grid::new("f", &[2, 0], &[true; 2], 9), ErrorClass::DIMS, "f: dims[1] is 0");
        refused(Grid::new("f", &[-3], &[true], 9), ErrorClass::DIMS, "dims[0] is -3");
        refused(
            Grid::new("f", &[2, 5], &[true; 2], 9),
            ErrorClass::DIMS,
            "[2, 5] has more places than the 9",
        );
        refused(Grid::new("f", &[1 << 16; 2], &[true; 2], 9), ErrorClass::DIMS, "more places");
        let grid = grid(&[2, 3], &[true, false]);
        let error = grid.rank_at("f", &[0]).unwrap_err().to_string();
        assert!(error.contains("f: 1 coordinates, in a grid of 2 dimensions"), "{error}");
        for beyond in [-1, 3] {
            let error = grid.rank_at("f", &[0, beyond]).unwrap_err().to_string();
            assert!(error.contains(&format!("coordinates[1] is {beyond}")), "{error}");
        }
    }
}
