//! Large messages, out of private memory and out of `Communicator::alloc`, in the way that the trial sets.

use super::{ahead, assert_same, bytes, next, previous};
use ringmpi::{Communicator, Process, Rank, Result, Source, Tag, Truncated, op, wait_all, wait_any};

/// Bytes, and the offset in the buffers at which they begin.
const SIZES: [(usize, usize); 8] = [
    (64 << 10, 0),
    ((64 << 10) + 1, 1),
    (100_003, 7),
    (256 << 10, 64),
    ((256 << 10) + 13, 3),
    (1 << 20, 1),
    ((3 << 20) + 5, 4095),
    (8 << 20, 13),
];

/// Of what the sender's buffer is made.
const MEMORIES: [bool; 2] = [false, true];

/// Calls `with` with a buffer of zeros, in shared memory if that is asked for.
fn with_buffer<R>(
    world: &Communicator<'_>,
    is_shared: bool,
    len: usize,
    with: impl FnOnce(&mut [u8]) -> Result<R>,
) -> Result<R> {
    if is_shared { with(&mut world.alloc(len)?) } else { with(&mut vec![0; len]) }
}

/// How a message and its receive meet.
#[derive(Clone, Copy, Debug)]
enum Meeting {
    /// The receive is posted before the send begins.
    Early,
    EarlySynchronous,
    /// The send has begun long before.
    Late,
    /// The same, after a matched probe.
    LateProbed,
}

const MEETINGS: [Meeting; 4] =
    [Meeting::Early, Meeting::EarlySynchronous, Meeting::Late, Meeting::LateProbed];

/// Sends to one rank and receives from another; what comes of the receive.
fn exchange(
    world: &Communicator<'_>,
    meeting: Meeting,
    (to, from): (Process<'_, '_>, Process<'_, '_>),
    data: &[u8],
    into: &mut [u8],
) -> Result<Result<()>> {
    world.scope(|scope| match meeting {
        Meeting::Early | Meeting::EarlySynchronous => {
            let receiving = scope.immediate_receive_into(from, into)?;
            world.barrier()?;
            match meeting {
                Meeting::Early => to.send(data)?,
                _ => to.synchronous_send(data)?,
            }
            Ok(receiving.wait().map(drop))
        }
        Meeting::Late | Meeting::LateProbed => {
            let sending = scope.immediate_send(to, data)?;
            world.barrier()?;
            let received = match meeting {
                Meeting::Late => from.receive_into(into),
                _ => from.matched_probe()?.receive_into(into),
            };
            sending.wait()?;
            Ok(received.map(drop))
        }
    })
}

pub(crate) fn large_messages(world: &Communicator<'_>) -> Result<()> {
    let cases = SIZES.iter().flat_map(|size| MEMORIES.map(|is_shared| (*size, is_shared)));
    for (number, ((len, offset), is_shared)) in cases.enumerate() {
        let meeting = MEETINGS[(number + number / 8) % MEETINGS.len()];
        let (mine, expected) = (bytes(world.rank(), number, len), bytes(ahead(world, -1), number, len));
        with_buffer(world, is_shared, offset + len, |buffer| {
            let data = &mut buffer[offset..];
            data.copy_from_slice(&mine);
            let mut into = vec![77; offset + 1 + len + 1];
            exchange(world, meeting, (next(world), previous(world)), data, &mut into[offset + 1..][..len])??;
            // The send is over: its memory may change, whatever the receiver still does.
            data.fill(0xee);
            assert_same(&into[offset + 1..][..len], &expected);
            assert_same(&into[..=offset], &vec![77; offset + 1]);
            assert_eq!(into[offset + 1 + len], 77);
            Ok(())
        })?;
        world.barrier()?;
    }
    Ok(())
}

/// Everyone sends to everyone, itself too, several messages at the same time.
pub(crate) fn many_large_messages_at_once(world: &Communicator<'_>) -> Result<()> {
    const LENS: [usize; 5] = [300_001, 70_000, 1 << 20, 65_537, 130_000];
    let (rank, size) = (world.rank(), world.size());
    let tag = |number: usize| number as Tag;
    let pairs = || (0..size).flat_map(|other| (0..LENS.len()).map(move |number| (other, number)));
    let mut receives = Vec::new();
    for (other, number) in pairs() {
        receives.push(
            world.process_at_rank(other).tag(tag(number)).immediate_receive_into(vec![0u8; LENS[number]])?,
        );
    }
    let (mut private, mut shared) = (Vec::new(), Vec::new());
    for (other, number) in pairs() {
        let (to, data) = (world.process_at_rank(other).tag(tag(number)), bytes(rank, number, LENS[number]));
        match (other as usize + number) % 3 {
            0 => private.push(to.immediate_send(data)?),
            1 => {
                let mut buffer = world.alloc(data.len())?;
                buffer.copy_from_slice(&data);
                shared.push(to.immediate_send(buffer)?);
            }
            _ => {
                let mut buffer = world.alloc(data.len())?;
                buffer.copy_from_slice(&data);
                shared.push(to.immediate_synchronous_send(buffer)?);
            }
        }
    }
    let mut open: Vec<(Rank, usize)> = pairs().collect();
    while let Some((place, got, status)) = wait_any(&mut receives)? {
        let (source, number) = open.remove(place);
        assert_eq!((status.source(), status.tag()), (source, tag(number)));
        assert_same(&got, &bytes(source, number, LENS[number]));
    }
    assert!(open.is_empty());
    wait_all(private)?;
    wait_all(shared)?;
    world.barrier()
}

/// So many of one size that a rank that chooses by cost tries every way.
pub(crate) fn one_size_until_the_choice_settles(world: &Communicator<'_>) -> Result<()> {
    const LEN: usize = 70_001;
    for is_shared in MEMORIES {
        with_buffer(world, is_shared, LEN, |buffer| {
            let mut into = vec![0; LEN];
            for number in 0..50 {
                buffer.copy_from_slice(&bytes(world.rank(), number, LEN));
                let meeting = MEETINGS[number % MEETINGS.len()];
                exchange(world, meeting, (next(world), previous(world)), buffer, &mut into)??;
                buffer.fill(0xee);
                assert_same(&into, &bytes(ahead(world, -1), number, LEN));
            }
            Ok(())
        })?;
    }
    Ok(())
}

pub(crate) fn large_messages_that_do_not_fit(world: &Communicator<'_>) -> Result<()> {
    const TAG: Tag = 3;
    for (number, (len, room)) in [(70_000, 69_999), (1 << 20, 300_000), (8 << 20, 0)].into_iter().enumerate()
    {
        let facts = Truncated { source: ahead(world, -1), tag: TAG, sent: len as u64, room: room as u64 };
        for (is_shared, meeting) in MEMORIES.into_iter().flat_map(|memory| MEETINGS.map(|way| (memory, way)))
        {
            with_buffer(world, is_shared, len, |data| {
                data.copy_from_slice(&bytes(world.rank(), number, len));
                let mut into = vec![77; room];
                let pair = (next(world).tag(TAG), previous(world).tag(TAG));
                let refused = exchange(world, meeting, pair, data, &mut into)?.unwrap_err();
                assert_eq!(refused.as_truncated(), Some(facts), "{meeting:?}");
                assert_same(&into, &vec![77; room]);
                assert_same(data, &bytes(world.rank(), number, len));
                Ok(())
            })?;
            // What comes behind is whole.
            next(world).tag(TAG).send(&[number as u64])?;
            assert_eq!(previous(world).tag(TAG).receive::<u64>()?.0, number as u64);
            world.barrier()?;
        }
    }
    Ok(())
}

/// A rank that waits in a collective goes on with what it has begun to send.
pub(crate) fn collectives_move_what_was_sent_before(world: &Communicator<'_>) -> Result<()> {
    const LEN: usize = 4 << 20;
    let (rank, size) = (world.rank(), world.size());
    let partner = rank ^ 1;
    let collectives: [fn(&Communicator<'_>) -> Result<()>; 4] = [
        |world| world.barrier(),
        // Rank 1 takes part when it has received.
        |world| world.broadcast_into(&mut [0u8; 8], 1 % world.size()),
        |world| world.all_reduce(&[1u8], op::Max).map(drop),
        // Too long for shared slots.
        |world| world.all_reduce(&[1u64; 2000], op::Sum).map(drop),
    ];
    for (number, collective) in collectives.into_iter().enumerate() {
        let sending = match rank % 2 == 0 && partner < size {
            true => Some(world.process_at_rank(partner).immediate_send(bytes(rank, number, LEN))?),
            false => None,
        };
        if rank % 2 == 1 {
            assert_same(&world.process_at_rank(partner).receive_vec()?.0, &bytes(partner, number, LEN));
        }
        collective(world)?;
        sending.map_or(Ok(()), |sending| sending.wait().map(drop))?;
    }
    Ok(())
}

/// Of the job's segment, and of what ranks send from directly, on both sides.
pub(crate) fn shared_memory_is_kept_out_of_children_and_core_dumps(world: &Communicator<'_>) -> Result<()> {
    const LEN: usize = 1 << 20;
    let mut data = world.alloc(LEN)?;
    data.copy_from_slice(&bytes(world.rank(), 1, LEN));
    let sending = next(world).immediate_send(data)?;
    assert_same(&previous(world).receive_vec()?.0, &bytes(ahead(world, -1), 1, LEN));
    let _data = sending.wait()?;
    for (name, count) in [("/memfd:ringmpi ", 1), ("/memfd:ringmpi-arena ", 2)] {
        let mappings = flags_of(name);
        assert_eq!(mappings.len(), count, "mappings of {name}");
        // Linux's names for MADV_DONTDUMP and MADV_DONTFORK.
        let is_hidden =
            |flags: &String| ["dd", "dc"].iter().all(|flag| flags.split(' ').any(|one| one == *flag));
        assert!(mappings.iter().all(is_hidden), "{name}: {mappings:?}");
    }
    world.barrier()
}

/// The kernel's flags of all mappings of a file.
fn flags_of(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut flags = Vec::new();
    let mut is_of_file = false;
    for line in text.lines() {
        match line.strip_prefix("VmFlags: ") {
            Some(found) if is_of_file => flags.push(found.to_owned()),
            Some(_) => {}
            // The first line of a mapping begins with its addresses, the others with a word and a colon.
            None if line.split(' ').next().is_some_and(|first| first.contains('-')) => {
                is_of_file = line.contains(name);
            }
            None => {}
        }
    }
    flags
}

/// Whoever receives from a rank's shared memory directly has it mapped.
pub(crate) fn shared_memory_of_others_is_mapped(world: &Communicator<'_>) -> Result<()> {
    const LEN: usize = 1 << 20;
    if world.rank() == 0 {
        let mut data = world.alloc(LEN)?;
        data.copy_from_slice(&bytes(0, 1, LEN));
        return (1..world.size()).try_for_each(|rank| world.process_at_rank(rank).send(&data));
    }
    let is_mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains("ringmpi-arena");
    assert!(!is_mapped());
    let (got, _) = world.process_at_rank(0).receive_vec::<u8>()?;
    assert_same(&got, &bytes(0, 1, LEN));
    assert!(is_mapped());
    Ok(())
}
