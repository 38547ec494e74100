//! Receives: the fast path for small messages, and everything else.

use super::{
    Core, Engine,
    arrive::RELEASE_BATCH,
    packet::{Plain, envelope_words},
    request::{ReceiveOperation, ReceivePhase, RequestId, State},
};
use crate::{
    buffer::{INLINE_WORDS, ReceiveBuffer},
    envelope::{Envelope, Pattern},
    error::Result,
    status::Status,
    types::PeerId,
};

/// Looks at one ring before a receive is posted and everything is polled. About the time of a
/// round trip: longer, and a rank that waits would not answer others.
const FAST_LOOKS: u32 = 400;

/// What a look at the head of one ring found.
pub(super) enum Look {
    Received(Status),
    Nothing,
    /// Something that only the slow path can deal with.
    Other,
}

impl Engine {
    /// Receives into the buffer. `from` is the peer if the source is specific.
    #[inline]
    pub(crate) fn receive(
        &self,
        pattern: Pattern,
        from: Option<PeerId>,
        mut buffer: ReceiveBuffer,
    ) -> Result<Status> {
        if let Some(from) = from {
            let looks = if self.may_spin { FAST_LOOKS } else { 1 };
            for _ in 0..looks {
                match self.lock().look(&pattern, from, &mut buffer) {
                    Look::Received(status) => return Ok(status),
                    Look::Nothing => {}
                    Look::Other => break,
                }
            }
        }
        self.receive_slow(pattern, from, buffer)
    }

    #[cold]
    fn receive_slow(&self, pattern: Pattern, from: Option<PeerId>, buffer: ReceiveBuffer) -> Result<Status> {
        let id = self.ireceive(pattern, from, buffer)?;
        self.wait(id)
    }

    /// Begins a receive. The buffer stays in use until the request ends.
    pub(crate) fn ireceive(
        &self,
        pattern: Pattern,
        from: Option<PeerId>,
        buffer: ReceiveBuffer,
    ) -> Result<RequestId> {
        self.lock().post_receive(pattern, from, buffer)
    }
}

impl Core {
    /// The fast path. Its conditions, all of them: no message waits unexpected, no receive is
    /// posted (so none that is earlier could match), nothing is queued between the two ranks, the
    /// head of the ring is a whole message, in the cell or in one block, that matches, and it fits a
    /// contiguous buffer.
    #[inline]
    pub(super) fn look(&mut self, pattern: &Pattern, from: PeerId, buffer: &mut ReceiveBuffer) -> Look {
        let peer = &mut self.peers[from.index()];
        if !(peer.is_fast && peer.is_armed && self.unexpected.is_empty() && self.posted.is_empty()) {
            return Look::Other;
        }
        let Some(head) = peer.consumer.peek() else { return Look::Nothing };
        let Some(plain) = Plain::of_cell(head, &peer.consumer) else { return Look::Other };
        let (first, second) = (peer.consumer.word(1), peer.consumer.word(2));
        let tag = (first >> 32) as u32 as i32;
        let source = second as u32 as i32;
        let bytes = plain.bytes();
        let expected = Envelope {
            context: pattern.context,
            source: pattern.source.unwrap_or(source),
            tag: pattern.tag.unwrap_or(tag),
            bytes,
        };
        let fits = bytes <= buffer.bytes() && buffer.is_contiguous() && bytes.is_multiple_of(buffer.unit());
        if !(fits && envelope_words(&expected) == (first, second)) {
            return Look::Other;
        }
        match plain {
            Plain::Inline(0..=8) => buffer.store_words(&[peer.consumer.word(3), 0, 0, 0, 0], bytes),
            Plain::Inline(_) => {
                let words: [u64; INLINE_WORDS] = std::array::from_fn(|index| peer.consumer.word(3 + index));
                buffer.store_words(&words, bytes);
            }
            Plain::InBlock(block, _) => {
                // A block that does not exist is reported by the slow path.
                let Some(span) = peer.blocks.span(block, bytes) else { return Look::Other };
                buffer.unpack(0, span);
                peer.unreleased.push(block);
            }
        }
        peer.silent_polls = 0;
        let is_quarter = peer.consumer.pop() | peer.credits.give_back_eager(bytes);
        if is_quarter || peer.unreleased.len() >= RELEASE_BATCH {
            peer.publish_consumed();
        }
        self.tick();
        Look::Received(Status::of_message(source, tag, bytes))
    }

    /// Begins a receive: the earliest unexpected message that matches, or a place in the posted
    /// queue.
    fn post_receive(
        &mut self,
        pattern: Pattern,
        from: Option<PeerId>,
        buffer: ReceiveBuffer,
    ) -> Result<RequestId> {
        if self.segment.is_ended() {
            return Err(super::job_ended());
        }
        match self.unexpected.take(&pattern) {
            Some((envelope, arrived)) => {
                let id = self.insert_matched(buffer);
                self.let_go(&envelope, &arrived);
                self.deliver(id, &envelope, arrived)?;
                Ok(id)
            }
            None => Ok(self.insert_posted(pattern, from, buffer)),
        }
    }

    /// A receive that has its message already.
    pub(super) fn insert_matched(&mut self, buffer: ReceiveBuffer) -> RequestId {
        let phase = ReceivePhase::Matched;
        self.requests.insert(State::Receive(ReceiveOperation { buffer, phase }))
    }

    fn insert_posted(&mut self, pattern: Pattern, from: Option<PeerId>, buffer: ReceiveBuffer) -> RequestId {
        let id = self.insert_matched(buffer);
        let posted = self.posted.post(pattern, id);
        if let Some(operation) = self.requests.receive(id) {
            operation.phase = ReceivePhase::Posted { id: posted, from };
        }
        id
    }

    /// Withdraws a receive that has not been matched.
    pub(super) fn cancel_receive(&mut self, id: RequestId) {
        let Some(operation) = self.requests.receive(id) else { return };
        if let ReceivePhase::Posted { id: posted, .. } = operation.phase
            && self.posted.withdraw(posted).is_some()
        {
            self.end(id, Ok(Status::CANCELLED));
        }
    }
}
