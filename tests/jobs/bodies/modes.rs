//! The send modes: standard, synchronous, buffered and ready, blocking and not.

use super::{ahead, assert_same, bytes, messages::SIZES, next, previous};
use ringmpi::{Communicator, Process, Request, Result, Source, Tag};

type Send = fn(Process<'_, '_>, &[u8]) -> Result<()>;

const MODES: [Send; 8] = [
    |to, data| to.send(data),
    |to, data| to.synchronous_send(data),
    |to, data| to.buffered_send(data),
    |to, data| to.ready_send(data),
    |to, data| ended(to.immediate_send(data.to_vec()), data),
    |to, data| ended(to.immediate_synchronous_send(data.to_vec()), data),
    |to, data| ended(to.immediate_buffered_send(data.to_vec()), data),
    |to, data| ended(to.immediate_ready_send(data.to_vec()), data),
];

/// Waits for a send, which gives its buffer back as it was.
fn ended(sending: Result<Request<'_, Vec<u8>>>, data: &[u8]) -> Result<()> {
    assert_same(&sending?.wait()?, data);
    Ok(())
}

pub(crate) fn every_mode_into_a_posted_receive(world: &Communicator<'_>) -> Result<()> {
    for (mode, send) in MODES.into_iter().enumerate() {
        for (number, len) in SIZES.into_iter().enumerate() {
            let receiving = previous(world).tag(mode as Tag).immediate_receive::<u8>(len + 8)?;
            world.barrier()?;
            send(next(world).tag(mode as Tag), &bytes(world.rank(), number, len))?;
            assert_same(&receiving.wait()?, &bytes(ahead(world, -1), number, len));
        }
    }
    Ok(())
}

pub(crate) fn every_mode_to_a_late_receive(world: &Communicator<'_>) -> Result<()> {
    for (number, len) in SIZES.into_iter().enumerate() {
        let mine = bytes(world.rank(), number, len);
        let standard = next(world).tag(0).immediate_send(mine.clone())?;
        let synchronous = next(world).tag(1).immediate_synchronous_send(mine.clone())?;
        next(world).tag(2).buffered_send(&mine)?;
        world.barrier()?;
        for tag in [2, 1, 0] {
            let (got, status) = previous(world).tag(tag).receive_vec::<u8>()?;
            assert_same(&got, &bytes(ahead(world, -1), number, len));
            assert_eq!(status.tag(), tag);
        }
        assert_same(&standard.wait()?, &mine);
        assert_same(&synchronous.wait()?, &mine);
    }
    Ok(())
}

pub(crate) fn synchronous_sends_wait_for_the_receive(world: &Communicator<'_>) -> Result<()> {
    const GO: Tag = 1;
    for len in [0, 8, 5000, 1 << 20] {
        if world.rank() == 0 {
            let mut sending = next(world).tag(0).immediate_synchronous_send(bytes(0, 0, len))?;
            for _ in 0..200 {
                assert!(!sending.test()?, "it ended before the receive of {len} bytes was posted");
            }
            next(world).tag(GO).send(&[0u8; 0])?;
            sending.wait()?;
        } else if world.rank() == 1 {
            previous(world).tag(GO).receive_vec::<u8>()?;
            assert_same(&previous(world).tag(0).receive_vec()?.0, &bytes(0, 0, len));
        }
    }
    world.barrier()
}

/// Nobody has posted a receive, and the buffer changes before somebody does.
pub(crate) fn buffered_sends_have_ended_at_once(world: &Communicator<'_>) -> Result<()> {
    for (number, len) in SIZES.into_iter().enumerate() {
        let to = next(world);
        let mine = bytes(world.rank(), number, len);
        let mut sending = to.tag(0).immediate_buffered_send(mine.clone())?;
        assert!(sending.test()?);
        sending.wait()?.fill(1);
        let mut persistent = to.tag(1).buffered_send_init(mine.clone())?;
        persistent.start()?;
        persistent.wait()?;
        persistent.buffer_mut()?.fill(2);
        let mut borrowed = mine.clone();
        world.scope(|s| {
            let mut sending = s.immediate_buffered_send(to.tag(2), &borrowed)?;
            assert!(sending.test()?);
            Ok(())
        })?;
        borrowed.fill(3);
        world.barrier()?;
        for tag in 0..3 {
            let (got, _) = previous(world).tag(tag).receive_vec::<u8>()?;
            assert_same(&got, &bytes(ahead(world, -1), number, len));
        }
    }
    Ok(())
}
