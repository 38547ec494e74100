//! Sends: the fast path for small messages, and everything else.

use super::{
    Core, Engine,
    arrive::Arrived,
    packet::{Packet, Rts, SYNCHRONOUS_INLINE_BYTES, eager_head, envelope_words},
    peers::Link,
    request::{Mode, Pieces, RequestId, SendOperation, SendPhase, State},
};
use crate::{
    buffer::{INLINE_BYTES, Payload, SendBuffer},
    envelope::Envelope,
    error::Result,
    shm::pool::{CLASSES, EAGER_PIECE, eager_class},
    status::Status,
    types::PeerId,
};

/// Bytes of a piece of an eager message of several.
pub(super) const PIECE_BYTES: u64 = CLASSES[EAGER_PIECE].block_bytes as u64;

/// The largest eager message.
pub(super) const EAGER_BYTES: u64 = PIECE_BYTES * Pieces::MAX as u64;

/// Calls that end without a wait, or begin something, between two polls: a rank that only sends, or takes what
/// has come, still answers.
const POLL_EVERY: u32 = 64;

/// What came of an attempt to send eagerly.
enum Eager {
    Sent,
    /// Some pieces are out, the others wait for room.
    Partly(SendPhase),
    /// No room in the ring.
    NoRoom,
    /// No credit, no free blocks, or too large: the receiver has to ask for the data.
    MustAnnounce,
}

impl Engine {
    /// Sends and waits until the buffer may be reused.
    #[inline]
    pub(crate) fn send(
        &self,
        to: PeerId,
        envelope: Envelope,
        mode: Mode,
        payload: impl Payload,
    ) -> Result<()> {
        if mode == Mode::Standard && self.lock().send_inline(to, &envelope, &payload) {
            return Ok(());
        }
        self.send_slow(to, envelope, mode, payload.into())
    }

    #[cold]
    fn send_slow(&self, to: PeerId, envelope: Envelope, mode: Mode, mut buffer: SendBuffer) -> Result<()> {
        let mut core = self.lock();
        if to == self.me && mode == Mode::Standard {
            // Nobody else can receive it while this thread waits. (Of small messages, which may have their
            // receive already, `send_to_self` makes a copy if it has to.)
            if envelope.bytes > core.config.eager_bytes {
                buffer.try_own()?;
            }
            let id = core.post_send(to, envelope, mode, buffer)?;
            core.requests.detach(id, None);
            return Ok(());
        }
        match core.post_send(to, envelope, mode, buffer)? {
            RequestId::COMPLETE => Ok(()),
            id => {
                drop(core);
                self.wait(id).map(drop)
            }
        }
    }

    /// Begins a send. The buffer stays in use until the request ends.
    #[inline]
    pub(crate) fn isend(
        &self,
        to: PeerId,
        envelope: Envelope,
        mode: Mode,
        payload: impl Payload,
    ) -> Result<RequestId> {
        let mut core = self.lock();
        if mode == Mode::Standard && core.send_inline(to, &envelope, &payload) {
            return Ok(RequestId::COMPLETE);
        }
        core.post_send(to, envelope, mode, payload.into())
    }

    /// Sends a copy: the buffer may be reused at once.
    pub(crate) fn send_buffered(&self, to: PeerId, envelope: Envelope, payload: impl Payload) -> Result<()> {
        let mut core = self.lock();
        if core.send_inline(to, &envelope, &payload) {
            return Ok(());
        }
        let mut buffer: SendBuffer = payload.into();
        let is_eager = envelope.bytes <= core.config.eager_bytes;
        if !is_eager {
            buffer.try_own()?;
        }
        match core.post_send(to, envelope, Mode::Standard, buffer)? {
            RequestId::COMPLETE => {}
            // Without credit or room it needs a copy after all.
            id if is_eager => core.abandon(id),
            id => core.requests.detach(id, None),
        }
        Ok(())
    }
}

impl Core {
    /// The fast path: a small contiguous message to a peer with nothing queued goes into a cell.
    #[inline(always)]
    fn send_inline(&mut self, to: PeerId, envelope: &Envelope, payload: &impl Payload) -> bool {
        let bytes = envelope.bytes;
        let peer = &mut self.peers[to.index()];
        let Some(contiguous) = payload.contiguous() else { return false };
        // A bad head in the receiver's line is reported by the slow path.
        if !(peer.is_fast && bytes <= INLINE_BYTES && matches!(peer.producer.find_room(), Ok(true))) {
            return false;
        }
        if !peer.credits.take_eager(bytes, peer.producer.line()) {
            return false;
        }
        let (first, second) = envelope_words(envelope);
        // Of lengths that are known here, without a loop.
        if bytes <= 8 {
            peer.producer.push(eager_head(bytes), &[first, second, contiguous.inline_word()]);
        } else {
            let [a, b, c, d, e] = contiguous.inline_words();
            peer.producer.push(eager_head(bytes), &[first, second, a, b, c, d, e]);
        }
        peer.bell.announce(self.me.0);
        self.tick()
    }

    /// Counts a call that does not poll; true.
    #[inline]
    pub(super) fn tick(&mut self) -> bool {
        self.ticks += 1;
        if self.ticks >= POLL_EVERY {
            self.tick_poll();
        }
        true
    }

    #[cold]
    fn tick_poll(&mut self) {
        self.ticks = 0;
        // The engine keeps the error, which every later call reports.
        let _ = self.poll();
        if self.has_combination() {
            self.role.wake_holder(&self.bell);
        }
    }

    /// Begins a send of any kind.
    pub(super) fn post_send(
        &mut self,
        to: PeerId,
        envelope: Envelope,
        mode: Mode,
        buffer: SendBuffer,
    ) -> Result<RequestId> {
        let id = self.unless_failed(|core| core.try_post_send(to, envelope, mode, buffer))?;
        self.tick();
        Ok(id)
    }

    pub(super) fn try_post_send(
        &mut self,
        to: PeerId,
        envelope: Envelope,
        mode: Mode,
        mut buffer: SendBuffer,
    ) -> Result<RequestId> {
        debug_assert_eq!(envelope.bytes, buffer.bytes());
        if self.segment.is_ended() {
            return Err(super::job_ended());
        }
        let peer = &self.peers[to.index()];
        if peer.link == Link::ToSelf {
            return self.send_to_self(envelope, mode, buffer);
        }
        let mut phase = SendPhase::Queued;
        if mode == Mode::Standard && peer.sends.is_empty() {
            match self.send_eager(to, &envelope, &mut buffer, None)? {
                Eager::Sent => return Ok(RequestId::COMPLETE),
                Eager::Partly(rest) => phase = rest,
                Eager::NoRoom | Eager::MustAnnounce => {}
            }
        }
        let id = self.requests.insert(State::Send(SendOperation { to, envelope, mode, buffer, phase }));
        self.peers[to.index()].sends.push_back(id);
        self.enlist(to);
        match self.flush(to) {
            Ok(_) => Ok(id),
            Err(error) => {
                self.abandon(id);
                Err(error)
            }
        }
    }

    /// Tries to send without being asked.
    fn send_eager(
        &mut self,
        to: PeerId,
        envelope: &Envelope,
        buffer: &mut SendBuffer,
        synchronous: Option<RequestId>,
    ) -> Result<Eager> {
        let bytes = envelope.bytes;
        let inline = if synchronous.is_some() { SYNCHRONOUS_INLINE_BYTES } else { INLINE_BYTES };
        if bytes > self.config.eager_bytes || self.goes_direct(to, buffer) {
            return Ok(Eager::MustAnnounce);
        }
        let peer = &mut self.peers[to.index()];
        if !peer.find_room()? {
            return Ok(Eager::NoRoom);
        }
        if bytes <= inline {
            if !peer.credits.take_eager(bytes, peer.producer.line()) {
                return Ok(Eager::MustAnnounce);
            }
            let words = buffer.inline_words();
            peer.push(self.me, &Packet::Eager { envelope: *envelope, synchronous, words });
            self.arrivals.note_way("data with gaps: sent in a cell", || !buffer.is_contiguous());
            return Ok(Eager::Sent);
        }
        let Some(pieces) = self.take_pieces(bytes) else { return Ok(Eager::MustAnnounce) };
        let peer = &mut self.peers[to.index()];
        if !peer.credits.take_eager(bytes, peer.producer.line()) {
            pieces.iter().for_each(|block| self.pool.put_back(block));
            return Ok(Eager::MustAnnounce);
        }
        let next = self.publish_pieces(to, envelope, buffer, synchronous, &pieces, 0)?;
        if next == pieces.len() {
            return Ok(Eager::Sent);
        }
        Ok(Eager::Partly(SendPhase::Streaming { pieces, next }))
    }

    /// All blocks for an eager message, or none: a message of which a part is out and the rest waits
    /// for blocks could keep the pair's later messages from ever arriving.
    fn take_pieces(&mut self, bytes: u64) -> Option<Pieces> {
        let mut pieces = Pieces::default();
        if let Some(class) = eager_class(bytes) {
            // A block that is too large is better than none.
            pieces.push((class..=EAGER_PIECE).find_map(|class| self.pool.take(class))?);
            return Some(pieces);
        }
        for _ in 0..bytes.div_ceil(PIECE_BYTES) {
            match self.pool.take(EAGER_PIECE) {
                Some(block) => pieces.push(block),
                None => {
                    pieces.iter().for_each(|block| self.pool.put_back(block));
                    return None;
                }
            }
        }
        Some(pieces)
    }

    /// Fills and publishes pieces from `next` on while there is room; returns the next to do.
    fn publish_pieces(
        &mut self,
        to: PeerId,
        envelope: &Envelope,
        buffer: &mut SendBuffer,
        synchronous: Option<RequestId>,
        pieces: &Pieces,
        mut next: usize,
    ) -> Result<usize> {
        let peer = &mut self.peers[to.index()];
        while let Some(block) = pieces.get(next) {
            if !peer.find_room()? {
                break;
            }
            let offset = next as u64 * PIECE_BYTES;
            let bytes = (envelope.bytes - offset).min(PIECE_BYTES);
            buffer.pack(offset, own_span(&self.blocks, block, bytes));
            let packet = match (next, pieces.len()) {
                (0, 1) => Packet::InBlock { envelope: *envelope, synchronous, block },
                (0, _) => Packet::Stream { envelope: *envelope, synchronous, block },
                _ => Packet::Piece { block, bytes },
            };
            peer.push(self.me, &packet);
            next += 1;
            let way = match pieces.len() {
                1 => "data with gaps: sent in a block",
                _ => "data with gaps: sent in several blocks",
            };
            self.arrivals.note_way(way, || !buffer.is_contiguous());
        }
        Ok(next)
    }

    /// Publishes what is queued to a peer, as far as room and credit go. True if anything moved.
    pub(super) fn flush(&mut self, to: PeerId) -> Result<bool> {
        let mut moved = self.flush_control(to)?;
        while let Some(&id) = self.peers[to.index()].sends.front() {
            if !self.continue_send(to, id)? {
                break;
            }
            self.peers[to.index()].sends.pop_front();
            moved = true;
        }
        moved |= self.flush_bulk(to)?;
        self.settle(to);
        Ok(moved)
    }

    fn flush_control(&mut self, to: PeerId) -> Result<bool> {
        let peer = &mut self.peers[to.index()];
        let mut moved = false;
        while let Some(packet) = peer.control.front().copied() {
            if !peer.find_room()? {
                break;
            }
            peer.control.pop_front();
            peer.push(self.me, &packet);
            moved = true;
        }
        Ok(moved)
    }

    /// Goes on with the first queued send. True when all of it that belongs in the queue is out.
    fn continue_send(&mut self, to: PeerId, id: RequestId) -> Result<bool> {
        let Some(mut send) = self.requests.take_send(id) else { return Ok(true) };
        let step = self.continue_operation(to, id, &mut send);
        self.requests.put_send(id, send);
        match step? {
            Step::Waits => Ok(false),
            Step::Published => Ok(true),
            Step::Complete => {
                self.end(id, Ok(Status::EMPTY));
                Ok(true)
            }
        }
    }

    fn continue_operation(&mut self, to: PeerId, id: RequestId, send: &mut SendOperation) -> Result<Step> {
        let synchronous = (send.mode == Mode::Synchronous).then_some(id);
        let published = if synchronous.is_some() { Step::Published } else { Step::Complete };
        if let SendPhase::Streaming { pieces, next } = send.phase {
            let next =
                self.publish_pieces(to, &send.envelope, &mut send.buffer, synchronous, &pieces, next)?;
            if next < pieces.len() {
                send.phase = SendPhase::Streaming { pieces, next };
                return Ok(Step::Waits);
            }
            send.phase = SendPhase::AwaitMatch;
            return Ok(published);
        }
        match self.send_eager(to, &send.envelope, &mut send.buffer, synchronous)? {
            Eager::Sent => {
                send.phase = SendPhase::AwaitMatch;
                Ok(published)
            }
            Eager::Partly(rest) => {
                send.phase = rest;
                Ok(Step::Waits)
            }
            Eager::NoRoom => Ok(Step::Waits),
            Eager::MustAnnounce => self.announce(to, id, send),
        }
    }

    /// Publishes the envelope alone.
    fn announce(&mut self, to: PeerId, id: RequestId, send: &mut SendOperation) -> Result<Step> {
        let (place, revocations) = (self.place_of(&send.buffer), self.revocations());
        let peer = &mut self.peers[to.index()];
        if !peer.find_room()? || !peer.credits.take_envelope(peer.producer.line()) {
            return Ok(Step::Waits);
        }
        peer.push(self.me, &Packet::Rts(Rts { envelope: send.envelope, send: id, place, revocations }));
        send.phase = SendPhase::Announced;
        self.arrivals.note_way("data with gaps: announced", || !send.buffer.is_contiguous());
        Ok(Step::Published)
    }

    /// A message to this rank itself goes through matching only. What would be sent eagerly to others
    /// is copied aside if nobody waits for it: a rank may wait for its send before it receives.
    fn send_to_self(&mut self, envelope: Envelope, mode: Mode, mut buffer: SendBuffer) -> Result<RequestId> {
        self.arrivals.note(&envelope);
        if let Some(receive) = self.posted.take_match(&envelope) {
            self.copy_to_receive(receive, &envelope, &mut buffer);
            return Ok(RequestId::COMPLETE);
        }
        let is_eager = mode == Mode::Standard && envelope.bytes <= self.config.eager_bytes;
        if is_eager {
            buffer.try_own()?;
        }
        let (to, phase) = (self.me, SendPhase::AtSelf);
        let send = self.requests.insert(State::Send(SendOperation { to, envelope, mode, buffer, phase }));
        self.arrive_unexpected(envelope, Arrived::AtSelf { send });
        if is_eager {
            self.requests.detach(send, None);
            return Ok(RequestId::COMPLETE);
        }
        Ok(send)
    }

    /// Queues a control packet, or publishes it at once if nothing is before it.
    pub(super) fn send_control(&mut self, to: PeerId, packet: Packet) -> Result<()> {
        let peer = &mut self.peers[to.index()];
        if peer.control.is_empty() && peer.find_room()? {
            peer.push(self.me, &packet);
            return Ok(());
        }
        peer.control.push_back(packet);
        self.enlist(to);
        Ok(())
    }

    /// From now on `flush` is tried for the peer at every poll.
    pub(super) fn enlist(&mut self, to: PeerId) {
        let peer = &mut self.peers[to.index()];
        peer.is_fast = false;
        if !peer.is_backlogged {
            peer.is_backlogged = true;
            self.backlog.push(to);
        }
    }

    /// Restores the fast word when nothing is queued any more.
    fn settle(&mut self, to: PeerId) {
        let peer = &mut self.peers[to.index()];
        if !peer.has_backlog() {
            peer.is_fast = peer.link == Link::Ring;
        }
    }
}

/// How far a queued send has come.
enum Step {
    /// It needs room or credit.
    Waits,
    /// It is out; the receiver will answer.
    Published,
    /// It is out, and that is all.
    Complete,
}

/// A block of this rank's own pool.
pub(super) fn own_span(
    blocks: &crate::shm::pool::Blocks,
    block: crate::shm::pool::Block,
    bytes: u64,
) -> crate::shm::far::Span<'_> {
    blocks.span(block, bytes).expect("the pool gives blocks of a class that holds the bytes")
}
