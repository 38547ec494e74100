//! Rendezvous: large messages, and small ones without credit. The data stays with the sender until
//! the receiver, who knows both buffers, says how it shall travel.

use super::{
    Core,
    arrive::bad_block,
    packet::{Packet, Place, Rts},
    request::{ReceivePhase, RequestId, SendPhase, unknown_request},
    send::own_span,
};
use crate::{
    error::Result,
    shm::pool::{BULK, Block, CLASSES},
    status::Status,
    types::PeerId,
};

/// Bytes of the largest piece of a bulk transfer.
const BULK_BYTES: u64 = CLASSES[BULK].block_bytes as u64;

/// The smallest bulk piece: below, the cost of a packet shows.
const BULK_PIECE_MIN: u64 = 16 << 10;

/// Pieces that a message is cut into so that both sides copy at the same time, if they are not
/// smaller or larger than the above.
const PIECES_WANTED: u64 = 8;

fn bulk_piece(total: u64) -> u64 {
    (total / PIECES_WANTED).next_multiple_of(4096).clamp(BULK_PIECE_MIN, BULK_BYTES)
}

impl Core {
    /// An envelope whose data is with the sender has found its receive.
    pub(super) fn begin_rendezvous(&mut self, receive: RequestId, from: PeerId, rts: Rts) -> Result<()> {
        let peer = &mut self.peers[from.index()];
        if peer.credits.give_back_envelope() {
            peer.publish_consumed();
        }
        let fits = self.fits(receive, &rts.envelope).map(drop);
        if fits.is_err() || rts.envelope.bytes == 0 {
            self.end_receive(receive, &rts.envelope, fits);
            return self.send_control(from, Packet::Fin { send: rts.send });
        }
        if let Some(operation) = self.requests.receive(receive) {
            operation.phase = ReceivePhase::Arriving { from, envelope: rts.envelope, arrived: 0 };
        }
        self.send_control(from, Packet::Cts { send: rts.send, receive })
    }

    /// The receiver wants the data.
    pub(super) fn arrive_clearance(
        &mut self,
        from: PeerId,
        send: RequestId,
        receive: RequestId,
    ) -> Result<()> {
        match self.requests.send(send) {
            Some(operation) if operation.to == from && matches!(operation.phase, SendPhase::Announced) => {
                operation.phase = SendPhase::Bulk { receive, sent: 0 };
            }
            _ => return Err(unknown_request("a CTS", send)),
        }
        self.peers[from.index()].bulk.push_back(send);
        self.enlist(from);
        Ok(())
    }

    /// Publishes one piece of the first cleared send; others have their turn at the next call.
    pub(super) fn flush_bulk(&mut self, to: PeerId) -> Result<bool> {
        let peer = &mut self.peers[to.index()];
        let Some(&id) = peer.bulk.front() else { return Ok(false) };
        if !peer.find_room()? {
            return Ok(false);
        }
        let Some(send) = self.requests.send(id) else {
            peer.bulk.pop_front();
            return Ok(true);
        };
        let SendPhase::Bulk { receive, sent } = send.phase else { return Err(unknown_request("bulk", id)) };
        let Some(block) = self.pool.take(BULK) else { return Ok(false) };
        let total = send.envelope.bytes;
        let bytes = bulk_piece(total).min(total - sent);
        send.buffer.pack(sent, own_span(&self.blocks, block, bytes));
        send.phase = SendPhase::Bulk { receive, sent: sent + bytes };
        peer.push(self.me, &Packet::Data { receive, block, bytes, nanos: 0 });
        peer.bulk.pop_front();
        if sent + bytes < total {
            peer.bulk.push_back(id);
        } else {
            self.end(id, Ok(Status::EMPTY));
        }
        Ok(true)
    }

    /// A piece of a cleared message.
    pub(super) fn arrive_data(
        &mut self,
        from: PeerId,
        receive: RequestId,
        block: Block,
        bytes: u64,
        _nanos: u64,
    ) -> Result<()> {
        let peer = &self.peers[from.index()];
        let Some(span) = peer.blocks.span(block, bytes) else { return Err(bad_block(block, bytes)) };
        let operation = self.requests.receive(receive).filter(|operation| {
            matches!(operation.phase, ReceivePhase::Arriving { from: sender, .. } if sender == from)
        });
        let left = operation
            .and_then(|operation| operation.take_piece(bytes, |buffer, offset| buffer.unpack(offset, span)));
        peer.blocks.release(block);
        peer.bell.ring();
        match left {
            Some(0) => self.end_arrived(receive),
            Some(_) => {}
            None => return Err(unknown_request("data", receive)),
        }
        Ok(())
    }

    /// Goes on with receives that read the data where it lies.
    pub(super) fn advance_pulls(&mut self) -> Result<bool> {
        Ok(false)
    }
}
