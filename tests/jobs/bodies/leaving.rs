//! Ranks that leave while messages of theirs are still to be received, as a `main` that returns early does.

use super::{bytes, next, previous};
use crate::executor;
use ringmpi::{Communicator, PROC_NULL, Process, Rank, Request, Result, Source, Tag};
use std::time::Duration;

/// Nobody ever receives this one.
const UNWANTED: Tag = 3;
const WANTED: Tag = 4;
const FLOODED: Tag = 5;
/// Too much to be sent before it is received.
const LARGE: usize = 1 << 20;
const FLOOD: u32 = 3000;

fn begin_unwanted<'c>(world: &'c Communicator<'_>, to: Rank) -> Result<Request<'c, Vec<u8>>> {
    world.process_at_rank(to).tag(UNWANTED).immediate_send(bytes(world.rank(), 0, LARGE))
}

/// Fails, and says why at once: the job may end before the program can.
fn fail(world: &Communicator<'_>) -> Result<()> {
    world.process_at_rank(PROC_NULL - 1).send(&[0]).inspect_err(|error| eprintln!("{error}"))
}

/// More small messages than there is room or credit for.
fn flood(to: Process<'_, '_>, tag: Tag) -> Result<()> {
    (0..FLOOD).try_for_each(|number| to.tag(tag).immediate_send(vec![number; 120]).map(drop))
}

/// The last rank has begun to send to everyone, and fails; the others do something that needs it.
fn only_the_last_fails(
    world: &Communicator<'_>,
    wait: impl FnOnce(&Communicator<'_>, Rank) -> Result<()>,
) -> Result<()> {
    let last = world.size() - 1;
    world.barrier()?;
    if world.rank() != last {
        return wait(world, last);
    }
    for rank in 0..world.size() {
        drop(begin_unwanted(world, rank)?);
        world.process_at_rank(rank).tag(UNWANTED).send(&[1u8])?;
    }
    fail(world)
}

pub(crate) fn fails_while_others_receive(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        world.process_at_rank(last).tag(WANTED).receive::<u8>().map(drop)
    })
}

pub(crate) fn fails_after_a_flood(world: &Communicator<'_>) -> Result<()> {
    if world.rank() == world.size() - 1 {
        (0..world.size()).try_for_each(|rank| flood(world.process_at_rank(rank), UNWANTED))?;
        return fail(world);
    }
    world.process_at_rank(world.size() - 1).tag(WANTED).receive::<u8>().map(drop)
}

/// For two ranks: of more, each could still get a message from another that waits, too.
pub(crate) fn fails_while_the_other_receives_from_any(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, _| world.any_process().tag(WANTED).receive::<u8>().map(drop))
}

pub(crate) fn fails_while_others_probe(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        world.process_at_rank(last).tag(WANTED).receive_vec::<u8>().map(drop)
    })
}

pub(crate) fn fails_while_others_probe_again_and_again(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        let from = world.process_at_rank(last).tag(WANTED);
        while from.immediate_probe()?.is_none() {}
        Ok(())
    })
}

pub(crate) fn fails_while_others_test(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        let mut receiving = world.process_at_rank(last).tag(WANTED).immediate_receive::<u8>(1)?;
        while !receiving.test()? {}
        Ok(())
    })
}

/// Two threads wait: one for the rank that fails, the other for what comes only when the first has learned of
/// that. Either may be the one that polls for both.
pub(crate) fn fails_while_two_threads_wait(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        let own = world.process_at_rank(world.rank()).tag(WANTED);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| own.receive::<u8>());
            let in_vain = world.process_at_rank(last).tag(WANTED).receive::<u8>().map(drop);
            own.send(&[1u8])?;
            assert_eq!(waiting.join().unwrap()?.0, 1);
            in_vain
        })
    })
}

/// Only when the wait for the last rank is over, what the other one waits for is sent.
async fn await_in_vain(world: &Communicator<'_>, last: Rank) -> Result<()> {
    let own = world.process_at_rank(world.rank()).tag(WANTED);
    let after = async {
        let outcome = world.process_at_rank(last).tag(WANTED).immediate_receive::<u8>(1)?.await;
        own.immediate_send(vec![1u8])?.await?;
        outcome
    };
    let (other, in_vain) = executor::both(own.immediate_receive::<u8>(1)?, after).await;
    assert_eq!(other?.0, [1]);
    in_vain.map(drop)
}

pub(crate) fn fails_while_others_await(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| world.block_on(await_in_vain(world, last)))
}

pub(crate) fn fails_while_others_await_in_an_executor(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| executor::run(1, vec![Box::pin(await_in_vain(world, last))]))
}

pub(crate) fn fails_while_others_wait_for_any(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        let from = world.process_at_rank(last);
        let mut requests =
            (10..15).map(|tag| from.tag(tag).immediate_receive::<u8>(9)).collect::<Result<Vec<_>>>()?;
        ringmpi::wait_any(&mut requests).map(drop)
    })
}

pub(crate) fn fails_while_others_send(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| world.process_at_rank(last).tag(WANTED).send(&[0u8; LARGE]))
}

pub(crate) fn fails_while_others_send_synchronously(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| world.process_at_rank(last).synchronous_send(&[0u8]))
}

pub(crate) fn fails_while_others_are_in_a_barrier(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, _| world.barrier())
}

pub(crate) fn fails_while_others_broadcast(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| world.broadcast_into(&mut [0u8; 8], last))
}

pub(crate) fn fails_while_others_reduce(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, _| world.all_reduce(&[1u64; 2000], ringmpi::op::Sum).map(drop))
}

pub(crate) fn fails_while_others_wait_for_an_immediate_reduction(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, _| {
        let sum = || world.immediate_all_reduce(vec![1u64; 2000], ringmpi::op::Sum);
        drop(sum()?);
        sum()?.wait().map(drop)
    })
}

/// The others leave; what they have begun can never end.
pub(crate) fn fails_after_others_forgot_a_collective(world: &Communicator<'_>) -> Result<()> {
    if world.rank() == world.size() - 1 {
        return fail(world);
    }
    drop(world.immediate_all_reduce(vec![1u64; 2000], ringmpi::op::Sum)?);
    drop(world.immediate_barrier()?);
    Ok(())
}

/// Every rank lets go of collectives that only some of the others call: of another communicator, with another root,
/// one that none but it calls. That is no use, and ends.
pub(crate) fn drops_collectives_that_differ(world: &Communicator<'_>) -> Result<()> {
    let (even, odd) = (world.duplicate()?, world.duplicate()?);
    let own = if world.rank() % 2 == 0 { &even } else { &odd };
    for len in [1, LARGE] {
        drop(own.immediate_barrier()?);
        drop(own.immediate_all_reduce(vec![1u64; len], ringmpi::op::Sum)?);
        drop(world.immediate_broadcast(vec![1u8; len], world.rank())?);
        drop(world.immediate_gather(vec![1u8; len], previous(world).rank())?);
    }
    if world.rank() == 0 {
        drop(world.immediate_scan(vec![1u64; 3], ringmpi::op::Sum)?);
    }
    Ok(())
}

/// Rank 0 lets go of a collective that nobody else calls. Rank 1 waits for others of it, and for messages: errors, which
/// it survives.
pub(crate) fn waits_for_collectives_that_others_drop(world: &Communicator<'_>) -> Result<()> {
    let (dropped, awaited) = (world.duplicate()?, world.duplicate()?);
    if world.rank() == 0 {
        return dropped.immediate_barrier().map(drop);
    }
    if world.rank() > 1 {
        return Ok(());
    }
    let from = world.process_at_rank(0).tag(WANTED);
    from.receive::<u8>().unwrap_err();
    from.synchronous_send(&[1u8]).unwrap_err();
    awaited.immediate_barrier()?.wait().unwrap_err();
    awaited.barrier().unwrap_err();
    let mut request = awaited.immediate_all_reduce(vec![1u64; LARGE], ringmpi::op::Sum)?;
    while request.test().is_ok_and(|has_ended| !has_ended) {}
    world.block_on(async { awaited.immediate_broadcast(vec![1u8; LARGE], 0)?.await }).unwrap_err();
    Ok(())
}

/// Rank 0 does not meet the leader of the others. That is an error of all of them, which they survive.
pub(crate) fn waits_for_another_groups_leader(world: &Communicator<'_>) -> Result<()> {
    let half = world.split(Some((world.rank() > 0) as u32), 0)?.expect("a colour was given");
    if world.rank() > 0 {
        assert!(half.create_intercommunicator(half.size() - 1, world, 0, 0).is_err());
    }
    Ok(())
}

/// All ranks call what most of them let go of, and the last one calls it late: it gets its results.
pub(crate) fn drops_collectives_that_the_last_waits_for(world: &Communicator<'_>) -> Result<()> {
    let (size, last) = (world.size() as usize, world.size() - 1);
    let is_last = world.rank() == last;
    if is_last {
        std::thread::sleep(Duration::from_millis(1500));
    }
    let ones = |len| vec![1u64; len];
    for len in [1, LARGE / 8] {
        let broadcast = world.immediate_broadcast(vec![if world.rank() == 0 { 7u64 } else { 0 }; len], 0)?;
        let sum = world.immediate_all_reduce(ones(len), ringmpi::op::ordered(|a: &u64, b: &u64| a + b))?;
        let prefix = world.immediate_scan(ones(len), ringmpi::op::Sum)?;
        let gathered = world.immediate_gather(ones(len), last)?;
        if is_last {
            assert_eq!(broadcast.wait()?, vec![7; len]);
            assert_eq!(sum.wait()?, vec![size as u64; len]);
            assert_eq!(prefix.wait()?, vec![size as u64; len]);
            assert_eq!(gathered.wait()?, Some(ones(len * size)));
        }
    }
    Ok(())
}

/// Everyone waits for the next, and the last for nobody: it fails.
pub(crate) fn fails_at_the_end_of_a_chain(world: &Communicator<'_>) -> Result<()> {
    drop(begin_unwanted(world, previous(world).rank())?);
    if world.rank() < world.size() - 1 {
        return next(world).tag(WANTED).receive::<u8>().map(drop);
    }
    fail(world)
}

/// The receiver of a message has left; nobody has failed.
pub(crate) fn sends_to_those_who_have_left(world: &Communicator<'_>) -> Result<()> {
    if world.rank() == 0 {
        for rank in 0..world.size() {
            drop(begin_unwanted(world, rank)?);
            let to = world.process_at_rank(rank);
            flood(to, UNWANTED)?;
            drop(to.tag(UNWANTED).immediate_synchronous_send(vec![2u8])?);
        }
    }
    Ok(())
}

/// The last rank receives nothing. That others wait for it in vain is an error, which they survive.
pub(crate) fn waits_for_sends_in_vain(world: &Communicator<'_>) -> Result<()> {
    let last = world.size() - 1;
    if world.rank() < last {
        let (to, data) = (world.process_at_rank(last).tag(UNWANTED), [1u8; LARGE]);
        to.immediate_send(data.to_vec())?.wait().unwrap_err();
        to.immediate_synchronous_send(vec![1u8])?.wait().unwrap_err();
        world.scope(|scope| scope.immediate_send(to, &data)?.wait().map(drop)).unwrap_err();
        world.scope(|scope| scope.immediate_synchronous_send(to, &data[..1]).map(drop)).unwrap_err();
    }
    Ok(())
}

/// All leave with messages for each other that nobody receives.
pub(crate) fn sends_what_nobody_receives(world: &Communicator<'_>) -> Result<()> {
    for rank in 0..world.size() {
        drop(begin_unwanted(world, rank)?);
        let to = world.process_at_rank(rank);
        to.tag(UNWANTED).send(&[1u8])?;
        to.tag(UNWANTED).buffered_send(&[1u8; LARGE])?;
    }
    Ok(())
}

/// Leaving completes what others receive, however late they do.
pub(crate) fn leaves_before_its_messages_are_received(world: &Communicator<'_>) -> Result<()> {
    for number in 0..5 {
        let len = LARGE + number;
        drop(next(world).tag(WANTED).immediate_send(bytes(world.rank(), number, len))?);
        if world.rank() % 2 == 1 {
            drop(next(world).tag(WANTED).immediate_synchronous_send(bytes(world.rank(), number, 10))?);
        }
    }
    flood(next(world), FLOODED)?;
    if world.rank() % 2 == 1 {
        std::thread::sleep(Duration::from_millis(300));
    }
    let from = previous(world);
    for number in 0..5 {
        let expected = bytes(from.rank(), number, LARGE + number);
        super::assert_same(&from.tag(WANTED).receive_vec()?.0, &expected);
        if from.rank() % 2 == 1 {
            super::assert_same(&from.tag(WANTED).receive_vec()?.0, &bytes(from.rank(), number, 10));
        }
    }
    for number in 0..FLOOD {
        assert_eq!(from.tag(FLOODED).receive_vec::<u32>()?.0, [number; 120]);
    }
    Ok(())
}

pub(crate) fn panics_with_messages_to_send(world: &Communicator<'_>) -> Result<()> {
    only_the_last_fails(world, |world, last| {
        world.process_at_rank(last).tag(WANTED).receive::<u8>().map(drop)
    })
    .map_err(|error| panic!("on purpose: {error}"))
}
