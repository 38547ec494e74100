//! [`Reached`]: which of the engine's rarer states a simulation has seen. A simulator that never gets
//! somewhere tests nothing there.

use crate::{
    p2p::{
        BulkOption, Core, Engine, Mode, RequestId,
        arrive::{Arrived, StreamTarget},
        matching::SCAN_MAX,
        request::{ReceivePhase, SendPhase},
    },
    shm::tuning::Method,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};

#[derive(Default)]
pub(crate) struct Reached {
    /// Names of states.
    pub(crate) seen: BTreeSet<&'static str>,
    /// Receives, by rank, that were reading in place when their rank was last looked at.
    pulling: BTreeMap<u32, HashSet<RequestId>>,
    /// What every rank had chosen then.
    chosen: BTreeMap<u32, Vec<Option<Method>>>,
}

impl Reached {
    /// Everything that a run of some thousand seeds is expected to see.
    pub(crate) const ALL: [&'static str; 45] = [
        "a receive that was cancelled",
        "a receive that was cancelled too late",
        "a message that was truncated",
        "receives of different patterns that waited for the same message",
        "messages of different senders for the same receive",
        "more posted receives than are searched one by one",
        "more unexpected messages than are searched one by one",
        "a message moved aside",
        "a message half sent: unexpected",
        "a message half sent: to a receive",
        "a message to the rank itself",
        "an announced message",
        "a send queued without room or credit",
        "a send of several pieces without room",
        "a send announced for lack of credit",
        "a send copied aside to end a cycle of blocked ranks",
        "a synchronous send that awaits its match",
        "a transfer in small pieces",
        "a transfer in large pieces",
        "a read of another process",
        "a read of an arena",
        "a choice that changed to small pieces",
        "a choice that changed to large pieces",
        "a choice that changed to a read of another process",
        "a choice that changed to a read of an arena",
        "a read in place that went on in pieces",
        "a read in place that began again in pieces",
        "a peer whose memory cannot be read",
        "small pieces for lack of the way that was set",
        "a control packet without room",
        "credit that was raised",
        "data with gaps: sent in a cell",
        "data with gaps: sent in a block",
        "data with gaps: sent in several blocks",
        "data with gaps: announced",
        "data with gaps: sent when asked for",
        "data with gaps: taken after it came",
        "data with gaps: taken from a cell",
        "data with gaps: taken from blocks",
        "data with gaps: taken half sent",
        "data with gaps: taken from aside",
        "data with gaps: to be asked for",
        "data with gaps: asked for in pieces",
        "data with gaps: read in place",
        "data with gaps: from the rank itself",
    ];

    pub(super) fn note(&mut self, name: &'static str) {
        debug_assert!(Self::ALL.contains(&name), "{name}");
        self.seen.insert(name);
    }

    pub(super) fn note_cancelled(&mut self, (withdrawn, completed): (usize, usize)) {
        if withdrawn > 0 {
            self.note("a receive that was cancelled");
        }
        if completed > 0 {
            self.note("a receive that was cancelled too late");
        }
    }

    pub(super) fn look_at(&mut self, engine: &Engine) {
        engine.inspect(|core| {
            self.look_at_messages(core);
            self.look_at_peers(core);
            self.look_at_sends(core);
            self.look_at_receives(core);
            self.look_at_choices(core);
            core.arrivals.take_ways_with_gaps().into_iter().for_each(|way| self.note(way));
        });
    }

    fn look_at_messages(&mut self, core: &Core) {
        if core.posted.len() > SCAN_MAX {
            self.note("more posted receives than are searched one by one");
        }
        if core.unexpected.len() > SCAN_MAX {
            self.note("more unexpected messages than are searched one by one");
        }
        for (_, _, arrived) in core.unexpected.iter().take(20) {
            match arrived {
                Arrived::Aside { .. } => self.note("a message moved aside"),
                Arrived::Announced { .. } => self.note("an announced message"),
                Arrived::AtSelf { .. } => self.note("a message to the rank itself"),
                Arrived::Inline { .. } | Arrived::InBlocks { .. } => {}
            }
        }
    }

    fn look_at_peers(&mut self, core: &Core) {
        for peer in &core.peers {
            if peer.reach.is_denied() {
                self.note("a peer whose memory cannot be read");
            }
            if !peer.control.is_empty() {
                self.note("a control packet without room");
            }
            if peer.credits.is_raised() {
                self.note("credit that was raised");
            }
            match peer.stream {
                Some(StreamTarget::Unexpected(_)) => self.note("a message half sent: unexpected"),
                Some(StreamTarget::Receive(_)) => self.note("a message half sent: to a receive"),
                // So rare that they have tests of their own.
                Some(StreamTarget::Message(_) | StreamTarget::Nowhere(_)) | None => {}
            }
        }
    }

    fn look_at_receives(&mut self, core: &mut Core) {
        let option = core.config.bulk;
        let pulled = self.pulling.remove(&core.me.0).unwrap_or_default();
        let mut pulling = HashSet::new();
        for (id, receive) in core.requests.receives() {
            let method = match &receive.phase {
                ReceivePhase::Pulling(pull) => {
                    pulling.insert(id);
                    pull.plan.method
                }
                ReceivePhase::Cleared(clearance) if pulled.contains(&id) => {
                    self.note(match clearance.arrived {
                        0 => "a read in place that began again in pieces",
                        _ => "a read in place that went on in pieces",
                    });
                    continue;
                }
                ReceivePhase::Cleared(clearance) => clearance.plan.method,
                _ => continue,
            };
            self.note_method(method, option);
        }
        self.pulling.insert(core.me.0, pulling);
    }

    fn note_method(&mut self, method: Method, option: BulkOption) {
        self.note(match method {
            Method::SmallPieces => "a transfer in small pieces",
            Method::LargePieces => "a transfer in large pieces",
            Method::Cma => "a read of another process",
            Method::Direct => "a read of an arena",
        });
        if method == Method::SmallPieces && matches!(option, BulkOption::Cma | BulkOption::Direct) {
            self.note("small pieces for lack of the way that was set");
        }
    }

    fn look_at_choices(&mut self, core: &Core) {
        let chosen = core.choices.chosen();
        let before = self.chosen.insert(core.me.0, chosen.clone()).unwrap_or_default();
        for (before, now) in before.into_iter().zip(chosen) {
            let (Some(before), Some(now)) = (before, now) else { continue };
            if before != now {
                self.note(match now {
                    Method::SmallPieces => "a choice that changed to small pieces",
                    Method::LargePieces => "a choice that changed to large pieces",
                    Method::Cma => "a choice that changed to a read of another process",
                    Method::Direct => "a choice that changed to a read of an arena",
                });
            }
        }
    }

    fn look_at_sends(&mut self, core: &mut Core) {
        let eager_bytes = core.config.eager_bytes;
        for (_, send) in core.requests.sends() {
            match send.phase {
                SendPhase::Queued => self.note("a send queued without room or credit"),
                SendPhase::Streaming { .. } => self.note("a send of several pieces without room"),
                SendPhase::Announced if send.envelope.bytes <= eager_bytes => {
                    self.note("a send announced for lack of credit");
                }
                SendPhase::AwaitMatch if send.mode == Mode::Synchronous => {
                    self.note("a synchronous send that awaits its match");
                }
                _ => {}
            }
        }
        if core.requests.has_buffered() {
            self.note("a send copied aside to end a cycle of blocked ranks");
        }
    }
}
