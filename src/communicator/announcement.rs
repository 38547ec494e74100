//! The announcement of a foundation that is yet to come: of duplicates that go on while their members do
//! something else, and of those whose handle has been dropped before.

use super::{Foundation, Home, Membership, Shared, unpoisoned};
use crate::{
    buffer,
    envelope::Pattern,
    error::Result,
    p2p::{Awaited, Engine, MessageId},
    types::PeerId,
};
use std::sync::Arc;

/// By which message a member will learn of a foundation, and what it is a part in.
#[derive(Clone, Copy)]
pub(crate) struct Announcement {
    pub(crate) pattern: Pattern,
    pub(crate) from: PeerId,
    pub(crate) membership: Membership,
}

impl Announcement {
    /// The foundation, if it has been announced.
    pub(crate) fn look(&self, engine: &Engine) -> Result<Option<Foundation>> {
        let found = engine.improbe(self.awaited())?;
        found.map(|(message, _)| read(engine, message)).transpose()
    }

    pub(crate) fn wait(&self, engine: &Engine) -> Result<Foundation> {
        let (message, _) = engine.mprobe(self.awaited())?;
        read(engine, message)
    }

    fn awaited(&self) -> Awaited<'_> {
        Awaited { pattern: &self.pattern, from: Some(self.from) }
    }
}

fn read(engine: &Engine, message: MessageId) -> Result<Foundation> {
    let mut words = [0u64; 2];
    engine.mreceive(message, buffer::of_slice_mut(&mut words))?;
    Ok(Foundation(words))
}

/// A foundation that nobody here waits for: this member gives its part up as soon as it has it. The parent's
/// context ids are not free before.
pub(super) struct Orphan {
    announcement: Announcement,
    _parent: Arc<Shared>,
}

impl Home {
    /// Nobody waits for what will be announced in the context of the parent.
    pub(super) fn leave_behind(&self, announcement: Announcement, parent: &Arc<Shared>) {
        unpoisoned(&self.orphans).push(Orphan { announcement, _parent: Arc::clone(parent) });
    }

    /// Gives up the parts that nobody waits for, as far as they have come.
    pub(super) fn end_orphans(&self, engine: &Engine) {
        let mut orphans = std::mem::take(&mut *unpoisoned(&self.orphans));
        orphans.retain(|Orphan { announcement, .. }| match announcement.look(engine) {
            Ok(None) => true,
            Ok(Some(foundation)) => {
                drop(foundation.join(engine, announcement.membership));
                false
            }
            // The job has ended, or the leader has left.
            Err(_) => false,
        });
        unpoisoned(&self.orphans).append(&mut orphans);
    }

    /// In finalize: what has not come yet, never will come to this process.
    pub(crate) fn leave(&self, engine: &Engine) {
        self.end_orphans(engine);
        unpoisoned(&self.orphans).clear();
    }
}
