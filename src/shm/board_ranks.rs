//! Collectives that do nothing but take the steps on a board, for its tests and models.

use super::*;
use crate::shm::doorbell::{self, Doorbell, sleep_until};

/// What a root takes care of before it writes a window, and a member before it writes its slot.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(loom), expect(dead_code, reason = "only models break the rule"))]
pub(super) enum Reuse {
    /// The rule.
    Waits,
    /// As if what was used in the operation before last were free already.
    Overwrites,
    /// As the rule, but the others don't learn that somebody waits.
    WaitsUnannounced,
}

/// A member that sleeps on its doorbell whenever it has to wait.
pub(super) struct Rank {
    pub(super) board: Board,
    bells: Vec<Doorbell>,
    pub(super) reuse: Reuse,
}

pub(super) fn ranks(members: usize, start: u64) -> Vec<Rank> {
    let mode = BarrierMode::Fence;
    let bells: Vec<Doorbell> = (0..members).map(|_| doorbell::on_heap(members, mode)).collect();
    let rank = |board| Rank { board, bells: bells.clone(), reuse: Reuse::Waits };
    on_heap(members, mode, start).into_iter().map(rank).collect()
}

impl Rank {
    #[cfg(loom)]
    pub(super) fn me(&self) -> usize {
        self.board.me
    }

    #[cfg(loom)]
    pub(super) fn members(&self) -> usize {
        self.bells.len()
    }

    fn sleep_until(&mut self, mut holds: impl FnMut(&mut Board) -> bool) {
        sleep_until(&self.bells[self.board.me], || holds(&mut self.board));
    }

    fn ring_all(&self) {
        let others = (0..self.bells.len()).filter(|&member| member != self.board.me);
        others.for_each(|member| self.bells[member].ring());
    }

    fn sleep_until_free(&mut self, mut is_free: impl FnMut(&mut Board) -> bool) {
        if self.reuse == Reuse::Overwrites || is_free(&mut self.board) {
            return;
        }
        let is_announced = self.reuse == Reuse::Waits;
        if is_announced {
            self.board.begin_reuse_wait();
        }
        self.sleep_until(is_free);
        if is_announced {
            self.board.end_reuse_wait();
        }
    }

    pub(super) fn barrier_by_flags(&mut self) {
        let seq = self.board.next();
        let _ = self.board.enter(seq);
        self.ring_all();
        self.sleep_until(|board| board.missing(seq).is_none());
    }

    pub(super) fn barrier_by_count(&mut self) {
        let seq = self.board.next();
        assert_eq!(self.pass_counted_barrier(), seq);
    }

    /// The number of the operation in which the last member has come to it.
    pub(super) fn pass_counted_barrier(&mut self) -> u64 {
        let seq = self.board.next();
        if self.board.arrive(seq) {
            self.board.release(seq);
            self.ring_all();
            return seq;
        }
        let mut released = None;
        self.sleep_until(|board| {
            released = board.release_from(seq);
            released.is_some()
        });
        released.expect("it is what this member has waited for")
    }

    /// The first word of what the root had as `value`.
    pub(super) fn broadcast(&mut self, root: usize, value: u64) -> u64 {
        let seq = self.board.next();
        if self.board.me == root {
            self.sleep_until_free(|board| board.window_reader(seq).is_none());
            self.board.write_window(seq, value, [value].into_iter());
            let _ = self.board.enter(seq);
            self.ring_all();
            return value;
        }
        if self.board.enter(seq) {
            self.ring_all();
        }
        self.sleep_until(|board| board.has_entered(root, seq));
        let seen = self.board.read_window(seq).next().expect("a window has words");
        assert_eq!(self.board.window_label(seq), seen, "the label is that of the words");
        seen
    }

    /// At the root: every member's words, in rank order.
    pub(super) fn reduce(&mut self, root: usize, words: &[u64]) -> Vec<Vec<u64>> {
        let seq = self.board.next();
        if self.board.me != root {
            self.contribute(seq, Readers::One(root), words);
            if self.board.enter(seq) {
                self.ring_all();
            } else {
                self.bells[root].ring();
            }
            return vec![];
        }
        if self.board.enter(seq) {
            self.ring_all();
        }
        self.collect(seq, words)
    }

    /// Every member's words, in rank order.
    pub(super) fn reduce_to_all(&mut self, words: &[u64]) -> Vec<Vec<u64>> {
        let seq = self.board.next();
        self.contribute(seq, Readers::All, words);
        let _ = self.board.enter(seq);
        self.ring_all();
        self.collect(seq, words)
    }

    fn contribute(&mut self, seq: u64, readers: Readers, words: &[u64]) {
        self.sleep_until_free(|board| board.slot_reader(seq).is_none());
        self.board.write_slot(seq, readers, Self::label(words), words.iter().copied());
    }

    /// Some number that tells the words from those of other operations.
    fn label(words: &[u64]) -> u64 {
        words.last().map_or(0, |word| *word)
    }

    fn collect(&mut self, seq: u64, own: &[u64]) -> Vec<Vec<u64>> {
        let members = 0..self.bells.len();
        let mut all = vec![];
        for member in members {
            if member == self.board.me {
                all.push(own.to_vec());
                continue;
            }
            self.sleep_until(|board| board.has_entered(member, seq));
            let seen: Vec<u64> = self.board.read_slot(member, seq).take(own.len()).collect();
            let label = Self::label(&seen);
            assert_eq!(self.board.slot_label(member, seq), label, "the label is that of the words");
            all.push(seen);
        }
        all
    }
}
