//! Collectives that fail on one rank: those that have called rightly do not wait for it, and nobody takes what
//! was meant for another call.

use super::run;
use crate::refused::refused;
use ringmpi::{Communicator, Owned, Partition, PartitionMut, PersistentCollective, Rank, Result, Source, op};

/// A call that its first argument makes wrong for this rank, of about so many elements.
type Call = fn(&Communicator<'_>, is_wrong: bool, len: usize) -> Result<()>;

/// By boards, by the stage, and by messages that are asked for.
const LENGTHS: [usize; 3] = [2, 3_000, 60_000];

fn ones(len: usize) -> Vec<u64> {
    vec![1; len]
}

/// A root that there is, or not.
fn root(is_wrong: bool) -> Rank {
    if is_wrong { 99 } else { 0 }
}

/// Equal parts for all, or too few.
fn counts(world: &Communicator<'_>, is_wrong: bool, len: usize) -> Vec<usize> {
    vec![len; world.size() as usize - usize::from(is_wrong)]
}

/// So many for each rank.
fn all(world: &Communicator<'_>, len: usize) -> usize {
    len * world.size() as usize
}

/// All blocking collectives that look at their arguments.
const CALLS: [(&str, Call); 24] = [
    ("broadcast_into", |world, is_wrong, len| world.broadcast_into(&mut ones(len), root(is_wrong))),
    ("broadcast_value", |world, is_wrong, _| world.broadcast_value(1, root(is_wrong)).map(drop)),
    ("gather", |world, is_wrong, len| world.gather(&ones(len), root(is_wrong)).map(drop)),
    ("gather_in_place", |world, is_wrong, len| {
        let len = if world.rank() == 0 { all(world, len) } else { len };
        world.gather_in_place(&mut ones(len), root(is_wrong))
    }),
    ("gather_varcount", |world, is_wrong, len| world.gather_varcount(&ones(len), root(is_wrong)).map(drop)),
    ("gather_varcount_into", |world, is_wrong, len| {
        let (mut data, counts) = (ones(all(world, len)), counts(world, false, len));
        let parts = PartitionMut::new(&mut data, counts);
        world.gather_varcount_into(&ones(len), Some(parts), root(is_wrong))
    }),
    ("scatter", |world, is_wrong, len| world.scatter(Some(&ones(all(world, len))), root(is_wrong)).map(drop)),
    ("scatter_into", |world, is_wrong, len| {
        world.scatter_into(Some(&ones(all(world, len))), &mut ones(len), root(is_wrong))
    }),
    ("scatter_varcount", |world, is_wrong, len| {
        let (data, counts) = (ones(all(world, len)), counts(world, false, len));
        world.scatter_varcount(Some(Partition::new(&data, counts)), root(is_wrong)).map(drop)
    }),
    ("scatter_varcount_into", |world, is_wrong, len| {
        let (data, counts) = (ones(all(world, len)), counts(world, false, len));
        world.scatter_varcount_into(Some(Partition::new(&data, counts)), &mut ones(len), root(is_wrong))
    }),
    ("all_gather_into", |world, is_wrong, len| {
        world.all_gather_into(&ones(len), &mut ones(all(world, len) + usize::from(is_wrong)))
    }),
    ("all_gather_varcount_into", |world, is_wrong, len| {
        let (mut data, counts) = (ones(all(world, len)), counts(world, is_wrong, len));
        world.all_gather_varcount_into(&ones(len), PartitionMut::new(&mut data, counts))
    }),
    ("all_to_all", |world, is_wrong, len| {
        world.all_to_all(&ones(all(world, len) + usize::from(is_wrong))).map(drop)
    }),
    ("all_to_all_in_place", |world, is_wrong, len| {
        world.all_to_all_in_place(&mut ones(all(world, len) + usize::from(is_wrong)))
    }),
    ("all_to_all_varcount", |world, is_wrong, len| {
        let (data, counts) = (ones(all(world, len)), counts(world, is_wrong, len));
        world.all_to_all_varcount(Partition::new(&data, counts)).map(drop)
    }),
    ("all_to_all_varcount_into", |world, is_wrong, len| {
        let (data, mut into) = (ones(all(world, len)), ones(all(world, len)));
        let (from, to) = (counts(world, is_wrong, len), counts(world, false, len));
        world.all_to_all_varcount_into(Partition::new(&data, from), PartitionMut::new(&mut into, to))
    }),
    ("reduce", |world, is_wrong, len| world.reduce(&ones(len), op::Sum, root(is_wrong)).map(drop)),
    ("reduce_value", |world, is_wrong, _| world.reduce_value(1, op::Sum, root(is_wrong)).map(drop)),
    ("all_reduce_into", |world, is_wrong, len| {
        world.all_reduce_into(&ones(len), &mut ones(len + usize::from(is_wrong)), op::Sum)
    }),
    ("scan_into", |world, is_wrong, len| {
        world.scan_into(&ones(len), &mut ones(len + usize::from(is_wrong)), op::Sum)
    }),
    ("exclusive_scan_into", |world, is_wrong, len| {
        world.exclusive_scan_into(&ones(len), &mut ones(len + usize::from(is_wrong)), op::Sum)
    }),
    ("reduce_scatter", |world, is_wrong, len| {
        world.reduce_scatter(&ones(all(world, len)), &counts(world, is_wrong, len), op::Sum).map(drop)
    }),
    ("reduce_scatter_block", |world, is_wrong, len| {
        world.reduce_scatter_block(&ones(all(world, len) + usize::from(is_wrong)), op::Sum).map(drop)
    }),
    ("reduce_scatter_block_into", |world, is_wrong, len| {
        world.reduce_scatter_block_into(
            &ones(all(world, len)),
            &mut ones(len + usize::from(is_wrong)),
            op::Sum,
        )
    }),
];

/// One rank is refused a call, and goes on with the next ones, as all do, until something is wrong for all. Nobody waits
/// for ever, and nobody gets what does not belong to its call.
fn one_is_refused(call: Call, ranks: usize, len: usize) {
    for wrong in [0, ranks as Rank - 1] {
        run(ranks, |world| {
            let comm = world.duplicate()?;
            let is_wrong = comm.rank() == wrong;
            let outcome = call(&comm, is_wrong, len);
            assert!(!is_wrong || outcome.is_err());
            // Roots and first ranks need not hear from anybody; but a barrier needs all.
            let mut has_failed = outcome.is_err();
            for key in 1..3_u64 {
                let root = (wrong + 1) % comm.size();
                let given = if comm.rank() == root { 10 * key } else { 0 };
                match comm.broadcast_value(given, root) {
                    Ok(value) => assert_eq!(value, 10 * key, "of another call"),
                    Err(_) => has_failed = true,
                }
                assert!(!is_wrong || has_failed);
                match comm.all_reduce_value(key, op::Sum) {
                    Ok(value) => assert_eq!(value, key * comm.size() as u64, "of another call"),
                    Err(_) => has_failed = true,
                }
            }
            assert!(has_failed, "all ranks need each other");
            refused(comm.barrier(), &["barrier", "has failed before"]);
            // What has nothing to do with it goes on.
            assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
            Ok(())
        });
    }
}

#[test]
fn nobody_waits_for_a_rank_that_is_refused() {
    for (name, call) in CALLS {
        for ranks in [2, 3] {
            for len in LENGTHS {
                println!("{name}, {ranks} ranks, {len} elements");
                one_is_refused(call, ranks, len);
            }
        }
        one_is_refused(call, 9, LENGTHS[1]);
    }
}

#[test]
fn ranks_that_are_all_refused_the_same_calls_go_on() {
    for ranks in [2, 3, 9] {
        run(ranks, |world| {
            for round in 0..3 {
                for (name, call) in CALLS {
                    refused(call(world, true, 4), &[name]);
                    // Not always after each one.
                    if round > 0 {
                        call(world, false, 4)?;
                    }
                }
                assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
            }
            Ok(())
        });
    }
}

/// The last rank was refused one call more than the others, or another one.
#[test]
fn ranks_that_are_refused_different_calls_all_err() {
    for ranks in [2, 3, 9] {
        for others in [0, 1] {
            run(ranks, |world| {
                let comm = world.duplicate()?;
                let is_last = comm.rank() == comm.size() - 1;
                refused(comm.broadcast_value(1, 99), &["99"]);
                if is_last || others == 1 {
                    // A root needs nobody.
                    let root = if is_last { 99 } else { comm.rank() };
                    let outcome = comm.broadcast_value(1, root);
                    assert!(outcome.is_err(), "all have to agree first");
                }
                refused(comm.barrier(), &["barrier"]);
                refused(comm.barrier(), &["barrier", "has failed before", "split_by_subgroup"]);
                Ok(())
            });
        }
    }
}

/// Without the communicator's collectives.
#[test]
fn a_communicator_that_has_failed_is_the_way_to_a_new_one() {
    run(3, |world| {
        let comm = world.duplicate()?;
        _ = comm.broadcast_value(1, if comm.rank() == 1 { 3 } else { 0 });
        refused(comm.barrier(), &["barrier"]);
        let again = comm.split_by_subgroup(&comm.group(), 0)?.expect("all are in it");
        assert_eq!(again.all_reduce_value(1, op::Sum)?, 3);
        Ok(())
    });
}

/// Starts and waits.
fn once<I: Owned, O: Owned>(collective: Result<PersistentCollective<'_, I, O>>) -> Result<()> {
    let mut collective = collective?;
    collective.start()?;
    collective.wait()
}

/// Immediate and persistent ones, to their end.
const OVERLAPPING: [(&str, Call); 14] = [
    ("immediate_broadcast", |world, is_wrong, len| {
        world.immediate_broadcast(ones(len), root(is_wrong))?.wait().map(drop)
    }),
    ("immediate_gather", |world, is_wrong, len| {
        world.immediate_gather(ones(len), root(is_wrong))?.wait().map(drop)
    }),
    ("immediate_scatter", |world, is_wrong, len| {
        world.immediate_scatter(ones(all(world, len)), len, root(is_wrong))?.wait().map(drop)
    }),
    ("immediate_all_gather_varcount", |world, is_wrong, len| {
        let counts = counts(world, is_wrong, len);
        world.immediate_all_gather_varcount(ones(len), &counts)?.wait().map(drop)
    }),
    ("immediate_all_to_all", |world, is_wrong, len| {
        world.immediate_all_to_all(ones(all(world, len) + usize::from(is_wrong)))?.wait().map(drop)
    }),
    ("immediate_all_to_all_varcount", |world, is_wrong, len| {
        let counts = counts(world, is_wrong, len);
        world.immediate_all_to_all_varcount(ones(all(world, len)), &counts, &counts)?.wait().map(drop)
    }),
    ("immediate_reduce", |world, is_wrong, len| {
        world.immediate_reduce(ones(len), op::Sum, root(is_wrong))?.wait().map(drop)
    }),
    ("immediate_reduce_scatter", |world, is_wrong, len| {
        let counts = counts(world, is_wrong, len);
        world.immediate_reduce_scatter(ones(all(world, len)), &counts, op::Sum)?.wait().map(drop)
    }),
    ("immediate_reduce_scatter_block", |world, is_wrong, len| {
        let mine = ones(all(world, len) + usize::from(is_wrong));
        world.immediate_reduce_scatter_block(mine, op::Sum)?.wait().map(drop)
    }),
    ("broadcast_init", |world, is_wrong, len| once(world.broadcast_init(ones(len), root(is_wrong)))),
    ("all_gather_init", |world, is_wrong, len| {
        once(world.all_gather_init(ones(len), ones(all(world, len) + usize::from(is_wrong))))
    }),
    ("all_to_all_init", |world, is_wrong, len| {
        let len = all(world, len) + usize::from(is_wrong);
        once(world.all_to_all_init(ones(len), ones(len)))
    }),
    ("all_reduce_init", |world, is_wrong, len| {
        once(world.all_reduce_init(ones(len), ones(len + usize::from(is_wrong)), op::Sum))
    }),
    ("scan_init", |world, is_wrong, len| {
        once(world.scan_init(ones(len), ones(len + usize::from(is_wrong)), op::Sum))
    }),
];

/// Waits for one that a rank was refused end, and the next ones are not concerned, blocking or not.
#[test]
fn nobody_waits_for_a_rank_that_is_refused_an_immediate_or_persistent_collective() {
    for (name, call) in OVERLAPPING {
        for (ranks, len) in [(2, 2), (2, 60_000), (3, 60_000), (9, 2), (9, 3_000)] {
            println!("{name}, {ranks} ranks, {len} elements");
            for wrong in [0, ranks as Rank - 1] {
                run(ranks, |world| {
                    let is_wrong = world.rank() == wrong;
                    let outcome = call(world, is_wrong, len);
                    match outcome {
                        _ if is_wrong => refused(outcome, &[name]),
                        // Some need nothing of that rank, nor of those that do.
                        Ok(()) => {}
                        Err(error) => {
                            assert!(error.to_string().contains("no part in this collective"), "{error}")
                        }
                    }
                    assert_eq!(world.immediate_all_reduce(vec![1], op::Sum)?.wait()?, [world.size()]);
                    assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
                    call(world, false, len)
                });
            }
        }
    }
}

#[test]
fn ranks_that_are_all_refused_the_same_immediate_collectives_go_on() {
    for ranks in [2, 3, 9] {
        run(ranks, |world| {
            for (name, call) in OVERLAPPING {
                (0..20).for_each(|_| refused(call(world, true, 4), &[name]));
                call(world, false, 4)?;
            }
            Ok(())
        });
    }
}

/// A rank that waits for one that has failed on the way, too.
#[test]
fn an_immediate_collective_that_fails_on_the_way_ends_the_others() {
    for len in LENGTHS {
        run(5, |world| {
            // In a chain each waits for the one before.
            let given = len + usize::from(world.rank() == 1);
            let outcome = world.immediate_scan(ones(given), op::Sum)?.wait();
            assert_eq!(outcome.is_err(), world.rank() > 0);
            // All are still there.
            world.neighbour(1).send(&[0])?;
            world.neighbour(-1).receive_into(&mut [0])?;
            assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
            Ok(())
        });
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The same random calls on all ranks, of which some are wrong on some ranks or all. Nothing hangs, what goes well gives
/// what it should, and as long as ranks make the same mistakes everything goes well.
#[test]
fn random_calls_with_random_mistakes() {
    for seed in 1..=200_u64 {
        let ranks = 2 + seed as usize % 6;
        println!("seed {seed}, {ranks} ranks");
        run(ranks, |world| {
            let comm = world.duplicate()?;
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
            let (mut is_sound, size) = (true, world.size() as u64);
            for step in 0..14 {
                let key = 1000 * seed + step;
                let wrong = match random.below(10) {
                    0..=4 => 0,
                    5..=8 => u64::MAX,
                    _ => random.below(1 << size),
                };
                let (is_wrong, all) = (wrong >> world.rank() & 1 == 1, (1 << size) - 1);
                let is_alike = wrong & all == 0 || wrong & all == all;
                let len = LENGTHS[random.below(3) as usize];
                let is_blocking = random.below(2) == 0;
                let (name, call) = match is_blocking {
                    true => CALLS[random.below(CALLS.len() as u64) as usize],
                    false => OVERLAPPING[random.below(OVERLAPPING.len() as u64) as usize],
                };
                let outcome = call(&comm, is_wrong, len);
                assert!(!is_wrong || outcome.is_err(), "{name}");
                is_sound &= !is_blocking || is_alike;
                assert!(
                    is_wrong || outcome.is_ok() || !is_alike || is_blocking && !is_sound,
                    "{name}: {outcome:?}"
                );
                // Collectives of either kind.
                if random.below(2) == 0 {
                    match comm.all_reduce_value(key, op::Sum) {
                        Ok(sum) => assert_eq!(sum, size * key, "of another call"),
                        Err(error) => assert!(!is_sound, "{error}"),
                    }
                }
                if random.below(2) == 0 {
                    assert_eq!(comm.immediate_all_reduce(vec![key], op::Sum)?.wait()?, [size * key]);
                }
            }
            assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
            Ok(())
        });
    }
}
