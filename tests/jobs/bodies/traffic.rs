//! Random traffic: every rank sends messages of all sizes to all ranks, in every way, while it receives.

use super::{assert_same, bytes};
use crate::random::{Random, seed};
use ringmpi::{Communicator, Request, Result, Source};

const MESSAGES: u64 = 600;

/// The messages of one sender, which sender and receivers compute from the seed: to whom, how long.
fn plan(seed: u64, source: i32, size: i32) -> Vec<(i32, usize)> {
    let mut random = Random::new(seed ^ (source as u64) << 32);
    (0..MESSAGES / size as u64).map(|_| (random.below(size as u64) as i32, random.size())).collect()
}

pub(crate) fn random_traffic(world: &Communicator<'_>) -> Result<()> {
    let mut agreed = [seed()];
    world.broadcast_into(&mut agreed, 0)?;
    if world.rank() == 0 {
        println!("seed {}", agreed[0]);
    }
    round(world, agreed[0])
}

/// Until the process is killed.
pub(crate) fn endless_traffic(world: &Communicator<'_>) -> Result<()> {
    (0..).try_for_each(|seed| round(world, seed))
}

fn round(world: &Communicator<'_>, seed: u64) -> Result<()> {
    let mut inbox = Inbox::new(world, seed);
    let mut sends = Vec::new();
    for (number, (to, len)) in plan(seed, world.rank(), world.size()).into_iter().enumerate() {
        let to = world.process_at_rank(to);
        let data = bytes(world.rank(), number, len);
        match number % 4 {
            0 => to.buffered_send(&data)?,
            1 => sends.push(to.immediate_synchronous_send(data)?),
            2 => drop(to.immediate_send(data)?),
            _ => sends.push(to.immediate_send(data)?),
        }
        // What has not been sent yet must not be waited for: its sender may wait for this rank.
        if number % 3 == 0
            && let Some(message) = world.any_process().immediate_matched_probe()?
        {
            let source = message.status().source();
            inbox.take(source, &message.receive_vec()?);
        }
    }
    while inbox.has_more() {
        inbox.receive(world)?;
    }
    sends.into_iter().try_for_each(|sending: Request<'_, Vec<u8>>| sending.wait().map(drop))?;
    world.barrier()
}

/// What is still to come, by sender: number and length of each message.
struct Inbox(Vec<std::collections::VecDeque<(usize, usize)>>);

impl Inbox {
    fn new(world: &Communicator<'_>, seed: u64) -> Self {
        let to_me = |source| {
            let plan = plan(seed, source, world.size()).into_iter().enumerate();
            plan.filter(|(_, (to, _))| *to == world.rank()).map(|(number, (_, len))| (number, len)).collect()
        };
        Self((0..world.size()).map(to_me).collect())
    }

    fn has_more(&self) -> bool {
        self.0.iter().any(|source| !source.is_empty())
    }

    fn take(&mut self, source: i32, data: &[u8]) {
        let (number, len) = self.0[source as usize].pop_front().expect("more messages than planned");
        assert_same(data, &bytes(source, number, len));
    }

    /// From the sender with the longest queue, or from any.
    fn receive(&mut self, world: &Communicator<'_>) -> Result<()> {
        let left = |source: &i32| self.0[*source as usize].len();
        let source = (0..world.size()).max_by_key(left).expect("a communicator has a rank");
        let (data, status) = match left(&source) % 3 {
            0 => world.process_at_rank(source).receive_vec::<u8>()?,
            1 => world.any_process().immediate_receive::<u8>(1 << 21)?.wait_status()?,
            _ => world.any_process().receive_vec::<u8>()?,
        };
        self.take(status.source(), &data);
        Ok(())
    }
}
