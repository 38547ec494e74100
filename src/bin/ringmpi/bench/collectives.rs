//! What the ranks do in a round of a collective.

use super::{Result, company::Part, payload::Memory};
use crate::limit::CELL_BYTES;
use ringmpi::{Communicator, op::Sum};
use std::time::{Duration, Instant};

/// A collective, with rank 0 as its root if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Barrier,
    Broadcast,
    Reduce,
    AllReduce,
    AllGather,
    AllToAll,
    Scan,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Barrier => "barrier",
            Self::Broadcast => "bcast",
            Self::Reduce => "reduce",
            Self::AllReduce => "allreduce",
            Self::AllGather => "allgather",
            Self::AllToAll => "alltoall",
            Self::Scan => "scan",
        }
    }

    /// What is measured, and what the lengths count.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Barrier => "one after the other",
            Self::Broadcast => {
                "bytes that the root has rewritten, until all have them (a barrier is in the time)"
            }
            Self::Reduce => {
                "bytes of f64 of each rank, rewritten, until the root has the sums (a barrier is in the time)"
            }
            Self::AllReduce => {
                "bytes of f64 of each rank, rewritten (above 40 bytes a barrier is in the time)"
            }
            Self::AllGather => "bytes from each rank, rewritten (above 40 bytes a barrier is in the time)",
            Self::AllToAll => {
                "bytes from each rank for each, rewritten (above 40 bytes a barrier is in the time)"
            }
            Self::Scan => {
                "bytes of f64 of each rank, rewritten, until all have the sums up to theirs (a barrier is in the time)"
            }
        }
    }

    /// Whether no rank can be done before all have begun.
    fn synchronizes(self) -> bool {
        !matches!(self, Self::Broadcast | Self::Reduce | Self::Scan)
    }

    /// Values that a rank contributes, for `len` in a message.
    fn contributed(self, len: usize, ranks: usize) -> usize {
        if self == Self::AllToAll { len * ranks } else { len }
    }

    /// Values that a rank gets.
    fn gotten(self, len: usize, ranks: usize, rank: usize) -> usize {
        match self {
            Self::Barrier | Self::Broadcast => 0,
            Self::Reduce if rank > 0 => 0,
            Self::Reduce | Self::AllReduce | Self::Scan => len,
            Self::AllGather | Self::AllToAll => len * ranks,
        }
    }
}

/// One rank's part.
///
/// Few bytes, those that the bare machine has in a cell, are rewritten inside the time, one round follows the other, and one
/// clock is read for all; if a rank can be done before all have begun, a barrier ends the round. More bytes are rewritten outside
/// the time: two barriers, the clock, the operation, a barrier, the clock.
pub(super) struct Ensemble<'a, 'u> {
    world: &'a Communicator<'u>,
    operation: Operation,
    /// Values in a message.
    len: usize,
    source: Memory<f64>,
    result: Vec<f64>,
    round: u64,
}

impl<'a, 'u> Ensemble<'a, 'u> {
    pub(super) fn new(
        world: &'a Communicator<'u>,
        operation: Operation,
        bytes: usize,
        shared: bool,
    ) -> Result<Self> {
        let (ranks, rank, len) = (world.size() as usize, world.rank() as usize, bytes / 8);
        let source = Memory::new(world, operation.contributed(len, ranks), shared)?;
        // Written, so that it has its pages.
        let result = vec![-1.0; operation.gotten(len, ranks, rank)];
        Ok(Self { world, operation, len, source, result, round: 0 })
    }

    fn is_short(&self) -> bool {
        self.operation == Operation::Barrier || 8 * self.len <= CELL_BYTES
    }

    fn rewrite(&mut self) {
        self.round += 1;
        let (rank, round) = (self.world.rank() as usize, self.round);
        if self.operation == Operation::Broadcast && rank > 0 {
            return;
        }
        for (at, value) in self.source.values_mut().iter_mut().enumerate() {
            *value = contribution(rank, round, at);
        }
    }

    fn operate(&mut self) -> Result<()> {
        let Self { world, source, result, .. } = self;
        let source = source.values_mut();
        match self.operation {
            Operation::Barrier => world.barrier()?,
            Operation::Broadcast => world.broadcast_into(source, 0)?,
            Operation::Reduce => world.reduce_into(source, Some(result), Sum, 0)?,
            Operation::AllReduce => world.all_reduce_into(source, result, Sum)?,
            Operation::AllGather => world.all_gather_into(source, result)?,
            Operation::AllToAll => world.all_to_all_into(source, result)?,
            Operation::Scan => world.scan_into(source, result, Sum)?,
        }
        Ok(())
    }

    /// What has come.
    fn arrived(&self) -> &[f64] {
        match self.operation {
            Operation::Broadcast => self.source.values(),
            _ => &self.result,
        }
    }

    /// What should have come, at one place.
    fn expected(&self, at: usize) -> f64 {
        let (ranks, rank, len) = (self.world.size() as usize, self.world.rank() as usize, self.len);
        let sum = |ranks: usize| (0..ranks).map(|rank| contribution(rank, self.round, at)).sum();
        match self.operation {
            Operation::Barrier | Operation::Broadcast => contribution(0, self.round, at),
            Operation::Reduce | Operation::AllReduce => sum(ranks),
            Operation::AllGather => contribution(at / len, self.round, at % len),
            Operation::AllToAll => contribution(at / len, self.round, rank * len + at % len),
            Operation::Scan => sum(rank + 1),
        }
    }

    fn is_right(&self, at: usize) -> bool {
        self.arrived().get(at).is_none_or(|value| *value == self.expected(at))
    }

    /// A look at one value, in each round.
    fn look(&self) -> Result<()> {
        if self.is_right(0) { Ok(()) } else { Err(self.wrong(0)) }
    }

    #[cold]
    fn wrong(&self, at: usize) -> Box<dyn std::error::Error + Send + Sync> {
        let (name, got, expected) = (self.operation.name(), self.arrived()[at], self.expected(at));
        format!("{name} of {} values: number {at} is {got}, not {expected}", self.len).into()
    }

    fn back_to_back(&mut self, rounds: u32) -> Result<Duration> {
        self.world.barrier()?;
        let start = Instant::now();
        for _ in 0..rounds {
            self.rewrite();
            self.operate()?;
            if !self.operation.synchronizes() {
                self.world.barrier()?;
            }
            self.look()?;
        }
        Ok(start.elapsed())
    }

    fn one_by_one(&mut self, rounds: u32) -> Result<Duration> {
        let mut taken = Duration::ZERO;
        for _ in 0..rounds {
            self.rewrite();
            self.world.barrier()?;
            // Ranks that have waited for it asleep are awake when they have come to another one.
            self.world.barrier()?;
            let start = Instant::now();
            self.operate()?;
            self.world.barrier()?;
            taken += start.elapsed();
            self.look()?;
        }
        Ok(taken)
    }
}

impl Part for Ensemble<'_, '_> {
    fn time(&mut self, rounds: u32) -> Result<f64> {
        let taken = if self.is_short() { self.back_to_back(rounds) } else { self.one_by_one(rounds) };
        Ok(taken?.as_nanos() as f64 / f64::from(rounds.max(1)))
    }

    fn operations(&self) -> usize {
        1
    }

    fn check(&self) -> Result<()> {
        match (0..self.arrived().len()).find(|&at| !self.is_right(at)) {
            None => Ok(()),
            Some(at) => Err(self.wrong(at)),
        }
    }
}

/// Sums of these are exact, and many of them are made at once.
#[inline(always)]
fn contribution(rank: usize, round: u64, at: usize) -> f64 {
    ((rank as u64 + 1) * round) as f64 + f64::from(at as i32)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ALL: [Operation; 7] = [
        Operation::Barrier,
        Operation::Broadcast,
        Operation::Reduce,
        Operation::AllReduce,
        Operation::AllGather,
        Operation::AllToAll,
        Operation::Scan,
    ];

    #[test]
    fn every_collective_ends_with_right_values_however_many_ranks_and_bytes() {
        for ranks in 1..=3 {
            let all = |world: Communicator<'_>| {
                for (operation, shared) in
                    ALL.into_iter().flat_map(|operation| [(operation, false), (operation, true)])
                {
                    for bytes in [8, 64, 100_000] {
                        let mut ensemble = Ensemble::new(&world, operation, bytes, shared).unwrap();
                        ensemble.time(3).unwrap();
                        ensemble.check().unwrap();
                    }
                }
            };
            assert_eq!(ringmpi::threads(ranks, all).unwrap().len(), ranks);
        }
    }

    #[test]
    fn a_wrong_value_is_found() {
        let outcomes = ringmpi::threads(1, |world| {
            let mut ensemble = Ensemble::new(&world, Operation::AllReduce, 64, false).unwrap();
            ensemble.time(1).unwrap();
            ensemble.result[5] += 1.0;
            ensemble.check().unwrap_err().to_string()
        });
        assert_eq!(outcomes.unwrap(), ["allreduce of 8 values: number 5 is 7, not 6"]);
    }
}
