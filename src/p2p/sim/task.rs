//! [`Task`]: a virtual thread of a rank. It never waits: every call makes one attempt.

use super::{
    contest::Contest,
    context::{Attempt, Context, awaited, expect},
    flight::InFlight,
    memory::{Memory, contents},
    oracle::Fate,
    plan::{AtEnd, Message, Plan, Receive, ReceiveWay, SendWay, Step},
};
use crate::{
    envelope::Pattern,
    p2p::{MessageId, Mode, RequestId, Until},
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
    /// By class.
    contests: BTreeMap<usize, Contest>,
    /// Messages by class that a receive got although it was cancelled.
    surplus: BTreeMap<usize, usize>,
    attempts: u32,
    /// Cancelled receives: (withdrawn, completed all the same).
    cancelled: (usize, usize),
}

/// How far an attempt at a step has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Nowhere,
    Further,
    ToTheEnd,
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
            contests: BTreeMap::new(),
            surplus: BTreeMap::new(),
            attempts: 0,
            cancelled: (0, 0),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.next == self.steps.len()
    }

    /// Cancelled receives: (withdrawn, completed all the same).
    pub(super) fn cancelled(&self) -> (usize, usize) {
        let contests = self.contests.values().map(Contest::cancelled);
        contests.fold(self.cancelled, |sum, more| (sum.0 + more.0, sum.1 + more.1))
    }

    /// Tries the next step once. True if that is done, or has come further.
    pub(super) fn attempt(&mut self, context: &mut Context<'_>) -> Attempt<bool> {
        let Some(&step) = self.steps.get(self.next) else { return Ok(false) };
        let came = self.attempt_step(context, step);
        let came = came.map_err(|wrong| format!("{wrong}\n  at step {} ({step:?})", self.next))?;
        if came == Came::ToTheEnd {
            self.next += 1;
            self.attempts = 0;
        }
        Ok(came != Came::Nowhere)
    }

    fn attempt_step(&mut self, context: &mut Context<'_>, step: Step) -> Attempt<Came> {
        let is_done = match step {
            Step::Send { message } => self.send(context, message).map(|()| true),
            Step::WaitSend { message } => self.wait_send(context, message),
            Step::WaitSends => self.wait_sends(context),
            Step::Post { receive } => self.post(context, receive).map(|()| true),
            Step::WaitReceive { receive } => self.wait_receive(context, receive),
            Step::Receive { receive } => self.receive(context, receive),
            Step::Cancel { receive } => self.cancel(context, receive),
            Step::Contest { class, posts, until } => return self.compete(context, class, posts, until),
            Step::EndContest { class } => self.contest(context, class).close(context),
        };
        is_done.map(|is_done| if is_done { Came::ToTheEnd } else { Came::Nowhere })
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
            Step::Contest { class, .. } => self.contests.get(class).map(|contest| with(contest.waits_for())),
            Step::EndContest { .. } => None,
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
            Step::Contest { class, .. } | Step::EndContest { class } => {
                let received = self.contests.get(&class).map_or(0, Contest::received);
                let sent = plan.classes[class].messages.len();
                format!("at step {next} of {all}, {step:?}: {received} messages received of {sent} in all")
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
        let (engine, to) = (context.engine, PeerId(dest as u32));
        if way == SendWay::Buffered {
            context.send(message, |engine| engine.send_buffered(to, envelope, memory.send_buffer()))?;
            memory.scribble();
            return Ok(());
        }
        let mode = if way == SendWay::Synchronous { Mode::Synchronous } else { Mode::Standard };
        let request =
            context.send(message, |engine| engine.isend(to, envelope, mode, memory.send_buffer()))?;
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
        let Some(outcome) = context.test(request)? else { return Ok(false) };
        let status = expect(outcome)?;
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
        let Some(outcome) = flight.test(context)? else { return Ok(false) };
        let flight = self.receives.remove(&receive);
        flight.map_or(Ok(true), |flight| flight.end(context, outcome).map(|_| true))
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
                let Some(status) = context.probe(&pattern)? else { return Ok(false) };
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
        let buffer = memory.receive_buffer();
        let Some(status) = context.receive_fast(pattern, &buffer)? else {
            self.current = Some(begin(context, receive, pattern)?);
            return Ok(false);
        };
        context.note_end(context.clock, pattern, Fate::Stored { status, memory }).map(|()| true)
    }

    /// By way of a matched probe: that at one attempt, the receive at the next or much later.
    fn receive_message(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        let Receive { pattern, way, room, key, .. } = context.plan.receives[receive];
        let engine = context.engine;
        let Some((message, status, posted)) = self.message.take() else {
            let found = context.matched_probe(&pattern)?;
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
            context.discard_message(message)?;
            return context.note_end(posted, pattern, Fate::Dropped(status)).map(|()| true);
        }
        let mut memory = Memory::new(key, room);
        let request = context.receive_message(message, memory.receive_buffer())?;
        match way {
            ReceiveWay::Detached => engine.detach(request, Some(memory.into_keep())),
            ReceiveWay::Abandoned => engine.abandon(request),
            _ => {
                let probed = Some(status);
                self.current =
                    Some(InFlight { request, memory, pattern, posted, probed, was_cancelled: false });
                return Ok(false);
            }
        }
        context.note_end(posted, pattern, Fate::Dropped(status)).map(|()| true)
    }

    fn cancel(&mut self, context: &mut Context<'_>, receive: usize) -> Attempt<bool> {
        let Receive { class, pattern, .. } = context.plan.receives[receive];
        let Some(flight) = &mut self.current else {
            self.current = Some(begin(context, receive, pattern)?);
            return Ok(false);
        };
        self.attempts += 1;
        if self.attempts == CANCEL_AFTER {
            flight.cancel(context);
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
        let Some(outcome) = flight.test(context)? else { return Ok(None) };
        self.current.take().map(|flight| flight.end(context, outcome)).transpose()
    }

    fn contest(&mut self, context: &Context<'_>, class: usize) -> &mut Contest {
        let new = || {
            let class = &context.plan.classes[class];
            let envelope = |&message: &usize| context.plan.messages[message].envelope;
            Contest::new(class, class.messages.iter().map(envelope).collect())
        };
        self.contests.entry(class).or_insert_with(new)
    }

    /// A turn of a contest, in which some receives are posted first.
    fn compete(
        &mut self,
        context: &mut Context<'_>,
        class: usize,
        posts: u32,
        until: usize,
    ) -> Attempt<Came> {
        let posts_first = self.attempts < posts;
        self.attempts += u32::from(posts_first);
        let contest = self.contest(context, class);
        if posts_first {
            return contest.post(context).map(|()| Came::Nowhere);
        }
        if contest.received() >= until {
            return Ok(Came::ToTheEnd);
        }
        let has_received = contest.attempt(context)?;
        Ok(if has_received { Came::Further } else { Came::Nowhere })
    }
}

fn begin(context: &mut Context<'_>, receive: usize, pattern: Pattern) -> Attempt<InFlight> {
    let Receive { room, key, .. } = context.plan.receives[receive];
    InFlight::post(context, pattern, room, key)
}
