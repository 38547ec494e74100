//! `ringmpi bench`: the command line of the benchmarks.
//!
//! In reading order: `sizes`, `exchange` (two ranks, one task after another), `patterns` (what they do with messages), `payload`
//! (what they do with the bytes), `compare` (the library and the bare machine in turn), `spread`, `report`; then `wake`, `crowd` and
//! `start`, with `jobs` (of this binary), `resources` and `cpus`.

mod compare;
mod cpus;
mod crowd;
mod exchange;
mod jobs;
mod patterns;
mod payload;
mod report;
mod resources;
mod sizes;
mod spread;
mod start;
mod wake;

use clap::{Args, Subcommand};
pub(crate) use jobs::{LAUNCHER, is_launcher};
use sizes::Size;
use std::{error::Error, fmt::Display, time::Duration};

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
        compare::Plan { pattern, sizes, touch, shared: false, budget, json: self.output.json }
    }
}

impl Bulk {
    fn plan(self, pattern: exchange::Pattern) -> compare::Plan {
        compare::Plan { shared: self.shared, ..self.messages.plan(pattern) }
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.benchmark {
        Benchmark::Latency(bulk) => compare::run(&bulk.plan(exchange::Pattern::PingPong)),
        Benchmark::Bandwidth(bulk) => compare::run(&bulk.plan(exchange::Pattern::Stream)),
        Benchmark::Rate(messages) => compare::run(&messages.plan(exchange::Pattern::Rate)),
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
