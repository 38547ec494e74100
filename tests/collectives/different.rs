//! Collectives that ranks call in different ways: barriers, immediate and persistent ones; and those that one rank is
//! refused.

use super::run;
use crate::refused::refused;
use ringmpi::{Communicator, Owned, PersistentCollective, Result, op};
use std::{thread, time::Duration};

/// What a rank does in a mistake that the first one makes.
type Call = fn(&Communicator<'_>, is_first: bool, len: usize) -> Result<()>;

/// Short ones go from everyone to everyone, long ones in pieces.
const LENGTHS: [usize; 2] = [3, 20_000];

fn ones(len: usize) -> Vec<u64> {
    vec![1; len]
}

/// Starts and waits.
fn once<I: Owned, O: Owned>(collective: Result<PersistentCollective<'_, I, O>>) -> Result<()> {
    let mut collective = collective?;
    collective.start()?;
    collective.wait()
}

/// Some rank's error has all the facts, whatever the number of ranks and the length; and every rank's call ends.
#[track_caller]
fn is_seen(facts: &[&str], lens: &[usize], call: Call) {
    for ranks in [2, 3, 5, 8] {
        for &len in lens {
            let outcomes = ringmpi::threads(ranks, |world| call(&world, world.rank() == 0, len)).unwrap();
            let errors: Vec<String> =
                outcomes.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
            let says = |error: &String| facts.iter().all(|fact| error.contains(fact));
            assert!(errors.iter().any(says), "{ranks} ranks, {len} elements: {facts:?} in {errors:#?}");
        }
    }
}

/// The first rank is the root of a broadcast that the others do not call, and comes to the barrier last, or not. So many
/// ranks count those that have come, on any machine.
#[test]
fn a_broadcast_before_a_barrier_that_only_its_root_calls() {
    for ranks in [9, 12] {
        for comes_last in [true, false] {
            let outcomes = ringmpi::threads(ranks, |world| {
                let is_root = world.rank() == 0;
                if is_root {
                    world.broadcast_into(&mut [1u64], 0)?;
                }
                if is_root == comes_last {
                    // Whoever is last in spite of that, the test is right.
                    thread::sleep(Duration::from_millis(50));
                }
                world.barrier()
            });
            let mut errors: Vec<_> = outcomes.unwrap().into_iter().map(|outcome| outcome.err()).collect();
            match errors.remove(0) {
                Some(error) => {
                    refused(Err::<(), _>(error), &["has not been in all collectives that this rank has"]);
                    assert!(errors.iter().all(Option::is_none), "{errors:?}");
                }
                None => errors.into_iter().for_each(|error| {
                    let error = error.expect("the root was last");
                    refused(Err::<(), _>(error), &["has been in collectives that this rank has not"]);
                }),
            }
        }
    }
}

/// Both go from rank to rank, and are of one length.
#[test]
fn immediate_collectives_of_different_functions() {
    let facts = ["rank 0 called immediate_scan (Sum) where this rank called immediate_exclusive_scan (Sum)"];
    is_seen(&facts, &LENGTHS, |world, is_first, len| match is_first {
        true => world.immediate_scan(ones(len), op::Sum)?.wait().map(drop),
        false => world.immediate_exclusive_scan(ones(len), op::Sum)?.wait().map(drop),
    });
}

#[test]
fn persistent_collectives_of_different_functions() {
    let facts = ["rank 0 called scan_init (Sum) where this rank called exclusive_scan_init (Sum)"];
    is_seen(&facts, &LENGTHS, |world, is_first, len| match is_first {
        true => once(world.scan_init(ones(len), ones(len), op::Sum)),
        false => once(world.exclusive_scan_init(ones(len), ones(len), op::Sum)),
    });
}

/// Of short ones, who sends to the wrong root goes on, and nobody receives it.
#[test]
fn immediate_collectives_with_different_roots() {
    let facts = ["called immediate_reduce (Sum, root 0)", "immediate_reduce (Sum, root 1)"];
    is_seen(&facts, &LENGTHS[1..], |world, is_first, len| {
        world.immediate_reduce(ones(len), op::Sum, i32::from(is_first))?.wait().map(drop)
    });
}

#[test]
fn persistent_collectives_with_different_roots() {
    let facts = ["called reduce_init (Sum, root 0)", "reduce_init (Sum, root 1)"];
    is_seen(&facts, &LENGTHS[1..], |world, is_first, len| {
        once(world.reduce_init(ones(len), ones(len), op::Sum, i32::from(is_first)))
    });
}

#[test]
fn immediate_collectives_with_different_operations() {
    let facts = ["called immediate_all_reduce (Sum)", "immediate_all_reduce (Max)"];
    is_seen(&facts, &LENGTHS, |world, is_first, len| match is_first {
        true => world.immediate_all_reduce(ones(len), op::Sum)?.wait().map(drop),
        false => world.immediate_all_reduce(ones(len), op::Max)?.wait().map(drop),
    });
}

#[test]
fn persistent_collectives_with_different_operations() {
    let facts = ["called all_reduce_init (Sum)", "all_reduce_init (Max)"];
    is_seen(&facts, &LENGTHS, |world, is_first, len| match is_first {
        true => once(world.all_reduce_init(ones(len), ones(len), op::Sum)),
        false => once(world.all_reduce_init(ones(len), ones(len), op::Max)),
    });
}

#[test]
fn an_operation_of_the_library_and_one_of_the_user() {
    let facts = ["immediate_all_reduce (Sum)", "where this rank called immediate_all_reduce"];
    is_seen(&facts, &LENGTHS, |world, is_first, len| match is_first {
        true => world.immediate_all_reduce(ones(len), op::Sum)?.wait().map(drop),
        false => {
            let own = op::commutative(|a: &u64, b: &u64| a + b);
            world.immediate_all_reduce(ones(len), own)?.wait().map(drop)
        }
    });
}

#[test]
fn immediate_collectives_of_different_lengths() {
    is_seen(&["rank", "bytes where this rank expected"], &LENGTHS, |world, is_first, len| {
        world.immediate_all_reduce(ones(len + usize::from(is_first)), op::Sum)?.wait().map(drop)
    });
}

#[test]
fn persistent_collectives_of_different_lengths() {
    is_seen(&["rank", "bytes where this rank expected"], &LENGTHS, |world, is_first, len| {
        let len = len + usize::from(is_first);
        once(world.all_reduce_init(ones(len), ones(len), op::Sum))
    });
}

/// Users' operations are not compared: ranks may have their own closures for the same one.
#[test]
fn operations_of_the_user_are_not_compared() {
    run(3, |world| {
        let sum = match world.rank() {
            0 => world.immediate_all_reduce(ones(2), op::commutative(|a: &u64, b: &u64| a + b))?.wait()?,
            _ => world.immediate_all_reduce(ones(2), op::ordered(|a: &u64, b: &u64| b + a))?.wait()?,
        };
        assert_eq!(sum, [3; 2]);
        Ok(())
    });
}

/// What one rank is refused, and what the others begin and let go of; beside it, what the error says.
type Refusal = fn(&Communicator<'_>, is_refused: bool) -> Result<()>;

/// A root that there is, or not.
fn root(is_refused: bool) -> i32 {
    if is_refused { -1 } else { 1 }
}

/// A counts' array that is right, or lacks a part.
fn counts(world: &Communicator<'_>, is_refused: bool) -> Vec<usize> {
    vec![1; world.size() as usize - usize::from(is_refused)]
}

/// One element for each rank, or one more.
fn parts(world: &Communicator<'_>, is_refused: bool) -> Vec<u64> {
    ones(world.size() as usize + usize::from(is_refused))
}

const IMMEDIATE: &[(&str, Refusal)] = &[
    ("immediate_broadcast: root -1", |world, wrong| {
        world.immediate_broadcast(ones(1), root(wrong)).map(drop)
    }),
    ("immediate_gather: root -1", |world, wrong| world.immediate_gather(ones(1), root(wrong)).map(drop)),
    ("immediate_gather_varcount: root -1", |world, wrong| {
        world.immediate_gather_varcount(ones(1), &counts(world, wrong), root(wrong)).map(drop)
    }),
    ("immediate_scatter: root -1", |world, wrong| {
        world.immediate_scatter(parts(world, wrong), 1, root(wrong)).map(drop)
    }),
    ("immediate_scatter_varcount: root -1", |world, wrong| {
        let counts = counts(world, wrong);
        world.immediate_scatter_varcount(parts(world, false), &counts, 1, root(wrong)).map(drop)
    }),
    ("immediate_all_gather_varcount: counts has", |world, wrong| {
        world.immediate_all_gather_varcount(ones(1), &counts(world, wrong)).map(drop)
    }),
    ("immediate_all_to_all: mine has", |world, wrong| {
        world.immediate_all_to_all(parts(world, wrong)).map(drop)
    }),
    ("immediate_all_to_all_varcount: counts has", |world, wrong| {
        let counts = counts(world, wrong);
        world.immediate_all_to_all_varcount(parts(world, false), &counts, &counts).map(drop)
    }),
    ("immediate_reduce: root -1", |world, wrong| {
        world.immediate_reduce(ones(1), op::Sum, root(wrong)).map(drop)
    }),
    ("immediate_reduce_scatter: counts has", |world, wrong| {
        world.immediate_reduce_scatter(parts(world, false), &counts(world, wrong), op::Sum).map(drop)
    }),
    ("immediate_reduce_scatter_block: mine has", |world, wrong| {
        world.immediate_reduce_scatter_block(parts(world, wrong), op::Sum).map(drop)
    }),
];

const PERSISTENT: &[(&str, Refusal)] = &[
    ("broadcast_init: root -1", |world, wrong| begun(world.broadcast_init(ones(1), root(wrong)))),
    ("gather_init: root -1", |world, wrong| {
        begun(world.gather_init(ones(1), parts(world, false), root(wrong)))
    }),
    ("gather_varcount_init: root -1", |world, wrong| {
        begun(world.gather_varcount_init(ones(1), parts(world, false), &counts(world, wrong), root(wrong)))
    }),
    ("scatter_init: root -1", |world, wrong| {
        begun(world.scatter_init(parts(world, false), ones(1), root(wrong)))
    }),
    ("scatter_varcount_init: root -1", |world, wrong| {
        let counts = counts(world, wrong);
        begun(world.scatter_varcount_init(parts(world, false), &counts, ones(1), root(wrong)))
    }),
    ("all_gather_init: all has", |world, wrong| begun(world.all_gather_init(ones(1), parts(world, wrong)))),
    ("all_gather_varcount_init: counts has", |world, wrong| {
        begun(world.all_gather_varcount_init(ones(1), parts(world, false), &counts(world, wrong)))
    }),
    ("all_to_all_init: mine has", |world, wrong| {
        begun(world.all_to_all_init(parts(world, wrong), parts(world, wrong)))
    }),
    ("all_to_all_varcount_init: counts has", |world, wrong| {
        let (counts, parts) = (counts(world, wrong), || parts(world, false));
        begun(world.all_to_all_varcount_init(parts(), &counts, parts(), &counts))
    }),
    ("reduce_init: root -1", |world, wrong| begun(world.reduce_init(ones(1), ones(1), op::Sum, root(wrong)))),
    ("all_reduce_init: result has 2 elements", |world, wrong| {
        begun(world.all_reduce_init(ones(1), ones(1 + usize::from(wrong)), op::Sum))
    }),
    ("scan_init: result has 2 elements", |world, wrong| {
        begun(world.scan_init(ones(1), ones(1 + usize::from(wrong)), op::Sum))
    }),
    ("exclusive_scan_init: result has 2 elements", |world, wrong| {
        begun(world.exclusive_scan_init(ones(1), ones(1 + usize::from(wrong)), op::Sum))
    }),
    ("reduce_scatter_init: counts has", |world, wrong| {
        let counts = counts(world, wrong);
        begun(world.reduce_scatter_init(parts(world, false), ones(1), &counts, op::Sum))
    }),
    ("reduce_scatter_block_init: mine has", |world, wrong| {
        begun(world.reduce_scatter_block_init(parts(world, wrong), ones(1), op::Sum))
    }),
];

/// Only starts.
fn begun<I: Owned, O: Owned>(collective: Result<PersistentCollective<'_, I, O>>) -> Result<()> {
    collective?.start()
}

/// Collectives that would take each other's messages if a rank were a number behind: they differ by their data only.
fn goes_on(world: &Communicator<'_>, key: u64) -> Result<()> {
    let size = world.size() as u64;
    let sums: Vec<_> =
        (key..key + 3).map(|key| world.immediate_all_reduce(vec![key], op::Sum)).collect::<Result<_>>()?;
    assert_eq!(ringmpi::wait_all(sums)?, [[size * key], [size * (key + 1)], [size * (key + 2)]]);
    let mut sum = world.all_reduce_init(vec![key], vec![0], op::Sum)?;
    for _ in 0..2 {
        sum.start()?;
        sum.wait()?;
        assert_eq!(sum.output_mut()?, [size * key]);
    }
    Ok(())
}

/// What a rank is refused counts as a call, as what the others call does: what comes then is the same for all. In a
/// job for each: who has let go of several that lack a rank may wait for others that have.
#[test]
fn after_a_call_that_one_rank_is_refused_the_next_ones_work() {
    for (key, &(fact, refusal)) in (1..).zip(IMMEDIATE.iter().chain(PERSISTENT)) {
        for (ranks, one) in [(2, 0), (3, 2)] {
            run(ranks, |world| {
                match world.rank() == one {
                    true => refused(refusal(world, true), &[fact]),
                    false => refusal(world, false)?,
                }
                goes_on(world, 10 * key)
            });
        }
    }
}
