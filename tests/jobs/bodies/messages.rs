//! Messages of all sizes, to all kinds of processes.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, PROC_NULL, Rank, Result, Source, TAG_MAX, Tag};

/// Around every border between two ways to send, and well beyond.
pub(super) const SIZES: [usize; 18] = [
    0,
    1,
    7,
    39,
    40,
    41,
    63,
    64,
    65,
    1000,
    4096,
    8193,
    16_384,
    65_536,
    65_537,
    300_000,
    1 << 20,
    (3 << 20) + 5,
];

pub(crate) fn all_sizes(world: &Communicator<'_>) -> Result<()> {
    let (rank, before) = (world.rank(), ahead(world, -1));
    for (number, len) in SIZES.into_iter().enumerate() {
        let sending = next(world).tag(number as Tag).immediate_send(bytes(rank, number, len))?;
        let (got, status) = previous(world).receive_vec::<u8>()?;
        assert_eq!((status.source(), status.tag(), status.bytes()), (before, number as Tag, len as u64));
        assert_same(&got, &bytes(before, number, len));
        assert_same(&sending.wait()?, &bytes(rank, number, len));
    }
    Ok(())
}

/// Everyone sends to everyone at the same time, in both directions.
pub(crate) fn head_to_head(world: &Communicator<'_>) -> Result<()> {
    for len in [8, 5000, 2 << 20] {
        for offset in 0..world.size() {
            let (to, from) = (ahead(world, offset), ahead(world, -offset));
            let (mine, expected) = (bytes(world.rank(), len, len), bytes(from, len, len));
            let (to, source) = (world.process_at_rank(to), world.process_at_rank(from));
            let mut got = vec![0; len];
            to.send_receive_into(&mine, source, &mut got)?;
            assert_same(&got, &expected);
            let mut replaced = mine.clone();
            to.send_receive_replace(&mut replaced, source)?;
            assert_same(&replaced, &expected);
            let receiving = source.immediate_receive::<u8>(len)?;
            to.send(&mine)?;
            assert_same(&receiving.wait()?, &expected);
        }
    }
    Ok(())
}

pub(crate) fn null_process(world: &Communicator<'_>) -> Result<()> {
    let null = world.process_at_rank(PROC_NULL);
    assert!(null.is_null() && world.neighbour(world.size()).is_null());
    null.send(&[1])?;
    null.synchronous_send(&[1])?;
    assert_eq!(null.immediate_send(vec![7])?.wait()?, [7]);
    let mut untouched = [5; 3];
    let status = null.receive_into(&mut untouched)?;
    assert_eq!((status.source(), status.bytes(), untouched), (PROC_NULL, 0, [5; 3]));
    assert_eq!(null.probe()?.source(), PROC_NULL);
    assert!(null.immediate_probe()?.is_some());
    assert!(null.receive_vec::<i32>()?.0.is_empty());
    assert!(null.immediate_receive::<i32>(4)?.wait()?.is_empty());
    assert_eq!(null.send_receive_into(&[1], null, &mut untouched)?.source(), PROC_NULL);
    shift(world)
}

/// A shift along a line: the ends talk to the null process.
fn shift(world: &Communicator<'_>) -> Result<()> {
    let mut from_left = [-1];
    let status =
        world.neighbour(1).send_receive_into(&[world.rank()], world.neighbour(-1), &mut from_left)?;
    let expected = if world.rank() == 0 { PROC_NULL } else { world.rank() - 1 };
    assert_eq!((status.source(), from_left), (expected, [world.rank() - 1]));
    Ok(())
}

pub(crate) fn to_itself(world: &Communicator<'_>) -> Result<()> {
    let itself = world.process_at_rank(world.rank());
    for (number, len) in SIZES.into_iter().enumerate() {
        let mine = bytes(world.rank(), number, len);
        itself.buffered_send(&mine)?;
        assert_same(&itself.receive_vec()?.0, &mine);
        let receiving = itself.immediate_receive::<u8>(len)?;
        itself.synchronous_send(&mine)?;
        assert_same(&receiving.wait()?, &mine);
        let sending = itself.immediate_send(mine.clone())?;
        let mut got = vec![0; len];
        itself.receive_into(&mut got)?;
        assert_same(&got, &mine);
        sending.wait()?;
    }
    Ok(())
}

pub(crate) fn extreme_tags(world: &Communicator<'_>) -> Result<()> {
    const TAGS: [Tag; 5] = [0, 1, 1 << 15, TAG_MAX - 1, TAG_MAX];
    let sends: Vec<_> =
        TAGS.iter().map(|tag| next(world).tag(*tag).immediate_send(vec![*tag])).collect::<Result<_>>()?;
    for tag in TAGS.into_iter().rev() {
        let (value, status) = previous(world).tag(tag).receive::<Tag>()?;
        assert_eq!((value, status.tag()), (tag, tag));
    }
    ringmpi::wait_all(sends).map(drop)
}

/// More ranks than CPUs take turns: nobody's turn may cost a time-out.
pub(crate) fn many_hops(world: &Communicator<'_>) -> Result<()> {
    const HOPS: Rank = 2000;
    let mine = (0..HOPS).filter(|hop| hop % world.size() == world.rank());
    for hop in mine {
        if hop > 0 {
            assert_eq!(previous(world).receive::<Rank>()?.0, hop);
        }
        if hop + 1 < HOPS {
            next(world).buffered_send(&[hop + 1])?;
        }
    }
    Ok(())
}

/// One message of more bytes than 32 bits can count.
pub(crate) fn beyond_4_gib(world: &Communicator<'_>) -> Result<()> {
    const WORDS: usize = (1 << 29) + 1025;
    let word = |index: usize| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if world.rank() == 0 {
        let mine: Vec<u64> = (0..WORDS).map(word).collect();
        return world.process_at_rank(1).send(&mine);
    }
    let mut got = vec![0; WORDS + 1];
    got[WORDS] = 42;
    let status = world.process_at_rank(0).receive_into(&mut got)?;
    assert_eq!(status.bytes(), WORDS as u64 * 8);
    assert_eq!(status.count::<u64>(), Some(WORDS));
    let wrong = got[..WORDS].iter().enumerate().position(|(index, got)| *got != word(index));
    assert_eq!((wrong, got[WORDS]), (None, 42));
    Ok(())
}
