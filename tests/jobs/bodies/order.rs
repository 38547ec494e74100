//! Messages of one sender never overtake each other, whatever matches them.

use super::{assert_same, bytes};
use ringmpi::{Communicator, Rank, Result, Source, Tag, wait_all};

const COUNT: usize = 300;
const LONGEST: usize = 100_000;

/// Small and large ones take different ways.
fn len(number: usize) -> usize {
    [8, LONGEST, 50, 9000, 8, 8, 30_000][number % 7]
}

fn send_all(world: &Communicator<'_>, tag: impl Fn(usize) -> Tag) -> Result<()> {
    let send = |number| {
        let mut data = bytes(world.rank(), number, len(number));
        data[..8].copy_from_slice(&(number as u64).to_ne_bytes());
        world.process_at_rank(0).tag(tag(number)).immediate_send(data)
    };
    wait_all((0..COUNT).map(send).collect::<Result<Vec<_>>>()?).map(drop)
}

/// Takes note of the next message of a sender.
struct Expected(Vec<usize>);

impl Expected {
    fn new(world: &Communicator<'_>) -> Self {
        Self(vec![0; world.size() as usize])
    }

    fn take(&mut self, source: Rank, data: &[u8]) {
        let number = self.0[source as usize];
        self.0[source as usize] += 1;
        let sent = u64::from_ne_bytes(data[..8].try_into().unwrap());
        assert_eq!(sent, number as u64, "message {sent} of rank {source} came as number {number}");
        assert_same(&data[8..], &bytes(source, number, len(number))[8..]);
    }
}

pub(crate) fn any_source_keeps_each_order(world: &Communicator<'_>) -> Result<()> {
    if world.rank() != 0 {
        return send_all(world, |_| 0);
    }
    let mut expected = Expected::new(world);
    for _ in 0..COUNT * (world.size() as usize - 1) {
        let (data, status) = world.any_process().receive_vec::<u8>()?;
        expected.take(status.source(), &data);
    }
    Ok(())
}

pub(crate) fn posted_receives_match_in_order(world: &Communicator<'_>) -> Result<()> {
    if world.rank() != 0 {
        world.barrier()?;
        return send_all(world, |_| 0);
    }
    let count = COUNT * (world.size() as usize - 1);
    let posted: Vec<_> =
        (0..count).map(|_| world.any_process().immediate_receive::<u8>(LONGEST)).collect::<Result<_>>()?;
    world.barrier()?;
    let mut expected = Expected::new(world);
    for receiving in posted {
        let (data, status) = receiving.wait_status()?;
        expected.take(status.source(), &data);
    }
    Ok(())
}

/// Receives by source, by tag, by both and by neither: each takes the first message that fits.
pub(crate) fn wildcards_do_not_overtake(world: &Communicator<'_>) -> Result<()> {
    let tag = |number: usize| (number % 3) as Tag;
    if world.rank() != 0 {
        return if world.rank() == 1 { send_all(world, tag) } else { Ok(()) };
    }
    let (any, one) = (world.any_process(), world.process_at_rank(1));
    let mut left: Vec<usize> = (0..COUNT).collect();
    for turn in 0..COUNT {
        let wanted = tag(left[turn * 7 % left.len()]);
        let (data, _) = match turn % 4 {
            0 => any.receive_vec::<u8>()?,
            1 => one.receive_vec::<u8>()?,
            2 => any.tag(wanted).receive_vec::<u8>()?,
            _ => one.tag(wanted).receive_vec::<u8>()?,
        };
        let first = left.iter().position(|number| turn % 4 < 2 || tag(*number) == wanted).unwrap();
        let number = left.remove(first);
        assert_eq!(data[..8], (number as u64).to_ne_bytes(), "turn {turn}, tag {wanted}");
        assert_same(&data[8..], &bytes(1, number, len(number))[8..]);
    }
    Ok(())
}
