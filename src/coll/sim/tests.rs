//! Every algorithm by itself, as a request and as a blocking call.

use super::{
    case::{Algorithm, Case},
    job::{run, schedule},
};
use crate::{
    buffer::{self, Combination, Operation},
    group::Members,
    op,
    p2p::{Config, Engine, RequestId},
    shm::{doorbell::BarrierMode, segment::Segment},
    types::{PeerId, Rank},
};
use std::sync::Arc;

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
