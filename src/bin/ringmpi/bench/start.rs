//! `ringmpi bench start`: what a job costs beside its messages.
//!
//! The jobs are started by this binary under the launcher's name, and their ranks are this binary too.

use super::{
    Result,
    report::{Named, Row, print},
    resources::{cpu_time, memory},
    spread::Spread,
    while_doing,
};
use clap::ValueEnum;
use ringmpi::{Communicator, Source};
use std::{
    ffi::OsStr,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// The name under which this binary is the launcher.
pub(crate) const LAUNCHER: &str = "mpiexec";

/// The sizes of jobs, and how often each is started.
const JOBS: [(usize, usize); 2] = [(2, 25), (64, 7)];

/// Ranks among which one is idle.
const IDLE_RANKS: usize = 64;

/// How long a rank is blocked.
const BLOCKED: Duration = Duration::from_secs(2);

/// What a rank of a measured job does.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Part {
    /// Nothing: a process without MPI.
    Nothing,
    /// Initialises and finalizes.
    Hello,
    /// Says what memory it takes when it waits.
    Idle,
    /// Says what CPU time a rank takes that is blocked.
    Blocked,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Whether this process was started as the launcher.
pub(crate) fn is_launcher() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new(LAUNCHER)))
}

pub(super) fn run(json: bool) -> Result<()> {
    let mut rows =
        JOBS.map(|(ranks, times)| starting(ranks, times)).into_iter().collect::<Result<Vec<_>>>()?;
    rows.push(idle_memory()?);
    rows.push(blocked()?);
    print(&Named { benchmark: "start" }, &rows, json)
}

/// A job of `ranks` beside as many processes without MPI, in turn.
fn starting(ranks: usize, times: usize) -> Result<Row> {
    let (mut jobs, mut processes) = (vec![], vec![]);
    for _ in 0..times {
        jobs.push(time(|| end(launch(ranks, Part::Hello)?.spawn()?))?);
        processes.push(time(|| {
            let part = || self_as(Part::Nothing)?.spawn();
            let children = (0..ranks).map(|_| part()).collect::<io::Result<Vec<_>>>()?;
            children.into_iter().try_for_each(end)
        })?);
    }
    let (jobs, bare) = (Spread::of(jobs), Spread::of(processes).median);
    let row = Row::new(format!("mpiexec -n {ranks}"), "ms", jobs);
    Ok(row.beside(bare, jobs.median / bare).by(format!("{ranks} processes without MPI")))
}

/// Milliseconds.
fn time(run: impl FnOnce() -> io::Result<()>) -> Result<f64> {
    let start = Instant::now();
    run().map_err(while_doing("starting a job"))?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn end(mut child: Child) -> io::Result<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}

fn self_as(part: Part) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "rank", &part.name()]);
    Ok(command)
}

fn launch(ranks: usize, part: Part) -> io::Result<Command> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(&program);
    command.arg0(LAUNCHER).args(["-n", &ranks.to_string()]).arg(program);
    command.args(["bench", "rank", &part.name()]);
    Ok(command)
}

/// The numbers that a job prints.
fn numbers(ranks: usize, part: Part) -> Result<Vec<f64>> {
    let output =
        launch(ranks, part).and_then(|mut job| job.output()).map_err(while_doing("starting a job"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match output.status.success() && !numbers.is_empty() {
        true => Ok(numbers),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
    }
}

fn idle_memory() -> Result<Row> {
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    let taken = Spread::of(numbers(IDLE_RANKS, Part::Idle)?).map(mebibytes);
    Ok(Row::new(format!("memory of an idle rank of {IDLE_RANKS}"), "MiB", taken)
        .by("beyond itself before init"))
}

fn blocked() -> Result<Row> {
    let percent = |seconds: f64| 100.0 * seconds / BLOCKED.as_secs_f64();
    let taken = Spread::of(numbers(2, Part::Blocked)?).map(percent);
    Ok(Row::new(format!("CPU of a rank blocked for {} s", BLOCKED.as_secs()), "%", taken))
}

pub(super) fn rank(part: Part) -> Result<()> {
    match part {
        Part::Nothing => Ok(()),
        Part::Hello => Ok(ringmpi::init()?.finalize()?),
        Part::Idle => idle_rank(),
        Part::Blocked => blocked_rank(),
    }
}

/// Every rank compares itself with what it was before it was a rank; rank 0 prints bytes.
fn idle_rank() -> Result<()> {
    let look = || memory().map_err(while_doing("reading this process's memory"));
    let before = look()?;
    let universe = ringmpi::init()?;
    let world = universe.world();
    world.barrier()?;
    let now = look()?;
    world.barrier()?;
    print_of_all(&world, now.saturating_sub(before))?;
    Ok(universe.finalize()?)
}

/// Rank 0 prints every rank's number.
fn print_of_all(world: &Communicator<'_>, mine: u64) -> Result<()> {
    if world.rank() != 0 {
        return Ok(world.process_at_rank(0).send(&[mine])?);
    }
    println!("{mine}");
    for rank in 1..world.size() {
        println!("{}", world.process_at_rank(rank).receive::<u64>()?.0);
    }
    Ok(())
}

/// Rank 1 waits in a receive for what rank 0 sends late; it prints seconds.
fn blocked_rank() -> Result<()> {
    let universe = ringmpi::init()?;
    let world = universe.world();
    if world.rank() == 0 {
        std::thread::sleep(BLOCKED);
        world.process_at_rank(1).send::<u8>(&[])?;
    } else {
        let look = || cpu_time().map_err(while_doing("reading this process's CPU time"));
        let before = look()?;
        world.process_at_rank(0).receive_into::<u8>(&mut [])?;
        println!("{}", (look()? - before).as_secs_f64());
    }
    Ok(universe.finalize()?)
}
