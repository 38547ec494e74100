//! What is wrong is reported with its numbers, and does no harm.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, ErrorClass, PROC_NULL, Result, Source, Truncated};

/// Short and long, into posted receives and late ones, in place and through requests.
pub(crate) fn truncation(world: &Communicator<'_>) -> Result<()> {
    for (sent, room) in [(9, 8), (5000, 100), (400_000, 1000), (3 << 20, 1 << 20), (1, 0)] {
        let facts = Truncated { source: ahead(world, -1), tag: 8, sent: sent as u64, room: room as u64 };
        let mine = bytes(world.rank(), sent, sent);
        for is_posted in [false, true] {
            let posted = previous(world).tag(8).immediate_receive_into(vec![77u8; room])?;
            if is_posted {
                world.barrier()?;
            }
            let sending = next(world).tag(8).immediate_send(mine.clone())?;
            assert_eq!(posted.wait().unwrap_err().as_truncated(), Some(facts));
            sending.wait()?;
        }
        let sends = [(8, mine.clone()), (8, mine.clone()), (8, bytes(world.rank(), 1, room))]
            .map(|(tag, data)| next(world).tag(tag).immediate_send(data));
        let mut buffer = vec![77; room];
        let error = previous(world).tag(8).receive_into(&mut buffer).unwrap_err();
        assert_eq!((error.class(), error.as_truncated()), (ErrorClass::TRUNCATE, Some(facts)));
        assert_same(&buffer, &vec![77; room]);
        let message = previous(world).tag(8).matched_probe()?;
        assert_eq!(message.receive_into(&mut buffer).unwrap_err().as_truncated(), Some(facts));
        assert_same(&buffer, &vec![77; room]);
        previous(world).tag(8).receive_into(&mut buffer)?;
        assert_same(&buffer, &bytes(ahead(world, -1), 1, room));
        for sending in sends {
            sending?.wait()?;
        }
        world.barrier()?;
    }
    Ok(())
}

pub(crate) fn bad_arguments(world: &Communicator<'_>) -> Result<()> {
    let class = |result: Result<()>| result.unwrap_err().class();
    for rank in [-1, -2, world.size(), i32::MAX] {
        let nobody = world.process_at_rank(rank);
        assert_eq!(class(nobody.send(&[1])), ErrorClass::RANK);
        assert_eq!(class(nobody.receive::<i32>().map(drop)), ErrorClass::RANK);
        assert_eq!(class(nobody.immediate_send(vec![1]).map(drop)), ErrorClass::RANK);
        assert_eq!(class(nobody.probe().map(drop)), ErrorClass::RANK);
        assert_eq!(class(world.broadcast_into(&mut [1], rank)), ErrorClass::ROOT);
    }
    for tag in [-1, -2, i32::MIN] {
        assert_eq!(class(next(world).tag(tag).send(&[1])), ErrorClass::TAG);
        assert_eq!(class(previous(world).tag(tag).receive::<i32>().map(drop)), ErrorClass::TAG);
        assert_eq!(class(world.any_process().tag(tag).probe().map(drop)), ErrorClass::TAG);
    }
    world.barrier()
}

/// Counts that no memory holds: an error that names them, and nothing has happened.
pub(crate) fn counts_out_of_range(world: &Communicator<'_>) -> Result<()> {
    /// Too large for an address space, and too large for any machine.
    fn expect(result: Result<()>, count: usize, class: ErrorClass, most: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        let text = error.to_string();
        assert!(text.contains(&count.to_string()) && text.contains(most), "{text}");
    }
    let from = previous(world);
    for (count, class, most) in
        [(usize::MAX, ErrorClass::COUNT, "9223372036854775807"), (1 << 62, ErrorClass::NO_MEM, "")]
    {
        expect(from.immediate_receive::<u8>(count).map(drop), count, class, most);
        expect(from.immediate_receive::<bool>(count).map(drop), count, class, most);
        expect(world.any_process().immediate_receive::<u8>(count).map(drop), count, class, most);
        let null = world.process_at_rank(PROC_NULL);
        expect(null.immediate_receive::<u8>(count).map(drop), count, class, most);
        expect(world.alloc::<u8>(count).map(drop), count, ErrorClass::NO_MEM, "");
    }
    let most = "1152921504606846975";
    expect(from.immediate_receive::<u64>(1 << 60).map(drop), 1 << 60, ErrorClass::COUNT, most);
    expect(from.immediate_receive::<char>(1 << 62).map(drop), 1 << 62, ErrorClass::COUNT, "");
    expect(world.alloc::<u64>(1 << 61).map(drop), 1 << 61, ErrorClass::NO_MEM, "");
    // No receive has been posted.
    next(world).send(&[1u8])?;
    assert_eq!(from.receive::<u8>()?.0, 1);
    world.barrier()
}
