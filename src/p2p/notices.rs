//! Notices: a rank whose call of a collective has failed tells the others, which may wait for its part.
//!
//! A notice is an empty message where the part would be ([`Envelope::is_notice`]). Who waits to receive that finds the
//! notice instead, and `coll` makes an error of it. Who waits for something else of that rank (a flag on a board, the
//! match of a send) looks for notices where it looks for ranks that have left (docs/PROTOCOL.md, Collectives that
//! fail).

use super::{
    Core, Engine, Mode, RequestId,
    arrive::Arrived,
    schedule::{Channel, Running},
};
use crate::{
    buffer,
    envelope::{Envelope, NOTICE_MARK, marked},
    error::{Error, ErrorClass, Result},
    types::{ContextId, PeerId, Rank, Tag},
};
use std::collections::HashMap;

/// The overlapping collectives that this rank was refused, and how many others have not told the same: what they tell is
/// of no use here.
#[derive(Default)]
pub(super) struct RefusedCalls(HashMap<(ContextId, Tag), usize>);

impl RefusedCalls {
    /// The context may be given again.
    pub(super) fn forget(&mut self, context: ContextId) {
        if !self.0.is_empty() {
            self.0.retain(|(other, _), _| *other != context);
        }
    }
}

impl Engine {
    /// This rank has no part in an overlapping collective, as it tells the other members.
    #[cold]
    pub(crate) fn refuse_part(&self, channel: &Channel, members: impl Iterator<Item = PeerId>) {
        let others: Vec<PeerId> = members.filter(|member| *member != self.me).collect();
        if let Ok(mut core) = self.enter_to_drop() {
            // What goes wrong every later call reports.
            let _ = core.unless_failed(|core| {
                core.tell(channel, &others)?;
                core.expect_refusals(channel, others.len())
            });
        }
    }
}

impl Core {
    /// A collective of this rank ends with an error: tells those that its steps to come, or its open messages, were for.
    pub(super) fn tell_partners(&mut self, running: &Running, open: &[RequestId]) {
        let mut partners: Vec<PeerId> = running.partners_to_come().collect();
        partners.extend(open.iter().filter_map(|message| self.awaited_peer(*message)).map(|(peer, _)| peer));
        partners.sort_unstable_by_key(|partner| partner.0);
        partners.dedup();
        partners.retain(|partner| *partner != self.me);
        // If shared memory is corrupted, or the job has ended, they learn of that.
        let _ = self.unless_failed(|core| core.tell(running.channel(), &partners));
    }

    fn tell(&mut self, channel: &Channel, others: &[PeerId]) -> Result<()> {
        let Channel { sends_in: context, rank, tag, .. } = *channel;
        let notice = Envelope { context, source: marked(rank, NOTICE_MARK), tag, bytes: 0 };
        for to in others {
            let id = self.try_post_send(*to, notice, Mode::Standard, buffer::of_slice::<u8>(&[]).into())?;
            self.abandon(id);
        }
        Ok(())
    }

    /// So many others may have been refused the same call, and tell so, or have told.
    fn expect_refusals(&mut self, channel: &Channel, mut others: usize) -> Result<()> {
        let (context, tag) = (channel.receives_in, channel.tag);
        let is_refusal =
            |envelope: &Envelope| envelope.is_notice() && (envelope.context, envelope.tag) == (context, tag);
        let told = self.unexpected.iter().filter(|(_, envelope, _)| is_refusal(envelope));
        for id in told.map(|(id, ..)| id).collect::<Vec<_>>() {
            if let Some((envelope, arrived)) = self.unexpected.remove(id) {
                self.discard(&envelope, arrived)?;
                others = others.saturating_sub(1);
            }
        }
        if others > 0 {
            self.refused.0.insert((context, tag), others);
        }
        Ok(())
    }

    /// Whether a message that comes tells what does not matter here.
    pub(super) fn is_of_no_use(&mut self, envelope: &Envelope) -> bool {
        let key = (envelope.context, envelope.tag);
        if self.refused.0.is_empty() || !envelope.is_notice() {
            return false;
        }
        let Some(others) = self.refused.0.get_mut(&key) else { return false };
        *others -= 1;
        if *others == 0 {
            self.refused.0.remove(&key);
        }
        true
    }

    /// The rank of a peer that has told that it has no part in a message's collective.
    pub(super) fn failure_at(&self, peer: PeerId, message: &Envelope) -> Option<Rank> {
        self.notices_of(message).find(|(from, _)| *from == peer).map(|(_, rank)| rank)
    }

    /// As [`Self::failure_at`], of any peer.
    pub(super) fn failure_of_any(&self, message: &Envelope) -> Option<Rank> {
        self.notices_of(message).next().map(|(_, rank)| rank)
    }

    /// Whether one of the sends is to such a peer.
    pub(super) fn failure_at_any(&mut self, messages: &[RequestId]) -> Option<Rank> {
        messages.iter().find_map(|message| {
            let send = self.requests.send(*message)?;
            let (to, envelope) = (send.to, send.envelope);
            self.failure_at(to, &envelope)
        })
    }

    fn notices_of<'a>(&'a self, message: &'a Envelope) -> impl Iterator<Item = (PeerId, Rank)> + 'a {
        // Not for every message of a program.
        let unexpected = message.is_of_collective().then(|| self.unexpected.iter()).into_iter().flatten();
        let notices = unexpected.filter(|(_, envelope, _)| envelope.is_notice_of(message));
        notices.filter_map(|(_, envelope, arrived)| match arrived {
            Arrived::Inline { from, .. } => Some((*from, envelope.sender())),
            _ => None,
        })
    }
}

/// A rank of a communicator has told that its call of a collective has failed.
#[cold]
pub(crate) fn failed_elsewhere(rank: Rank) -> Error {
    let what = format!("rank {rank} has no part in this collective, or in one before: its call has failed");
    Error::new(ErrorClass::OTHER, what).with_help("its own error says why")
}
