//! Far more ranks than CPUs.

use super::{assert_same, bytes};
use ringmpi::{Communicator, Result, Source, Tag, op, wait_all};

/// Everyone exchanges messages with everyone, and all meet, again and again.
pub(crate) fn all_pairs_and_barriers(world: &Communicator<'_>) -> Result<()> {
    // All of a round's messages are there at the same time.
    let lens: &[usize] = if world.size() > 32 { &[0, 8, 600] } else { &[0, 8, 600, 5000, 40_000] };
    let others = || (0..world.size()).map(|rank| world.process_at_rank(rank));
    for (round, &len) in lens.iter().enumerate() {
        let tag = round as Tag;
        let receives: Vec<_> =
            others().map(|from| from.tag(tag).immediate_receive::<u8>(len)).collect::<Result<_>>()?;
        let mine = bytes(world.rank(), round, len);
        let sends: Vec<_> =
            others().map(|to| to.tag(tag).immediate_send(mine.clone())).collect::<Result<_>>()?;
        for (source, got) in (0..).zip(wait_all(receives)?) {
            assert_same(&got, &bytes(source, round, len));
        }
        wait_all(sends)?;
        for turn in 0..20 {
            world.barrier()?;
            let sum = world.all_reduce_value(world.rank() + turn, op::Sum)?;
            assert_eq!(sum, world.size() * (world.size() - 1) / 2 + world.size() * turn);
        }
    }
    Ok(())
}
