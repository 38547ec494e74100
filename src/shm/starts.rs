//! [`Starts`]: where a job's counters start: at zero, or in tests just below where their types, or
//! narrower ones, wrap.

use super::{
    board::{Board, Place},
    doorbell::BarrierMode,
    segment::{FIRST_FREE_CONTEXT, Segment, WORLD_BOARD},
};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Starts {
    /// Positions in rings. Cells carry 31 bits of the lap.
    pub(crate) ring: u64,
    /// Bytes and envelopes of credit, spent and given back. 64 bits outlast the machine.
    pub(crate) credit: u64,
    /// Generations of blocks, requests and matched messages, and revocations: 32 bits.
    pub(crate) generation: u32,
    /// The first free context id. Some thousand are given again and again, the others once: a job that has used
    /// them all gets no more.
    pub(crate) context: u32,
    /// Numbers of collective operations. Boards count with 64 bits, messages carry 31.
    pub(crate) collective: u64,
}

impl Starts {
    pub(crate) const ZERO: Self =
        Self { ring: 0, credit: 0, generation: 0, context: FIRST_FREE_CONTEXT, collective: 0 };

    /// Just below all wraps, and with the last context ids.
    #[cfg(any(all(test, not(loom)), feature = "internals"))]
    pub(crate) const LATE: Self = Self {
        ring: ((1 << 31) - 1) * super::ring::CELLS - 3,
        credit: (1 << 32) - 5000,
        generation: u32::MAX - 2,
        context: u32::MAX - 20_003,
        collective: (1 << 32) - 3,
    };

    /// Sets the words of a new segment whose untouched memory means zero.
    pub(super) fn write(&self, segment: &Arc<Segment>) {
        if *self == Self::ZERO {
            return;
        }
        let (ranks, mode) = (segment.ranks(), BarrierMode::Fence);
        for receiver in 0..ranks {
            segment.published(receiver).slot.start_revocations(self.generation);
            (0..ranks).for_each(|sender| segment.ring(receiver, sender).1.start_credit(self.credit));
        }
        let world = Place { board: WORLD_BOARD, members: ranks, me: 0 };
        let _prepared = Board::create(segment, world, mode, self.collective);
    }
}
