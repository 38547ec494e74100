//! What it costs to combine the elements of two ranks, beside a plain copy of as many bytes: operations that are no
//! vector instructions stand out.
//!
//! Bytes are those of one of the two slices. The sizes fit the first cache, the second, and neither.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringmpi::{
    internals::op::{combine_into_lower, combine_into_upper},
    op::{Max, Op, Product, Sum},
};

const SIZES: [usize; 3] = [8 << 10, 128 << 10, 16 << 20];

fn reduce(criterion: &mut Criterion) {
    copy(criterion);
    operation(criterion, "sum/f64", Sum, |index| index as f64);
    operation(criterion, "sum/f32", Sum, |index| index as f32);
    operation(criterion, "sum/i32", Sum, |index| index as i32);
    operation(criterion, "max/f64", Max, |index| index as f64);
    operation(criterion, "product/i64", Product, |index| index as i64);
}

fn copy(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reduce/copy");
    for size in SIZES {
        let (from, mut into) = (vec![1u8; size], vec![2u8; size]);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| std::hint::black_box(&mut into).copy_from_slice(std::hint::black_box(&from)));
        });
    }
}

/// Both forms, of elements in no order.
fn operation<T: Copy>(criterion: &mut Criterion, name: &str, op: impl Op<T>, element: fn(u32) -> T) {
    let mut group = criterion.benchmark_group(format!("reduce/{name}"));
    for size in SIZES {
        let len = size / size_of::<T>();
        let elements = |step: u32| -> Vec<T> {
            let mixed = |index: usize| (index as u32).wrapping_mul(step).rotate_left(16);
            (0..len).map(|index| element(mixed(index))).collect()
        };
        let [mut lower, mut upper] = [elements(0x9e37_79b1), elements(0x85eb_ca77)];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("lower", size), |bencher| {
            bencher.iter(|| {
                combine_into_lower(&op, std::hint::black_box(&mut lower), std::hint::black_box(&upper))
            });
        });
        group.bench_function(BenchmarkId::new("upper", size), |bencher| {
            bencher.iter(|| {
                combine_into_upper(&op, std::hint::black_box(&lower), std::hint::black_box(&mut upper))
            });
        });
    }
}

criterion_group!(benches, reduce);
criterion_main!(benches);
