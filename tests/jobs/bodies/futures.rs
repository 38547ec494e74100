//! Requests as futures: in the library's own executor, and in others, which know nothing of it.

use super::{Body, assert_same, bytes, next, previous};
use crate::executor::{self, Task};
use ringmpi::{Communicator, Result, Source, Tag};

const TASKS: Tag = 6;
const MESSAGES: usize = 300;
/// More than is sent before it is received.
const LARGE: usize = 300_000;

/// Each task sends to the next rank, and receives from the previous one, one message after the other.
async fn shift(world: &Communicator<'_>, tag: Tag, messages: usize, lens: [usize; 4]) -> Result<()> {
    let (to, from) = (next(world).tag(tag), previous(world).tag(tag));
    for number in 0..messages {
        let len = lens[(number + tag as usize) % 4];
        let receiving = from.immediate_receive::<u8>(len)?;
        let sending = to.immediate_send(bytes(world.rank(), number, len))?;
        let (sent, received) = executor::both(sending, receiving).await;
        assert_eq!(sent?.0.len(), len);
        let (received, status) = received?;
        assert_same(&received, &bytes(from.rank(), number, len));
        assert_eq!((status.source(), status.tag()), (from.rank(), tag));
    }
    Ok(())
}

const SMALL: [usize; 4] = [8, 40, 700, 20_000];

fn tasks<'a>(world: &'a Communicator<'_>) -> Vec<Task<'a>> {
    (0..TASKS).map(|tag| Box::pin(shift(world, tag, MESSAGES, SMALL)) as Task<'_>).collect()
}

async fn all(tasks: Vec<Task<'_>>) -> Result<()> {
    executor::all(tasks).await.into_iter().collect()
}

pub(crate) fn futures_in_block_on(world: &Communicator<'_>) -> Result<()> {
    world.block_on(all(tasks(world)))
}

pub(crate) fn futures_in_an_executor(world: &Communicator<'_>) -> Result<()> {
    executor::run(1, tasks(world))
}

pub(crate) fn futures_in_an_executor_of_threads(world: &Communicator<'_>) -> Result<()> {
    executor::run(3, tasks(world))
}

pub(crate) fn futures_of_large_messages(world: &Communicator<'_>) -> Result<()> {
    let tasks = || {
        let task = |tag| Box::pin(shift(world, tag, 8, [LARGE, 70_000, 9, LARGE + 1])) as Task<'_>;
        (0..3).map(task).collect()
    };
    world.block_on(all(tasks()))?;
    executor::run(2, tasks())?;
    world.block_on(all(tasks()))
}

/// Of two receives one is dropped while it waits. Its message goes to the next that asks for it.
async fn race(world: &Communicator<'_>, tag: Tag) -> Result<()> {
    const WINS: Tag = 0;
    const LOSES: Tag = 1;
    let tag = |way: Tag, direction: Tag| 4 * tag + 2 * direction + way;
    for number in 0..MESSAGES {
        let (to, from) = (next(world), previous(world));
        let mut receives = Vec::new();
        for way in [LOSES, WINS] {
            receives.push(from.tag(tag(way, 0)).immediate_receive::<u8>(100)?);
        }
        to.tag(tag(WINS, 0)).immediate_send(bytes(world.rank(), number, 100))?.await?;
        let (place, output) = executor::first(&mut receives).await;
        assert_eq!(place, 1);
        assert_same(&output?.0, &bytes(from.rank(), number, 100));
        drop(receives);
        // The next rank has dropped its receive.
        from.tag(tag(WINS, 1)).immediate_send(Vec::<u8>::new())?.await?;
        to.tag(tag(WINS, 1)).immediate_receive::<u8>(0)?.await?;
        to.tag(tag(LOSES, 0)).immediate_send(bytes(world.rank(), number + 1, 50))?.await?;
        let (late, _) = from.tag(tag(LOSES, 0)).immediate_receive::<u8>(100)?.await?;
        assert_same(&late, &bytes(from.rank(), number + 1, 50));
    }
    Ok(())
}

pub(crate) fn futures_that_lose_a_race(world: &Communicator<'_>) -> Result<()> {
    let tasks = || (0..3).map(|tag| Box::pin(race(world, tag)) as Task<'_>).collect();
    world.block_on(all(tasks()))?;
    executor::run(2, tasks())
}

/// Other threads of the rank wait in calls.
pub(crate) fn futures_beside_blocking_calls(world: &Communicator<'_>) -> Result<()> {
    let in_calls = |tag| {
        let (to, from) = (next(world).tag(tag), previous(world).tag(tag));
        for number in 0..MESSAGES {
            let len = SMALL[number % 4];
            let sending = to.immediate_send(bytes(world.rank(), number, len))?;
            assert_same(&from.receive_vec()?.0, &bytes(from.rank(), number, len));
            sending.wait()?;
        }
        Ok(())
    };
    for in_futures in [futures_in_block_on as Body, futures_in_an_executor_of_threads] {
        std::thread::scope(|scope| {
            let calling = [TASKS, TASKS + 1].map(|tag| scope.spawn(move || in_calls(tag)));
            in_futures(world)?;
            calling.into_iter().try_for_each(|thread| thread.join().unwrap())
        })?;
    }
    Ok(())
}

const FLOOD: Tag = 1;
const WANTED: Tag = 2;
const FLOODED: u64 = 5000;

fn message(number: u64) -> Vec<u64> {
    vec![number; (number % 128) as usize + 1]
}

/// Everybody sends more than there is credit for, and first awaits what comes last.
async fn flood(world: &Communicator<'_>) -> Result<()> {
    let (to, from) = (next(world), previous(world));
    let sends: Vec<_> = (0..FLOODED)
        .map(|number| to.tag(FLOOD).immediate_send(message(number)))
        .chain([to.tag(WANTED).immediate_send(vec![42])])
        .collect::<Result<_>>()?;
    let last = from.tag(WANTED).immediate_receive::<u64>(1)?;
    let (sent, last) = executor::both(executor::all(sends), last).await;
    assert_eq!(last?.0, [42]);
    sent.into_iter().try_for_each(|sent| sent.map(drop))?;
    for number in 0..FLOODED {
        assert_eq!(from.tag(FLOOD).immediate_receive::<u64>(128)?.await?.0, message(number));
    }
    Ok(())
}

pub(crate) fn flood_of_futures_in_block_on(world: &Communicator<'_>) -> Result<()> {
    world.block_on(flood(world))
}

pub(crate) fn flood_of_futures_in_an_executor(world: &Communicator<'_>) -> Result<()> {
    executor::run(1, vec![Box::pin(flood(world))])
}

/// A whole program: the thread that makes progress is there from the first future that needs it to finalize. If
/// there are too many, this waits for ever.
pub(crate) fn futures_leave_no_thread() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    // Threads that have been joined may still be listed.
    let wait_for = |count| {
        while threads() != count {
            std::thread::yield_now()
        }
    };
    let finalize: [fn(ringmpi::Universe); 2] = [|universe| universe.finalize().unwrap(), drop];
    let universe = ringmpi::init().unwrap();
    let world = universe.world();
    futures_in_block_on(&world).unwrap();
    assert_eq!(threads(), 1, "block_on needs no other thread");
    futures_in_an_executor(&world).unwrap();
    assert_eq!(threads(), 2);
    futures_in_an_executor_of_threads(&world).unwrap();
    wait_for(2);
    drop(world);
    finalize[std::process::id() as usize % 2](universe);
    wait_for(1);
}
