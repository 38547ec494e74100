//! Notices: a rank whose call of a collective has failed tells the others, which may wait for its part.
//!
//! A notice is an empty message where the part would be ([`Envelope::is_notice`]). Who waits to receive that finds the
//! notice instead, and `coll` makes an error of it. Who waits for something else of that rank (a flag on a board, the
//! match of a send) looks for notices where it looks for ranks that have left (docs/PROTOCOL.md, Collectives that
//! fail).

use super::{Core, RequestId, arrive::Arrived};
use crate::{
    envelope::Envelope,
    error::{Error, ErrorClass},
    types::{PeerId, Rank},
};

impl Core {
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
