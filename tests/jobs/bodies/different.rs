//! Collectives that ranks call in different ways: a mistake of the program, which ends the job instead of leaving it
//! waiting.

use ringmpi::{Communicator, Owned, PersistentCollective, Rank, Result, op};

/// Names the mistake.
pub(crate) const MISTAKE: &str = "RINGMPI_TEST_MISTAKE";

/// What one rank calls, and what the others do.
type Call = fn(&Communicator<'_>, is_first: bool) -> Result<()>;

/// More than fits on a board.
const LARGE: usize = 20_000;
/// So few that the sender goes on before they are received.
const SMALL: usize = 100;

/// By name: the calls, and what some rank's error says.
pub(crate) const MISTAKES: &[(&str, Call, &[&str])] = &[
    ("functions", functions, &["called", "exclusive_scan (Sum)"]),
    ("functions on the board", short_functions, &["called", "reduce (Sum, root 0)", "all_reduce (Sum)"]),
    ("a barrier", barrier_or_reduction, &["called barrier where this rank called all_reduce (Sum)"]),
    ("a barrier on the stage", barrier_or_large, &["called barrier where", "broadcast (root 0)"]),
    ("a broadcast that is over", broadcast_before_barrier, &["rank", "barrier"]),
    ("roots on the board", short_roots, &["called reduce with another root"]),
    ("operations on the board", short_operations, &["called", "all_reduce (Sum)", "all_reduce (Max)"]),
    ("roots", roots, &["called gather (root", "where this rank called all_to_all"]),
    ("operations", operations, &["called", "all_reduce (Sum)", "all_reduce (Max)"]),
    ("a user's operation", users_operation, &["called", "scan (Sum)", "scan "]),
    ("lengths", lengths, &["bytes where this rank expected"]),
    ("lengths of reductions", lengths_of_reductions, &["bytes where this rank expected"]),
    ("counts", counts, &["bytes where this rank expected"]),
    ("lengths of immediate ones", immediate_lengths, &["bytes where this rank expected"]),
    ("lengths on the board", short_lengths, &["bytes where this rank expected"]),
    (
        "lengths on the board and beyond",
        lengths_of_blocks,
        &["called all_reduce with another root or length"],
    ),
    ("lengths of another way", lengths_of_another_way, &["called all_gather with another root or length"]),
    (
        "functions of immediate ones",
        immediate_functions,
        &["called immediate_scan (Sum) where this rank called immediate_exclusive_scan (Sum)"],
    ),
    ("roots of immediate ones", immediate_roots, &["called immediate_reduce (Sum, root"]),
    ("operations of immediate ones", immediate_operations, &["called", "immediate_all_reduce (Max)"]),
    (
        "functions of persistent ones",
        persistent_functions,
        &["called scan_init (Sum) where this rank called exclusive_scan_init (Sum)"],
    ),
    ("roots of persistent ones", persistent_roots, &["called reduce_init (Sum, root"]),
    ("operations of persistent ones", persistent_operations, &["called", "all_reduce_init (Max)"]),
    ("lengths of persistent ones", persistent_lengths, &["bytes where this rank expected"]),
    ("a refused broadcast and a duplicate", refused_then_duplicate, &["the construction of a communicator"]),
    ("one more", one_more, &["in vain"]),
    ("one more immediate one", one_more_immediate, &["in vain"]),
];

/// The first rank makes the mistake.
pub(crate) fn calls_that_differ(world: &Communicator<'_>) -> Result<()> {
    let name = std::env::var(MISTAKE).unwrap();
    let (_, call, _) = MISTAKES.iter().find(|(mistake, ..)| *mistake == name).unwrap();
    world.barrier()?;
    call(world, world.rank() == 0)
}

fn parts(world: &Communicator<'_>) -> Vec<u64> {
    vec![1; LARGE * world.size() as usize]
}

fn functions(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let mine = [1u64; LARGE];
    if is_first {
        world.scan(&mine, op::Sum).map(drop)
    } else {
        world.exclusive_scan(&mine, op::Sum).map(drop)
    }
}

fn short_functions(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    if is_first {
        world.all_reduce(&[1u64], op::Sum).map(drop)
    } else {
        world.reduce(&[1u64], op::Sum, 0).map(drop)
    }
}

fn barrier_or_reduction(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    if is_first { world.barrier() } else { world.all_reduce_value(1u64, op::Sum).map(drop) }
}

fn barrier_or_large(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let mut data = vec![1u64; LARGE];
    // So that there is a stage.
    world.broadcast_into(&mut data, 0)?;
    if is_first { world.barrier() } else { world.broadcast_into(&mut data, 0) }
}

/// The root does not wait for the others, and comes to the next barrier while they are in this one.
fn broadcast_before_barrier(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    if is_first {
        world.broadcast_into(&mut [1u64], 0)?;
    }
    world.barrier()?;
    world.broadcast_into(&mut [1u64], 0)?;
    world.barrier()
}

/// The last rank is the root for the others, and reads what the first has for itself.
fn short_roots(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let root = if is_first { 0 } else { world.size() - 1 };
    world.reduce(&[1u64], op::Sum, root).map(drop)?;
    world.barrier()
}

fn short_operations(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    if is_first {
        world.all_reduce_value(1u64, op::Sum).map(drop)
    } else {
        world.all_reduce_value(1u64, op::Max).map(drop)
    }
}

fn roots(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let root = if is_first { world.size() - 1 } else { 0 };
    drop(world.gather(&[1u64; SMALL], root)?);
    world.all_to_all(&parts(world)).map(drop)
}

fn operations(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let mine = [1u64; LARGE];
    if is_first {
        world.all_reduce(&mine, op::Sum).map(drop)
    } else {
        world.all_reduce(&mine, op::Max).map(drop)
    }
}

fn users_operation(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let (mine, own) = ([1u64; LARGE], op::ordered(|a: &u64, b: &u64| a + b));
    if is_first { world.scan(&mine, op::Sum).map(drop) } else { world.scan(&mine, own).map(drop) }
}

fn len(is_first: bool) -> usize {
    if is_first { LARGE + 1 } else { LARGE }
}

fn lengths(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    world.all_gather(&vec![1u64; len(is_first)]).map(drop)
}

fn lengths_of_reductions(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    world.all_reduce(&vec![1u64; len(is_first)], op::Sum).map(drop)
}

fn counts(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let mut counts = vec![LARGE; world.size() as usize];
    // Only this rank's own part, and that of the last, are right.
    counts[1] += usize::from(is_first);
    let mine = vec![1u64; counts[world.rank() as usize]];
    world.immediate_all_gather_varcount(mine, &counts)?.wait().map(drop)
}

fn immediate_lengths(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    world.immediate_all_reduce(vec![1u64; len(is_first)], op::Sum)?.wait().map(drop)
}

fn immediate_functions(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let mine = vec![1u64; SMALL];
    if is_first {
        world.immediate_scan(mine, op::Sum)?.wait().map(drop)
    } else {
        world.immediate_exclusive_scan(mine, op::Sum)?.wait().map(drop)
    }
}

fn immediate_roots(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    world.immediate_reduce(vec![1u64; LARGE], op::Sum, Rank::from(is_first))?.wait().map(drop)
}

fn immediate_operations(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let mine = vec![1u64; SMALL];
    if is_first {
        world.immediate_all_reduce(mine, op::Sum)?.wait().map(drop)
    } else {
        world.immediate_all_reduce(mine, op::Max)?.wait().map(drop)
    }
}

/// Starts it again, too.
fn twice<I: Owned, O: Owned>(collective: Result<PersistentCollective<'_, I, O>>) -> Result<()> {
    let mut collective = collective?;
    for _ in 0..2 {
        collective.start()?;
        collective.wait()?;
    }
    Ok(())
}

fn persistent_functions(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let (mine, result) = (vec![1u64; SMALL], vec![0; SMALL]);
    if is_first {
        twice(world.scan_init(mine, result, op::Sum))
    } else {
        twice(world.exclusive_scan_init(mine, result, op::Sum))
    }
}

fn persistent_roots(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    twice(world.reduce_init(vec![1u64; LARGE], vec![0; LARGE], op::Sum, Rank::from(is_first)))
}

fn persistent_operations(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let (mine, result) = (vec![1u64; SMALL], vec![0; SMALL]);
    if is_first {
        twice(world.all_reduce_init(mine, result, op::Sum))
    } else {
        twice(world.all_reduce_init(mine, result, op::Max))
    }
}

fn persistent_lengths(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let len = len(is_first);
    twice(world.all_reduce_init(vec![1u64; len], vec![0; len], op::Sum))
}

fn short_lengths(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    world.all_reduce(&vec![1u64; 4 + usize::from(is_first)], op::Sum).map(drop)
}

/// The first has more than fits on the board.
/// What the first one gives is as long as what the others tell of their blocks for the stage.
fn lengths_of_blocks(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    world.all_reduce(&vec![1u64; if is_first { 8 } else { LARGE }], op::Sum).map(drop)?;
    world.barrier()
}

fn lengths_of_another_way(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    // So that there is a stage.
    world.all_gather(&[1u64; SMALL])?;
    world.all_gather(&vec![1u64; if is_first { SMALL } else { 1 }]).map(drop)
}

/// A rank that is behind does not take what others have broadcast for the ids of a new communicator.
fn refused_then_duplicate(world: &Communicator<'_>, _is_first: bool) -> Result<()> {
    let is_last = world.rank() == world.size() - 1;
    let outcome = world.broadcast_into(&mut [44u64, 0], if is_last { -1 } else { 0 });
    assert_eq!(outcome.is_err(), is_last);
    world.duplicate()?.barrier()
}

fn one_more(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    let root: Rank = world.size() - 1;
    if is_first { world.broadcast_into(&mut [0u64; LARGE], root) } else { Ok(()) }
}

fn one_more_immediate(world: &Communicator<'_>, is_first: bool) -> Result<()> {
    if is_first { world.immediate_barrier()?.wait() } else { Ok(()) }
}
