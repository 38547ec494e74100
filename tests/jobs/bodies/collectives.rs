//! Collective operations against values that are computed naively.

use super::{assert_same, bytes};
use ringmpi::{Communicator, Partition, Rank, Result, op};

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

/// As large as `rank % 3`, of that rank's number.
fn uneven(rank: Rank) -> Vec<Rank> {
    vec![rank; rank as usize % 3]
}

pub(crate) fn every_collective_once(world: &Communicator<'_>) -> Result<()> {
    let (rank, size) = (world.rank(), world.size());
    let (root, ranks): (Rank, Vec<Rank>) = (size / 2, (0..size).collect());
    let (is_root, sum) = (rank == root, size * (size - 1) / 2);
    world.barrier()?;
    assert_eq!(world.broadcast_value(rank, root)?, root);
    assert_eq!(world.gather(&[rank], root)?, is_root.then(|| ranks.clone()));
    assert_eq!(world.scatter(is_root.then_some(&ranks[..]), root)?, [rank]);
    assert_eq!(world.all_gather(&[rank])?, ranks);
    assert_eq!(world.all_to_all(&vec![rank; size as usize])?, ranks);
    let parts: Vec<Vec<Rank>> = ranks.iter().map(|rank| uneven(*rank)).collect();
    let (joined, counts) = (parts.concat(), parts.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(world.gather_varcount(&uneven(rank), root)?, is_root.then(|| parts.clone()));
    let all = is_root.then(|| Partition::new(&joined, &counts[..]));
    assert_eq!(world.scatter_varcount(all, root)?, uneven(rank));
    assert_eq!(world.all_gather_varcount(&uneven(rank))?, parts);
    let exchanged = world.all_to_all_varcount(Partition::new(&joined, &counts[..]))?;
    assert_eq!(exchanged, vec![uneven(rank); size as usize]);
    assert_eq!(world.reduce_value(rank, op::Sum, root)?, is_root.then_some(sum));
    assert_eq!(world.all_reduce_value(rank, op::Sum)?, sum);
    assert_eq!(world.scan_value(rank, op::Sum)?, rank * (rank + 1) / 2);
    assert_eq!(world.exclusive_scan_value(rank, op::Sum)?, (rank > 0).then(|| rank * (rank - 1) / 2));
    assert_eq!(world.reduce_scatter_block(&ranks, op::Sum)?, [rank * size]);
    let share: Vec<Rank> = uneven(rank).iter().map(|rank| rank * size).collect();
    assert_eq!(world.reduce_scatter(&joined, &counts, op::Sum)?, share);
    let ring = world.create_cartesian(&[size], &[true], false)?.expect("it has a place for all");
    let (before, behind) = ((rank + size - 1) % size, (rank + 1) % size);
    assert_eq!(ring.neighbour_all_gather(&[rank])?, [before, behind]);
    assert_eq!(ring.neighbour_all_to_all(&[-rank, rank])?, [before, -behind]);
    // All at the same time.
    let (meeting, summing) =
        (world.immediate_barrier()?, world.immediate_all_reduce(vec![rank; 300], op::Sum)?);
    let mut largest = world.all_reduce_init(vec![rank; 300], vec![0; 300], op::Max)?;
    largest.start()?;
    largest.wait()?;
    assert_eq!(largest.output_mut()?, [size - 1; 300]);
    assert_eq!(summing.wait()?, [sum; 300]);
    meeting.wait()
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
