//! Waiting for and testing all, any or some of many requests.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{
    Communicator, Ended, ErrorClass, PROC_NULL, Pending, Request, Result, Source, Tag, test_all, test_all_of,
    test_any, test_any_of, test_some, test_some_of, wait_all, wait_all_of, wait_any, wait_any_of, wait_some,
    wait_some_of,
};

const COUNT: usize = 60;

fn len(number: usize) -> usize {
    [0, 16, 3000, 70_000][number % 4] + number
}

/// Everyone posts receives in one order and sends in the other.
pub(crate) fn wait_all_in_any_order(world: &Communicator<'_>) -> Result<()> {
    let receive = |number: usize| previous(world).tag(number as Tag).immediate_receive::<u8>(len(number));
    let send = |number: usize| {
        next(world).tag(number as Tag).immediate_send(bytes(world.rank(), number, len(number)))
    };
    let receives: Vec<_> = (0..COUNT).map(receive).collect::<Result<_>>()?;
    let sends: Vec<_> = (0..COUNT).rev().map(send).collect::<Result<_>>()?;
    for (number, got) in wait_all(receives)?.iter().enumerate() {
        assert_same(got, &bytes(ahead(world, -1), number, len(number)));
    }
    wait_all(sends).map(drop)
}

pub(crate) fn wait_any_takes_what_has_ended(world: &Communicator<'_>) -> Result<()> {
    let receive = |number: usize| previous(world).tag(number as Tag).immediate_receive::<u8>(len(number));
    let mut receives: Vec<_> = (0..COUNT).map(receive).collect::<Result<_>>()?;
    let mut open: Vec<usize> = (0..COUNT).collect();
    for number in (0..COUNT).rev() {
        let sending =
            next(world).tag(number as Tag).immediate_send(bytes(world.rank(), number, len(number)))?;
        let (place, got, status) = wait_any(&mut receives)?.expect("requests are left");
        let number = open.remove(place);
        assert_eq!(status.tag(), number as Tag);
        assert_same(&got, &bytes(ahead(world, -1), number, len(number)));
        sending.wait()?;
    }
    assert!(wait_any(&mut receives)?.is_none());
    Ok(())
}

pub(crate) fn wait_some_takes_all(world: &Communicator<'_>) -> Result<()> {
    let receive = |number: usize| previous(world).tag(number as Tag).immediate_receive::<u8>(len(number));
    let mut receives: Vec<_> = (0..COUNT).map(receive).collect::<Result<_>>()?;
    let mut open: Vec<usize> = (0..COUNT).collect();
    let send = |number: usize| {
        next(world).tag(number as Tag).immediate_send(bytes(world.rank(), number, len(number)))
    };
    let sends: Vec<_> = (0..COUNT).map(send).collect::<Result<_>>()?;
    while !receives.is_empty() {
        let ended = wait_some(&mut receives)?;
        assert!(!ended.is_empty());
        let numbers: Vec<usize> = ended.iter().map(|ended| open[ended.place]).collect();
        for (Ended { outcome, .. }, number) in ended.into_iter().zip(&numbers) {
            let (got, status) = outcome?;
            assert_eq!(status.tag(), *number as Tag);
            assert_same(&got, &bytes(ahead(world, -1), *number, len(*number)));
        }
        open.retain(|number| !numbers.contains(number));
        assert_eq!(open.len(), receives.len());
    }
    wait_all(sends).map(drop)
}

/// A loop of tests makes progress, on both sides.
pub(crate) fn test_ends(world: &Communicator<'_>) -> Result<()> {
    for number in 0..COUNT {
        let mut receiving = previous(world).immediate_receive::<u8>(len(number))?;
        let mut sending = next(world).immediate_synchronous_send(bytes(world.rank(), number, len(number)))?;
        while !(receiving.test()? & sending.test()?) {
            std::thread::yield_now();
        }
        assert_same(&receiving.wait()?, &bytes(ahead(world, -1), number, len(number)));
        sending.wait()?;
    }
    Ok(())
}

fn receives<'c>(world: &'c Communicator<'_>) -> Result<Vec<Request<'c, Vec<u8>>>> {
    (0..COUNT).map(|number| previous(world).tag(number as Tag).immediate_receive(len(number))).collect()
}

fn sends<'c>(world: &'c Communicator<'_>) -> Result<Vec<Request<'c, Vec<u8>>>> {
    let send = |number| {
        next(world).tag(number as Tag).immediate_synchronous_send(bytes(world.rank(), number, len(number)))
    };
    (0..COUNT).map(send).collect()
}

fn expect(world: &Communicator<'_>, number: usize, got: &[u8]) {
    assert_same(got, &bytes(ahead(world, -1), number, len(number)));
}

pub(crate) fn test_all_takes_all_or_nothing(world: &Communicator<'_>) -> Result<()> {
    let mut receives = receives(world)?;
    assert!(test_all(&mut receives)?.is_none(), "nobody has sent anything");
    assert_eq!(receives.len(), COUNT);
    world.barrier()?;
    let mut sends = sends(world)?;
    let got = loop {
        test_all_of(&mut sends)?;
        if let Some(got) = test_all(&mut receives)? {
            break got;
        }
    };
    assert!(receives.is_empty());
    got.iter().enumerate().for_each(|(number, got)| expect(world, number, got));
    while test_all(&mut sends)?.is_none() {}
    assert_eq!(test_all(&mut sends)?.map(|none| none.len()), Some(0), "all of none have ended");
    world.barrier()
}

pub(crate) fn test_any_takes_what_has_ended(world: &Communicator<'_>) -> Result<()> {
    let mut receives = receives(world)?;
    assert!(test_any(&mut receives)?.is_none(), "nobody has sent anything");
    world.barrier()?;
    let mut sends = sends(world)?;
    let mut open: Vec<usize> = (0..COUNT).collect();
    while !(receives.is_empty() && sends.is_empty()) {
        if let Some((place, got, status)) = test_any(&mut receives)? {
            let number = open.remove(place);
            assert_eq!((status.source(), status.tag()), (ahead(world, -1), number as Tag));
            expect(world, number, &got);
        }
        test_any(&mut sends)?;
    }
    assert!(open.is_empty() && test_any(&mut receives)?.is_none());
    world.barrier()
}

pub(crate) fn test_some_takes_all_that_have_ended(world: &Communicator<'_>) -> Result<()> {
    let mut receives = receives(world)?;
    assert!(test_some(&mut receives)?.is_empty(), "nobody has sent anything");
    world.barrier()?;
    let mut sends = sends(world)?;
    let mut open: Vec<Option<usize>> = (0..COUNT).map(Some).collect();
    while !receives.is_empty() {
        for Ended { place, outcome } in test_some(&mut receives)? {
            expect(world, open[place].take().expect("it ends once"), &outcome?.0);
        }
        open.retain(Option::is_some);
        assert_eq!(open.len(), receives.len());
    }
    while !sends.is_empty() {
        test_some(&mut sends)?;
    }
    world.barrier()
}

/// What is wrong with one message costs no other one.
pub(crate) fn one_that_fails_costs_no_other(world: &Communicator<'_>) -> Result<()> {
    const ROOM: [usize; 4] = [8, 4, 8, 0];
    for is_tested in [false, true] {
        let receive = |(tag, room): (usize, usize)| {
            previous(world).tag(tag as Tag).immediate_receive_into(vec![0u8; room])
        };
        let mut receives: Vec<_> = ROOM.into_iter().enumerate().map(receive).collect::<Result<_>>()?;
        world.barrier()?;
        for tag in 0..4 {
            next(world).tag(tag).send(&[tag as u8; 8])?;
        }
        wait_all_of(&mut receives)?;
        let ended = if is_tested { test_some(&mut receives)? } else { wait_some(&mut receives)? };
        assert!(receives.is_empty());
        for (Ended { place, outcome }, number) in ended.into_iter().zip(0..) {
            assert_eq!(place, number);
            match outcome {
                Ok((got, status)) => assert_eq!((got, status.bytes()), (vec![number as u8; 8], 8)),
                Err(error) => {
                    let facts = error.as_truncated().unwrap();
                    assert_eq!((facts.sent, facts.room), (8, ROOM[number] as u64));
                    assert_ne!(ROOM[number], 8);
                }
            }
        }
    }
    world.barrier()
}

/// Requests of all kinds and types in one call, which tells the place of what has ended.
pub(crate) fn different_requests_together(world: &Communicator<'_>) -> Result<()> {
    let (from, to) = (previous(world), next(world));
    let mut borrowed = [0u16; 3];
    world.scope(|s| {
        let mut numbers = from.tag(0).immediate_receive_into(vec![0.0f64; 2])?;
        let mut flags = from.tag(1).immediate_receive::<bool>(1)?;
        let mut scoped = s.immediate_receive_into(from.tag(2), &mut borrowed)?;
        let mut persistent = from.tag(3).receive_init(vec!['a'; 4].into_boxed_slice())?;
        let mut inactive = from.tag(4).receive_init(vec![0u128])?;
        let mut all: [&mut dyn Pending; 5] =
            [&mut inactive, &mut numbers, &mut flags, &mut scoped, &mut persistent];
        assert_eq!(test_any_of(&mut all)?, None);
        persistent.start()?;
        let mut all: [&mut dyn Pending; 5] =
            [&mut inactive, &mut numbers, &mut flags, &mut scoped, &mut persistent];
        assert!(test_some_of(&mut all)?.is_empty() && !test_all_of(&mut all)?);
        world.barrier()?;
        to.tag(2).send(&[5u16; 3])?;
        assert_eq!((wait_any_of(&mut all)?, wait_some_of(&mut all)?), (Some(3), vec![3]));
        world.barrier()?;
        to.tag(0).send(&[1.5, 2.5])?;
        while test_some_of(&mut all)?.len() < 2 {}
        assert_eq!((test_some_of(&mut all)?, test_any_of(&mut all)?), (vec![1, 3], Some(1)));
        assert!(!test_all_of(&mut all)?);
        world.barrier()?;
        to.tag(3).send(&['b'; 4])?;
        to.tag(1).send(&[true])?;
        wait_all_of(&mut all)?;
        assert!(test_all_of(&mut all)?);
        assert_eq!(wait_some_of(&mut all)?, [1, 2, 3, 4], "the first is not active");
        assert_eq!(scoped.wait()?.0, &[5; 3]);
        assert_eq!((numbers.wait()?, flags.wait()?), (vec![1.5, 2.5], vec![true]));
        assert_eq!(persistent.wait()?.count::<char>(), Some(4));
        assert_eq!(persistent.buffer_mut()?, ['b'; 4]);
        assert_eq!(wait_any_of(&mut [&mut persistent as &mut dyn Pending, &mut inactive])?, None);
        Ok(())
    })
}

/// Persistent requests come back from `wait_any` and its like, to be started again.
pub(crate) fn persistent_requests_together(world: &Communicator<'_>) -> Result<()> {
    let receive = |number: usize| previous(world).tag(number as Tag).receive_init(vec![0; len(number)]);
    let mut receives: Vec<_> = (0..COUNT).map(receive).collect::<Result<_>>()?;
    for round in 0..4 {
        ringmpi::start_all(&mut receives)?;
        let sends = sends(world)?;
        let mut open: Vec<_> = receives.iter_mut().collect();
        while !open.is_empty() {
            let ended = match round {
                0 => wait_any(&mut open)?.map(|(_, ended, status)| (ended, status)),
                1 => test_any(&mut open)?.map(|(_, ended, status)| (ended, status)),
                2 => wait_some(&mut open)?.into_iter().next_back().map(|ended| ended.outcome).transpose()?,
                _ => test_some(&mut open)?.into_iter().next_back().map(|ended| ended.outcome).transpose()?,
            };
            if let Some((ended, status)) = ended {
                expect(world, status.tag() as usize, ended.buffer_mut()?);
            }
        }
        wait_all(sends)?;
        let mut inactive: Vec<_> = receives.iter_mut().collect();
        assert!(wait_any(&mut inactive)?.is_none() && test_any(&mut inactive)?.is_none());
        assert!(wait_some(&mut inactive)?.is_empty() && test_some(&mut inactive)?.is_empty());
        assert_eq!(test_all(&mut inactive)?.map(|all| all.len()), Some(COUNT));
    }
    Ok(())
}

/// From the null process all has come already.
pub(crate) fn nothing_to_wait_for(world: &Communicator<'_>) -> Result<()> {
    let null = world.process_at_rank(PROC_NULL);
    let requests = || [null.immediate_receive::<u8>(4), null.immediate_send(vec![1u8])];
    let mut all: Vec<_> = requests().into_iter().collect::<Result<_>>()?;
    let (place, got, status) = wait_any(&mut all)?.expect("both have ended");
    assert_eq!((place, got, status.source()), (0, vec![], PROC_NULL));
    assert_eq!(test_any(&mut all)?.map(|(place, got, _)| (place, got)), Some((0, vec![1])));
    all.extend(requests().into_iter().collect::<Result<Vec<_>>>()?);
    assert_eq!(test_all(&mut all)?, Some(vec![vec![], vec![1]]));
    all.extend(requests().into_iter().collect::<Result<Vec<_>>>()?);
    assert_eq!(test_some(&mut all)?.len(), 2);
    assert!(wait_some(&mut all)?.is_empty());
    assert_eq!(wait_any_of(&mut all)?, None);
    let nobody = world.process_at_rank(world.size());
    assert_eq!(nobody.immediate_buffered_send(vec![1]).unwrap_err().class(), ErrorClass::RANK);
    assert_eq!(nobody.immediate_ready_send(vec![1]).unwrap_err().class(), ErrorClass::RANK);
    Ok(())
}
