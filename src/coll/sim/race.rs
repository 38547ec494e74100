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
#[cfg_attr(not(feature = "internals"), expect(dead_code, reason = "tests/sim.rs prints it"))]
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

/// What is copied and combined in a job, in elements times ranks times ranks: what a job costs.
const COST: usize = 400_000;

impl Plan {
    fn new(random: &mut Random) -> Self {
        let ranks = random.pick(&[1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 13, 16, 17]);
        let mut cost = COST;
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
        let count = random.between(1, 30);
        while collectives.len() < count {
            let group = (!groups.is_empty() && random.one_in(2)).then(|| random.below(groups.len()));
            let members = group.map_or(ranks, |group| groups[group].len() as Rank);
            let first = Collective::new(random, group, members, cost);
            // The same again and again uses the same places.
            let again = if random.one_in(4) { random.between(2, 12) } else { 1 };
            let price = first.price();
            for _ in 0..again {
                let case = Case { key: random.word(), ..first.case };
                collectives.push(Collective { case, ..first });
                *cost = cost.saturating_sub(price);
                if price > *cost {
                    break;
                }
            }
        }
        Self { groups, collectives }
    }
}

impl Collective {
    /// For a group of so many.
    fn new(random: &mut Random, group: Option<usize>, ranks: Rank, cost: &usize) -> Self {
        let affordable = cost / (2 * (ranks * ranks) as usize);
        let (key, root) = (random.word(), random.below(ranks as usize) as Rank);
        if random.one_in(10) {
            let algorithm = random.pick(&Algorithm::ALL);
            let len = random.pick(&[0, 1, 7, 63, 500, 4097]).min(affordable);
            return Self { group, way: Way::Messages, case: Case { algorithm, ranks, len, root, key } };
        }
        let steps = random.pick(&Steps::ALL);
        let algorithm = steps.oracle();
        let most = steps.most().unwrap_or(usize::MAX).min(affordable);
        let few = [0, 1, 2, 3, 7, 27, 28, 29];
        // A window, a part in the first ring of the stage, what is combined at a time, a part, several, and one more.
        let many = [64, 1998, 2032, 2033, 8192, 8193, 16_001, 32_752, 32_753, 65_505, 100_000];
        let fitting = many.iter().filter(|len| **len <= most).count();
        let len = match fitting {
            0 => random.pick(&few),
            _ if random.one_in(3) => random.pick(&few),
            _ => many[random.below(fitting)],
        };
        let unit = match steps.combines() {
            true => random.pick(&Unit::ALL),
            false => Unit::One,
        };
        let unit = if unit.len() <= most { unit } else { Unit::One };
        // Whole elements, one at least if that is none.
        let len = len.min(most) / unit.len() * unit.len();
        Self { group, way: Way::Steps(steps, unit), case: Case { algorithm, ranks, len, root, key } }
    }

    fn price(&self) -> usize {
        (self.case.len + 10) * (self.case.ranks * self.case.ranks) as usize
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
    let mut collective = comm.enter_collective()?;
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
        let name = match collective.way {
            Way::Steps(steps, _) => format!("{steps:?}"),
            Way::Messages => "on messages".into(),
        };
        *calls.entry(name).or_default() += 1;
    }
    Ok(Summary { ranks: engines.len(), calls, course })
}
