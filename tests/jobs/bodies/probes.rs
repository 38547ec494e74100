//! Probes, and messages that a matched probe has taken.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, Result, Source, wait_all};

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
