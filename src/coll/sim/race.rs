//! A job of ranks that are threads, one of which runs at a time (src/p2p/sim/relay.rs): collectives in shared memory,
//! some on messages between them, one after the other, in the world and in groups.

use super::{
    case::{Algorithm, Case},
    members,
    steps::{Steps, Unit},
};
use crate::{
    buffer,
    coll::call::{Call, Function, borrowed},
    communicator::Communicator,
    error::{Error, Result},
    op,
    p2p::{
        BulkOption, Engine,
        sim::{
            random::Random,
            relay::{self, Course},
        },
    },
    shm::{segment::Segment, stage::STAGE_BLOCKS, starts::Starts},
    types::Rank,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// What a race that went well was like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) ranks: usize,
    /// How many calls of each algorithm there were; those on messages are one.
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) course: Course,
}

/// How a collective is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Steps(Steps, Unit),
    Messages,
}

impl Way {
    fn name(self) -> String {
        match self {
            Self::Steps(steps, _) => format!("{steps:?}"),
            Self::Messages => "on messages".into(),
        }
    }
}

/// What summaries call the ways of collectives.
#[cfg(feature = "internals")]
pub(crate) fn ways() -> Vec<String> {
    let steps = Steps::ALL.map(|steps| Way::Steps(steps, Unit::One));
    steps.into_iter().chain([Way::Messages]).map(Way::name).collect()
}

/// A collective of a communicator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collective {
    /// None: the world.
    pub(super) group: Option<usize>,
    pub(super) way: Way,
    /// Its numbers are of the communicator.
    pub(super) case: Case,
}

/// What goes on between two times that groups are made.
#[derive(Debug)]
struct Phase {
    /// In the order of their ranks there.
    groups: Vec<Vec<Rank>>,
    collectives: Vec<Collective>,
}

#[derive(Debug)]
struct Plan {
    ranks: Rank,
    starts: Starts,
    bulk: BulkOption,
    phases: Vec<Phase>,
}

/// What most jobs may cost, and some, in elements that are made, copied or combined.
const COSTS: [usize; 2] = [300_000, 4_000_000];

impl Plan {
    fn new(random: &mut Random) -> Self {
        let ranks = random.pick(&[1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 13, 16, 17]);
        let mut cost = COSTS[usize::from(random.one_in(4))];
        let phases = (0..random.between(1, 3)).map(|_| Phase::new(random, ranks, &mut cost)).collect();
        Self {
            ranks,
            starts: if random.one_in(4) { Starts::LATE } else { Starts::ZERO },
            bulk: random.pick(&[BulkOption::Pipelined, BulkOption::PipelinedLarge]),
            phases,
        }
    }
}

impl Phase {
    fn new(random: &mut Random, ranks: Rank, cost: &mut usize) -> Self {
        let mut groups = vec![vec![]; random.below(4).min(ranks as usize)];
        let mut members: Vec<Rank> = (0..ranks).collect();
        random.shuffle(&mut members);
        for member in members {
            // Some ranks are in no group.
            if !groups.is_empty() && !random.one_in(8) {
                let group = random.below(groups.len());
                groups[group].push(member);
            }
        }
        groups.retain(|group| !group.is_empty());
        let mut collectives = vec![];
        for _ in 0..random.between(1, 12) {
            let group = (!groups.is_empty() && random.one_in(2)).then(|| random.below(groups.len()));
            let members = group.map_or(ranks, |group| groups[group].len() as Rank);
            let next = match random.one_in(3) {
                true => Collective::row(random, members),
                false => (0..random.between(1, 5)).map(|_| Collective::new(random, members)).collect(),
            };
            for collective in next {
                if let Some(left) = cost.checked_sub(collective.price()) {
                    *cost = left;
                    collectives.push(Collective { group, ..collective });
                }
            }
        }
        Self { groups, collectives }
    }
}

impl Collective {
    fn new(random: &mut Random, ranks: Rank) -> Self {
        let (key, root) = (random.word(), random.below(ranks as usize) as Rank);
        if random.one_in(10) {
            let algorithm = random.pick(&Algorithm::ALL);
            let len = random.pick(&[0, 1, 7, 63, 500, 4097]);
            return Self { group: None, way: Way::Messages, case: Case { algorithm, ranks, len, root, key } };
        }
        let few = [0, 1, 2, 3, 7, 27, 28, 29];
        // A window, a part in the first ring of the stage, a piece, what is combined at a time, a part, several, and one more.
        let many = [64, 1998, 2032, 2033, 2049, 8192, 8193, 16_001, 32_752, 32_753, 65_505, 100_000];
        let len = if random.one_in(2) { random.pick(&few) } else { random.pick(&many) };
        let (steps, unit) = (random.pick(&Steps::ALL), random.pick(&Unit::ALL));
        Self::of_steps(steps, unit, Case { algorithm: steps.oracle(), ranks, len, root, key })
    }

    /// With as much of the length as can be.
    fn of_steps(steps: Steps, unit: Unit, case: Case) -> Self {
        let len = steps.most().map_or(case.len, |most| most.min(case.len));
        let unit = if steps.combines() && unit.len() <= len { unit } else { Unit::One };
        let len = len / unit.len() * unit.len();
        Self { group: None, way: Way::Steps(steps, unit), case: Case { len, ..case } }
    }

    /// One way again and again: around the slots, windows or the stage. Who only gives may be far ahead.
    fn row(random: &mut Random, ranks: Rank) -> Vec<Self> {
        let gives = [Steps::BroadcastStaged, Steps::ReduceStagedRooted, Steps::ReduceStagedRootedInPlace];
        let steps = if random.one_in(2) { random.pick(&gives) } else { random.pick(&Steps::ALL) };
        let root = random.below(ranks as usize) as Rank;
        // 16, 14 and 7 go around the stage; of broadcasts, which are in pieces, the last.
        let lens = match random.below(5) {
            0 => 2032..=2032,
            1 => 16_000..=16_000,
            2 => 32_752..=32_752,
            3 => 300_000..=300_000,
            _ => 0..=30_000,
        };
        let collective = |random: &mut Random| {
            let len = random.between(*lens.start(), *lens.end());
            let case = Case { algorithm: steps.oracle(), ranks, len, root, key: random.word() };
            Self::of_steps(steps, Unit::One, case)
        };
        (0..random.between(3, 45)).map(|_| collective(random)).collect()
    }

    fn price(&self) -> usize {
        let ranks = self.case.ranks as usize;
        let is_broadcast = matches!(self.way, Way::Steps(Steps::BroadcastStaged, _));
        (self.case.len + 10) * ranks * if is_broadcast { 2 } else { ranks }
    }
}

struct Job {
    plan: Plan,
    /// For each collective of each phase, how many members have come to it.
    arrived: Vec<Vec<Mutex<Rank>>>,
}

impl Job {
    fn new(plan: Plan) -> Self {
        let counts = |phase: &Phase| phase.collectives.iter().map(|_| Mutex::new(0)).collect();
        Self { arrived: plan.phases.iter().map(counts).collect(), plan }
    }

    /// What a rank does.
    fn run_rank(&self, engine: &Engine) -> Result<(), String> {
        let home = members::home(engine);
        let world = home.world(engine);
        for (phase, arrived) in self.plan.phases.iter().zip(&self.arrived) {
            let mine = phase.groups.iter().position(|group| group.contains(&world.rank()));
            let group = members::of_groups(&world, &phase.groups).map_err(say)?;
            for (collective, arrived) in phase.collectives.iter().zip(arrived) {
                let comm = match collective.group {
                    None => &world,
                    index if index == mine => group.as_ref().expect("this rank is in it"),
                    _ => continue,
                };
                engine.pass_baton();
                take_part(collective, comm, arrived)?;
            }
        }
        Ok(())
    }

    fn check(&self, engines: &[Engine]) -> Result<(), String> {
        for engine in engines.iter().chain(engines) {
            engine.step().map_err(say)?;
            engine.rest();
        }
        for (rank, engine) in engines.iter().enumerate() {
            let (requests, unexpected, blocks) = engine.held();
            // The world keeps the blocks of its stage.
            if (requests, unexpected) != (0, 0) || ![0, STAGE_BLOCKS].contains(&blocks) {
                return Err(format!(
                    "rank {rank} still holds {requests} requests, {unexpected} unexpected messages, {blocks} blocks"
                ));
            }
        }
        Ok(())
    }
}

fn say(error: Error) -> String {
    error.to_string()
}

/// `arrived` counts the members that have come to it.
pub(super) fn take_part(
    collective: &Collective,
    comm: &Communicator<'_>,
    arrived: &Mutex<Rank>,
) -> Result<(), String> {
    let (case, rank) = (&collective.case, comm.rank());
    let (input, mut output) = case.memory(rank);
    *arrived.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    perform(collective, comm, (&input, &mut output)).map_err(|error| format!("{collective:?}: {error}"))?;
    let have_arrived = *arrived.lock().unwrap_or_else(PoisonError::into_inner);
    if case.algorithm == Algorithm::BarrierDissemination && have_arrived < comm.size() {
        return Err(format!("{collective:?}: {have_arrived} have come, and rank {rank} of it leaves"));
    }
    let expected = case.expected(rank);
    if output != expected {
        let index = output.iter().zip(&expected).position(|(is, should)| is != should);
        return Err(format!("{collective:?}: element {index:?} at rank {rank} of it is wrong"));
    }
    if input != case.memory(rank).0 {
        return Err(format!("{collective:?}: the input of rank {rank} of it has changed"));
    }
    Ok(())
}

fn perform(
    collective: &Collective,
    comm: &Communicator<'_>,
    (input, output): (&[u32], &mut [u32]),
) -> Result<()> {
    let case = &collective.case;
    if let Way::Steps(steps, unit) = collective.way
        && steps.run(comm, case, unit, (input, &mut *output))?
    {
        return Ok(());
    }
    // As where there is no stage.
    let op = op::ordered(|lower: &u32, upper: &u32| super::case::combine(*lower, *upper));
    let call = Call::new(Function::Construction);
    let (input, output) = (buffer::of_slice(input), buffer::of_slice_mut(output));
    let mut collective = comm.enter_collective("a race")?;
    comm.run(&mut collective, call, Some(&borrowed(&op)), |plan| case.build(plan, input, output))
}

/// Runs the race of a seed; errs with what went wrong.
pub(crate) fn run(seed: u64) -> Result<Summary, String> {
    let mut random = Random::new(seed);
    let plan = Plan::new(&mut random);
    let segment = Segment::on_heap_from(plan.ranks as usize, plan.starts).map_err(say)?;
    let mut engines = members::engines(&segment, members::config(plan.bulk)).map_err(say)?;
    let job = Job::new(plan);
    let course = relay::race(&mut engines, random, |engine| job.run_rank(engine))?;
    job.check(&engines)?;
    let mut calls = BTreeMap::new();
    for collective in job.plan.phases.iter().flat_map(|phase| &phase.collectives) {
        *calls.entry(collective.way.name()).or_default() += 1;
    }
    Ok(Summary { ranks: engines.len(), calls, course })
}
