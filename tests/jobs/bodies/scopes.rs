//! Scopes: operations on borrowed buffers never outlive them.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, Error, Result, Source};
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
