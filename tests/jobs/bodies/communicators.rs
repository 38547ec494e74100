//! Communicators made in every way, used, and freed: their ids are given again, and nothing mixes.

use super::{assert_same, bytes, next, previous};
use ringmpi::{
    Communicator, CommunicatorRelation, ErrorClass, GroupRelation, InterCommunicator, Rank, Result, Source,
    op,
};

/// Makes a million duplicates instead of a fifth of them.
const MILLION: &str = "RINGMPI_TEST_MILLION";

/// In each, a message that is received and one that never is; memory stays what it was.
pub(crate) fn duplicates_without_end(world: &Communicator<'_>) -> Result<()> {
    let rounds = if std::env::var_os(MILLION).is_some() { 1_000_000 } else { 200_000 };
    let mut resident = 0;
    for round in 0..rounds {
        let comm = world.duplicate()?;
        next(&comm).tag(1).buffered_send(&[round])?;
        // Nobody receives these.
        match round % 8 {
            0 => next(&comm).tag(2).buffered_send(&[0u8; 500])?,
            1 => drop(next(&comm).tag(2).immediate_synchronous_send(vec![0u8; 10])?),
            2 if round % 1024 == 2 => std::mem::forget(previous(&comm).tag(3).immediate_receive::<u8>(1)?),
            3 if round % 1024 == 3 => drop(next(&comm).tag(2).immediate_send(vec![0u8; 100_000])?),
            // They go on, and are nobody's.
            4 => drop(comm.immediate_barrier()?),
            5 => drop(comm.immediate_duplicate()?),
            _ => {}
        }
        // The first that there is, of whatever communicator had the ids before.
        let (got, status) = comm.any_process().receive_vec::<u32>()?;
        assert_eq!((got, status.tag(), status.source()), (vec![round], 1, previous(&comm).rank()));
        if round == rounds / 4 {
            resident = resident_kib();
        }
    }
    let grown = resident_kib().saturating_sub(resident);
    if std::env::var_os(MILLION).is_some() {
        println!("rank {}: {grown} KiB more after {rounds} duplicates, from {resident} KiB on", world.rank());
    }
    assert!(grown < 1024, "{grown} KiB more after {rounds} duplicates, from {resident} KiB on");
    world.barrier()
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("every process has it");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4
}

/// Some communicators live on while others come and go, in an order that differs from rank to rank.
pub(crate) fn long_and_short_lives(world: &Communicator<'_>) -> Result<()> {
    let mut alive: Vec<(u32, Communicator<'_>)> = Vec::new();
    for round in 0..600u32 {
        let comm = match round % 3 {
            0 => world.duplicate()?,
            1 => world.split(Some(0), -world.rank())?.expect("a colour was given"),
            _ => world.immediate_duplicate()?.wait()?,
        };
        alive.push((round, comm));
        for (number, comm) in &alive {
            next(comm).tag(*number as i32).buffered_send(&[*number, round])?;
        }
        for (number, comm) in alive.iter().rev() {
            assert_eq!(comm.any_process().receive_vec::<u32>()?.0, [*number, round]);
        }
        if round % 7 == 6 {
            // The same ones everywhere, but not in the same order.
            alive.rotate_left(world.rank() as usize % 3);
            let gone = |number: u32| number * 7919 % 5 < 3;
            alive.retain(|(number, _)| !gone(*number));
            alive.sort_by_key(|(number, _)| *number);
        }
    }
    world.barrier()
}

pub(crate) fn splits_of_splits(world: &Communicator<'_>) -> Result<()> {
    let mut comm = world.duplicate()?;
    let mut depth = 0;
    while comm.size() > 1 {
        let colour = (comm.rank() >= comm.size() / 2) as u32;
        let half = comm.split(Some(colour), -comm.rank())?.expect("a colour was given");
        let ranks = half.all_gather(&[world.rank()])?;
        assert!(ranks.is_sorted_by(|a, b| if depth % 2 == 0 { a > b } else { a < b }), "{ranks:?}");
        assert_eq!(ranks[half.rank() as usize], world.rank());
        let to_world = half.group().translate_ranks(&(0..half.size()).collect::<Vec<_>>(), &world.group())?;
        assert_eq!(to_world, ranks.iter().map(|rank| Some(*rank)).collect::<Vec<_>>());
        next(&half).buffered_send(&[world.rank()])?;
        assert_eq!(half.any_process().receive::<Rank>()?.0, ranks[previous(&half).rank() as usize]);
        (comm, depth) = (half, depth + 1);
    }
    let shared = world.split_shared(0)?;
    assert_eq!(shared.compare(world), CommunicatorRelation::Congruent);
    shared.barrier()
}

pub(crate) fn subgroups_of_all_kinds(world: &Communicator<'_>) -> Result<()> {
    let (all, rank, size) = (world.group(), world.rank(), world.size());
    for parts in 1..=size.min(4) {
        // Disjoint groups, each in its own order.
        let mine = all.range_include(&[(size - 1 - (size - 1 - rank) % parts, 0, -parts)])?;
        let comm = world.split_by_subgroup_collective(&mine)?.expect("each rank gives its own group");
        assert_eq!(comm.group().compare(&mine), GroupRelation::Identical);
        let ranks = comm.all_gather(&[rank])?;
        assert!(ranks.is_sorted_by(|a, b| a > b) && ranks.iter().all(|other| (other - rank) % parts == 0));
        // Those that are not in the group go on.
        let first = all.range_include(&[(0, size - 1, parts)])?;
        if let Some(comm) = world.split_by_subgroup(&first, parts)? {
            assert_eq!(comm.all_reduce_value(1, op::Sum)?, first.size());
            assert_eq!(comm.rank() * parts, rank);
        }
    }
    let none = world.split_by_subgroup_collective(&all.include(&[])?)?;
    assert!(none.is_none() && world.split_by_subgroup(&all.include(&[])?, 0)?.is_none());
    world.barrier()
}

/// Rank 0 is in two groups, and gives the first.
pub(crate) fn subgroups_that_contradict_each_other(world: &Communicator<'_>) -> Result<()> {
    let all = world.group();
    let refused = |made: Result<Option<Communicator<'_>>>| {
        let error = made.map(drop).unwrap_err();
        assert_eq!(error.class(), ErrorClass::GROUP, "{error}");
        error.to_string()
    };
    let mine = match world.rank() {
        0 => all.include(&[0])?,
        _ => all.clone(),
    };
    match (world.split_by_subgroup_collective(&mine), world.rank()) {
        (made, 0) => assert_eq!(made?.expect("its group is right").size(), 1),
        (made, _) => assert!(refused(made).contains("rank 0")),
    }
    if world.rank() < 2 {
        let mine = if world.rank() == 0 { all.include(&[0, 1])? } else { all.include(&[0, 1, 1 + 1])? };
        let other = format!("rank {}", 1 - world.rank());
        assert!(refused(world.split_by_subgroup(&mine, 5)).contains(&other));
    }
    let alone = world.self_comm();
    if world.rank() == 1 {
        refused(alone.split_by_subgroup(&all, 5));
        refused(alone.split_by_subgroup_collective(&all));
        let error = world.split_by_subgroup(&all, -1).map(drop).unwrap_err();
        assert_eq!(error.class(), ErrorClass::TAG);
    }
    // The collectives are in step.
    assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
    assert_eq!(world.all_gather(&[world.rank()])?, (0..world.size()).collect::<Vec<_>>());
    world.barrier()
}

/// Each with a tag of its own, and each thread with another group.
pub(crate) fn threads_that_make_subgroups(world: &Communicator<'_>) -> Result<()> {
    const THREADS: Rank = 3;
    let make = |thread: Rank| -> Result<()> {
        for round in 0..20 {
            let all = world.group();
            let group = match thread {
                0 => all.clone(),
                1 => all.range_include(&[(world.size() - 1, 0, -1)])?,
                _ => all.exclude(&[round % world.size()])?,
            };
            let Some(comm) = world.split_by_subgroup(&group, thread)? else { continue };
            assert_eq!(comm.group().compare(&group), GroupRelation::Identical);
            next(&comm).tag(thread).buffered_send(&[thread, round])?;
            let (got, status) = comm.any_process().receive_vec::<Rank>()?;
            assert_eq!((got, status.tag()), (vec![thread, round], thread));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || make(thread))).collect();
        all.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    world.barrier()
}

pub(crate) fn duplicates_that_go_on_meanwhile(world: &Communicator<'_>) -> Result<()> {
    for round in 0..30usize {
        let posted = previous(world).tag(1).immediate_receive::<u8>(100_000)?;
        let mut making = Vec::new();
        for number in 0..5usize {
            let mut duplicate = world.immediate_duplicate()?;
            assert_eq!(world.all_reduce_value(number, op::Max)?, number);
            if number % 2 == world.rank() as usize % 2 {
                while !duplicate.test()? {}
            }
            making.push(duplicate);
        }
        next(world).tag(1).send(&bytes(world.rank(), round, 70_000))?;
        assert_same(&posted.wait()?, &bytes(previous(world).rank(), round, 70_000));
        // Some are dropped, and not the same ones everywhere.
        let kept: Vec<usize> = (0..5).filter(|number| number % 3 != 2).collect();
        let mut made = Vec::new();
        for (number, duplicate) in making.into_iter().enumerate().rev() {
            if kept.contains(&number) {
                made.push((number, duplicate.wait()?));
            } else if world.rank() % 2 == 0 {
                drop(duplicate);
            } else {
                drop(duplicate.wait()?);
            }
        }
        for (number, comm) in &made {
            next(comm).buffered_send(&[*number])?;
        }
        for (number, comm) in made.iter().rev() {
            assert_eq!(comm.any_process().receive::<usize>()?.0, *number);
            assert_eq!(comm.compare(world), CommunicatorRelation::Congruent);
            comm.barrier()?;
        }
    }
    world.barrier()
}

/// The ranks that are no multiples of three, and the others, who turn their order round.
fn bridge<'u>(world: &Communicator<'u>) -> Result<(Communicator<'u>, InterCommunicator<'u>)> {
    let is_left = world.rank() % 3 != 0;
    let key = if is_left { world.rank() } else { -world.rank() };
    let half = world.split(Some(is_left as u32), key)?.expect("a colour was given");
    // The leaders are the last ranks of both groups.
    let (mut left, mut right) = (world.size() - 1, 0);
    while left % 3 == 0 {
        left -= 1;
    }
    std::mem::swap(&mut left, &mut right);
    let remote_leader = if is_left { left } else { right };
    let bridge = half.create_intercommunicator(half.size() - 1, world, remote_leader, 3)?;
    Ok((half, bridge))
}

pub(crate) fn two_groups_talk_and_merge(world: &Communicator<'_>) -> Result<()> {
    let (half, bridge) = bridge(world)?;
    assert_eq!((bridge.rank(), bridge.size()), (half.rank(), half.size()));
    assert_eq!(bridge.remote_size(), world.size() - half.size());
    assert_eq!(bridge.group().compare(&half.group()), GroupRelation::Identical);
    assert_eq!(bridge.group().union(&bridge.remote_group())?.size(), world.size());
    let all = world.group();
    let remote =
        bridge.remote_group().translate_ranks(&(0..bridge.remote_size()).collect::<Vec<_>>(), &all)?;
    let again = bridge.duplicate()?;
    assert_eq!(bridge.compare(&bridge), CommunicatorRelation::Identical);
    assert_eq!(bridge.compare(&again), CommunicatorRelation::Congruent);
    again.set_name("again");
    assert_eq!((bridge.name(), again.name()), (String::new(), "again".into()));
    for (number, inter) in [&bridge, &again].into_iter().enumerate() {
        for (tag, len) in [0, 10, 5000, 100_000].into_iter().enumerate() {
            let tag = tag as i32;
            // Everybody to everybody on the other side.
            let data = bytes(world.rank(), number, len);
            let sends: Vec<_> = (0..inter.remote_size())
                .map(|rank| inter.process_at_rank(rank).tag(tag).immediate_send(data.clone()))
                .collect::<Result<_>>()?;
            for _ in 0..inter.remote_size() {
                let (got, status) = inter.any_process().tag(tag).receive_vec::<u8>()?;
                let from = remote[status.source() as usize].expect("it is in the world");
                assert_same(&got, &bytes(from, number, len));
            }
            sends.into_iter().try_for_each(|send| send.wait().map(drop))?;
        }
        let beyond = inter.process_at_rank(inter.remote_size()).send(&[0u8]);
        assert_eq!(beyond.unwrap_err().class(), ErrorClass::RANK);
        if inter.rank() < inter.remote_size() && inter.size() > inter.rank() {
            let pairs = inter.size().min(inter.remote_size());
            if inter.rank() < pairs {
                let (opposite, mut into) = (inter.process_at_rank(inter.rank()), [0]);
                opposite.send_receive_into(&[world.rank()], opposite, &mut into)?;
                assert_eq!(Some(into[0]), remote[inter.rank() as usize]);
            }
        }
    }
    let is_left = world.rank() % 3 != 0;
    let lefts_first = bridge.merge(!is_left)?;
    let expected = if is_left { half.rank() } else { half.rank() + bridge.remote_size() };
    assert_eq!(lefts_first.rank(), expected);
    let lefts_last = again.merge(is_left)?;
    assert_eq!(lefts_last.compare(&lefts_first), CommunicatorRelation::Similar);
    let any = again.merge(true)?;
    drop((bridge, again));
    for merged in [lefts_first, lefts_last, any] {
        let ranks = merged.all_gather(&[world.rank()])?;
        assert_eq!(ranks[merged.rank() as usize], world.rank());
        assert_eq!(merged.all_reduce_value(world.rank(), op::Sum)?, (0..world.size()).sum::<Rank>());
        next(&merged).buffered_send(&[merged.rank()])?;
        assert_eq!(merged.any_process().receive::<Rank>()?.0, previous(&merged).rank());
        merged.barrier()?;
    }
    world.barrier()
}

/// Their ids are given again, whatever has not been received.
pub(crate) fn two_groups_again_and_again(world: &Communicator<'_>) -> Result<()> {
    let (_half, bridge) = bridge(world)?;
    for round in 0..200 {
        let again = bridge.duplicate()?;
        for rank in 0..again.remote_size() {
            again.process_at_rank(rank).tag(round).buffered_send(&[round])?;
        }
        for rank in 0..again.remote_size() - round % 2 {
            assert_eq!(again.process_at_rank(rank).receive::<i32>()?.0, round);
        }
        let merged = again.merge(round % 3 == 0)?;
        assert_eq!(merged.all_reduce_value(round, op::Max)?, round);
    }
    world.barrier()
}

pub(crate) fn intercommunicators_that_cannot_be(world: &Communicator<'_>) -> Result<()> {
    let refused = |made: Result<InterCommunicator<'_>>, class| {
        let error = made.map(drop).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
    };
    // All in both groups: the two leaders meet, or one meets itself.
    let half = world.split(Some((world.rank() > 0) as u32), 0)?.expect("a colour was given");
    for leader in [-1, half.size()] {
        refused(half.create_intercommunicator(leader, world, 0, 0), ErrorClass::RANK);
    }
    refused(half.create_intercommunicator(0, world, 0, -1), ErrorClass::TAG);
    // One member is wrong, or of another opinion.
    if half.size() > 1 {
        let is_last = half.rank() + 1 == half.size();
        let wrong = if is_last { -1 } else { 0 };
        let class = |of_last| if is_last { of_last } else { ErrorClass::ARG };
        refused(half.create_intercommunicator(wrong, world, 0, 0), class(ErrorClass::RANK));
        refused(half.create_intercommunicator(0, world, 0, wrong), class(ErrorClass::TAG));
        refused(half.create_intercommunicator(-wrong, world, 0, 0), ErrorClass::ARG);
        half.barrier()?;
    }
    let itself = if world.rank() > 0 { 1 } else { 0 };
    let class = if half.rank() == 0 { ErrorClass::COMM } else { ErrorClass::ARG };
    refused(half.create_intercommunicator(0, world, itself, 0), class);
    let (overlapping, other) = (world.duplicate()?, world.rank());
    let made = match other {
        // Rank 0 alone, against all.
        0 => {
            let alone = world.self_comm();
            std::thread::scope(|scope| {
                let all = scope.spawn(|| overlapping.create_intercommunicator(1, world, 0, 9).map(drop));
                refused(alone.create_intercommunicator(0, world, 1, 9), ErrorClass::COMM);
                all.join().expect("it does not panic")
            })
        }
        _ => overlapping.create_intercommunicator(1, world, 0, 9).map(drop),
    };
    // Its leader sees that it would lead both.
    let class = if other == 1 { ErrorClass::COMM } else { ErrorClass::ARG };
    assert_eq!(made.unwrap_err().class(), class);
    world.barrier()
}
