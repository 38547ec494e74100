//! What packets do when they come out of a ring.

use super::{
    Core,
    packet::{Packet, Plain, Rts, WORDS},
    rendezvous::Clearance,
    request::{Pieces, ReceivePhase, RequestId, SendPhase, unknown_request},
    send::PIECE_BYTES,
};
use crate::{
    buffer::{INLINE_WORDS, Room, SendBuffer},
    envelope::Envelope,
    error::{Error, Result},
    shm::pool::{Block, CLASSES, EAGER_PIECE, class_of},
    status::Status,
    types::PeerId,
};

/// A message, or its envelope, that came before its receive.
pub(super) enum Arrived {
    Inline {
        from: PeerId,
        words: [u64; INLINE_WORDS],
        synchronous: Option<RequestId>,
    },
    /// Its payload stays in the sender's blocks. `arrived` is less than the whole while pieces are
    /// on their way.
    InBlocks {
        from: PeerId,
        pieces: Pieces,
        arrived: u64,
        synchronous: Option<RequestId>,
    },
    /// Moved aside because the sender needs its blocks.
    Aside {
        from: PeerId,
        bytes: Vec<u8>,
        synchronous: Option<RequestId>,
    },
    /// The data is with the sender.
    Announced {
        from: PeerId,
        rts: Rts,
    },
    /// From this rank itself: the data is with the send.
    AtSelf {
        send: RequestId,
    },
}

/// Where the next piece of an eager message of several goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum StreamTarget {
    Receive(RequestId),
    Unexpected(super::matching::UnexpectedId),
    Message(super::probe::MessageId),
    /// The message was too long for its receive: so many bytes are still to come.
    Nowhere(u64),
}

/// The part of a class of a sender's blocks that the unexpected queue may hold before newcomers are moved
/// aside: a quarter. The sender has others to send to.
const HELD_PART: u32 = 4;

/// Blocks of eager payload that are handed back together.
pub(super) const RELEASE_BATCH: usize = 8;

/// Packets taken out of one ring before the others have their turn.
const BATCH: usize = 64;

impl Core {
    /// Takes what has come from a peer. True if anything had.
    pub(super) fn consume(&mut self, from: PeerId) -> Result<bool> {
        for taken in 0..BATCH {
            let consumer = &self.peers[from.index()].consumer;
            let Some(head) = consumer.peek() else { return Ok(taken > 0) };
            if self.deliver_plain(from, head) {
                continue;
            }
            let consumer = &mut self.peers[from.index()].consumer;
            let words: [u64; WORDS] = std::array::from_fn(|index| consumer.word(index + 1));
            let is_quarter = consumer.pop();
            let packet = Packet::decode(head, &words)?;
            self.handle(from, packet)?;
            if is_quarter {
                self.peers[from.index()].publish_consumed();
            }
        }
        Ok(true)
    }

    /// The common packet, on a short way: a plain message that the oldest posted receive takes. False,
    /// and nothing is done, if it is any other.
    #[inline]
    fn deliver_plain(&mut self, from: PeerId, head: u32) -> bool {
        let peer = &mut self.peers[from.index()];
        let Some(plain) = Plain::of_cell(head, &peer.consumer) else { return false };
        let Some(&receive) = self.posted.oldest_match(&plain.envelope) else { return false };
        let Some(operation) = self.requests.receive(receive) else { return false };
        let Envelope { source, tag, bytes, .. } = plain.envelope;
        let Some(into) = operation.buffer.contiguous() else { return false };
        if !(into.accepts(bytes) && peer.receive_plain(&plain, into)) {
            return false;
        }
        self.arrivals.note(&plain.envelope);
        self.posted.take_oldest();
        let ended = self.requests.end(receive, Ok(Status::of_message(source, tag, bytes)));
        if let Some(waiter) = ended.waiter {
            self.wake_waiter(receive, waiter);
        }
        true
    }

    fn handle(&mut self, from: PeerId, packet: Packet) -> Result<()> {
        match packet {
            Packet::Eager { envelope, synchronous, words } => {
                self.arrive(envelope, Arrived::Inline { from, words, synchronous })
            }
            Packet::InBlock { envelope, synchronous, block } => {
                self.arrive_in_blocks(from, envelope, synchronous, block, envelope.bytes)
            }
            Packet::Stream { envelope, synchronous, block } => {
                if !(PIECE_BYTES < envelope.bytes && envelope.bytes <= PIECE_BYTES * Pieces::MAX as u64) {
                    return Err(Error::corrupt(format!(
                        "an eager message of {} bytes in pieces",
                        envelope.bytes
                    )));
                }
                self.arrive_in_blocks(from, envelope, synchronous, block, PIECE_BYTES)
            }
            Packet::Piece { block, bytes } => self.arrive_piece(from, block, bytes),
            Packet::Rts(rts) => self.arrive(rts.envelope, Arrived::Announced { from, rts }),
            Packet::Cts(cts) => self.arrive_clearance(from, cts),
            Packet::Data { receive, block, bytes, nanos } => {
                self.arrive_data(from, receive, block, bytes, nanos)
            }
            Packet::Fin { send } => self.arrive_fin(from, send),
            Packet::Inquiry(inquiry) => self.arrive_inquiry(from, inquiry),
            Packet::Never { message } => {
                self.arrive_answer(message);
                Ok(())
            }
        }
    }

    fn arrive_in_blocks(
        &mut self,
        from: PeerId,
        envelope: Envelope,
        synchronous: Option<RequestId>,
        block: Block,
        bytes: u64,
    ) -> Result<()> {
        if self.peers[from.index()].blocks.span(block, bytes).is_none() {
            return Err(bad_block(block, bytes));
        }
        let mut pieces = Pieces::default();
        pieces.push(block);
        self.arrive(envelope, Arrived::InBlocks { from, pieces, arrived: bytes, synchronous })
    }

    /// Gives a message to the receive that waits for it, or keeps it.
    fn arrive(&mut self, envelope: Envelope, arrived: Arrived) -> Result<()> {
        self.arrivals.note(&envelope);
        match self.posted.take_match(&envelope) {
            Some(receive) => self.deliver(receive, &envelope, arrived),
            None if self.is_of_no_use(&envelope) => self.discard(&envelope, arrived),
            None => {
                self.notices += u64::from(envelope.is_notice());
                self.arrive_unexpected(envelope, arrived);
                Ok(())
            }
        }
    }

    pub(super) fn arrive_unexpected(&mut self, envelope: Envelope, arrived: Arrived) {
        let arrived = self.make_room_for_sender(&envelope, arrived);
        let stream = arrived.stream_from(&envelope);
        let id = self.unexpected.push(envelope, arrived);
        if let Some(from) = stream {
            self.peers[from.index()].stream = Some(StreamTarget::Unexpected(id));
        }
        self.role.wake_probers(&self.bell);
    }

    /// Moves a newcomer aside when many blocks of its sender are held already.
    fn make_room_for_sender(&mut self, envelope: &Envelope, arrived: Arrived) -> Arrived {
        let Arrived::InBlocks { from, pieces, arrived: bytes, synchronous } = arrived else { return arrived };
        let peer = &mut self.peers[from.index()];
        let (class, blocks) = to_hold(envelope, &pieces);
        if peer.held[class] + blocks <= CLASSES[class].blocks / HELD_PART {
            peer.held[class] += blocks;
            return Arrived::InBlocks { from, pieces, arrived: bytes, synchronous };
        }
        let mut aside = Vec::with_capacity(usize::try_from(envelope.bytes).unwrap_or(0));
        for (block, piece) in pieces.iter().zip(piece_sizes(bytes)) {
            if let Some(span) = peer.blocks.span(block, piece) {
                crate::buffer::append(&mut aside, span);
            }
            peer.blocks.release(block);
        }
        peer.bell.ring();
        Arrived::Aside { from, bytes: aside, synchronous }
    }

    /// The receive has been matched with the message: moves what is here of it.
    pub(super) fn deliver(
        &mut self,
        receive: RequestId,
        envelope: &Envelope,
        arrived: Arrived,
    ) -> Result<()> {
        let Self { arrivals, requests, .. } = self;
        arrivals.note_way(arrived.way_with_gaps(envelope), || {
            requests.receive(receive).is_some_and(|operation| !operation.buffer.is_contiguous())
        });
        match arrived {
            Arrived::AtSelf { send } => {
                if let Some(mut operation) = self.requests.take_send(send) {
                    self.copy_to_receive(receive, envelope, &mut operation.buffer);
                    self.requests.put_send(send, operation);
                    self.end(send, Ok(Status::EMPTY));
                }
                Ok(())
            }
            Arrived::Announced { from, rts } => self.begin_rendezvous(receive, from, rts),
            Arrived::Inline { from, words, synchronous } => {
                self.matched_eager(from, envelope, synchronous)?;
                let outcome = self.requests.fits(receive, envelope).map(|buffer| {
                    buffer.store_words(&words, envelope.bytes);
                });
                self.end_receive(receive, envelope, outcome);
                Ok(())
            }
            Arrived::Aside { from, bytes, synchronous } => {
                self.matched_eager(from, envelope, synchronous)?;
                self.deliver_part(receive, from, envelope, bytes.len() as u64, |buffer, _| {
                    buffer.unpack_bytes(0, &bytes);
                })
            }
            Arrived::InBlocks { from, pieces, arrived, synchronous } => {
                self.matched_eager(from, envelope, synchronous)?;
                self.deliver_part(receive, from, envelope, arrived, |buffer, blocks| {
                    let mut offset = 0;
                    for (block, bytes) in pieces.iter().zip(piece_sizes(arrived)) {
                        if let Some(span) = blocks.span(block, bytes) {
                            buffer.unpack(offset, span);
                        }
                        offset += bytes;
                    }
                })?;
                self.release_blocks(from, &pieces);
                Ok(())
            }
        }
    }

    /// Moves the part of an eager message that has arrived, and expects the rest.
    fn deliver_part(
        &mut self,
        receive: RequestId,
        from: PeerId,
        envelope: &Envelope,
        arrived: u64,
        unpack: impl FnOnce(&mut crate::buffer::ReceiveBuffer, &crate::shm::pool::Blocks),
    ) -> Result<()> {
        let is_whole = arrived == envelope.bytes;
        let blocks = &self.peers[from.index()].blocks;
        let outcome = self.requests.fits(receive, envelope).map(|buffer| unpack(buffer, blocks));
        if is_whole {
            self.end_receive(receive, envelope, outcome);
            return Ok(());
        }
        let target = match outcome {
            Ok(()) => {
                if let Some(operation) = self.requests.receive(receive) {
                    operation.phase = ReceivePhase::Arriving { from, envelope: *envelope, arrived };
                }
                StreamTarget::Receive(receive)
            }
            Err(error) => {
                self.end(receive, Err(error));
                StreamTarget::Nowhere(envelope.bytes - arrived)
            }
        };
        self.peers[from.index()].stream = Some(target);
        Ok(())
    }

    pub(super) fn end_receive(&mut self, receive: RequestId, envelope: &Envelope, outcome: Result<()>) {
        let status = Status::of_message(envelope.source, envelope.tag, envelope.bytes);
        self.end(receive, outcome.map(|()| status));
    }

    /// Copies a message that this rank has sent to itself.
    pub(super) fn copy_to_receive(&mut self, receive: RequestId, envelope: &Envelope, from: &mut SendBuffer) {
        let outcome = self.requests.fits(receive, envelope).map(|buffer| buffer.copy_from(from));
        self.end_receive(receive, envelope, outcome);
    }

    /// An eager message has found its receive: gives its credit back, and answers its sender if he
    /// waits for that.
    fn matched_eager(&mut self, from: PeerId, envelope: &Envelope, send: Option<RequestId>) -> Result<()> {
        self.give_back_eager(from, envelope.bytes);
        match send {
            Some(send) => self.send_control(from, Packet::Fin { send }),
            None => Ok(()),
        }
    }

    #[inline]
    pub(super) fn give_back_eager(&mut self, from: PeerId, bytes: u64) {
        let peer = &mut self.peers[from.index()];
        if peer.credits.give_back_eager(bytes) {
            peer.publish_consumed();
        }
    }

    /// Hands blocks of eager payload back, in batches: their owner finds others, and every hand-back
    /// would cost a line transfer that delays the next packet.
    fn release_blocks(&mut self, from: PeerId, pieces: &Pieces) {
        let peer = &mut self.peers[from.index()];
        pieces.iter().for_each(|block| peer.unreleased.push(block));
        if peer.unreleased.len() >= RELEASE_BATCH {
            peer.publish_consumed();
        }
    }

    /// The next piece of the eager message that the peer is sending.
    fn arrive_piece(&mut self, from: PeerId, block: Block, bytes: u64) -> Result<()> {
        let peer = &mut self.peers[from.index()];
        let Some(target) = peer.stream else {
            return Err(Error::corrupt("a piece of an eager message that has no beginning"));
        };
        let Some(span) = peer.blocks.span(block, bytes) else { return Err(bad_block(block, bytes)) };
        let left = match target {
            StreamTarget::Nowhere(left) => left.checked_sub(bytes),
            StreamTarget::Receive(receive) => {
                let operation = self.requests.receive(receive);
                operation
                    .and_then(|operation| operation.take_piece(bytes, |buffer, at| buffer.unpack(at, span)))
            }
            StreamTarget::Unexpected(id) => {
                let total = self.unexpected.get(id).map(|(envelope, _)| envelope.bytes);
                let arrived = self.unexpected.get_mut(id);
                arrived.zip(total).and_then(|(arrived, total)| arrived.take_piece(total, block, bytes, span))
            }
            StreamTarget::Message(id) => {
                let message = self.messages.get_mut(id);
                message.and_then(|(envelope, arrived)| arrived.take_piece(envelope.bytes, block, bytes, span))
            }
        };
        let Some(left) = left else {
            return Err(Error::corrupt(format!(
                "a piece of {bytes} bytes that its eager message has no room for"
            )));
        };
        let is_held = self.holds_block(target, block);
        let peer = &mut self.peers[from.index()];
        if !is_held {
            peer.unreleased.push(block);
        }
        peer.stream = match target {
            _ if left == 0 => None,
            StreamTarget::Nowhere(_) => Some(StreamTarget::Nowhere(left)),
            target => Some(target),
        };
        if let (0, StreamTarget::Receive(receive)) = (left, target) {
            self.end_arrived(receive);
        }
        Ok(())
    }

    fn holds_block(&mut self, target: StreamTarget, block: Block) -> bool {
        let arrived = match target {
            StreamTarget::Unexpected(id) => self.unexpected.get_mut(id),
            StreamTarget::Message(id) => self.messages.get_mut(id).map(|(_, arrived)| arrived),
            StreamTarget::Receive(_) | StreamTarget::Nowhere(_) => None,
        };
        matches!(arrived, Some(Arrived::InBlocks { pieces, .. }) if pieces.iter().any(|held| held == block))
    }

    /// All of a matched message has arrived.
    pub(super) fn end_arrived(&mut self, receive: RequestId) {
        let Some(operation) = self.requests.receive(receive) else { return };
        if let ReceivePhase::Arriving { envelope, .. } | ReceivePhase::Cleared(Clearance { envelope, .. }) =
            operation.phase
        {
            self.end_receive(receive, &envelope, Ok(()));
        }
    }

    /// The receiver has what it needs.
    fn arrive_fin(&mut self, from: PeerId, send: RequestId) -> Result<()> {
        match self.requests.send(send) {
            Some(operation)
                if operation.to == from
                    && matches!(operation.phase, SendPhase::Announced | SendPhase::AwaitMatch) =>
            {
                self.end(send, Ok(Status::EMPTY));
                Ok(())
            }
            // A synchronous message of several pieces may be matched while the last ones wait for
            // room: it ends when they are out.
            Some(operation)
                if operation.to == from && matches!(operation.phase, SendPhase::Streaming { .. }) =>
            {
                operation.mode = super::Mode::Standard;
                Ok(())
            }
            _ => Err(unknown_request("a FIN", send)),
        }
    }

    /// Ends an operation, and wakes whoever waits for it.
    pub(super) fn end(&mut self, id: RequestId, outcome: Result<Status>) {
        if let Some(waiter) = self.requests.end(id, outcome).waiter {
            self.wake_waiter(id, waiter);
        }
    }
}

impl Arrived {
    /// What simulations call its way into memory with gaps.
    fn way_with_gaps(&self, envelope: &Envelope) -> &'static str {
        match self {
            Self::Inline { .. } => "data with gaps: taken from a cell",
            Self::InBlocks { arrived, .. } if *arrived < envelope.bytes => "data with gaps: taken half sent",
            Self::InBlocks { .. } => "data with gaps: taken from blocks",
            Self::Aside { .. } => "data with gaps: taken from aside",
            Self::Announced { .. } => "data with gaps: to be asked for",
            Self::AtSelf { .. } => "data with gaps: from the rank itself",
        }
    }

    /// The peer that is still sending pieces of the message.
    pub(super) fn stream_from(&self, envelope: &Envelope) -> Option<PeerId> {
        match self {
            Self::InBlocks { from, arrived, .. } => (*arrived < envelope.bytes).then_some(*from),
            Self::Aside { from, bytes, .. } => ((bytes.len() as u64) < envelope.bytes).then_some(*from),
            Self::Inline { .. } | Self::Announced { .. } | Self::AtSelf { .. } => None,
        }
    }

    /// Takes the next piece; what is left to come, or None if it does not fit.
    fn take_piece(
        &mut self,
        total: u64,
        block: Block,
        piece: u64,
        span: crate::shm::far::Span<'_>,
    ) -> Option<u64> {
        match self {
            Self::InBlocks { pieces, arrived, .. } if pieces.len() < Pieces::MAX => {
                // Every piece but the last is whole, so that offsets follow from the index.
                let left = (total - *arrived).checked_sub(piece)?;
                if left > 0 && piece != PIECE_BYTES {
                    return None;
                }
                pieces.push(block);
                *arrived += piece;
                Some(left)
            }
            Self::Aside { bytes, .. } => {
                let left = (total - bytes.len() as u64).checked_sub(piece)?;
                crate::buffer::append(bytes, span);
                Some(left)
            }
            _ => None,
        }
    }
}

/// The blocks, of one class, that a message keeps in the unexpected queue when all of it is there.
pub(super) fn to_hold(envelope: &Envelope, pieces: &Pieces) -> (usize, u32) {
    let class = pieces.get(0).and_then(|first| class_of(first.index)).unwrap_or(EAGER_PIECE);
    let blocks = envelope.bytes.div_ceil(PIECE_BYTES).min(Pieces::MAX as u64);
    (class, blocks as u32)
}

/// The sizes of the pieces that hold the first `bytes` bytes of a message.
fn piece_sizes(bytes: u64) -> impl Iterator<Item = u64> {
    (0..bytes.div_ceil(PIECE_BYTES)).map(move |index| (bytes - index * PIECE_BYTES).min(PIECE_BYTES))
}

#[cold]
pub(super) fn bad_block(block: Block, bytes: u64) -> Error {
    Error::corrupt(format!("a packet names {bytes} bytes in block {}", block.index))
}
