//! What waking a sleeper costs: two threads in turn wake each other and sleep, by doorbells and, as the standard
//! library does it, by `park`. A round is two hand-overs.

use criterion::{Criterion, criterion_group, criterion_main};
use ringmpi::internals::wake::{Bell, bells};
use ringmpi_benches::pin;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Whose turn it is: even numbers are the first thread's.
#[derive(Default)]
struct Turn(AtomicU64);

impl Turn {
    fn is(&self, number: u64) -> bool {
        // TURN: pairs with the Release in `give`.
        self.0.load(Ordering::Acquire) == number
    }

    fn give(&self, number: u64) {
        // TURN: pairs with the Acquire in `is`.
        self.0.store(number, Ordering::Release);
    }
}

fn doorbells(criterion: &mut Criterion) {
    for (name, by_membarrier) in [("membarrier", true), ("fence", false)] {
        let [first, second] = bells(by_membarrier).expect("the kernel has membarrier, and there is memory");
        criterion.bench_function(&format!("wake/doorbell/{name}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let turn = Turn::default();
                let hand_over = |mine: &Bell, other: &Bell, number: u64| {
                    mine.sleep_until(|| turn.is(number));
                    turn.give(number + 1);
                    other.ring();
                };
                thread::scope(|scope| {
                    pin(1);
                    scope.spawn(|| (0..rounds).for_each(|round| hand_over(&second, &first, 2 * round + 1)));
                    pin(0);
                    let start = Instant::now();
                    (0..rounds).for_each(|round| hand_over(&first, &second, 2 * round));
                    first.sleep_until(|| turn.is(2 * rounds));
                    start.elapsed()
                })
            });
        });
    }
}

fn park(criterion: &mut Criterion) {
    criterion.bench_function("wake/park", |bencher| {
        bencher.iter_custom(|rounds| {
            let (turn, first) = (Turn::default(), thread::current());
            let take = |number: u64| {
                while !turn.is(number) {
                    thread::park();
                }
            };
            thread::scope(|scope| {
                pin(1);
                let second = scope.spawn(|| {
                    for round in 0..rounds {
                        take(2 * round + 1);
                        turn.give(2 * round + 2);
                        first.unpark();
                    }
                });
                pin(0);
                let start = Instant::now();
                for round in 0..rounds {
                    take(2 * round);
                    turn.give(2 * round + 1);
                    second.thread().unpark();
                }
                take(2 * rounds);
                start.elapsed()
            })
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .without_plots();
    targets = doorbells, park
}
criterion_main!(benches);
