//! Schedules: what a rank does in a collective, step by step, in terms of messages, copies and combinations.
//!
//! `coll` builds them; they run here in either of two ways. [`Engine::run`] is the blocking one: the calling
//! thread takes the steps, with its own operation and memory that is borrowed. [`Engine::begin`] makes a request
//! of them, which whoever makes progress advances: the engine holds the memory, and combinations, which may call
//! the user's code, are done outside of its lock (PROTOCOL.md, Schedules).

use super::{
    Core, Engine, RequestId, job_ended,
    notices::failed_elsewhere,
    request::{Mode, State},
};
use crate::{
    buffer::{BorrowedOperation, Combination, Keep, ReceiveBytes, Scratch, SendBytes, SharedOperation},
    envelope::{Envelope, NOTICE_MARK, Pattern, mark_of, marked},
    error::{Error, ErrorClass, Result, Truncated},
    status::Status,
    sys::biased_lock::Guard,
    types::{ContextId, PeerId, Rank, Tag},
};
use std::{
    fmt::Display,
    sync::{Arc, PoisonError},
};

/// What the messages of a schedule say of themselves.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    /// In which others receive,
    pub(crate) sends_in: ContextId,
    /// and in which this rank does.
    pub(crate) receives_in: ContextId,
    /// This rank in the communicator.
    pub(crate) rank: Rank,
    /// What the collective is called in errors.
    pub(crate) function: &'static str,
    pub(crate) tag: Tag,
    pub(crate) order: ChannelOrder,
}

/// Whether other schedules use the channel's contexts at the same time.
#[derive(Clone, Copy)]
pub(crate) enum ChannelOrder {
    /// They may: the tag tells the messages of one from those of another. If a message with the tag has another
    /// mark its rank is in another collective; the function says which, unless the two may meet.
    Overlapping { mark: u32, compare: fn(from: Rank, theirs: u32, ours: u32) -> Result<()> },
    /// One after the other on all ranks. So the next message of a rank is of this schedule, and if its tag is
    /// another one that rank is in another collective, which the function says.
    Consecutive(fn(from: Rank, theirs: Tag, ours: Tag) -> Error),
}

/// One step. Messages begin at once, and end whenever they do; what relies on one's end comes behind an
/// [`Await`](Self::Await).
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Send {
        to: PeerId,
        from: SendBytes,
    },
    /// A message of just that length.
    Receive {
        from: PeerId,
        source: Rank,
        into: ReceiveBytes,
    },
    /// Until a message has ended: they are counted from 0, sends and receives alike.
    Await(usize),
    /// Until all messages so far have.
    AwaitAll,
    Copy {
        from: SendBytes,
        into: ReceiveBytes,
    },
    Combine(Combination),
}

/// The steps of one rank, and the memory that they need beside the user's.
pub(crate) struct Schedule {
    pub(crate) channel: Channel,
    pub(crate) steps: Vec<Step>,
    /// How many of them are messages.
    pub(crate) messages: usize,
    pub(crate) scratch: Vec<Scratch>,
    /// Of a request that reduces.
    pub(crate) operation: Option<SharedOperation>,
}

impl Schedule {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { channel, steps: Vec::new(), messages: 0, scratch: Vec::new(), operation: None }
    }

    fn envelope(&self, from: SendBytes) -> Envelope {
        let Channel { sends_in: context, rank, tag, order, .. } = self.channel;
        let source = match order {
            ChannelOrder::Overlapping { mark, .. } => marked(rank, mark),
            ChannelOrder::Consecutive(_) => rank,
        };
        Envelope { context, source, tag, bytes: from.len() }
    }

    fn pattern(&self, source: Rank) -> Pattern {
        let Channel { receives_in: context, tag, order, .. } = self.channel;
        let tag = matches!(order, ChannelOrder::Overlapping { .. }).then_some(tag);
        Pattern { context, source: Some(source), tag }
    }

    /// Whether what has come from a rank is what it should be: of this collective, and of this length.
    fn check(&self, source: Rank, received: Result<Status>, expected: u64) -> Result<()> {
        let (marked, tag, bytes) = match received {
            Ok(status) => (status.source(), status.tag(), status.bytes()),
            Err(error) => match error.as_truncated() {
                Some(Truncated { source, tag, sent, .. }) => (source, tag, sent),
                None => return Err(error),
            },
        };
        match self.channel.order {
            ChannelOrder::Consecutive(mismatch) if tag != self.channel.tag => {
                return Err(mismatch(source, tag, self.channel.tag));
            }
            ChannelOrder::Overlapping { mark, compare } if mark_of(marked) != mark => match mark_of(marked) {
                NOTICE_MARK => return Err(failed_elsewhere(source).of(self.channel.function)),
                theirs => compare(source, theirs, mark)?,
            },
            _ => {}
        }
        check_size(self.channel.function, source, bytes, expected)
    }
}

/// All ranks of a collective say the same of its lengths.
#[inline]
pub(crate) fn check_size(function: impl Display, from: Rank, got: u64, expected: u64) -> Result<()> {
    if got == expected { Ok(()) } else { Err(other_size(&function, from, got, expected)) }
}

#[cold]
fn other_size(function: &impl Display, from: Rank, got: u64, expected: u64) -> Error {
    let class = if got > expected { ErrorClass::TRUNCATE } else { ErrorClass::COUNT };
    let what =
        format!("{function}: rank {from} took part with {got} bytes where this rank expected {expected}");
    Error::new(class, what).with_help("all ranks have to call the collective with counts that fit together")
}

/// A message of a schedule that has begun.
#[derive(Clone, Copy)]
struct Begun {
    id: RequestId,
    /// Of a receive: whose message, and how long it has to be.
    expected: Option<(Rank, u64)>,
    /// Its outcome has been taken.
    has_ended: bool,
}

impl Begun {
    fn new(id: RequestId, expected: Option<(Rank, u64)>) -> Self {
        Self { id, expected, has_ended: false }
    }

    fn check(&mut self, schedule: &Schedule, outcome: Result<Status>) -> Result<()> {
        self.has_ended = true;
        match self.expected {
            Some((source, bytes)) => schedule.check(source, outcome, bytes),
            None => outcome.map(drop),
        }
    }
}

/// The messages of a blocking schedule; those that have not ended when it is dropped are given up.
struct Messages<'a> {
    engine: &'a Engine,
    schedule: &'a Schedule,
    begun: Vec<Begun>,
}

impl Messages<'_> {
    fn send(&mut self, to: PeerId, from: SendBytes) -> Result<()> {
        let envelope = self.schedule.envelope(from);
        let id = self.engine.isend(to, envelope, Mode::Standard, from)?;
        self.begun.push(Begun::new(id, None));
        Ok(())
    }

    /// Begins to receive; or receives, if nothing but sends lies between this step and the wait for it.
    fn receive(&mut self, from: PeerId, source: Rank, into: ReceiveBytes, rest: &mut &[Step]) -> Result<()> {
        let (pattern, number) = (self.schedule.pattern(source), self.begun.len());
        let mut sends = rest.iter().take_while(|step| matches!(step, Step::Send { .. })).count();
        if !matches!(rest.get(sends), Some(Step::Await(awaited)) if *awaited == number) {
            let id = self.engine.ireceive(pattern, Some(from), into)?;
            self.begun.push(Begun::new(id, Some((source, into.len()))));
            return Ok(());
        }
        // Its place among the messages is before the sends'.
        self.begun.push(Begun::new(RequestId::COMPLETE, None));
        while sends > 0 {
            if let [Step::Send { to, from }, behind @ ..] = rest {
                self.send(*to, *from)?;
                *rest = behind;
            }
            sends -= 1;
        }
        let received = self.engine.receive(pattern, Some(from), into);
        self.schedule.check(source, received, into.len())
    }

    fn wait(&mut self, number: usize) -> Result<()> {
        let begun = &mut self.begun[number];
        if begun.has_ended {
            return Ok(());
        }
        // Whatever comes of it, the request is no more.
        begun.has_ended = true;
        let outcome = self.engine.wait(begun.id);
        begun.check(self.schedule, outcome)
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        let open = self.begun.iter().filter(|begun| !begun.has_ended);
        open.for_each(|begun| self.engine.abandon(begun.id));
    }
}

impl Engine {
    /// Takes all steps, and waits for what they begin. The memory that they name is borrowed by the caller.
    pub(crate) fn run(&self, schedule: &Schedule, operation: Option<BorrowedOperation<'_>>) -> Result<()> {
        let begun = Vec::with_capacity(schedule.messages);
        let mut messages = Messages { engine: self, schedule, begun };
        let mut rest = &schedule.steps[..];
        while let [step, behind @ ..] = rest {
            rest = behind;
            // The user's operation may have forked this process.
            self.check_caller()?;
            match *step {
                Step::Send { to, from } => messages.send(to, from)?,
                Step::Receive { from, source, into } => messages.receive(from, source, into, &mut rest)?,
                Step::Await(number) => messages.wait(number)?,
                Step::AwaitAll => (0..messages.begun.len()).try_for_each(|number| messages.wait(number))?,
                Step::Copy { from, into } => into.copy_from(from),
                Step::Combine(combination) => {
                    let operation = operation.expect("a reduction has an operation");
                    self.run_operation(operation.is_built_in, || (operation.combine)(combination))?;
                }
            }
        }
        (0..messages.begun.len()).try_for_each(|number| messages.wait(number))
    }

    /// Makes a request of the steps. The memory that they name is the schedule's own, in `keeps`, or stays
    /// valid until the request has ended.
    pub(crate) fn begin(&self, schedule: Arc<Schedule>, keeps: Vec<Keep>) -> Result<RequestId> {
        // It holds the user's operation, which is not dropped under the lock.
        let _until_then = Arc::clone(&schedule);
        let mut core = self.enter()?;
        let id = core.unless_failed(|core| core.begin_schedule(schedule, keeps))?;
        // Not here: if the operation panicked, nobody would hold the memory.
        if core.has_combination() {
            core.role.wake_holder(&core.bell);
        }
        Ok(id)
    }

    /// The request holds the memory until it has ended, or the engine is no more.
    pub(crate) fn keep(&self, id: RequestId, keep: Keep) {
        if let Ok(mut core) = self.enter_to_drop()
            && let Some(running) = core.requests.schedule(id)
        {
            running.keeps.push(keep);
        }
    }

    /// Makes progress once.
    #[cold]
    pub(crate) fn look_in(&self) -> Result<()> {
        let mut core = self.enter()?;
        core.poll()?;
        self.combining(core).map(drop)
    }

    /// The lock, after the combinations that schedules have come to. Errs in a child that one of them has forked.
    #[inline]
    pub(super) fn combining<'a>(&'a self, core: Guard<'a, Core>) -> Result<Guard<'a, Core>> {
        if !core.has_combination() {
            return Ok(core);
        }
        drop(core);
        self.combine_all()?;
        Ok(self.lock())
    }

    /// Does the combinations that schedules have come to, without the lock. Errs in a child that one of them has
    /// forked.
    pub(super) fn combine_all(&self) -> Result<()> {
        loop {
            let mut core = self.lock();
            let (taken, over) = (core.take_combination(), std::mem::take(&mut core.over));
            drop(core);
            drop(over);
            let Some(Combining { id, schedule, combination }) = taken else { return Ok(()) };
            let operation = schedule.operation.as_ref().expect("a reduction has an operation");
            // A panic in there ends the job.
            let combine = operation.combine.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = self.run_operation(operation.is_built_in, || combine(combination));
            drop(combine);
            self.enter_to_drop()?.finish_combination(id, outcome);
        }
    }
}

/// A schedule that is a request.
pub(super) struct Running {
    schedule: Arc<Schedule>,
    /// The next step.
    next: usize,
    begun: Vec<Begun>,
    /// A thread does the step, which is a combination; or one will.
    is_combining: bool,
    keeps: Vec<Keep>,
}

impl Running {
    pub(super) fn hold(&mut self, keeps: impl Iterator<Item = Keep>) {
        self.keeps.extend(keeps);
    }

    /// In which it sends and receives.
    pub(super) fn contexts(&self) -> [ContextId; 2] {
        [self.schedule.channel.sends_in, self.schedule.channel.receives_in]
    }

    pub(super) fn tag(&self) -> Tag {
        self.schedule.channel.tag
    }

    /// The other ranks that take messages of steps to come, or send them.
    pub(super) fn partners_to_come(&self) -> impl Iterator<Item = PeerId> + '_ {
        partners(&self.schedule.steps[self.next..])
    }

    /// As [`Self::partners_to_come`], of all steps.
    pub(super) fn partners(&self) -> impl Iterator<Item = PeerId> + '_ {
        partners(&self.schedule.steps)
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.schedule.channel
    }

    /// Whether a step to come takes a message of the peer (`takes`), or sends it one.
    pub(super) fn is_to_come(&self, peer: PeerId, takes: bool) -> bool {
        self.schedule.steps[self.next..].iter().any(|step| match step {
            Step::Send { to, .. } => !takes && *to == peer,
            Step::Receive { from, .. } => takes && *from == peer,
            _ => false,
        })
    }

    pub(super) fn is_combining(&self) -> bool {
        self.is_combining
    }

    /// The messages that have not ended, as far as the schedule knows.
    pub(super) fn open(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.begun.iter().filter(|begun| !begun.has_ended).map(|begun| begun.id)
    }
}

fn partners(steps: &[Step]) -> impl Iterator<Item = PeerId> + '_ {
    steps.iter().filter_map(|step| match step {
        Step::Send { to: partner, .. } | Step::Receive { from: partner, .. } => Some(*partner),
        _ => None,
    })
}

/// A combination that a thread has taken over.
struct Combining {
    id: RequestId,
    schedule: Arc<Schedule>,
    combination: Combination,
}

/// How far a schedule has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waits,
    Ended,
}

impl Core {
    fn begin_schedule(&mut self, schedule: Arc<Schedule>, keeps: Vec<Keep>) -> Result<RequestId> {
        if self.segment.is_ended() {
            return Err(job_ended());
        }
        let begun = Vec::with_capacity(schedule.messages);
        let running = Running { schedule, next: 0, begun, is_combining: false, keeps };
        let id = self.requests.insert(State::Schedule(Box::new(running)));
        self.schedules.push(id);
        // If shared memory is corrupted every later call says so, and the request holds its memory.
        let _ = self.unless_failed(Self::advance_schedules);
        Ok(id)
    }

    /// Takes the steps that can be taken. True if there were any.
    pub(super) fn advance_schedules(&mut self) -> Result<bool> {
        // What begins a message may poll.
        if std::mem::replace(&mut self.is_advancing, true) {
            return Ok(false);
        }
        let moved = self.try_advance_schedules();
        self.is_advancing = false;
        moved
    }

    fn try_advance_schedules(&mut self) -> Result<bool> {
        let (mut moved, mut index) = (false, 0);
        while index < self.schedules.len() {
            let id = self.schedules[index];
            let Some(mut running) = self.requests.take_schedule(id) else {
                self.schedules.swap_remove(index);
                continue;
            };
            let before = (running.next, running.is_combining);
            let progress = self.advance(id, &mut running);
            moved |= before != (running.next, running.is_combining);
            let outcome = match progress {
                Ok(Progress::Waits) => {
                    self.requests.put_schedule(id, running);
                    index += 1;
                    continue;
                }
                // Reported by every call, and nothing moves any more.
                Err(error) if error.class() == ErrorClass::INTERN => {
                    let open: Vec<RequestId> = running.open().collect();
                    self.requests.put_schedule(id, running);
                    open.into_iter().for_each(|open| self.abandon(open));
                    return Err(error);
                }
                Ok(Progress::Ended) => Ok(Status::EMPTY),
                Err(error) => Err(error),
            };
            moved = true;
            self.schedules.swap_remove(index);
            self.finish_schedule(id, *running, outcome);
        }
        Ok(moved)
    }

    fn advance(&mut self, id: RequestId, running: &mut Running) -> Result<Progress> {
        if running.is_combining {
            return Ok(Progress::Waits);
        }
        let schedule = Arc::clone(&running.schedule);
        while let Some(step) = schedule.steps.get(running.next) {
            match *step {
                Step::Send { to, from } => {
                    let envelope = schedule.envelope(from);
                    let message = self.try_post_send(to, envelope, Mode::Standard, from.into())?;
                    running.begun.push(Begun::new(message, None));
                }
                Step::Receive { from, source, into } => {
                    let message = self.post_receive(schedule.pattern(source), Some(from), into)?;
                    running.begun.push(Begun::new(message, Some((source, into.len()))));
                }
                Step::Await(number) => {
                    if !self.has_ended(&schedule, &mut running.begun[number])? {
                        return Ok(Progress::Waits);
                    }
                }
                Step::AwaitAll => {
                    if !self.have_all_ended(&schedule, running)? {
                        return Ok(Progress::Waits);
                    }
                }
                Step::Copy { from, into } => into.copy_from(from),
                Step::Combine(_) => {
                    running.is_combining = true;
                    self.combinations.push_back(id);
                    return Ok(Progress::Waits);
                }
            }
            running.next += 1;
        }
        Ok(if self.have_all_ended(&schedule, running)? { Progress::Ended } else { Progress::Waits })
    }

    fn has_ended(&mut self, schedule: &Schedule, begun: &mut Begun) -> Result<bool> {
        if !begun.has_ended
            && let Some(outcome) = self.requests.take_outcome(begun.id)
        {
            begun.check(schedule, outcome)?;
        }
        Ok(begun.has_ended)
    }

    fn have_all_ended(&mut self, schedule: &Schedule, running: &mut Running) -> Result<bool> {
        let mut all = true;
        for begun in &mut running.begun {
            all &= self.has_ended(schedule, begun)?;
        }
        Ok(all)
    }

    /// Whether a schedule has come to a combination that no thread does yet, or is over and not dropped yet: what is
    /// done without the lock.
    #[inline]
    pub(super) fn has_combination(&self) -> bool {
        !(self.combinations.is_empty() && self.over.is_empty())
    }

    fn take_combination(&mut self) -> Option<Combining> {
        while let Some(id) = self.combinations.pop_front() {
            let Some(running) = self.requests.schedule(id) else { continue };
            if let Some(Step::Combine(combination)) = running.schedule.steps.get(running.next) {
                let (schedule, combination) = (Arc::clone(&running.schedule), *combination);
                return Some(Combining { id, schedule, combination });
            }
        }
        None
    }

    fn finish_combination(&mut self, id: RequestId, outcome: Result<()>) {
        let Some(running) = self.requests.schedule(id) else { return };
        running.is_combining = false;
        match outcome {
            Ok(()) => running.next += 1,
            Err(error) => self.end_schedule(id, error),
        }
        // An error is kept, and reported by every later call.
        let _ = self.unless_failed(Self::advance_schedules);
        // The steps that follow may lack credit, or have been the last that a rank that leaves waited for.
        self.role.wake_watched(true);
        self.role.wake_holder(&self.bell);
    }

    /// Ends a schedule before its time; its messages are given up.
    pub(super) fn end_schedule(&mut self, id: RequestId, error: Error) {
        self.schedules.retain(|other| *other != id);
        if let Some(running) = self.requests.take_schedule(id) {
            self.finish_schedule(id, *running, Err(error));
        }
    }

    /// The request of a schedule that has been taken out ends. Messages that have not ended are given up: the memory
    /// goes with the schedule. It also holds the user's operation, which is dropped without the lock.
    fn finish_schedule(&mut self, id: RequestId, running: Running, outcome: Result<Status>) {
        let open: Vec<RequestId> = running.open().collect();
        if outcome.is_err() {
            self.tell_partners(&running, &open);
        }
        open.into_iter().for_each(|open| self.abandon(open));
        self.over.push(running);
        self.note_end_of_schedule();
        self.end(id, outcome);
    }

    /// The messages of all schedules.
    pub(super) fn scheduled_messages(&mut self) -> Vec<RequestId> {
        let mut messages = Vec::new();
        for id in &self.schedules {
            if let Some(running) = self.requests.schedule(*id) {
                messages.extend(running.open());
            }
        }
        messages
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        buffer::{Operation, Order, of_slice, of_slice_mut},
        p2p::{Awaited, Config, Until},
        shm::{doorbell::BarrierMode, segment::Segment},
    };
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::Mutex,
    };

    const CONTEXT: ContextId = ContextId(16);
    const SOURCE: Option<PeerId> = Some(PeerId(1));

    /// Receives a number from rank 1, and combines it.
    fn schedule(combine: impl Fn(Combination) -> Result<()> + Send + 'static) -> Schedule {
        let order = ChannelOrder::Overlapping { mark: 0, compare: |_, _, _| unreachable!("no other marks") };
        let channel =
            Channel { sends_in: CONTEXT, receives_in: CONTEXT, rank: 0, function: "f", tag: 1, order };
        let mut scratch = Scratch::new(16).unwrap();
        let (theirs, into) = (scratch.memory().part(0, 8), scratch.memory().part(8, 8));
        let combination = Combination { from: theirs.to_send(), into, order: Order::IntoLower };
        let steps = vec![
            Step::Receive { from: PeerId(1), source: 1, into: theirs },
            Step::Await(0),
            Step::Combine(combination),
        ];
        let operation =
            Some(Operation { is_built_in: false, combine: Mutex::new(Box::new(combine) as Box<_>) });
        Schedule { steps, messages: 1, scratch: vec![scratch], operation, ..Schedule::new(channel) }
    }

    type Receive = fn(&Engine, Pattern, ReceiveBytes) -> Result<()>;

    /// Ways to receive; all of them wait.
    const WAYS: [Receive; 3] = [
        |engine, pattern, into| engine.receive(pattern, SOURCE, into).map(drop),
        |engine, pattern, into| engine.wait(engine.ireceive(pattern, SOURCE, into)?).map(drop),
        |engine, pattern, into| {
            let never = Pattern { tag: Some(3), ..pattern };
            let wait = || engine.wait_until(Until::Message(Awaited { pattern: &never, from: SOURCE }));
            engine.receive_while(pattern, SOURCE, into, wait).map(drop)
        },
    ];

    #[test]
    fn a_panic_of_an_operation_gives_up_the_receive_that_it_unwinds_from() {
        for receive in WAYS {
            let segment = Segment::on_heap(2).unwrap();
            let config = Config::new(BarrierMode::Fence);
            let engines = [0, 1].map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap());
            let [receiver, sender] = &engines;
            let send = |tag| {
                let envelope = Envelope { context: CONTEXT, source: 1, tag, bytes: 8 };
                sender.isend(PeerId(0), envelope, Mode::Standard, of_slice(&[1u64])).unwrap();
            };
            let panics = schedule(|_| panic!("on purpose"));
            let id = receiver.begin(Arc::new(panics), vec![]).unwrap();
            send(1);
            let mut into = [7u64];
            let bytes = of_slice_mut(&mut into);
            let pattern = Pattern { context: CONTEXT, source: Some(1), tag: Some(2) };
            let caught = catch_unwind(AssertUnwindSafe(|| receive(receiver, pattern, bytes)));
            assert!(caught.is_err() && segment.is_ended());
            // Nobody takes what comes for the receive.
            send(2);
            receiver.step().unwrap();
            let (requests, unexpected, _) = receiver.held();
            assert_eq!((into, requests, unexpected), ([7], 1, 1));
            receiver.abandon(id);
        }
    }
}
