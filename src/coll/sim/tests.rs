//! Every algorithm by itself, as a request and as a blocking call.

use super::{
    case::{Algorithm, Case},
    job::{run, schedule},
    members,
    race::{self, Collective, Way, take_part},
    steps::{Steps, Unit},
};
use crate::{
    buffer::{self, Combination, Operation},
    coll::{
        barrier,
        call::{Call, Function},
        on_board::{self, Waiting},
    },
    communicator::Communicator,
    error::Result,
    group::Members,
    op,
    p2p::{
        BulkOption, Config, Engine, RequestId,
        sim::{
            random::Random,
            relay::{Course, race},
        },
    },
    shm::{doorbell::BarrierMode, segment::Segment},
    types::{PeerId, Rank},
};
use std::sync::{Arc, Mutex};

/// In elements of 4 bytes: none, one, odd, more than a cell, than a block, than an eager message.
const LENS: [usize; 7] = [0, 1, 2, 7, 33, 1023, 40_001];

fn engines(ranks: usize) -> (Vec<Engine>, Members) {
    let segment = Segment::on_heap(ranks).unwrap();
    let config = Config::new(BarrierMode::Fence);
    let engines = (0..ranks).map(|me| Engine::new(&segment, PeerId(me as u32), config).unwrap()).collect();
    (engines, Members::new((0..ranks as u32).map(PeerId)))
}

fn cases(ranks: usize) -> impl Iterator<Item = Case> {
    let roots = move |len| if len < 1000 { (0..ranks).collect() } else { vec![0, ranks - 1] };
    Algorithm::ALL.into_iter().flat_map(move |algorithm| {
        LENS.into_iter().flat_map(move |len| {
            roots(len).into_iter().map(move |root| Case {
                algorithm,
                ranks: ranks as Rank,
                len,
                root: root as Rank,
                key: (len * 31 + root) as u64,
            })
        })
    })
}

#[test]
fn every_algorithm_gives_what_the_oracle_says_as_a_request() {
    for ranks in [1, 2, 3, 4, 5, 7, 8] {
        let (engines, group) = engines(ranks);
        for case in cases(ranks) {
            let mut memory: Vec<_> = (0..ranks).map(|rank| case.memory(rank as Rank)).collect();
            let mut requests: Vec<RequestId> = vec![];
            for (rank, (input, output)) in memory.iter_mut().enumerate() {
                let schedule = schedule(&case, &group, rank as Rank, 5, (input, output)).unwrap();
                requests.push(engines[rank].begin(Arc::new(schedule), vec![]).unwrap());
            }
            let mut turns = 0;
            while (0..ranks)
                .map(|rank| engines[rank].test(requests[rank]).unwrap())
                .filter(|done| !done)
                .count()
                > 0
            {
                turns += 1;
                assert!(turns < 100_000, "{case:?} hangs");
            }
            for rank in 0..ranks {
                engines[rank].take_outcome(requests[rank]).unwrap();
                assert!(memory[rank].1 == case.expected(rank as Rank), "rank {rank} of {case:?}");
            }
        }
        for engine in &engines {
            assert_eq!((engine.held().0, engine.held().1), (0, 0));
        }
    }
}

#[test]
fn every_algorithm_gives_what_the_oracle_says_as_a_blocking_call() {
    for ranks in [1, 2, 3, 6] {
        let (engines, group) = engines(ranks);
        std::thread::scope(|scope| {
            for (rank, engine) in engines.iter().enumerate() {
                let group = &group;
                scope.spawn(move || {
                    for case in cases(ranks) {
                        let (input, mut output) = case.memory(rank as Rank);
                        let schedule =
                            schedule(&case, group, rank as Rank, 5, (&input, &mut output)).unwrap();
                        let combine = |Combination { from, into, order }| {
                            let op = op::ordered(|a: &u32, b: &u32| super::case::combine(*a, *b));
                            buffer::combine::<u32>(&op, from, into, order)
                        };
                        let operation = Operation { is_built_in: false, combine };
                        engine.run(&schedule, Some(&operation)).unwrap();
                        assert!(output == case.expected(rank as Rank), "rank {rank} of {case:?}");
                    }
                });
            }
        });
    }
}

#[test]
fn the_first_seeds_go_well() {
    for seed in 0..300 {
        run(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

/// All that an algorithm can carry, in elements of 4 bytes: none, one, odd; what a slot holds, a window, the first ring
/// of the stage, a piece, what is combined at a time, a part, and more than go around the stage; and one more of each.
const STEP_LENS: [usize; 21] = [
    0, 1, 3, 7, 27, 28, 29, 513, 1998, 2032, 2033, 2048, 2049, 8192, 8193, 32_752, 32_753, 65_505, 100_001,
    300_000, 600_000,
];

/// Of one communicator, one after the other.
fn step_cases(ranks: usize) -> Vec<Collective> {
    let (mut all, most) = (vec![], if ranks <= 3 { 600_000 } else { 1_000_000 / (ranks * ranks) });
    for (steps, unit) in Steps::ALL.into_iter().flat_map(|steps| Unit::ALL.map(|unit| (steps, unit))) {
        for len in STEP_LENS.into_iter().filter(|len| *len <= steps.most().unwrap_or(most).min(most)) {
            let (whole, is_other) = (len / unit.len() * unit.len(), unit != Unit::One);
            if is_other && (!steps.combines() || whole == 0) {
                continue;
            }
            let roots = match steps.has_root() {
                true if len < 1000 && !is_other => 0..ranks,
                _ => len % ranks..len % ranks + 1,
            };
            all.extend(roots.map(|root| {
                let (algorithm, ranks, root) = (steps.oracle(), ranks as Rank, root as Rank);
                let case = Case { algorithm, ranks, len: whole, root, key: (len * 31) as u64 + root as u64 };
                Collective { group: None, way: Way::Steps(steps, unit), case }
            }));
        }
    }
    all
}

#[test]
fn every_algorithm_in_shared_memory_gives_what_the_oracle_says_for_every_length_and_root() {
    for ranks in [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17] {
        let segment = Segment::on_heap(ranks).unwrap();
        let engines = members::engines(&segment, Config::new(BarrierMode::Fence)).unwrap();
        let all: Vec<_> = step_cases(ranks).into_iter().map(|it| (it, Mutex::new(0))).collect();
        std::thread::scope(|scope| {
            for engine in &engines {
                scope.spawn(|| {
                    let home = members::home(engine);
                    let world = home.world(engine);
                    for (collective, arrived) in &all {
                        take_part(collective, &world, arrived).unwrap();
                    }
                });
            }
        });
        assert!(engines.iter().all(|engine| engine.rescues() == 0), "{ranks} ranks have lost a wake-up");
    }
}

#[test]
fn the_first_races_go_well_and_the_same_way_again() {
    for seed in 0..300 {
        let run = || race::run(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let first = run();
        if seed < 50 {
            assert_eq!(run(), first, "seed {seed}");
        }
    }
}

/// A race of three ranks, in the world.
fn three(seed: u64, body: impl Fn(&Communicator<'_>) -> Result<()> + Sync) -> Result<Course, String> {
    let segment = Segment::on_heap(3).unwrap();
    let mut engines = members::engines(&segment, members::config(BulkOption::Pipelined)).unwrap();
    race(&mut engines, Random::new(seed), |engine| {
        let home = members::home(engine);
        body(&home.world(engine)).map_err(|error| error.to_string())
    })
}

/// This rank's part in an operation on the board of the world.
fn step(
    world: &Communicator<'_>,
    run: impl FnOnce(on_board::Operation<'_, '_, '_>) -> Result<()>,
) -> Result<()> {
    let mut collective = world.enter_collective(Function::Barrier)?;
    let board = collective.board.as_mut().expect("the world has one").get();
    run(on_board::Operation::new(world, board, Call::new(Function::Barrier))?)
}

#[test]
fn a_race_goes_the_same_way_with_the_same_seed_only() {
    let body = |world: &Communicator<'_>| (0..10).try_for_each(|_| step(world, barrier::flags::run));
    let mut courses: Vec<_> = (0..30).map(|seed| three(seed, body).unwrap()).collect();
    let again: Vec<_> = (0..30).map(|seed| three(seed, body).unwrap()).collect();
    assert_eq!(courses, again);
    courses.sort_unstable_by_key(|course| course.trace);
    courses.dedup();
    assert_eq!(courses.len(), 30);
}

#[test]
fn a_race_whose_ranks_wait_for_each_other_says_for_what() {
    for seed in 0..50 {
        let wrong =
            three(seed, |world| if world.rank() == 1 { Ok(()) } else { step(world, barrier::flags::run) });
        let wrong = wrong.unwrap_err();
        for rank in [0, 2] {
            let says = format!("rank {rank} sleeps until words that are [0] have been raised to ");
            let line = wrong.lines().find(|line| line.contains(&says)).unwrap_or_else(|| panic!("{wrong}"));
            assert!(line.ends_with(" by rank 1"), "seed {seed}: {wrong}");
        }
    }
}

#[test]
fn a_rank_that_nobody_wakes_is_found_in_some_order() {
    let silent = |world: &Communicator<'_>| {
        step(world, |mut operation| {
            operation.enter(Waiting::Nobody);
            if operation.comm().rank() == 0 { operation.wait_for(1) } else { Ok(()) }
        })
    };
    let outcomes: Vec<_> = (0..50).map(|seed| three(seed, silent)).collect();
    let is_lost = |wrong: &String| wrong.ends_with("by rank 1: nobody has rung");
    assert!(outcomes.iter().any(Result::is_ok), "rank 1 may be first");
    assert!(outcomes.iter().any(Result::is_err), "rank 0 may be asleep");
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(is_lost), "{outcomes:?}");
}

#[test]
fn what_a_rank_of_a_race_finds_wrong_and_its_panics_end_the_race() {
    for seed in 0..20 {
        let wrong = three(seed, |world| {
            assert!(world.rank() != 2, "on purpose");
            step(world, barrier::flags::run)
        });
        let wrong = wrong.unwrap_err();
        assert!(wrong.starts_with("rank 2 has panicked: on purpose"), "seed {seed}: {wrong}");
    }
}

#[test]
fn a_race_that_gets_nowhere_ends() {
    let wrong = three(3, |world| {
        loop {
            world.engine().pass_baton();
        }
    });
    assert!(wrong.unwrap_err().starts_with("the baton could go on "));
}
