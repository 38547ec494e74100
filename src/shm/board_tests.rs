//! Tests of boards, by threads that sleep on doorbells.

use super::{
    ranks::{Rank, ranks},
    *,
};

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
        threads.into_iter().map(|thread| thread.join().expect("the member does not panic")).collect()
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
fn the_last_to_arrive_lets_all_go_and_says_whether_its_operation_is_another_one() {
    // One member is in a later operation than the others: the first time it comes last, the second time first.
    let mut boards = on_heap(3, BarrierMode::Fence, 40);
    assert!(!boards[2].enter(41));
    assert!(!boards[0].arrive(41) && !boards[1].arrive(41));
    assert_eq!((boards[0].release_from(41), boards[1].release_from(41)), (None, None));
    assert!(boards[2].arrive(42));
    boards[2].release(42);
    assert_eq!((boards[0].release_from(41), boards[1].release_from(41)), (Some(42), Some(42)));
    assert!(!boards[2].arrive(43) && !boards[0].arrive(42));
    assert_eq!((boards[2].release_from(43), boards[0].release_from(42)), (None, None));
    assert!(boards[1].arrive(42));
    boards[1].release(42);
    assert_eq!((boards[2].release_from(43), boards[0].release_from(42)), (Some(42), Some(42)));
    // Only who is in the same operation takes all for having entered it.
    assert_eq!((boards[2].missing(43), boards[0].missing(42)), (Some(0), None));
}

#[test]
fn members_in_different_operations_leave_every_counted_barrier() {
    let start = 41;
    run(3, |rank| {
        let is_ahead = rank.board.me == 0;
        if is_ahead {
            assert!(!rank.board.enter(start + 1));
        }
        for round in 1..=ROUNDS {
            let (seq, number) = (rank.board.next(), rank.pass_counted_barrier());
            assert_eq!(seq, start + round + u64::from(is_ahead));
            assert!([start + round, start + round + 1].contains(&number), "{number} in {seq}");
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
        boards[1].write_slot(seq, Readers::One(2), 8, [seq].into_iter());
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
fn members_see_who_is_in_the_same_operation_with_another_mark() {
    let mut boards = on_heap(3, BarrierMode::Fence, 0);
    for (board, mark) in boards.iter_mut().zip([7, 7, 9]) {
        board.set_mark(mark);
        assert!(!board.enter(1));
    }
    assert_eq!((boards[0].missing(1), boards[1].missing(1)), (None, None));
    let other = Some(Other { member: 2, theirs: 9, ours: 7 });
    assert_eq!(
        (boards[0].take_other(), boards[0].take_other(), boards[1].take_other()),
        (other, None, other)
    );
    assert_eq!(
        (boards[0].mark_of(2, 1), boards[0].mark_of(2, 0), boards[0].mark_of(2, 2)),
        (Some(9), None, None)
    );
    // Marks of operations that are not its own don't count.
    boards[1].set_mark(8);
    assert!(!boards[1].enter(2));
    assert_eq!((boards[1].missing(1), boards[1].missing(2), boards[1].take_other()), (None, Some(0), None));
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
