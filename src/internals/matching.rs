//! The posted and the unexpected queue, on plain numbers.

use crate::{
    envelope::{Envelope, Pattern},
    p2p::matching::{PostedQueue, UnexpectedQueue},
    types::{ContextId, Rank, Tag},
};

/// What identifies a message: context id, source, tag.
pub type Message = (u32, Rank, Tag);

/// What a receive asks for: context id, source, tag; `None` is the wildcard.
pub type Receive = (u32, Option<Rank>, Option<Tag>);

/// Receives that wait for a message.
pub struct Posted(PostedQueue<u64>);

/// Messages that arrived before their receive.
pub struct Unexpected(UnexpectedQueue<u64>);

impl Posted {
    /// An empty queue.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "benches call it once")]
    pub fn new() -> Self {
        Self(PostedQueue::new())
    }

    /// Posts a receive.
    pub fn post(&mut self, receive: Receive, value: u64) {
        self.0.post(pattern(receive), value);
    }

    /// Takes the earliest receive that accepts the message.
    pub fn take_match(&mut self, message: Message) -> Option<u64> {
        self.0.take_match(&envelope(message))
    }
}

impl Unexpected {
    /// An empty queue.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "benches call it once")]
    pub fn new() -> Self {
        Self(UnexpectedQueue::new())
    }

    /// Adds a message.
    pub fn push(&mut self, message: Message, value: u64) {
        self.0.push(envelope(message), value);
    }

    /// Takes the earliest message that the receive accepts.
    pub fn take(&mut self, receive: Receive) -> Option<u64> {
        self.0.take(&pattern(receive)).map(|(_, value)| value)
    }
}

fn envelope((context, source, tag): Message) -> Envelope {
    Envelope { context: ContextId(context), source, tag, bytes: 8 }
}

fn pattern((context, source, tag): Receive) -> Pattern {
    Pattern { context: ContextId(context), source, tag }
}

/// Both queues against their oracle, on any bytes.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    crate::p2p::matching::fuzz(data);
}
