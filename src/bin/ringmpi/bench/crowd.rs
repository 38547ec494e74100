//! `ringmpi bench crowd`: more and more ranks on the same CPUs hand a token round.

use super::{
    Result,
    jobs::{Part, alone, launch, numbers},
    report::{Named, Row, print},
    spread::Spread,
    while_doing,
};
use crate::limit::Machine;
use ringmpi::{Communicator, Source};
use std::time::{Duration, Instant};

/// Numbers of ranks, unless others are asked for.
const RANKS: [u16; 6] = [2, 4, 8, 16, 32, 64];

/// How often the bare machine and the library alternate for a figure.
const TURNS: usize = 3;

/// Batches of a job, after one that does not count.
const BATCHES: usize = 5;

/// Hops of a batch, at least: the token goes round whole times.
const HOPS: u64 = 8192;

/// For a hand-over of the bare machine.
const BUDGET: Duration = Duration::from_millis(30);

pub(super) fn run(ranks: &[u16], json: bool) -> Result<()> {
    let ranks = if ranks.is_empty() { &RANKS } else { ranks };
    let rows = ranks.iter().map(|&ranks| crowd(ranks.into())).collect::<Result<Vec<_>>>()?;
    print(&Named { benchmark: "crowd" }, &rows, json)
}

fn crowd(ranks: usize) -> Result<Row> {
    let (mut hops, mut bare, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..TURNS {
        let hand_over = Spread::of(numbers(alone(Part::HandOver))?).median;
        let turn = numbers(launch(ranks, Part::Ring))?;
        ratios.push(Spread::of(turn.clone()).median / hand_over);
        bare.push(hand_over);
        hops.extend(turn);
    }
    let [bare, ratio] = [bare, ratios].map(|turns| Spread::of(turns).median);
    let row = Row::new(format!("hop among {ranks} ranks"), "us", Spread::of(hops));
    Ok(row.beside(bare, ratio).by("futex hand-over"))
}

/// Prints the microseconds of a hand-over between two processes.
pub(super) fn hand_over() -> Result<()> {
    let mut machine = Machine::start(BUDGET).map_err(while_doing("starting the bare machine"))?;
    println!("{}", machine.futex_handover().median / 1e3);
    Ok(())
}

/// Rank 0 prints the microseconds of a hop, batch by batch.
pub(super) fn ring() -> Result<()> {
    let universe = ringmpi::init()?;
    let world = universe.world();
    for batch in 0..=BATCHES {
        let start = Instant::now();
        let hops = hand_round(&world)?;
        let taken = start.elapsed();
        if world.rank() == 0 && batch > 0 {
            println!("{}", taken.as_secs_f64() * 1e6 / hops as f64);
        }
    }
    Ok(universe.finalize()?)
}

/// A token that counts its hops goes round, from rank 0 and back to it, again and again; rank 0 returns the count.
fn hand_round(world: &Communicator<'_>) -> Result<u64> {
    let (rank, size) = (world.rank(), world.size());
    let next = world.process_at_rank((rank + 1) % size);
    let previous = world.process_at_rank((rank + size - 1) % size);
    let mut token = 0;
    let ranks = u64::from(size.unsigned_abs());
    let rounds = HOPS.div_ceil(ranks);
    for _ in 0..rounds {
        if rank == 0 {
            next.send(&[token + 1])?;
        }
        token = previous.receive::<u64>()?.0;
        if rank != 0 {
            next.send(&[token + 1])?;
        }
    }
    match rounds * ranks {
        all if rank == 0 && token != all => Err(format!("the token counts {token} hops, not {all}").into()),
        _ => Ok(token),
    }
}
