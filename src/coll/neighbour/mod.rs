//! Collectives of neighbours: parts go along the edges of a topology only.

mod all_gather;
mod all_gather_varcount;
mod all_to_all;
mod all_to_all_varcount;
pub(super) mod linear;

use super::{blocks::Blocks, partition::Parties, plan::Plan};
use crate::{
    buffer::{ReceiveBytes, SendBytes},
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    topology::Neighbourhood,
};
use std::ops::Deref;

impl<'u> Neighbourhood<'u> {
    fn comm(&self) -> &Communicator<'u> {
        self.deref()
    }

    fn sources(&self) -> usize {
        self.in_neighbours().len()
    }

    fn destinations(&self) -> usize {
        self.out_neighbours().len()
    }

    /// What counts of what comes have one entry for.
    fn incoming(&self) -> Parties {
        Parties::neighbours("in-neighbour", self.sources())
    }

    /// What counts of what goes have one entry for.
    fn outgoing(&self) -> Parties {
        Parties::neighbours("out-neighbour", self.destinations())
    }

    /// Where no neighbour is there is nothing to count.
    fn without_null(&self, mut counts: Vec<usize>) -> Vec<usize> {
        self.neighbours().null_sources().for_each(|place| counts[place] = 0);
        counts
    }

    /// A result that is new has no part where nothing comes.
    fn check_null_counts(&self, function: &str, argument: &str, counts: &[usize]) -> Result<()> {
        match self.neighbours().null_sources().find(|place| counts[*place] > 0) {
            None => Ok(()),
            Some(place) => {
                let what = format!(
                    "{function}: {argument}[{place}] is {}, but in-neighbour {place} is the null process",
                    counts[place]
                );
                Err(Error::new(ErrorClass::COUNT, what).with_help("nothing comes from it: its count is 0"))
            }
        }
    }

    /// Beyond the ends of a grid this rank gets what it gives there itself.
    fn mirror(&self, plan: &mut Plan<'_>, from: (SendBytes, &Blocks), into: (ReceiveBytes, &Blocks)) {
        for place in self.neighbours().null_sources() {
            // There are null processes in grids only, whose neighbours are the same in both directions.
            plan.copy(from.1.nth(from.0, place), into.1.nth_mut(into.0, place));
        }
    }
}

/// The same block for each.
fn repeated(bytes: u64, count: usize) -> Blocks {
    Blocks::of_elements(std::iter::repeat_n((0, bytes as usize), count), 1)
}

/// One block for each, of equal length, of so many bytes together.
fn divided(bytes: u64, count: usize) -> Blocks {
    let bytes = bytes.checked_div(count as u64).unwrap_or(0);
    Blocks::of_elements((0..count).map(|place| (place, 1)), bytes as usize)
}

/// One part of the same length for each neighbour; that length, of which nothing is said if there is none.
fn check_parts_for(function: &str, argument: &str, len: usize, parties: Parties) -> Result<Option<usize>> {
    let count = parties.count();
    match len.checked_div(count) {
        Some(part) if len.is_multiple_of(count) => Ok(Some(part)),
        None if len == 0 => Ok(None),
        _ => {
            let what = format!(
                "{function}: {argument} has {len} elements, which are no {count} equal parts, one for each {}",
                parties.one()
            );
            Err(Error::new(ErrorClass::COUNT, what))
        }
    }
}

/// So many parts of a length.
fn whole_of(function: &str, argument: &str, part: usize, parties: Parties) -> Result<usize> {
    part.checked_mul(parties.count()).ok_or_else(|| {
        let what = format!(
            "{function}: {argument}: {part} elements from each of {} {}s are too many",
            parties.count(),
            parties.one()
        );
        Error::new(ErrorClass::COUNT, what)
    })
}
