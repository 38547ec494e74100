//! Waiting for all, any or some of many requests.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, Ended, Result, Source, Tag, wait_all, wait_any, wait_some};

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
