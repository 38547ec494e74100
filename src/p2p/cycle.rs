//! Cycles of blocked ranks that go through a wait for credit.
//!
//! A sender without credit waits until its receiver matches. If the receiver itself waits for a
//! message that lies behind, nobody moves, although unlimited buffering would. So a rank that waits
//! for credit looks, now and then, whether everyone who could end the wait is blocked as well, from
//! the peer on along what the ranks publish. If so, at two looks with equal epochs, it gives itself
//! more credit at that peer. A mistake costs memory, not correctness.

use super::{
    Awaited, Core, Until,
    peers::Link,
    request::{Mode, ReceivePhase, RequestId, SendOperation, SendPhase},
};
use crate::{
    error::Result,
    shm::slot::{Published, RankState},
    types::PeerId,
};

impl SendOperation {
    fn lacks_credit(&self, eager_bytes: u64) -> bool {
        let is_eager = self.mode == Mode::Standard && self.envelope.bytes <= eager_bytes;
        matches!(self.phase, SendPhase::Queued) || is_eager && matches!(self.phase, SendPhase::Announced)
    }
}

impl Core {
    /// Who could end the wait.
    pub(super) fn targets(&mut self, until: &Until<'_>) -> Vec<u32> {
        match until {
            Until::Request(id) => self.targets_of_request(*id),
            Until::Any(ids) => ids.iter().flat_map(|id| self.targets_of_request(*id)).collect(),
            Until::Woken(_) => {
                let awaited = self.wakers.registered();
                awaited.into_iter().flat_map(|id| self.targets_of_request(id)).collect()
            }
            Until::Quiet | Until::CollectivesOver | Until::Settled => {
                self.requests.sends().map(|(_, send)| send.to.0).collect()
            }
            Until::Message(Awaited { from: Some(from), .. }) => vec![from.0],
            Until::Words { by: Some(writer), .. } => vec![writer.peer.0],
            Until::Message(_) | Until::Words { .. } => self.everyone_else(),
        }
    }

    pub(super) fn targets_of_request(&mut self, id: RequestId) -> Vec<u32> {
        if let Some(send) = self.requests.send(id) {
            return vec![send.to.0];
        }
        if let Some(running) = self.requests.schedule(id) {
            let open: Vec<RequestId> = running.open().collect();
            return open.into_iter().flat_map(|message| self.targets_of_request(message)).collect();
        }
        match self.requests.receive(id).map(|receive| receive.phase) {
            Some(ReceivePhase::Posted { from: Some(from), .. }) => vec![from.0],
            Some(ReceivePhase::Arriving { from, .. }) => vec![from.0],
            Some(ReceivePhase::Cleared(clearance)) => vec![clearance.from.0],
            Some(ReceivePhase::Pulling(pull)) => vec![pull.from.0],
            Some(ReceivePhase::Posted { from: None, .. }) => self.everyone_else(),
            Some(ReceivePhase::Matched) | None => vec![],
        }
    }

    fn everyone_else(&self) -> Vec<u32> {
        (0..self.peers.len() as u32).filter(|id| *id != self.me.0).collect()
    }

    /// Whether a send of this rank is held up by credit, so that unlimited buffering would let it
    /// end.
    pub(super) fn waits_for_credit(&mut self) -> bool {
        let eager_bytes = self.config.eager_bytes;
        self.requests.unbuffered_sends().any(|(_, send)| send.lacks_credit(eager_bytes))
    }

    /// As [`Self::waits_for_credit`], of one operation.
    pub(super) fn lacks_credit(&mut self, id: RequestId) -> bool {
        let eager_bytes = self.config.eager_bytes;
        let messages = match self.requests.schedule(id) {
            Some(running) => running.open().collect(),
            None => vec![id],
        };
        let mut sends = messages.into_iter();
        sends.any(|id| self.requests.send(id).is_some_and(|send| send.lacks_credit(eager_bytes)))
    }

    /// Gives this rank more credit wherever a cycle goes through its lack.
    pub(super) fn look_for_cycle(&mut self, published: &Published) -> Result<()> {
        let eager_bytes = self.config.eager_bytes;
        let mut starved: Vec<PeerId> = Vec::new();
        for (_, send) in self.requests.unbuffered_sends() {
            if matches!(send.phase, SendPhase::Queued | SendPhase::Announced) && !starved.contains(&send.to) {
                starved.push(send.to);
            }
        }
        for peer in starved {
            if self.peers[peer.index()].link == Link::Ring && self.is_everyone_blocked(peer, published) {
                self.unless_failed(|core| core.grant(peer, eager_bytes))?;
            }
        }
        Ok(())
    }

    fn grant(&mut self, peer: PeerId, eager_bytes: u64) -> Result<()> {
        self.peers[peer.index()].credits.double();
        self.peers[peer.index()].had_cycle = true;
        let announced: Vec<RequestId> = self
            .requests
            .unbuffered_sends()
            .filter(|(_, send)| send.to == peer && matches!(send.phase, SendPhase::Announced))
            .filter(|(_, send)| send.mode == Mode::Standard && send.envelope.bytes <= eager_bytes)
            .map(|(id, _)| id)
            .collect();
        if !announced.is_empty() {
            // Their users go on and change the memory that was announced.
            self.revoke_places();
        }
        for id in announced {
            if let Some(waiter) = self.requests.buffer(id).waiter {
                self.wake_waiter(id, waiter);
            }
        }
        if !self.schedules.is_empty() {
            // The messages of one have no waiter: only polling goes on with it.
            self.role.wake_holder(&self.bell);
        }
        self.flush(peer).map(drop)
    }

    /// Whether the peer, and everyone who could end its waiting, and so on, is blocked at two looks.
    fn is_everyone_blocked(&self, peer: PeerId, published: &Published) -> bool {
        debug_assert_eq!(published.slot.epoch() % 2, 1, "the looker has published that it is blocked");
        let mut seen = vec![false; self.peers.len()];
        seen[self.me.index()] = true;
        seen[peer.index()] = true;
        let mut found = vec![peer];
        let mut epochs = Vec::new();
        while epochs.len() < found.len() {
            let rank = found[epochs.len()];
            let Published { slot, .. } = &self.peers[rank.index()].published;
            let epoch = slot.epoch();
            let has_left = slot.state() == RankState::Finalized;
            if epoch % 2 == 0 && !has_left {
                return false;
            }
            epochs.push(epoch);
            for other in 0..self.peers.len() as u32 {
                let is_target = !has_left && self.peers[rank.index()].published.waits_for(other);
                if is_target && !std::mem::replace(&mut seen[other as usize], true) {
                    found.push(PeerId(other));
                }
            }
        }
        found.iter().zip(epochs).all(|(rank, epoch)| self.peers[rank.index()].published.slot.epoch() == epoch)
    }
}
