//! Several threads of a rank in MPI at the same time.

use super::{assert_same, bytes, next, previous};
use ringmpi::{Communicator, Rank, Result, Source, Tag, op, test_all, test_some, wait_any};
use std::{
    thread::{Scope, ScopedJoinHandle},
    time::Duration,
};

const THREADS: [Tag; 3] = [1, 2, 8];

/// Long enough for a thread that waits to have gone to sleep.
const PAUSE: Duration = Duration::from_millis(2);

/// Runs `f` in so many threads; the first error, if there is one.
fn in_threads(count: Tag, f: impl Fn(Tag) -> Result<()> + Sync) -> Result<()> {
    fn spawn<'s>(
        scope: &'s Scope<'s, '_>,
        f: &'s (impl Fn(Tag) -> Result<()> + Sync),
        thread: Tag,
    ) -> ScopedJoinHandle<'s, Result<()>> {
        scope.spawn(move || f(thread))
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|thread| spawn(scope, &f, thread)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })
}

/// The other one of a pair; the last of an odd number has itself.
fn partner(world: &Communicator<'_>) -> Rank {
    let other = world.rank() ^ 1;
    if other < world.size() { other } else { world.rank() }
}

/// Thread t plays ping-pong with thread t of the partner.
pub(crate) fn threads_with_partners(world: &Communicator<'_>) -> Result<()> {
    let partner = partner(world);
    for count in THREADS {
        in_threads(count, |thread| {
            let peer = world.process_at_rank(partner).tag(thread);
            for round in 0..300 {
                let len = [8, 40, 700, 20_000][(round + thread as usize) % 4];
                let sending = peer.immediate_send(bytes(world.rank(), round, len))?;
                assert_same(&peer.receive_vec()?.0, &bytes(partner, round, len));
                sending.wait()?;
            }
            Ok(())
        })?;
        world.barrier()?;
    }
    Ok(())
}

/// Each thread waits for several requests, in its own way.
pub(crate) fn threads_that_wait_for_several(world: &Communicator<'_>) -> Result<()> {
    const EACH: Tag = 12;
    let len = |tag: Tag| [8, 700, 20_000, 100_000][tag as usize % 4];
    let partner = world.process_at_rank(partner(world));
    for count in THREADS {
        in_threads(count, |thread| {
            let tags = EACH * thread..EACH * (thread + 1);
            let receive = |tag| partner.tag(tag).immediate_receive::<u8>(len(tag));
            let mut receives: Vec<_> = tags.clone().map(receive).collect::<Result<_>>()?;
            let send = |tag| partner.tag(tag).immediate_send(bytes(world.rank(), tag as usize, len(tag)));
            let mut sends: Vec<_> = tags.rev().map(send).collect::<Result<_>>()?;
            let mut ended = Vec::new();
            while !receives.is_empty() {
                if thread % 2 == 0 {
                    ended.extend(wait_any(&mut receives)?.map(|(_, got, status)| (got, status)));
                    continue;
                }
                for one in test_some(&mut receives)? {
                    ended.push(one.outcome?);
                }
            }
            for (got, status) in ended {
                assert_same(&got, &bytes(partner.rank(), status.tag() as usize, len(status.tag())));
            }
            while test_all(&mut sends)?.is_none() {}
            Ok(())
        })?;
        world.barrier()?;
    }
    Ok(())
}

/// Whoever comes first gets a message: each exactly once.
pub(crate) fn threads_that_receive_from_any(world: &Communicator<'_>) -> Result<()> {
    const EACH: u64 = 200;
    for count in THREADS {
        let total = EACH * count as u64;
        let seen = std::sync::Mutex::new(vec![0; total as usize]);
        in_threads(2 * count, |thread| {
            let to = next(world).tag(count);
            for number in 0..EACH {
                if thread < count {
                    to.send(&[EACH * thread as u64 + number])?;
                } else {
                    let (number, _) = world.any_process().tag(count).receive::<u64>()?;
                    seen.lock().unwrap()[number as usize] += 1;
                }
            }
            Ok(())
        })?;
        assert_eq!(seen.into_inner().unwrap(), vec![1; total as usize]);
        world.barrier()?;
    }
    Ok(())
}

/// Threads that wait in probes, receives and requests at the same time.
pub(crate) fn threads_that_probe(world: &Communicator<'_>) -> Result<()> {
    const ROUNDS: usize = 100;
    in_threads(8, |thread| {
        let from = previous(world).tag(thread / 2);
        for round in 0..ROUNDS {
            let len = [0, 100, 50_000][round % 3];
            if thread % 2 == 0 {
                next(world).tag(thread / 2).synchronous_send(&bytes(world.rank(), round, len))?;
                continue;
            }
            let expected = bytes(previous(world).rank(), round, len);
            let got = match thread / 2 {
                0 => from.receive_vec()?.0,
                1 => from.immediate_receive(len)?.wait()?,
                2 => {
                    let mut got = vec![0; from.probe()?.bytes() as usize];
                    from.receive_into(&mut got)?;
                    got
                }
                _ => loop {
                    if let Some(message) = from.immediate_matched_probe()? {
                        break message.receive_vec()?;
                    }
                    std::thread::yield_now();
                },
            };
            assert_same(&got, &expected);
        }
        Ok(())
    })
}

/// Each thread has a communicator of its own.
pub(crate) fn threads_in_collectives(world: &Communicator<'_>) -> Result<()> {
    let own: Vec<Communicator<'_>> = (0..4).map(|_| world.duplicate()).collect::<Result<_>>()?;
    in_threads(4, |thread| {
        let comm = &own[thread as usize];
        for round in 0..100 {
            let sum = comm.all_reduce_value(comm.rank() + round + thread, op::Sum)?;
            let size = comm.size();
            assert_eq!(sum, size * (size - 1) / 2 + size * (round + thread));
            comm.barrier()?;
        }
        Ok(())
    })
}

/// Each thread makes communicators out of its own, without agreement with the other threads.
pub(crate) fn threads_that_make_communicators(world: &Communicator<'_>) -> Result<()> {
    let own: Vec<Communicator<'_>> = (0..4).map(|_| world.duplicate()).collect::<Result<_>>()?;
    in_threads(4, |thread| {
        let mut kept = Vec::new();
        for round in 0..20 {
            let comm = match round % 2 {
                0 => own[thread as usize].duplicate()?,
                _ => own[thread as usize].split(Some(7), 0)?.expect("a colour was given"),
            };
            // The same tag in all of them: only the communicator tells them apart.
            next(&comm).buffered_send(&[thread, round])?;
            kept.push((comm, round));
            if round % 4 == 3 {
                for (comm, round) in kept.drain(..).rev() {
                    let (got, status) = comm.any_process().receive_vec::<Tag>()?;
                    assert_eq!((got, status.source()), (vec![thread, round], previous(&comm).rank()));
                    assert_eq!(comm.all_reduce_value(thread, op::Max)?, thread);
                }
            }
        }
        Ok(())
    })
}

/// A thread that sleeps is woken by what another thread of its own rank does: no peer rings. Two
/// messages go each way in turn, so that the first is not followed by one that would wake as well.
pub(crate) fn threads_that_end_each_others_waits(world: &Communicator<'_>) -> Result<()> {
    in_threads(2, |thread| {
        let to_itself = world.process_at_rank(world.rank()).tag(0);
        for round in 0..16 {
            let data = bytes(world.rank(), round, [8, 100_000][round % 2]);
            if thread == 1 {
                std::thread::sleep(PAUSE);
            }
            if thread as usize == round / 2 % 2 {
                to_itself.synchronous_send(&data)?;
            } else {
                let mut got = vec![0; data.len()];
                to_itself.receive_into(&mut got)?;
                assert_same(&got, &data);
            }
        }
        Ok(())
    })
}

/// A thread begins to take a large message out of the sender's memory, while the one that would go on
/// with it sleeps.
pub(crate) fn threads_that_receive_large_messages(world: &Communicator<'_>) -> Result<()> {
    const ROUNDS: u64 = 10;
    const LEN: usize = 1 << 20;
    const END: Tag = 1;
    in_threads(2, |thread| {
        if thread == 0 {
            return previous(world).tag(END).receive_vec::<u8>().map(drop);
        }
        for round in 0..ROUNDS {
            let mut buffer = world.alloc::<u64>(LEN)?;
            buffer.fill(round);
            let sending = next(world).tag(0).immediate_send(buffer)?;
            std::thread::sleep(PAUSE);
            let (got, _) = previous(world).tag(0).receive_vec::<u64>()?;
            assert!(got.len() == LEN && got.iter().all(|word| *word == round));
            sending.wait()?;
        }
        next(world).tag(END).send(&[0u8; 0])
    })
}
