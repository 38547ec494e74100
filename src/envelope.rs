//! The envelope: what a receive is matched on, and how long the message is.

use crate::types::{ContextId, Rank, Tag};

/// The facts that travel with every message.
///
/// # Standard
/// MPI 5.0, 3.2.3: source, destination, tag and communicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) context: ContextId,
    /// The sender's rank in the communicator, not a peer id.
    pub(crate) source: Rank,
    pub(crate) tag: Tag,
    /// The whole message's size in bytes.
    pub(crate) bytes: u64,
}

/// What a receive or a probe asks for. `None` is the wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) context: ContextId,
    pub(crate) source: Option<Rank>,
    pub(crate) tag: Option<Tag>,
}

impl Pattern {
    /// Whether a message with this envelope may be received by this pattern.
    #[inline]
    pub(crate) fn accepts(&self, envelope: &Envelope) -> bool {
        self.context == envelope.context
            && self.source.is_none_or(|source| source == envelope.source)
            && self.tag.is_none_or(|tag| tag == envelope.tag)
    }
}
