//! Collectives that move data, in all their forms.

use super::{STARTS, assert_same, assert_same_at, element::Element, run, slice};
use ringmpi::{Communicator, Partition, PartitionMut, Rank, Result, op};

pub(crate) fn all<T: Element>(world: &Communicator<'_>, len: usize, root: Rank) -> Result<()> {
    broadcast::<T>(world, len, root)?;
    gather::<T>(world, len, root)?;
    scatter::<T>(world, len, root)?;
    gather_varcount::<T>(world, len, root)?;
    scatter_varcount::<T>(world, len, root)?;
    if root == world.size() / 2 {
        world.immediate_barrier()?.wait()?;
        all_gather::<T>(world, len)?;
        all_to_all::<T>(world, len)?;
        all_gather_varcount::<T>(world, len)?;
        all_to_all_varcount::<T>(world, len)?;
        barriers(world)?;
    }
    Ok(())
}

fn ranks(world: &Communicator<'_>) -> usize {
    world.size() as usize
}

/// What is in a buffer before something comes.
fn old<T: Element>(len: usize) -> Vec<T> {
    slice(u64::from(u32::MAX), 0, len)
}

/// The slices of all ranks, one behind the other.
fn joined<T: Element>(world: &Communicator<'_>, key: u64, len: impl Fn(Rank) -> usize) -> Vec<T> {
    (0..world.size()).flat_map(|rank| slice(key, rank, len(rank))).collect()
}

/// Lengths that differ from rank to rank, around one; some are 0.
fn uneven(len: usize, rank: Rank) -> usize {
    match rank % 4 {
        0 => len,
        1 => 0,
        2 => len / 2 + 1,
        _ => len + 1,
    }
}

/// Places for parts of such lengths in the opposite order, with gaps between them; and the whole length.
fn places(counts: &[usize]) -> (Vec<usize>, usize) {
    let (mut places, mut end) = (vec![0; counts.len()], 2);
    for (rank, count) in counts.iter().enumerate().rev() {
        places[rank] = end;
        end += count + rank % 3;
    }
    (places, end)
}

/// `old`, but for the parts, which are the ranks' slices.
fn placed<T: Element>(key: u64, counts: &[usize]) -> Vec<T> {
    let (places, len) = places(counts);
    let mut all = old(len);
    for (rank, (place, count)) in places.iter().zip(counts).enumerate() {
        all[*place..place + count].copy_from_slice(&slice(key, rank as Rank, *count));
    }
    all
}

fn barriers(world: &Communicator<'_>) -> Result<()> {
    let mut barrier = world.barrier_init()?;
    for _ in 0..STARTS {
        barrier.start()?;
        world.barrier()?;
        let immediate = world.immediate_barrier()?;
        barrier.wait()?;
        immediate.wait()?;
    }
    Ok(())
}

fn broadcast<T: Element>(world: &Communicator<'_>, len: usize, root: Rank) -> Result<()> {
    let is_root = world.rank() == root;
    let given = |key| if is_root { slice::<T>(key, root, len) } else { old(len) };
    let request = world.immediate_broadcast(given(2), root)?;
    let mut data = given(1);
    world.broadcast_into(&mut data, root)?;
    assert_same(&data, &slice(1, root, len));
    let value = world.broadcast_value(T::of(world.rank() as u64), root)?;
    assert_same(&[value], &[T::of(root as u64)]);
    let mut again = world.broadcast_init(old::<T>(len).into_boxed_slice(), root)?;
    for key in 0..STARTS {
        again.output_mut()?.copy_from_slice(&given(key));
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &slice(key, root, len));
    }
    assert_same(&request.wait()?, &slice(2, root, len));
    Ok(())
}

fn gather<T: Element>(world: &Communicator<'_>, len: usize, root: Rank) -> Result<()> {
    let (me, is_root) = (world.rank(), world.rank() == root);
    let (mine, all) = (slice::<T>(3, me, len), joined(world, 3, |_| len));
    let request = world.immediate_gather(mine.clone(), root)?;
    assert_same_at(is_root, world.gather(&mine, root)?.as_deref(), &all);
    let mut into = old(if is_root { all.len() } else { 0 });
    world.gather_into(&mine, is_root.then_some(&mut into[..]), root)?;
    assert_same(&into, if is_root { &all } else { &[] });
    let mut data = mine.clone();
    if is_root {
        data = old(all.len());
        data[me as usize * len..][..len].copy_from_slice(&mine);
    }
    world.gather_in_place(&mut data, root)?;
    assert_same(&data, if is_root { &all } else { &mine });
    let mut again = world.gather_init(old::<T>(len), old(if is_root { all.len() } else { 0 }), root)?;
    for key in 0..STARTS {
        again.input_mut()?.copy_from_slice(&slice(key, me, len));
        again.start()?;
        again.wait()?;
        if is_root {
            assert_same(again.output_mut()?, &joined(world, key, |_| len));
        }
    }
    assert_same_at(is_root, request.wait()?.as_deref(), &all);
    Ok(())
}

fn gather_varcount<T: Element>(world: &Communicator<'_>, len: usize, root: Rank) -> Result<()> {
    let (me, is_root) = (world.rank(), world.rank() == root);
    let counts: Vec<usize> = (0..world.size()).map(|rank| uneven(len, rank)).collect();
    let given = if is_root { &counts[..] } else { &[] };
    let own = counts[me as usize];
    let (mine, all) = (slice::<T>(4, me, own), joined::<T>(world, 4, |rank| counts[rank as usize]));
    let request = world.immediate_gather_varcount(mine.clone(), given, root)?;
    let vectors = world.gather_varcount(&mine, root)?;
    assert_eq!(vectors.is_some(), is_root);
    for (rank, got) in vectors.into_iter().flatten().enumerate() {
        assert_same(&got, &slice(4, rank as Rank, counts[rank]));
    }
    let (places, whole) = places(&counts);
    let mut into = old(whole);
    let parts = PartitionMut::with_displacements(&mut into, &counts[..], places);
    world.gather_varcount_into(&mine, is_root.then_some(parts), root)?;
    assert_same(&into, &if is_root { placed(4, &counts) } else { old(whole) });
    let mut close = old(all.len());
    world.gather_varcount_into(&mine, is_root.then(|| PartitionMut::new(&mut close, &counts[..])), root)?;
    assert_same(&close, if is_root { &all } else { &close });
    in_place(&mut into, 4, &counts, me, is_root);
    let kept = into.clone();
    let parts = partition(&mut into, &counts, is_root);
    world.gather_varcount_in_place(parts, root)?;
    assert_same(&into, &if is_root { placed(4, &counts) } else { kept });
    let output = old(if is_root { all.len() } else { 0 });
    let mut again = world.gather_varcount_init(old::<T>(own), output, given, root)?;
    for key in 0..STARTS {
        again.input_mut()?.copy_from_slice(&slice(key, me, own));
        again.start()?;
        again.wait()?;
        if is_root {
            assert_same(again.output_mut()?, &joined(world, key, |rank| counts[rank as usize]));
        }
    }
    assert_same_at(is_root, request.wait()?.as_deref(), &all);
    Ok(())
}

/// A root's parts in the opposite order, with gaps, of which only its own is there; or a part alone.
fn in_place<T: Element>(data: &mut Vec<T>, key: u64, counts: &[usize], me: Rank, has_all: bool) {
    let (own, (places, whole)) = (counts[me as usize], places(counts));
    let mine = slice(key, me, own);
    *data = if has_all { old(whole) } else { mine.clone() };
    if has_all {
        data[places[me as usize]..][..own].copy_from_slice(&mine);
    }
}

/// Such parts; of a part alone nothing is said.
fn partition<'a, T: Element>(data: &'a mut [T], counts: &'a [usize], has_all: bool) -> PartitionMut<'a, T> {
    match has_all {
        true => PartitionMut::with_displacements(data, counts, places(counts).0),
        false => PartitionMut::new(data, vec![]),
    }
}

fn scatter<T: Element>(world: &Communicator<'_>, len: usize, root: Rank) -> Result<()> {
    let (me, is_root) = (world.rank(), world.rank() == root);
    let (mine, all) = (slice::<T>(5, me, len), joined::<T>(world, 5, |_| len));
    let given = || if is_root { all.clone() } else { vec![] };
    let request = world.immediate_scatter(given(), len, root)?;
    assert_same(&world.scatter(is_root.then_some(&all[..]), root)?, &mine);
    let mut into = old(len);
    world.scatter_into(is_root.then_some(&all[..]), &mut into, root)?;
    assert_same(&into, &mine);
    let mut data = if is_root { all.clone() } else { old(len) };
    world.scatter_in_place(&mut data, root)?;
    assert_same(&data, if is_root { &all } else { &mine });
    let mut again = world.scatter_init(given(), old(len), root)?;
    for key in 0..STARTS {
        if is_root {
            again.input_mut()?.copy_from_slice(&joined(world, key, |_| len));
        }
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &slice(key, me, len));
    }
    assert_same(&request.wait()?, &mine);
    Ok(())
}

fn scatter_varcount<T: Element>(world: &Communicator<'_>, len: usize, root: Rank) -> Result<()> {
    let (me, is_root) = (world.rank(), world.rank() == root);
    let counts: Vec<usize> = (0..world.size()).map(|rank| uneven(len, rank)).collect();
    let own = counts[me as usize];
    let all = |key| joined::<T>(world, key, |rank| counts[rank as usize]);
    let (mine, close) = (slice::<T>(6, me, own), all(6));
    let (given, given_counts) = if is_root { (all(6), &counts[..]) } else { (vec![], &[][..]) };
    let request = world.immediate_scatter_varcount(given.clone(), given_counts, own, root)?;
    let apart: Vec<T> = placed(6, &counts);
    let with_gaps = || Partition::with_displacements(&apart, &counts[..], places(&counts).0);
    assert_same(&world.scatter_varcount(is_root.then(with_gaps), root)?, &mine);
    let mut into = old(own);
    world.scatter_varcount_into(is_root.then(with_gaps), &mut into, root)?;
    assert_same(&into, &mine);
    into = if is_root { apart.clone() } else { old(own) };
    world.scatter_varcount_in_place(partition(&mut into, &counts, is_root), root)?;
    assert_same(&into, if is_root { &apart } else { &mine });
    let close = is_root.then(|| Partition::new(&close, &counts[..]));
    assert_same(&world.scatter_varcount(close, root)?, &mine);
    let mut again = world.scatter_varcount_init(given, given_counts, old(own), root)?;
    for key in 0..STARTS {
        if is_root {
            again.input_mut()?.copy_from_slice(&all(key));
        }
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &slice(key, me, own));
    }
    assert_same(&request.wait()?, &mine);
    Ok(())
}

fn all_gather<T: Element>(world: &Communicator<'_>, len: usize) -> Result<()> {
    let me = world.rank();
    let (mine, all) = (slice::<T>(7, me, len), joined(world, 7, |_| len));
    let request = world.immediate_all_gather(mine.clone())?;
    assert_same(&world.all_gather(&mine)?, &all);
    let mut into = old(all.len());
    world.all_gather_into(&mine, &mut into)?;
    assert_same(&into, &all);
    into = old(all.len());
    into[me as usize * len..][..len].copy_from_slice(&mine);
    world.all_gather_in_place(&mut into)?;
    assert_same(&into, &all);
    let mut again = world.all_gather_init(old::<T>(len), old(all.len()))?;
    for key in 0..STARTS {
        again.input_mut()?.copy_from_slice(&slice(key, me, len));
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &joined(world, key, |_| len));
    }
    assert_same(&request.wait()?, &all);
    Ok(())
}

fn all_gather_varcount<T: Element>(world: &Communicator<'_>, len: usize) -> Result<()> {
    let me = world.rank();
    let counts: Vec<usize> = (0..world.size()).map(|rank| uneven(len, rank)).collect();
    let own = counts[me as usize];
    let all = |key| joined::<T>(world, key, |rank| counts[rank as usize]);
    let mine = slice::<T>(8, me, own);
    let request = world.immediate_all_gather_varcount(mine.clone(), &counts)?;
    let vectors = world.all_gather_varcount(&mine)?;
    assert_eq!(vectors.len(), ranks(world));
    for (rank, got) in vectors.into_iter().enumerate() {
        assert_same(&got, &slice(8, rank as Rank, counts[rank]));
    }
    let mut into = old(places(&counts).1);
    world.all_gather_varcount_into(&mine, partition(&mut into, &counts, true))?;
    assert_same(&into, &placed(8, &counts));
    in_place(&mut into, 8, &counts, me, true);
    world.all_gather_varcount_in_place(partition(&mut into, &counts, true))?;
    assert_same(&into, &placed(8, &counts));
    let mut again = world.all_gather_varcount_init(old::<T>(own), old(all(0).len()), &counts)?;
    for key in 0..STARTS {
        again.input_mut()?.copy_from_slice(&slice(key, me, own));
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &all(key));
    }
    assert_same(&request.wait()?, &all(8));
    Ok(())
}

/// What one rank sends another.
fn between<T: Element>(key: u64, from: Rank, to: Rank, len: usize) -> Vec<T> {
    slice(key + 1000 * (to as u64 + 1), from, len)
}

fn all_to_all<T: Element>(world: &Communicator<'_>, len: usize) -> Result<()> {
    let (me, all) = (world.rank(), 0..world.size());
    let given = |key| all.clone().flat_map(|to| between::<T>(key, me, to, len)).collect::<Vec<T>>();
    let got = |key| all.clone().flat_map(|from| between::<T>(key, from, me, len)).collect::<Vec<T>>();
    let request = world.immediate_all_to_all(given(2))?;
    assert_same(&world.all_to_all(&given(1))?, &got(1));
    let mut into = old(got(1).len());
    world.all_to_all_into(&given(1), &mut into)?;
    assert_same(&into, &got(1));
    let mut data = given(3);
    world.all_to_all_in_place(&mut data)?;
    assert_same(&data, &got(3));
    let mut again = world.all_to_all_init(given(0), old(into.len()))?;
    for key in 0..STARTS {
        again.input_mut()?.copy_from_slice(&given(key));
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &got(key));
    }
    assert_same(&request.wait()?, &got(2));
    Ok(())
}

fn all_to_all_varcount<T: Element>(world: &Communicator<'_>, len: usize) -> Result<()> {
    let (me, all) = (world.rank(), 0..world.size());
    let len = len / ranks(world);
    let count = |from: Rank, to: Rank| uneven(len, from + 2 * to);
    let sent: Vec<usize> = all.clone().map(|to| count(me, to)).collect();
    let received: Vec<usize> = all.clone().map(|from| count(from, me)).collect();
    let given = |key| -> Vec<T> { all.clone().flat_map(|to| between(key, me, to, count(me, to))).collect() };
    let got =
        |key| -> Vec<T> { all.clone().flat_map(|from| between(key, from, me, count(from, me))).collect() };
    let request = world.immediate_all_to_all_varcount(given(2), &sent, &received)?;
    // Parts in the opposite order, with gaps.
    let (places_of_sent, whole) = places(&sent);
    let mut apart: Vec<T> = old(whole);
    for to in all.clone() {
        let place = places_of_sent[to as usize];
        apart[place..place + count(me, to)].copy_from_slice(&between(1, me, to, count(me, to)));
    }
    let with_gaps = || Partition::with_displacements(&apart, &sent[..], places_of_sent.clone());
    let vectors = world.all_to_all_varcount(with_gaps())?;
    assert_eq!(vectors.len(), ranks(world));
    for (from, part) in all.clone().zip(vectors) {
        assert_same(&part, &between(1, from, me, count(from, me)));
    }
    let (places_of_received, whole) = places(&received);
    let (mut into, mut expected) = (old(whole), old(whole));
    for from in all.clone() {
        let (place, len) = (places_of_received[from as usize], count(from, me));
        expected[place..place + len].copy_from_slice(&between(1, from, me, len));
    }
    let parts = PartitionMut::with_displacements(&mut into, &received[..], places_of_received);
    world.all_to_all_varcount_into(with_gaps(), parts)?;
    assert_same(&into, &expected);
    // Each two ranks exchange as much in both directions.
    let counts: Vec<usize> = all.clone().map(|other| uneven(len, me + other)).collect();
    let (places, whole) = places(&counts);
    let exchanged = |of: &dyn Fn(Rank, usize) -> Vec<T>| {
        let mut data = old(whole);
        for (rank, (place, count)) in (0..).zip(places.iter().zip(&counts)) {
            data[*place..place + count].copy_from_slice(&of(rank, *count));
        }
        data
    };
    let mut data = exchanged(&|to, count| between(3, me, to, count));
    world.all_to_all_varcount_in_place(partition(&mut data, &counts, true))?;
    assert_same(&data, &exchanged(&|from, count| between(3, from, me, count)));
    let mut again = world.all_to_all_varcount_init(given(0), &sent, old(got(0).len()), &received)?;
    for key in 0..STARTS {
        again.input_mut()?.copy_from_slice(&given(key));
        again.start()?;
        again.wait()?;
        assert_same(again.output_mut()?, &got(key));
    }
    assert_same(&request.wait()?, &got(2));
    Ok(())
}

#[test]
fn elements_of_no_bytes_are_counted() {
    run(3, |world| {
        let (mine, all) = ([(); 2], vec![(); 6]);
        assert_eq!(world.all_gather(&mine)?, all);
        assert_eq!(world.all_gather_varcount(&mine)?, vec![vec![(); 2]; 3]);
        assert_eq!(world.gather_varcount(&mine, 1)?, (world.rank() == 1).then(|| vec![vec![(); 2]; 3]));
        assert_eq!(world.all_to_all(&[(); 3])?, [(); 3]);
        let first = op::commutative(|(): &(), (): &()| ());
        assert_eq!(world.all_reduce(&mine, first)?, mine);
        assert_eq!(world.reduce_value((), first, 0)?, (world.rank() == 0).then_some(()));
        Ok(())
    });
}
