//! Jobs of several numbers of ranks that measure one thing, turn by turn: a figure of each in a turn, so that those of a turn are
//! taken close together.

use super::{
    Result,
    collectives::{Ensemble, Operation},
    cpus,
    pairs::{Pairs, Way},
    plot::Chart,
    progress,
    report::{Heading, Row, print},
    sizes,
    spread::Spread,
    while_doing,
};
use crate::limit::{Buffers, Crowd, Machine, Touch};
use ringmpi::{Communicator, Source};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read},
    path::PathBuf,
    time::Duration,
};

/// How often each number of ranks has its turn.
const TURNS: u32 = 3;

/// Batches in a turn.
const BATCHES: u32 = 5;

/// Trials before them, which say how many rounds a batch has.
const TRIALS: u32 = 3;

/// A trial moves so many bytes, or has so many operations or messages; two rounds at least.
const TRIAL_BYTES: usize = 4 << 20;
const TRIAL_OPERATIONS: usize = 512;

/// The environment variable that tells a process of its job.
const IN_A_JOB: &str = "RINGMPI_JOB";

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Collective(Operation),
    /// Pairs of ranks that exchange messages, all at once.
    Pairs(Way, Unit),
}

/// What the speed of pairs is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Messages,
}

pub(super) struct Plan {
    pub(super) what: What,
    pub(super) ranks: Vec<usize>,
    /// Lengths in bytes; one, which means nothing, for a barrier.
    pub(super) sizes: Vec<usize>,
    /// Whether ranks send from shared memory.
    pub(super) shared: bool,
    /// For each figure.
    pub(super) budget: Duration,
    pub(super) json: bool,
    pub(super) plot: Option<PathBuf>,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Collective(operation) => operation.name(),
            Self::Pairs(Way::One, _) => "multi-pair",
            Self::Pairs(Way::Both, _) => "bidirectional",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Collective(operation) => operation.description(),
            Self::Pairs(Way::One, _) => {
                "all pairs of ranks at once, nonblocking windows of 64 messages or 8 MiB from one rank to the other, \
                 rewritten and read; the bare machine has one pair"
            }
            Self::Pairs(Way::Both, _) => {
                "all pairs of ranks at once, nonblocking windows of 64 messages or 8 MiB both ways, rewritten and read; \
                 the bare machine has one pair and one way"
            }
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Collective(_) => "us",
            Self::Pairs(_, Unit::Bytes) => "GB/s",
            Self::Pairs(_, Unit::Messages) => "M/s",
        }
    }

    /// Nanoseconds, of an operation or a message, in that unit.
    fn convert(self, ns: f64, bytes: usize) -> f64 {
        match self {
            Self::Collective(_) => ns / 1e3,
            Self::Pairs(_, Unit::Bytes) => bytes as f64 / ns,
            Self::Pairs(_, Unit::Messages) => 1e3 / ns,
        }
    }

    /// The same of a ratio of times.
    fn convert_ratio(self, ratio: f64) -> f64 {
        match self {
            Self::Collective(_) => ratio,
            Self::Pairs(..) => 1.0 / ratio,
        }
    }
}

/// What one job says of one length, in nanoseconds of an operation or a message.
#[derive(Serialize, Deserialize)]
struct Measured {
    batches: Vec<f64>,
    /// The bare machine's figure, and how it reached it.
    bare: Option<(f64, String)>,
}

/// All turns of one number of ranks and one length.
#[derive(Default)]
struct Figure {
    batches: Vec<f64>,
    /// What it stands beside, by turn, and the ratios.
    beside: Vec<f64>,
    ratios: Vec<f64>,
    /// How the bare machine did it, if it did.
    scheme: Option<String>,
}

impl Figure {
    /// Without a figure of the bare machine it stands beside the same operation of the first number of ranks.
    fn add(&mut self, turn: Measured, of_the_first: Option<f64>) {
        let median = Spread::of(turn.batches.clone()).median;
        self.batches.extend(turn.batches);
        let (time, scheme) =
            turn.bare.map_or((of_the_first, None), |(time, scheme)| (Some(time), Some(scheme)));
        self.scheme = scheme;
        if let Some(time) = time {
            self.beside.push(time);
            self.ratios.push(median / time);
        }
    }
}

pub(super) fn run(plan: &Plan) -> Result<()> {
    if std::env::var_os(IN_A_JOB).is_some() {
        return Err("this benchmark starts jobs of its own: call it without mpiexec".into());
    }
    let figures = turns(plan)?;
    let rows: Vec<Row> =
        figures.into_iter().map(|(ranks, bytes, figure)| row(plan, ranks, bytes, figure)).collect();
    let settings = Settings { benchmark: plan.what.name(), shared: plan.shared, what: plan.what };
    if let Some(path) = &plan.plot {
        Chart::of(settings.title(), &rows).write(path)?;
    }
    print(&settings, &rows, plan.json)
}

/// All figures, the lengths of the first number of ranks first.
fn turns(plan: &Plan) -> Result<Vec<(usize, usize, Figure)>> {
    let figure = |ranks| move |&bytes: &usize| (ranks, bytes, Figure::default());
    let mut figures: Vec<Vec<_>> =
        plan.ranks.iter().map(|&ranks| plan.sizes.iter().map(figure(ranks)).collect()).collect();
    let bar = progress(TURNS as usize * plan.ranks.len());
    for _ in 0..TURNS {
        let mut first = vec![None; plan.sizes.len()];
        for (&ranks, figures) in plan.ranks.iter().zip(&mut figures) {
            bar.set_message(format!("{ranks} ranks"));
            for ((measured, (.., figure)), first) in
                job(ranks, plan)?.into_iter().zip(figures).zip(&mut first)
            {
                let median = Spread::of(measured.batches.clone()).median;
                figure.add(measured, *first);
                first.get_or_insert(median);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(figures.into_iter().flatten().collect())
}

fn row(plan: &Plan, ranks: usize, bytes: usize, figure: Figure) -> Row {
    let what = plan.what;
    let convert = |ns| what.convert(ns, bytes);
    let spread = Spread::of(figure.batches).map(convert);
    let row = if what == What::Collective(Operation::Barrier) {
        Row::new(format!("{ranks} ranks"), what.unit(), spread).of_ranks(ranks)
    } else {
        let name = format!("{}, {ranks} ranks", sizes::name(bytes));
        Row::new(name, what.unit(), spread).of_ranks(ranks).of_bytes(bytes)
    };
    if figure.ratios.is_empty() {
        return row;
    }
    let [beside, ratio] = [figure.beside, figure.ratios].map(|turns| Spread::of(turns).median);
    let (beside, ratio) = (convert(beside), what.convert_ratio(ratio));
    match figure.scheme {
        Some(scheme) => row.beside(beside, ratio).by(scheme),
        None => row.beside_other_ranks(beside, ratio, plan.ranks[0]),
    }
}

/// What a report says of how it was measured.
#[derive(Serialize)]
struct Settings {
    benchmark: &'static str,
    /// Whether ranks sent from shared memory.
    shared: bool,
    #[serde(skip)]
    what: What,
}

impl Settings {
    fn title(&self) -> String {
        let buffers = if self.shared { ", shared send buffers" } else { "" };
        format!("{}{buffers}", self.benchmark)
    }
}

impl Heading for Settings {
    fn heading(&self) -> String {
        format!("# {}: {}\n", self.title(), self.what.description())
    }
}

/// A job of so many ranks: what it says of each length.
fn job(ranks: usize, plan: &Plan) -> Result<Vec<Measured>> {
    let (mut from, to) = io::pipe().map_err(while_doing("making a pipe"))?;
    // The closure, and with it this process's end of the pipe to write to, is gone when the job has ended.
    ringmpi::run(ranks, move |world| -> Result<()> {
        let measured = rank(&world, plan)?;
        if world.rank() == 0 {
            serde_json::to_writer(&to, &measured)?;
        }
        Ok(())
    })?;
    let mut text = String::new();
    from.read_to_string(&mut text).map_err(while_doing("reading what a job has measured"))?;
    Ok(serde_json::from_str(&text)?)
}

/// Rank 0 also holds the bare machine, which sleeps while the ranks are measured, as they do while it is.
fn rank(world: &Communicator<'_>, plan: &Plan) -> Result<Vec<Measured>> {
    let is_first = world.rank() == 0;
    let fits = world.size() as usize <= cpus::count();
    let mut bare = if is_first { Bare::start(plan, world.size() as usize)? } else { Bare::Nothing };
    if fits {
        cpus::pin(world.rank() as usize);
    }
    let measure = |&bytes: &usize| {
        let bare = bare.figure(plan, bytes);
        // The others wait for it asleep.
        let trial = (TRIAL_BYTES / (bytes.max(1) * world.size() as usize)).clamp(1, TRIAL_OPERATIONS);
        let trial = agree(world, trial as u32)?;
        let batches = match plan.what {
            What::Collective(operation) => {
                batches(world, &mut Ensemble::new(world, operation, bytes, plan.shared)?, trial, plan.budget)
            }
            What::Pairs(way, _) => batches(world, &mut Pairs::new(world, way, bytes), trial, plan.budget),
        };
        Ok(Measured { batches: batches?, bare })
    };
    plan.sizes.iter().map(measure).collect()
}

/// What the ranks of a job do for one length.
pub(super) trait Part {
    /// Nanoseconds of an operation or a message, by rank 0's clock; the mean of so many rounds.
    fn time(&mut self, rounds: u32) -> Result<f64>;

    /// Operations or messages of a round.
    fn operations(&self) -> usize;

    /// Whether what came last is right.
    fn check(&self) -> Result<()>;
}

fn batches(world: &Communicator<'_>, part: &mut impl Part, trial: u32, budget: Duration) -> Result<Vec<f64>> {
    let trial = trial.div_ceil(part.operations() as u32).max(2);
    part.time(trial)?;
    let mut best = f64::INFINITY;
    let trials = (0..TRIALS).map(|_| part.time(trial)).collect::<Result<Vec<_>>>()?;
    for time in trials {
        best = best.min(time);
    }
    let round = best.max(1.0) * part.operations() as f64;
    let rounds = budget.as_nanos() as f64 / f64::from(TURNS * BATCHES) / round;
    let rounds = agree(world, rounds as u32)?.max(1);
    let batches = (0..BATCHES).map(|_| part.time(rounds)).collect::<Result<Vec<_>>>()?;
    part.check()?;
    Ok(batches)
}

/// Rank 0's number, at all ranks.
fn agree(world: &Communicator<'_>, mine: u32) -> Result<u32> {
    if world.rank() != 0 {
        return Ok(world.process_at_rank(0).receive::<u32>()?.0);
    }
    (1..world.size()).try_for_each(|rank| world.process_at_rank(rank).send(&[mine]))?;
    Ok(mine)
}

/// The bare machine, as far as it does the same.
enum Bare {
    Two(Box<Machine>),
    Many(Crowd, usize),
    Nothing,
}

impl Bare {
    fn start(plan: &Plan, ranks: usize) -> Result<Self> {
        let budget = plan.budget / TURNS;
        let started = match plan.what {
            What::Collective(Operation::Barrier) if ranks > 2 => {
                Crowd::start(ranks, budget).map(|crowd| Self::Many(crowd, ranks))
            }
            What::Collective(Operation::Barrier | Operation::Broadcast | Operation::AllReduce)
            | What::Pairs(..)
                if ranks == 2 =>
            {
                Machine::start(budget).map(|machine| Self::Two(Box::new(machine)))
            }
            _ => Ok(Self::Nothing),
        };
        started.map_err(while_doing("starting the bare machine"))
    }

    /// Nanoseconds of an operation or a message.
    fn figure(&mut self, plan: &Plan, bytes: usize) -> Option<(f64, String)> {
        let machine = match self {
            Self::Two(machine) => machine,
            Self::Many(crowd, ranks) => {
                return Some((crowd.barrier().median, format!("futex, {ranks} processes")));
            }
            Self::Nothing => return None,
        };
        let (stats, scheme) = match plan.what {
            What::Collective(Operation::Barrier) => machine.barrier(),
            What::Collective(Operation::Broadcast) => machine.broadcast(bytes),
            What::Collective(_) => machine.all_reduce(bytes),
            What::Pairs(..) => machine.stream(bytes, Touch::Rewritten, Buffers::Private),
        };
        Some((stats.median, scheme))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn measured(batches: &[f64], bare: Option<f64>) -> Measured {
        Measured { batches: batches.to_vec(), bare: bare.map(|time| (time, "by hand".to_owned())) }
    }

    fn json(what: What, ranks: usize, figure: Figure) -> serde_json::Value {
        let plan = Plan {
            what,
            ranks: vec![2, 8],
            sizes: vec![1000],
            shared: false,
            budget: Duration::ZERO,
            json: true,
            plot: None,
        };
        serde_json::to_value(row(&plan, ranks, 1000, figure)).expect("a row is plain data")
    }

    #[test]
    fn a_figure_stands_beside_the_bare_machine_and_its_ratio_is_the_median_of_the_turns() {
        let mut figure = Figure::default();
        for (batch, bare) in [(2000.0, 1000.0), (9000.0, 3000.0), (4000.0, 1000.0)] {
            figure.add(measured(&[batch], Some(bare)), Some(1.0));
        }
        let row = json(What::Collective(Operation::Broadcast), 2, figure);
        assert_eq!((&row["median"], &row["bare"], &row["ratio"]), (&4.0.into(), &1.0.into(), &3.0.into()));
        assert_eq!(
            (row["scheme"].as_str(), row["figure"].as_str()),
            (Some("by hand"), Some("1000, 2 ranks"))
        );
    }

    #[test]
    fn without_a_bare_machine_it_stands_beside_the_first_number_of_ranks() {
        let mut figure = Figure::default();
        figure.add(measured(&[500.0], None), Some(250.0));
        let row = json(What::Pairs(Way::One, Unit::Bytes), 8, figure);
        // 1000 bytes in 500 ns and 250 ns: half the speed.
        assert_eq!((&row["median"], &row["bare"], &row["ratio"]), (&2.0.into(), &4.0.into(), &0.5.into()));
        assert_eq!(row["scheme"], "2 ranks");
    }

    #[test]
    fn the_first_number_of_ranks_has_nothing_beside_it() {
        let mut figure = Figure::default();
        figure.add(measured(&[500.0], None), None);
        let row = json(What::Pairs(Way::Both, Unit::Messages), 2, figure);
        assert_eq!((&row["median"], row.get("bare"), row.get("ratio")), (&2.0.into(), None, None));
    }

    #[test]
    fn all_ranks_agree_on_the_number_of_rank_0() {
        let numbers = ringmpi::threads(3, |world| agree(&world, 7 + world.rank().unsigned_abs()).unwrap());
        assert_eq!(numbers.unwrap(), [7, 7, 7]);
    }
}
