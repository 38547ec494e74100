//! `ringmpi bench start`: what a job costs beside its messages.

use super::{
    Result,
    jobs::{Part, alone, launch, numbers, print_of_all},
    report::{Named, Row, print},
    resources::{cpu_time, memory},
    spread::Spread,
    while_doing,
};
use ringmpi::Source;
use std::{
    io,
    process::Child,
    time::{Duration, Instant},
};

/// The sizes of jobs, and how often each is started.
const JOBS: [(usize, usize); 2] = [(2, 25), (64, 7)];

/// Ranks among which one is idle.
const IDLE_RANKS: usize = 64;

/// How long a rank is blocked.
const BLOCKED: Duration = Duration::from_secs(2);

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
            let part = || alone(Part::Nothing)?.spawn();
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

fn idle_memory() -> Result<Row> {
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    let taken = Spread::of(numbers(launch(IDLE_RANKS, Part::Idle))?).map(mebibytes);
    Ok(Row::new(format!("memory of an idle rank of {IDLE_RANKS}"), "MiB", taken)
        .by("beyond itself before init"))
}

fn blocked() -> Result<Row> {
    let percent = |seconds: f64| 100.0 * seconds / BLOCKED.as_secs_f64();
    let taken = Spread::of(numbers(launch(2, Part::Blocked))?).map(percent);
    Ok(Row::new(format!("CPU of a rank blocked for {} s", BLOCKED.as_secs()), "%", taken))
}

/// Every rank compares itself with what it was before it was a rank; rank 0 prints bytes.
pub(super) fn idle_rank() -> Result<()> {
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

/// Rank 1 waits in a receive for what rank 0 sends late; it prints seconds.
pub(super) fn blocked_rank() -> Result<()> {
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
