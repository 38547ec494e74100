//! [`Oracle`]: whether every match is the one that MPI's rules name, and every byte is where it belongs.
//!
//! It follows a job call by call, with a vector for every queue. From the engine it takes one thing, the
//! order in which messages of different senders came to matching, for which there is no rule. The rest
//! follows: messages of one sender in one context come in the order in which they were sent; a message
//! goes to the earliest posted receive that accepts it; a receive or a probe finds the earliest message
//! that it accepts (MPI 5.0, 3.5 and 3.8).
//!
//! When the job is over it looks at the matches once more, without that order, and so without trust in
//! what the engine says: there must have been one that explains them.

use super::{
    memory::{Memory, contents},
    plan::{Message, Plan},
    reached::Reached,
};
use crate::{
    envelope::{Envelope, Pattern},
    error::Truncated,
    status::Status,
    types::{Rank, Tag},
};
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
pub(super) struct Oracle {
    /// Messages in the order in which they were sent.
    sent: Vec<usize>,
    /// Those that have not come to matching, by destination, context and source.
    on_way: BTreeMap<(usize, u32, Rank), VecDeque<usize>>,
    /// By rank.
    queues: BTreeMap<usize, Queues>,
    /// Messages by the time when the receive was posted that they were matched with.
    matched: BTreeMap<u64, usize>,
    /// Receives that have ended with a message, by that time.
    received: BTreeMap<u64, Received>,
    has_truncated: bool,
    /// Receives of different patterns waited for a message; a receive could have had one of several
    /// senders' messages.
    had_rivals: (bool, bool),
}

/// What waits in a rank, oldest first.
#[derive(Default)]
struct Queues {
    posted: Vec<(u64, Pattern)>,
    unexpected: Vec<(usize, Envelope)>,
}

/// A receive that got a message.
struct Received {
    dest: usize,
    pattern: Pattern,
    message: usize,
}

/// What became of a message.
pub(super) enum Fate {
    Stored {
        status: Status,
        memory: Memory,
    },
    Truncated {
        facts: Truncated,
        memory: Memory,
    },
    /// Nobody looked at the contents; the status is a probe's.
    Dropped(Status),
}

/// Source, tag and bytes.
pub(super) type Facts = (Rank, Tag, u64);

pub(super) fn facts_of_status(status: &Status) -> Facts {
    (status.source(), status.tag(), status.bytes())
}

fn facts_of_envelope(envelope: &Envelope) -> Facts {
    (envelope.source, envelope.tag, envelope.bytes)
}

impl Fate {
    pub(super) fn facts(&self) -> Facts {
        match self {
            Self::Stored { status, .. } | Self::Dropped(status) => facts_of_status(status),
            Self::Truncated { facts, .. } => (facts.source, facts.tag, facts.sent),
        }
    }

    fn check(&self, message: &Message) -> Result<(), String> {
        let bytes = message.envelope.bytes;
        match self {
            Self::Stored { memory, .. } => memory.check(&contents(message.key, bytes)),
            Self::Truncated { facts, memory }
                if facts.room == memory.packed_bytes() && facts.room < bytes =>
            {
                memory.check(&[])
            }
            Self::Truncated { facts, memory } => {
                Err(format!("{facts:?} for a buffer of {} bytes", memory.packed_bytes()))
            }
            Self::Dropped(_) => Ok(()),
        }
    }
}

impl Oracle {
    pub(super) fn note_send(&mut self, index: usize, message: &Message) {
        let Message { dest, envelope, .. } = message;
        self.sent.push(index);
        self.on_way.entry((*dest, envelope.context.0, envelope.source)).or_default().push_back(index);
    }

    /// A message with this envelope has come to matching on rank `dest`.
    pub(super) fn note_arrival(
        &mut self,
        plan: &Plan,
        dest: usize,
        envelope: &Envelope,
    ) -> Result<(), String> {
        let on_way = self.on_way.entry((dest, envelope.context.0, envelope.source)).or_default();
        let next = on_way.pop_front();
        let Some(message) = next.filter(|&message| plan.messages[message].envelope == *envelope) else {
            let due = next.map(|message| plan.messages[message].envelope);
            return Err(format!("{envelope:?} has come, and due was {due:?}"));
        };
        let Queues { posted, unexpected } = self.queues.entry(dest).or_default();
        let mut accepting = (0..posted.len()).filter(|&place| posted[place].1.accepts(envelope));
        match accepting.next() {
            Some(earliest) => {
                self.had_rivals.0 |= accepting.any(|later| posted[later].1 != posted[earliest].1);
                self.matched.insert(posted.remove(earliest).0, message);
            }
            None => unexpected.push((message, *envelope)),
        }
        Ok(())
    }

    /// A receive is posted on rank `dest`, or a matched probe looks, at time `posted`.
    pub(super) fn note_receive(&mut self, dest: usize, posted: u64, pattern: Pattern) {
        match self.find(dest, &pattern) {
            Some(place) => {
                let (message, envelope) = self.queues.entry(dest).or_default().unexpected.remove(place);
                let others = &self.queues.entry(dest).or_default().unexpected;
                let is_rival = |(_, other): &(usize, Envelope)| {
                    pattern.accepts(other) && other.source != envelope.source
                };
                self.had_rivals.1 |= others.iter().any(is_rival);
                self.matched.insert(posted, message);
            }
            None => self.queues.entry(dest).or_default().posted.push((posted, pattern)),
        }
    }

    fn find(&mut self, dest: usize, pattern: &Pattern) -> Option<usize> {
        let unexpected = &self.queues.entry(dest).or_default().unexpected;
        unexpected.iter().position(|(_, envelope)| pattern.accepts(envelope))
    }

    /// What a probe has to find now.
    pub(super) fn probe(&mut self, dest: usize, pattern: &Pattern) -> Option<Facts> {
        let place = self.find(dest, pattern)?;
        let (_, envelope) = self.queues.entry(dest).or_default().unexpected[place];
        Some(facts_of_envelope(&envelope))
    }

    /// The receive that was posted then is withdrawn, if it has no message.
    pub(super) fn note_cancel(&mut self, dest: usize, posted: u64) {
        self.queues.entry(dest).or_default().posted.retain(|(time, _)| *time != posted);
    }

    /// The receive that was posted then has ended without a message.
    pub(super) fn note_withdrawn(&self, posted: u64) -> Result<(), String> {
        match self.matched.get(&posted) {
            Some(message) => Err(format!("a receive was withdrawn that has message {message}")),
            None => Ok(()),
        }
    }

    /// The receive that was posted then has ended with a message.
    pub(super) fn note_end(
        &mut self,
        plan: &Plan,
        (dest, posted, pattern): (usize, u64, Pattern),
        fate: Fate,
    ) -> Result<(), String> {
        let of_what = || format!("the receive posted at {posted} with {pattern:?}");
        let Some(&message) = self.matched.get(&posted) else {
            return Err(format!("{} should have nothing, and got {:?}", of_what(), fate.facts()));
        };
        let due = &plan.messages[message];
        if fate.facts() != facts_of_envelope(&due.envelope) {
            return Err(format!("{} got {:?} instead of {:?}", of_what(), fate.facts(), due.envelope));
        }
        fate.check(due)
            .map_err(|wrong| format!("{} should have message {message}, {due:?}: {wrong}", of_what()))?;
        self.has_truncated |= matches!(fate, Fate::Truncated { .. });
        let earlier = self.received.insert(posted, Received { dest, pattern, message });
        assert!(earlier.is_none(), "every posting has a time of its own");
        Ok(())
    }

    /// The job is over.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), String> {
        for (dest, Queues { posted, unexpected }) in &self.queues {
            if !(posted.is_empty() && unexpected.is_empty()) {
                return Err(format!("left on rank {dest}: receives {posted:?}, messages {unexpected:?}"));
            }
        }
        if let Some((key, left)) = self.on_way.iter().find(|(_, left)| !left.is_empty()) {
            return Err(format!("{} messages with {key:?} never came", left.len()));
        }
        if let Some((posted, message)) =
            self.matched.iter().find(|(time, _)| !self.received.contains_key(time))
        {
            return Err(format!("the receive posted at {posted} with message {message} has not ended"));
        }
        self.check_without_arrivals(plan)
    }

    /// Messages with the same source, destination, context and tag can only be told apart by their
    /// order, and so belong to their receives in order. And there must have been an order of arrival
    /// that explains all matches: messages of one sender in the order in which he sent them, and
    /// whenever an earlier receive also accepted a later one's message, its own came before.
    fn check_without_arrivals(&self, plan: &Plan) -> Result<(), String> {
        let mut unreceived: BTreeMap<Key, Vec<(usize, usize)>> = BTreeMap::new();
        for (order, &index) in self.sent.iter().enumerate().rev() {
            let Message { dest, envelope, .. } = plan.messages[index];
            let key = (dest, envelope.context.0, envelope.source, envelope.tag);
            unreceived.entry(key).or_default().push((order, index));
        }
        let mut matches: BTreeMap<(usize, u32), Vec<Match>> = BTreeMap::new();
        for (posted, Received { dest, pattern, message }) in &self.received {
            let envelope = plan.messages[*message].envelope;
            let key = (*dest, envelope.context.0, envelope.source, envelope.tag);
            let next = unreceived.get_mut(&key).and_then(Vec::pop);
            let Some((sent, _)) = next.filter(|(_, index)| index == message) else {
                return Err(format!("the receive posted at {posted} has message {message}, not {next:?}"));
            };
            if !pattern.accepts(&envelope) {
                return Err(format!("the receive posted at {posted} with {pattern:?} has {envelope:?}"));
            }
            matches.entry((*dest, pattern.context.0)).or_default().push(Match {
                envelope,
                sent,
                pattern: *pattern,
            });
        }
        matches.iter().try_for_each(|(place, matches)| {
            check_order(matches).map_err(|wrong| format!("at (rank, context) {place:?}: {wrong}"))
        })
    }

    pub(super) fn tell(&self, reached: &mut Reached) {
        let states = [
            (self.has_truncated, "a message that was truncated"),
            (self.had_rivals.0, "receives of different patterns that waited for the same message"),
            (self.had_rivals.1, "messages of different senders for the same receive"),
        ];
        states.into_iter().filter(|(is_seen, _)| *is_seen).for_each(|(_, name)| reached.note(name));
    }
}

/// What messages are told apart by: destination, context, source, tag.
type Key = (usize, u32, Rank, Tag);

/// A message and the receive that got it.
struct Match {
    envelope: Envelope,
    /// When it was sent.
    sent: usize,
    pattern: Pattern,
}

/// Whether an order of arrival explains the matches, which come in the order of their receives.
fn check_order(matches: &[Match]) -> Result<(), String> {
    let must_precede = |first: usize, second: usize| {
        let (first_match, second_match) = (&matches[first], &matches[second]);
        let one_sender = first_match.envelope.source == second_match.envelope.source;
        one_sender && first_match.sent < second_match.sent
            || first < second && first_match.pattern.accepts(&second_match.envelope)
    };
    let all = 0..matches.len();
    let preceding = |one: usize| all.clone().filter(|&other| must_precede(other, one)).count();
    let mut waiting: Vec<usize> = all.clone().map(preceding).collect();
    let mut ready: Vec<usize> = all.clone().filter(|&one| waiting[one] == 0).collect();
    let mut arrived = 0;
    while let Some(next) = ready.pop() {
        arrived += 1;
        for other in all.clone().filter(|&other| must_precede(next, other)) {
            waiting[other] -= 1;
            if waiting[other] == 0 {
                ready.push(other);
            }
        }
    }
    if arrived == matches.len() {
        return Ok(());
    }
    let left = all.filter(|&one| waiting[one] > 0).take(8);
    let facts: Vec<_> = left.map(|one| (matches[one].pattern, matches[one].envelope)).collect();
    Err(format!("no order of arrival explains the matches {facts:?}"))
}
