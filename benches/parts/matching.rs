//! What a match costs in a queue of a given depth: one entry is taken and put back. At last the same by whole
//! messages.
//!
//! An entry is taken from the front (`first`), from the back (`last`: what a search entry by entry likes
//! least) or from anywhere (`any`: what caches like least). Entries differ in the one number that
//! patterns of the class name, so that each class has as many keys as the queue has entries.

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use ringmpi::{
    Process, Source,
    internals::matching::{Message, Posted, Receive, Unexpected},
};
use std::time::Duration;

const DEPTHS: [u32; 5] = [1, 10, 100, 1000, 10_000];
const CLASSES: [Class; 4] = [Class::Exact, Class::AnySource, Class::AnyTag, Class::AnyBoth];
const POSITIONS: [&str; 3] = ["first", "last", "any"];

#[derive(Clone, Copy, Debug)]
enum Class {
    Exact,
    AnySource,
    AnyTag,
    AnyBoth,
}

impl Class {
    fn message(self, entry: u32) -> Message {
        let number = entry.cast_signed();
        match self {
            Self::Exact | Self::AnySource => (4, 1, 64 * number),
            Self::AnyTag => (4, number, 64),
            Self::AnyBoth => (4 * entry, 1, 64),
        }
    }

    fn receive(self, entry: u32) -> Receive {
        let (context, source, tag) = self.message(entry);
        match self {
            Self::Exact => (context, Some(source), Some(tag)),
            Self::AnySource => (context, None, Some(tag)),
            Self::AnyTag => (context, Some(source), None),
            Self::AnyBoth => (context, None, None),
        }
    }
}

/// Which entry is taken next, when each goes to the back after it was taken.
struct Picker {
    step: u32,
    depth: u32,
    last: u32,
}

impl Picker {
    fn new(position: &str, depth: u32) -> Self {
        let step = match position {
            "first" => 1,
            "last" => 0,
            // It shares no factor with any depth, so it visits all entries, in no order that a
            // prefetcher knows.
            _ => 7919,
        };
        Self { step: step % depth, depth, last: depth - 1 }
    }

    /// Without a division, which would cost as much as a match in a short queue.
    fn pick(&mut self) -> u32 {
        let next = self.last + self.step;
        self.last = if next < self.depth { next } else { next - self.depth };
        self.last
    }
}

fn posted(criterion: &mut Criterion) {
    each_case(criterion, "posted", |class, depth| {
        let mut queue = Posted::new();
        (0..depth).for_each(|entry| queue.post(class.receive(entry), entry.into()));
        move |entry| {
            assert_eq!(queue.take_match(class.message(entry)), Some(entry.into()));
            queue.post(class.receive(entry), entry.into());
        }
    });
}

fn unexpected(criterion: &mut Criterion) {
    each_case(criterion, "unexpected", |class, depth| {
        let mut queue = Unexpected::new();
        (0..depth).for_each(|entry| queue.push(class.message(entry), entry.into()));
        move |entry| {
            assert_eq!(queue.take(class.receive(entry)), Some(entry.into()));
            queue.push(class.message(entry), entry.into());
        }
    });
}

/// Exact receives between a wildcard of each class posted before and after them, none of which accepts
/// the message: it has to look in every class.
fn posted_among_wildcards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("posted/among-wildcards/any");
    for depth in DEPTHS {
        let mut queue = Posted::new();
        let wildcards = |queue: &mut Posted| {
            queue.post((4, None, Some(1)), u64::MAX);
            queue.post((4, Some(9), None), u64::MAX);
            queue.post((8, None, None), u64::MAX);
        };
        wildcards(&mut queue);
        (0..depth).for_each(|entry| queue.post(Class::Exact.receive(entry), entry.into()));
        wildcards(&mut queue);
        let mut picker = Picker::new("any", depth);
        group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
            bencher.iter(|| {
                let entry = picker.pick();
                assert_eq!(queue.take_match(Class::Exact.message(entry)), Some(entry.into()));
                queue.post(Class::Exact.receive(entry), entry.into());
            });
        });
    }
}

/// Whole messages, of a rank to itself, into the entry that is taken, and a new receive in its place.
fn messages_into_posted(criterion: &mut Criterion) {
    in_a_rank(criterion, "messages/posted", |group, myself, position, depth| {
        let post = |tag| myself.tag(tag).immediate_receive::<u64>(1).expect("room for a receive");
        let mut receives: Vec<_> = (0..depth.cast_signed()).map(|tag| Some(post(tag))).collect();
        let mut picker = Picker::new(position, depth);
        group.bench_function(BenchmarkId::new(position, depth), |bencher| {
            bencher.iter(|| {
                let entry = picker.pick();
                let tag = entry.cast_signed();
                let place = &mut receives[entry as usize];
                myself.tag(tag).send(&[u64::from(entry)]).expect("a message to oneself");
                let received = place.take().map(|receive| receive.wait().expect("it has come"));
                assert_eq!(received, Some(vec![u64::from(entry)]));
                *place = Some(post(tag));
            });
        });
    });
}

/// The same, out of messages that have come before their receives.
fn messages_out_of_unexpected(criterion: &mut Criterion) {
    in_a_rank(criterion, "messages/unexpected", |group, myself, position, depth| {
        let send = |entry: u32| {
            myself.tag(entry.cast_signed()).send(&[u64::from(entry)]).expect("a message to oneself");
        };
        let receive = |entry: u32| {
            let (value, _) = myself.tag(entry.cast_signed()).receive::<u64>().expect("it has come");
            assert_eq!(value, u64::from(entry));
        };
        (0..depth).for_each(send);
        let mut picker = Picker::new(position, depth);
        group.bench_function(BenchmarkId::new(position, depth), |bencher| {
            bencher.iter(|| {
                let entry = picker.pick();
                receive(entry);
                send(entry);
            });
        });
        (0..depth).for_each(receive);
    });
}

/// Benches in the only rank of a job, for both ends of a queue of distinct tags.
fn in_a_rank(
    criterion: &mut Criterion,
    name: &str,
    bench: impl Fn(&mut BenchmarkGroup<'_, WallTime>, Process<'_, '_>, &str, u32),
) {
    let mut group = criterion.benchmark_group(name);
    let universe = ringmpi::init().expect("a rank without a launcher");
    let world = universe.world();
    for (position, depth) in [("first", 1), ("first", 10_000), ("last", 10_000)] {
        bench(&mut group, world.process_at_rank(0), position, depth);
    }
}

/// Benches what `fill` makes: a queue of that class and depth, in a function that takes one entry and
/// puts it back.
fn each_case<F: FnMut(u32)>(criterion: &mut Criterion, queue: &str, fill: impl Fn(Class, u32) -> F) {
    for class in CLASSES {
        for position in POSITIONS {
            let mut group = criterion.benchmark_group(format!("{queue}/{class:?}/{position}"));
            for depth in DEPTHS {
                let mut take_and_put_back = fill(class, depth);
                let mut picker = Picker::new(position, depth);
                group.bench_function(BenchmarkId::from_parameter(depth), |bencher| {
                    bencher.iter(|| take_and_put_back(picker.pick()));
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .without_plots();
    targets = posted, unexpected, posted_among_wildcards, messages_into_posted, messages_out_of_unexpected
}
criterion_main!(benches);
