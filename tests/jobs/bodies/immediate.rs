//! Immediate collectives: many at a time, in several communicators and threads, among messages and blocking
//! collectives.

use super::{ahead, assert_same, bytes, next, previous};
use crate::{
    executor::{self, Task},
    random::{Random, seed},
};
use ringmpi::{Communicator, Rank, Result, Source, Tag, op, test_some, wait_any_of, wait_some};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const STEPS: u64 = 120;
/// So many are under way at a time, about.
const AT_A_TIME: usize = 6;

/// Waits for something under way, and checks what it gives.
type UnderWay<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

/// Every rank knows what a rank gives.
fn terms(key: u64, rank: Rank, len: usize) -> Vec<f64> {
    let mut random = Random::new(key ^ (rank as u64 + 1) << 40);
    let term = |bits: u64| (bits as i64 as f64) * 2f64.powi((bits % 90) as i32 - 45);
    (0..len).map(|_| term(random.next())).collect()
}

/// The sum of what the ranks up to `last` give, in their order.
fn sums(key: u64, last: Rank, len: usize) -> Vec<f64> {
    let mut sums = terms(key, 0, len);
    for rank in 1..=last {
        sums.iter_mut().zip(terms(key, rank, len)).for_each(|(sum, term)| *sum += term);
    }
    sums
}

/// The same bits.
#[track_caller]
fn assert_bits(got: &[f64], expected: &[f64]) {
    let bits = |all: &[f64]| all.iter().map(|one| one.to_bits()).collect::<Vec<u64>>();
    assert!(bits(got) == bits(expected), "{} elements: the bits differ", expected.len());
}

/// What all ranks of a communicator do next, by the seed.
#[derive(Clone, Copy)]
struct Step {
    kind: u64,
    is_immediate: bool,
    key: u64,
    /// In bytes, and of sums in elements.
    len: usize,
    root: u64,
}

/// One collective of a communicator; what is under way afterwards, if it is immediate.
fn take<'a>(comm: &'a Communicator<'_>, step: Step) -> Result<Option<UnderWay<'a>>> {
    let Step { kind, is_immediate, key, len, root } = step;
    let (me, size, root) = (comm.rank(), comm.size(), (root % comm.size() as u64) as Rank);
    let part = move |rank: Rank| bytes(rank, key as usize, len);
    let all = move || (0..size).flat_map(part).collect::<Vec<u8>>();
    let between = move |from: Rank, to: Rank| bytes(from * 100 + to, key as usize, len);
    let sent = || (0..size).flat_map(|to| between(me, to)).collect::<Vec<u8>>();
    let got = move || (0..size).flat_map(|from| between(from, me)).collect::<Vec<u8>>();
    let block = len / size as usize;
    let share = move || sums(key, size - 1, block * size as usize)[block * me as usize..][..block].to_vec();
    let mine = || terms(key, me, len);
    let parts = || terms(key, me, block * size as usize);
    if !is_immediate {
        match kind {
            0 => comm.barrier()?,
            1 => {
                let mut data = if me == root { part(root) } else { vec![0; len] };
                comm.broadcast_into(&mut data, root)?;
                assert_same(&data, &part(root));
            }
            2 => {
                let gathered = comm.gather(&part(me), root)?;
                assert_eq!(gathered.is_some(), me == root);
                gathered.iter().for_each(|gathered| assert_same(gathered, &all()));
            }
            3 => assert_same(&comm.scatter((me == root).then(all).as_deref(), root)?, &part(me)),
            4 => assert_same(&comm.all_gather(&part(me))?, &all()),
            5 => assert_same(&comm.all_to_all(&sent())?, &got()),
            6 => {
                let reduced = comm.reduce(&mine(), op::Sum, root)?;
                assert_eq!(reduced.is_some(), me == root);
                reduced.iter().for_each(|sum| assert_bits(sum, &sums(key, size - 1, len)));
            }
            7 => assert_bits(&comm.all_reduce(&mine(), op::Sum)?, &sums(key, size - 1, len)),
            8 => assert_bits(&comm.scan(&mine(), op::Sum)?, &sums(key, me, len)),
            _ => assert_bits(&comm.reduce_scatter_block(&parts(), op::Sum)?, &share()),
        }
        return Ok(None);
    }
    Ok(Some(match kind {
        0 => {
            let request = comm.immediate_barrier()?;
            Box::new(move || request.wait())
        }
        1 => {
            let data = if me == root { part(root) } else { vec![0; len] };
            let request = comm.immediate_broadcast(data, root)?;
            Box::new(move || request.wait().map(|got| assert_same(&got, &part(root))))
        }
        2 => {
            let request = comm.immediate_gather(part(me), root)?;
            Box::new(move || {
                let gathered = request.wait()?;
                assert_eq!(gathered.is_some(), me == root);
                gathered.iter().for_each(|gathered| assert_same(gathered, &all()));
                Ok(())
            })
        }
        3 => {
            let given = if me == root { all() } else { vec![] };
            let request = comm.immediate_scatter(given, len, root)?;
            Box::new(move || request.wait().map(|got| assert_same(&got, &part(me))))
        }
        4 => {
            let request = comm.immediate_all_gather(part(me))?;
            Box::new(move || request.wait().map(|got| assert_same(&got, &all())))
        }
        5 => {
            let request = comm.immediate_all_to_all(sent())?;
            Box::new(move || request.wait().map(|parts| assert_same(&parts, &got())))
        }
        6 => {
            let request = comm.immediate_reduce(mine(), op::Sum, root)?;
            Box::new(move || {
                let reduced = request.wait()?;
                assert_eq!(reduced.is_some(), me == root);
                reduced.iter().for_each(|sum| assert_bits(sum, &sums(key, size - 1, len)));
                Ok(())
            })
        }
        7 => {
            // Not built in: called as the user's.
            let sum = op::ordered(|a: &f64, b: &f64| a + b);
            let request = comm.immediate_all_reduce(mine(), sum)?;
            Box::new(move || request.wait().map(|got| assert_bits(&got, &sums(key, size - 1, len))))
        }
        8 => {
            let request = comm.immediate_scan(mine(), op::Sum)?;
            Box::new(move || request.wait().map(|got| assert_bits(&got, &sums(key, me, len))))
        }
        _ => {
            let request = comm.immediate_reduce_scatter_block(parts(), op::Sum)?;
            Box::new(move || request.wait().map(|got| assert_bits(&got, &share())))
        }
    }))
}

/// A message to a rank that the seed says, and one from the rank whose seed says this one.
fn exchange<'a>(world: &'a Communicator<'_>, number: u64, random: &mut Random) -> Result<[UnderWay<'a>; 2]> {
    let (distance, len) = (random.below(world.size() as u64) as Rank, random.size() / 8);
    let (to, from) = (ahead(world, distance), ahead(world, -distance));
    let tag = number as Tag;
    let receiving = world.process_at_rank(from).tag(tag).immediate_receive::<u8>(len)?;
    let sending =
        world.process_at_rank(to).tag(tag).immediate_send(bytes(world.rank(), tag as usize, len))?;
    Ok([
        Box::new(move || receiving.wait().map(|got| assert_same(&got, &bytes(from, tag as usize, len)))),
        Box::new(move || sending.wait().map(drop)),
    ])
}

/// A sequence of collectives that all ranks know. What is waited for when, and what is dropped, each rank decides for
/// itself.
pub(crate) fn random_collectives(world: &Communicator<'_>) -> Result<()> {
    let mut agreed = [seed()];
    world.broadcast_into(&mut agreed, 0)?;
    if world.rank() == 0 {
        println!("seed {}", agreed[0]);
    }
    let duplicate = world.duplicate()?;
    let half = world.split(Some(u32::from(world.rank() >= world.size() / 2)), 0)?.expect("a colour");
    let turned = half.split(Some(0), -half.rank())?.expect("a colour");
    let comms = [world, &duplicate, &half, &turned];
    let (mut common, mut own) =
        (Random::new(agreed[0]), Random::new(agreed[0] ^ (world.rank() as u64) << 50));
    let mut under_way: Vec<UnderWay<'_>> = Vec::new();
    // Large communicators cost a message a rank and step.
    let steps = STEPS * 8 / (world.size() as u64).max(8);
    for number in 0..steps {
        let step = Step {
            kind: common.below(10),
            is_immediate: common.below(3) > 0,
            key: common.next() >> 20,
            len: common.size() / if common.below(8) == 0 { 8 } else { 256 },
            root: common.next(),
        };
        let comm = comms[common.below(4) as usize];
        under_way.extend(take(comm, step)?);
        if common.below(2) == 0 {
            under_way.extend(exchange(world, number, &mut common)?);
        }
        while under_way.len() > AT_A_TIME {
            let one = under_way.swap_remove(own.below(under_way.len() as u64) as usize);
            one()?;
        }
    }
    under_way.into_iter().try_for_each(|one| one())?;
    // Once more, and nobody waits.
    for number in 0..steps / 4 {
        let step = Step {
            kind: common.below(10),
            is_immediate: common.below(5) > 0,
            key: common.next() >> 20,
            len: common.size() / 64,
            root: common.next(),
        };
        let under_way = take(comms[common.below(4) as usize], step)?;
        match own.below(4) {
            0 => under_way.into_iter().try_for_each(|one| one())?,
            _ => drop(under_way),
        }
        if number % 16 == 7 {
            world.barrier()?;
        }
    }
    Ok(())
}

/// The ranks leave while collectives go on that nobody waits for.
pub(crate) fn collectives_under_way_at_the_end(world: &Communicator<'_>) -> Result<()> {
    for len in [1, 1000, 100_000] {
        drop(world.immediate_all_reduce(vec![1.0; len], op::ordered(|a: &f64, b: &f64| a + b))?);
        drop(world.immediate_broadcast(vec![1u8; len], world.size() - 1)?);
        drop(world.immediate_all_to_all(vec![1u8; len * world.size() as usize])?);
        let mut again = world.scan_init(vec![1u64; len], vec![0; len], op::Sum)?;
        again.start()?;
    }
    // Also of a communicator that is gone.
    let gone = world.duplicate()?;
    drop(gone.immediate_all_gather(vec![world.rank(); 5000])?);
    drop(gone);
    Ok(())
}

/// Each thread has a communicator of its own. An operation of one takes some time.
pub(crate) fn threads_in_immediate_collectives(world: &Communicator<'_>) -> Result<()> {
    const THREADS: usize = 4;
    const LEN: usize = 700;
    let own: Vec<Communicator<'_>> = (0..THREADS).map(|_| world.duplicate()).collect::<Result<_>>()?;
    let body = |thread: usize| -> Result<()> {
        let comm = &own[thread];
        for round in 0..20 {
            let slow = op::ordered(move |a: &i64, b: &i64| {
                if thread == 0 && *a == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                a * 3 + b
            });
            let mine = |rank: Rank| (0..LEN as i64).map(move |index| index + i64::from(rank) + round);
            let many = (0..3).map(|_| comm.immediate_all_reduce(mine(comm.rank()).collect::<Vec<_>>(), slow));
            let many = many.collect::<Result<Vec<_>>>()?;
            let mut expected: Vec<i64> = mine(0).collect();
            for rank in 1..comm.size() {
                expected.iter_mut().zip(mine(rank)).for_each(|(a, b)| *a = *a * 3 + b);
            }
            // Another collective and messages meanwhile.
            next(comm).buffered_send(&[thread])?;
            assert_eq!(comm.all_reduce_value(round, op::Sum)?, round * i64::from(comm.size()));
            for (place, request) in many.into_iter().enumerate() {
                if place == 1 {
                    assert_eq!(previous(comm).receive::<usize>()?.0, thread);
                }
                assert!(request.wait()? == expected);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || body(thread))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })
}

/// One thread only waits for a reduction of a message's length, which others bring forward.
pub(crate) fn threads_that_reduce_for_each_other(world: &Communicator<'_>) -> Result<()> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let other = world.duplicate()?;
    for round in 0..50u64 {
        let count = op::ordered(|a: &u64, b: &u64| {
            // Relaxed: a statistic.
            CALLS.fetch_add(1, Ordering::Relaxed);
            a + b
        });
        let mut polled = world.immediate_all_reduce(vec![round; 300], count)?;
        let awaited = world.immediate_all_reduce(vec![round; 300], count)?;
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || awaited.wait());
            while !polled.test()? {
                std::thread::yield_now();
            }
            other.barrier()?;
            let expected = round * world.size() as u64;
            assert!(waiting.join().unwrap()?.iter().all(|sum| *sum == expected));
            assert!(polled.wait()?.iter().all(|sum| *sum == expected));
            Result::Ok(())
        })?;
    }
    Ok(())
}

/// Collectives as futures, beside messages.
async fn reduce_and_shift(comm: &Communicator<'_>, tag: Tag) -> Result<()> {
    for round in 0..40 {
        let len = [1, 600, 5000][round % 3];
        let value = (round + tag as usize) as u64;
        let summing = comm.immediate_all_reduce(vec![value; len], op::ordered(|a: &u64, b: &u64| a + b))?;
        let gathering = comm.immediate_all_gather(vec![comm.rank(); len])?;
        let receiving = previous(comm).tag(tag).immediate_receive::<u8>(len)?;
        let sending = next(comm).tag(tag).immediate_send(bytes(comm.rank(), round, len))?;
        let (received, summed) = executor::both(receiving, summing).await;
        assert_same(&received?.0, &bytes(previous(comm).rank(), round, len));
        assert!(summed?.0.iter().all(|sum| *sum == value * comm.size() as u64));
        let (sent, gathered) = executor::both(sending, gathering).await;
        sent?;
        let expected = (0..comm.size()).flat_map(|rank| vec![rank; len]);
        assert!(gathered?.0.into_iter().eq(expected));
    }
    Ok(())
}

/// Every task has a communicator: else they would call in different orders.
fn with_tasks(world: &Communicator<'_>, run: impl Fn(Vec<Task<'_>>) -> Result<()>) -> Result<()> {
    let own: Vec<Communicator<'_>> = (0..3).map(|_| world.duplicate()).collect::<Result<_>>()?;
    let task = |(tag, comm)| Box::pin(reduce_and_shift(comm, tag)) as Task<'_>;
    run((0..).zip(&own).map(task).collect())
}

pub(crate) fn collectives_as_futures_in_block_on(world: &Communicator<'_>) -> Result<()> {
    with_tasks(world, |tasks| world.block_on(async { executor::all(tasks).await.into_iter().collect() }))
}

pub(crate) fn collectives_as_futures_in_an_executor(world: &Communicator<'_>) -> Result<()> {
    with_tasks(world, |tasks| executor::run(1, tasks))?;
    with_tasks(world, |tasks| executor::run(3, tasks))
}

/// Waits and tests for several of both kinds.
pub(crate) fn collectives_and_messages_together(world: &Communicator<'_>) -> Result<()> {
    let me = world.rank();
    for round in 0..60 {
        let len = [1, 600, 40_000][round % 3];
        let root = round as Rank % world.size();
        let data = if me == root { bytes(root, round, len) } else { vec![0; len] };
        let mut requests = vec![
            previous(world).tag(1).immediate_receive::<u8>(len)?,
            world.immediate_broadcast(data, root)?,
            next(world).tag(1).immediate_send(bytes(me, round, len))?,
            world.immediate_all_reduce(vec![1u8; len], op::Sum)?,
        ];
        let expected = [
            bytes(previous(world).rank(), round, len),
            bytes(root, round, len),
            bytes(me, round, len),
            vec![world.size() as u8; len],
        ];
        match round % 4 {
            0 => {
                while wait_any_of(&mut requests)?.is_some_and(|place| place < requests.len() - 1) {
                    // The last one of those that are left is waited for below.
                    let place = wait_any_of(&mut requests)?.expect("as before");
                    let ended = requests.remove(place).wait()?;
                    assert!(expected.contains(&ended));
                }
            }
            1 => {
                while !requests.is_empty() {
                    for one in test_some(&mut requests)? {
                        assert!(expected.contains(&one.outcome?.0));
                    }
                }
            }
            2 => {
                while !requests.is_empty() {
                    for one in wait_some(&mut requests)? {
                        assert!(expected.contains(&one.outcome?.0));
                    }
                }
            }
            _ => {}
        }
        for request in requests {
            assert!(expected.contains(&request.wait()?));
        }
    }
    Ok(())
}

/// No operation is called where the request begins: if it panicked there, nobody would hold the memory.
pub(crate) fn operations_wait_until_the_request_has_begun(world: &Communicator<'_>) -> Result<()> {
    static HAS_BEGUN: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
    let me = world.rank() as usize;
    for round in 0..30u32 {
        let checked = op::ordered(move |a: &u32, b: &u32| {
            // SeqCst: it is set before the thread polls.
            assert_eq!(HAS_BEGUN[me].load(Ordering::SeqCst), round + 1, "called too early");
            a + b
        });
        // Everyone's part has come when rank 0 begins.
        if me == 0 {
            (1..world.size()).try_for_each(|rank| world.process_at_rank(rank).receive::<u8>().map(drop))?;
        }
        let len = [3, 700][round as usize % 2];
        let request = world.immediate_reduce(vec![1u32; len], checked, 0)?;
        HAS_BEGUN[me].store(round + 1, Ordering::SeqCst);
        if me > 0 {
            world.process_at_rank(0).send(&[1u8])?;
        }
        let sum = request.wait()?;
        assert_eq!(sum, (me == 0).then(|| vec![world.size() as u32; len]));
        world.barrier()?;
    }
    Ok(())
}
