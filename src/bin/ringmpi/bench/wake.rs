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

/// How often the bare machine and the library alternate.
const TURNS: usize = 3;

/// Messages that are timed, one by one.
const WAKES: usize = 130 * TURNS;

/// Messages of a batch, whose mean counts: as for the bare machine.
const BATCH: usize = 10;

/// Long enough for a waiting rank to spin, yield and fall asleep; the bare machine's sleeper gets as long.
const ASLEEP: Duration = Duration::from_millis(1);

const BUDGET: Duration = Duration::from_millis(10);

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
    let (mut wake_ups, mut hand_overs) = (vec![], vec![]);
    for _ in 0..TURNS {
        wake_ups.push(machine.futex_wake_up().median / 1e3);
        hand_overs.push(machine.futex_handover().median / 1e3);
        for _ in 0..WAKES / TURNS {
            poll_for(ASLEEP);
            sleeper.send(&[now(epoch)])?;
        }
    }
    let (taken, _) = sleeper.receive_vec::<u64>()?;
    let mean = |batch: &[u64]| batch.iter().sum::<u64>() as f64 / batch.len() as f64 / 1e3;
    let library = Spread::of(taken.chunks(BATCH).map(mean).collect());
    let row = |bare, scheme| {
        let bare = Spread::of(bare).median;
        Row::new("message to a sleeping rank", "us", library).beside(bare, library.median / bare).by(scheme)
    };
    let rows = [row(wake_ups, "futex, asleep as long"), row(hand_overs, "futex hand-over, just asleep")];
    print(&Named { benchmark: "wake" }, &rows, json)
}

fn poll_for(length: Duration) {
    let end = Instant::now() + length;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Rank 1 says how long the messages took that found it asleep.
fn sleep(world: &Communicator<'_>, epoch: Instant) -> Result<()> {
    cpus::pin(1);
    let waker = world.process_at_rank(0);
    let sleeps = || resources::sleeps().map_err(while_doing("counting sleeps"));
    let mut taken = Vec::with_capacity(WAKES);
    let mut before = sleeps()?;
    for _ in 0..WAKES {
        let (sent, _) = waker.receive::<u64>()?;
        let arrived = now(epoch);
        let after = sleeps()?;
        if after > before {
            taken.push(arrived.saturating_sub(sent));
        }
        before = after;
    }
    match taken.len() {
        asleep if asleep < WAKES / 2 => {
            Err(format!("only {asleep} of {WAKES} messages found the rank asleep").into())
        }
        _ => Ok(waker.send(&taken)?),
    }
}
