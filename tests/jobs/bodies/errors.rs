//! What is wrong is reported with its numbers, and does no harm.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, ErrorClass, PROC_NULL, Result, Source, TAG_MAX, Truncated, op};
use std::cell::{Cell, RefCell};

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

/// Whoever reads a part that is shorter or longer than its own gets an error. After that the communicator is of no more use,
/// and can be dropped.
pub(crate) fn parts_of_other_lengths(world: &Communicator<'_>) -> Result<()> {
    let root = world.size() - 1;
    let is_root = world.rank() == root;
    for (of_root, of_others) in [(4, 5), (5, 4), (0, 1), (1, 0), (14, 13), (10, 5)] {
        let mine = vec![1i64; if is_root { of_root } else { of_others }];
        let both = of_root + of_others;
        let spoilt = world.duplicate()?;
        expect_length_error(spoilt.all_reduce(&mine, op::Sum), world.size() > 1, mine.len(), both);
        let spoilt = world.duplicate()?;
        let reduced = spoilt.reduce(&mine, op::Sum, root);
        expect_length_error(reduced, is_root && root > 0, of_root, both);
        let (spoilt, mut data) = (world.duplicate()?, mine.clone());
        expect_length_error(spoilt.broadcast_into(&mut data, root), !is_root, of_others, both);
        assert_eq!(data, mine);
        assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
    }
    for (of_root, of_others) in [(15, 14), (40, 41), (900, 901), (6000, 5000), (500_000, 500_001)] {
        let mine = vec![1i64; if is_root { of_root } else { of_others }];
        let spoilt = world.duplicate()?;
        let mut data = mine.clone();
        // Who gives more may wait for those who read, and have got their error.
        let is_short = of_root <= 6000;
        if is_short && world.size() == 2 {
            let outcome = spoilt.broadcast_into(&mut data, root);
            assert!(is_root || is_length_error(&outcome), "{outcome:?}");
            assert_eq!(data, mine);
        }
        let spoilt = world.duplicate()?;
        let outcome = spoilt.all_reduce(&mine, op::Sum);
        assert!(world.size() == 1 || is_length_error(&outcome), "{outcome:?}");
        if is_short {
            let spoilt = world.duplicate()?;
            let outcome = spoilt.reduce(&mine, op::Sum, root);
            assert!(!is_root || root == 0 || is_length_error(&outcome), "{outcome:?}");
        }
        assert_eq!(world.all_reduce_value(1, op::Sum)?, world.size());
    }
    // The same bytes in another type are the same length.
    let sum = if is_root {
        f64::from(world.all_reduce(&[0f32, 1.0], op::Sum)?.len() as u32)
    } else {
        world.all_reduce(&[0f64], op::Sum)?.len() as f64
    };
    assert_eq!(sum, if is_root { 2.0 } else { 1.0 });
    world.barrier()
}

fn is_length_error<T>(outcome: &Result<T>) -> bool {
    let is_one = |class| [ErrorClass::TRUNCATE, ErrorClass::COUNT].contains(&class);
    outcome.as_ref().is_err_and(|error| is_one(error.class()))
}

/// Of two lengths, whose sum is given, one is this rank's: the error names both in bytes.
fn expect_length_error<T>(result: Result<T>, is_expected: bool, mine: usize, both: usize) {
    let error = match (result, is_expected) {
        (Ok(_), false) => return,
        (Err(error), true) => error,
        (Ok(_), true) => panic!("no error with {mine} of {both}"),
        (Err(error), false) => panic!("{error}"),
    };
    let theirs = both - mine;
    let class = if theirs > mine { ErrorClass::TRUNCATE } else { ErrorClass::COUNT };
    assert_eq!(error.class(), class, "{error}");
    let text = error.to_string();
    for bytes in [8 * mine, 8 * theirs] {
        assert!(text.contains(&format!(" {bytes} ")), "{bytes} is missing in: {text}");
    }
}

/// The operation of a reduction may make no calls, in whatever way the reduction is done; what it drops is
/// dropped, and other threads are not concerned.
pub(crate) fn calls_in_operations(world: &Communicator<'_>) -> Result<()> {
    let other = world.duplicate()?;
    for len in [1, 15, 500] {
        let sent = previous(world).tag(1).immediate_receive::<u8>(1)?;
        let dropped = RefCell::new(Some(previous(world).tag(2).immediate_receive::<u8>(1)?));
        let tested = RefCell::new(sent);
        let started = RefCell::new(previous(world).tag(4).receive_init(vec![0u8])?);
        started.borrow_mut().start()?;
        let calls = Cell::new(0);
        let sum = op::commutative(|a: &usize, b: &usize| {
            for comm in [world, &other] {
                refused(comm.barrier());
                refused(comm.all_reduce_value(1, op::Sum));
                refused(next(comm).send(&[1u8]));
                refused(next(comm).immediate_send(vec![1u8]));
                refused(previous(comm).receive::<u8>());
                refused(comm.any_process().immediate_probe());
                refused(comm.duplicate());
                refused(comm.scope(|_| Ok(())));
            }
            refused(tested.borrow_mut().test());
            refused(started.borrow_mut().wait());
            refused(started.borrow_mut().buffer_mut().map(drop));
            drop(dropped.take());
            calls.set(calls.get() + 1);
            if calls.get() == 1 {
                let by_another_thread = || next(world).tag(3).buffered_send(&[3u8]);
                std::thread::scope(|scope| scope.spawn(by_another_thread).join().unwrap()).unwrap();
            }
            a + b
        });
        let result = world.all_reduce(&vec![1; len], sum)?;
        assert_eq!(result, vec![world.size() as usize; len]);
        // Only some ranks may have combined anything.
        if calls.get() == 0 {
            next(world).tag(3).send(&[3u8])?;
        }
        assert_eq!(previous(world).tag(3).receive::<u8>()?.0, 3);
        drop(dropped.take());
        world.barrier()?;
        next(world).tag(2).send(&[2u8])?;
        next(world).tag(1).send(&[1u8])?;
        assert_eq!(previous(world).tag(2).receive::<u8>()?.0, 2, "the request was dropped");
        assert_eq!(tested.into_inner().wait()?, [1]);
        let mut started = started.into_inner();
        started.buffer_mut().unwrap_err();
        next(world).tag(4).send(&[4u8])?;
        started.wait()?;
        assert_eq!(started.buffer_mut()?, [4], "the request stayed active");
        other.barrier()?;
    }
    Ok(())
}

#[track_caller]
fn refused<T>(result: Result<T>) {
    let error = result.map(drop).unwrap_err().to_string();
    assert!(error.contains("the operation of a reduction made a call"), "{error}");
}

/// The error names the value, and what is allowed.
pub(crate) fn bad_arguments(world: &Communicator<'_>) -> Result<()> {
    #[track_caller]
    fn expect<T>(result: Result<T>, class: ErrorClass, facts: &[String]) {
        let error = result.map(drop).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        let text = error.to_string();
        assert!(facts.iter().all(|fact| text.contains(fact)) && !text.contains('\n'), "{facts:?}: {text}");
    }
    let ranks = format!("0 to {}", world.size() - 1);
    for rank in [-1, -2, world.size(), i32::MAX] {
        let nobody = world.process_at_rank(rank);
        let facts = [format!("rank {rank} "), ranks.clone()];
        expect(nobody.send(&[1]), ErrorClass::RANK, &facts);
        expect(nobody.receive::<i32>(), ErrorClass::RANK, &facts);
        expect(nobody.immediate_send(vec![1]).map(drop), ErrorClass::RANK, &facts);
        expect(nobody.probe(), ErrorClass::RANK, &facts);
        let facts = [format!("root {rank} "), ranks.clone()];
        expect(world.broadcast_into(&mut [1], rank), ErrorClass::ROOT, &facts);
        expect(world.reduce(&[1], op::Sum, rank), ErrorClass::ROOT, &facts);
        expect(world.gather(&[1], rank), ErrorClass::ROOT, &facts);
    }
    for tag in [-1, -2, i32::MIN] {
        let facts = [format!("tag {tag} "), format!("0 to {TAG_MAX}")];
        expect(next(world).tag(tag).send(&[1]), ErrorClass::TAG, &facts);
        expect(previous(world).tag(tag).receive::<i32>(), ErrorClass::TAG, &facts);
        expect(world.any_process().tag(tag).probe(), ErrorClass::TAG, &facts);
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
