//! Floods of messages that nobody has asked for yet: what unlimited buffering would finish, finishes.

use super::{next, previous};
use ringmpi::{Communicator, Process, Result, Source, Tag, op, wait_all};

const FLOOD: Tag = 1;
const WANTED: Tag = 2;
const COUNT: u64 = 50_000;

fn message(number: u64) -> Vec<u64> {
    vec![number; (number % 128) as usize + 1]
}

/// Rank 0 receives the last message of everyone first.
fn flood(world: &Communicator<'_>, send: impl Fn(Process<'_, '_>, u64) -> Result<()>) -> Result<()> {
    flood_to(world, |from| Ok(from.receive()?.0), send)
}

/// The same, with a way to receive the last message.
fn flood_to(
    world: &Communicator<'_>,
    receive: impl Fn(Process<'_, '_>) -> Result<u8>,
    send: impl Fn(Process<'_, '_>, u64) -> Result<()>,
) -> Result<()> {
    let count = COUNT / (world.size() as u64 - 1);
    if world.rank() != 0 {
        return send(world.process_at_rank(0), count);
    }
    for rank in 1..world.size() {
        assert_eq!(receive(world.process_at_rank(rank).tag(WANTED))?, 42);
    }
    for rank in 1..world.size() {
        expect_flood(world.process_at_rank(rank), count)?;
    }
    Ok(())
}

fn expect_flood(from: Process<'_, '_>, count: u64) -> Result<()> {
    let mut buffer = [0; 128];
    for number in 0..count {
        let status = from.tag(FLOOD).receive_into(&mut buffer)?;
        let len = status.count::<u64>().unwrap();
        assert_eq!(buffer[..len], message(number));
    }
    Ok(())
}

pub(crate) fn flood_of_blocking_sends(world: &Communicator<'_>) -> Result<()> {
    flood(world, send_blocking)
}

fn send_blocking(to: Process<'_, '_>, count: u64) -> Result<()> {
    for number in 0..count {
        to.tag(FLOOD).send(&message(number))?;
    }
    to.tag(WANTED).send(&[42u8])
}

/// A rank that asks again and again waits as one that blocks does: those that it keeps waiting get on.
pub(crate) fn flood_to_a_rank_that_probes(world: &Communicator<'_>) -> Result<()> {
    let probe = |from: Process<'_, '_>| {
        while from.immediate_probe()?.is_none() {
            std::thread::yield_now();
        }
        Ok(from.receive()?.0)
    };
    flood_to(world, probe, send_blocking)
}

pub(crate) fn flood_to_a_rank_that_tests(world: &Communicator<'_>) -> Result<()> {
    let test = |from: Process<'_, '_>| {
        let mut receiving = from.immediate_receive(1)?;
        while !receiving.test()? {
            std::thread::yield_now();
        }
        Ok(receiving.wait()?[0])
    };
    flood_to(world, test, send_blocking)
}

pub(crate) fn flood_of_isends(world: &Communicator<'_>) -> Result<()> {
    flood(world, |to, count| {
        let sends: Vec<_> =
            (0..count).map(|number| to.tag(FLOOD).immediate_send(message(number))).collect::<Result<_>>()?;
        to.tag(WANTED).send(&[42u8])?;
        wait_all(sends).map(drop)
    })
}

/// What a flood of unexpected messages costs, in all ranks together, is not much more than its payload.
pub(crate) fn memory_of_a_flood(world: &Communicator<'_>) -> Result<()> {
    const BYTES: usize = 4096;
    const OTHER: u64 = 64 << 20;
    let before = peak_memory();
    let (mut data, count) = ([7u8; BYTES], COUNT / (world.size() as u64 - 1));
    let others = || (1..world.size()).map(|rank| world.process_at_rank(rank));
    if world.rank() == 0 {
        others().try_for_each(|from| from.tag(WANTED).receive::<u8>().map(drop))?;
        for from in others() {
            (0..count).try_for_each(|_| from.tag(FLOOD).receive_into(&mut data).map(drop))?;
        }
    } else {
        let to = world.process_at_rank(0);
        (0..count).try_for_each(|_| to.tag(FLOOD).send(&data))?;
        to.tag(WANTED).send(&[42u8])?;
    }
    let used = world.all_reduce_value(peak_memory() - before, op::Sum)?;
    let payload = COUNT * BYTES as u64;
    assert!(used <= payload + payload / 2 + OTHER, "{} MiB for {} MiB", used >> 20, payload >> 20);
    Ok(())
}

/// The most that this process has had in memory so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// All send before any receives: a cycle of ranks that wait for credit.
pub(crate) fn flood_before_receiving(world: &Communicator<'_>) -> Result<()> {
    let count = 20_000 / world.size() as u64;
    for number in 0..count {
        next(world).tag(FLOOD).send(&message(number))?;
    }
    expect_flood(previous(world), count)
}
