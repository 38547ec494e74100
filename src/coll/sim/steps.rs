//! [`Steps`]: an algorithm in shared memory by itself, whatever its call would choose, for any length that it can carry.

use super::case::{Algorithm, Case, combine};
use crate::{
    buffer::{self, Plain},
    coll::{
        all_gather, all_reduce, barrier,
        blocks::Blocks,
        broadcast,
        call::{Call, Function},
        on_board::Operation,
        on_stage::{PART_BYTES, Staged, has_stage},
        reduce,
    },
    communicator::Communicator,
    error::Result,
    op::{self, Op},
    shm::board::{SLOT_WORDS, WINDOW_WORDS},
};
use std::cell::Cell;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Steps {
    BarrierFlags,
    BarrierCount,
    BroadcastWindow,
    ReduceSlots,
    ReduceSlotsInPlace,
    AllReduceSlots,
    AllGatherSlots,
    BroadcastStaged,
    AllGatherStaged,
    ReduceStagedRooted,
    ReduceStagedRootedInPlace,
    ReduceStagedSplit,
    ReduceStagedSplitInPlace,
    AllReduceStagedCombine,
    AllReduceStagedSplit,
}

/// What is combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    One,
    /// Divides neither a part of the stage nor what is combined at a time.
    Three,
    /// 16 KiB: few in a part.
    Many,
    /// More than what is combined at a time.
    TooMany,
}

type Three = [u32; 3];
type Many = [u32; 4096];
type TooMany = [Three; 4096];

impl Unit {
    pub(super) const ALL: [Self; 4] = [Self::One, Self::Three, Self::Many, Self::TooMany];

    /// In elements of 4 bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => size_of::<Three>() / 4,
            Self::Many => size_of::<Many>() / 4,
            Self::TooMany => size_of::<TooMany>() / 4,
        }
    }
}

/// Combined as its parts of 4 bytes are.
trait Combined: Plain {
    fn combined(&self, upper: &Self) -> Self;
}

impl Combined for u32 {
    fn combined(&self, upper: &Self) -> Self {
        combine(*self, *upper)
    }
}

impl<T: Combined, const N: usize> Combined for [T; N]
where
    Self: Plain,
{
    fn combined(&self, upper: &Self) -> Self {
        std::array::from_fn(|index| self[index].combined(&upper[index]))
    }
}

/// Elements that an operation combines before others may go on.
const BURST: usize = 300;

impl Steps {
    pub(super) const ALL: [Self; 15] = [
        Self::BarrierFlags,
        Self::BarrierCount,
        Self::BroadcastWindow,
        Self::ReduceSlots,
        Self::ReduceSlotsInPlace,
        Self::AllReduceSlots,
        Self::AllGatherSlots,
        Self::BroadcastStaged,
        Self::AllGatherStaged,
        Self::ReduceStagedRooted,
        Self::ReduceStagedRootedInPlace,
        Self::ReduceStagedSplit,
        Self::ReduceStagedSplitInPlace,
        Self::AllReduceStagedCombine,
        Self::AllReduceStagedSplit,
    ];

    /// One on messages that gives the same.
    pub(super) fn oracle(self) -> Algorithm {
        match self {
            Self::BarrierFlags | Self::BarrierCount => Algorithm::BarrierDissemination,
            Self::BroadcastWindow | Self::BroadcastStaged => Algorithm::BroadcastBinomial,
            Self::AllGatherSlots | Self::AllGatherStaged => Algorithm::AllGatherLinear,
            Self::ReduceSlots | Self::ReduceStagedRooted | Self::ReduceStagedSplit => Algorithm::ReduceLinear,
            Self::ReduceSlotsInPlace | Self::ReduceStagedRootedInPlace | Self::ReduceStagedSplitInPlace => {
                Algorithm::ReduceLinearInPlace
            }
            Self::AllReduceSlots | Self::AllReduceStagedCombine | Self::AllReduceStagedSplit => {
                Algorithm::AllReduceLinear
            }
        }
    }

    /// The most elements of 4 bytes that it can carry; None without a limit.
    pub(super) fn most(self) -> Option<usize> {
        match self {
            Self::BarrierFlags | Self::BarrierCount => Some(0),
            Self::BroadcastWindow => Some(2 * WINDOW_WORDS),
            Self::ReduceSlots | Self::ReduceSlotsInPlace | Self::AllReduceSlots | Self::AllGatherSlots => {
                Some(2 * SLOT_WORDS)
            }
            Self::AllReduceStagedCombine => Some(PART_BYTES as usize / 4),
            _ => None,
        }
    }

    pub(super) fn has_root(self) -> bool {
        !matches!(
            self,
            Self::BarrierFlags
                | Self::BarrierCount
                | Self::AllReduceSlots
                | Self::AllReduceStagedCombine
                | Self::AllReduceStagedSplit
                | Self::AllGatherSlots
                | Self::AllGatherStaged
        )
    }

    pub(super) fn combines(self) -> bool {
        !matches!(
            self,
            Self::BarrierFlags
                | Self::BarrierCount
                | Self::BroadcastWindow
                | Self::BroadcastStaged
                | Self::AllGatherSlots
                | Self::AllGatherStaged
        )
    }

    fn is_staged(self) -> bool {
        self >= Self::BroadcastStaged
    }

    /// What this rank does, between its memory. False if the members have no stage for it.
    pub(super) fn run(
        self,
        comm: &Communicator<'_>,
        case: &Case,
        unit: Unit,
        memory: (&[u32], &mut [u32]),
    ) -> Result<bool> {
        match unit {
            Unit::One => self.run_of::<u32>(comm, case, memory),
            Unit::Three => self.run_of::<Three>(comm, case, memory),
            Unit::Many => self.run_of::<Many>(comm, case, memory),
            Unit::TooMany => self.run_of::<TooMany>(comm, case, memory),
        }
    }

    fn run_of<T: Combined>(
        self,
        comm: &Communicator<'_>,
        case: &Case,
        memory: (&[u32], &mut [u32]),
    ) -> Result<bool> {
        let count = Cell::new(0);
        let op = op::ordered(|lower: &T, upper: &T| {
            count.set(count.get() + 1);
            if count.get() % BURST == 1 {
                comm.engine().pass_baton();
            }
            lower.combined(upper)
        });
        let mut collective = comm.enter_collective("a race")?;
        let board = collective.board.as_mut().expect("few communicators have no board");
        let call = self.call(case).with_op(&op);
        if !self.is_staged() {
            return self.on_board(Operation::new(comm, board.get(), call)?, case, &op, memory).map(|()| true);
        }
        if !has_stage(comm, board, call)? {
            return Ok(false);
        }
        let staged = Staged::new(comm, board, call, 4 * case.len as u64)?;
        self.on_stage(staged, case, &op, memory).map(|()| true)
    }

    fn call(self, case: &Case) -> Call {
        match self {
            Self::BarrierFlags | Self::BarrierCount => Call::new(Function::Barrier),
            Self::BroadcastWindow | Self::BroadcastStaged => Call::rooted(Function::Broadcast, case.root),
            Self::AllGatherSlots | Self::AllGatherStaged => Call::new(Function::AllGather),
            _ if self.has_root() => Call::rooted(Function::Reduce, case.root),
            _ => Call::new(Function::AllReduce),
        }
    }

    fn on_board<T: Plain>(
        self,
        operation: Operation<'_, '_, '_>,
        case: &Case,
        op: &impl Op<T>,
        (input, output): (&[u32], &mut [u32]),
    ) -> Result<()> {
        let (size, is_root) = (operation.comm().size(), operation.comm().rank() == case.root);
        let (input, output) = (buffer::of_slice(input), buffer::of_slice_mut(output));
        match self {
            Self::BarrierFlags => barrier::flags::run(operation),
            Self::BarrierCount => barrier::count::run(operation),
            Self::BroadcastWindow => broadcast::window::run(operation, output, case.root),
            Self::ReduceSlots | Self::ReduceSlotsInPlace if is_root => {
                reduce::slots::combine(operation, output, op)
            }
            Self::ReduceSlots | Self::ReduceSlotsInPlace => {
                reduce::slots::contribute(operation, input, case.root)
            }
            Self::AllReduceSlots => all_reduce::slots::run(operation, output, op),
            Self::AllGatherSlots => {
                all_gather::slots::run(operation, output, &Blocks::equal(size, 4 * case.len as u64))
            }
            _ => unreachable!("{self:?} is staged"),
        }
    }

    fn on_stage<T: Plain>(
        self,
        staged: Staged<'_, '_, '_>,
        case: &Case,
        op: &impl Op<T>,
        (input, output): (&[u32], &mut [u32]),
    ) -> Result<()> {
        let (root, size, is_root) = (case.root, staged.comm().size(), staged.comm().rank() == case.root);
        let (input, output) = (buffer::of_slice(input), buffer::of_slice_mut(output));
        // In place, the root's own part is where the result will be.
        let mine =
            if is_root && self.oracle() == Algorithm::ReduceLinearInPlace { output.to_send() } else { input };
        let result = is_root.then_some(output);
        match self {
            Self::BroadcastStaged => broadcast::staged::run(staged, output, root),
            Self::AllGatherStaged => {
                all_gather::staged::run(staged, output, &Blocks::equal(size, 4 * case.len as u64))
            }
            Self::ReduceStagedRooted | Self::ReduceStagedRootedInPlace => {
                reduce::staged_rooted::run(staged, mine, result, op, root)
            }
            Self::ReduceStagedSplit | Self::ReduceStagedSplitInPlace => {
                reduce::staged_split::run(staged, mine, result, op, root)
            }
            Self::AllReduceStagedCombine => all_reduce::staged_combine::run(staged, output, op),
            Self::AllReduceStagedSplit => all_reduce::staged_split::run(staged, output, op),
            _ => unreachable!("{self:?} is on the board"),
        }
    }
}
