//! What the library tells itself while it makes communicators.
//!
//! | use | context | tag |
//! | --- | --- | --- |
//! | communicators of subgroups | internal | the caller's, not negative |
//! | immediate duplicates | internal | −1 − number |
//! | leaders of groups that become an intercommunicator, in their peer communicator | immediate | −1 − the caller's |
//! | leaders of the groups of an intercommunicator | internal, of the intercommunicator | 0 |
//! | immediate and persistent collectives, for comparison | immediate | number, not negative |
//!
//! So calls of different kinds, and those of different tags or numbers, never take each other's messages,
//! whatever threads do at the same time.

use crate::{
    buffer,
    communicator::{Base, Communicator, Contexts, Foundation, Membership},
    envelope::{Envelope, Pattern},
    error::{Error, ErrorClass, Result},
    p2p::RequestId,
    types::{ContextId, PeerId, Rank, Tag},
};

/// Messages of one use.
pub(super) struct Exchange<'c, 'u> {
    comm: &'c Communicator<'u>,
    /// Of messages to others, and of those from them.
    contexts: [ContextId; 2],
    tag: Tag,
}

impl<'c, 'u> Exchange<'c, 'u> {
    pub(super) fn of_subgroup(comm: &'c Communicator<'u>, function: &str, tag: Tag) -> Result<Self> {
        check_tag(function, tag)?;
        Ok(Self::new(comm, Contexts::internal, tag))
    }

    /// Of two groups that become an intercommunicator.
    pub(super) fn of_leaders(comm: &'c Communicator<'u>, function: &str, tag: Tag) -> Result<Self> {
        check_tag(function, tag)?;
        Ok(Self::new(comm, Contexts::immediate, -1 - tag))
    }

    /// Between the groups of an intercommunicator.
    pub(super) fn of_groups(bridge: &'c Communicator<'u>) -> Self {
        Self::new(bridge, Contexts::internal, 0)
    }

    fn new(comm: &'c Communicator<'u>, context: fn(Contexts) -> ContextId, tag: Tag) -> Self {
        let contexts = [context(comm.remote().contexts), context(comm.local().contexts)];
        Self { comm, contexts, tag }
    }

    /// Two that agree: one lays a foundation, the other one joins in it.
    pub(super) fn agree(
        &self,
        other: Rank,
        is_founder: bool,
        membership: Membership,
        lay: impl FnOnce() -> Result<(Foundation, Base)>,
    ) -> Result<(Foundation, Base)> {
        if is_founder {
            let laid = lay();
            self.send(other, &Foundation::of(&laid).0)?;
            return laid;
        }
        let mut told = Foundation::NONE;
        self.receive(other, &mut told.0)?;
        Ok((told, told.join(self.comm.engine(), membership)?))
    }

    /// Never waits.
    pub(super) fn send(&self, to: Rank, words: &[u64]) -> Result<()> {
        let words = buffer::of_slice(words);
        let Self { contexts: [context, _], tag, .. } = *self;
        let envelope = Envelope { context, source: self.comm.rank(), tag, bytes: words.len() };
        self.comm.engine().send_buffered(self.peer(to)?, envelope, words)
    }

    /// Two that tell each other a word.
    pub(super) fn swap(&self, other: Rank, word: u64) -> Result<u64> {
        let mut theirs = [0];
        self.send(other, &[word])?;
        self.receive(other, &mut theirs)?;
        Ok(theirs[0])
    }

    /// Receives exactly as many words.
    pub(super) fn receive(&self, from: Rank, words: &mut [u64]) -> Result<()> {
        let (peer, expected) = (Some(self.peer(from)?), size_of_val(words) as u64);
        let status = self.comm.engine().receive(self.pattern(from), peer, buffer::of_slice_mut(words))?;
        check_bytes(from, status.bytes(), expected)
    }

    pub(super) fn is_rank(&self, rank: Rank) -> bool {
        (0..self.comm.remote().group.size()).contains(&rank)
    }

    fn pattern(&self, from: Rank) -> Pattern {
        Pattern { context: self.contexts[1], source: Some(from), tag: Some(self.tag) }
    }

    fn peer(&self, rank: Rank) -> Result<PeerId> {
        self.comm.check_caller()?;
        let group = &self.comm.remote().group;
        Ok(group.peer(rank).expect("callers have looked: it is a rank of the communicator"))
    }
}

/// Messages that are awaited from several ranks, one at most from each at a time.
pub(super) struct Hearing<'e, 'c, 'u> {
    exchange: &'e Exchange<'c, 'u>,
    awaited: Vec<Hearable>,
}

struct Hearable {
    id: RequestId,
    from: Rank,
    words: Vec<u64>,
}

impl<'e, 'c, 'u> Hearing<'e, 'c, 'u> {
    pub(super) fn new(exchange: &'e Exchange<'c, 'u>) -> Self {
        Self { exchange, awaited: Vec::new() }
    }

    /// Awaits exactly as many words, not more than there are ranks and 2.
    pub(super) fn begin(&mut self, from: Rank, words: usize) -> Result<()> {
        let Exchange { comm, .. } = self.exchange;
        if words > 2.max(comm.remote().group.size() as usize) {
            return Err(Error::corrupt(format!("rank {from} is about to tell {words} words")));
        }
        let mut words = vec![0; words];
        let (pattern, peer) = (self.exchange.pattern(from), self.exchange.peer(from)?);
        let id = comm.engine().ireceive(pattern, Some(peer), buffer::of_slice_mut(&mut words))?;
        self.awaited.push(Hearable { id, from, words });
        Ok(())
    }

    /// Waits for one, and gives it; None if none is awaited.
    pub(super) fn next(&mut self) -> Result<Option<(Rank, Vec<u64>)>> {
        if self.awaited.is_empty() {
            return Ok(None);
        }
        let engine = self.exchange.comm.engine();
        let ids: Vec<RequestId> = self.awaited.iter().map(|awaited| awaited.id).collect();
        let ended = engine.wait_some(&ids)?[0];
        let status = engine.take_outcome(ids[ended])?;
        let Hearable { from, words, .. } = self.awaited.swap_remove(ended);
        check_bytes(from, status.bytes(), size_of_val(&words[..]) as u64)?;
        Ok(Some((from, words)))
    }
}

impl Drop for Hearing<'_, '_, '_> {
    fn drop(&mut self) {
        self.awaited.iter().for_each(|awaited| self.exchange.comm.engine().abandon(awaited.id));
    }
}

fn check_bytes(from: Rank, bytes: u64, expected: u64) -> Result<()> {
    if bytes == expected {
        return Ok(());
    }
    Err(Error::corrupt(format!("rank {from} told {bytes} bytes instead of {expected}")))
}

fn check_tag(function: &str, tag: Tag) -> Result<()> {
    if tag >= 0 {
        return Ok(());
    }
    Err(Error::new(ErrorClass::TAG, format!("{function}: tag is {tag}, and must not be negative")))
}
