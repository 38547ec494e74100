//! Collectives that do nothing but take the steps on a board, for its tests and models.

use super::*;
use crate::shm::doorbell::{self, Doorbell, sleep_until};

/// What a root takes care of before it writes a window, and a member before it writes its slot.
#[derive(Clone, Copy, PartialEq, Eq)]
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
        if self.board.arrive(seq) {
            self.board.release(seq);
            self.ring_all();
        } else {
            self.sleep_until(|board| board.is_released(seq));
        }
    }

    /// The first word of what the root had as `value`.
    pub(super) fn broadcast(&mut self, root: usize, value: u64) -> u64 {
        let seq = self.board.next();
        if self.board.me == root {
            self.sleep_until_free(|board| board.window_reader(seq).is_none());
            self.board.write_window(seq, [value].into_iter());
            let _ = self.board.enter(seq);
            self.ring_all();
            return value;
        }
        if self.board.enter(seq) {
            self.ring_all();
        }
        self.sleep_until(|board| board.has_entered(root, seq));
        self.board.read_window(seq).next().unwrap()
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
        self.board.write_slot(seq, readers, words.iter().copied());
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
            all.push(self.board.read_slot(member, seq).take(own.len()).collect());
        }
        all
    }
}

#[cfg(not(loom))]
mod tests {
    use super::*;

    const ROUNDS: u64 = 3000;

    /// A number that all members agree on and that looks random.
    fn draw(round: u64) -> u64 {
        round
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            >> 33
    }

    fn words_of(member: usize, round: u64) -> Vec<u64> {
        let count = draw(round) as usize % (SLOT_WORDS + 1);
        (0..count as u64).map(|index| round << 16 | (member as u64) << 8 | index).collect()
    }

    fn take_part(rank: &mut Rank, members: usize, round: u64) {
        let root = draw(round * 2) as usize % members;
        let all = || (0..members).map(|member| words_of(member, round)).collect::<Vec<_>>();
        match draw(round) % 5 {
            0 => rank.barrier_by_flags(),
            1 => rank.barrier_by_count(),
            2 => assert_eq!(rank.broadcast(root, if rank.board.me == root { round } else { 0 }), round),
            3 => {
                let seen = rank.reduce(root, &words_of(rank.board.me, round));
                assert_eq!(seen, if rank.board.me == root { all() } else { vec![] }, "round {round}");
            }
            _ => assert_eq!(rank.reduce_to_all(&words_of(rank.board.me, round)), all(), "round {round}"),
        }
    }

    fn run(members: usize, body: impl Fn(&mut Rank) + Sync) -> Vec<Rank> {
        std::thread::scope(|scope| {
            let start = |mut rank: Rank| {
                let body = &body;
                scope.spawn(move || {
                    body(&mut rank);
                    rank
                })
            };
            let threads: Vec<_> = ranks(members, 41).into_iter().map(start).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn a_random_sequence_of_collectives_gives_every_member_what_the_others_put_there() {
        for members in [1, 2, 3, 5] {
            run(members, |rank| (0..ROUNDS).for_each(|round| take_part(rank, members, round)));
        }
    }

    #[test]
    fn nobody_leaves_a_barrier_before_all_have_come() {
        let arrived: Vec<AtomicU64> = (0..ROUNDS).map(|_| AtomicU64::new(0)).collect();
        run(3, |rank| {
            for (round, count) in arrived.iter().enumerate() {
                count.fetch_add(1, Ordering::SeqCst);
                if round % 3 == 0 {
                    rank.barrier_by_flags()
                } else {
                    rank.barrier_by_count()
                }
                assert_eq!(count.load(Ordering::SeqCst), 3);
            }
        });
    }

    #[test]
    fn the_last_member_to_leave_and_only_that_one_gives_the_board_back() {
        let last = run(4, Rank::barrier_by_flags).into_iter().map(|rank| rank.board.leave());
        assert_eq!(last.collect::<Vec<_>>(), [false, false, false, true]);
    }

    #[test]
    fn a_window_is_written_again_only_after_its_readers_have_entered_the_operation_between() {
        let mut boards = on_heap(3, BarrierMode::Fence, 0);
        for seq in 1..=2 {
            assert!(boards.iter_mut().skip(1).all(|board| !board.enter(seq)));
            assert_eq!(boards[0].window_reader(seq), None);
            assert!(!boards[0].enter(seq));
        }
        assert_eq!(boards[0].window_reader(3), None);
        assert!(!boards[0].enter(3));
        assert_eq!(boards[0].window_reader(4), Some(1));
        assert!(!boards[1].enter(3));
        assert_eq!(boards[0].window_reader(4), Some(2));
        assert!(!boards[2].enter(3));
        assert_eq!(boards[0].window_reader(4), None);
    }

    #[test]
    fn a_slot_is_written_again_only_after_its_reader_has_entered_the_operation_between() {
        let mut boards = on_heap(3, BarrierMode::Fence, 0);
        for seq in 1..=2 {
            assert_eq!(boards[1].slot_reader(seq), None);
            boards[1].write_slot(seq, Readers::One(2), [seq].into_iter());
            assert!(!boards[1].enter(seq));
        }
        assert_eq!(boards[1].slot_reader(3), Some((2, 2)));
        assert!(!boards[2].enter(1));
        assert_eq!(boards[1].slot_reader(3), Some((2, 2)));
        assert!(!boards[2].enter(2));
        assert_eq!(boards[1].slot_reader(3), None);
    }

    #[test]
    fn members_that_enter_learn_of_those_that_wait_to_reuse() {
        let mut boards = on_heap(2, BarrierMode::Fence, 7);
        boards[0].begin_reuse_wait();
        assert!(boards[1].enter(8));
        boards[0].end_reuse_wait();
        assert!(!boards[1].enter(9));
    }

    #[test]
    fn a_board_taken_again_shows_nothing_of_its_last_use() {
        let segment = Segment::on_heap(2).unwrap();
        let place = |me| Place { board: 3, members: 2, me };
        let mode = BarrierMode::Fence;
        let mut first = Board::create(&segment, place(0), mode, 0);
        let mut second = Board::attach(&segment, place(1), mode, 0);
        (1..=9).for_each(|seq| assert!(!first.enter(seq) && !second.enter(seq)));
        assert!(!first.arrive(10));
        assert!(!first.leave() && second.leave());
        let mut first = Board::create(&segment, place(0), mode, 0);
        let second = Board::attach(&segment, place(1), mode, 0);
        assert_eq!((first.missing(1), second.has_entered(0, 1), first.arrive(1)), (Some(1), false, false));
        assert!(!first.leave() && second.leave());
    }
}
