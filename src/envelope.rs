//! The envelope: what a receive is matched on, and how long the message is.

use crate::{
    shm::contexts::{CONSECUTIVE, CONTEXTS_EACH, OVERLAPPING},
    types::{ContextId, RANKS_MAX, Rank, Tag},
};

/// The facts that travel with every message.
///
/// # Standard
/// MPI 5.0, 3.2.3: source, destination, tag and communicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) context: ContextId,
    /// The sender's rank in the communicator, not a peer id. In the context of overlapping collectives a mark lies
    /// above it ([`marked`]).
    pub(crate) source: Rank,
    pub(crate) tag: Tag,
    /// The whole message's size in bytes.
    pub(crate) bytes: u64,
}

/// Bits of a source with a mark, for the rank and for the mark above it.
const RANK_BITS: u32 = 12;
pub(crate) const MARK_BITS: u32 = u32::BITS - RANK_BITS;

const _: () = assert!(RANKS_MAX <= 1 << RANK_BITS);

/// The source of a message in the context of overlapping collectives: a rank, and what it says of its call. The mark
/// takes no part in matching; who receives the message compares it.
pub(crate) fn marked(rank: Rank, mark: u32) -> Rank {
    (mark << RANK_BITS).cast_signed() | rank
}

/// The mark of a source.
pub(crate) fn mark_of(source: Rank) -> u32 {
    source.cast_unsigned() >> RANK_BITS
}

/// Tags of persistent collectives have this bit, those of immediate ones do not.
pub(crate) const PERSISTENT_TAG: Tag = 1 << 30;

/// What a notice among blocking collectives says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It was refused its call.
    Refused,
    /// Its call has failed on the way.
    Failed,
    /// It goes on, and that call is the last one that it was refused.
    RefusedUpTo,
    /// It was not refused the same calls as the receiver.
    Passed,
}

const NOTICE_BITS: u32 = 2;
const NOTICES: [Notice; 1 << NOTICE_BITS] =
    [Notice::Refused, Notice::Failed, Notice::RefusedUpTo, Notice::Passed];

impl Notice {
    /// The tag, below 0, of a notice about a call: of its number the low bits.
    pub(crate) fn tag(self, call: u64) -> Tag {
        !((call << NOTICE_BITS | self as u64) as Tag & Tag::MAX)
    }

    /// What the tag of a notice says; of the call the low [`CALL_BITS`](Self::CALL_BITS).
    pub(crate) fn of_tag(tag: Tag) -> (Self, u64) {
        let word = u64::from((!tag).unsigned_abs());
        (NOTICES[word as usize % NOTICES.len()], word >> NOTICE_BITS)
    }

    pub(crate) const CALL_BITS: u32 = Tag::BITS - 1 - NOTICE_BITS;
}

/// The mark of a notice, of which no call is: see [`Envelope::is_notice`].
pub(crate) const NOTICE_MARK: u32 = (1 << MARK_BITS) - 1;

impl Envelope {
    /// The sender's rank, without a mark.
    #[inline]
    pub(crate) fn sender(&self) -> Rank {
        let has_mark = self.context.0 % CONTEXTS_EACH == OVERLAPPING;
        if has_mark { self.source & ((1 << RANK_BITS) - 1) } else { self.source }
    }

    /// Whether it is a message of a blocking collective.
    pub(crate) fn is_of_blocking_collective(&self) -> bool {
        self.context.0 % CONTEXTS_EACH == CONSECUTIVE
    }

    /// Whether it is a message of a collective.
    pub(crate) fn is_of_collective(&self) -> bool {
        matches!(self.context.0 % CONTEXTS_EACH, CONSECUTIVE | OVERLAPPING)
    }

    /// Whether the message is a notice, where its sender's part in a collective would be: its call has failed. Among
    /// blocking ones tags below 0 say so, where collectives overlap a mark.
    pub(crate) fn is_notice(&self) -> bool {
        match self.context.0 % CONTEXTS_EACH {
            CONSECUTIVE => self.tag < 0,
            OVERLAPPING => mark_of(self.source) == NOTICE_MARK,
            _ => false,
        }
    }

    /// Whether a notice is of the collective that a message belongs to: among blocking ones, of that or one before.
    pub(crate) fn is_notice_of(&self, message: &Self) -> bool {
        self.is_notice()
            && self.context == message.context
            && (self.is_of_blocking_collective() || self.tag == message.tag)
    }
}

/// What a receive or a probe asks for. `None` is the wildcard. A source has no mark.
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
            && self.source.is_none_or(|source| source == envelope.sender())
            && self.tag.is_none_or(|tag| tag == envelope.tag)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_part_of_matching_where_collectives_overlap_and_of_the_source_elsewhere() {
        let marks = [0, 1, 77, (1 << MARK_BITS) - 1];
        for rank in [0, 5, RANKS_MAX as Rank - 1] {
            for mark in marks {
                let source = marked(rank, mark);
                assert_eq!(mark_of(source), mark);
                for context in (0..2 * CONTEXTS_EACH).chain(u32::MAX - 3..=u32::MAX).map(ContextId) {
                    let envelope = Envelope { context, source, tag: 3, bytes: 0 };
                    let overlaps = context.0 % CONTEXTS_EACH == OVERLAPPING;
                    let pattern = Pattern { context, source: Some(rank), tag: Some(3) };
                    assert_eq!(pattern.accepts(&envelope), overlaps || mark == 0);
                    assert!(Pattern { source: None, ..pattern }.accepts(&envelope));
                    for other in [
                        Pattern { source: Some(rank ^ 1), ..pattern },
                        Pattern { tag: Some(4), ..pattern },
                        Pattern { context: ContextId(context.0 ^ 4), ..pattern },
                    ] {
                        assert!(!other.accepts(&envelope));
                    }
                }
            }
        }
    }

    #[test]
    fn tags_of_notices_say_what_they_were_made_of() {
        for notice in NOTICES {
            for call in [0, 1, 77, (1 << Notice::CALL_BITS) - 1] {
                for round in [0, 1, 1 << 20] {
                    let tag = notice.tag(call + (round << Notice::CALL_BITS));
                    assert!(tag < 0);
                    assert_eq!(Notice::of_tag(tag), (notice, call));
                }
            }
        }
    }
}
