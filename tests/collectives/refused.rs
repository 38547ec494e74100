//! What collectives refuse. Where the mistake can be seen by the rank that makes it, only that rank is concerned: the
//! others need not call at all.

use super::run;
use ringmpi::{Communicator, Partition, PartitionMut, Rank, Result, Source, Universe, op};
use std::sync::mpsc;

#[track_caller]
pub(super) fn refused<T>(outcome: Result<T>, facts: &[&str]) {
    let error = outcome.map(drop).expect_err("it should have been refused").to_string();
    assert!(facts.iter().all(|fact| error.contains(fact)), "{facts:?} in: {error}");
}

/// Runs `f` as one of three ranks; the others only finalize.
fn alone(f: impl Fn(&Communicator<'_>) -> Result<()> + Sync) {
    for caller in [0, 2] {
        run(3, |world| if world.rank() == caller { f(world) } else { Ok(()) });
    }
}

#[test]
fn roots_that_do_not_exist() {
    alone(|world| {
        for root in [-1, 3, Rank::MAX, Rank::MIN] {
            let text = root.to_string();
            let check = |function: &str, outcome: Result<()>| {
                refused(outcome, &[function, "root", &text, "0 to 2"]);
            };
            let (mut data, mine) = ([1u16; 3], [1u16; 3]);
            let own = || vec![1u16; 3];
            check("broadcast", world.broadcast_into(&mut data, root));
            check("broadcast", world.broadcast_value(1, root).map(drop));
            check("immediate_broadcast", world.immediate_broadcast(own(), root).map(drop));
            check("broadcast_init", world.broadcast_init(own(), root).map(drop));
            check("gather", world.gather(&mine, root).map(drop));
            check("gather_into", world.gather_into(&mine, None, root));
            check("gather_in_place", world.gather_in_place(&mut data, root));
            check("immediate_gather", world.immediate_gather(own(), root).map(drop));
            check("gather_init", world.gather_init(own(), own(), root).map(drop));
            check("gather_varcount", world.gather_varcount(&mine, root).map(drop));
            check("gather_varcount_into", world.gather_varcount_into(&mine, None, root));
            let parts = PartitionMut::new(&mut data, vec![1; 3]);
            check("gather_varcount_in_place", world.gather_varcount_in_place(parts, root));
            let parts = PartitionMut::new(&mut data, vec![1; 3]);
            check("scatter_varcount_in_place", world.scatter_varcount_in_place(parts, root));
            let request = world.immediate_gather_varcount(own(), &[], root);
            check("immediate_gather_varcount", request.map(drop));
            let request = world.gather_varcount_init(own(), own(), &[], root);
            check("gather_varcount_init", request.map(drop));
            check("scatter", world.scatter::<u16>(None, root).map(drop));
            check("scatter_into", world.scatter_into(None, &mut data, root));
            check("scatter_in_place", world.scatter_in_place(&mut data, root));
            check("immediate_scatter", world.immediate_scatter(own(), 1, root).map(drop));
            check("scatter_init", world.scatter_init(own(), own(), root).map(drop));
            check("scatter_varcount", world.scatter_varcount::<u16>(None, root).map(drop));
            check("scatter_varcount_into", world.scatter_varcount_into(None, &mut data, root));
            let request = world.immediate_scatter_varcount(own(), &[], 3, root);
            check("immediate_scatter_varcount", request.map(drop));
            let request = world.scatter_varcount_init(own(), &[], own(), root);
            check("scatter_varcount_init", request.map(drop));
            check("reduce", world.reduce(&mine, op::Sum, root).map(drop));
            check("reduce_into", world.reduce_into(&mine, None, op::Sum, root));
            check("reduce_in_place", world.reduce_in_place(&mut data, op::Sum, root));
            check("reduce", world.reduce_value(1, op::Sum, root).map(drop));
            check("immediate_reduce", world.immediate_reduce(own(), op::Sum, root).map(drop));
            check("reduce_init", world.reduce_init(own(), own(), op::Sum, root).map(drop));
        }
        Ok(())
    });
}

#[test]
fn slices_of_other_lengths() {
    alone(|world| {
        let (me, mut four, mine) = (world.rank(), [1u8; 4], [1u8; 2]);
        let own = |len| vec![1u8; len];
        let says = |function, got: &'static str, needed: &'static str| [function, got, needed];
        refused(world.gather_into(&mine, Some(&mut four), me), &says("gather_into", "4 ", "6 "));
        refused(world.gather_into(&mine, None, me), &says("gather_into", "0 ", "6 "));
        refused(world.gather_in_place(&mut four, me), &says("gather_in_place", "4 ", "3 equal parts"));
        refused(world.gather_init(own(2), own(5), me), &says("gather_init", "5 ", "6 "));
        refused(world.scatter_into(Some(&mine), &mut four, me), &says("scatter_into", "2 ", "12 "));
        refused(world.scatter_into(None, &mut four, me), &says("scatter_into", "0 ", "12 "));
        refused(world.scatter_in_place(&mut four, me), &says("scatter_in_place", "4 ", "3 equal parts"));
        refused(world.immediate_scatter(own(4), 2, me), &says("immediate_scatter", "4 ", "6 "));
        refused(world.scatter_init(own(4), own(2), me), &says("scatter_init", "4 ", "6 "));
        refused(world.all_gather_into(&mine, &mut four), &says("all_gather_into", "4 ", "6 "));
        refused(world.all_gather_in_place(&mut four), &says("all_gather_in_place", "4 ", "3 equal parts"));
        refused(world.all_gather_init(own(2), own(7)), &says("all_gather_init", "7 ", "6 "));
        refused(world.all_to_all(&four), &says("all_to_all", "4 ", "3 equal parts"));
        refused(world.all_to_all_into(&four, &mut [0; 4]), &says("all_to_all_into", "4 ", "3 equal parts"));
        refused(world.all_to_all_into(&[1u8; 3], &mut four), &says("all_to_all_into", "4 ", "3 "));
        refused(world.all_to_all_in_place(&mut four), &says("all_to_all_in_place", "4 ", "3 equal parts"));
        refused(world.immediate_all_to_all(own(5)), &says("immediate_all_to_all", "5 ", "3 equal parts"));
        refused(world.all_to_all_init(own(5), own(5)), &says("all_to_all_init", "5 ", "3 equal parts"));
        refused(world.all_to_all_init(own(6), own(3)), &says("all_to_all_init", "3 ", "6 "));
        let into = world.reduce_into(&mine, Some(&mut four), op::Sum, me);
        refused(into, &says("reduce_into", "4 ", "2 "));
        refused(world.reduce_into(&mine, None, op::Sum, me), &["reduce_into", "result is None"]);
        refused(world.reduce_init(own(2), own(3), op::Sum, me), &says("reduce_init", "3 ", "2 "));
        refused(world.all_reduce_into(&mine, &mut four, op::Sum), &says("all_reduce_into", "4 ", "2 "));
        refused(world.all_reduce_init(own(2), own(3), op::Sum), &says("all_reduce_init", "3 ", "2 "));
        refused(world.scan_into(&mine, &mut four, op::Sum), &says("scan_into", "4 ", "2 "));
        let into = world.exclusive_scan_into(&mine, &mut four, op::Sum);
        refused(into, &says("exclusive_scan_into", "4 ", "2 "));
        let into = world.reduce_scatter_into(&[1u8; 6], &mut four, &[2; 3], op::Sum);
        refused(into, &says("reduce_scatter_into", "4 ", "2 "));
        let block = world.reduce_scatter_block_into(&four, &mut [1], op::Sum);
        refused(block, &says("reduce_scatter_block_into", "4 ", "3 equal parts"));
        let block = world.reduce_scatter_block_into(&[1u8; 6], &mut four, op::Sum);
        refused(block, &says("reduce_scatter_block_into", "4 ", "2 "));
        let block = world.reduce_scatter_block_in_place(&mut four, op::Sum);
        refused(block, &says("reduce_scatter_block_in_place", "4 ", "3 equal parts"));
        refused(world.scan_init(own(2), own(3), op::Sum), &says("scan_init", "3 ", "2 "));
        let below = world.exclusive_scan_init(own(2), own(3), op::Sum);
        refused(below, &says("exclusive_scan_init", "3 ", "2 "));
        let block = world.reduce_scatter_block(&four, op::Sum);
        refused(block, &says("reduce_scatter_block", "4 ", "3 equal parts"));
        let block = world.immediate_reduce_scatter_block(own(4), op::Sum);
        refused(block, &says("immediate_reduce_scatter_block", "4 ", "3 equal parts"));
        let block = world.reduce_scatter_block_init(own(4), own(1), op::Sum);
        refused(block, &says("reduce_scatter_block_init", "4 ", "3 equal parts"));
        let block = world.reduce_scatter_block_init(own(6), own(1), op::Sum);
        refused(block, &says("reduce_scatter_block_init", "1 ", "2 "));
        Ok(())
    });
}

/// Counts for three ranks that are wrong, and what is said of them, for a slice of six elements.
const WRONG: [(&[usize], &str); 5] = [
    (&[3, 3], "2 entries, for 3 ranks"),
    (&[], "0 entries, for 3 ranks"),
    (&[2, 2, 1, 1], "4 entries, for 3 ranks"),
    (&[2, 2, 3], "7"),
    (&[2, usize::MAX, 2], "than memory can hold"),
];

#[test]
fn counts_that_are_wrong() {
    alone(|world| {
        let me = world.rank();
        let own = |len| vec![1u8; len];
        for (counts, fact) in WRONG {
            let check = |function: &str, outcome: Result<()>| refused(outcome, &[function, fact]);
            check("reduce_scatter", world.reduce_scatter(&[1u8; 6], counts, op::Sum).map(drop));
            let into = world.reduce_scatter_into(&[1u8; 6], &mut [1; 2], counts, op::Sum);
            check("reduce_scatter_into", into);
            check("reduce_scatter_in_place", world.reduce_scatter_in_place(&mut own(6), counts, op::Sum));
            let request = world.immediate_reduce_scatter(own(6), counts, op::Sum);
            check("immediate_reduce_scatter", request.map(drop));
            let request = world.reduce_scatter_init(own(6), own(2), counts, op::Sum);
            check("reduce_scatter_init", request.map(drop));
            let request = world.immediate_scatter_varcount(own(6), counts, 2, me);
            check("immediate_scatter_varcount", request.map(drop));
            let request = world.scatter_varcount_init(own(6), counts, own(2), me);
            check("scatter_varcount_init", request.map(drop));
            let request = world.immediate_all_to_all_varcount(own(6), counts, &[2, 2, 2]);
            check("immediate_all_to_all_varcount", request.map(drop));
            let request = world.all_to_all_varcount_init(own(6), counts, own(6), &[2, 2, 2]);
            check("all_to_all_varcount_init", request.map(drop));
            if counts.len() == 3 && fact == "7" {
                continue;
            }
            let request = world.immediate_gather_varcount(own(2), counts, me);
            check("immediate_gather_varcount", request.map(drop));
            let request = world.gather_varcount_init(own(2), own(6), counts, me);
            check("gather_varcount_init", request.map(drop));
            let request = world.immediate_all_gather_varcount(own(2), counts);
            check("immediate_all_gather_varcount", request.map(drop));
            let request = world.all_gather_varcount_init(own(2), own(6), counts);
            check("all_gather_varcount_init", request.map(drop));
        }
        let counts = [2, 2, 2];
        refused(
            world.immediate_gather_varcount(own(1), &counts, me),
            &["immediate_gather_varcount", "1 ", "2 "],
        );
        refused(
            world.gather_varcount_init(own(2), own(5), &counts, me),
            &["gather_varcount_init", "5 ", "6 "],
        );
        let request = world.immediate_scatter_varcount(own(6), &counts, 3, me);
        refused(request, &["immediate_scatter_varcount", "3 ", "2 "]);
        let request = world.scatter_varcount_init(own(6), &counts, own(1), me);
        refused(request, &["scatter_varcount_init", "1 ", "2 "]);
        let request = world.immediate_all_gather_varcount(own(3), &counts);
        refused(request, &["immediate_all_gather_varcount", "3 ", "2 "]);
        refused(
            world.all_gather_varcount_init(own(2), own(5), &counts),
            &["all_gather_varcount_init", "5 ", "6 "],
        );
        let request = world.immediate_all_to_all_varcount(own(6), &counts, &[3, 3, 3]);
        refused(request, &["immediate_all_to_all_varcount", "own part", "3 ", "2 "]);
        let request = world.all_to_all_varcount_init(own(6), &counts, own(5), &counts);
        refused(request, &["all_to_all_varcount_init", "5 ", "6 "]);
        let request = world.reduce_scatter_init(own(6), own(1), &counts, op::Sum);
        refused(request, &["reduce_scatter_init", "1 ", "2 "]);
        Ok(())
    });
}

#[test]
fn parts_out_of_their_slice_or_overlapping() {
    alone(|world| {
        let (me, mut all, six, mine) = (world.rank(), [0u8; 6], [1u8; 6], [1u8; 2]);
        // Counts, displacements, and what is said of them.
        let wrong: [(&[usize], &[usize], &[&str]); 5] = [
            (&[2, 2], &[0, 2, 4], &["counts", "2 entries", "3 ranks"]),
            (&[2, 2, 2], &[0, 2], &["displacements", "2 entries", "3 ranks"]),
            (&[2, 2, 2], &[0, 2, 5], &["rank 2", "2 elements from 5", "slice of 6"]),
            (&[2, 2, 2], &[0, usize::MAX, 4], &["rank 1", "2 elements from", "slice of 6"]),
            (&[2, usize::MAX, 2], &[0, 2, 4], &["rank 1", "from 2 on", "slice of 6"]),
        ];
        let overlap: (&[usize], &[usize], &[&str]) =
            (&[2, 2, 2], &[0, 3, 2], &["rank 2", "rank 1", "overlap", "elements 2 to 3"]);
        for (counts, displacements, facts) in wrong.into_iter().chain([overlap]) {
            let check = |function, outcome: Result<()>| refused(outcome, &[&[function], facts].concat());
            let parts = || PartitionMut::with_displacements(Vec::leak(vec![0; 6]), counts, displacements);
            check("gather_varcount_into", world.gather_varcount_into(&mine, Some(parts()), me));
            check("all_gather_varcount_into", world.all_gather_varcount_into(&mine, parts()));
            check("gather_varcount_in_place", world.gather_varcount_in_place(parts(), me));
            check("scatter_varcount_in_place", world.scatter_varcount_in_place(parts(), me));
            check("all_gather_varcount_in_place", world.all_gather_varcount_in_place(parts()));
            check("all_to_all_varcount_in_place", world.all_to_all_varcount_in_place(parts()));
            let from = Partition::new(&six, &[2usize, 2, 2][..]);
            check("all_to_all_varcount_into", world.all_to_all_varcount_into(from, parts()));
        }
        for (counts, displacements, facts) in wrong {
            let parts = || Partition::with_displacements(&six, counts, displacements);
            let check = |function, outcome: Result<()>| refused(outcome, &[&[function], facts].concat());
            let into = world.scatter_varcount_into(Some(parts()), &mut [0; 2], me);
            check("scatter_varcount_into", into);
            check("all_to_all_varcount", world.all_to_all_varcount(parts()).map(drop));
            let into = PartitionMut::new(&mut all, &[2usize, 2, 2][..]);
            check("all_to_all_varcount_into", world.all_to_all_varcount_into(parts(), into));
        }
        let counts = &[2usize, 2, 2][..];
        refused(world.gather_varcount_into(&mine, None, me), &["gather_varcount_into", "0 entries"]);
        let into = world.gather_varcount_into(&mine[1..], Some(PartitionMut::new(&mut all, counts)), me);
        refused(into, &["gather_varcount_into", "mine", "1 ", "2 "]);
        let into = world.all_gather_varcount_into(&six, PartitionMut::new(&mut all, counts));
        refused(into, &["all_gather_varcount_into", "mine", "6 ", "2 "]);
        refused(
            world.scatter_varcount_into(None, &mut [0u8; 2], me),
            &["scatter_varcount_into", "0 entries"],
        );
        let into = world.scatter_varcount_into(Some(Partition::new(&six, counts)), &mut [0; 3], me);
        refused(into, &["scatter_varcount_into", "mine", "3 ", "2 "]);
        let one = PartitionMut::new(&mut all, &[1usize, 1, 1][..]);
        let into = world.all_to_all_varcount_into(Partition::new(&six, counts), one);
        refused(into, &["all_to_all_varcount_into", "own part", "1 ", "2 "]);
        Ok(())
    });
}

/// The other ranks do not know how long their parts are, and wait for the root, which tells them.
#[test]
fn a_root_that_has_nothing_to_scatter_tells_the_others() {
    for ranks in [2, 3, 8] {
        run(ranks, |world| {
            let root = world.size() - 1;
            let is_root = world.rank() == root;
            for wrong in [None, Some(&[1u8; 13][..])] {
                refused(world.scatter(wrong.filter(|_| is_root), root), &["scatter"]);
            }
            let few = is_root.then(|| Partition::new(&[1u8; 4], &[4usize][..]));
            refused(world.scatter_varcount(few, root), &["scatter_varcount"]);
            refused(world.scatter_varcount::<u8>(None, root), &["scatter_varcount"]);
            // The communicator goes on.
            assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
            Ok(())
        });
    }
}

/// What a root that scatters does, or another rank, with slices of that length.
type Scatter = fn(&Communicator<'_>, is_root: bool, len: usize, root: Rank) -> Result<()>;

/// Too long by one, or for all others far too long.
const SCATTERS: [Scatter; 4] = [
    |comm, is_root, len, root| {
        let all = vec![1u8; comm.size() as usize * len + 1];
        comm.scatter_into(is_root.then_some(&all[..]), &mut vec![0; len], root)
    },
    |comm, is_root, len, root| {
        let all = if is_root { comm.size() as usize * len + 1 } else { len };
        comm.scatter_in_place(&mut vec![1u8; all], root)
    },
    |comm, is_root, len, root| {
        let all = vec![1u8; comm.size() as usize * len];
        let parts = is_root.then(|| Partition::new(&all, vec![len + 2; comm.size() as usize]));
        comm.scatter_varcount_into(parts, &mut vec![0; len], root)
    },
    |comm, is_root, len, root| {
        let counts = if is_root { vec![len + 2; comm.size() as usize] } else { vec![] };
        comm.scatter_varcount_in_place(PartitionMut::new(&mut vec![1u8; len + 2], counts), root)
    },
];

/// Whichever way the others wait, for short parts or long ones: none of them waits for ever.
#[test]
fn a_root_that_refuses_to_scatter_tells_the_others() {
    for ranks in [2, 3, 8, 31] {
        run(ranks, |world| {
            for (len, root) in [(0, 0), (1, 1), (100, world.size() - 1), (40_000, 1)] {
                for scatter in SCATTERS {
                    let comm = world.duplicate()?;
                    let is_root = comm.rank() == root;
                    // In a tree some wait for others that have been told.
                    let facts =
                        if is_root { ["scatter", "elements"] } else { ["scatter", "no part in this"] };
                    refused(scatter(&comm, is_root, len, root), &facts);
                    refused(comm.barrier(), &["barrier"]);
                }
            }
            Ok(())
        });
    }
}

/// Of which a slice may have any length.
#[derive(Clone, Copy)]
struct Nothing;
// SAFETY: it has no bytes.
unsafe impl bytemuck::Zeroable for Nothing {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Nothing {}

#[test]
fn lengths_that_no_slice_has() {
    alone(|world| {
        let mine = [Nothing; usize::MAX];
        let own = || Box::new(mine) as Box<[Nothing]>;
        let check = |function, outcome: Result<()>| refused(outcome, &[function, "too many"]);
        check("gather", world.gather(&mine, 0).map(drop));
        check("gather_into", world.gather_into(&mine, None, 0));
        check("all_gather", world.all_gather(&mine).map(drop));
        check("all_gather_into", world.all_gather_into(&mine, &mut []));
        check("immediate_gather", world.immediate_gather(own(), 0).map(drop));
        check("immediate_all_gather", world.immediate_all_gather(own()).map(drop));
        check("gather_init", world.gather_init(own(), vec![], 0).map(drop));
        check("all_gather_init", world.all_gather_init(own(), vec![]).map(drop));
        check("immediate_scatter", world.immediate_scatter(own(), usize::MAX, 0).map(drop));
        Ok(())
    });
}

#[test]
fn lengths_that_no_number_holds_together() {
    for root in [0, 2] {
        run(3, |world| {
            let mine = [Nothing; usize::MAX];
            let says = ["lengths add up to more elements of 0 bytes"];
            refused(world.all_gather_varcount(&mine), &says);
            // Only the root knows all lengths.
            let gathered = world.gather_varcount(&mine, root);
            if world.rank() == root {
                refused(gathered, &says);
            }
            Ok(())
        });
    }
}

/// Bytes of another rank that are no values: its memory is of another type.
#[test]
fn bytes_that_are_no_values() {
    for (ranks, len) in [(2, 4), (3, 300), (5, 20_000)] {
        run(ranks, |world| {
            let is_root = world.rank() == 0;
            if is_root {
                world.broadcast_into(&mut vec![7u8; len], 0)?;
                world.immediate_broadcast(vec![7u8; len], 0)?.wait()?;
                world.scatter(Some(&vec![7u8; len * ranks]), 0)?;
            } else {
                let says = ["no value", "bool"];
                let mut data = vec![true; len];
                refused(world.broadcast_into(&mut data, 0), &says);
                assert_eq!(data, vec![true; len], "the slice stays as it was");
                refused(world.immediate_broadcast(data, 0)?.wait(), &says);
                refused(world.scatter::<bool>(None, 0), &says);
            }
            assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
            Ok(())
        });
    }
}

#[test]
fn a_persistent_collective_that_is_under_way() {
    run(2, |world| {
        let mut summing = world.all_reduce_init(vec![1], vec![0], op::Sum)?;
        for _ in 0..2 {
            // Rank 1 starts only when rank 0 has been refused.
            if world.rank() == 1 {
                world.barrier()?;
            }
            summing.start()?;
            if world.rank() == 0 {
                refused(summing.start(), &["active"]);
                refused(summing.input_mut(), &["active"]);
                refused(summing.output_mut(), &["active"]);
                world.barrier()?;
            }
            summing.wait()?;
            summing.wait()?;
            assert_eq!(summing.output_mut()?, [2]);
        }
        Ok(())
    });
}

/// Its buffers are gone: it cannot be started again.
#[test]
fn a_persistent_collective_that_has_failed() {
    for len in [1, 300, 20_000] {
        run(2, |world| {
            let len = len + world.rank() as usize;
            let mut summing = world.all_reduce_init(vec![1u8; len], vec![0u8; len], op::Sum)?;
            let mut checked = world.broadcast_init(vec![true; len], 0)?;
            summing.start()?;
            // Another length; or the other rank has found that first, and told.
            let error = summing.wait().map(drop).expect_err("the lengths differ").to_string();
            let says = ["bytes where this rank expected", "has no part in this collective"];
            assert!(says.iter().any(|says| error.contains(says)), "{error}");
            for _ in 0..2 {
                refused(summing.start(), &["given its buffer back"]);
                refused(summing.input_mut(), &["given its buffer back"]);
                refused(summing.output_mut(), &["given its buffer back"]);
                summing.wait()?;
            }
            // Of the root's part nothing is wrong.
            checked.start()?;
            if world.rank() == 1 {
                refused(checked.wait(), &["bytes where this rank expected"]);
                refused(checked.start(), &["given its buffer back"]);
            }
            Ok(())
        });
    }
}

#[test]
fn counts_of_more_bytes_than_memory_can_hold() {
    alone(|world| {
        let huge = [1, usize::MAX / 8, 1];
        let me = world.rank() as usize;
        let mine = || vec![0u64; huge[me]];
        let expect = |outcome: Result<()>| refused(outcome, &["counts", "elements of 8 bytes"]);
        expect(world.immediate_all_gather_varcount(mine(), &huge).map(drop));
        expect(world.all_gather_varcount_init(mine(), mine(), &huge).map(drop));
        let request = world.immediate_all_to_all_varcount(vec![0u64; 3], &[1; 3], &huge);
        expect(request.map(drop));
        expect(world.reduce_scatter(&[0u64; 3], &huge, op::Sum).map(drop));
        Ok(())
    });
}

#[test]
fn a_collective_while_another_thread_is_in_one() {
    run(2, |world| {
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let says = |function| [function, "two threads", "duplicate of the communicator"];
                for () in begun {
                    refused(world.barrier(), &says("barrier: "));
                    refused(world.broadcast_into(&mut [0u8], 0), &says("broadcast: "));
                    end.send(()).unwrap();
                }
            });
            let add = op::commutative(|a: &i32, b: &i32| {
                begin.send(()).unwrap();
                ended.recv().unwrap();
                a + b
            });
            let sum = world.all_reduce_value(1, add);
            drop(begin);
            assert_eq!(sum?, 2);
            // Any thread may be the next.
            world.barrier()
        })?;
        std::thread::scope(|scope| scope.spawn(|| world.barrier()).join().unwrap())
    });
}

/// Something of an operation that calls ringmpi when it is dropped.
struct Farewell(&'static Communicator<'static>);

impl Drop for Farewell {
    fn drop(&mut self) {
        assert_eq!(self.0.any_process().immediate_probe().unwrap(), None);
    }
}

#[test]
fn an_operation_may_call_when_it_is_dropped() {
    let universe: &Universe = Box::leak(Box::new(ringmpi::init().unwrap()));
    let world: &Communicator<'_> = Box::leak(Box::new(universe.world()));
    for is_waited_for in [true, false] {
        let farewell = Farewell(world);
        let op = op::commutative(move |a: &i32, _: &i32| *a + farewell.0.rank());
        let reducing = world.immediate_all_reduce(vec![1], op).unwrap();
        match is_waited_for {
            true => assert_eq!(reducing.wait().unwrap(), [1]),
            false => drop(reducing),
        }
        world.any_process().immediate_probe().unwrap();
    }
}
