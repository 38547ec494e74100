//! The program under test: a rank, or a process that makes its ranks by itself.

use crate::{
    bodies::{self, Body},
    filter,
    programs::{self, Program},
};
use ringmpi::{Communicator, Result};
use std::process::ExitCode;

/// Names the body.
pub(crate) const BODY: &str = "RINGMPI_TEST_BODY";
/// Makes the process run the ranks itself: so many threads, or so many forked processes.
pub(crate) const THREADS: &str = "RINGMPI_TEST_THREADS";
pub(crate) const FORKS: &str = "RINGMPI_TEST_FORKS";
/// As [`THREADS`], in a job whose counters are about to wrap.
#[cfg(feature = "internals")]
pub(crate) const LATE: &str = "RINGMPI_TEST_LATE";
/// Makes the rank leave by dropping what it has when the body returns, with the body's error.
pub(crate) const MAIN: &str = "RINGMPI_TEST_MAIN";
/// Names a program that is more than a rank with a body.
pub(crate) const PROGRAM: &str = "RINGMPI_TEST_PROGRAM";

/// What a process does that the harness has started.
pub(crate) enum Role {
    Rank(Body),
    Main(Body),
    Threads(Body, usize),
    #[cfg(feature = "internals")]
    Late(Body, usize),
    Forks(Body, usize),
    Program(Program),
}

impl Role {
    pub(crate) fn from_environment() -> Option<Self> {
        if let Ok(name) = std::env::var(PROGRAM) {
            return Some(Self::Program(programs::find(&name)));
        }
        let name = std::env::var(BODY).ok()?;
        let body = bodies::find(&name);
        let count = |variable| std::env::var(variable).ok().map(|count| count.parse::<usize>().unwrap());
        #[cfg(feature = "internals")]
        if let Some(count) = count(LATE) {
            return Some(Self::Late(body, count));
        }
        Some(match (count(THREADS), count(FORKS)) {
            (Some(count), _) => Self::Threads(body, count),
            (None, Some(count)) => Self::Forks(body, count),
            (None, None) if std::env::var_os(MAIN).is_some() => Self::Main(body),
            (None, None) => Self::Rank(body),
        })
    }

    pub(crate) fn play(self) -> ExitCode {
        match self {
            Self::Rank(body) => rank(body),
            Self::Main(body) => {
                if let Err(error) = main(body) {
                    eprintln!("Error: {error:?}");
                    return ExitCode::FAILURE;
                }
            }
            Self::Threads(body, count) => {
                drop(ringmpi::threads(count, |world| run(body, &world)).unwrap());
            }
            #[cfg(feature = "internals")]
            Self::Late(body, count) => {
                drop(ringmpi::internals::late::threads(count, |world| run(body, &world)).unwrap());
            }
            Self::Forks(body, count) => {
                let checked = |world: Communicator<'_>| body(&world).map(|()| expect_no_rescues(&world));
                let before = open_descriptors();
                if let Err(error) = ringmpi::run(count, checked) {
                    eprintln!("Error: {error:?}");
                    return ExitCode::FAILURE;
                }
                assert_eq!(open_descriptors(), before, "`run` leaves nothing open");
            }
            Self::Program(program) => program(),
        }
        ExitCode::SUCCESS
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A program's `main` with nothing but `?`.
fn main(body: Body) -> Result<()> {
    let universe = ringmpi::init()?;
    body(&universe.world())
}

fn rank(body: Body) {
    filter::refuse_membarrier_if_asked_to();
    let universe = ringmpi::init().unwrap();
    run(body, &universe.world());
    universe.finalize().unwrap();
}

fn run(body: Body, world: &Communicator<'_>) {
    body(world).unwrap_or_else(|error| panic!("rank {}: {error:?}", world.rank()));
    expect_no_rescues(world);
}

/// Every sleep was ended by the one who owed the wake-up.
fn expect_no_rescues(world: &Communicator<'_>) {
    let rescues = world.rescues();
    assert_eq!(rescues, 0, "rank {}: {rescues} wake-ups were lost", world.rank());
}
