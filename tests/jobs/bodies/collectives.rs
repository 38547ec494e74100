//! Collective operations against values that are computed naively.

use super::{assert_same, bytes};
use ringmpi::{Communicator, Rank, Result, op};

fn value(rank: Rank, index: usize) -> i64 {
    i64::from(rank + 1) * 1000 - (index as i64) * 7
}

fn slice(rank: Rank, len: usize) -> Vec<i64> {
    (0..len).map(|index| value(rank, index)).collect()
}

/// What a reduction of everyone's slices gives, in the order of ranks.
fn reduced(world: &Communicator<'_>, len: usize, f: impl Fn(i64, i64) -> i64) -> Vec<i64> {
    let combine = |index| (0..world.size()).map(|rank| value(rank, index)).reduce(&f).unwrap();
    (0..len).map(combine).collect()
}

pub(crate) fn collectives_match_naive_values(world: &Communicator<'_>) -> Result<()> {
    let (rank, size) = (world.rank(), world.size());
    for len in [0, 1, 3, 500] {
        for root in 0..size {
            let mut data = if rank == root { slice(root, len) } else { vec![0; len] };
            world.broadcast_into(&mut data, root)?;
            assert_eq!(data, slice(root, len));
            let gathered = world.gather(&slice(rank, len), root)?;
            let all: Vec<i64> = (0..size).flat_map(|rank| slice(rank, len)).collect();
            assert_eq!(gathered, (rank == root).then(|| all.clone()));
            assert_eq!(world.all_gather(&slice(rank, len))?, all);
            let maximum = world.reduce(&slice(rank, len), op::Max, root)?;
            assert_eq!(maximum, (rank == root).then(|| reduced(world, len, i64::max)));
            world.barrier()?;
        }
        assert_eq!(world.all_reduce(&slice(rank, len), op::Sum)?, reduced(world, len, |a, b| a + b));
        assert_eq!(world.all_reduce(&slice(rank, len), op::Min)?, reduced(world, len, i64::min));
        // Associative, but not commutative.
        let first = world.all_reduce(&slice(rank, len), op::ordered(|a: &i64, _: &i64| *a))?;
        assert_eq!(first, slice(0, len));
        let last = world.all_reduce(&slice(rank, len), op::ordered(|_: &i64, b: &i64| *b))?;
        assert_eq!(last, slice(size - 1, len));
    }
    Ok(())
}

pub(crate) fn collectives_of_large_slices(world: &Communicator<'_>) -> Result<()> {
    let (rank, root) = (world.rank(), world.size() - 1);
    for len in [9000, 1 << 20] {
        let mut data = if rank == root { bytes(root, len, len) } else { vec![0; len] };
        world.broadcast_into(&mut data, root)?;
        assert_same(&data, &bytes(root, len, len));
        let all: Vec<u8> = (0..world.size()).flat_map(|rank| bytes(rank, len, len)).collect();
        assert_same(&world.all_gather(&bytes(rank, len, len))?, &all);
        let sum = world.all_reduce(&slice(rank, len / 8), op::Sum)?;
        assert_eq!(sum, reduced(world, len / 8, |a, b| a + b));
    }
    Ok(())
}
