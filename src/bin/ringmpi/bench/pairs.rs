//! Pairs of ranks that exchange windows of messages, all at once.

use super::{
    Result,
    company::Part,
    exchange::{Pattern, Side},
    patterns::{Both, Player, Rate},
};
use ringmpi::Communicator;
use std::time::Instant;

/// Which ways the messages of a pair go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    One,
    Both,
}

/// One rank's part: the first half of the ranks are paired with the second.
pub(super) struct Pairs<'a, 'u> {
    world: &'a Communicator<'u>,
    player: Window<'a, 'u>,
    /// Of all pairs, in a round.
    messages: usize,
}

enum Window<'a, 'u> {
    One(Rate<'a, 'u>),
    Both(Both<'a, 'u>),
}

impl<'a, 'u> Pairs<'a, 'u> {
    pub(super) fn new(world: &'a Communicator<'u>, way: Way, bytes: usize) -> Self {
        let side = Side::in_pairs(world);
        let (pairs, window) = (world.size() as usize / 2, Pattern::Rate.messages(bytes));
        let (player, ways) = match way {
            Way::One => (Window::One(Rate::new(side, bytes, true)), 1),
            Way::Both => (Window::Both(Both::new(side, bytes)), 2),
        };
        Self { world, player, messages: pairs * ways * window }
    }

    fn round(&mut self) -> Result<()> {
        match &mut self.player {
            Window::One(rate) => rate.round(),
            Window::Both(both) => both.round(),
        }
    }
}

impl Part for Pairs<'_, '_> {
    /// All pairs begin together, and all have ended when the clock stops.
    fn time(&mut self, rounds: u32) -> Result<f64> {
        self.world.barrier()?;
        let start = Instant::now();
        (0..rounds).try_for_each(|_| self.round())?;
        self.world.barrier()?;
        Ok(start.elapsed().as_nanos() as f64 / f64::from(rounds.max(1)) / self.messages as f64)
    }

    fn operations(&self) -> usize {
        self.messages
    }

    fn check(&self) -> Result<()> {
        match &self.player {
            Window::One(rate) => rate.check(),
            Window::Both(both) => both.check(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pairs_exchange_right_messages_one_way_and_both() {
        let all = |world: Communicator<'_>| {
            for way in [Way::One, Way::Both] {
                for bytes in [0, 8, 1000, 100_000] {
                    let mut pairs = Pairs::new(&world, way, bytes);
                    assert!(pairs.time(2).unwrap() > 0.0);
                    pairs.check().unwrap();
                }
            }
        };
        assert_eq!(ringmpi::threads(4, all).unwrap().len(), 4);
    }
}
