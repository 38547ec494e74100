//! Inquiries: whether a rank in finalize still has a part in a collective.
//!
//! A rank that is [`RankState::Settling`] begins nothing any more, but collectives that it has let go of go on. Its state
//! does not say whether one of these is the one of which another rank waits for a message. So that rank asks, once for each
//! message, and gets an answer as soon as it is known that it waits in vain (docs/PROTOCOL.md, Leaving).

use super::{Core, RequestId, Until, packet::Packet, request::ReceivePhase};
use crate::{
    error::Result,
    shm::slot::RankState,
    types::{ContextId, PeerId, Tag},
};
use std::collections::HashSet;

/// What a rank asks one that is settling: will it ever take, or send, a message of a collective?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inquiry {
    /// The message, by the asking rank's request, which the answer names.
    pub(super) message: RequestId,
    pub(super) context: ContextId,
    pub(super) tag: Tag,
    /// The asking rank has sent it; else it is to receive it.
    pub(super) is_sent: bool,
}

/// This rank's inquiries, and those that others have made.
#[derive(Default)]
pub(super) struct Inquiries {
    /// Messages of collectives for which this rank has asked,
    asked: HashSet<RequestId>,
    /// and those that it knows to be in vain.
    vain: HashSet<RequestId>,
    /// Not answered: this rank still has a part.
    open: Vec<(PeerId, Inquiry)>,
    /// Something has come that may end collectives of this rank, or answer inquiries.
    is_look_due: bool,
}

impl Core {
    /// Asks ranks that are settling for what collectives of this one wait for.
    pub(super) fn inquire(&mut self) -> Result<()> {
        let scheduled = self.scheduled_messages();
        let Inquiries { asked, vain, .. } = &mut self.inquiries;
        asked.retain(|message| scheduled.contains(message));
        vain.retain(|message| scheduled.contains(message));
        for id in self.schedules.clone() {
            let Some(running) = self.requests.schedule(id) else { continue };
            let ([sends_in, receives_in], tag) = (running.contexts(), running.tag());
            let open: Vec<RequestId> = running.open().collect();
            for message in open {
                let Some((peer, is_sent)) = self.awaited_peer(message) else { continue };
                if self.state_of(peer) == RankState::Settling && self.inquiries.asked.insert(message) {
                    let context = if is_sent { sends_in } else { receives_in };
                    self.send_control(peer, Packet::Inquiry(Inquiry { message, context, tag, is_sent }))?;
                }
            }
        }
        Ok(())
    }

    /// The other rank that has to send a message of a collective, or to take it (true), before anything else can happen
    /// to it.
    pub(super) fn awaited_peer(&mut self, message: RequestId) -> Option<(PeerId, bool)> {
        let awaited = if let Some(send) = self.requests.send(message) {
            send.phase.waits_for_match().then_some((send.to, true))
        } else {
            match self.requests.receive(message)?.phase {
                ReceivePhase::Posted { from, .. } => from.map(|from| (from, false)),
                _ => None,
            }
        };
        awaited.filter(|(peer, _)| *peer != self.me)
    }

    /// Whether the peer that a message of a collective waits for has no part in it.
    pub(super) fn is_answered_in_vain(&self, message: RequestId) -> bool {
        self.inquiries.vain.contains(&message)
    }

    /// The peer that was asked has no part in the message. If it had one before, that came before the answer.
    pub(super) fn arrive_answer(&mut self, message: RequestId) {
        if self.inquiries.asked.contains(&message) {
            self.inquiries.vain.insert(message);
            self.inquiries.is_look_due = true;
        }
    }

    /// A collective has ended: what others have asked for may never come now.
    #[inline]
    pub(super) fn note_end_of_schedule(&mut self) {
        self.inquiries.is_look_due |= !self.inquiries.open.is_empty();
    }

    /// Whether a thread in finalize is to look for what is in vain: others wait for what it finds, each for the one
    /// before it.
    #[inline]
    pub(super) fn is_look_due(&self, until: &Until<'_>) -> bool {
        self.inquiries.is_look_due && until.is_of_finalize()
    }

    /// Ends, and answers, what is in vain at a rank in finalize. True if something has moved: then there may be more.
    pub(super) fn look_in_finalize(&mut self) -> Result<bool> {
        self.inquiries.is_look_due = false;
        let moved = self.end_failed_schedules() | self.drop_vain_sends()?;
        self.inquiries.is_look_due |= moved;
        self.unless_failed(Self::answer_inquiries)?;
        Ok(moved)
    }

    pub(super) fn arrive_inquiry(&mut self, from: PeerId, inquiry: Inquiry) -> Result<()> {
        self.inquiries.open.push((from, inquiry));
        self.answer_inquiries()
    }

    /// Answers those in whose collectives this rank has no part, or none any more.
    pub(super) fn answer_inquiries(&mut self) -> Result<()> {
        // Who is not settling yet, may begin anything.
        let begins_nothing = matches!(self.state_of(self.me), RankState::Settling | RankState::Leaving);
        if self.inquiries.open.is_empty() || !begins_nothing {
            return Ok(());
        }
        // A schedule that is worked on is out of the table.
        if self.is_advancing {
            self.inquiries.is_look_due = true;
            return Ok(());
        }
        let mut open = std::mem::take(&mut self.inquiries.open);
        let vain: Vec<_> = open.extract_if(.., |(from, inquiry)| !self.has_part(*from, inquiry)).collect();
        self.inquiries.open = open;
        for (from, Inquiry { message, .. }) in vain {
            self.send_control(from, Packet::Never { message })?;
        }
        Ok(())
    }

    /// Whether a collective of this rank may still send what the peer waits for, or take what it has sent.
    fn has_part(&mut self, peer: PeerId, inquiry: &Inquiry) -> bool {
        let Inquiry { context, tag, is_sent, .. } = *inquiry;
        let Self { schedules, requests, peers, .. } = self;
        let mut taking = Vec::new();
        for id in schedules.iter() {
            let Some(running) = requests.schedule(*id) else { continue };
            let [sends_in, receives_in] = running.contexts();
            if (if is_sent { receives_in } else { sends_in }, running.tag()) != (context, tag) {
                continue;
            }
            if running.is_to_come(peer, is_sent) {
                return true;
            }
            taking.extend(running.open());
        }
        if is_sent {
            return taking.into_iter().any(|message| {
                self.requests.receive(message).is_some() && self.targets_of_request(message).contains(&peer.0)
            });
        }
        // An answer overtakes what is queued.
        let mut queued =
            peers[peer.index()].sends.iter().filter_map(|id| requests.send(*id).map(|send| send.envelope));
        queued.any(|envelope| (envelope.context, envelope.tag) == (context, tag))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        buffer::Scratch,
        p2p::{
            Config, Engine,
            schedule::{Channel, ChannelOrder, Schedule, Step},
        },
        shm::{doorbell::BarrierMode, segment::Segment},
    };
    use std::sync::Arc;

    const CONTEXT: ContextId = ContextId(16);

    /// Lets go of a collective that receives from one rank, and then sends to another.
    fn pass_on(engine: &Engine, from: u32, to: Option<u32>) {
        let order = ChannelOrder::Overlapping { mark: 0, compare: |_, _, _| unreachable!("no other marks") };
        let rank = engine.me().0 as i32;
        let channel = Channel { sends_in: CONTEXT, receives_in: CONTEXT, rank, function: "f", tag: 1, order };
        let mut scratch = Scratch::new(8).unwrap();
        let into = scratch.memory();
        let mut steps = vec![Step::Receive { from: PeerId(from), source: from as i32, into }, Step::Await(0)];
        steps.extend(to.map(|to| Step::Send { to: PeerId(to), from: into.to_send() }));
        let messages = 1 + usize::from(to.is_some());
        let schedule = Schedule { steps, messages, scratch: vec![scratch], ..Schedule::new(channel) };
        let id = engine.begin(Arc::new(schedule), vec![]).unwrap();
        engine.abandon(id);
    }

    /// Rank 2 waits for rank 1, and that for rank 0, which has no part.
    #[test]
    fn a_chain_of_collectives_in_vain_ends_without_time_outs() {
        let segment = Segment::on_heap(3).unwrap();
        let config = Config::new(BarrierMode::Fence);
        let engines = [0, 1, 2].map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap());
        let [absent, first, second] = &engines;
        pass_on(first, 0, Some(2));
        pass_on(second, 1, None);
        engines.iter().for_each(|engine| engine.slot().set_state(RankState::Settling));
        let until = Until::CollectivesOver;
        let is_due = |engine: &Engine| engine.lock().is_look_due(&until);
        let step = |engine: &Engine| {
            engine.step().unwrap();
        };
        second.lock().inquire().unwrap();
        [first, second].into_iter().for_each(step);
        first.lock().inquire().unwrap();
        assert!(!is_due(first) && !is_due(second), "nobody knows anything");
        [absent, first].into_iter().for_each(step);
        for engine in [first, second] {
            assert!(is_due(engine), "there is an answer");
            assert!(!engine.lock().is_look_due(&Until::Woken(None)), "only finalize looks");
            assert!(engine.lock().look_for_leavers(&until).unwrap());
            assert!(engine.lock().schedules.is_empty());
            step(second);
        }
    }
}
