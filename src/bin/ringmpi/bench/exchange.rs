//! What two ranks do for one measurement: rank 0 commands and holds the clock, rank 1 follows.

use super::{
    Result,
    patterns::{PingPong, Player, Rate, Stream},
};
use ringmpi::{Communicator, Process, Source};
use serde::Serialize;
use std::time::Instant;

/// Messages of a window.
const WINDOW: usize = 64;

/// Bytes of a window, where that is fewer messages.
const WINDOW_BYTES: usize = 8 << 20;

/// The tag of commands; measured messages have none.
const COMMAND: ringmpi::Tag = 1;

/// Who sends what to whom in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Pattern {
    /// One message to, one back.
    PingPong,
    /// A window of messages from one buffer into one buffer, then an acknowledgement.
    Stream,
    /// A window of nonblocking messages that have a buffer each, then an acknowledgement.
    Rate,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) pattern: Pattern,
    pub(super) bytes: usize,
    /// Whether messages are rewritten before they are sent, and read when they have come.
    pub(super) touch: bool,
    /// Whether they are sent from shared memory.
    pub(super) shared: bool,
    pub(super) warm_up: u32,
    pub(super) batches: u32,
    /// Rounds of a batch.
    pub(super) rounds: u32,
}

impl Pattern {
    /// Messages one way in a round.
    pub(super) fn messages(self, bytes: usize) -> usize {
        match self {
            Self::PingPong => 1,
            Self::Stream | Self::Rate => WINDOW.min(WINDOW_BYTES / bytes.max(1)),
        }
    }
}

impl Task {
    fn to_words(self) -> [u64; 7] {
        let Self { pattern, bytes, touch, shared, warm_up, batches, rounds } = self;
        let sizes = [warm_up, batches, rounds].map(u64::from);
        [pattern as u64, bytes as u64, touch.into(), shared.into(), sizes[0], sizes[1], sizes[2]]
    }

    fn from_words([pattern, bytes, touch, shared, warm_up, batches, rounds]: [u64; 7]) -> Self {
        let pattern = match pattern {
            0 => Pattern::PingPong,
            1 => Pattern::Stream,
            _ => Pattern::Rate,
        };
        let [warm_up, batches, rounds] = [warm_up, batches, rounds].map(|number| number as u32);
        Self {
            pattern,
            bytes: bytes as usize,
            touch: touch != 0,
            shared: shared != 0,
            warm_up,
            batches,
            rounds,
        }
    }
}

/// One of the two ranks.
#[derive(Clone, Copy)]
pub(super) struct Side<'c, 'u> {
    pub(super) world: &'c Communicator<'u>,
    pub(super) peer: Process<'c, 'u>,
    pub(super) is_first: bool,
}

impl<'c, 'u> Side<'c, 'u> {
    pub(super) fn new(world: &'c Communicator<'u>) -> Self {
        Self { world, peer: world.process_at_rank(1 - world.rank()), is_first: world.rank() == 0 }
    }

    /// One rank of a pair: each of the first half of the ranks has one of the second.
    pub(super) fn in_pairs(world: &'c Communicator<'u>) -> Self {
        let (rank, half) = (world.rank(), world.size() / 2);
        Self { world, peer: world.process_at_rank((rank + half) % (2 * half)), is_first: rank < half }
    }

    /// Rank 0: both play the task; the nanoseconds of a round, one for each batch.
    pub(super) fn command(&self, task: Task) -> Result<Vec<f64>> {
        self.peer.tag(COMMAND).send(&task.to_words())?;
        self.play(task)
    }

    /// Rank 0: there are no more tasks.
    pub(super) fn dismiss(&self) -> Result<()> {
        Ok(self.peer.tag(COMMAND).send::<u64>(&[])?)
    }

    /// Rank 1: plays what rank 0 commands, asleep in between.
    pub(super) fn follow(&self) -> Result<()> {
        loop {
            let mut words = [0; 7];
            let status = self.peer.tag(COMMAND).receive_into(&mut words)?;
            if status.bytes() == 0 {
                return Ok(());
            }
            self.play(Task::from_words(words))?;
        }
    }

    fn play(&self, task: Task) -> Result<Vec<f64>> {
        match task.pattern {
            Pattern::PingPong => run(&mut PingPong::new(self, task)?, task),
            Pattern::Stream => run(&mut Stream::new(self, task)?, task),
            Pattern::Rate => run(&mut Rate::new(*self, task.bytes, task.touch), task),
        }
    }

    pub(super) fn acknowledge(&self) -> Result<()> {
        Ok(self.peer.send::<u8>(&[])?)
    }

    pub(super) fn await_acknowledgement(&self) -> Result<()> {
        self.peer.receive_into::<u8>(&mut [])?;
        Ok(())
    }
}

fn run(player: &mut impl Player, task: Task) -> Result<Vec<f64>> {
    time(player, task.warm_up)?;
    let batches = (0..task.batches).map(|_| time(player, task.rounds)).collect();
    player.check()?;
    batches
}

/// Nanoseconds of a round.
fn time(player: &mut impl Player, rounds: u32) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..rounds {
        player.round()?;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(rounds.max(1)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_task_arrives_as_it_was_sent() {
        for pattern in [Pattern::PingPong, Pattern::Stream, Pattern::Rate] {
            let task =
                Task { pattern, bytes: 5, touch: true, shared: true, warm_up: 7, batches: 9, rounds: 11 };
            assert_eq!(Task::from_words(task.to_words()), task);
        }
    }

    #[test]
    fn two_ranks_play_every_pattern_with_right_payloads() {
        let patterns = [Pattern::PingPong, Pattern::Stream, Pattern::Rate];
        let play = |side: &Side<'_, '_>| -> Result<()> {
            for (pattern, touch) in patterns.into_iter().flat_map(|p| [(p, false), (p, true)]) {
                for bytes in [0, 5, 8, 1000, 100_000] {
                    let task =
                        Task { pattern, bytes, touch, shared: touch, warm_up: 1, batches: 2, rounds: 2 };
                    assert_eq!(side.command(task)?.len(), 2);
                }
            }
            side.dismiss()
        };
        let outcomes = ringmpi::threads(2, |world| {
            let side = Side::new(&world);
            if side.is_first { play(&side) } else { side.follow() }
        });
        outcomes.unwrap().into_iter().for_each(Result::unwrap);
    }
}
