//! Rounds and batches: what both sides do for one measurement, and when they look at the clock.

use std::time::Instant;

use super::bulk::Bulk;
use super::collective::{AllReduceWords, Barrier, Broadcast, BroadcastCell, Meeting, Reduction};
use super::copy::Kind;
use super::exchange::{Channel, PingPong, Stream};
use super::futex::{Handover, WakeCall, WakeUp};
use super::kernel::Probe;
use super::memory::{Memory, Way};
use super::payload::{Buffers, Payload, Touch};
use super::ring::{Line, Ring};
use super::scheme::{Scheme, Split};
use super::spin::Spin;
use super::stats::MAX_BATCHES;

/// A message, and the way it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) bytes: usize,
    pub(super) touch: Touch,
    pub(super) buffers: Buffers,
    pub(super) scheme: Scheme,
}

/// What a round is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    /// A cache line without payload, to and back.
    Line,
    /// One message to, one back.
    PingPong(Message),
    /// A window of messages to, one acknowledgement back.
    Stream(Message, u32),
    /// Each side in turn wakes the other and sleeps.
    Handover,
    /// The first side wakes the second, which sleeps, and times only the call.
    WakeCall,
    /// The first side wakes the second, which has slept for long, and times the way there.
    WakeUp,
    /// Both wait for each other.
    Barrier(Pace),
    /// The first side's bytes, rewritten, go to the second out of shared memory.
    Broadcast(usize, Kind),
    /// The same of so few bytes that they travel with the word that announces them.
    BroadcastCell(usize, Pace),
    /// Both get the sums of both sides' numbers, so few that they travel with the word that announces them.
    AllReduceWords(usize, Pace),
    /// Both get the sums of so many bytes of numbers.
    AllReduce(usize, Split),
    /// Each side tries to read the other's private memory.
    Probe,
}

/// How a side polls for the other's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as it can.
    Ahead,
    /// One look after the other, none ahead.
    Paced,
}

/// How many rounds, and how they are timed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) warm_up: u32,
    pub(super) batches: usize,
    pub(super) rounds: u32,
}

/// A command to the partner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) schedule: Schedule,
}

/// Nanoseconds a round, one for each batch, then zeros.
pub(super) type Samples = [f64; MAX_BATCHES];

/// One of the two processes.
pub(super) struct Side<'a> {
    pub(super) index: usize,
    pub(super) memory: &'a Memory,
    pub(super) spin: &'a Spin,
    /// The other's process id.
    pub(super) partner: libc::pid_t,
}

impl<'a> Side<'a> {
    pub(super) fn is_first(&self) -> bool {
        self.index == 0
    }

    /// The direction from this side.
    pub(super) fn out(&self) -> &'a Way {
        &self.memory.control().ways[self.index]
    }

    /// The direction to this side.
    pub(super) fn back(&self) -> &'a Way {
        &self.memory.control().ways[1 - self.index]
    }
}

/// One side's part in a job.
pub(super) trait Player {
    fn round(&mut self);

    /// Nanoseconds that `rounds` rounds take.
    fn time(&mut self, rounds: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..rounds {
            self.round();
        }
        start.elapsed().as_nanos() as f64
    }
}

/// Plays `task` on this side. Both sides take the times; only the first's are used.
pub(super) fn play(side: &Side<'_>, task: Task) -> Samples {
    let schedule = task.schedule;
    match task.job {
        Job::Line => {
            let payload = Payload::new(side, 0, Touch::Untouched, Buffers::Private);
            run(&mut PingPong::new(side, Line::new(side), payload), schedule)
        }
        Job::PingPong(message) => with_channel(side, message, None, schedule),
        Job::Stream(message, window) => with_channel(side, message, Some(window), schedule),
        Job::Handover => run(&mut Handover::new(side), schedule),
        Job::WakeCall => run(&mut WakeCall::new(side), schedule),
        Job::WakeUp => run(&mut WakeUp::new(side), schedule),
        Job::Barrier(pace) => run(&mut Barrier(Meeting::new(side, pace)), schedule),
        Job::Broadcast(bytes, kind) => run(&mut Broadcast::new(side, bytes, kind), schedule),
        Job::BroadcastCell(bytes, pace) => run(&mut BroadcastCell::new(side, bytes, pace), schedule),
        Job::AllReduceWords(bytes, pace) => run(&mut AllReduceWords::new(side, bytes, pace), schedule),
        Job::AllReduce(bytes, split) => run(&mut Reduction::new(side, bytes, split), schedule),
        Job::Probe => run(&mut Probe(side), schedule),
    }
}

fn with_channel(side: &Side<'_>, message: Message, window: Option<u32>, schedule: Schedule) -> Samples {
    match message.scheme {
        Scheme::Cell { demote, paced } => {
            exchange(side, Ring::new(side, message.bytes, demote, paced), message, window, schedule)
        }
        scheme => exchange(side, Bulk::new(side, scheme, message.bytes), message, window, schedule),
    }
}

/// A ping-pong, or a stream if there is a window.
fn exchange(
    side: &Side<'_>,
    channel: impl Channel,
    message: Message,
    window: Option<u32>,
    schedule: Schedule,
) -> Samples {
    let payload = Payload::new(side, message.bytes, message.touch, message.buffers);
    match window {
        None => run(&mut PingPong::new(side, channel, payload), schedule),
        Some(window) => run(&mut Stream::new(side, channel, payload, window), schedule),
    }
}

fn run(player: &mut impl Player, schedule: Schedule) -> Samples {
    let mut samples = [0.0; MAX_BATCHES];
    player.time(schedule.warm_up);
    for sample in &mut samples[..schedule.batches] {
        *sample = player.time(schedule.rounds) / f64::from(schedule.rounds);
    }
    samples
}
