//! Which algorithm a collective takes: the only place that reads sizes and numbers of ranks for it.
//!
//! Where ranks agree on a length (all of them know it) the choice may depend on it; else it must not. All ranks of a job
//! have to choose alike: a change of these numbers is one of the protocol (`PROTOCOL` in shm/layout.rs).

use super::{call::Function, on_stage::PART_BYTES};
use crate::{
    communicator::Communicator,
    shm::board::{SLOT_WORDS, WINDOW_WORDS},
    types::Rank,
};

/// How a barrier is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    /// On the board: everyone looks at everyone's flag.
    Flags,
    /// On the board: the last to arrive lets the others go.
    Count,
    /// By messages.
    Dissemination,
}

/// Where small data travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Board,
    Messages,
}

/// Longer slices are copied faster on the stage than word by word.
const WINDOW_BYTES: usize = 256;
#[cfg(not(loom))]
const _: () = assert!(WINDOW_BYTES <= 8 * WINDOW_WORDS);

/// Up to so many bytes it costs least if every rank reads and combines all.
const ALL_COMBINE_BYTES: u64 = 2048;

/// Above so many ranks a look at everyone costs more than a word that all change.
const FLAGS_RANKS: Rank = 8;

/// Above so many ranks it is cheaper that one combines and tells the others.
const ALL_COMBINE_RANKS: Rank = 8;

/// Up to so many bytes the number of messages matters, above it what they carry.
const SHORT_BYTES: u64 = 4096;

/// From so many bytes on it pays to divide the work over the ranks.
const SPLIT_BYTES: u64 = 8192;

/// Up to so many ranks one that tells all others is not slower than a tree.
const FEW_RANKS: Rank = 4;

pub(super) fn barrier(comm: &Communicator<'_>, has_board: bool) -> Barrier {
    match has_board {
        false => Barrier::Dissemination,
        // With fewer CPUs than ranks it matters how often a rank has to run.
        true if comm.engine().may_spin() && comm.size() <= FLAGS_RANKS => Barrier::Flags,
        true => Barrier::Count,
    }
}

pub(super) fn small_broadcast(bytes: usize, has_board: bool) -> Way {
    if has_board && bytes <= WINDOW_BYTES { Way::Board } else { Way::Messages }
}

pub(super) fn small_reduce(bytes: usize, has_board: bool) -> Way {
    if has_board && bytes <= 8 * SLOT_WORDS { Way::Board } else { Way::Messages }
}

pub(super) fn small_all_gather(block: u64, has_board: bool) -> Way {
    small_reduce(block as usize, has_board)
}

/// Whether all ranks combine all contributions by themselves, on the board.
pub(super) fn all_combine(comm: &Communicator<'_>, bytes: usize, has_board: bool) -> bool {
    comm.size() <= ALL_COMBINE_RANKS && small_reduce(bytes, has_board) == Way::Board
}

/// Whether a blocking collective whose length all ranks know goes by the stage.
pub(super) fn is_staged(function: Function, bytes: usize, unit: usize, size: Rank) -> bool {
    let has_way = matches!(
        function,
        Function::Broadcast | Function::AllReduce | Function::Reduce | Function::AllGather
    );
    has_way && size > 1 && bytes > 0 && unit as u64 <= PART_BYTES
}

/// How slices are combined for all ranks on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllReduceStaged {
    Combine,
    Split,
}

pub(super) fn all_reduce_staged(bytes: u64, size: Rank) -> AllReduceStaged {
    let is_cheap = size <= ALL_COMBINE_RANKS && bytes <= ALL_COMBINE_BYTES;
    if is_cheap { AllReduceStaged::Combine } else { AllReduceStaged::Split }
}

/// How slices are combined at one rank on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReduceStaged {
    Rooted,
    Split,
}

pub(super) fn reduce_staged(bytes: u64, size: Rank) -> ReduceStaged {
    if size > 2 && bytes > ALL_COMBINE_BYTES { ReduceStaged::Split } else { ReduceStaged::Rooted }
}

/// How a broadcast goes by messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broadcast {
    Binomial,
    Chain,
    Split,
}

pub(super) fn broadcast(bytes: u64, size: Rank) -> Broadcast {
    match bytes {
        _ if size <= 2 => Broadcast::Binomial,
        ..=SPLIT_BYTES => Broadcast::Binomial,
        // A row of ranks takes long to fill.
        _ if bytes / 65_536 > size as u64 => Broadcast::Chain,
        _ => Broadcast::Split,
    }
}

/// How blocks of equal length are gathered or scattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Linear,
    Binomial,
}

pub(super) fn tree(block: u64, size: Rank) -> Tree {
    if size > FEW_RANKS && block <= SHORT_BYTES / 4 { Tree::Binomial } else { Tree::Linear }
}

/// How all blocks get to all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllGather {
    Linear,
    Dissemination,
    Ring,
}

pub(super) fn all_gather(block: u64, size: Rank) -> AllGather {
    match block {
        ..=SHORT_BYTES if size <= FEW_RANKS => AllGather::Linear,
        ..=SHORT_BYTES => AllGather::Dissemination,
        _ => AllGather::Ring,
    }
}

/// How everyone's blocks get to everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllToAll {
    Linear,
    Pairwise,
}

pub(super) fn all_to_all(block: u64) -> AllToAll {
    if block <= SHORT_BYTES { AllToAll::Linear } else { AllToAll::Pairwise }
}

/// How slices are combined at one rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduce {
    Linear,
    Split,
}

pub(super) fn reduce(bytes: u64) -> Reduce {
    if bytes < SPLIT_BYTES { Reduce::Linear } else { Reduce::Split }
}

/// How slices are combined for all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllReduce {
    Linear,
    Rooted,
    Split,
}

pub(super) fn all_reduce(bytes: u64, size: Rank) -> AllReduce {
    match bytes {
        SPLIT_BYTES.. => AllReduce::Split,
        _ if size <= FEW_RANKS => AllReduce::Linear,
        _ => AllReduce::Rooted,
    }
}

/// How prefixes are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    Linear,
    Chain,
}

pub(super) fn scan(bytes: u64, size: Rank) -> Scan {
    if size <= FEW_RANKS && bytes <= SHORT_BYTES { Scan::Linear } else { Scan::Chain }
}
