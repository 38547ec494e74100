//! Jobs without a launcher: forked ranks, and ranks as threads.

use crate::{
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    launch::{env::Place, forked::run_forked},
    shm::segment::Segment,
    world::{Universe, init},
};
use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
};

/// Runs `f` as the `n` ranks of a job: forked processes, which inherit the terminal. The caller waits
/// for them. A process that `mpiexec` has started calls `f` once, as a rank of that job, whatever `n`
/// is.
///
/// ```no_run
/// # use ringmpi::Source;
/// ringmpi::run(4, |world| {
///     let (next, previous) = ((world.rank() + 1) % 4, (world.rank() + 3) % 4);
///     let sending = world.process_at_rank(next).immediate_send(vec![world.rank()])?;
///     let (left, _) = world.process_at_rank(previous).receive::<i32>()?;
///     assert_eq!(left, previous);
///     sending.wait().map(drop)
/// })
/// # .unwrap();
/// ```
///
/// # Errors
/// The first rank's failure. A process that has other threads already: they would not be in the ranks.
pub fn run<E: Display>(n: usize, f: impl FnOnce(Communicator<'_>) -> Result<(), E>) -> Result<()> {
    if Place::from_environment()?.is_some() {
        return run_rank(init()?, f).map_err(Failed::into_error);
    }
    let segment = Segment::create(n)?;
    let outcome = run_forked(&segment, |slot| {
        let universe = Universe::claim_and_attach(&segment, slot);
        let hidden = universe.and_then(|universe| segment.hide_from_children().map(|()| universe));
        match hidden.map_err(Failed::First).and_then(|universe| run_rank(universe, f)) {
            Ok(()) => 0,
            Err(failed) => {
                failed.report();
                FAILED
            }
        }
    })?;
    match outcome.failure {
        Some(failure) => Err(Error::new(ErrorClass::PROC_ABORTED, failure.to_string())),
        None if outcome.code != 0 => {
            Err(Error::new(ErrorClass::OTHER, format!("a rank ended with code {}", outcome.code)))
        }
        None => Ok(()),
    }
}

/// The exit code of a rank whose function returns an error.
const FAILED: i32 = 1;

/// How a rank failed.
enum Failed {
    First(Error),
    /// The job had ended already: a consequence, which nobody needs to read.
    AfterTheEnd(Error),
}

impl Failed {
    fn report(self) {
        if let Self::First(error) = self {
            eprintln!("error: {error}");
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::First(error) | Self::AfterTheEnd(error) => error,
        }
    }
}

/// Runs one rank to its end. A rank that returns an error does not wait for its own sends, which its
/// peers may never receive: it ends the job.
fn run_rank<E: Display>(
    universe: Universe,
    f: impl FnOnce(Communicator<'_>) -> Result<(), E>,
) -> Result<(), Failed> {
    let rank = universe.world().rank();
    match f(universe.world()) {
        Ok(()) => universe.finalize().map_err(Failed::AfterTheEnd),
        Err(error) => {
            let described = Error::new(ErrorClass::OTHER, format!("rank {rank}: {error}"));
            match universe.fail(FAILED) {
                true => Err(Failed::First(described)),
                false => Err(Failed::AfterTheEnd(described)),
            }
        }
    }
}

/// Runs `f` as the `n` ranks of a job, each a thread of this process, and returns what they return:
/// for unit tests, which need no launcher.
///
/// ```
/// let sums = ringmpi::threads(3, |world| {
///     world.all_reduce_value(world.rank(), ringmpi::op::Sum).unwrap()
/// })?;
/// assert_eq!(sums, [3, 3, 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// A number of ranks out of range; no memory; no more threads.
///
/// # Panics
/// If a rank panics: the first panic goes on in the caller.
pub fn threads<R: Send>(n: usize, f: impl Fn(Communicator<'_>) -> R + Sync) -> Result<Vec<R>> {
    threads_over(&Segment::on_heap(n)?, f)
}

/// As [`threads`], over a segment that nobody else uses.
pub(crate) fn threads_over<R: Send>(
    segment: &Arc<Segment>,
    f: impl Fn(Communicator<'_>) -> R + Sync,
) -> Result<Vec<R>> {
    let first_panic = Mutex::new(None);
    let results: Vec<Result<Option<R>>> = std::thread::scope(|scope| {
        let rank = |slot| {
            let (f, first_panic) = (&f, &first_panic);
            std::thread::Builder::new().name(format!("rank {slot}")).spawn_scoped(scope, move || {
                let body = AssertUnwindSafe(|| thread_rank(segment, slot, f));
                catch_unwind(body).unwrap_or_else(|panic| {
                    // Later panics are mostly consequences.
                    first_panic
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .get_or_insert(panic);
                    Ok(None)
                })
            })
        };
        let spawned: Vec<_> = (0..segment.ranks()).map(rank).collect();
        if spawned.iter().any(std::result::Result::is_err) {
            segment.end();
        }
        let join = |spawned: std::io::Result<std::thread::ScopedJoinHandle<'_, _>>| match spawned {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(error) => Err(Error::system("starting a thread for a rank", error)),
        };
        spawned.into_iter().map(join).collect()
    });
    if let Some(panic) = first_panic.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        resume_unwind(panic);
    }
    results.into_iter().filter_map(Result::transpose).collect()
}

fn thread_rank<R>(
    segment: &Arc<Segment>,
    slot: usize,
    f: &(impl Fn(Communicator<'_>) -> R + Sync),
) -> Result<Option<R>> {
    let universe = Universe::claim_and_attach(segment, slot)?;
    let value = f(universe.world());
    universe.finalize()?;
    Ok(Some(value))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::communicator::Source;

    #[test]
    fn ranks_that_wait_for_one_that_has_returned_get_an_error() {
        let outcomes = threads(3, |world| match world.rank() {
            0 => {
                // Nobody receives it.
                drop(world.process_at_rank(1).immediate_send(vec![0u8; 1 << 20])?);
                Err(Error::new(ErrorClass::OTHER, "on purpose"))
            }
            1 => world.process_at_rank(0).tag(1).receive::<u8>().map(drop),
            _ => world.barrier(),
        })
        .unwrap();
        let [first, second, third] = [0, 1, 2].map(|rank| outcomes[rank].as_ref().unwrap_err().to_string());
        assert!(first == "on purpose" && second.contains("rank 0"), "{outcomes:?}");
        assert!(third.contains("in vain"), "{outcomes:?}");
    }
}
