//! [`Task`]: a virtual thread of a rank. It never waits: every call makes one attempt.

use super::{
    memory::{Memory, contents},
    oracle::{Fate, Oracle, Received},
    plan::{AtEnd, Message, Plan, Receive, ReceiveWay, SendWay, Step},
};
use crate::{
    envelope::Pattern,
    error::Result,
    p2p::{Awaited, Engine, MessageId, Mode, RequestId, Until},
    status::Status,
    types::PeerId,
};
use std::collections::BTreeMap;

/// Attempts between a receive's posting and its cancelling.
const CANCEL_AFTER: u32 = 3;

pub(super) struct Task {
    steps: Vec<Step>,
    next: usize,
    /// What the current step has begun.
    current: Option<InFlight>,
    /// What it has taken out of matching, and when.
    message: Option<(MessageId, Status, u64)>,
    sends: BTreeMap<usize, (RequestId, Memory)>,
    receives: BTreeMap<usize, InFlight>,
    /// Messages by class that a receive got although it was cancelled.
    surplus: BTreeMap<usize, usize>,
    attempts: u32,
    /// Cancelled receives: (withdrawn, completed all the same).
    pub(super) cancelled: (usize, usize),
}

/// A receive that has been begun.
struct InFlight {
    request: RequestId,
    memory: Memory,
    pattern: Pattern,
    posted: u64,
    /// What a probe has said about the message.
    probed: Option<Status>,
}

/// What a task needs of the world around it.
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) engine: &'a Engine,
    pub(super) oracle: &'a mut Oracle,
    /// Counts attempts: the time.
    pub(super) clock: u64,
}

/// What an attempt came to: a wrong result, or an error that has no place here.
pub(super) type Attempt<T> = std::result::Result<T, String>;

fn expect<T>(result: Result<T>) -> Attempt<T> {
    result.map_err(|error| error.to_string())
}

impl Task {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self {
            steps,
            next: 0,
            current: None,
            message: None,
            sends: BTreeMap::new(),
            receives: BTreeMap::new(),
            surplus: BTreeMap::new(),
            attempts: 0,
            cancelled: (0, 0),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.next == self.steps.len()
    }

    /// Tries the next step once. True if that is done.
    pub(super) fn attempt(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        let Some(&step) = self.steps.get(self.next) else { return Ok(false) };
        let is_done = match step {
            Step::Send { message } => self.send(context, message).map(|()| true),
            Step::WaitSend { message } => self.wait_send(context, message),
            Step::WaitSends => self.wait_sends(context),
            Step::Post { receive } => self.post(context, receive).map(|()| true),
            Step::WaitReceive { receive } => self.wait_receive(context, receive),
            Step::Receive { receive } => self.receive(context, receive),
            Step::Cancel { receive } => self.cancel(context, receive),
        }
        .map_err(|wrong| format!("{wrong}\n  at step {} ({step:?})", self.next))?;
        if is_done {
            self.next += 1;
            self.attempts = 0;
        }
        Ok(is_done)
    }

    /// Calls `with` with what the task waits for, if it does.
    pub(super) fn while_waiting<T>(&self, plan: &Plan, with: impl FnOnce(Until<'_>) -> T) -> Option<T> {
        let request_of = |request: Option<RequestId>| request.map(Until::Request);
        let current = self.current.as_ref().map(|flight| flight.request);
        match self.steps.get(self.next)? {
            Step::Send { .. } | Step::Post { .. } => None,
            Step::WaitSend { message } => request_of(self.sends.get(message).map(|send| send.0)).map(with),
            Step::WaitSends => {
                let requests: Vec<_> = self.sends.values().map(|send| send.0).collect();
                Some(with(Until::Any(&requests)))
            }
            Step::WaitReceive { receive } => {
                request_of(self.receives.get(receive).map(|flight| flight.request)).map(with)
            }
            Step::Cancel { .. } => request_of(current).map(with),
            Step::Receive { receive } => {
                let pattern = plan.receives[*receive].pattern;
                let waits = self.message.is_none();
                waits.then(|| with(request_of(current).unwrap_or(Until::Message(awaited(&pattern)))))
            }
        }
    }

    pub(super) fn describe(&self, plan: &Plan) -> String {
        let Some(step) = self.steps.get(self.next) else { return "finished".into() };
        let (next, all) = (self.next, self.steps.len());
        match *step {
            Step::Send { message } | Step::WaitSend { message } => {
                format!("at step {next} of {all}, {step:?}: {:?}", plan.messages[message])
            }
            Step::WaitSends => {
                let left: Vec<_> = self.sends.keys().map(|&message| plan.messages[message]).collect();
                format!("at step {next} of {all}, {step:?}: {left:?}")
            }
            Step::Post { receive }
            | Step::WaitReceive { receive }
            | Step::Receive { receive }
            | Step::Cancel { receive } => {
                format!("at step {next} of {all}, {step:?}: {:?}", plan.receives[receive])
            }
        }
    }

    fn send(&mut self, context: &mut Context<'_>, message: usize) -> Attempt<()> {
        let Message { dest, envelope, way, is_in_arena, key, .. } = context.plan.messages[message];
        let mut memory = Memory::new(key, envelope.bytes);
        if is_in_arena {
            let arena = expect(context.engine.arena())?;
            memory = memory.moved_to(arena).map_err(|error| error.to_string())?;
        }
        memory.fill(&contents(key, envelope.bytes));
        context.oracle.note_send(message);
        let (engine, to) = (context.engine, PeerId(dest as u32));
        if way == SendWay::Buffered {
            expect(engine.send_buffered(to, envelope, memory.send_buffer()))?;
            memory.scribble();
            return Ok(());
        }
        let mode = if way == SendWay::Synchronous { Mode::Synchronous } else { Mode::Standard };
        let request = expect(engine.isend(to, envelope, mode, memory.send_buffer()))?;
        match way {
            SendWay::Detached => engine.detach(request, Some(memory.into_keep())),
            SendWay::Abandoned => {
                engine.abandon(request);
                memory.scribble();
            }
            _ => _ = self.sends.insert(message, (request, memory)),
        }
        Ok(())
    }

    fn wait_send(&mut self, context: &mut Context<'_>, message: usize) -> Attempt<bool> {
        let Some(&(request, _)) = self.sends.get(&message) else { return Ok(true) };
        if !expect(context.engine.test(request))? {
            return Ok(false);
        }
        let status = expect(context.engine.take_outcome(request))?;
        if status != Status::EMPTY {
            return Err(format!("a send ended with {status:?}"));
        }
        if let Some((_, mut memory)) = self.sends.remove(&message) {
            memory.scribble();
        }
        Ok(true)
    }

    /// One of the sends that are left, in turn.
    fn wait_sends(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        let turn = self.attempts as usize % self.sends.len().max(1);
        self.attempts += 1;
        if let Some(&message) = self.sends.keys().nth(turn) {
            match context.plan.messages[message].at_end {
                AtEnd::Wait => _ = self.wait_send(context, message)?,
                AtEnd::Detach => self.let_go(message, |request, memory| {
                    context.engine.detach(request, Some(memory.into_keep()));
                }),
                AtEnd::Abandon => self.let_go(message, |request, mut memory| {
                    context.engine.abandon(request);
                    memory.scribble();
                }),
            }
        }
        Ok(self.sends.is_empty())
    }

    fn let_go(&mut self, message: usize, how: impl FnOnce(RequestId, Memory)) {
        if let Some((request, memory)) = self.sends.remove(&message) {
            how(request, memory);
        }
    }

    /// Whether a cancelled receive has got the message of this one.
    fn takes_surplus(&mut self, class: usize) -> bool {
        let surplus = self.surplus.entry(class).or_default();
        let has_some = *surplus > 0;
        *surplus -= usize::from(has_some);
        has_some
    }

    fn post(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<()> {
        let Receive { class, pattern, .. } = context.plan.receives[receive];
        if !self.takes_surplus(class) {
            let flight = begin(context, receive, pattern)?;
            self.receives.insert(receive, flight);
        }
        Ok(())
    }

    fn wait_receive(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        let Some(flight) = self.receives.get(&receive) else { return Ok(true) };
        let Some(outcome) = outcome_of(context.engine, flight.request)? else { return Ok(false) };
        let flight = self.receives.remove(&receive);
        flight.map_or(Ok(true), |flight| end(context, flight, outcome).map(|_| true))
    }

    fn receive(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        if self.current.is_some() {
            return self.end_current(context).map(|ended| ended.is_some());
        }
        let Receive { class, pattern, way, .. } = context.plan.receives[receive];
        if self.takes_surplus(class) {
            return Ok(true);
        }
        match way {
            ReceiveWay::Posted => self.current = Some(begin(context, receive, pattern)?),
            ReceiveWay::Fast => return self.receive_fast(context, receive),
            ReceiveWay::Probed => {
                let Some(status) = expect(context.engine.iprobe(awaited(&pattern)))? else {
                    return Ok(false);
                };
                let exact = Pattern {
                    source: Some(status.source()),
                    tag: Some(status.tag()),
                    context: pattern.context,
                };
                let flight = begin(context, receive, exact)?;
                self.current = Some(InFlight { probed: Some(status), ..flight });
            }
            _ => return self.receive_message(context, receive),
        }
        Ok(false)
    }

    fn receive_fast(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        let Receive { pattern, room, key, .. } = context.plan.receives[receive];
        let mut memory = Memory::new(key, room);
        let from = awaited(&pattern).from;
        let status = from.and_then(|from| {
            let mut buffer = memory.receive_buffer();
            context.engine.step_receive(&pattern, from, &mut buffer)
        });
        let Some(status) = status else {
            self.current = Some(begin(context, receive, pattern)?);
            return Ok(false);
        };
        note(context, context.clock, pattern, Fate::Stored { status, memory });
        Ok(true)
    }

    /// By way of a matched probe: that at one attempt, the receive at the next or much later.
    fn receive_message(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        let Receive { pattern, way, room, key, .. } = context.plan.receives[receive];
        let engine = context.engine;
        let Some((message, status, posted)) = self.message.take() else {
            let found = expect(engine.improbe(awaited(&pattern)))?;
            self.message = found.map(|(message, status)| (message, status, context.clock));
            self.attempts = if key % 16 == 0 { 100 } else { 0 };
            return Ok(false);
        };
        if self.attempts > 0 {
            self.attempts -= 1;
            self.message = Some((message, status, posted));
            return Ok(false);
        }
        if way == ReceiveWay::Discarded {
            expect(engine.discard_message(message))?;
            note(context, posted, pattern, Fate::Dropped(status));
            return Ok(true);
        }
        let mut memory = Memory::new(key, room);
        let request = expect(engine.imreceive(message, memory.receive_buffer()))?;
        match way {
            ReceiveWay::Detached => engine.detach(request, Some(memory.into_keep())),
            ReceiveWay::Abandoned => engine.abandon(request),
            _ => {
                self.current = Some(InFlight { request, memory, pattern, posted, probed: Some(status) });
                return Ok(false);
            }
        }
        note(context, posted, pattern, Fate::Dropped(status));
        Ok(true)
    }

    fn cancel(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        let Receive { class, pattern, .. } = context.plan.receives[receive];
        let Some(flight) = &self.current else {
            self.current = Some(begin(context, receive, pattern)?);
            return Ok(false);
        };
        self.attempts += 1;
        if self.attempts == CANCEL_AFTER {
            context.engine.cancel(flight.request);
        }
        let Some(is_cancelled) = self.end_current(context)? else { return Ok(false) };
        if is_cancelled {
            self.cancelled.0 += 1;
        } else {
            self.cancelled.1 += 1;
            *self.surplus.entry(class).or_default() += 1;
        }
        Ok(true)
    }

    /// Whether the current receive was cancelled, once it has ended.
    fn end_current(&mut self, context: &mut Context<'_>) -> Attempt<Option<bool>> {
        let Some(flight) = &self.current else { return Ok(None) };
        let Some(outcome) = outcome_of(context.engine, flight.request)? else { return Ok(None) };
        self.current.take().map(|flight| end(context, flight, outcome)).transpose()
    }
}

/// In simulated jobs ranks are peers.
pub(super) fn awaited(pattern: &Pattern) -> Awaited<'_> {
    Awaited { pattern, from: pattern.source.map(|source| PeerId(source as u32)) }
}

fn begin(context: &mut Context<'_>, receive: usize, pattern: Pattern) -> Attempt<InFlight> {
    let Receive { room, key, .. } = context.plan.receives[receive];
    let mut memory = Memory::new(key, room);
    let from = awaited(&pattern).from;
    let request = expect(context.engine.ireceive(pattern, from, memory.receive_buffer()))?;
    Ok(InFlight { request, memory, pattern, posted: context.clock, probed: None })
}

fn outcome_of(engine: &Engine, request: RequestId) -> Attempt<Option<Result<Status>>> {
    Ok(expect(engine.test(request))?.then(|| engine.take_outcome(request)))
}

/// Records what a receive has got. True if it was cancelled.
fn end(context: &mut Context<'_>, flight: InFlight, outcome: Result<Status>) -> Attempt<bool> {
    let InFlight { memory, pattern, posted, probed, .. } = flight;
    let fate = match outcome {
        Ok(status) if status.is_cancelled() => return memory.check(&[]).map(|()| true),
        Ok(status) => Fate::Stored { status, memory },
        Err(error) => match error.as_truncated() {
            Some(facts) => Fate::Truncated { facts, memory },
            None => return Err(error.to_string()),
        },
    };
    if let Some(status) = probed {
        let probed = (status.source(), status.tag(), status.bytes());
        if fate.facts() != probed {
            return Err(format!("probed (source, tag, bytes) {probed:?}, received {:?}", fate.facts()));
        }
    }
    note(context, posted, pattern, fate);
    Ok(false)
}

fn note(context: &mut Context<'_>, posted: u64, pattern: Pattern, fate: Fate) {
    let dest = context.engine.me().index();
    context.oracle.note_receive(posted, Received { dest, pattern, fate });
}
