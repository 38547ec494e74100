//! [`Oracle`]: whether a finished job's matches were legal, and every byte is where it belongs.
//!
//! It knows in which order messages were sent and receives posted, and nothing of queues. Messages
//! with the same source, destination, context and tag can only be told apart by their order, and
//! so are assigned to their receives in order. Then there must have been an order of arrival that
//! explains all matches: messages of one sender in the order in which he sent them, and whenever an
//! earlier receive also accepted a later one's message, its own came before (MPI 5.0, 3.5).

use super::{
    memory::{Memory, contents},
    plan::{Message, Plan},
};
use crate::{
    envelope::{Envelope, Pattern},
    error::Truncated,
    status::Status,
    types::{Rank, Tag},
};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Oracle {
    /// Messages in the order in which they were sent.
    sent: Vec<usize>,
    /// Receives that got a message, by the order in which they were posted.
    received: BTreeMap<u64, Received>,
}

/// A receive that got a message.
pub(super) struct Received {
    pub(super) dest: usize,
    pub(super) pattern: Pattern,
    pub(super) fate: Fate,
}

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

impl Fate {
    /// Source, tag and bytes.
    pub(super) fn facts(&self) -> (Rank, Tag, u64) {
        match self {
            Self::Stored { status, .. } | Self::Dropped(status) => {
                (status.source(), status.tag(), status.bytes())
            }
            Self::Truncated { facts, .. } => (facts.source, facts.tag, facts.sent),
        }
    }

    fn check(&self, message: &Message) -> Result<(), String> {
        let bytes = message.envelope.bytes;
        let (.., received) = self.facts();
        if received != bytes {
            return Err(format!("{received} bytes arrived of {bytes}"));
        }
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

/// What messages are told apart by: destination, context, source, tag.
type Key = (usize, u32, Rank, Tag);

/// A message and the receive that got it.
struct Match {
    envelope: Envelope,
    /// When it was sent.
    sent: usize,
    pattern: Pattern,
}

impl Oracle {
    pub(super) fn note_send(&mut self, message: usize) {
        self.sent.push(message);
    }

    /// `order`: when the receive was posted.
    pub(super) fn note_receive(&mut self, order: u64, received: Received) {
        let earlier = self.received.insert(order, received);
        assert!(earlier.is_none(), "every posting has a time of its own");
    }

    pub(super) fn has_truncated(&self) -> bool {
        self.received.values().any(|received| matches!(received.fate, Fate::Truncated { .. }))
    }

    pub(super) fn check(&self, plan: &Plan) -> Result<(), String> {
        let mut unreceived: BTreeMap<Key, Vec<(usize, usize)>> = BTreeMap::new();
        for (order, &index) in self.sent.iter().enumerate().rev() {
            let Message { dest, envelope, .. } = plan.messages[index];
            let key = (dest, envelope.context.0, envelope.source, envelope.tag);
            unreceived.entry(key).or_default().push((order, index));
        }
        let mut matches: BTreeMap<(usize, u32), Vec<Match>> = BTreeMap::new();
        for (posted, received) in &self.received {
            let Received { dest, pattern, fate } = received;
            let (source, tag, _) = fate.facts();
            let key = (*dest, pattern.context.0, source, tag);
            let of_what = format!("the receive posted at {posted} on rank {dest} with {pattern:?}");
            let Some((sent, index)) = unreceived.get_mut(&key).and_then(Vec::pop) else {
                return Err(format!("{of_what} got a message from {source} with tag {tag}: nobody sent it"));
            };
            let message = &plan.messages[index];
            if !pattern.accepts(&message.envelope) {
                return Err(format!("{of_what} got {:?}", message.envelope));
            }
            fate.check(message)
                .map_err(|wrong| format!("{of_what} should have message {index}, {message:?}: {wrong}"))?;
            let found = Match { envelope: message.envelope, sent, pattern: *pattern };
            matches.entry((*dest, pattern.context.0)).or_default().push(found);
        }
        if let Some((key, left)) = unreceived.iter().find(|(_, left)| !left.is_empty()) {
            return Err(format!("{} messages with {key:?} were never received", left.len()));
        }
        matches.iter().try_for_each(|(place, matches)| {
            check_order(matches).map_err(|wrong| format!("at (rank, context) {place:?}: {wrong}"))
        })
    }
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
