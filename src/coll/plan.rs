//! [`Plan`]: builds the schedule of one rank of a collective.

use crate::{
    buffer::{Combination, Order, ReceiveBytes, Scratch, SendBytes},
    error::Result,
    group::Members,
    p2p::schedule::{Channel, Schedule, Step},
    types::{PeerId, Rank},
};

/// What one rank does in a collective, as far as an algorithm has said. Algorithms know ranks and memory, and
/// that the messages from one rank to another come in the order in which both name them.
pub(super) struct Plan<'g> {
    group: &'g Members,
    schedule: Schedule,
}

/// A message that a step begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message(usize);

impl<'g> Plan<'g> {
    pub(super) fn new(group: &'g Members, channel: Channel) -> Self {
        Self { group, schedule: Schedule::new(channel) }
    }

    pub(super) fn finish(self) -> Schedule {
        self.schedule
    }

    pub(super) fn rank(&self) -> Rank {
        self.schedule.channel.rank
    }

    pub(super) fn size(&self) -> Rank {
        self.group.size()
    }

    /// The rank so many places behind this one, around the end.
    pub(super) fn behind(&self, distance: Rank) -> Rank {
        (self.rank() + distance) % self.size()
    }

    /// The rank so many places before this one, around the start.
    pub(super) fn before(&self, distance: Rank) -> Rank {
        (self.rank() + self.size() - distance % self.size()) % self.size()
    }

    fn peer(&self, rank: Rank) -> PeerId {
        self.group.peer(rank).expect("algorithms name ranks of the communicator")
    }

    fn begin(&mut self, step: Step) -> Message {
        self.schedule.steps.push(step);
        self.schedule.messages += 1;
        Message(self.schedule.messages - 1)
    }

    pub(super) fn send(&mut self, to: Rank, from: SendBytes) -> Message {
        let to = self.peer(to);
        self.begin(Step::Send { to, from })
    }

    /// A message of just the length of the memory.
    pub(super) fn receive(&mut self, source: Rank, into: ReceiveBytes) -> Message {
        let from = self.peer(source);
        self.begin(Step::Receive { from, source, into })
    }

    /// What comes behind relies on the message's end.
    pub(super) fn wait(&mut self, message: Message) {
        self.schedule.steps.push(Step::Await(message.0));
    }

    /// What comes behind relies on the end of all messages so far.
    pub(super) fn wait_all(&mut self) {
        self.schedule.steps.push(Step::AwaitAll);
    }

    /// Sends and receives at the same time; what comes behind may rely on what has been received.
    pub(super) fn exchange(&mut self, to: Rank, from: SendBytes, source: Rank, into: ReceiveBytes) {
        let receiving = self.receive(source, into);
        self.send(to, from);
        self.wait(receiving);
    }

    /// Receives; what comes behind may rely on it.
    pub(super) fn take(&mut self, source: Rank, into: ReceiveBytes) {
        let receiving = self.receive(source, into);
        self.wait(receiving);
    }

    pub(super) fn copy(&mut self, from: SendBytes, into: ReceiveBytes) {
        self.schedule.steps.push(Step::Copy { from, into });
    }

    /// Combines `from` with `into`, which takes the result.
    pub(super) fn combine(&mut self, from: SendBytes, into: ReceiveBytes, order: Order) {
        self.schedule.steps.push(Step::Combine(Combination { from, into, order }));
    }

    /// Memory that lasts as long as the schedule.
    pub(super) fn scratch(&mut self, bytes: u64) -> Result<ReceiveBytes> {
        let mut scratch = Scratch::new(bytes)?;
        let memory = scratch.memory();
        self.schedule.scratch.push(scratch);
        Ok(memory)
    }
}
