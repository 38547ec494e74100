//! Reductions in all their forms.

use super::{
    STARTS, assert_same, assert_same_at,
    element::{Element, OrNan},
    slice,
};
use ringmpi::{
    Communicator, Plain, Rank, Result,
    op::{Op, ValueIndex},
};

/// What the ranks up to `last` give, combined in their order.
fn folded<T: Plain>(parts: &[Vec<T>], last: usize, op: &impl Op<T>) -> Vec<T> {
    let combine = |index: usize| {
        let values = parts[..=last].iter().map(|part| part[index]);
        values.reduce(|a, b| op.apply(&a, &b)).unwrap()
    };
    (0..parts[0].len()).map(combine).collect()
}

/// The slices of all ranks for a key.
fn parts<T: Element>(world: &Communicator<'_>, key: u64, len: usize) -> Vec<Vec<T>> {
    (0..world.size()).map(|rank| slice(key, rank, len)).collect()
}

pub(crate) fn all<T: Element>(
    world: &Communicator<'_>,
    len: usize,
    root: Rank,
    op: impl Op<T> + Copy + Send + Sync + 'static,
) -> Result<()> {
    let parts = parts::<T>(world, len as u64 + 1, len);
    to_root(world, &parts, root, op)?;
    if root == world.size() / 2 {
        to_all(world, &parts, op)?;
        to_prefixes(world, &parts, op)?;
        to_shares(world, &parts, op)?;
        again_and_again(world, len, op)?;
    }
    to_root_again_and_again(world, len, root, op)
}

fn to_root<T: Element>(
    world: &Communicator<'_>,
    parts: &[Vec<T>],
    root: Rank,
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let (is_root, mine) = (world.rank() == root, &parts[world.rank() as usize]);
    let expected = folded(parts, parts.len() - 1, &op);
    let request = world.immediate_reduce(mine.clone(), op, root)?;
    assert_same_at(is_root, world.reduce(mine, op, root)?.as_deref(), &expected);
    let mut out = mine.clone();
    world.reduce_into(mine, is_root.then_some(&mut out[..]), op, root)?;
    assert_same(&out, if is_root { &expected } else { mine });
    out.clone_from(mine);
    world.reduce_in_place(&mut out, op, root)?;
    assert_same(&out, if is_root { &expected } else { mine });
    if let ([first, ..], [value, ..]) = (&mine[..], &expected[..]) {
        let got = world.reduce_value(*first, op, root)?;
        assert_same_at(is_root, got.as_ref().map(std::slice::from_ref), &[*value]);
    }
    assert_same_at(is_root, request.wait()?.as_deref(), &expected);
    Ok(())
}

fn to_all<T: Element>(
    world: &Communicator<'_>,
    parts: &[Vec<T>],
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let (mine, expected) = (&parts[world.rank() as usize], folded(parts, parts.len() - 1, &op));
    let request = world.immediate_all_reduce(mine.clone().into_boxed_slice(), op)?;
    assert_same(&world.all_reduce(mine, op)?, &expected);
    let mut out = mine.clone();
    world.all_reduce_in_place(&mut out, op)?;
    assert_same(&out, &expected);
    out.copy_from_slice(mine);
    world.all_reduce_into(mine, &mut out, op)?;
    assert_same(&out, &expected);
    if let ([first, ..], [value, ..]) = (&mine[..], &expected[..]) {
        assert_same(&[world.all_reduce_value(*first, op)?], &[*value]);
    }
    assert_same(&request.wait()?, &expected);
    Ok(())
}

fn to_prefixes<T: Element>(
    world: &Communicator<'_>,
    parts: &[Vec<T>],
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let me = world.rank() as usize;
    let (mine, expected) = (&parts[me], folded(parts, me, &op));
    let below = me.checked_sub(1).map(|last| folded(parts, last, &op));
    let requests =
        (world.immediate_scan(mine.clone(), op)?, world.immediate_exclusive_scan(mine.clone(), op)?);
    assert_same(&world.scan(mine, op)?, &expected);
    let mut out = mine.clone();
    world.scan_into(mine, &mut out, op)?;
    assert_same(&out, &expected);
    out.clone_from(mine);
    world.scan_in_place(&mut out, op)?;
    assert_same(&out, &expected);
    let exclusive = world.exclusive_scan(mine, op)?;
    // Rank 0's slice stays as it is.
    let or_mine = below.as_ref().unwrap_or(mine);
    assert_same_at(below.is_some(), exclusive.as_deref(), or_mine);
    let before = parts[parts.len() - 1].clone();
    out.clone_from(&before);
    world.exclusive_scan_into(mine, &mut out, op)?;
    assert_same(&out, below.as_ref().unwrap_or(&before));
    out.clone_from(mine);
    world.exclusive_scan_in_place(&mut out, op)?;
    assert_same(&out, or_mine);
    if let Some(first) = mine.first() {
        assert_same(&[world.scan_value(*first, op)?], &expected[..1]);
        let got = world.exclusive_scan_value(*first, op)?;
        assert_same_at(below.is_some(), got.as_ref().map(std::slice::from_ref), &or_mine[..1]);
    }
    assert_same(&requests.1.wait()?, or_mine);
    assert_same(&requests.0.wait()?, &expected);
    Ok(())
}

/// Parts of different lengths, some of them empty, that add up to a length.
fn uneven(len: usize, ranks: usize) -> Vec<usize> {
    let mut counts: Vec<usize> = (0..ranks).map(|rank| len / ranks * (rank % 3) / 2).collect();
    let sum: usize = counts.iter().sum();
    counts[ranks - 1] += len - sum.min(len);
    assert_eq!(counts.iter().sum::<usize>(), len.max(sum));
    counts
}

fn to_shares<T: Element>(
    world: &Communicator<'_>,
    parts: &[Vec<T>],
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let (me, ranks) = (world.rank() as usize, parts.len());
    let (mine, expected) = (&parts[me], folded(parts, ranks - 1, &op));
    let counts = uneven(mine.len(), ranks);
    let start: usize = counts[..me].iter().sum();
    let share = &expected[start..start + counts[me]];
    let request = world.immediate_reduce_scatter(mine.clone(), &counts, op)?;
    assert_same(&world.reduce_scatter(mine, &counts, op)?, share);
    let mut part = mine[..counts[me]].to_vec();
    world.reduce_scatter_into(mine, &mut part, &counts, op)?;
    assert_same(&part, share);
    let mut data = mine.clone();
    world.reduce_scatter_in_place(&mut data, &counts, op)?;
    assert_same(&data, &[share, &mine[share.len()..]].concat());
    let block = mine.len() / ranks;
    let (even, equal) = (&mine[..block * ranks], &expected[block * me..block * (me + 1)]);
    let blocks = world.immediate_reduce_scatter_block(even.to_vec(), op)?;
    assert_same(&world.reduce_scatter_block(even, op)?, equal);
    part = even[..block].to_vec();
    world.reduce_scatter_block_into(even, &mut part, op)?;
    assert_same(&part, equal);
    data = even.to_vec();
    world.reduce_scatter_block_in_place(&mut data, op)?;
    assert_same(&data, &[equal, &even[block..]].concat());
    assert_same(&blocks.wait()?, equal);
    assert_same(&request.wait()?, share);
    Ok(())
}

fn to_root_again_and_again<T: Element>(
    world: &Communicator<'_>,
    len: usize,
    root: Rank,
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let (me, is_root) = (world.rank(), world.rank() == root);
    let result = if is_root { slice(99, me, len) } else { vec![] };
    let mut reduce = world.reduce_init(slice::<T>(98, me, len), result, op, root)?;
    for key in 0..STARTS {
        let parts = parts::<T>(world, key, len);
        reduce.input_mut()?.copy_from_slice(&parts[me as usize]);
        reduce.start()?;
        reduce.wait()?;
        assert_same(reduce.input_mut()?, &parts[me as usize]);
        if is_root {
            assert_same(reduce.output_mut()?, &folded(&parts, parts.len() - 1, &op));
        }
    }
    Ok(())
}

fn again_and_again<T: Element>(
    world: &Communicator<'_>,
    len: usize,
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let (me, ranks) = (world.rank() as usize, world.size() as usize);
    let (zero, counts, block) = (|len| slice::<T>(98, 0, len), uneven(len, ranks), len / ranks);
    let mut all = world.all_reduce_init(zero(len), zero(len), op)?;
    let mut scan = world.scan_init(zero(len), zero(len).into_boxed_slice(), op)?;
    let mut below = world.exclusive_scan_init(zero(len), zero(len), op)?;
    let mut share = world.reduce_scatter_init(zero(len), zero(counts[me]), &counts, op)?;
    let mut equal = world.reduce_scatter_block_init(zero(block * ranks), zero(block), op)?;
    for key in 0..STARTS {
        let parts = parts::<T>(world, key + 50, len);
        let mine = &parts[me];
        all.input_mut()?.copy_from_slice(mine);
        scan.input_mut()?.copy_from_slice(mine);
        below.input_mut()?.copy_from_slice(mine);
        share.input_mut()?.copy_from_slice(mine);
        equal.input_mut()?.copy_from_slice(&mine[..block * ranks]);
        all.start()?;
        scan.start()?;
        below.start()?;
        share.start()?;
        equal.start()?;
        // In another order than they were started in.
        equal.wait()?;
        below.wait()?;
        all.wait()?;
        share.wait()?;
        scan.wait()?;
        let expected = folded(&parts, ranks - 1, &op);
        assert_same(all.output_mut()?, &expected);
        assert_same(scan.output_mut()?, &folded(&parts, me, &op));
        let lower = me.checked_sub(1).map(|last| folded(&parts, last, &op));
        assert_same(below.output_mut()?, lower.as_ref().unwrap_or(mine));
        let start: usize = counts[..me].iter().sum();
        assert_same(share.output_mut()?, &expected[start..start + counts[me]]);
        assert_same(equal.output_mut()?, &expected[block * me..block * (me + 1)]);
    }
    Ok(())
}

/// A reduction for all, blocking and immediate, of what the ranks give.
fn for_all<T: Plain>(
    world: &Communicator<'_>,
    parts: &[Vec<T>],
    op: impl Op<T> + Copy + Send + 'static,
) -> Result<()> {
    let (mine, expected) = (&parts[world.rank() as usize], folded(parts, parts.len() - 1, &op));
    for _ in 0..2 {
        let request = world.immediate_all_reduce(mine.clone(), op)?;
        assert_same(&world.all_reduce(mine, op)?, &expected);
        assert_same(&request.wait()?, &expected);
    }
    Ok(())
}

/// Floats, some of them NaN.
pub(crate) fn of_floats(
    world: &Communicator<'_>,
    len: usize,
    op: impl Op<f64> + Copy + Send + 'static,
) -> Result<()> {
    let floats = |part: Vec<OrNan>| part.into_iter().map(|OrNan(value)| value).collect();
    let parts: Vec<Vec<f64>> = parts(world, 5, len).into_iter().map(floats).collect();
    for_all(world, &parts, op)
}

/// Floats, some of them NaN and some equal, and where they are.
pub(crate) fn of_located(
    world: &Communicator<'_>,
    len: usize,
    op: impl Op<ValueIndex<f64>> + Copy + Send + 'static,
) -> Result<()> {
    let located = |(rank, part): (usize, Vec<OrNan>)| {
        let value = |OrNan(value): OrNan| if value < 1e18 { value } else { 1e18 };
        part.into_iter().map(|or_nan| ValueIndex::new(value(or_nan), 8 - rank as i64)).collect()
    };
    let parts: Vec<Vec<_>> = parts(world, 6, len).into_iter().enumerate().map(located).collect();
    for_all(world, &parts, op)
}

/// Floats whose sum depends on the order.
pub(crate) fn of_terms(
    world: &Communicator<'_>,
    len: usize,
    op: impl Op<f64> + Copy + Send + 'static,
) -> Result<()> {
    let term = |value: u64| {
        let sign = if value & 1 == 0 { 1.0 } else { -1.0 };
        sign * (1.0 + value as f64 / 3e19) * 2f64.powi((value >> 8) as i32 % 60)
    };
    let terms = |part: Vec<u64>| part.into_iter().map(term).collect();
    let parts: Vec<Vec<f64>> = parts(world, 7, len).into_iter().map(terms).collect();
    for_all(world, &parts, op)
}
