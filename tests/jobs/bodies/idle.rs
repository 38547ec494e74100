//! A rank that waits leaves the CPU to others, whatever it waits in.

use crate::executor;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use ringmpi::{Communicator, Result, Source, Tag, wait_all, wait_any};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(2);
/// 2 %.
const BUSY: Duration = Duration::from_millis(40);

/// Rank 0 lets the others wait.
fn expect_idle(
    world: &Communicator<'_>,
    wait: impl FnOnce() -> Result<()>,
    end_the_wait: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if world.rank() == 0 {
        std::thread::sleep(WAIT);
        return end_the_wait();
    }
    idle_during(wait)
}

fn idle_during<R>(wait: impl FnOnce() -> R) -> R {
    let before = cpu_time();
    let result = wait();
    let used = cpu_time() - before;
    assert!(used < BUSY, "{used:?} of CPU time in a wait of {WAIT:?}");
    result
}

fn send_to_all(world: &Communicator<'_>, tag: Tag) -> Result<()> {
    (1..world.size()).try_for_each(|rank| world.process_at_rank(rank).tag(tag).send(&[rank]))
}

pub(crate) fn idle_in_a_receive(world: &Communicator<'_>) -> Result<()> {
    let wait = || world.process_at_rank(0).receive::<i32>().map(drop);
    expect_idle(world, wait, || send_to_all(world, 0))
}

pub(crate) fn idle_in_a_barrier(world: &Communicator<'_>) -> Result<()> {
    expect_idle(world, || world.barrier(), || world.barrier())
}

pub(crate) fn idle_in_a_probe(world: &Communicator<'_>) -> Result<()> {
    expect_idle(world, || world.any_process().probe().map(drop), || send_to_all(world, 0))?;
    if world.rank() != 0 {
        assert_eq!(world.process_at_rank(0).receive::<i32>()?.0, world.rank());
    }
    Ok(())
}

pub(crate) fn idle_in_wait_any(world: &Communicator<'_>) -> Result<()> {
    let receive = |tag| world.process_at_rank(0).tag(tag).immediate_receive::<i32>(1);
    let mut receives = match world.rank() {
        0 => vec![],
        _ => (0..4).map(receive).collect::<Result<Vec<_>>>()?,
    };
    let wait = || {
        let (place, got, _) = wait_any(&mut receives)?.expect("four have begun");
        assert_eq!((place, got), (2, vec![world.rank()]));
        Ok(())
    };
    expect_idle(world, wait, || send_to_all(world, 2))?;
    world.barrier()?;
    if world.rank() == 0 {
        return [0, 1, 3].into_iter().try_for_each(|tag| send_to_all(world, tag));
    }
    wait_all(receives).map(drop)
}

pub(crate) fn idle_in_block_on(world: &Communicator<'_>) -> Result<()> {
    expect_idle(world, || world.block_on(await_one(world, 1)), || send_to_all(world, 1))
}

pub(crate) fn idle_in_an_executor(world: &Communicator<'_>) -> Result<()> {
    let tasks = || (0..4).map(|tag| Box::pin(await_one(world, tag)) as executor::Task<'_>).collect();
    expect_idle(world, || executor::run(2, tasks()), || (0..4).try_for_each(|tag| send_to_all(world, tag)))
}

async fn await_one(world: &Communicator<'_>, tag: Tag) -> Result<()> {
    let receiving = world.process_at_rank(0).tag(tag).immediate_receive::<i32>(1)?;
    assert_eq!(receiving.await?.0, [world.rank()]);
    Ok(())
}

pub(crate) fn idle_in_a_synchronous_send(world: &Communicator<'_>) -> Result<()> {
    let wait = || world.process_at_rank(0).synchronous_send(&[world.rank()]);
    expect_idle(world, wait, || receive_from_all(world, 1))
}

pub(crate) fn idle_in_a_large_send(world: &Communicator<'_>) -> Result<()> {
    let wait = || world.process_at_rank(0).send(&vec![world.rank(); LARGE]);
    expect_idle(world, wait, || receive_from_all(world, LARGE))
}

/// Half of what is waited for has come before.
pub(crate) fn idle_in_wait_all(world: &Communicator<'_>) -> Result<()> {
    if world.rank() == 0 {
        [1, 3].into_iter().try_for_each(|tag| send_to_all(world, tag))?;
    }
    let wait = || {
        let receive = |tag| world.process_at_rank(0).tag(tag).immediate_receive::<i32>(1);
        let receives = (0..4).map(receive).collect::<Result<Vec<_>>>()?;
        assert_eq!(wait_all(receives)?, vec![[world.rank()]; 4]);
        Ok(())
    };
    expect_idle(world, wait, || [0, 2].into_iter().try_for_each(|tag| send_to_all(world, tag)))
}

/// More than fits in shared memory without its receiver.
const LARGE: usize = 1 << 20;

fn receive_from_all(world: &Communicator<'_>, len: usize) -> Result<()> {
    for rank in 1..world.size() {
        assert_eq!(world.process_at_rank(rank).receive_vec::<i32>()?.0, vec![rank; len]);
    }
    Ok(())
}

/// A whole program: rank 0 comes late.
pub(crate) fn idle_in_init() {
    let universe = match std::env::var("PMI_RANK").as_deref() {
        Ok("0") => {
            std::thread::sleep(WAIT);
            ringmpi::init()
        }
        _ => idle_during(ringmpi::init),
    };
    universe.unwrap().finalize().unwrap();
}

/// A whole program: rank 0 receives late what the others leave with.
pub(crate) fn idle_in_finalize() {
    let universe = ringmpi::init().unwrap();
    let rank = universe.world().rank();
    if rank == 0 {
        std::thread::sleep(WAIT);
        receive_from_all(&universe.world(), LARGE).unwrap();
    } else {
        drop(universe.world().process_at_rank(0).immediate_send(vec![rank; LARGE]).unwrap());
    }
    idle_during(|| universe.finalize()).unwrap();
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    Duration::from_micros((usage.user_time() + usage.system_time()).num_microseconds() as u64)
}
