//! What a ring costs: without another CPU, and between two.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmpi::internals::ring::{Receiver, Sender, ring};
use ringmpi_benches::pin;
use std::{
    hint::{black_box, spin_loop},
    thread,
    time::{Duration, Instant},
};

/// Sent instead of a word to echo: there are no more.
const END: u64 = u64::MAX;

/// So many words are wanted as the next word says.
const STREAM: u64 = u64::MAX - 1;

fn push_and_pop(criterion: &mut Criterion) {
    let (mut sender, mut receiver) = ring().expect("a ring fits into memory");
    criterion.bench_function("ring/push-pop/one-thread", |bencher| {
        bencher.iter(|| {
            assert!(sender.push(black_box(7)));
            assert_eq!(receiver.pop(), Some(7));
        });
    });
}

/// One word to the other thread and back: twice the time of a message.
fn ping_pong(criterion: &mut Criterion) {
    criterion.bench_function("ring/ping-pong/two-threads", |bencher| {
        bencher.iter_custom(|rounds| {
            between_two_threads(|to, from| {
                for round in 0..rounds {
                    push(to, round);
                    assert_eq!(pop(from), round);
                }
            })
        });
    });
}

/// Words one way, as fast as the ring takes them.
fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/stream");
    group.throughput(Throughput::Elements(1));
    group.bench_function("two-threads", |bencher| {
        bencher.iter_custom(|words| {
            between_two_threads(|to, from| {
                push(to, STREAM);
                push(to, words);
                (0..words).for_each(|word| assert_eq!(pop(from), word));
            })
        });
    });
}

/// The time that `first` takes beside a thread that sends every word back, or a stream of them.
fn between_two_threads(first: impl FnOnce(&mut Sender, &mut Receiver)) -> Duration {
    let (mut to, mut there) = ring().expect("a ring fits into memory");
    let (mut back, mut from) = ring().expect("a ring fits into memory");
    thread::scope(|scope| {
        pin(1);
        scope.spawn(move || answer(&mut there, &mut back));
        pin(0);
        push(&mut to, 0);
        assert_eq!(pop(&mut from), 0);
        let start = Instant::now();
        first(&mut to, &mut from);
        let taken = start.elapsed();
        push(&mut to, END);
        taken
    })
}

fn answer(from: &mut Receiver, to: &mut Sender) {
    loop {
        match pop(from) {
            END => return,
            STREAM => (0..pop(from)).for_each(|word| push(to, word)),
            word => push(to, word),
        }
    }
}

fn push(to: &mut Sender, word: u64) {
    while !to.push(word) {
        spin_loop();
    }
}

fn pop(from: &mut Receiver) -> u64 {
    loop {
        match from.pop() {
            Some(word) => return word,
            None => spin_loop(),
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .without_plots();
    targets = push_and_pop, ping_pong, stream
}
criterion_main!(benches);
