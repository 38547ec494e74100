//! Freed communicators: when their context ids may be given again.
//!
//! A member that drops a communicator only marks its record. At a later call that makes one, or in finalize,
//! the engine *lets go* of the record when its own sends with these ids are all in the rings; and when all
//! members have, it *cleans*: it takes in what has come, and throws away what has these ids. Then the record is
//! free (docs/PROTOCOL.md, "Context ids").

use super::{Core, Engine, arrive::Arrived, request::ReceivePhase};
use crate::{
    buffer::ReceiveBuffer,
    envelope::{Envelope, Pattern},
    error::{Error, Result},
    shm::contexts::{ContextTable, Miscounted, RECORD_WORDS},
    sync::{AtomicU64, Ordering},
    types::ContextId,
};
use std::{collections::HashSet, sync::Arc};

/// Records whose communicators this process has dropped: a bit each. A drop takes no lock, which a child made by
/// fork could find taken for ever.
pub(super) struct Dropped([AtomicU64; RECORD_WORDS]);

impl Dropped {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn add(&self, record: usize) {
        // Release: pairs with the Acquire in `take`.
        self.0[record / 64].fetch_or(1 << (record % 64), Ordering::Release);
    }

    /// Appends all that were added.
    fn take(&self, records: &mut Vec<usize>) {
        for (at, word) in self.0.iter().enumerate() {
            // Relaxed: a hint, so that nothing is written where nothing is.
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            // Acquire: pairs with the Release in `add`.
            let mut bits = word.swap(0, Ordering::Acquire);
            while bits != 0 {
                records.push(at * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

/// A communicator's hold on its context record, from its making to its drop.
pub(crate) struct Hold {
    record: usize,
    dropped: Arc<Dropped>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.dropped.add(self.record);
    }
}

/// The records that this rank has still to do with, of communicators that it has dropped.
pub(super) struct Contexts {
    table: ContextTable,
    /// Sends with their ids may be queued.
    leaving: Vec<usize>,
    /// Other members may still send.
    cleaning: Vec<usize>,
}

impl Contexts {
    pub(super) fn new(table: ContextTable) -> Self {
        Self { table, leaving: Vec::new(), cleaning: Vec::new() }
    }
}

impl Engine {
    /// The first context id of a new communicator with so many members.
    pub(crate) fn draw_contexts(&self, members: usize) -> Option<u32> {
        self.segment.contexts().draw(u32::try_from(members).expect("at most RANKS_MAX"))
    }

    /// This process's hold on drawn ids; None if they are not given again anyway. To be taken once by every
    /// member.
    pub(crate) fn hold_contexts(&self, first: u32) -> Option<Hold> {
        let record = self.segment.contexts().record_of(first)?;
        Some(Hold { record, dropped: Arc::clone(&self.dropped) })
    }

    /// Does what is to be done with communicators that have been dropped. Never waits. What goes wrong, every
    /// later call reports.
    pub(crate) fn tidy_contexts(&self) {
        if let Ok(mut core) = self.enter() {
            let _ = core.unless_failed(|core| core.tidy_contexts(&self.dropped));
        }
    }
}

impl Core {
    fn tidy_contexts(&mut self, dropped: &Dropped) -> Result<()> {
        dropped.take(&mut self.contexts.leaving);
        self.let_go_of_contexts()?;
        let Contexts { table, cleaning, .. } = &mut self.contexts;
        let over: Vec<usize> = cleaning.extract_if(.., |record| table.is_over(*record)).collect();
        if over.is_empty() {
            return Ok(());
        }
        // All that was ever sent with these ids is in the rings, or has been taken out.
        self.poll_all()?;
        self.withdraw_receives_in(&over);
        for record in over {
            self.discard_messages_in(record)?;
            self.contexts.table.clean(record).map_err(miscounted)?;
        }
        Ok(())
    }

    /// Lets go of the records with whose ids nothing is queued or will be.
    fn let_go_of_contexts(&mut self) -> Result<()> {
        if self.contexts.leaving.is_empty() {
            return Ok(());
        }
        let still_used = self.records_still_used();
        let Contexts { table, leaving, cleaning } = &mut self.contexts;
        for record in leaving.extract_if(.., |record| !still_used.contains(record)) {
            table.let_go(record).map_err(miscounted)?;
            cleaning.push(record);
        }
        Ok(())
    }

    /// The records with whose ids an envelope is still to be sent: what is queued, and what schedules that
    /// nobody waits for have still to do.
    fn records_still_used(&mut self) -> HashSet<usize> {
        let Self { backlog, peers, schedules, requests, contexts, .. } = self;
        let running = schedules.iter().filter_map(|id| Some(requests.schedule(*id)?.contexts()));
        let mut ids: Vec<ContextId> = running.flatten().collect();
        let queued = backlog.iter().flat_map(|to| &peers[to.index()].sends);
        ids.extend(queued.filter_map(|id| Some(requests.send(*id)?.envelope.context)));
        ids.iter().filter_map(|id| contexts.table.record_of(id.0)).collect()
    }

    /// Receives that were posted and forgotten: they would take messages of the next communicator.
    fn withdraw_receives_in(&mut self, records: &[usize]) {
        if self.posted.is_empty() {
            return;
        }
        let table = &self.contexts.table;
        let is_old = |pattern: &Pattern| {
            table.record_of(pattern.context.0).is_some_and(|record| records.contains(&record))
        };
        let old: Vec<_> =
            self.posted.iter().filter(|(_, pattern, _)| is_old(pattern)).map(|(_, _, id)| *id).collect();
        for id in old {
            debug_assert!(
                self.requests
                    .receive(id)
                    .is_some_and(|receive| { matches!(receive.phase, ReceivePhase::Posted { .. }) })
            );
            self.cancel_receive(id);
            self.requests.detach(id, None);
        }
    }

    /// Messages that nobody can receive any more. Their senders get credit and blocks back, and, if they wait
    /// for it, an answer.
    fn discard_messages_in(&mut self, record: usize) -> Result<()> {
        for id in self.contexts.table.ids(record) {
            let any = Pattern { context: ContextId(id), source: None, tag: None };
            self.discard_unexpected(&any, |_| {})?;
            self.refused.forget(ContextId(id));
            self.passages.forget(ContextId(id));
        }
        Ok(())
    }

    /// Receives all unexpected messages that the pattern accepts into nothing, after a look at each.
    pub(super) fn discard_unexpected(
        &mut self,
        pattern: &Pattern,
        mut look: impl FnMut(&Envelope),
    ) -> Result<()> {
        while let Some((envelope, arrived)) = self.unexpected.take(pattern) {
            look(&envelope);
            self.let_go(&envelope, &arrived);
            self.discard(&envelope, arrived)?;
        }
        Ok(())
    }

    /// Receives a message into nothing.
    pub(super) fn discard(&mut self, envelope: &Envelope, arrived: Arrived) -> Result<()> {
        let nowhere = ReceiveBuffer::discarding(envelope.bytes);
        let id = self.begin_matched(envelope, arrived, nowhere)?;
        self.requests.detach(id, None);
        Ok(())
    }

    /// This rank sends no message any more, and takes none.
    pub(super) fn leave_contexts(&mut self, dropped: &Dropped) -> Result<()> {
        let Contexts { table, leaving, cleaning } = &mut self.contexts;
        dropped.take(leaving);
        for record in leaving.drain(..) {
            table.let_go(record).map_err(miscounted)?;
            cleaning.push(record);
        }
        cleaning.drain(..).try_for_each(|record| table.clean(record).map_err(miscounted))
    }
}

#[cold]
fn miscounted(_: Miscounted) -> Error {
    Error::corrupt("more members have freed a communicator than it has")
}

#[cfg(all(test, not(loom)))]
#[path = "contexts_tests.rs"]
mod tests;
