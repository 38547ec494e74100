//! A rank that waits leaves the CPU to others.

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use ringmpi::{Communicator, Result, Source};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(2);
/// 2 %.
const BUSY: Duration = Duration::from_millis(40);

pub(crate) fn a_blocked_rank_is_idle(world: &Communicator<'_>) -> Result<()> {
    if world.rank() == 0 {
        std::thread::sleep(WAIT);
        return (1..world.size()).try_for_each(|rank| world.process_at_rank(rank).send(&[rank]));
    }
    let before = cpu_time();
    world.process_at_rank(0).receive::<i32>()?;
    let used = cpu_time() - before;
    assert!(used < BUSY, "{used:?} of CPU time in a receive that took {WAIT:?}");
    Ok(())
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    Duration::from_micros((usage.user_time() + usage.system_time()).num_microseconds() as u64)
}
