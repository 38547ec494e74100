//! Collective operations.
//!
//! All members of a communicator call the same ones in the same order, with the same root and the
//! same sizes where the standard says so.
//!
//! Each has a folder: `mod.rs` is what users call, and the other files are its algorithms, one each, headed by what it
//! costs. [`select`] chooses. An algorithm on messages only says what one rank does ([`plan::Plan`]); the engine runs
//! that as a blocking call (`p2p::schedule`, from [`failing`] and [`call`]), as a request, or as one that is started again and again
//! (from [`overlapping`]). Those on a board ([`on_board`]), and on blocks beside it ([`on_stage`]), are steps of a
//! blocking call. Reductions all have one order: [`fold`].

mod all_gather;
mod all_reduce;
mod all_to_all;
mod barrier;
mod blocks;
mod broadcast;
mod call;
mod failing;
mod fold;
mod fold_shared;
mod gather;
mod neighbour;
mod on_board;
mod on_stage;
mod overlapping;
mod partition;
mod pieces;
mod plan;
mod reduce;
mod reduce_scatter;
mod scan;
mod scatter;
mod select;
#[cfg(any(all(test, not(loom)), feature = "internals"))]
pub(crate) mod sim;

pub(crate) use call::Round;
pub use partition::{Partition, PartitionMut};

use crate::{
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    types::Rank,
};

/// The root of a collective has to be a rank.
fn check_root(comm: &Communicator<'_>, function: &str, root: Rank) -> Result<()> {
    if (0..comm.size()).contains(&root) {
        return Ok(());
    }
    let last = comm.size() - 1;
    let what = format!("{function}: root {root} does not exist: the communicator has ranks 0 to {last}");
    Err(Error::new(ErrorClass::ROOT, what))
}

/// A slice of an argument's name and length has to have another length.
fn check_len(function: &str, argument: &str, len: usize, expected: usize) -> Result<()> {
    if len == expected {
        return Ok(());
    }
    let what = format!("{function}: {argument} has {len} elements where {expected} are needed");
    Err(Error::new(ErrorClass::COUNT, what))
}

/// A slice has to have one part of equal length for each rank: that length.
fn check_parts(function: &str, argument: &str, len: usize, ranks: Rank) -> Result<usize> {
    let ranks = ranks as usize;
    if len.is_multiple_of(ranks) {
        return Ok(len / ranks);
    }
    let what = format!("{function}: {argument} has {len} elements, which are no {ranks} equal parts");
    Err(Error::new(ErrorClass::COUNT, what))
}

/// So many parts of a length.
fn whole(function: &str, argument: &str, part: usize, ranks: Rank) -> Result<usize> {
    part.checked_mul(ranks as usize).ok_or_else(|| {
        let what = format!("{function}: {argument}: {part} elements from each of {ranks} ranks are too many");
        Error::new(ErrorClass::COUNT, what)
    })
}
