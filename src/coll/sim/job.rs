//! A job of engines in one thread, whose ranks are in several collectives at a time and exchange messages.

use super::case::{Algorithm, Case, combine};
use crate::{
    buffer,
    coll::{call::shared, plan::Plan},
    envelope::{Envelope, MARK_BITS, Pattern},
    error::{Error, ErrorClass},
    group::Members,
    op,
    p2p::{
        BulkOption, Config, CopyClock, CreditLimits, Engine, Mode, RequestId, Until,
        schedule::{Channel, ChannelOrder, Schedule},
        sim::random::Random,
    },
    shm::{contexts::OVERLAPPING, doorbell::BarrierMode, segment::Segment},
    sys::process::own_pid,
    types::{ContextId, PeerId, Rank, Tag},
};
use std::{sync::Arc, time::Duration};

/// Turns without any progress that mean that the job hangs.
const STUCK: u32 = 20_000;
/// Turns without any progress after which ranks look for cycles of waits for credit.
const QUIET: u32 = 200;

const COLLECTIVE: ContextId = ContextId(16 + OVERLAPPING);
const MESSAGES: ContextId = ContextId(16);

/// What a job that went well was like.
#[cfg_attr(not(feature = "internals"), expect(dead_code, reason = "tests/sim.rs prints it"))]
pub(crate) struct Summary {
    pub(crate) ranks: usize,
    pub(crate) collectives: usize,
    pub(crate) messages: usize,
    pub(crate) turns: u64,
}

/// No rank calls another case.
fn mistaken(from: Rank, theirs: u32, ours: u32) -> Result<(), Error> {
    let what = format!("rank {from} says {theirs} where this one says {ours}");
    Err(Error::new(ErrorClass::COMM, what))
}

/// The steps of a rank in a case, for its memory.
pub(super) fn schedule(
    case: &Case,
    group: &Members,
    rank: Rank,
    tag: Tag,
    (input, output): (&[u32], &mut [u32]),
) -> Result<Schedule, String> {
    // All ranks know the key.
    let order =
        ChannelOrder::Overlapping { mark: case.key as u32 >> (u32::BITS - MARK_BITS), compare: mistaken };
    let channel =
        Channel { sends_in: COLLECTIVE, receives_in: COLLECTIVE, rank, function: "a case", tag, order };
    let mut plan = Plan::new(group, channel);
    case.build(&mut plan, buffer::of_slice(input), buffer::of_slice_mut(output))
        .map_err(|error| error.to_string())?;
    let operation = shared::<u32>(op::ordered(|a: &u32, b: &u32| combine(*a, *b)));
    Ok(Schedule { operation: Some(operation), ..plan.finish() })
}

/// A rank's part in a case.
struct Part {
    rank: usize,
    case: usize,
    input: Vec<u32>,
    output: Vec<u32>,
    request: Option<RequestId>,
    is_done: bool,
}

/// A message from one rank to another, of which both ends begin when they like.
struct Message {
    ends: [usize; 2],
    data: Vec<u8>,
    into: Vec<u8>,
    requests: [Option<RequestId>; 2],
    is_done: [bool; 2],
}

/// What a rank does next.
#[derive(Clone, Copy)]
enum Deed {
    Poll,
    Part(usize),
    Message(usize, usize),
}

struct Job {
    engines: Vec<Engine>,
    group: Members,
    cases: Vec<Case>,
    parts: Vec<Part>,
    messages: Vec<Message>,
}

fn config(random: &mut Random) -> Config {
    let credit = match random.below(3) {
        0 => CreditLimits { eager: random.pick(&[64, 200, 3000]), envelopes: random.pick(&[1, 2, 5]) },
        _ => CreditLimits::default(),
    };
    let standard = Config::new(BarrierMode::Fence);
    Config {
        credit,
        eager_bytes: random.pick(&[0, 40, 300, standard.eager_bytes, standard.eager_bytes]),
        test_patience: Duration::MAX,
        bulk: random.pick(&[BulkOption::Pipelined, BulkOption::PipelinedLarge, BulkOption::Cma]),
        copy_clock: CopyClock::PerByte([1, 2, 5, 20]),
        ..standard
    }
}

fn cases(random: &mut Random, ranks: Rank) -> Vec<Case> {
    let case = |random: &mut Random| Case {
        algorithm: random.pick(&Algorithm::ALL),
        ranks,
        len: random.pick(&[0, 1, 2, 7, 10, 11, 63, 500, 4097, 40_001]) / if ranks > 8 { 10 } else { 1 },
        root: random.below(ranks as usize) as Rank,
        key: random.word(),
    };
    (0..random.between(1, 5)).map(|_| case(random)).collect()
}

impl Job {
    fn new(random: &mut Random) -> Result<Self, String> {
        let ranks = random.pick(&[1, 2, 2, 3, 4, 5, 6, 7, 8, 13, 16]);
        let segment = Segment::on_heap(ranks).map_err(|error| error.to_string())?;
        let config = config(random);
        let engine = |me: usize| {
            segment.published(me).slot.claim(own_pid()).map_err(|_| "a slot is taken".to_string())?;
            Engine::new(&segment, PeerId(me as u32), config).map_err(|error| error.to_string())
        };
        let cases = cases(random, ranks as Rank);
        let part = |rank: usize, case: usize, all: &[Case]| {
            let (input, output) = all[case].memory(rank as Rank);
            Part { rank, case, input, output, request: None, is_done: false }
        };
        let parts = (0..ranks).flat_map(|rank| (0..cases.len()).map(move |case| (rank, case)));
        let parts = parts.map(|(rank, case)| part(rank, case, &cases)).collect();
        let message = |random: &mut Random| {
            let len = random.pick(&[0, 8, 100, 5000, 70_000]);
            let ends = [random.below(ranks), random.below(ranks)];
            let data: Vec<u8> = (0..len).map(|_| random.word() as u8).collect();
            let into = vec![0; len];
            Message { ends, data, into, requests: [None; 2], is_done: [false; 2] }
        };
        let messages = (0..random.below(6)).map(|_| message(random)).collect();
        let engines = (0..ranks).map(engine).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { engines, group: Members::new((0..ranks as u32).map(PeerId)), cases, parts, messages })
    }

    /// Whether a rank may begin a case: all do it in the same order.
    fn is_next(&self, part: &Part) -> bool {
        self.parts
            .iter()
            .all(|other| other.rank != part.rank || other.case >= part.case || other.request.is_some())
    }

    fn deed(&self, random: &mut Random) -> (usize, Deed) {
        let rank = random.below(self.engines.len());
        let is_open = |part: &Part| {
            part.rank == rank && !part.is_done && (part.request.is_some() || self.is_next(part))
        };
        let mut deeds = vec![Deed::Poll];
        deeds.extend((0..self.parts.len()).filter(|index| is_open(&self.parts[*index])).map(Deed::Part));
        for (index, message) in self.messages.iter().enumerate() {
            let ends = (0..2).filter(|end| message.ends[*end] == rank && !message.is_done[*end]);
            deeds.extend(ends.map(|end| Deed::Message(index, end)));
        }
        (rank, random.pick(&deeds))
    }

    /// True if something was begun or has ended.
    fn act(&mut self, rank: usize, deed: Deed) -> Result<bool, String> {
        let engine = &self.engines[rank];
        let say = |error: Error| error.to_string();
        match deed {
            Deed::Poll => engine.step().map_err(say),
            Deed::Part(index) => {
                let part = &mut self.parts[index];
                let case = &self.cases[part.case];
                let Some(request) = part.request else {
                    let memory = (&part.input[..], &mut part.output[..]);
                    let schedule = schedule(case, &self.group, rank as Rank, part.case as Tag, memory)?;
                    part.request = Some(engine.begin(Arc::new(schedule), vec![]).map_err(say)?);
                    return Ok(true);
                };
                part.is_done = engine.test(request).map_err(say)?;
                if part.is_done {
                    engine.take_outcome(request).map_err(say)?;
                }
                Ok(part.is_done)
            }
            Deed::Message(index, end) => {
                let message = &mut self.messages[index];
                let Some(request) = message.requests[end] else {
                    let (source, tag) = (message.ends[0] as Rank, index as Tag);
                    let begun = if end == 0 {
                        let bytes = message.data.len() as u64;
                        let envelope = Envelope { context: MESSAGES, source, tag, bytes };
                        let to = PeerId(message.ends[1] as u32);
                        engine.isend(to, envelope, Mode::Standard, buffer::of_slice(&message.data))
                    } else {
                        let pattern = Pattern { context: MESSAGES, source: Some(source), tag: Some(tag) };
                        let from = Some(PeerId(source as u32));
                        engine.ireceive(pattern, from, buffer::of_slice_mut(&mut message.into))
                    };
                    message.requests[end] = Some(begun.map_err(say)?);
                    return Ok(true);
                };
                message.is_done[end] = engine.test(request).map_err(say)?;
                if message.is_done[end] {
                    engine.take_outcome(request).map_err(say)?;
                }
                Ok(message.is_done[end])
            }
        }
    }

    fn is_done(&self) -> bool {
        self.parts.iter().all(|part| part.is_done) && self.messages.iter().all(|it| it.is_done == [true; 2])
    }

    fn run(&mut self, random: &mut Random) -> Result<u64, String> {
        let (mut idle, mut turns) = (0, 0);
        while !self.is_done() {
            let (rank, deed) = self.deed(random);
            let moved = self.act(rank, deed).map_err(|wrong| format!("rank {rank}: {wrong}"))?;
            turns += 1;
            idle = if moved { 0 } else { idle + 1 };
            if idle % QUIET == QUIET - 1 {
                self.rest()?;
            }
            if idle > STUCK {
                return Err(format!("nothing has moved for {STUCK} turns: {}", self.describe()));
            }
        }
        Ok(turns)
    }

    /// Every rank says what it waits for, and looks for cycles.
    fn rest(&self) -> Result<(), String> {
        for _ in 0..2 {
            for (rank, engine) in self.engines.iter().enumerate() {
                let parts = self.parts.iter().filter(|part| part.rank == rank && !part.is_done);
                let mut open: Vec<RequestId> = parts.filter_map(|part| part.request).collect();
                for message in &self.messages {
                    let ends = (0..2).filter(|end| message.ends[*end] == rank && !message.is_done[*end]);
                    open.extend(ends.filter_map(|end| message.requests[end]));
                }
                engine.rest();
                engine.step_cycle(Until::Any(&open)).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        for part in &self.parts {
            let (case, rank) = (&self.cases[part.case], part.rank);
            if part.output != case.expected(rank as Rank) {
                return Err(format!("rank {rank} of {case:?} has got something else"));
            }
            if part.input != case.memory(rank as Rank).0 {
                return Err(format!("{case:?} has changed the input of rank {rank}"));
            }
        }
        for message in &self.messages {
            if message.into != message.data {
                return Err(format!("a message of {} bytes has changed", message.data.len()));
            }
        }
        for (rank, engine) in self.engines.iter().enumerate() {
            (0..3).try_for_each(|_| engine.step().map(drop)).map_err(|error| error.to_string())?;
            let (requests, unexpected, _) = engine.held();
            if (requests, unexpected) != (0, 0) {
                return Err(format!(
                    "rank {rank} still holds {requests} requests, {unexpected} unexpected messages"
                ));
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let part = |part: &Part| {
            let state = match (part.is_done, part.request) {
                (true, _) => "done",
                (_, Some(_)) => "under way",
                _ => "not begun",
            };
            format!("\n  rank {} in {:?}: {state}", part.rank, self.cases[part.case])
        };
        self.parts.iter().map(part).collect()
    }
}

/// Runs the job of a seed; errs with what went wrong.
pub(crate) fn run(seed: u64) -> Result<Summary, String> {
    let mut random = Random::new(seed);
    let mut job = Job::new(&mut random)?;
    let turns = job.run(&mut random)?;
    job.check()?;
    let (ranks, collectives, messages) = (job.engines.len(), job.cases.len(), job.messages.len());
    Ok(Summary { ranks, collectives, messages, turns })
}
