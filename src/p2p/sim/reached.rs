//! [`Reached`]: which of the engine's rarer states a simulation has seen. A simulator that never gets
//! somewhere tests nothing there.

use crate::p2p::{
    Core, Engine, Mode,
    arrive::{Arrived, StreamTarget},
    request::SendPhase,
};
use std::collections::BTreeSet;

/// Names of states.
#[derive(Default)]
pub(crate) struct Reached(pub(crate) BTreeSet<&'static str>);

impl Reached {
    /// Everything that a run of some thousand seeds is expected to see.
    pub(crate) const ALL: [&'static str; 17] = [
        "a receive that was cancelled",
        "a receive that was cancelled too late",
        "a message that was truncated",
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
        "a bulk transfer",
        "a message that is read where it lies",
        "a control packet without room",
        "credit that was raised",
    ];

    pub(super) fn note(&mut self, name: &'static str) {
        debug_assert!(Self::ALL.contains(&name), "{name}");
        self.0.insert(name);
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
        });
    }

    fn look_at_messages(&mut self, core: &Core) {
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
        if !core.pulls.is_empty() {
            self.note("a message that is read where it lies");
        }
        for peer in &core.peers {
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

    fn look_at_sends(&mut self, core: &mut Core) {
        let eager_bytes = core.config.eager_bytes;
        for (_, send) in core.requests.sends() {
            match send.phase {
                SendPhase::Queued => self.note("a send queued without room or credit"),
                SendPhase::Streaming { .. } => self.note("a send of several pieces without room"),
                SendPhase::Announced if send.envelope.bytes <= eager_bytes => {
                    self.note("a send announced for lack of credit");
                }
                SendPhase::Bulk { .. } => self.note("a bulk transfer"),
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
