//! [`Partition`]: where the part of each rank lies in a slice.

use super::blocks::Blocks;
use crate::{
    buffer::Plain,
    error::{Error, ErrorClass, Result},
    types::Rank,
};
use std::borrow::Cow;

/// A slice, and which part of it is each rank's: so many elements (`counts`) from there on (`displacements`), all
/// in elements.
///
/// ```
/// use ringmpi::Partition;
/// // Two elements for rank 0, none for rank 1, three for rank 2.
/// let parts = Partition::new(&[1, 1, 3, 3, 3], vec![2, 0, 3]);
/// ```
///
/// # Standard
/// MPI 5.0, 6.6: the arguments `sendcounts` and `displs`.
#[derive(Clone, Debug)]
pub struct Partition<'a, T> {
    data: &'a [T],
    parts: Parts<'a>,
}

/// As [`Partition`], of a slice that is written: parts must not overlap.
///
/// ```
/// use ringmpi::PartitionMut;
/// // Room for two elements of rank 0 at the end, and for one of rank 1 at the start.
/// let mut room = [0; 10];
/// let parts = PartitionMut::with_displacements(&mut room, vec![2, 1], vec![8, 0]);
/// ```
///
/// # Standard
/// MPI 5.0, 6.5: the arguments `recvcounts` and `displs`.
#[derive(Debug)]
pub struct PartitionMut<'a, T> {
    data: &'a mut [T],
    parts: Parts<'a>,
}

/// Whom there is a part for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    /// What one of them is called.
    one: &'static str,
    count: usize,
}

impl Parties {
    pub(super) fn neighbours(one: &'static str, count: usize) -> Self {
        Self { one, count }
    }

    pub(super) fn one(self) -> &'static str {
        self.one
    }

    pub(super) fn count(self) -> usize {
        self.count
    }
}

impl From<Rank> for Parties {
    /// All ranks of a communicator.
    fn from(ranks: Rank) -> Self {
        Self { one: "rank", count: ranks as usize }
    }
}

#[derive(Clone, Debug)]
struct Parts<'a> {
    counts: Cow<'a, [usize]>,
    /// None: one behind the other.
    displacements: Option<Cow<'a, [usize]>>,
}

impl<'a, T: Plain> Partition<'a, T> {
    /// Parts one behind the other, from the start of the slice on. The call that it is given to checks it.
    ///
    /// ```
    /// use ringmpi::Partition;
    /// # ringmpi::threads(3, |world| {
    /// let data = [0, 10, 11, 20, 21, 22];
    /// // Rank r gets r + 1 elements of the root's.
    /// let parts = (world.rank() == 0).then(|| Partition::new(&data, vec![1, 2, 3]));
    /// let mine = world.scatter_varcount(parts, 0)?;
    /// assert_eq!(mine.len(), world.rank() as usize + 1);
    /// assert_eq!(mine[0], 10 * world.rank());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    #[must_use]
    pub fn new(data: &'a [T], counts: impl Into<Cow<'a, [usize]>>) -> Self {
        Self { data, parts: Parts { counts: counts.into(), displacements: None } }
    }

    /// Parts that begin where `displacements` say.
    ///
    /// ```
    /// use ringmpi::Partition;
    /// # ringmpi::threads(2, |world| {
    /// let data = [1, 2, 3, 4];
    /// // Parts that are only read may overlap: both ranks get the middle.
    /// let parts = (world.rank() == 0).then(|| Partition::with_displacements(&data, vec![3, 3], vec![0, 1]));
    /// assert_eq!(world.scatter_varcount(parts, 0)?, [[1, 2, 3], [2, 3, 4]][world.rank() as usize]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    #[must_use]
    pub fn with_displacements(
        data: &'a [T],
        counts: impl Into<Cow<'a, [usize]>>,
        displacements: impl Into<Cow<'a, [usize]>>,
    ) -> Self {
        let displacements = Some(displacements.into());
        Self { data, parts: Parts { counts: counts.into(), displacements } }
    }

    pub(super) fn data(&self) -> &'a [T] {
        self.data
    }

    pub(super) fn count(&self, rank: Rank) -> usize {
        self.parts.count(rank)
    }

    pub(super) fn counts(&self) -> &[usize] {
        &self.parts.counts
    }

    pub(super) fn check(
        &self,
        function: &str,
        argument: &str,
        parties: impl Into<Parties>,
    ) -> Result<Blocks> {
        self.parts.check::<T>((function, argument), parties.into(), self.data.len())
    }
}

impl<'a, T: Plain> PartitionMut<'a, T> {
    /// Parts one behind the other, from the start of the slice on. The call that it is given to checks it.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(3, |world| {
    /// let mine = vec![world.rank(); world.rank() as usize];
    /// let mut all = [-1; 3];
    /// world.all_gather_varcount_into(&mine, PartitionMut::new(&mut all, vec![0, 1, 2]))?;
    /// assert_eq!(all, [1, 2, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    #[must_use]
    pub fn new(data: &'a mut [T], counts: impl Into<Cow<'a, [usize]>>) -> Self {
        Self { data, parts: Parts { counts: counts.into(), displacements: None } }
    }

    /// Parts that begin where `displacements` say.
    ///
    /// ```
    /// use ringmpi::PartitionMut;
    /// # ringmpi::threads(2, |world| {
    /// // Behind each part there is room, which stays as it is.
    /// let mut all = [-1; 6];
    /// let parts = PartitionMut::with_displacements(&mut all, vec![2, 2], vec![0, 3]);
    /// world.all_gather_varcount_into(&[world.rank(); 2], parts)?;
    /// assert_eq!(all, [0, 0, -1, 1, 1, -1]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    #[must_use]
    pub fn with_displacements(
        data: &'a mut [T],
        counts: impl Into<Cow<'a, [usize]>>,
        displacements: impl Into<Cow<'a, [usize]>>,
    ) -> Self {
        let displacements = Some(displacements.into());
        Self { data, parts: Parts { counts: counts.into(), displacements } }
    }

    pub(super) fn data(&mut self) -> &mut [T] {
        self.data
    }

    pub(super) fn count(&self, rank: Rank) -> usize {
        self.parts.count(rank)
    }

    pub(super) fn check(
        &self,
        function: &str,
        argument: &str,
        parties: impl Into<Parties>,
    ) -> Result<Blocks> {
        let parties = parties.into();
        let blocks = self.parts.check::<T>((function, argument), parties, self.data.len())?;
        self.parts.check_apart((function, argument), parties)?;
        Ok(blocks)
    }
}

impl Parts<'_> {
    /// Where each begins, and how long it is.
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut end = 0usize;
        self.counts.iter().enumerate().map(move |(rank, count)| {
            let start = self.displacements.as_ref().map_or(end, |all| all.get(rank).copied().unwrap_or(0));
            end = end.saturating_add(*count);
            (start, *count)
        })
    }

    /// None there: 0.
    fn count(&self, rank: Rank) -> usize {
        self.counts.get(rank as usize).copied().unwrap_or(0)
    }

    fn check<T>(&self, (function, argument): (&str, &str), parties: Parties, len: usize) -> Result<Blocks> {
        check_entries(function, &[argument, "counts"], self.counts.len(), parties)?;
        if let Some(displacements) = &self.displacements {
            check_entries(function, &[argument, "displacements"], displacements.len(), parties)?;
        }
        let one = parties.one;
        for (index, (start, count)) in self.iter().enumerate() {
            if start.checked_add(count).is_none_or(|end| end > len) {
                let what = format!(
                    "{function}: {argument}: the part of {one} {index} is {count} elements from {start} on, of a slice of {len}"
                );
                return Err(Error::new(ErrorClass::COUNT, what));
            }
        }
        Ok(Blocks::of_elements(self.iter(), size_of::<T>()))
    }

    fn check_apart(&self, (function, argument): (&str, &str), parties: Parties) -> Result<()> {
        let noun = parties.one;
        let mut parts: Vec<(usize, usize, usize)> = self
            .iter()
            .enumerate()
            .filter(|(_, (_, count))| *count > 0)
            .map(|(rank, (start, count))| (start, start + count, rank))
            .collect();
        parts.sort_unstable();
        for pair in parts.windows(2) {
            let [(first, end, one), (second, _, other)] = pair else { continue };
            if second < end {
                let what = format!(
                    "{function}: {argument}: the parts of {noun} {one}, elements {first} to {}, and of {noun} {other}, from \
                     {second} on, overlap",
                    end - 1
                );
                return Err(Error::new(ErrorClass::BUFFER, what)
                    .with_help("what is received must go to parts that lie apart"));
            }
        }
        Ok(())
    }
}

/// One entry for each.
fn check_entries(function: &str, argument: &[&str], entries: usize, parties: Parties) -> Result<()> {
    let Parties { one, count } = parties;
    if entries == count {
        return Ok(());
    }
    let argument = argument.join(": ");
    let what = format!("{function}: {argument} has {entries} entries, for {count} {one}s");
    Err(Error::new(ErrorClass::COUNT, what))
}

/// Counts of elements `T` given without a slice: one a rank. Their sum.
pub(super) fn check_counts<T>(
    function: &str,
    argument: &str,
    counts: &[usize],
    parties: impl Into<Parties>,
) -> Result<usize> {
    check_entries(function, &[argument], counts.len(), parties.into())?;
    let sum = counts.iter().try_fold(0usize, |sum, count| sum.checked_add(*count));
    let fits =
        |sum: &usize| sum.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
    sum.filter(fits).ok_or_else(|| {
        let what = format!(
            "{function}: {argument} add up to more elements of {} bytes than memory can hold",
            size_of::<T>()
        );
        Error::new(ErrorClass::COUNT, what)
    })
}

/// Parts of such counts, one behind the other.
pub(super) fn blocks_of<T>(counts: &[usize]) -> Blocks {
    let parts = Parts { counts: Cow::Borrowed(counts), displacements: None };
    Blocks::of_elements(parts.iter(), size_of::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_out_of_the_slice_too_few_or_overlapping_are_refused_with_their_numbers() {
        let mut data = [0u16; 10];
        let refused = |result: Result<Blocks>, expected: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(
            Partition::new(&data, vec![1, 2]).check("f", "x", 3),
            "f: x: counts has 2 entries, for 3 ranks",
        );
        refused(
            Partition::new(&data, vec![5, 6]).check("f", "x", 2),
            "rank 1 is 6 elements from 5 on, of a slice of 10",
        );
        let far = Partition::with_displacements(&data, vec![1, usize::MAX], vec![0, 2]);
        refused(far.check("f", "x", 2), "rank 1 is");
        let few = Partition::with_displacements(&data, vec![1, 1], vec![0]);
        refused(few.check("f", "x", 2), "displacements has 1 entries");
        Partition::with_displacements(&data, vec![5, 5], vec![0, 2]).check("f", "x", 2).unwrap();
        let overlap = PartitionMut::with_displacements(&mut data, vec![5, 0, 5], vec![2, 3, 0]);
        refused(overlap.check("f", "x", 3), "rank 2, elements 0 to 4, and of rank 0, from 2 on, overlap");
        let apart = PartitionMut::with_displacements(&mut data, vec![5, 0, 5], vec![5, 7, 0]);
        assert_eq!(apart.check("f", "x", 3).unwrap().bytes(0), 10);
    }
}
