//! Both queues beside plain vectors that are searched from the front: any bytes are a sequence of
//! operations, and after each of them queue and vector must agree.

use super::{PostedId, PostedQueue, UnexpectedId, UnexpectedQueue};
use crate::{
    envelope::{Envelope, MARK_BITS, Pattern, marked},
    shm::contexts::{CONTEXTS_EACH, OVERLAPPING},
    types::ContextId,
};

/// Runs the operations that `data` spells, and panics where a queue and its oracle differ.
///
/// The first byte says how many different keys there are and whether the queues tend to grow; each
/// operation takes four bytes.
pub(crate) fn fuzz(data: &[u8]) {
    let Some((&shape, data)) = data.split_first() else { return };
    let mut posted = Posted::new();
    let mut unexpected = Unexpected::new();
    for bytes in data.chunks_exact(4) {
        let step = Step::read(shape, bytes);
        if bytes[0] & 0x80 == 0 {
            posted.apply(&step);
        } else {
            unexpected.apply(&step);
        }
    }
    posted.check_all();
    unexpected.check_all();
}

/// One operation and what it is about.
struct Step {
    operation: Operation,
    envelope: Envelope,
    pattern: Pattern,
    /// Picks one of all ids ever given.
    pick: usize,
}

#[derive(Clone, Copy)]
enum Operation {
    /// Post a receive, or push a message.
    Add,
    /// Look, and leave everything as it is.
    Look,
    Take,
    /// Withdraw or remove by id.
    TakeById,
}

impl Step {
    fn read(shape: u8, bytes: &[u8]) -> Self {
        let &[control, source, tag, context] = bytes else { unreachable!("operations are four bytes") };
        let few_keys = shape & 1 != 0;
        let growing = shape & 2 != 0;
        let operation = match control & 7 {
            0..=2 => Operation::Add,
            3 | 4 if growing => Operation::Add,
            3..=5 => Operation::Take,
            6 => Operation::TakeById,
            _ => Operation::Look,
        };
        let mark = u32::from(context >> 4);
        let context = ContextId(if few_keys { 66 * u32::from(context & 1) } else { u32::from(context % 5) });
        let pick = usize::from(source) << 8 | usize::from(tag);
        let (source, tag) = if few_keys { (source % 3, tag % 3) } else { (source, tag) };
        let (source, tag) = (i32::from(source), 64 * i32::from(tag));
        let has_mark = context.0 % CONTEXTS_EACH == OVERLAPPING;
        let marked = if has_mark { marked(source, mark << (MARK_BITS - 4) | mark) } else { source };
        Self {
            operation,
            envelope: Envelope { context, source: marked, tag, bytes: u64::from(control) },
            pattern: Pattern {
                context,
                source: (control & 0x08 == 0).then_some(source),
                tag: (control & 0x10 == 0).then_some(tag),
            },
            pick,
        }
    }
}

/// The posted queue, and what it should hold, oldest first. Receives are numbered.
struct Posted {
    queue: PostedQueue<usize>,
    oracle: Vec<(Pattern, usize)>,
    ids: Vec<PostedId>,
}

impl Posted {
    fn new() -> Self {
        Self { queue: PostedQueue::new(), oracle: Vec::new(), ids: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        match step.operation {
            Operation::Add => self.post(step.pattern),
            Operation::Look => self.look(step),
            Operation::Take => self.arrive(&step.envelope),
            Operation::TakeById => self.withdraw(step.pick),
        }
        assert_eq!(self.queue.len(), self.oracle.len());
        assert_eq!(self.queue.is_empty(), self.oracle.is_empty());
    }

    fn post(&mut self, pattern: Pattern) {
        let number = self.ids.len();
        self.ids.push(self.queue.post(pattern, number));
        self.oracle.push((pattern, number));
    }

    fn arrive(&mut self, envelope: &Envelope) {
        let place = self.oracle.iter().position(|(pattern, _)| pattern.accepts(envelope));
        let expected = place.map(|place| self.oracle.remove(place).1);
        assert_eq!(self.queue.take_match(envelope), expected, "the receive that takes {envelope:?}");
    }

    fn withdraw(&mut self, pick: usize) {
        if self.ids.is_empty() {
            return;
        }
        let number = pick % self.ids.len();
        let place = self.oracle.iter().position(|&(_, receive)| receive == number);
        let expected = place.map(|place| self.oracle.remove(place).1);
        assert_eq!(self.queue.withdraw(self.ids[number]), expected, "withdrawing receive {number}");
    }

    fn look(&mut self, step: &Step) {
        if self.ids.is_empty() {
            return;
        }
        let number = step.pick % self.ids.len();
        let expected = self.oracle.iter().find(|&&(_, receive)| receive == number);
        let id = self.ids[number];
        assert_eq!(self.queue.get(id), expected.map(|(pattern, number)| (pattern, number)));
        assert_eq!(self.queue.get_mut(id).copied(), expected.map(|&(_, number)| number));
    }

    fn check_all(&self) {
        let held: Vec<_> = self.queue.iter().map(|(id, pattern, &number)| (id, *pattern, number)).collect();
        let expected = self.oracle.iter().map(|&(pattern, number)| (self.ids[number], pattern, number));
        assert_eq!(held, expected.collect::<Vec<_>>());
    }
}

/// The unexpected queue, and what it should hold, oldest first. Messages are numbered.
struct Unexpected {
    queue: UnexpectedQueue<usize>,
    oracle: Vec<(Envelope, usize)>,
    ids: Vec<UnexpectedId>,
}

impl Unexpected {
    fn new() -> Self {
        Self { queue: UnexpectedQueue::new(), oracle: Vec::new(), ids: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        match step.operation {
            Operation::Add => self.push(step.envelope),
            Operation::Look => self.look(step),
            Operation::Take => self.take(&step.pattern),
            Operation::TakeById => self.remove(step.pick),
        }
        assert_eq!(self.queue.len(), self.oracle.len());
        assert_eq!(self.queue.is_empty(), self.oracle.is_empty());
    }

    fn push(&mut self, envelope: Envelope) {
        let number = self.ids.len();
        self.ids.push(self.queue.push(envelope, number));
        self.oracle.push((envelope, number));
    }

    fn take(&mut self, pattern: &Pattern) {
        let place = self.oracle.iter().position(|(envelope, _)| pattern.accepts(envelope));
        let expected = place.map(|place| self.oracle.remove(place));
        assert_eq!(self.queue.take(pattern), expected, "the message that {pattern:?} takes");
    }

    fn remove(&mut self, pick: usize) {
        if self.ids.is_empty() {
            return;
        }
        let number = pick % self.ids.len();
        let place = self.oracle.iter().position(|&(_, message)| message == number);
        let expected = place.map(|place| self.oracle.remove(place));
        assert_eq!(self.queue.remove(self.ids[number]), expected, "removing message {number}");
    }

    fn look(&mut self, step: &Step) {
        let expected = self.oracle.iter().find(|(envelope, _)| step.pattern.accepts(envelope));
        let found = self.queue.find(&step.pattern);
        assert_eq!(
            found,
            expected.map(|&(_, number)| self.ids[number]),
            "the message for {:?}",
            step.pattern
        );
        let Some(id) = found else { return };
        assert_eq!(self.queue.get(id), expected.map(|(envelope, number)| (envelope, number)));
        assert_eq!(self.queue.get_mut(id).copied(), expected.map(|&(_, number)| number));
    }

    fn check_all(&self) {
        let held: Vec<_> = self.queue.iter().map(|(id, envelope, &number)| (id, *envelope, number)).collect();
        let expected = self.oracle.iter().map(|&(envelope, number)| (self.ids[number], envelope, number));
        assert_eq!(held, expected.collect::<Vec<_>>());
    }
}
