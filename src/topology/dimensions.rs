//! [`dimensions_create`]: how to divide a number of ranks into a grid.

use crate::{
    error::{Error, ErrorClass, Result},
    types::Rank,
};
use std::collections::HashMap;

const NAME: &str = "dimensions_create";

/// Divides `nodes` ranks into a grid: fills the entries of `dims` that are 0, and keeps the others. The product of all
/// is `nodes` then.
///
/// What it fills in decreases from one such entry to the next, and is as close together as possible: the largest is as
/// small as it can be, then the one after it, and so on.
///
/// ```
/// let mut dims = [0, 2, 0];
/// ringmpi::dimensions_create(24, &mut dims)?;
/// assert_eq!(dims, [4, 2, 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// A negative entry; a number of ranks that is not positive, or no multiple of the entries that are kept, or, if all
/// are, not their product. `dims` stays as it was.
///
/// # Standard
/// MPI 5.0, 8.5.2: `MPI_Dims_create`.
pub fn dimensions_create(nodes: Rank, dims: &mut [Rank]) -> Result<()> {
    if nodes <= 0 {
        return Err(Error::new(ErrorClass::ARG, format!("{NAME}: nodes is {nodes}")));
    }
    if let Some(dimension) = dims.iter().position(|dim| *dim < 0) {
        let what = format!("{NAME}: dims[{dimension}] is {}", dims[dimension]);
        return Err(Error::new(ErrorClass::DIMS, what).with_help("give 0 for what is to be filled in"));
    }
    let fixed = dims.iter().filter(|dim| **dim > 0).try_fold(1, |all: Rank, dim| all.checked_mul(*dim));
    let free = dims.iter().filter(|dim| **dim == 0).count();
    let Some(rest) = fixed.filter(|fixed| nodes % fixed == 0).map(|fixed| nodes / fixed) else {
        let what = format!("{NAME}: nodes is {nodes}, no multiple of the entries of dims, {dims:?}");
        return Err(Error::new(ErrorClass::DIMS, what));
    };
    if free == 0 && rest > 1 {
        let what =
            format!("{NAME}: nodes is {nodes}, dims is {dims:?} with a smaller product, and no entry is 0");
        return Err(Error::new(ErrorClass::DIMS, what));
    }
    let factors = Factors::new(rest).into_closest(free);
    dims.iter_mut().filter(|dim| **dim == 0).zip(factors).for_each(|(dim, factor)| *dim = factor);
    Ok(())
}

/// Ways to write a number as a product.
struct Factors {
    number: Rank,
    divisors: Vec<Rank>,
    /// The largest factor of the best way to write a divisor as so many factors.
    largest: HashMap<(Rank, usize), Rank>,
}

impl Factors {
    fn new(number: Rank) -> Self {
        let small =
            (1..).take_while(|divisor: &Rank| divisor.checked_mul(*divisor).is_some_and(|it| it <= number));
        let mut divisors: Vec<Rank> = small
            .filter(|divisor| number % divisor == 0)
            .flat_map(|divisor| [divisor, number / divisor])
            .collect();
        divisors.sort_unstable();
        divisors.dedup();
        Self { number, divisors, largest: HashMap::new() }
    }

    fn largest(&mut self, number: Rank, count: usize) -> Rank {
        if count == 1 || number == 1 {
            return number;
        }
        if let Some(known) = self.largest.get(&(number, count)) {
            return *known;
        }
        // The others have to be smaller: the first divisor of which that is so.
        let mut index = 0;
        let found = loop {
            let divisor = self.divisors[index];
            index += 1;
            if number % divisor == 0 && self.largest(number / divisor, count - 1) <= divisor {
                break divisor;
            }
        };
        self.largest.insert((number, count), found);
        found
    }

    /// So many factors: the largest one as small as possible, then the next one.
    fn into_closest(mut self, count: usize) -> Vec<Rank> {
        // No number has more prime factors; the rest is 1.
        let counted = count.min(Rank::BITS as usize);
        let mut rest = self.number;
        let mut factors: Vec<Rank> = (0..counted)
            .map(|index| {
                let factor = self.largest(rest, counted - index);
                rest /= factor;
                factor
            })
            .collect();
        factors.resize(count, 1);
        factors
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// All decreasing ways to write a number as so many factors, of at most `limit`.
    fn ways(number: Rank, count: usize, limit: Rank) -> Vec<Vec<Rank>> {
        if count == 0 {
            return if number == 1 { vec![vec![]] } else { vec![] };
        }
        let with = |first: Rank| {
            ways(number / first, count - 1, first).into_iter().map(move |rest| [vec![first], rest].concat())
        };
        (1..=limit.min(number)).filter(|first| number % first == 0).flat_map(with).collect()
    }

    #[test]
    fn dimensions_are_the_closest_of_all_there_are() {
        for nodes in 1..=400 {
            for count in 1..=5 {
                let mut dims = vec![0; count];
                dimensions_create(nodes, &mut dims).unwrap();
                let all = ways(nodes, count, nodes);
                assert_eq!(Some(&dims), all.iter().min(), "{nodes} in {count}");
                let spread = |way: &Vec<Rank>| way[0] - way[count - 1];
                let narrowest = all.iter().map(spread).min().unwrap();
                assert_eq!(spread(&dims), narrowest, "{nodes} in {count}: {dims:?}");
            }
        }
    }

    #[test]
    fn entries_that_are_given_are_kept() {
        for (nodes, dims, expected) in [
            (6, [2, 0, 0], [2, 3, 1]),
            (24, [0, 2, 0], [4, 2, 3]),
            (7, [0, 1, 7], [1, 1, 7]),
            (8, [2, 2, 2], [2, 2, 2]),
            (1, [0, 0, 0], [1, 1, 1]),
            (Rank::MAX, [0, 0, 0], [Rank::MAX, 1, 1]),
            (1 << 30, [0, 0, 0], [1 << 10, 1 << 10, 1 << 10]),
        ] {
            let mut filled = dims;
            dimensions_create(nodes, &mut filled).unwrap();
            assert_eq!(filled, expected, "{nodes} in {dims:?}");
        }
        dimensions_create(1, &mut []).unwrap();
        // The number below 2³¹ with the most divisors, in more dimensions than it has factors.
        let mut many = [0; 40];
        dimensions_create(2_095_133_040, &mut many).unwrap();
        assert!(
            many.iter().map(|dim| i64::from(*dim)).product::<i64>() == 2_095_133_040
                && many.is_sorted_by(|a, b| a >= b)
        );
    }

    #[test]
    fn what_cannot_be_divided_is_refused_and_stays_as_it_was() {
        for (nodes, dims, class) in [
            (0, vec![0, 0], ErrorClass::ARG),
            (-4, vec![0, 0], ErrorClass::ARG),
            (4, vec![0, -1], ErrorClass::DIMS),
            (7, vec![2, 0], ErrorClass::DIMS),
            (8, vec![2, 2], ErrorClass::DIMS),
            (2, vec![], ErrorClass::DIMS),
            (4, vec![1 << 20, 1 << 20, 0], ErrorClass::DIMS),
        ] {
            let mut kept = dims.clone();
            let error = dimensions_create(nodes, &mut kept).unwrap_err();
            assert!(error.class() == class && kept == dims, "{nodes} in {dims:?}: {error:?}");
            assert!(error.to_string().starts_with("dimensions_create: "), "{error}");
        }
    }
}
