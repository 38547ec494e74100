//! What the library tells itself while it makes communicators.
//!
//! | use | context | tag |
//! | --- | --- | --- |
//! | communicators of subgroups | internal | the caller's, not negative |
//! | immediate duplicates | internal | −1 − number |
//! | leaders of intercommunicators, in the peer communicator | collective | −1 − the caller's |
//! | collectives, for comparison | collective | number, not negative |
//!
//! So calls of different kinds, and those of different tags or numbers, never take each other's messages,
//! whatever threads do at the same time.

use crate::{
    buffer,
    communicator::{Communicator, bad_rank},
    envelope::{Envelope, Pattern},
    error::{Error, ErrorClass, Result},
    p2p::Mode,
    types::{ContextId, PeerId, Rank, Tag},
};

/// Messages of one use.
pub(super) struct Exchange<'c, 'u> {
    comm: &'c Communicator<'u>,
    context: ContextId,
    tag: Tag,
}

impl<'c, 'u> Exchange<'c, 'u> {
    pub(super) fn of_subgroup(comm: &'c Communicator<'u>, function: &str, tag: Tag) -> Result<Self> {
        check_tag(function, tag)?;
        Ok(Self { comm, context: comm.local().contexts.internal(), tag })
    }

    pub(super) fn send(&self, to: Rank, words: &[u64]) -> Result<()> {
        let words = buffer::of_slice(words);
        let Self { context, tag, .. } = *self;
        let envelope = Envelope { context, source: self.comm.rank(), tag, bytes: words.len() };
        self.comm.engine().send(self.peer(to)?, envelope, Mode::Standard, words)
    }

    /// Receives exactly as many words.
    pub(super) fn receive(&self, from: Rank, words: &mut [u64]) -> Result<()> {
        let pattern = Pattern { context: self.context, source: Some(from), tag: Some(self.tag) };
        let (peer, expected) = (Some(self.peer(from)?), size_of_val(words) as u64);
        let status = self.comm.engine().receive(pattern, peer, buffer::of_slice_mut(words))?;
        match status.bytes() {
            bytes if bytes == expected => Ok(()),
            bytes => Err(Error::corrupt(format!("rank {from} told {bytes} bytes instead of {expected}"))),
        }
    }

    fn peer(&self, rank: Rank) -> Result<PeerId> {
        self.comm.check_caller()?;
        self.comm.remote().group.peer(rank).ok_or_else(|| bad_rank(rank, self.comm.remote().group.size()))
    }
}

fn check_tag(function: &str, tag: Tag) -> Result<()> {
    if tag >= 0 {
        return Ok(());
    }
    Err(Error::new(ErrorClass::TAG, format!("{function}: tag is {tag}, and must not be negative")))
}
