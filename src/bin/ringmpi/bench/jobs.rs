//! Jobs that benchmarks start: by this binary under the launcher's name, with this binary as their ranks.

use super::{Result, crowd, start, while_doing};
use clap::ValueEnum;
use ringmpi::{Communicator, Source};
use std::{ffi::OsStr, io, os::unix::process::CommandExt, path::Path, process::Command};

/// The name under which this binary is the launcher.
pub(crate) const LAUNCHER: &str = "mpiexec";

/// What this binary does as a part of a benchmark.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Part {
    /// Nothing: a process without MPI.
    Nothing,
    /// A rank that initialises and finalizes.
    Hello,
    /// Ranks that say what memory they take when they wait.
    Idle,
    /// Says what CPU time a rank takes that is blocked.
    Blocked,
    /// Ranks that hand a token round.
    Ring,
    /// Two processes that hand over by futex, without MPI.
    HandOver,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(super) fn play(self) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Hello => Ok(ringmpi::init()?.finalize()?),
            Self::Idle => start::idle_rank(),
            Self::Blocked => start::blocked_rank(),
            Self::Ring => crowd::ring(),
            Self::HandOver => crowd::hand_over(),
        }
    }
}

/// Whether this process was started as the launcher.
pub(crate) fn is_launcher() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new(LAUNCHER)))
}

/// A process without a launcher.
pub(super) fn alone(part: Part) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "rank", &part.name()]);
    Ok(command)
}

/// A job.
pub(super) fn launch(ranks: usize, part: Part) -> io::Result<Command> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(&program);
    command.arg0(LAUNCHER).args(["-n", &ranks.to_string()]).arg(program);
    command.args(["bench", "rank", &part.name()]);
    Ok(command)
}

/// The numbers that a process or job prints.
pub(super) fn numbers(command: io::Result<Command>) -> Result<Vec<f64>> {
    let output =
        command.and_then(|mut command| command.output()).map_err(while_doing("starting a process"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match output.status.success() && !numbers.is_empty() {
        true => Ok(numbers),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
    }
}

/// Rank 0 prints every rank's number.
pub(super) fn print_of_all(world: &Communicator<'_>, mine: u64) -> Result<()> {
    if world.rank() != 0 {
        return Ok(world.process_at_rank(0).send(&[mine])?);
    }
    println!("{mine}");
    for rank in 1..world.size() {
        println!("{}", world.process_at_rank(rank).receive::<u64>()?.0);
    }
    Ok(())
}
