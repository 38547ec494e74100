//! Communicators: what is sent in one is never received in another.

use super::{assert_same, bytes, clock, next, previous};
use ringmpi::{Communicator, ErrorClass, Rank, Result, Source, op};
use std::time::Duration;

pub(crate) fn duplicates_do_not_mix(world: &Communicator<'_>) -> Result<()> {
    let first = next(world).tag(5).immediate_send(bytes(world.rank(), 0, 100))?;
    let posted = previous(world).tag(6).immediate_receive::<u8>(70_000)?;
    let other = world.duplicate()?;
    let third = other.duplicate()?;
    let in_other = next(&other).tag(5).immediate_send(bytes(world.rank(), 1, 100))?;
    let in_third = next(&third).tag(6).immediate_send(bytes(world.rank(), 2, 70_000))?;
    assert_eq!(third.any_process().tag(5).immediate_probe()?, None);
    let from = previous(world).rank();
    assert_same(&other.any_process().receive_vec()?.0, &bytes(from, 1, 100));
    assert_same(&third.any_process().receive_vec()?.0, &bytes(from, 2, 70_000));
    next(world).tag(6).send(&bytes(world.rank(), 3, 60))?;
    assert_same(&posted.wait()?, &bytes(from, 3, 60));
    assert_same(&world.any_process().receive_vec()?.0, &bytes(from, 0, 100));
    first.wait()?;
    in_other.wait()?;
    in_third.wait().map(drop)
}

pub(crate) fn splits_do_not_mix(world: &Communicator<'_>) -> Result<()> {
    let pending = next(world).immediate_send(vec![world.rank()])?;
    let half = world.split(Some(world.rank() as u32 % 2), 0)?.expect("a colour was given");
    for round in 0..50 {
        next(&half).buffered_send(&[world.rank(), round])?;
        let (got, status) = half.any_process().receive_vec::<Rank>()?;
        assert_eq!((got[0] % 2, got[1]), (world.rank() % 2, round), "from the other half, or out of order");
        assert_eq!(got[0] / 2, status.source());
    }
    drop(half);
    assert_eq!(previous(world).receive::<Rank>()?.0, previous(world).rank());
    pending.wait().map(drop)
}

pub(crate) fn split_by_colour_and_key(world: &Communicator<'_>) -> Result<()> {
    let reversed = world.split(Some(7), -world.rank())?.expect("a colour was given");
    assert_eq!((reversed.rank(), reversed.size()), (world.size() - 1 - world.rank(), world.size()));
    let ranks = reversed.all_gather(&[world.rank()])?;
    assert_eq!(ranks, (0..world.size()).rev().collect::<Vec<_>>());
    let without_first = world.split((world.rank() > 0).then_some(0), 0)?;
    assert_eq!(without_first.is_some(), world.rank() > 0);
    if let Some(rest) = without_first {
        assert_eq!((rest.rank(), rest.size()), (world.rank() - 1, world.size() - 1));
        rest.barrier()?;
    }
    let alone = world.split(Some(world.rank() as u32), 0)?.expect("a colour was given");
    assert_eq!((alone.rank(), alone.size()), (0, 1));
    world.barrier()
}

/// What a process sends to itself there, nobody else sees, and nobody sees in other communicators.
pub(crate) fn self_communicator(world: &Communicator<'_>) -> Result<()> {
    let (alone, same) = (world.self_comm(), world.duplicate()?.self_comm());
    assert_eq!((alone.rank(), alone.size()), (0, 1));
    let (myself, in_world) = (alone.process_at_rank(0), world.process_at_rank(world.rank()));
    for len in [0, 8, 7000, 400_000] {
        let sending = myself.tag(1).immediate_send(bytes(world.rank(), 1, len))?;
        assert_eq!(in_world.tag(1).immediate_probe()?, None, "it was sent in another communicator");
        in_world.tag(1).buffered_send(&bytes(world.rank(), 2, len))?;
        let (got, status) = same.any_process().receive_vec::<u8>()?;
        assert_eq!((status.source(), status.tag()), (0, 1));
        assert_same(&got, &bytes(world.rank(), 1, len));
        assert_same(&in_world.receive_vec()?.0, &bytes(world.rank(), 2, len));
        sending.wait()?;
        let mut both = bytes(world.rank(), 3, len);
        myself.send_receive_replace(&mut both, alone.any_process())?;
        assert_same(&both, &bytes(world.rank(), 3, len));
    }
    assert_eq!(alone.process_at_rank(1).send(&[0u8]).unwrap_err().class(), ErrorClass::RANK);
    alone.barrier()?;
    alone.broadcast_into(&mut [1], 0)?;
    assert_eq!(alone.gather(&[world.rank()], 0)?, Some(vec![world.rank()]));
    assert_eq!(alone.all_gather(&[world.rank()])?, [world.rank()]);
    assert_eq!(alone.all_reduce_value(world.rank(), ringmpi::op::Sum)?, world.rank());
    let mut copies = vec![alone.duplicate()?, alone.split(Some(3), 1)?.expect("a colour was given")];
    copies.push(copies[0].self_comm());
    for (number, copy) in copies.iter().enumerate() {
        assert_eq!((copy.rank(), copy.size()), (0, 1));
        copy.process_at_rank(0).buffered_send(&[number])?;
    }
    for (number, copy) in copies.iter().enumerate().rev() {
        assert_eq!(copy.any_process().receive::<usize>()?.0, number);
    }
    world.barrier()
}

/// A job has 128 boards for small collectives: further communicators do them by messages, and boards come
/// back.
pub(crate) fn more_communicators_than_boards(world: &Communicator<'_>) -> Result<()> {
    const ALIVE: usize = 140;
    let all: Vec<Communicator<'_>> = (0..ALIVE).map(|_| world.duplicate()).collect::<Result<_>>()?;
    for (number, comm) in all.iter().enumerate().skip(ALIVE - 8) {
        collectives_in(comm, number as Rank)?;
    }
    // Those that use boards and those that do not, in turn.
    for (number, pair) in all[..8].iter().zip(&all[ALIVE - 8..]).enumerate() {
        pair.0.barrier()?;
        assert_eq!(pair.1.all_reduce_value(1, op::Sum)?, world.size(), "{number}");
    }
    let halves: Vec<Option<Communicator<'_>>> = (0..2)
        .map(|half| all[ALIVE - 1].split((world.rank() % 2 == half).then_some(0), 0))
        .collect::<Result<_>>()?;
    halves.iter().flatten().try_for_each(|half| collectives_in(half, 1))?;
    drop((halves, all));
    for number in 0..200 {
        let comm = world.duplicate()?;
        assert_eq!(comm.all_reduce_value(number, op::Max)?, number);
    }
    world.barrier()
}

/// Every small collective once for each root.
fn collectives_in(comm: &Communicator<'_>, number: Rank) -> Result<()> {
    let (rank, size) = (comm.rank(), comm.size());
    let sum = size * (size - 1) / 2;
    for root in 0..size {
        nobody_leaves_before_all_have_entered(comm, root)?;
        let mut data = if rank == root { [number, root] } else { [0; 2] };
        comm.broadcast_into(&mut data, root)?;
        assert_eq!(data, [number, root]);
        let reduced = comm.reduce(&[rank, number], op::Sum, root)?;
        assert_eq!(reduced, (rank == root).then(|| vec![sum, size * number]));
        assert_eq!(comm.all_reduce(&[rank + root], op::Sum)?, [sum + size * root]);
    }
    Ok(())
}

/// By a clock that all processes share.
fn nobody_leaves_before_all_have_entered(comm: &Communicator<'_>, late: Rank) -> Result<()> {
    if comm.rank() == late {
        std::thread::sleep(Duration::from_millis(1));
    }
    let entered = clock();
    comm.barrier()?;
    let left = clock();
    let times = comm.all_gather(&[entered, left])?;
    let (last_entered, first_left) =
        (times.iter().step_by(2).max().unwrap(), times.iter().skip(1).step_by(2).min().unwrap());
    assert!(last_entered <= first_left, "rank {late} was late: {times:?}");
    Ok(())
}
