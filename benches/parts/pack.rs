//! What a type map's cursor costs a run: strided (vector), irregular (indexed), an array of structures;
//! and a seek into each.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringmpi::internals::datatype::TypeWalk;
use std::hint::black_box;

const COUNT: u64 = 1 << 16;

fn walks() -> [(&'static str, u64, TypeWalk); 3] {
    let fits = "2^16 elements fit 64 bits";
    [
        ("vector", COUNT, TypeWalk::vector(COUNT).expect(fits)),
        ("indexed", COUNT, TypeWalk::indexed(COUNT).expect(fits)),
        ("structures", 3 * COUNT, TypeWalk::structures(COUNT).expect(fits)),
    ]
}

/// `whole`: as much as the cursor gives at once. `run`: cut to single runs of 8 bytes.
fn walk(criterion: &mut Criterion) {
    for (name, runs, mut walk) in walks() {
        let mut group = criterion.benchmark_group(format!("walk/{name}"));
        group.throughput(Throughput::Elements(runs));
        group.bench_function("whole", |bencher| bencher.iter(|| walk.run(u64::MAX)));
        group.bench_function("run", |bencher| bencher.iter(|| walk.run(8)));
    }
}

fn seek(criterion: &mut Criterion) {
    for (name, _, mut walk) in walks() {
        let mut offset = 0_u64;
        criterion.bench_function(&format!("seek/{name}"), |bencher| {
            bencher.iter(|| {
                offset = (offset + 7919 * 8 + 3) % (8 * COUNT);
                walk.seek(black_box(offset));
            });
        });
    }
}

criterion_group!(benches, walk, seek);
criterion_main!(benches);
