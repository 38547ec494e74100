//! Receives: the fast path for small messages, and everything else.

use super::{
    Core, Engine, GivenUp,
    arrive::Arrived,
    packet::Plain,
    request::{ReceiveOperation, ReceivePhase, RequestId, State},
};
use crate::{
    buffer::{ReceiveBuffer, ReceiveBytes, Room},
    envelope::{Envelope, Pattern},
    error::Result,
    status::Status,
    sync::{Ordering, poll_hint},
    types::PeerId,
};

/// Looks at one ring before a receive is posted and everything is polled, while the rank may spin. About
/// the time of a round trip: longer, and a rank that waits would not answer others.
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
    pub(crate) fn receive(&self, pattern: Pattern, from: Option<PeerId>, into: impl Room) -> Result<Status> {
        if let (Some(from), Some(memory)) = (from, into.contiguous()) {
            // Relaxed: a hint.
            for _ in 0..self.fast_looks.load(Ordering::Relaxed) {
                let look = self.lock().look(&pattern, from, memory);
                match look {
                    Look::Received(status) => return Ok(status),
                    Look::Nothing => poll_hint(),
                    Look::Other => break,
                }
            }
        }
        self.receive_slow(pattern, from, into.into())
    }

    /// Whether a look finds what this rank waits for, before it makes progress: as often as a receive looks at its ring.
    #[inline]
    pub(crate) fn looks(&self, mut look: impl FnMut() -> bool) -> bool {
        // Relaxed: a hint.
        for _ in 0..self.fast_looks.load(Ordering::Relaxed) {
            self.baton.pass();
            if look() {
                // It may be long until this rank uses what it has seen.
                self.baton.pass();
                return true;
            }
            poll_hint();
        }
        false
    }

    /// How often a receive looks at its ring at first.
    pub(super) fn fast_looks(may_spin: bool) -> u32 {
        if may_spin { FAST_LOOKS } else { 1 }
    }

    /// A thread that waits has found that the rank may spin, or that it may not.
    pub(super) fn note_spinning(&self, may_spin: bool) {
        let looks = Self::fast_looks(may_spin);
        // Relaxed: a hint. Written only when it changes: other threads read what lies beside it.
        if self.fast_looks.load(Ordering::Relaxed) != looks {
            self.fast_looks.store(looks, Ordering::Relaxed);
        }
    }

    #[cold]
    fn receive_slow(&self, pattern: Pattern, from: Option<PeerId>, buffer: ReceiveBuffer) -> Result<Status> {
        let mut core = self.lock();
        let id = core.post_receive(pattern, from, buffer)?;
        // What the fast path could not deal with is mostly for this receive.
        let taken = from.map_or(Ok(false), |from| core.unless_failed(|core| core.consume(from)));
        core.tick();
        drop(core);
        match taken {
            Ok(_) => self.wait(id),
            Err(error) => {
                self.abandon(id);
                Err(error)
            }
        }
    }

    /// Receives while `send` sends: the receive is posted first, so that neither waits for the other.
    pub(crate) fn receive_while(
        &self,
        pattern: Pattern,
        from: Option<PeerId>,
        into: impl Into<ReceiveBuffer>,
        send: impl FnOnce() -> Result<()>,
    ) -> Result<Status> {
        let receiving = self.ireceive(pattern, from, into)?;
        let unless_sent = GivenUp { engine: self, id: receiving };
        send()?;
        std::mem::forget(unless_sent);
        self.wait(receiving)
    }

    /// Begins a receive. The buffer stays in use until the request ends.
    #[inline]
    pub(crate) fn ireceive(
        &self,
        pattern: Pattern,
        from: Option<PeerId>,
        into: impl Into<ReceiveBuffer>,
    ) -> Result<RequestId> {
        self.lock().post_receive(pattern, from, into)
    }
}

impl Core {
    /// The fast path. Its conditions, all of them: no message waits unexpected, no receive is
    /// posted (so none that is earlier could match), nothing is queued between the two ranks, the
    /// head of the ring is a whole message, in the cell or in one block, that matches, and it fits a
    /// contiguous buffer.
    #[inline(always)]
    pub(super) fn look(&mut self, pattern: &Pattern, from: PeerId, into: ReceiveBytes) -> Look {
        let peer = &mut self.peers[from.index()];
        if !(peer.is_fast && peer.is_armed && self.unexpected.is_empty() && self.posted.is_empty()) {
            return Look::Other;
        }
        let Some(head) = peer.consumer.peek() else { return Look::Nothing };
        let Some(plain) = Plain::of_cell(head, &peer.consumer) else { return Look::Other };
        let Envelope { source, tag, bytes, .. } = plain.envelope;
        // A block that does not exist is reported by the slow path.
        if !(pattern.accepts(&plain.envelope) && into.accepts(bytes) && peer.receive_plain(&plain, into)) {
            return Look::Other;
        }
        self.arrivals.note(&plain.envelope);
        self.tick();
        Look::Received(Status::of_message(source, tag, bytes))
    }

    /// Begins a receive: the earliest unexpected message that matches, or a place in the posted
    /// queue.
    #[inline]
    pub(super) fn post_receive(
        &mut self,
        pattern: Pattern,
        from: Option<PeerId>,
        into: impl Into<ReceiveBuffer>,
    ) -> Result<RequestId> {
        if self.segment.is_ended() | self.failure.is_some() {
            self.check_failure()?;
            return Err(super::job_ended());
        }
        if !self.unexpected.is_empty()
            && let Some((envelope, arrived)) = self.take_unexpected(pattern)
        {
            self.let_go(&envelope, &arrived);
            return self.unless_failed(|core| core.begin_matched(&envelope, arrived, into.into()));
        }
        let id = self.requests.reserve();
        let phase = ReceivePhase::Posted { id: self.posted.post(pattern, id), from };
        self.requests.begin(id, || State::Receive(ReceiveOperation { buffer: into.into(), phase }));
        Ok(id)
    }

    /// By value: what is behind a pointer would have to be in memory on the quick way too.
    #[inline(never)]
    fn take_unexpected(&mut self, pattern: Pattern) -> Option<(Envelope, Arrived)> {
        self.unexpected.take(&pattern)
    }

    /// Begins a receive that has its message already.
    pub(super) fn begin_matched(
        &mut self,
        envelope: &Envelope,
        arrived: Arrived,
        buffer: ReceiveBuffer,
    ) -> Result<RequestId> {
        self.arrivals.note_way("data with gaps: taken after it came", || !buffer.is_contiguous());
        let id = self.insert_matched(buffer);
        match self.deliver(id, envelope, arrived) {
            Ok(()) => {
                self.tick();
                Ok(id)
            }
            Err(error) => {
                self.abandon(id);
                Err(error)
            }
        }
    }

    fn insert_matched(&mut self, buffer: ReceiveBuffer) -> RequestId {
        let phase = ReceivePhase::Matched;
        self.requests.insert(State::Receive(ReceiveOperation { buffer, phase }))
    }

    /// Withdraws a receive that has not been matched: it ends with a cancelled status. False if it has been.
    pub(super) fn cancel_receive(&mut self, id: RequestId) -> bool {
        let Some(operation) = self.requests.receive(id) else { return false };
        let ReceivePhase::Posted { id: posted, .. } = operation.phase else { return false };
        let is_withdrawn = self.posted.withdraw(posted).is_some();
        if is_withdrawn {
            self.end(id, Ok(Status::CANCELLED));
        }
        is_withdrawn
    }
}
