//! Jobs without a launcher: forked ranks, and ranks as threads.

use crate::{
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    join,
    launch::{env::Place, forked::run_forked},
    shm::{arena, segment::Segment},
    sys::presence,
    types::PeerId,
    world::{Universe, init},
};
use std::{
    any::Any,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

/// Runs `f` as the `n` ranks of a job: forked processes, which inherit the terminal. The caller waits
/// for them. A process that `mpiexec` has started, or whose environment names a job to join (see [`init`]), calls
/// `f` once, as a rank of that job, whatever `n` is.
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
/// The first rank's failure; in a launched or joined job this rank's, while under `mpiexec` a rank whose job has
/// been ended by another does not return: its process ends, in silence. A process that has other threads already:
/// they would not be in the ranks. A process that is a rank already, because a [`Universe`] lives in it, or that
/// has memory from [`alloc`](Communicator::alloc), which the ranks would not have.
pub fn run<E: Display>(n: usize, f: impl FnOnce(Communicator<'_>) -> Result<(), E>) -> Result<()> {
    refuse_rank()?;
    let joins = join::is_asked_for();
    if joins || Place::from_environment()?.is_some() {
        return match init().map_err(Failed::of).and_then(|universe| run_rank(universe, f)) {
            Ok(()) => Ok(()),
            // The launcher reports the cause, and is about to end this process too.
            Err(Failed::AfterTheEnd(_)) if !joins => std::process::exit(FAILED),
            Err(Failed::First(error) | Failed::AfterTheEnd(error)) => Err(error),
        };
    }
    let segment = Segment::create_without_descriptor(n).map_err(|error| error.of("run"))?;
    let outcome = run_forked(&segment, |slot| {
        let universe = Universe::claim_and_attach(&segment, slot);
        let hidden = universe.and_then(|universe| segment.hide_from_children().map(|()| universe));
        match hidden.map_err(Failed::of).and_then(|universe| run_rank(universe, f)) {
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

/// A rank waits for its peers, not for ranks of its own. And these would not have its shared memory, which
/// the closure may refer to.
fn refuse_rank() -> Result<()> {
    let unreadable = |errno| Error::system("reading /proc/self/maps", errno);
    let refused = |what, help| Err(Error::new(ErrorClass::OTHER, what).with_help(help));
    if presence::is_any().map_err(unreadable)? {
        return refused(
            "this process is a rank already: it cannot run ranks of its own",
            "call run before init, or after finalize",
        );
    }
    if arena::is_any_mapped().map_err(unreadable)? {
        return refused(
            "this process still has memory from `alloc`, which the ranks would not have",
            "drop it before run, or copy what the ranks need",
        );
    }
    Ok(())
}

/// The exit code of a rank whose function returns an error.
const FAILED: i32 = 1;

/// How a rank failed.
enum Failed {
    First(Error),
    /// The job had ended already: a consequence, which nobody needs to read where the cause is reported.
    AfterTheEnd(Error),
}

impl Failed {
    fn of(error: Error) -> Self {
        if error.is_consequence() { Self::AfterTheEnd(error) } else { Self::First(error) }
    }

    fn report(self) {
        if let Self::First(error) = self {
            eprintln!("error: {error}");
        }
    }
}

/// Runs one rank to its end. A rank that returns an error does not wait for its own sends, which its
/// peers may never receive: it ends the job.
fn run_rank<R, E: Display>(
    universe: Universe,
    f: impl FnOnce(Communicator<'_>) -> Result<R, E>,
) -> Result<R, Failed> {
    let rank = universe.world().rank();
    match f(universe.world()) {
        Ok(value) => universe.finalize().map(|()| value).map_err(Failed::of),
        Err(error) => {
            let is_first = universe.fail(FAILED);
            let error = Error::new(ErrorClass::OTHER, format!("rank {rank}: {error}"));
            Err(if is_first { Failed::First(error) } else { Failed::AfterTheEnd(error) })
        }
    }
}

/// Runs `f` as the `n` ranks of a job, each a thread of this process, and returns what they return:
/// for unit tests, which need no launcher. To fail, a rank panics (`unwrap`): that ends the job, while an
/// `Err` that it returns is a value like any other.
///
/// ```
/// let sums = ringmpi::threads(3, |world| world.all_reduce_value(world.rank(), ringmpi::op::Sum).unwrap())?;
/// assert_eq!(sums, [3, 3, 3]);
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// A number of ranks out of range; no memory; no more threads; a panic in the operation of a reduction, which the
/// rank has caught.
///
/// # Panics
/// If a rank panics first: its panic goes on in the caller.
pub fn threads<R: Send>(n: usize, f: impl Fn(Communicator<'_>) -> R + Sync) -> Result<Vec<R>> {
    threads_over(&Segment::on_heap(n).map_err(|error| error.of("threads"))?, f)
}

/// As [`threads`], over a segment that nobody else uses.
pub(crate) fn threads_over<R: Send>(
    segment: &Arc<Segment>,
    f: impl Fn(Communicator<'_>) -> R + Sync,
) -> Result<Vec<R>> {
    let ends = std::thread::scope(|scope| {
        let rank = |slot| {
            let f = &f;
            std::thread::Builder::new()
                .name(format!("rank {slot}"))
                .spawn_scoped(scope, move || thread_rank(segment, slot, f))
                .map_err(|errno| not_started(segment, slot, &errno))
        };
        let spawned: Vec<_> = (0..segment.ranks()).map(rank).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(End::Panicked);
        spawned.into_iter().map(|spawned| spawned.map_or_else(End::Failed, join)).collect()
    });
    first_failure(segment, ends)
}

/// How a rank that is a thread has ended.
enum End<R> {
    Returned(R),
    Failed(Error),
    Panicked(Box<dyn Any + Send>),
}

fn thread_rank<R>(segment: &Arc<Segment>, slot: usize, f: &impl Fn(Communicator<'_>) -> R) -> End<R> {
    let body = || {
        let universe = Universe::claim_and_attach(segment, slot)?;
        let value = f(universe.world());
        universe.finalize().map(|()| value)
    };
    let end = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return End::Returned(value),
        Ok(Err(error)) => End::Failed(error),
        Err(panic) => End::Panicked(panic),
    };
    // If it was not the rank itself that has ended the job, in whatever way it failed.
    segment.end_by(PeerId(slot as u32));
    end
}

#[cold]
fn not_started(segment: &Arc<Segment>, slot: usize, errno: &std::io::Error) -> Error {
    segment.end_by(PeerId(slot as u32));
    let what = format!("cannot start a thread for rank {slot} of {}: {errno}", segment.ranks());
    Error::new(ErrorClass::OTHER, what)
        .with_help("see `ulimit -u` (processes and threads) and `ulimit -v` (memory)")
}

/// What the ranks have returned; or the failure of the one that has ended the job, of which the others
/// are consequences.
fn first_failure<R>(segment: &Arc<Segment>, mut ends: Vec<End<R>>) -> Result<Vec<R>> {
    if let Some(first) = segment.ended_by() {
        if let End::Failed(error) = &mut ends[first]
            && error.is_consequence()
            && segment.published(first).slot.has_panicked()
        {
            let what = format!("rank {first} panicked in the operation of a reduction");
            *error = Error::new(ErrorClass::PROC_ABORTED, what);
        }
        ends.swap(0, first);
    }
    let values = ends.into_iter().map(|end| match end {
        End::Returned(value) => Ok(value),
        End::Failed(error) => Err(error),
        End::Panicked(panic) => resume_unwind(panic),
    });
    values.collect()
}

#[cfg(all(test, not(loom)))]
mod future_tests;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        communicator::{Contexts, Side, Source},
        error::ErrorClass,
        group::Members,
        op,
        shm::{contexts::CONTEXTS_EACH, starts::Starts},
    };

    #[test]
    fn all_ranks_learn_that_there_are_no_more_context_ids() {
        let starts = Starts { context: u32::MAX - 3 - 2 * CONTEXTS_EACH, ..Starts::ZERO };
        let segment = Segment::on_heap_from(3, starts).unwrap();
        let outcomes = threads_over(&segment, |world| {
            let (first, second) = (world.duplicate(), world.split(Some(0), 0));
            assert!(first.is_ok() && second.is_ok());
            for _ in 0..10 {
                assert_eq!(world.duplicate().err().unwrap().class(), ErrorClass::OTHER);
                assert_eq!(world.split(Some(0), 0).err().unwrap().class(), ErrorClass::OTHER);
                assert!(world.split(None, 0).unwrap().is_none());
            }
            world.barrier()
        });
        outcomes.unwrap().into_iter().for_each(|outcome| outcome.unwrap());
    }

    #[test]
    fn a_rank_that_calls_something_else_is_named_by_all_that_split() {
        let seen = threads(3, |world| {
            if world.rank() == 1 {
                // As long as a wish.
                let error = world.all_gather(&[[-2i64, 0]]).unwrap_err();
                assert_eq!(error.class(), ErrorClass::COMM);
                return world.process_at_rank(0).receive::<u8>().map(drop);
            }
            let error = world.split(Some(1), 0).map(drop).unwrap_err();
            assert_eq!(error.class(), ErrorClass::COMM);
            assert!(error.to_string().contains("rank 1"), "{error}");
            if world.rank() == 0 { world.process_at_rank(1).send(&[0u8]) } else { Ok(()) }
        });
        seen.unwrap().into_iter().for_each(|outcome: Result<()>| outcome.unwrap());
    }

    /// Sends and receives need no more than the two sides.
    #[test]
    fn messages_between_two_groups_go_by_the_ranks_and_contexts_of_either_side() {
        let all_fine = threads(3, |world| {
            let side = |members: &[u32], first| Side {
                group: Members::new(members.iter().copied().map(PeerId)),
                contexts: Contexts::from_first(first),
            };
            let (left, right) = (side(&[2], 100), side(&[0, 1], 200));
            let is_left = world.rank() == 2;
            let (local, remote) = if is_left { (left, right) } else { (right, left) };
            let rank = if is_left { 0 } else { world.rank() };
            let bridge = world.between(local, remote, rank);
            assert_eq!(bridge.size(), if is_left { 1 } else { 2 });
            let beyond = if is_left { 2 } else { 1 };
            assert_eq!(bridge.process_at_rank(beyond).send(&[0]).unwrap_err().class(), ErrorClass::RANK);
            if is_left {
                for rank in [1, 0] {
                    bridge.process_at_rank(rank).send(&[10 + rank])?;
                }
                for _ in 0..2 {
                    let (value, status) = bridge.any_process().receive::<i32>()?;
                    assert_eq!(value, 20 + status.source());
                }
                return bridge.process_at_rank(1).synchronous_send(&[1u8]);
            }
            let other = bridge.process_at_rank(0);
            let (value, status) = other.receive::<i32>()?;
            assert_eq!((value, status.source()), (10 + rank, 0));
            other.send(&[20 + rank])?;
            if rank == 1 {
                other.receive::<u8>()?;
            }
            Ok(())
        });
        all_fine.unwrap().into_iter().for_each(|outcome: Result<()>| outcome.unwrap());
    }

    #[test]
    fn ranks_that_wait_for_one_that_has_returned_get_an_error() {
        let outcomes = threads(3, |world| {
            match world.rank() {
                // Nobody receives it.
                0 => world.process_at_rank(1).immediate_send(vec![0u8; 1 << 20]).map(drop),
                1 => world.process_at_rank(0).tag(1).receive::<u8>().map(drop),
                _ => world.barrier(),
            }
        });
        let [first, second, third] = <[Result<()>; 3]>::try_from(outcomes.unwrap()).unwrap();
        first.unwrap();
        let (second, third) = (second.unwrap_err().to_string(), third.unwrap_err().to_string());
        assert!(second.contains("rank 0") && third.contains("in vain"), "{second}; {third}");
    }

    #[test]
    fn the_panic_of_a_rank_ends_the_job_and_goes_on_in_the_caller() {
        for failing in 0..4 {
            let caller = || {
                threads(4, |world| {
                    world.barrier().unwrap();
                    if world.rank() == failing {
                        resume_unwind(Box::new("on purpose"));
                    }
                    // What only the end of the job ends: there are ranks that have not left.
                    world.any_process().receive::<u8>().unwrap();
                })
            };
            let panic = catch_unwind(AssertUnwindSafe(caller)).unwrap_err();
            assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "on purpose");
        }
    }

    /// A sum that is the crate's own, as far as the engine can tell.
    #[derive(Clone, Copy)]
    struct PanicsAsBuiltIn;

    impl op::Op<u64> for PanicsAsBuiltIn {
        fn commutes(&self) -> bool {
            true
        }
        fn apply(&self, _: &u64, _: &u64) -> u64 {
            resume_unwind(Box::new("on purpose"))
        }
        fn is_built_in(&self) -> bool {
            true
        }
    }

    fn panic_in_reductions(len: usize, panics: impl op::Op<u64> + Copy + Sync) {
        let outcome = threads(3, |world| {
            let reduce = || world.all_reduce(&vec![1; len], panics);
            let caught = catch_unwind(AssertUnwindSafe(reduce));
            assert!(!matches!(caught, Ok(Ok(_))), "it has a result");
            // The program goes on as if nothing had happened.
            let _ignored = world.barrier();
        });
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("panicked in the operation of a reduction"), "{error}");
    }

    #[test]
    fn a_panic_in_an_operation_ends_the_job_also_if_it_is_caught() {
        for len in [1, 500] {
            panic_in_reductions(len, PanicsAsBuiltIn);
            let panics = |_: &u64, _: &u64| -> u64 { resume_unwind(Box::new("on purpose")) };
            panic_in_reductions(len, op::ordered(panics));
        }
    }

    #[test]
    fn an_operation_that_catches_its_own_panic_ends_nothing() {
        let sums = threads(3, |world| {
            let own = op::commutative(|a: &i32, b: &i32| {
                catch_unwind(|| -> i32 { resume_unwind(Box::new("on purpose")) }).unwrap_or(a + b)
            });
            let sum = world.all_reduce_value(1, own).unwrap();
            world.barrier().unwrap();
            sum
        });
        assert_eq!(sums.unwrap(), [3; 3]);
    }

    #[test]
    fn a_rank_that_cannot_become_one_ends_the_job() {
        let segment = Segment::on_heap(2).unwrap();
        segment.published(0).slot.claim(1).unwrap();
        let end = thread_rank(&segment, 0, &|_| ());
        let End::Failed(error) = end else { panic!("process 1 is rank 0") };
        assert!(error.to_string().contains("process 1 is"), "{error}");
        assert_eq!(segment.ended_by(), Some(0));
    }
}
