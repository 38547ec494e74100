//! [`Contest`]: receives of different patterns compete for the messages of one context, with probes,
//! matched probes and cancels between them. Which gets what is for the oracle to say; a contest only
//! counts. In the end every message has been received, because receives and probes for anything are
//! among what it tries again and again.

use super::{
    context::{Attempt, Context, awaited},
    flight::InFlight,
    memory::Memory,
    oracle::Fate,
    plan::Class,
    random::Random,
};
use crate::{
    envelope::{Envelope, Pattern},
    p2p::{MessageId, Until},
    status::Status,
};

/// A tag that no message has.
const NO_TAG: i32 = 1 << 20;

pub(super) struct Contest {
    random: Random,
    /// The context.
    everything: Pattern,
    envelopes: Vec<Envelope>,
    /// More posted receives than this are withdrawn.
    limit: usize,
    posted: Vec<InFlight>,
    /// Taken out of matching, with what pattern and when.
    message: Option<(MessageId, Status, Pattern, u64)>,
    /// Messages that have been received.
    received: usize,
    /// Receives that were cancelled: (withdrawn, completed all the same).
    cancelled: (usize, usize),
}

impl Contest {
    pub(super) fn new(class: &Class, envelopes: Vec<Envelope>) -> Self {
        let mut random = Random::new(class.key);
        let (limit, everything) = (random.pick(&[1, 4, 12, 40]), class.pattern);
        let (posted, message) = (Vec::new(), None);
        Self { random, everything, envelopes, limit, posted, message, received: 0, cancelled: (0, 0) }
    }

    pub(super) fn received(&self) -> usize {
        self.received
    }

    pub(super) fn cancelled(&self) -> (usize, usize) {
        self.cancelled
    }

    /// What ends the wait of a rank in which nothing else goes on.
    pub(super) fn waits_for(&self) -> Until<'_> {
        Until::Message(awaited(&self.everything))
    }

    /// Does something. True if a message has been received.
    pub(super) fn attempt(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        match self.random.below(16) {
            0..=2 => self.post(context).map(|()| false),
            3 => {
                let pattern = self.pattern();
                context.probe(&pattern).map(|_| false)
            }
            4 | 5 if self.message.is_none() => self.take(context).map(|()| false),
            6 => self.receive_fast(context),
            7 => {
                self.cancel_one(context);
                Ok(false)
            }
            8 | 9 if self.message.is_some() => self.receive_taken(context),
            _ => self.test(context),
        }
    }

    /// Withdraws what is still posted: no message is left. True if nothing is.
    pub(super) fn close(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        for flight in self.posted.iter_mut().filter(|flight| !flight.was_cancelled) {
            flight.cancel(context);
        }
        if self.test(context)? {
            return Err("a message has come that nobody sent".into());
        }
        Ok(self.posted.is_empty())
    }

    /// That of some message, or more open, or less.
    fn pattern(&mut self) -> Pattern {
        let Envelope { context, source, tag, .. } = self.random.pick(&self.envelopes);
        let exact = Pattern { context, source: Some(source), tag: Some(tag) };
        match self.random.below(12) {
            0..=2 => exact,
            3 | 4 => Pattern { tag: None, ..exact },
            5..=7 => Pattern { source: None, ..exact },
            8 => Pattern { tag: Some(NO_TAG), ..exact },
            _ => self.everything,
        }
    }

    fn room(&mut self) -> u64 {
        let largest = self.envelopes.iter().map(|envelope| envelope.bytes).max().unwrap_or(0);
        if self.random.one_in(8) { self.random.below(largest as usize + 1) as u64 } else { largest }
    }

    /// Posts a receive, if there are not too many.
    pub(super) fn post(&mut self, context: &mut Context<'_>) -> Attempt<()> {
        let (pattern, room, key) = (self.pattern(), self.room(), self.random.word());
        self.posted.push(InFlight::post(context, pattern, room, key)?);
        if self.posted.len() > self.limit {
            self.cancel_one(context);
        }
        Ok(())
    }

    fn cancel_one(&mut self, context: &mut Context<'_>) {
        if !self.posted.is_empty() {
            let place = self.random.below(self.posted.len());
            self.posted[place].cancel(context);
        }
    }

    fn take(&mut self, context: &mut Context<'_>) -> Attempt<()> {
        let (pattern, posted) = (self.pattern(), context.clock);
        let found = context.matched_probe(&pattern)?;
        self.message = found.map(|(message, status)| (message, status, pattern, posted));
        Ok(())
    }

    fn receive_fast(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        let (pattern, room, key) = (self.pattern(), self.room(), self.random.word());
        let mut memory = Memory::new(key, room);
        let buffer = memory.receive_buffer();
        let Some(status) = context.receive_fast(pattern, &buffer)? else { return Ok(false) };
        context.note_end(context.clock, pattern, Fate::Stored { status, memory })?;
        self.received += 1;
        Ok(true)
    }

    /// The message that a probe has taken: thrown away, or received, which may take its time.
    fn receive_taken(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        let Some((message, status, pattern, posted)) = self.message.take() else { return Ok(false) };
        if self.random.one_in(4) {
            context.discard_message(message)?;
            context.note_end(posted, pattern, Fate::Dropped(status))?;
            self.received += 1;
            return Ok(true);
        }
        let mut memory = Memory::new(self.random.word(), self.room());
        let request = context.receive_message(message, memory.receive_buffer())?;
        let probed = Some(status);
        self.posted.push(InFlight { request, memory, pattern, posted, probed, was_cancelled: false });
        Ok(false)
    }

    /// Tests one of the receives. True if it has got a message.
    fn test(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        if self.posted.is_empty() {
            return context.step().map(|_| false);
        }
        let ended = |flight: &InFlight| context.engine.step_is(&Until::Request(flight.request));
        let ended = self.posted.iter().position(ended);
        let place = ended.unwrap_or_else(|| self.random.below(self.posted.len()));
        let flight = &self.posted[place];
        let Some(outcome) = flight.test(context)? else { return Ok(false) };
        let was_cancelled = flight.was_cancelled;
        let is_withdrawn = self.posted.swap_remove(place).end(context, outcome)?;
        self.cancelled.0 += usize::from(is_withdrawn);
        self.cancelled.1 += usize::from(was_cancelled && !is_withdrawn);
        self.received += usize::from(!is_withdrawn);
        Ok(!is_withdrawn)
    }
}
