//! Receives that are cancelled, and requests that are dropped.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, PROC_NULL, Result, Source, Tag};

const NEVER: Tag = 9;

pub(crate) fn cancelled_receives(world: &Communicator<'_>) -> Result<()> {
    let receiving = previous(world).tag(NEVER).immediate_receive_into(vec![7u8; 5])?;
    assert_eq!(receiving.cancel().unwrap(), [7; 5]);
    let from_nobody = world.process_at_rank(PROC_NULL).immediate_receive_into(vec![8u8; 2])?;
    assert_eq!(from_nobody.cancel().unwrap_err().wait()?, [8; 2], "it had ended");
    let posted = previous(world).tag(1).immediate_receive::<u32>(1)?;
    let sending = next(world).tag(1).immediate_synchronous_send(vec![5u32])?;
    sending.wait()?;
    world.barrier()?;
    assert_eq!(posted.cancel().unwrap_err().wait()?, [5], "it had been matched");
    // A large one is matched long before all of it is there.
    let mut posted = previous(world).tag(2).immediate_receive::<u8>(3 << 20)?;
    let sending = next(world).tag(2).immediate_send(bytes(world.rank(), 0, 3 << 20))?;
    let sending = sending.cancel().unwrap_err();
    posted.test()?;
    let expected = bytes(ahead(world, -1), 0, 3 << 20);
    match posted.cancel() {
        Ok(room) => {
            assert!(room.is_empty());
            assert_same(&previous(world).tag(2).receive_vec()?.0, &expected);
        }
        Err(matched) => assert_same(&matched.wait()?, &expected),
    }
    assert_same(&sending.wait()?, &bytes(world.rank(), 0, 3 << 20));
    Ok(())
}

/// A dropped send goes on by itself; a dropped receive takes no message.
pub(crate) fn dropped_requests(world: &Communicator<'_>) -> Result<()> {
    for len in [3, 5000, 400_000] {
        drop(previous(world).tag(4).immediate_receive::<u8>(len)?);
        world.barrier()?;
        drop(next(world).tag(4).immediate_send(bytes(world.rank(), len, len))?);
        assert_same(&previous(world).tag(4).receive_vec()?.0, &bytes(ahead(world, -1), len, len));
    }
    // Finalize completes it.
    drop(next(world).tag(5).immediate_send(bytes(world.rank(), 1, 300_000))?);
    assert_same(&previous(world).tag(5).receive_vec()?.0, &bytes(ahead(world, -1), 1, 300_000));
    Ok(())
}
