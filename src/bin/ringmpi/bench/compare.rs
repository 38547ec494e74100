//! The library and the bare machine in turn, figure by figure: the host moves its guests' CPUs, so that only figures
//! taken close together can be compared.

use super::{
    Result, cpus,
    exchange::{Pattern, Side, Task},
    plot::Chart,
    progress,
    report::{Row, Settings, print},
    sizes,
    spread::Spread,
    while_doing,
};
use crate::limit::{Buffers, Machine, Touch};
use ringmpi::Communicator;
use std::{path::PathBuf, time::Duration};

/// How often the bare machine and the library alternate for a figure.
const TURNS: u32 = 3;

/// The library's batches in a turn.
const BATCHES: u32 = 5;

/// The library's share of its cache-warming: so many bytes, or messages, are moved before the clock counts.
const WARM_BYTES: usize = 4 << 20;
const WARM_MESSAGES: usize = 512;

/// What to measure.
pub(super) struct Plan {
    pub(super) pattern: Pattern,
    pub(super) sizes: Vec<usize>,
    pub(super) touch: bool,
    /// Whether messages are sent from shared memory.
    pub(super) shared: bool,
    /// For each side of a figure.
    pub(super) budget: Duration,
    pub(super) json: bool,
    pub(super) plot: Option<PathBuf>,
}

/// Both sides' nanoseconds for one message.
struct Figure {
    library: Spread,
    bare: f64,
    /// The median of the turns' ratios of time.
    ratio: f64,
    scheme: String,
}

pub(super) fn run(plan: &Plan) -> Result<()> {
    Ok(ringmpi::run(2, |world| rank(&world, plan))?)
}

fn rank(world: &Communicator<'_>, plan: &Plan) -> Result<()> {
    check_size(world)?;
    let side = Side::new(world);
    if side.is_first {
        return lead(&side, plan);
    }
    cpus::pin(1);
    side.follow()
}

/// Under mpiexec there may be any number of ranks.
pub(super) fn check_size(world: &Communicator<'_>) -> Result<()> {
    match world.size() {
        2 => Ok(()),
        size => Err(format!("this benchmark has 2 ranks, not {size}").into()),
    }
}

/// Rank 0: the bare machine's partner is forked here and sleeps while the ranks are measured, as rank 1 does while
/// the bare machine is.
fn lead(side: &Side<'_, '_>, plan: &Plan) -> Result<()> {
    let machine = Machine::start(plan.budget / TURNS).map_err(while_doing("starting the bare machine"))?;
    let shares_a_cpu = machine.shares_a_cpu();
    cpus::pin(0);
    let mut comparison = Comparison { side, machine, plan };
    let bar = progress(plan.sizes.len());
    let rows = plan.sizes.iter().map(|&bytes| {
        bar.set_message(sizes::name(bytes));
        let row = row(plan.pattern, bytes, comparison.figure(bytes)?);
        bar.inc(1);
        Ok(row)
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    bar.finish_and_clear();
    side.dismiss()?;
    let settings = Settings { pattern: plan.pattern, touch: plan.touch, shared: plan.shared, shares_a_cpu };
    if let Some(path) = &plan.plot {
        Chart::of(settings.title(), &rows).write(path)?;
    }
    print(&settings, &rows, plan.json)
}

struct Comparison<'a, 'c, 'u> {
    side: &'a Side<'c, 'u>,
    machine: Machine,
    plan: &'a Plan,
}

impl Comparison<'_, '_, '_> {
    fn figure(&mut self, bytes: usize) -> Result<Figure> {
        let (mut batches, mut bare, mut ratios) = (vec![], vec![], vec![]);
        let mut scheme = String::new();
        for _ in 0..TURNS {
            let (time, by) = self.bare(bytes);
            let turn = self.library(bytes)?;
            ratios.push(Spread::of(turn.clone()).median / time);
            batches.extend(turn);
            bare.push(time);
            scheme = by;
        }
        let [bare, ratio] = [bare, ratios].map(|turns| Spread::of(turns).median);
        Ok(Figure { library: Spread::of(batches), bare, ratio, scheme })
    }

    fn bare(&mut self, bytes: usize) -> (f64, String) {
        let buffers = if self.plan.shared { Buffers::Shared } else { Buffers::Private };
        let touch = if self.plan.touch { Touch::Rewritten } else { Touch::Untouched };
        let (stats, scheme) = match self.plan.pattern {
            Pattern::PingPong => self.machine.latency(bytes, touch, buffers),
            Pattern::Stream | Pattern::Rate => self.machine.stream(bytes, touch, buffers),
        };
        (stats.median, scheme)
    }

    /// The batches of one turn.
    fn library(&self, bytes: usize) -> Result<Vec<f64>> {
        let &Plan { pattern, touch, shared, budget, .. } = self.plan;
        let messages = pattern.messages(bytes);
        let warm_up = (WARM_BYTES / bytes.max(1)).min(WARM_MESSAGES).div_ceil(messages) as u32;
        let trial = Task { pattern, bytes, touch, shared, warm_up, batches: 3, rounds: warm_up };
        let best = self.side.command(trial)?.into_iter().fold(f64::INFINITY, f64::min);
        let rounds = budget.as_nanos() as f64 / f64::from(TURNS * BATCHES) / best.max(1.0);
        let task = Task { batches: BATCHES, rounds: (rounds as u32).max(1), ..trial };
        let one_way = match pattern {
            Pattern::PingPong => 2.0,
            Pattern::Stream | Pattern::Rate => messages as f64,
        };
        Ok(self.side.command(task)?.into_iter().map(|round| round / one_way).collect())
    }
}

/// Times become what the benchmark is about.
fn row(pattern: Pattern, bytes: usize, figure: Figure) -> Row {
    let Figure { library, bare, ratio, scheme } = figure;
    let (unit, convert): (_, fn(f64, f64) -> f64) = match pattern {
        Pattern::PingPong => ("us", |ns, _| ns / 1e3),
        Pattern::Stream => ("GB/s", |ns, bytes| bytes / ns),
        Pattern::Rate => ("M/s", |ns, _| 1e3 / ns),
    };
    let convert = |ns: f64| convert(ns, bytes as f64);
    let ratio = if pattern == Pattern::PingPong { ratio } else { 1.0 / ratio };
    let row = Row::new(sizes::name(bytes), unit, library.map(convert)).of_bytes(bytes);
    row.beside(convert(bare), ratio).by(scheme)
}
