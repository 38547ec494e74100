//! `ringmpi bench wake`: a message to a rank that sleeps.

use super::{
    Result, compare, cpus,
    report::{Named, Row, print},
    resources,
    spread::Spread,
    while_doing,
};
use crate::limit::Machine;
use ringmpi::{Communicator, Source};
use std::time::{Duration, Instant};

/// Messages that are timed, one by one.
const WAKES: usize = 400;

/// Long enough for a waiting rank to spin, yield and fall asleep.
const ASLEEP: Duration = Duration::from_millis(1);

const BUDGET: Duration = Duration::from_millis(100);

pub(super) fn run(json: bool) -> Result<()> {
    // Both ranks read one clock.
    let epoch = Instant::now();
    let rank = |world: Communicator<'_>| {
        compare::check_size(&world)?;
        if world.rank() == 0 { wake(&world, epoch, json) } else { sleep(&world, epoch) }
    };
    Ok(ringmpi::run(2, rank)?)
}

fn now(epoch: Instant) -> u64 {
    epoch.elapsed().as_nanos() as u64
}

/// Rank 0 sends the time, again and again.
fn wake(world: &Communicator<'_>, epoch: Instant, json: bool) -> Result<()> {
    let mut machine = Machine::start(BUDGET).map_err(while_doing("starting the bare machine"))?;
    cpus::pin(0);
    let sleeper = world.process_at_rank(1);
    for _ in 0..WAKES {
        let asleep = Instant::now() + ASLEEP;
        while Instant::now() < asleep {
            std::hint::spin_loop();
        }
        sleeper.send(&[now(epoch)])?;
    }
    let (taken, _) = sleeper.receive_vec::<u64>()?;
    let bare = machine.futex_handover().median / 1e3;
    let spread = Spread::of(taken.into_iter().map(|ns| ns as f64 / 1e3).collect());
    let row = Row::new("to a sleeping rank", "us", spread);
    let row = row.beside(bare, spread.median / bare).by("futex hand-over");
    print(&Named { benchmark: "wake" }, &[row], json)
}

/// Rank 1 says how long each message took, and how often it slept.
fn sleep(world: &Communicator<'_>, epoch: Instant) -> Result<()> {
    cpus::pin(1);
    let waker = world.process_at_rank(0);
    let before = resources::sleeps().map_err(while_doing("counting sleeps"))?;
    let mut taken = Vec::with_capacity(WAKES);
    for _ in 0..WAKES {
        let (sent, _) = waker.receive::<u64>()?;
        taken.push(now(epoch).saturating_sub(sent));
    }
    let sleeps = resources::sleeps().map_err(while_doing("counting sleeps"))? - before;
    if sleeps < WAKES as u64 {
        return Err(format!("{sleeps} sleeps before {WAKES} messages").into());
    }
    Ok(waker.send(&taken)?)
}
