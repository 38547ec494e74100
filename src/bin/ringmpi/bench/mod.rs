//! `ringmpi bench`: the command line of the benchmarks.
//!
//! In reading order: `sizes`, `exchange` (two ranks, one task after another), `patterns` (what they do with messages), `payload`
//! (what they do with the bytes), `compare` (the library and the bare machine in turn), `spread`, `report`, `plot`; `company` (jobs of
//! several numbers of ranks in turn), with `collectives` and `pairs` (what these do); then `wake`, `crowd` and `start`, with `jobs`
//! (of this binary), `resources` and `cpus`.

mod collectives;
mod company;
mod compare;
mod cpus;
mod crowd;
mod exchange;
mod jobs;
mod pairs;
mod patterns;
mod payload;
mod plot;
mod report;
mod resources;
mod sizes;
mod spread;
mod start;
mod wake;

use clap::{Args, Subcommand};
use collectives::Operation;
use company::{Unit, What};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
pub(crate) use jobs::{LAUNCHER, is_launcher};
use pairs::Way;
use sizes::{Size, Words};
use std::{error::Error, fmt::Display, path::PathBuf, time::Duration};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Half of a ping-pong's round trip.
    Latency(Bulk),
    /// A window of 64 messages, then an acknowledgement: bytes a second.
    Bandwidth(Bulk),
    /// Nonblocking windows of 64 messages (8 B unless --sizes says otherwise) that are written before and read after:
    /// messages a second.
    Rate(Messages),
    /// All ranks wait for each other, beside a barrier of two by flags, of more by futex.
    Barrier(Barrier),
    /// One rank's bytes get to all, beside one copy of as many, for two ranks.
    Bcast(Collective),
    /// One rank gets the sums of all ranks' f64.
    Reduce(Collective),
    /// All get the sums of all ranks' f64, beside a bare reduction, for two ranks.
    Allreduce(Collective),
    /// All get the bytes of all.
    Allgather(Collective),
    /// Each gets bytes of its own from each.
    Alltoall(Collective),
    /// Each gets the sums of the f64 of all ranks up to itself.
    Scan(Collective),
    /// Pairs of ranks at once, one of each sends: bytes a second, or messages.
    MultiPair(Pairs),
    /// Pairs of ranks at once that send to each other at the same time.
    Bidirectional(Pairs),
    /// A message to a rank that sleeps.
    Wake(Output),
    /// Ranks that hand a token round: the time of a hop, also where ranks outnumber CPUs.
    Crowd {
        /// Numbers of ranks, e.g. 2,16,256; 2 to 64 unless given.
        #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(2..=1024))]
        ranks: Vec<u16>,
        #[command(flatten)]
        output: Output,
    },
    /// What a job costs: starting it, ranks that wait.
    Start(Output),
    /// A rank of the jobs that `crowd` and `start` measure.
    #[command(hide = true)]
    Rank { part: jobs::Part },
}

/// How messages are measured.
#[derive(Args)]
struct Messages {
    /// Lengths in bytes, e.g. 8,64K,1M.
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<Size>,
    /// Rewrite each message before it is sent and read it when it has come, inside the time.
    #[arg(long)]
    touch: bool,
    /// Milliseconds for each figure.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    budget: u64,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    plot: Plot,
}

/// How messages are measured that may lie in shared memory.
#[derive(Args)]
struct Bulk {
    #[command(flatten)]
    messages: Messages,
    /// Send from memory that the receiver can read: one copy.
    #[arg(long)]
    shared: bool,
}

/// Which jobs are measured, and for how long.
#[derive(Args)]
struct Group {
    /// Numbers of ranks.
    #[arg(short = 'n', long, value_delimiter = ',', default_value = "2,4,8")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    ranks: Vec<u16>,
    #[command(flatten)]
    limits: Limits,
}

/// How barriers are measured.
#[derive(Args)]
struct Barrier {
    #[command(flatten)]
    group: Group,
    /// Draws the figures by number of ranks into this file, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// How long it takes, and what is printed.
#[derive(Args)]
struct Limits {
    /// Milliseconds for each figure.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    budget: u64,
    #[command(flatten)]
    output: Output,
}

/// How a collective with data is measured.
#[derive(Args)]
struct Collective {
    #[command(flatten)]
    group: Group,
    /// Lengths in bytes, multiples of 8.
    #[arg(long, value_delimiter = ',', default_value = "8,64,1K,8K,64K,1M")]
    sizes: Vec<Words>,
    /// Ranks send from memory that the others can read.
    #[arg(long)]
    shared: bool,
    #[command(flatten)]
    plot: Plot,
}

/// How pairs of ranks are measured.
#[derive(Args)]
struct Pairs {
    /// Numbers of ranks, even ones.
    #[arg(short = 'n', long, value_delimiter = ',', default_value = "2,4,8", value_parser = even)]
    ranks: Vec<u16>,
    #[command(flatten)]
    limits: Limits,
    /// Lengths in bytes.
    #[arg(long, value_delimiter = ',', default_value = "8,64,1K,8K,64K,1M")]
    sizes: Vec<Size>,
    /// Messages a second instead of bytes a second.
    #[arg(long)]
    rate: bool,
    #[command(flatten)]
    plot: Plot,
}

/// A picture.
#[derive(Args)]
struct Plot {
    /// Draws the figures by length into this file, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// What is printed.
#[derive(Args, Clone, Copy)]
struct Output {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Messages {
    fn plan(self, pattern: exchange::Pattern) -> compare::Plan {
        let is_rate = pattern == exchange::Pattern::Rate;
        let sizes = match self.sizes.is_empty() {
            false => self.sizes.into_iter().map(Size::bytes).collect(),
            true if is_rate => vec![8],
            true => sizes::powers_of_two(),
        };
        let budget = Duration::from_millis(self.budget);
        let touch = self.touch || is_rate;
        let (json, plot) = (self.output.json, self.plot.plot);
        compare::Plan { pattern, sizes, touch, shared: false, budget, json, plot }
    }
}

impl Bulk {
    fn plan(self, pattern: exchange::Pattern) -> compare::Plan {
        compare::Plan { shared: self.shared, ..self.messages.plan(pattern) }
    }
}

/// A number of ranks that are pairs.
fn even(text: &str) -> std::result::Result<u16, String> {
    match text.parse() {
        Ok(ranks @ 2..=1024) if ranks % 2 == 0 => Ok(ranks),
        _ => Err("not an even number from 2 to 1024".to_owned()),
    }
}

impl Limits {
    /// With sizes that mean nothing.
    fn plan(self, what: What, ranks: Vec<u16>) -> company::Plan {
        let ranks = ranks.into_iter().map(usize::from).collect();
        let (budget, json) = (Duration::from_millis(self.budget), self.output.json);
        company::Plan { what, ranks, sizes: vec![0], shared: false, budget, json, plot: None }
    }
}

impl Group {
    fn plan(self, operation: Operation) -> company::Plan {
        self.limits.plan(What::Collective(operation), self.ranks)
    }
}

impl Collective {
    fn plan(self, operation: Operation) -> company::Plan {
        let sizes = self.sizes.into_iter().map(Words::bytes).collect();
        let plan = self.group.plan(operation);
        company::Plan { sizes, shared: self.shared, plot: self.plot.plot, ..plan }
    }
}

impl Pairs {
    fn plan(self, way: Way) -> company::Plan {
        let sizes = self.sizes.into_iter().map(Size::bytes).collect();
        let unit = if self.rate { Unit::Messages } else { Unit::Bytes };
        let plan = self.limits.plan(What::Pairs(way, unit), self.ranks);
        company::Plan { sizes, plot: self.plot.plot, ..plan }
    }
}

/// Drawn by this thread, on a terminal's stderr only: a rank that has a second thread is slower.
fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.benchmark {
        Benchmark::Latency(bulk) => compare::run(&bulk.plan(exchange::Pattern::PingPong)),
        Benchmark::Bandwidth(bulk) => compare::run(&bulk.plan(exchange::Pattern::Stream)),
        Benchmark::Rate(messages) => compare::run(&messages.plan(exchange::Pattern::Rate)),
        Benchmark::Barrier(Barrier { group, plot }) => {
            company::run(&company::Plan { plot, ..group.plan(Operation::Barrier) })
        }
        Benchmark::Bcast(collective) => company::run(&collective.plan(Operation::Broadcast)),
        Benchmark::Reduce(collective) => company::run(&collective.plan(Operation::Reduce)),
        Benchmark::Allreduce(collective) => company::run(&collective.plan(Operation::AllReduce)),
        Benchmark::Allgather(collective) => company::run(&collective.plan(Operation::AllGather)),
        Benchmark::Alltoall(collective) => company::run(&collective.plan(Operation::AllToAll)),
        Benchmark::Scan(collective) => company::run(&collective.plan(Operation::Scan)),
        Benchmark::MultiPair(pairs) => company::run(&pairs.plan(Way::One)),
        Benchmark::Bidirectional(pairs) => company::run(&pairs.plan(Way::Both)),
        Benchmark::Wake(output) => wake::run(output.json),
        Benchmark::Crowd { ranks, output } => crowd::run(&ranks, output.json),
        Benchmark::Start(output) => start::run(output.json),
        Benchmark::Rank { part } => part.play(),
    }
}

/// Says what was being done when an error came.
fn while_doing<E: Display>(what: &str) -> impl FnOnce(E) -> Box<dyn Error + Send + Sync> {
    move |error| format!("{what}: {error}").into()
}
