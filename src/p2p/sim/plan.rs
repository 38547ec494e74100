//! [`Plan`]: a job that a seed thinks up: who sends what to whom, and what every task of every rank
//! does, one operation after the other.
//!
//! The job finishes if sends are buffered without limit, for two reasons. All operations come out of
//! one sequence in which a receive is waited for only when enough messages for it have been sent;
//! each task runs its part of that sequence in order. And receives are divided into *classes*: those
//! of one class accept the same messages, no message belongs to two, and one task receives them all;
//! so it does not matter which of its receives a message takes. In a *contest*, a class of all messages
//! of a context, it does: there receives of different patterns compete, none is waited for, and all
//! go on until enough messages have been received.

use super::random::Random;
use crate::{
    envelope::{Envelope, Pattern},
    p2p::{BulkOption, Config, CopyClock, CreditLimits, send::EAGER_BYTES},
    shm::{doorbell::BarrierMode, ring::CELLS, segment::FIRST_FREE_CONTEXT, starts::Starts, tuning::Method},
    types::{ContextId, Rank, Tag},
};
use std::{collections::BTreeMap, time::Duration};

pub(super) struct Plan {
    pub(super) config: Config,
    /// Where all counters start.
    pub(super) starts: Starts,
    /// Ranks whose memory the others cannot read.
    pub(super) hidden: Vec<bool>,
    /// Memory that is being read can, now and then, be read no more.
    pub(super) loses_places: bool,
    pub(super) messages: Vec<Message>,
    pub(super) classes: Vec<Class>,
    pub(super) receives: Vec<Receive>,
    /// By rank and task.
    pub(super) programs: Vec<Vec<Vec<Step>>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) dest: usize,
    pub(super) envelope: Envelope,
    pub(super) way: SendWay,
    pub(super) is_in_arena: bool,
    pub(super) at_end: AtEnd,
    /// Decides contents and shape.
    pub(super) key: u64,
    pub(super) class: usize,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendWay {
    /// The request is waited for, at once or later.
    Standard,
    Synchronous,
    Buffered,
    /// Nobody waits; the request keeps the memory.
    Detached,
    /// Nobody waits, and the memory goes away at once.
    Abandoned,
}

/// What becomes of a send that has not been waited for when its task has nothing else to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum AtEnd {
    Wait,
    Detach,
    Abandon,
}

/// Receives that accept the same messages.
pub(super) struct Class {
    pub(super) pattern: Pattern,
    pub(super) dest: usize,
    pub(super) task: usize,
    pub(super) messages: Vec<usize>,
    /// Its receives have patterns of their own, and compete.
    pub(super) is_contest: bool,
    /// Decides what a contest does.
    pub(super) key: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Receive {
    pub(super) class: usize,
    pub(super) pattern: Pattern,
    pub(super) way: ReceiveWay,
    /// Bytes that fit.
    pub(super) room: u64,
    pub(super) key: u64,
}

/// How a message is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiveWay {
    Posted,
    /// Straight from the ring if it is there, else posted.
    Fast,
    Probed,
    MatchedProbed,
    /// Matched by a probe, then thrown away.
    Discarded,
    /// Matched by a probe and begun, then nobody waits.
    Detached,
    /// The same, and the memory goes away.
    Abandoned,
}

/// What a task does next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Send {
        message: usize,
    },
    /// Until one send has ended,
    WaitSend {
        message: usize,
    },
    /// or all of the task's.
    WaitSends,
    Post {
        receive: usize,
    },
    WaitReceive {
        receive: usize,
    },
    /// Both, or whatever the receive's way asks for.
    Receive {
        receive: usize,
    },
    /// Posts a receive and cancels it. If it gets a message, the class's next receive is left out.
    Cancel {
        receive: usize,
    },
    /// Posts some receives, then receives until so many messages of the class have been, in all ways.
    Contest {
        class: usize,
        posts: u32,
        until: usize,
    },
    /// Withdraws what is left of the contest.
    EndContest {
        class: usize,
    },
}

/// What kind of job a seed asks for.
struct Style {
    ranks: usize,
    tasks: usize,
    contexts: usize,
    messages: usize,
    sizes: &'static [u64],
    /// Bytes of all messages together, about.
    budget: u64,
    /// Messages in a row between the same tasks, at most.
    burst: usize,
    tags: usize,
    /// How eager receivers are, beside senders.
    receives_per_send: usize,
}

const TINY: &[u64] = &[0, 1, 8, 8, 8, 24, 32, 33, 40, 41];
const SMALL: &[u64] = &[0, 1, 8, 40, 41, 100, 256, 257, 2048, 2049];
const MIXED: &[u64] = &[
    0, 1, 8, 32, 33, 40, 41, 256, 257, 2048, 2049, 5000, 16_383, 16_384, 16_385, 40_000, 65_535, 65_536,
    65_537,
];
const LARGE: &[u64] =
    &[8, 257, 16_383, 16_385, 32_768, 49_152, 65_535, 65_536, 65_537, 100_001, 131_072, 300_000, 700_001];

/// Around the smallest message that is read in place, most of one class of sizes: the choice between
/// the ways of large messages goes by class, and needs some before it settles.
const SETTLING: &[u64] = &[4095, 4096, 4097, 5000, 6000, 8000, 8191, 8192, 40_001, 70_000, 300_000];

/// Fills a ring, so that room is short for the pieces of the large ones.
const STREAMED: &[u64] = &[8, 8, 8, 8, 8, 8, 16_385, 16_385, 16_385, 33_000];

/// The lap before the sequence of a ring wraps.
const LAST_LAP: u64 = ((1 << 31) - 1) * CELLS;

fn starts(random: &mut Random) -> Starts {
    const NARROW: u64 = 1 << 32;
    Starts {
        ring: random.pick(&[0, LAST_LAP, LAST_LAP - 3, LAST_LAP + CELLS - 9]),
        credit: random.pick(&[0, NARROW - 1, NARROW - 1000, NARROW - 100_000]),
        generation: random.pick(&[0, u32::MAX - 2, u32::MAX - 20]),
        context: random.pick(&[FIRST_FREE_CONTEXT, u32::MAX - 3]),
        ..Starts::ZERO
    }
}

impl Style {
    fn new(random: &mut Random) -> Self {
        match random.below(8) {
            0 | 1 => Self::streamed(random),
            2 | 3 => Self::settling(random),
            _ => Self::mixed(random),
        }
    }

    fn mixed(random: &mut Random) -> Self {
        let (messages, sizes, budget, burst) = match random.below(8) {
            0 | 1 => (random.between(1, 30), MIXED, 600_000, 4),
            2 => (random.between(30, 120), MIXED, 1_000_000, 12),
            3 => (random.between(1, 12), LARGE, 1_500_000, 5),
            4 => (random.between(100, 400), TINY, 100_000, 150),
            5 => (random.between(50, 250), SMALL, 200_000, 40),
            6 => (random.between(20, 100), SMALL, 100_000, 3),
            _ => (random.between(2, 40), TINY, 100_000, 10),
        };
        Self {
            ranks: random.pick(&[1, 2, 2, 2, 3, 3, 4, 5, 6]),
            tasks: random.pick(&[1, 1, 2, 3]),
            contexts: random.between(1, 3),
            messages,
            sizes,
            budget,
            burst,
            tags: random.pick(&[1, 2, 3, 30]),
            receives_per_send: random.pick(&[0, 1, 1, 3, 10]),
        }
    }

    /// Long rows of messages between two ranks, all of them eager: rings get full.
    fn streamed(random: &mut Random) -> Self {
        Self {
            ranks: 2,
            tasks: random.pick(&[1, 1, 2]),
            contexts: 1,
            messages: random.between(60, 180),
            sizes: STREAMED,
            budget: 1_500_000,
            burst: 300,
            tags: 2,
            receives_per_send: random.pick(&[0, 0, 0, 1]),
        }
    }

    /// Many messages that go by rendezvous, between few.
    fn settling(random: &mut Random) -> Self {
        Self {
            ranks: random.pick(&[2, 2, 3]),
            tasks: random.pick(&[1, 1, 2]),
            contexts: 1,
            messages: random.between(30, 120),
            sizes: SETTLING,
            budget: 1_500_000,
            burst: 8,
            tags: random.pick(&[1, 3]),
            receives_per_send: random.pick(&[1, 1, 3]),
        }
    }

    fn is_streamed(&self) -> bool {
        self.sizes == STREAMED
    }

    fn is_settling(&self) -> bool {
        self.sizes == SETTLING
    }

    /// Who sends to whom.
    fn pair(&self, random: &mut Random) -> (usize, usize) {
        match self.is_streamed() {
            true if random.one_in(8) => (1, 0),
            true => (0, 1),
            false => (random.below(self.ranks), random.below(self.ranks)),
        }
    }

    /// Large messages of a row have a tag of their own: they can be received while small ones that
    /// came before wait, and before all of them is here.
    fn tag(&self, random: &mut Random, bytes: u64) -> Tag {
        if self.is_streamed() { Tag::from(bytes > 8) } else { random.below(self.tags) as Tag }
    }
}

/// Those that have to choose are last.
const BULK_OPTIONS: [BulkOption; 6] = [
    BulkOption::Pipelined,
    BulkOption::PipelinedLarge,
    BulkOption::Cma,
    BulkOption::Direct,
    BulkOption::Auto,
    BulkOption::Auto,
];

fn config(random: &mut Random, style: &Style) -> Config {
    let is_streamed = style.is_streamed();
    let credit = match random.below(4) {
        _ if is_streamed => CreditLimits { eager: 64 << 20, envelopes: 1024 },
        0 => CreditLimits { eager: random.pick(&[64, 200, 3000]), envelopes: random.pick(&[1, 2, 5]) },
        1 => CreditLimits { eager: random.pick(&[20_000, 200_000]), envelopes: random.pick(&[1, 8, 50]) },
        _ => CreditLimits::default(),
    };
    let eager_bytes = match random.below(2) {
        _ if style.is_settling() => random.pick(&[0, 40, 300]),
        0 if !is_streamed => random.pick(&[0, 40, 300, 20_000]),
        _ => EAGER_BYTES,
    };
    let test_patience = random.pick(&[Duration::ZERO, Duration::MAX]);
    let bulk = random.pick(if style.is_settling() { &BULK_OPTIONS[3..] } else { &BULK_OPTIONS });
    let copy_clock = CopyClock::PerByte([(); 4].map(|()| random.pick(&[1, 2, 5, 20])));
    Config { credit, eager_bytes, test_patience, bulk, copy_clock, ..Config::new(BarrierMode::Fence) }
}

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        let style = Style::new(random);
        let config = config(random, &style);
        let starts = starts(random);
        let is_any_hidden = random.one_in(8);
        let mut plan = Self {
            config,
            starts,
            hidden: (0..style.ranks).map(|_| is_any_hidden && random.one_in(2)).collect(),
            loses_places: random.one_in(4),
            messages: Vec::new(),
            classes: Vec::new(),
            receives: Vec::new(),
            programs: vec![vec![Vec::new(); style.tasks]; style.ranks],
        };
        let senders = plan.think_up_messages(random, &style);
        plan.divide_into_classes(random, &style);
        plan.write_programs(random, &style, &senders);
        plan
    }

    /// All messages in the order in which they are sent, and the tasks that send them.
    fn think_up_messages(&mut self, random: &mut Random, style: &Style) -> Vec<usize> {
        let (mut senders, mut left) = (Vec::new(), style.budget);
        while self.messages.len() < style.messages {
            let (source, dest) = style.pair(random);
            let (task, context) = (random.below(style.tasks), random.below(style.contexts));
            let ways = match style.is_streamed() && source == 1 {
                // Their answers find the ring full.
                true => &[SendWay::Synchronous],
                false => random.pick(&[&[SendWay::Standard] as &[SendWay], &SEND_WAYS]),
            };
            let is_in_arena = self.config.bulk.allows(Method::Direct) && random.one_in(2);
            for _ in 0..random.between(1, style.burst) {
                let bytes = random.pick(style.sizes).min(left);
                left -= bytes;
                let envelope = Envelope {
                    context: ContextId(self.starts.context + context as u32),
                    source: source as Rank,
                    tag: style.tag(random, bytes),
                    bytes,
                };
                let (way, key) = (random.pick(ways), random.word());
                let at_end = random.pick(&[AtEnd::Wait, AtEnd::Wait, AtEnd::Detach, AtEnd::Abandon]);
                self.messages.push(Message { dest, envelope, way, is_in_arena, at_end, key, class: 0 });
                senders.push(task);
            }
        }
        senders
    }

    fn divide_into_classes(&mut self, random: &mut Random, style: &Style) {
        let mut numbers = BTreeMap::new();
        let mut open: BTreeMap<(usize, u32), (bool, bool, bool)> = BTreeMap::new();
        for (index, message) in self.messages.iter_mut().enumerate() {
            let Envelope { context, source, tag, .. } = message.envelope;
            let dest = message.dest;
            let &mut (any_source, any_tag, is_contest) =
                open.entry((dest, context.0)).or_insert_with(|| random.pick(&OPENNESS));
            let pattern =
                Pattern { context, source: (!any_source).then_some(source), tag: (!any_tag).then_some(tag) };
            message.class =
                *numbers.entry((dest, context.0, pattern.source, pattern.tag)).or_insert_with(|| {
                    let task = random.below(style.tasks);
                    let (messages, key) = (Vec::new(), random.word());
                    self.classes.push(Class { pattern, dest, task, messages, is_contest, key });
                    self.classes.len() - 1
                });
            self.classes[message.class].messages.push(index);
        }
    }

    fn write_programs(&mut self, random: &mut Random, style: &Style, senders: &[usize]) {
        let mut progress = vec![Progress::default(); self.classes.len()];
        let mut sent = 0;
        while sent < self.messages.len() || progress.iter().any(Progress::is_behind) {
            if sent < self.messages.len() && random.below(style.receives_per_send + 2) < 2 {
                self.write_send(random, sent, senders[sent]);
                progress[self.messages[sent].class].sent += 1;
                sent += 1;
            } else {
                let class = self.next_class(random, style);
                self.write_receive(random, class, &mut progress[class]);
            }
        }
        for (class, Class { dest, task, .. }) in
            self.classes.iter().enumerate().filter(|(_, class)| class.is_contest)
        {
            self.programs[*dest][*task].push(Step::EndContest { class });
        }
        for steps in self.programs.iter_mut().flatten() {
            steps.push(Step::WaitSends);
        }
    }

    /// Whose receive comes next. In long rows mostly a large message's: the last one that has come is
    /// the one that may be half sent.
    fn next_class(&self, random: &mut Random, style: &Style) -> usize {
        let is_large = |class: &Class| class.pattern.tag == Some(1);
        match self.classes.iter().position(is_large) {
            Some(large) if style.is_streamed() && !random.one_in(4) => large,
            _ => random.below(self.classes.len()),
        }
    }

    fn write_send(&mut self, random: &mut Random, message: usize, task: usize) {
        let Message { envelope, way, .. } = self.messages[message];
        let steps = &mut self.programs[envelope.source as usize][task];
        steps.push(Step::Send { message });
        // Nothing promises that a larger one ends before it is received.
        let is_buffered = envelope.bytes <= self.config.eager_bytes && way == SendWay::Standard;
        if is_buffered && !random.one_in(3) {
            steps.push(Step::WaitSend { message });
        }
    }

    /// The next step of a class's receives, if it may come now.
    fn write_receive(&mut self, random: &mut Random, class: usize, progress: &mut Progress) {
        let Class { dest, task, ref messages, is_contest, .. } = self.classes[class];
        let total = messages.len();
        let arrived = progress.sent;
        let next = progress.begun;
        if is_contest {
            progress.begun = random.between(next, arrived);
            let posts = random.pick(&[0, 0, 1, 3, 20]);
            return self.programs[dest][task].push(Step::Contest { class, posts, until: progress.begun });
        }
        match random.below(8) {
            0 if next < total => {
                let receive = self.new_receive(random, class, ReceiveWay::Posted);
                progress.posted.push((next, receive));
                progress.begun += 1;
                self.programs[dest][task].push(Step::Post { receive });
            }
            1 if next < total && next < arrived + 2 => {
                let receive = self.new_receive(random, class, ReceiveWay::Posted);
                self.programs[dest][task].push(Step::Cancel { receive });
            }
            2..=4 if next < arrived => {
                let way = random.pick(&RECEIVE_WAYS);
                let receive = self.new_receive(random, class, way);
                progress.begun += 1;
                self.programs[dest][task].push(Step::Receive { receive });
            }
            _ => {
                let ready: Vec<usize> =
                    (0..progress.posted.len()).filter(|&at| progress.posted[at].0 < arrived).collect();
                if !ready.is_empty() {
                    let (_, receive) = progress.posted.remove(random.pick(&ready));
                    self.programs[dest][task].push(Step::WaitReceive { receive });
                }
            }
        }
    }

    fn new_receive(&mut self, random: &mut Random, class: usize, way: ReceiveWay) -> usize {
        let Class { mut pattern, ref messages, .. } = self.classes[class];
        let envelopes = || messages.iter().map(|&index| self.messages[index].envelope);
        let some = self.messages[random.pick(messages)].envelope;
        // What all messages of the class have in common may be asked for as well.
        if random.one_in(2) && envelopes().all(|envelope| envelope.source == some.source) {
            pattern.source = Some(some.source);
        }
        if random.one_in(2) && envelopes().all(|envelope| envelope.tag == some.tag) {
            pattern.tag = Some(some.tag);
        }
        let largest = envelopes().map(|envelope| envelope.bytes).max().unwrap_or(0);
        let room = match random.below(9) {
            0 => random.below(largest as usize + 1) as u64,
            1 => some.bytes,
            2 => largest + random.below(100) as u64,
            _ => largest,
        };
        self.receives.push(Receive { class, pattern, way, room, key: random.word() });
        self.receives.len() - 1
    }
}

const SEND_WAYS: [SendWay; 6] = [
    SendWay::Standard,
    SendWay::Standard,
    SendWay::Synchronous,
    SendWay::Buffered,
    SendWay::Detached,
    SendWay::Abandoned,
];

const RECEIVE_WAYS: [ReceiveWay; 12] = [
    ReceiveWay::Posted,
    ReceiveWay::Posted,
    ReceiveWay::Posted,
    ReceiveWay::Fast,
    ReceiveWay::Fast,
    ReceiveWay::Fast,
    ReceiveWay::Probed,
    ReceiveWay::MatchedProbed,
    ReceiveWay::MatchedProbed,
    ReceiveWay::Discarded,
    ReceiveWay::Detached,
    ReceiveWay::Abandoned,
];

/// What the receives of a destination and context leave open: the source, the tag; and whether they
/// compete.
const OPENNESS: [(bool, bool, bool); 7] = [
    (false, false, false),
    (false, false, false),
    (true, false, false),
    (false, true, false),
    (true, true, false),
    (true, true, true),
    (true, true, true),
];

/// How far the receives of a class have been written.
#[derive(Clone, Default)]
struct Progress {
    sent: usize,
    /// Receives that have been begun,
    begun: usize,
    /// and those of them that are not yet waited for: which they are in their class, and their number.
    posted: Vec<(usize, usize)>,
}

impl Progress {
    fn is_behind(&self) -> bool {
        self.begun < self.sent || !self.posted.is_empty()
    }
}
