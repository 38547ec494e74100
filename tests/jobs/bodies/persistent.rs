//! Persistent requests.

use super::{next, previous};
use ringmpi::{
    Communicator, ErrorClass, PROC_NULL, Pending, Persistent, Process, Result, Source, Startable, Tag,
    start_all, test_all_of, wait_all_of,
};

pub(crate) fn persistent_requests(world: &Communicator<'_>) -> Result<()> {
    for len in [1, 600, 100_000] {
        let mut sending = next(world).tag(3).send_init(vec![0u32; len])?;
        let mut receiving = previous(world).tag(3).receive_init(vec![0u32; len])?;
        for round in 0..40 {
            sending.buffer_mut()?.fill(round);
            receiving.start()?;
            sending.start()?;
            assert_eq!(sending.start().unwrap_err().class(), ErrorClass::REQUEST);
            assert_eq!(receiving.buffer_mut().unwrap_err().class(), ErrorClass::REQUEST);
            assert_eq!(receiving.wait()?.bytes(), 4 * len as u64);
            sending.wait()?;
            assert!(receiving.test()?, "an inactive request has ended");
            assert!(receiving.buffer_mut()?.iter().all(|value| *value == round), "round {round}");
        }
    }
    Ok(())
}

/// The send modes, with buffers of other types than the receive's.
pub(crate) fn persistent_modes(world: &Communicator<'_>) -> Result<()> {
    for len in [0, 1, 600, 100_000] {
        let zeros = || vec![0u32; len].into_boxed_slice();
        let mut sends = [
            next(world).tag(0).send_init(zeros())?,
            next(world).tag(1).synchronous_send_init(zeros())?,
            next(world).tag(2).buffered_send_init(zeros())?,
            next(world).tag(3).ready_send_init(zeros())?,
        ];
        let receive = |tag: Tag| previous(world).tag(tag).receive_init(vec![0u8; 4 * len + 3]);
        let mut receives: Vec<_> = (0..4).map(receive).collect::<Result<_>>()?;
        for round in 0..20u32 {
            start_all(&mut receives)?;
            // The ready send's receive has been posted.
            world.barrier()?;
            for (sending, tag) in sends.iter_mut().zip(0..) {
                sending.buffer_mut()?.fill(round * 4 + tag);
            }
            start_all(&mut sends)?;
            wait_all_of(&mut sends)?;
            for (receiving, tag) in receives.iter_mut().zip(0..) {
                let status = receiving.wait()?;
                assert_eq!((status.tag(), status.bytes()), (tag, 4 * len as u64));
                let expected = (round * 4 + tag as u32).to_ne_bytes();
                assert_eq!(&receiving.buffer_mut()?[..4 * len], expected.repeat(len));
            }
            assert!(test_all_of(&mut sends)?);
            sends.iter_mut().try_for_each(|sending| sending.wait().map(drop))?;
        }
    }
    Ok(())
}

/// One call starts operations of different types; one that is active already stops it.
pub(crate) fn persistent_requests_start_together(world: &Communicator<'_>) -> Result<()> {
    let mut sending = next(world).send_init(vec![1.5f64; 5])?;
    let mut receiving = previous(world).receive_init(vec![false; 40].into_boxed_slice())?;
    let mut nowhere = world.process_at_rank(PROC_NULL).synchronous_send_init(vec!['a'])?;
    let mut from_nowhere = world.process_at_rank(PROC_NULL).receive_init(vec![7i16])?;
    for _ in 0..3 {
        let mut all: [&mut dyn Startable; 3] = [&mut sending, &mut nowhere, &mut from_nowhere];
        start_all(&mut all)?;
        assert_eq!(start_all(&mut all).unwrap_err().class(), ErrorClass::REQUEST);
        assert_eq!(previous(world).receive_vec::<f64>()?.0, [1.5; 5]);
        wait_all_of(&mut [&mut sending as &mut dyn Pending, &mut nowhere, &mut from_nowhere])?;
        sending.wait()?;
        nowhere.wait()?;
        assert_eq!(from_nowhere.wait()?.source(), PROC_NULL);
        assert_eq!(from_nowhere.buffer_mut()?, [7]);
        // The receive is checked: these bytes are no values of its type.
        receiving.start()?;
        next(world).send(&[2u8])?;
        assert_eq!(receiving.wait().unwrap_err().class(), ErrorClass::TYPE);
        receiving.start()?;
        next(world).send(&[true])?;
        assert_eq!(receiving.wait()?.bytes(), 1);
        assert!(receiving.buffer_mut()?[0] && !receiving.buffer_mut()?[1]);
        // Too long: the operation may be started again.
        receiving.start()?;
        next(world).send(&[0u8; 41])?;
        assert_eq!(receiving.wait().unwrap_err().class(), ErrorClass::TRUNCATE);
    }
    world.barrier()
}

pub(crate) fn persistent_receives_are_cancelled(world: &Communicator<'_>) -> Result<()> {
    let mut receiving = previous(world).tag(1).receive_init(vec![9u64; 3])?;
    assert!(!receiving.cancel(), "it is not active");
    for round in 0..3 {
        receiving.start()?;
        assert!(receiving.cancel());
        assert!(receiving.test()? && !receiving.cancel(), "it has been cancelled");
        assert!(receiving.wait()?.is_cancelled());
        world.barrier()?;
        receiving.start()?;
        next(world).tag(1).synchronous_send(&[round])?;
        world.barrier()?;
        assert!(!receiving.cancel(), "it has its message");
        let status = receiving.wait()?;
        assert!(!status.is_cancelled() && status.bytes() == 8);
        assert_eq!(receiving.buffer_mut()?[0], round);
    }
    let mut sending = next(world).synchronous_send_init(vec![1u8])?;
    sending.start()?;
    assert!(!sending.cancel(), "sends are not cancelled");
    previous(world).receive::<u8>()?;
    sending.wait()?;
    nothing_is_left_of_dropped_ones(previous(world), next(world), world)
}

/// A receive that is dropped while it is active takes no message; a send goes on.
fn nothing_is_left_of_dropped_ones(
    from: Process<'_, '_>,
    to: Process<'_, '_>,
    world: &Communicator<'_>,
) -> Result<()> {
    let active = |mut operation: Persistent<'_, '_, Vec<u32>>| operation.start();
    active(from.tag(5).receive_init(vec![0; 100_000])?)?;
    world.barrier()?;
    active(to.tag(5).send_init(vec![5; 100_000])?)?;
    assert_eq!(from.tag(5).receive_vec::<u32>()?.0, [5; 100_000]);
    Ok(())
}
