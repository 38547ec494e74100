//! Scopes: operations on borrowed buffers never outlive them.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, Error, PROC_NULL, Result, Source, test_all, wait_any, wait_some};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const LENS: [usize; 4] = [0, 24, 7000, 600_000];

pub(crate) fn scopes_complete(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let mine = bytes(world.rank(), len, len);
        let (mut waited, mut left) = (vec![0; len], vec![0; len]);
        world.scope(|s| {
            let receiving = s.immediate_receive_into(previous(world).tag(1), &mut waited)?;
            // Nobody waits for these three: the scope does.
            drop(s.immediate_receive_into(previous(world).tag(2), &mut left)?);
            drop(s.immediate_send(next(world).tag(2), &mine)?);
            drop(s.immediate_send(next(world).tag(1), &mine)?);
            receiving.wait().map(drop)
        })?;
        let expected = bytes(ahead(world, -1), len, len);
        assert_same(&waited, &expected);
        assert_same(&left, &expected);
    }
    Ok(())
}

pub(crate) fn scopes_withdraw_on_error(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let mine = bytes(world.rank(), len, len);
        let mut into = vec![9; len];
        let result: Result<()> = world.scope(|s| {
            drop(s.immediate_receive_into(previous(world).tag(3), &mut into)?);
            drop(s.immediate_send(next(world).tag(4), &mine)?);
            Err(no_such_rank(world))
        });
        assert!(result.is_err());
        expect_withdrawn(world, mine, &into)?;
    }
    Ok(())
}

pub(crate) fn scopes_withdraw_on_panic(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let mine = bytes(world.rank(), len, len);
        let mut into = vec![9; len];
        let result = catch_unwind(AssertUnwindSafe(|| {
            world.scope(|s| -> Result<()> {
                drop(s.immediate_receive_into(previous(world).tag(3), &mut into)?);
                drop(s.immediate_send(next(world).tag(4), &mine)?);
                // A panic without a message.
                resume_unwind(Box::new(()))
            })
        }));
        assert!(result.is_err());
        expect_withdrawn(world, mine, &into)?;
    }
    Ok(())
}

fn no_such_rank(world: &Communicator<'_>) -> Error {
    world.process_at_rank(-1).send(&[0]).unwrap_err()
}

/// The send has gone on with a copy, and the receive takes no message.
fn expect_withdrawn(world: &Communicator<'_>, mut sent: Vec<u8>, into: &[u8]) -> Result<()> {
    let len = sent.len();
    sent.fill(0xaa);
    drop(sent);
    world.barrier()?;
    let sending = next(world).tag(3).immediate_send(bytes(world.rank(), len + 1, len))?;
    assert_same(&previous(world).tag(3).receive_vec()?.0, &bytes(ahead(world, -1), len + 1, len));
    assert_same(&previous(world).tag(4).receive_vec()?.0, &bytes(ahead(world, -1), len, len));
    assert_same(into, &vec![9; len]);
    sending.wait()?;
    world.barrier()
}

/// Every mode, and requests waited for together.
pub(crate) fn scopes_in_every_mode(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let mine = bytes(world.rank(), len, len);
        let mut into = vec![vec![0; len]; 4];
        world.scope(|s| {
            let mut receives = Vec::new();
            for (into, tag) in into.iter_mut().zip(0..) {
                receives.push(s.immediate_receive_into(previous(world).tag(tag), into)?);
            }
            // The ready send's receive has been posted.
            world.barrier()?;
            let to = next(world);
            let mut sends = vec![
                s.immediate_send(to.tag(0), &mine)?,
                s.immediate_synchronous_send(to.tag(1), &mine)?,
                s.immediate_buffered_send(to.tag(2), &mine)?,
                s.immediate_ready_send(to.tag(3), &mine)?,
            ];
            while let Some((_, got, status)) = wait_any(&mut receives)? {
                assert_eq!(status.bytes(), len as u64);
                assert_same(got, &bytes(ahead(world, -1), len, len));
            }
            while test_all(&mut sends)?.is_none() {}
            Ok(())
        })?;
        assert!(into.iter().all(|into| *into == bytes(ahead(world, -1), len, len)));
    }
    Ok(())
}

/// A synchronous send that nobody waits for: the scope does, until it has been matched.
pub(crate) fn scopes_wait_for_the_match(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let mine = bytes(world.rank(), len, len);
        if world.rank() != 0 {
            world.scope(|s| s.immediate_synchronous_send(world.process_at_rank(0), &mine).map(drop))?;
            // Matched before this message was sent.
            world.process_at_rank(0).tag(1).send(&[0u8])?;
            continue;
        }
        for rank in 1..world.size() {
            let from = world.process_at_rank(rank);
            for _ in 0..100 {
                assert_eq!(from.tag(1).immediate_probe()?, None, "it went on without the receive");
            }
            assert_same(&from.tag(0).receive_vec()?.0, &bytes(rank, len, len));
            from.tag(1).receive::<u8>()?;
        }
    }
    Ok(())
}

pub(crate) fn scoped_receives_are_cancelled(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let mine = bytes(world.rank(), len, len);
        let (mut unused, mut into) = (vec![9; len], vec![0; len]);
        world.scope(|s| {
            let receiving = s.immediate_receive_into(previous(world).tag(1), &mut unused)?;
            let unused = receiving.cancel().unwrap_or_else(|_| panic!("nobody sends with this tag"));
            assert_same(unused, &vec![9; len]);
            let receiving = s.immediate_receive_into(previous(world).tag(2), &mut into)?;
            world.barrier()?;
            let sending = s.immediate_synchronous_send(next(world).tag(2), &mine)?;
            let Err(sending) = sending.cancel() else { panic!("sends are not cancelled") };
            sending.wait()?;
            world.barrier()?;
            let Err(receiving) = receiving.cancel() else { panic!("it has been matched") };
            assert_same(receiving.wait()?.0, &bytes(ahead(world, -1), len, len));
            Ok(())
        })?;
        assert_same(&unused, &vec![9; len]);
    }
    // The cancelled receives have taken nothing.
    next(world).tag(1).send(&[3u8])?;
    assert_eq!(previous(world).tag(1).receive::<u8>()?.0, 3);
    let mut into = [8u8; 2];
    world.scope(|s| {
        let null = world.process_at_rank(PROC_NULL);
        let receiving = s.immediate_receive_into(null, &mut into)?;
        let Err(receiving) = receiving.cancel() else { panic!("it has ended already") };
        let mut both = vec![receiving];
        let ended = wait_some(&mut both)?.remove(0).outcome?;
        assert_eq!((ended.0, ended.1.source()), (&mut [8; 2][..], PROC_NULL));
        s.immediate_synchronous_send(null, &[1])?.wait().map(drop)
    })
}

/// Everyone sends before anyone receives: sends that credit holds up are completed by copies of their data,
/// and some of them are still to be received when the scope ends.
pub(crate) fn scoped_sends_beyond_all_credit(world: &Communicator<'_>) -> Result<()> {
    const COUNT: u16 = 3000;
    let data: Vec<[u16; 500]> = (0..COUNT).map(|number| [number; 500]).collect();
    world.scope(|scope| data.iter().try_for_each(|one| scope.immediate_send(next(world), one).map(drop)))?;
    for number in 0..COUNT {
        assert_eq!(previous(world).receive_vec::<u16>()?.0, [number; 500]);
    }
    Ok(())
}
