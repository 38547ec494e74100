//! Probes, and messages that a matched probe has taken.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, ErrorClass, PROC_NULL, Result, Source, Truncated, wait_all};

const LENS: [usize; 4] = [0, 30, 9000, 500_000];

pub(crate) fn probes_tell_the_size(world: &Communicator<'_>) -> Result<()> {
    for len in LENS {
        let sending = next(world).tag(6).immediate_send(bytes(world.rank(), 0, len))?;
        let status = world.any_process().tag(6).probe()?;
        assert_eq!((status.source(), status.bytes()), (ahead(world, -1), len as u64));
        assert_eq!(previous(world).immediate_probe()?, Some(status), "a probe takes nothing");
        assert_eq!(previous(world).tag(7).immediate_probe()?, None);
        let mut got = vec![0; len];
        previous(world).receive_into(&mut got)?;
        assert_same(&got, &bytes(ahead(world, -1), 0, len));
        sending.wait()?;
        world.barrier()?;
        assert_eq!(world.any_process().immediate_probe()?, None, "the message has been received");
        world.barrier()?;
    }
    Ok(())
}

pub(crate) fn matched_probes_take_the_message(world: &Communicator<'_>) -> Result<()> {
    let send = |(number, len)| next(world).immediate_send(bytes(world.rank(), number, len));
    let sends: Vec<_> = LENS.into_iter().enumerate().map(send).collect::<Result<_>>()?;
    let first = previous(world).matched_probe()?;
    let second = loop {
        if let Some(message) = world.any_process().immediate_matched_probe()? {
            break message;
        }
    };
    assert_eq!((first.status().bytes(), second.status().bytes()), (LENS[0] as u64, LENS[1] as u64));
    let mut third = vec![0; LENS[2] + 10];
    assert_eq!(previous(world).receive_into(&mut third)?.bytes(), LENS[2] as u64);
    assert_same(&third[..LENS[2]], &bytes(ahead(world, -1), 2, LENS[2]));
    let fourth = previous(world).matched_probe()?;
    assert_same(&fourth.receive_vec()?, &bytes(ahead(world, -1), 3, LENS[3]));
    let mut got = vec![0; LENS[1]];
    second.receive_into(&mut got)?;
    assert_same(&got, &bytes(ahead(world, -1), 1, LENS[1]));
    // Thrown away.
    drop(first);
    wait_all(sends)?;
    world.barrier()?;
    assert_eq!(previous(world).immediate_probe()?, None);
    Ok(())
}

pub(crate) fn matched_messages_are_received_nonblocking(world: &Communicator<'_>) -> Result<()> {
    let send = |(number, len)| next(world).immediate_send(bytes(world.rank(), number, len));
    let expected = |number: usize| bytes(ahead(world, -1), number, LENS[number]);
    for _ in 0..3 {
        let sends: Vec<_> = LENS.into_iter().enumerate().map(send).collect::<Result<_>>()?;
        let mut receives = Vec::new();
        for (number, len) in LENS.into_iter().enumerate() {
            let message = previous(world).matched_probe()?;
            receives.push(match number % 2 {
                0 => message.immediate_receive_vec::<u8>()?,
                _ => message.immediate_receive_into(vec![77; len + 1])?,
            });
        }
        for (number, mut got) in wait_all(receives)?.into_iter().enumerate() {
            if number % 2 == 1 {
                assert_eq!(got.pop(), Some(77), "behind the message");
            }
            assert_same(&got, &expected(number));
        }
        wait_all(sends)?;
        let sends: Vec<_> = LENS.into_iter().enumerate().map(send).collect::<Result<_>>()?;
        let mut into = LENS.map(|len| vec![77; len + 1]);
        world.scope(|s| {
            let mut receives = Vec::new();
            for into in &mut into {
                let message = previous(world).matched_probe()?;
                receives.push(s.immediate_matched_receive_into(message, into)?);
            }
            // The scope waits for the others.
            receives.pop().expect("as many as lengths").wait().map(drop)
        })?;
        for (number, got) in into.iter().enumerate() {
            assert_same(&got[..LENS[number]], &expected(number));
        }
        wait_all(sends)?;
    }
    Ok(())
}

/// Dropped, too long, of another type, or none at all.
pub(crate) fn matched_messages_that_fail(world: &Communicator<'_>) -> Result<()> {
    let take = || previous(world).matched_probe();
    for len in LENS {
        let data = vec![2u8; len + 3];
        let sends: Vec<_> =
            (0..5).map(|_| next(world).immediate_send(data.clone())).collect::<Result<_>>()?;
        let facts = Truncated { source: ahead(world, -1), tag: 0, sent: len as u64 + 3, room: len as u64 };
        let error = take()?.immediate_receive_into(vec![0u8; len]).unwrap_err();
        assert_eq!(error.as_truncated(), Some(facts));
        let mut into = vec![7u8; len];
        let error = world
            .scope(|s| s.immediate_matched_receive_into(take()?, &mut into)?.wait().map(drop))
            .unwrap_err();
        assert_eq!(error.as_truncated(), Some(facts));
        assert_same(&into, &vec![7; len]);
        let refused = take()?.immediate_receive_vec::<bool>()?.wait().unwrap_err();
        assert_eq!(refused.class(), ErrorClass::TYPE);
        // A number of bytes that no `[u8; 4096]`s have.
        assert_eq!(take()?.immediate_receive_vec::<[u8; 4096]>().unwrap_err().class(), ErrorClass::TYPE);
        drop(take()?.immediate_receive_vec::<u8>()?);
        wait_all(sends)?;
        world.barrier()?;
        assert_eq!(world.any_process().immediate_probe()?, None, "all messages have been taken");
        world.barrier()?;
    }
    let null = world.process_at_rank(PROC_NULL);
    let receiving = null.matched_probe()?.immediate_receive_vec::<u32>()?;
    let (got, status) = receiving.wait_status()?;
    assert_eq!((got, status.source()), (vec![], PROC_NULL));
    let receiving = null.matched_probe()?.immediate_receive_into(vec![4u32; 2])?;
    assert_eq!(receiving.wait()?, [4; 2]);
    let mut into = [5u8];
    world.scope(|s| {
        let (_, status) = s.immediate_matched_receive_into(null.matched_probe()?, &mut into)?.wait()?;
        assert_eq!((status.source(), status.bytes()), (PROC_NULL, 0));
        Ok(())
    })?;
    assert_eq!(into, [5]);
    Ok(())
}
