//! A rank that writes over the job's shared memory, as a wild pointer does.

use crate::random::{Random, seed};
use ringmpi::{Communicator, Result, Source, op, wait_all};
use std::{ops::Range, time::Duration};

/// How often it writes, with a pause after each time.
const BURSTS: u64 = 100;
const PAUSE: Duration = Duration::from_millis(2);

/// Of blocks, where payload lies: what is done to it, only the program could notice.
const BLOCKS_OF_A_RANK: usize = 45 << 18;

/// The last rank scribbles for a while, then ends without a word: what it has overwritten may be just the
/// message that another waits for.
pub(crate) fn endless_traffic_over_scribbled_memory(world: &Communicator<'_>) -> Result<()> {
    world.barrier()?;
    let mut random = Random::new(seed() ^ world.rank() as u64);
    if world.rank() == world.size() - 1 {
        let (memory, mut random) = (shared_memory(), random.clone());
        let blocks = memory.len().saturating_sub(world.size() as usize * BLOCKS_OF_A_RANK);
        let most_each = 1 << random.below(8);
        std::thread::spawn(move || {
            for _ in 0..BURSTS {
                (0..random.below(most_each)).for_each(|_| scribble(&memory, blocks, &mut random));
                std::thread::sleep(PAUSE);
            }
            // SAFETY: no preconditions.
            unsafe { libc::_exit(9) }
        });
    }
    loop {
        exchange(world, &mut random)?;
    }
}

/// Messages of all sizes between all, whatever is in them.
fn exchange(world: &Communicator<'_>, random: &mut Random) -> Result<()> {
    let send = |rank| world.process_at_rank(rank).immediate_send(vec![0u8; random.size()]);
    let sends = (0..world.size()).map(send).collect::<Result<Vec<_>>>()?;
    for _ in 0..world.size() {
        world.any_process().receive_vec::<u8>()?;
    }
    wait_all(sends)?;
    world.all_reduce_value(1, op::Sum)?;
    world.barrier()
}

/// Where the job's segment is mapped.
fn shared_memory() -> Range<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("/memfd:ringmpi ")).unwrap();
    let (start, end) = line.split(' ').next().and_then(|addresses| addresses.split_once('-')).unwrap();
    usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap()
}

/// Changes one word: mostly among those that say where everything is.
fn scribble(memory: &Range<usize>, blocks: usize, random: &mut Random) {
    let part = match random.below(4) {
        0 => 0..32 << 10,
        1 => blocks.saturating_sub(64 << 10)..blocks,
        2 => 0..blocks,
        _ => 0..memory.len(),
    };
    let offset = part.start + random.below(part.len() as u64) as usize;
    let word = (memory.start + offset / 8 * 8) as *mut u64;
    // SAFETY: aligned, and inside the mapping, which lives as long as the rank's universe.
    let old = unsafe { word.read_volatile() };
    let new = match random.below(5) {
        0 => 0,
        1 => u64::MAX,
        2 => random.next(),
        3 => random.below(300),
        _ => old ^ 1 << random.below(64),
    };
    // SAFETY: as above. Nothing in Rust borrows these bytes.
    unsafe { word.write_volatile(new) };
}
