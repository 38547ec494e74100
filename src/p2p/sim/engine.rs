//! What a simulation asks an engine that nobody else may: single steps, and a look inside.

use crate::{
    buffer::{ReceiveBuffer, Room},
    envelope::{Envelope, Pattern},
    p2p::{Core, Engine, Until, packet::Place, receive::Look, request::ReceivePhase},
    status::Status,
    types::PeerId,
};
use std::sync::Arc;

impl Engine {
    /// Receives a message if the fast path finds it at its first look.
    pub(super) fn step_receive(
        &self,
        pattern: &Pattern,
        from: PeerId,
        buffer: &ReceiveBuffer,
    ) -> Option<Status> {
        let look = self.lock().look(pattern, from, buffer.contiguous()?);
        match look {
            Look::Received(status) => Some(status),
            Look::Nothing | Look::Other => None,
        }
    }

    /// The messages that have come to matching since the last call, in that order.
    pub(super) fn take_arrivals(&self) -> Vec<Envelope> {
        self.lock().arrivals.take()
    }

    /// Whether the condition holds, without making progress.
    pub(super) fn step_is(&self, until: &Until<'_>) -> bool {
        self.lock().is_satisfied(until)
    }

    /// A task goes on: the rank is not blocked.
    pub(super) fn step_awake(&self) {
        self.lock().blocked.publish_running(&self.published);
    }

    /// Bytes and envelopes that messages to a peer have cost.
    pub(super) fn credit_spent(&self, peer: usize) -> (u64, u64) {
        self.lock().peers[peer].credits.spent()
    }

    /// Bytes and envelopes whose credit a peer has got back, published or not.
    pub(super) fn credit_given_back(&self, peer: usize) -> (u64, u64) {
        self.lock().peers[peer].credits.given_back()
    }

    /// What is left in the engine although all its operations have ended.
    pub(super) fn check_idle(&self) -> Result<(), String> {
        let core = self.lock();
        let queues = (core.posted.len(), core.messages.len(), core.backlog.len());
        if queues != (0, 0, 0) {
            return Err(format!("left are (posted receives, matched messages, backlogs) {queues:?}"));
        }
        for (other, peer) in core.peers.iter().enumerate() {
            let held: u32 = peer.held.iter().sum();
            if held != 0 || peer.stream.is_some() || peer.has_backlog() {
                return Err(format!(
                    "of rank {other} {held} blocks count as held, a message is left half: {}, something is queued: {}",
                    peer.stream.is_some(),
                    peer.has_backlog()
                ));
            }
        }
        Ok(())
    }

    /// What this rank has read in part in its peers' memory cannot be read any more.
    pub(super) fn lose_places(&self) {
        let mut core = self.lock();
        for (_, receive) in core.requests.receives() {
            if let ReceivePhase::Pulling(pull) = &mut receive.phase
                && pull.arrived > 0
            {
                pull.set_place(Place::Arena { offset: u64::MAX, address: 8 });
            }
        }
    }

    /// How many buffers there are in this rank's arena.
    pub(super) fn arena_users(&self) -> usize {
        self.lock().arena.as_ref().map_or(0, |arena| Arc::strong_count(arena) - 1)
    }

    pub(super) fn describe(&self) -> String {
        self.lock().describe(self)
    }

    /// Calls `with` with the engine's state.
    pub(super) fn inspect<T>(&self, with: impl FnOnce(&mut Core) -> T) -> T {
        with(&mut self.lock())
    }
}

impl Core {
    fn describe(&mut self, engine: &Engine) -> String {
        let waits_for: Vec<u32> =
            (0..engine.ranks).filter(|&other| engine.published.waits_for(other)).collect();
        let epoch = engine.published.slot.epoch();
        let mut text = format!(
            "epoch {epoch}, waits for ranks {waits_for:?}, {} posted, {} unexpected, {} blocks out",
            self.posted.len(),
            self.unexpected.len(),
            self.pool.blocks_out()
        );
        for (id, send) in self.requests.sends() {
            let (to, bytes) = (send.to.0, send.envelope.bytes);
            text += &format!("\n    send {} to {to}: {bytes} bytes, {:?}", id.index(), send.phase);
        }
        for (other, peer) in self.peers.iter().enumerate().filter(|(_, peer)| peer.has_backlog()) {
            let (control, sends) = (peer.control.len(), peer.sends.len());
            text += &format!("\n    to {other}: {control} control packets, {sends} sends queued");
        }
        text
    }
}
