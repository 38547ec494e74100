//! [`Context`]: what a task needs of the world around it. Every call of the engine that has to do with
//! matching goes through here: the oracle learns of it, and of the messages that came meanwhile, in the
//! order in which the engine did both.

use super::{
    oracle::{Facts, Fate, Oracle, facts_of_status},
    plan::Plan,
};
use crate::{
    buffer::ReceiveBuffer,
    envelope::Pattern,
    error::Result,
    p2p::{Awaited, Engine, MessageId, RequestId},
    status::Status,
    types::PeerId,
};

pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) engine: &'a Engine,
    pub(super) oracle: &'a mut Oracle,
    /// Counts attempts: the time. No attempt posts two receives, so that it names a receive.
    pub(super) clock: u64,
}

/// What an attempt came to: a wrong result, or an error that has no place here.
pub(super) type Attempt<T> = std::result::Result<T, String>;

pub(super) fn expect<T>(result: Result<T>) -> Attempt<T> {
    result.map_err(|error| error.to_string())
}

/// Some receives are never to end, and some probes never to find anything: the engine may say so, when the
/// rank that they wait for has left. (A job in which it says so of others does not end.)
fn unless_in_vain<T>(result: Result<T>, nothing: T) -> Attempt<T> {
    match result {
        Err(error) if error.to_string().contains("waits in vain") => Ok(nothing),
        result => expect(result),
    }
}

impl Context<'_> {
    fn me(&self) -> usize {
        self.engine.me().index()
    }

    /// The oracle learns what has come.
    pub(super) fn note_arrivals(&mut self) -> Attempt<()> {
        let (plan, me) = (self.plan, self.me());
        let arrivals = self.engine.take_arrivals();
        arrivals.iter().try_for_each(|envelope| self.oracle.note_arrival(plan, me, envelope))
    }

    /// One round of progress. True if anything moved.
    pub(super) fn step(&mut self) -> Attempt<bool> {
        let moved = expect(self.engine.step())?;
        self.note_arrivals()?;
        Ok(moved)
    }

    /// Sends a message of the plan; `how` calls the engine.
    pub(super) fn send<T>(&mut self, message: usize, how: impl FnOnce(&Engine) -> Result<T>) -> Attempt<T> {
        self.oracle.note_send(message, &self.plan.messages[message]);
        let sent = expect(how(self.engine))?;
        self.note_arrivals()?;
        Ok(sent)
    }

    /// The outcome of a request, if it has ended.
    pub(super) fn test(&mut self, request: RequestId) -> Attempt<Option<Result<Status>>> {
        let has_ended = unless_in_vain(self.engine.test(request), false)?;
        self.note_arrivals()?;
        Ok(has_ended.then(|| self.engine.take_outcome(request)))
    }

    pub(super) fn post(&mut self, pattern: Pattern, buffer: ReceiveBuffer) -> Attempt<RequestId> {
        self.oracle.note_receive(self.me(), self.clock, pattern);
        let request = expect(self.engine.ireceive(pattern, awaited(&pattern).from, buffer))?;
        self.note_arrivals()?;
        Ok(request)
    }

    /// Begins to receive a message that a matched probe has taken.
    pub(super) fn receive_message(
        &mut self,
        message: MessageId,
        buffer: ReceiveBuffer,
    ) -> Attempt<RequestId> {
        let request = expect(self.engine.imreceive(message, buffer))?;
        self.note_arrivals()?;
        Ok(request)
    }

    /// Throws a message away that a matched probe has taken.
    pub(super) fn discard_message(&mut self, message: MessageId) -> Attempt<()> {
        expect(self.engine.discard_message(message))?;
        self.note_arrivals()
    }

    /// Receives a message if it can be had straight from its ring.
    pub(super) fn receive_fast(
        &mut self,
        pattern: Pattern,
        buffer: &ReceiveBuffer,
    ) -> Attempt<Option<Status>> {
        let received =
            awaited(&pattern).from.and_then(|from| self.engine.step_receive(&pattern, from, buffer));
        if received.is_some() {
            self.oracle.note_receive(self.me(), self.clock, pattern);
        }
        self.note_arrivals()?;
        Ok(received)
    }

    pub(super) fn probe(&mut self, pattern: &Pattern) -> Attempt<Option<Status>> {
        let before = self.oracle.probe(self.me(), pattern);
        let found = unless_in_vain(self.engine.iprobe(awaited(pattern)), None)?;
        self.check_probe(pattern, before, found.as_ref())?;
        Ok(found)
    }

    pub(super) fn matched_probe(&mut self, pattern: &Pattern) -> Attempt<Option<(MessageId, Status)>> {
        let before = self.oracle.probe(self.me(), pattern);
        let found = unless_in_vain(self.engine.improbe(awaited(pattern)), None)?;
        self.check_probe(pattern, before, found.as_ref().map(|(_, status)| status))?;
        if found.is_some() {
            self.oracle.note_receive(self.me(), self.clock, *pattern);
        }
        Ok(found)
    }

    /// A probe that finds nothing looks once more at what has come meanwhile.
    fn check_probe(
        &mut self,
        pattern: &Pattern,
        before: Option<Facts>,
        found: Option<&Status>,
    ) -> Attempt<()> {
        self.note_arrivals()?;
        let due = before.or_else(|| self.oracle.probe(self.me(), pattern));
        let found = found.map(facts_of_status);
        if found == due {
            return Ok(());
        }
        Err(format!("a probe for {pattern:?} found {found:?}, and due was {due:?}"))
    }

    /// Cancels the receive that was posted then.
    pub(super) fn cancel(&mut self, request: RequestId, posted: u64) {
        self.oracle.note_cancel(self.me(), posted);
        self.engine.cancel(request);
    }

    /// The receive that was posted then has ended with a message.
    pub(super) fn note_end(&mut self, posted: u64, pattern: Pattern, fate: Fate) -> Attempt<()> {
        self.oracle.note_end(self.plan, (self.me(), posted, pattern), fate)
    }
}

/// In simulated jobs ranks are peers.
pub(super) fn awaited(pattern: &Pattern) -> Awaited<'_> {
    Awaited { pattern, from: pattern.source.map(|source| PeerId(source as u32)) }
}
