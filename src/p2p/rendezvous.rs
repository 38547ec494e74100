//! Rendezvous: large messages, and small ones without credit. The data stays with the sender until
//! the receiver, who knows both buffers, says how it shall travel: read in place (`pull`), or in pieces
//! through blocks of the sender's pool, so that both sides copy at the same time.

use super::{
    Core,
    arrive::bad_block,
    bulk_choice::Plan,
    copy_clock::CopyStart,
    packet::{Cts, Packet, Rts},
    request::{ReceivePhase, RequestId, SendPhase, unknown_request},
    send::own_span,
};
use crate::{
    envelope::Envelope,
    error::{Error, Result},
    shm::{
        pool::{BULK_LARGE, BULK_SMALL, Block, CLASSES, Pool},
        tuning::Method,
    },
    status::Status,
    types::PeerId,
};

/// Pieces that a message is cut into, if they are not smaller or larger than the setting allows.
const PIECES_WANTED: u64 = 4;

/// Smallest pieces of the two settings: below, the cost of a packet shows.
const SMALL_PIECE_MIN: u64 = 4 << 10;
const LARGE_PIECE_MIN: u64 = 16 << 10;

/// The most pieces that a transfer has out at the same time.
const WINDOW_MAX: usize = 16;

const _: () = assert!(
    CLASSES[BULK_SMALL].working_set as usize <= WINDOW_MAX
        && CLASSES[BULK_LARGE].working_set as usize <= WINDOW_MAX
);

/// A send that the receiver has cleared.
#[derive(Debug)]
pub(super) struct Bulk {
    receive: RequestId,
    sent: u64,
    class: usize,
    piece: u64,
    is_timed: bool,
    /// The blocks of the last turns, and those that have been taken for the next.
    window: [Option<Block>; WINDOW_MAX],
    /// Pieces published, and pieces that have a block.
    turn: usize,
    supplied: usize,
}

impl Bulk {
    fn new(cts: &Cts, total: u64) -> Self {
        let (class, least) =
            if cts.is_large { (BULK_LARGE, LARGE_PIECE_MIN) } else { (BULK_SMALL, SMALL_PIECE_MIN) };
        let piece =
            (total / PIECES_WANTED).next_multiple_of(1 << 10).clamp(least, CLASSES[class].block_bytes as u64);
        let Cts { receive, offset, is_timed, .. } = *cts;
        let window = [None; WINDOW_MAX];
        Self { receive, sent: offset, class, piece, is_timed, window, turn: 0, supplied: 0 }
    }

    fn method(&self) -> Method {
        if self.class == BULK_LARGE { Method::LargePieces } else { Method::SmallPieces }
    }

    /// The block for the next piece. Blocks are taken as many as there are at a time: every look at
    /// what has come back costs the receiver, who writes there.
    fn next_block(&mut self, pool: &mut Pool, total: u64) -> Option<Block> {
        let window = CLASSES[self.class].working_set as usize;
        if self.turn == self.supplied {
            let left = usize::try_from((total - self.sent).div_ceil(self.piece)).unwrap_or(usize::MAX);
            for _ in 0..left.min(window) {
                let place = &mut self.window[self.supplied % window];
                if place.is_some_and(|block| !pool.is_over(block)) {
                    break;
                }
                let Some(block) = pool.take(self.class) else { break };
                *place = Some(block);
                self.supplied += 1;
            }
        }
        let block = (self.turn < self.supplied).then(|| self.window[self.turn % window]).flatten();
        self.turn += usize::from(block.is_some());
        block
    }
}

/// A receive whose sender has been cleared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clearance {
    pub(super) from: PeerId,
    pub(super) envelope: Envelope,
    pub(super) arrived: u64,
    pub(super) plan: Plan,
    pieces: u64,
    /// Time that each side has copied.
    sender_nanos: u64,
    receiver_nanos: u64,
}

impl Clearance {
    fn note_piece(&mut self, bytes: u64, sender_nanos: u64, start: CopyStart) {
        self.pieces += 1;
        self.sender_nanos = self.sender_nanos.saturating_add(sender_nanos);
        self.receiver_nanos += start.nanos(self.plan.method, bytes);
    }

    /// What the whole message cost: both sides copy at the same time, except that the first piece has
    /// to be there before the receiver begins.
    fn nanos(&self) -> u64 {
        let slower = self.sender_nanos.max(self.receiver_nanos);
        slower.saturating_add(self.sender_nanos / self.pieces.max(1))
    }
}

impl Core {
    /// An envelope whose data is with the sender has found its receive.
    pub(super) fn begin_rendezvous(&mut self, receive: RequestId, from: PeerId, rts: Rts) -> Result<()> {
        let peer = &mut self.peers[from.index()];
        if peer.credits.give_back_envelope() {
            peer.publish_consumed();
        }
        let fits = self
            .requests
            .fits(receive, &rts.envelope)
            .map(|buffer| (buffer.is_contiguous(), buffer.is_gone()));
        let is_contiguous = match fits {
            Ok((is_contiguous, false)) if rts.envelope.bytes > 0 => is_contiguous,
            outcome => {
                self.end_receive(receive, &rts.envelope, outcome.map(drop));
                return self.send_control(from, Packet::Fin { send: rts.send });
            }
        };
        let possible = self.possible_methods(from, &rts, is_contiguous);
        let plan = self.choices.plan(rts.envelope.bytes, possible);
        match plan.method {
            Method::SmallPieces | Method::LargePieces => self.clear_to_send(receive, from, &rts, plan, 0),
            Method::Cma | Method::Direct => {
                self.begin_pull(receive, from, rts, plan);
                Ok(())
            }
        }
    }

    /// Asks for the data from `offset` on, in pieces.
    pub(super) fn clear_to_send(
        &mut self,
        receive: RequestId,
        from: PeerId,
        rts: &Rts,
        plan: Plan,
        offset: u64,
    ) -> Result<()> {
        if let Some(operation) = self.requests.receive(receive) {
            operation.phase = ReceivePhase::Cleared(Clearance {
                from,
                envelope: rts.envelope,
                arrived: offset,
                plan,
                pieces: 0,
                sender_nanos: 0,
                receiver_nanos: 0,
            });
        }
        let is_large = plan.method == Method::LargePieces;
        let cts = Cts { send: rts.send, receive, offset, is_large, is_timed: plan.is_timed };
        self.send_control(from, Packet::Cts(cts))
    }

    /// The receiver wants the data.
    pub(super) fn arrive_clearance(&mut self, from: PeerId, cts: Cts) -> Result<()> {
        match self.requests.send(cts.send) {
            Some(operation) if operation.to == from && matches!(operation.phase, SendPhase::Announced) => {
                let total = operation.envelope.bytes;
                if cts.offset >= total {
                    return Err(Error::corrupt(format!("a CTS for byte {} of {total}", cts.offset)));
                }
                operation.phase = SendPhase::Bulk(Box::new(Bulk::new(&cts, total)));
            }
            _ => return Err(unknown_request("a CTS", cts.send)),
        }
        self.peers[from.index()].bulk.push_back(cts.send);
        self.enlist(from);
        Ok(())
    }

    /// Publishes one piece of the first cleared send that can go on; others have their turn at the
    /// next call.
    pub(super) fn flush_bulk(&mut self, to: PeerId) -> Result<bool> {
        for _ in 0..self.peers[to.index()].bulk.len() {
            let peer = &mut self.peers[to.index()];
            if !peer.find_room()? {
                return Ok(false);
            }
            let Some(id) = peer.bulk.pop_front() else { return Ok(false) };
            match self.publish_bulk_piece(to, id) {
                BulkStep::Waits => self.peers[to.index()].bulk.push_back(id),
                BulkStep::Published => {
                    self.peers[to.index()].bulk.push_back(id);
                    return Ok(true);
                }
                BulkStep::Complete => {
                    self.end(id, Ok(Status::EMPTY));
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn publish_bulk_piece(&mut self, to: PeerId, id: RequestId) -> BulkStep {
        let Some(send) = self.requests.send(id) else { return BulkStep::Complete };
        let SendPhase::Bulk(bulk) = &mut send.phase else { return BulkStep::Complete };
        let total = send.envelope.bytes;
        let Some(block) = bulk.next_block(&mut self.pool, total) else { return BulkStep::Waits };
        let bytes = bulk.piece.min(total - bulk.sent);
        let start = self.config.copy_clock.start(bulk.is_timed);
        send.buffer.pack(bulk.sent, own_span(&self.blocks, block, bytes));
        let nanos = start.nanos(bulk.method(), bytes);
        self.arrivals.note_way("data with gaps: sent when asked for", || !send.buffer.is_contiguous());
        bulk.sent += bytes;
        let data = Packet::Data { receive: bulk.receive, block, bytes, nanos };
        let is_last = bulk.sent == total;
        self.peers[to.index()].push(self.me, &data);
        if is_last { BulkStep::Complete } else { BulkStep::Published }
    }

    /// A piece of a cleared message.
    pub(super) fn arrive_data(
        &mut self,
        from: PeerId,
        receive: RequestId,
        block: Block,
        bytes: u64,
        nanos: u64,
    ) -> Result<()> {
        let copy_clock = self.config.copy_clock;
        let peer = &self.peers[from.index()];
        let Some(span) = peer.blocks.span(block, bytes) else { return Err(bad_block(block, bytes)) };
        let operation = self.requests.receive(receive).filter(|operation| {
            matches!(&operation.phase, ReceivePhase::Cleared(clearance) if clearance.from == from)
        });
        let left = operation.and_then(|operation| {
            let start = copy_clock.start(nanos > 0);
            let left = operation.take_piece(bytes, |buffer, offset| buffer.unpack(offset, span))?;
            self.arrivals
                .note_way("data with gaps: asked for in pieces", || !operation.buffer.is_contiguous());
            if let ReceivePhase::Cleared(clearance) = &mut operation.phase {
                clearance.note_piece(bytes, nanos, start);
            }
            Some(left)
        });
        peer.blocks.release(block);
        peer.bell.ring();
        match left {
            Some(0) => {
                self.note_cost(receive);
                self.end_arrived(receive);
            }
            Some(_) => {}
            None => return Err(unknown_request("data", receive)),
        }
        Ok(())
    }

    /// All of a cleared message is here.
    fn note_cost(&mut self, receive: RequestId) {
        let Some(operation) = self.requests.receive(receive) else { return };
        if let ReceivePhase::Cleared(clearance) = &operation.phase {
            let Clearance { plan, envelope, .. } = *clearance;
            if plan.is_timed && !operation.buffer.is_gone() {
                self.choices.note(plan.method, envelope.bytes, clearance.nanos());
            }
        }
    }
}

/// What has become of a turn of a cleared send.
enum BulkStep {
    /// It needs a block.
    Waits,
    Published,
    /// The last piece is published.
    Complete,
}
