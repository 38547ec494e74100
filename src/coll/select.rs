//! Which algorithm a collective takes: the only place that reads sizes and numbers of ranks for it.

use crate::{
    communicator::Communicator,
    shm::board::{SLOT_WORDS, WINDOW_WORDS},
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

/// Above so many ranks a look at everyone costs more than a word that all change.
const FLAGS_RANKS: i32 = 8;

/// Above so many ranks it is cheaper that one combines and tells the others.
const ALL_COMBINE_RANKS: i32 = 8;

pub(super) fn barrier(comm: &Communicator<'_>, has_board: bool) -> Barrier {
    match has_board {
        false => Barrier::Dissemination,
        // With fewer CPUs than ranks it matters how often a rank has to run.
        true if comm.engine().may_spin() && comm.size() <= FLAGS_RANKS => Barrier::Flags,
        true => Barrier::Count,
    }
}

pub(super) fn broadcast(bytes: usize, has_board: bool) -> Way {
    if has_board && bytes <= 8 * WINDOW_WORDS { Way::Board } else { Way::Messages }
}

pub(super) fn reduce(bytes: usize, has_board: bool) -> Way {
    if has_board && bytes <= 8 * SLOT_WORDS { Way::Board } else { Way::Messages }
}

/// Whether all ranks combine all contributions by themselves.
pub(super) fn all_combine(comm: &Communicator<'_>, bytes: usize, has_board: bool) -> bool {
    comm.size() <= ALL_COMBINE_RANKS && reduce(bytes, has_board) == Way::Board
}
