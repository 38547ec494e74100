//! Models of boards: members that sleep on their doorbells (FENCE mode) whenever they have to wait.

use super::ranks::{Rank, Reuse, ranks};
use crate::sync::model::{CheckedCell, check, thread};
use std::sync::Arc;

/// Every member runs the script in a thread of its own.
fn run(members: usize, reuse: Reuse, script: fn(&mut Rank)) {
    check(move || {
        let mut ranks = ranks(members, 0);
        ranks.iter_mut().for_each(|rank| rank.reuse = reuse);
        let mut here = ranks.remove(0);
        let there: Vec<_> =
            ranks.into_iter().map(|mut rank| thread::spawn(move || script(&mut rank))).collect();
        script(&mut here);
        there.into_iter().for_each(|thread| thread.join().expect("the member does not panic"));
    });
}

/// What every word on the board tells: the operation that it is for, and whose it is.
fn token(operation: u64, member: usize) -> u64 {
    operation * 10 + member as u64
}

fn broadcast(rank: &mut Rank, operation: u64, root: usize) {
    let own = token(operation, rank.me());
    assert_eq!(rank.broadcast(root, own), token(operation, root));
}

fn reduce(rank: &mut Rank, operation: u64, root: usize) {
    let words = |member| vec![token(operation, member), !token(operation, member)];
    let seen = rank.reduce(root, &words(rank.me()));
    let all: Vec<_> = (0..rank.members()).map(words).collect();
    assert!(seen.is_empty() && rank.me() != root || seen == all);
}

fn reduce_to_all(rank: &mut Rank, operation: u64) {
    let own = [token(operation, rank.me())];
    let all: Vec<_> = (0..rank.members()).map(|member| vec![token(operation, member)]).collect();
    assert_eq!(rank.reduce_to_all(&own), all);
}

fn broadcasts(rank: &mut Rank) {
    (1..=4).for_each(|operation| broadcast(rank, operation, 0));
}

fn reductions(rank: &mut Rank) {
    (1..=4).for_each(|operation| reduce(rank, operation, 0));
}

#[test]
fn a_root_that_runs_ahead_stops_at_the_window() {
    run(2, Reuse::Waits, broadcasts);
}

#[test]
fn a_member_that_runs_ahead_stops_at_its_slot() {
    run(2, Reuse::Waits, reductions);
}

#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn a_window_overwritten_one_operation_early_is_refused() {
    run(2, Reuse::Overwrites, broadcasts);
}

#[test]
#[should_panic(expected = "assertion failed: seen")]
fn a_slot_overwritten_one_operation_early_is_refused() {
    run(2, Reuse::Overwrites, reductions);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wait_for_the_window_that_nobody_knows_of_is_refused() {
    run(2, Reuse::WaitsUnannounced, broadcasts);
}

#[test]
fn a_barrier_by_flags_then_collectives_with_different_roots() {
    run(2, Reuse::Waits, |rank| {
        rank.barrier_by_flags();
        broadcast(rank, 2, 0);
        reduce(rank, 3, 1);
        broadcast(rank, 4, 1);
        reduce(rank, 5, 0);
    });
}

#[test]
fn a_counted_barrier_then_collectives_with_different_roots() {
    run(2, Reuse::Waits, |rank| {
        rank.barrier_by_count();
        broadcast(rank, 2, 1);
        reduce(rank, 3, 0);
        rank.barrier_by_count();
        reduce(rank, 5, 0);
        broadcast(rank, 6, 1);
    });
}

/// Every member writes its own cell before the barrier and reads all after it; loom refuses accesses
/// that the barriers do not order.
fn check_order(members: usize, barrier: fn(&mut Rank)) {
    check(move || {
        let cells: Arc<Vec<_>> = Arc::new((0..members).map(|_| CheckedCell::new(0)).collect());
        let script = move |mut rank: Rank, cells: Arc<Vec<CheckedCell<u64>>>| {
            for round in 1..=2 {
                // SAFETY: loom checks that nobody else accesses the cell.
                cells[rank.me()].with_mut(|cell| unsafe { *cell = round });
                barrier(&mut rank);
                for cell in &*cells {
                    // SAFETY: loom checks that nobody writes the cell at the same time.
                    assert_eq!(cell.with(|cell| unsafe { *cell }), round);
                }
                barrier(&mut rank);
            }
        };
        let start = |rank| {
            let cells = Arc::clone(&cells);
            thread::spawn(move || script(rank, cells))
        };
        let threads: Vec<_> = ranks(members, 0).into_iter().map(start).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("the member does not panic"));
    });
}

#[test]
fn barriers_by_flags_order_what_the_members_do() {
    check_order(2, Rank::barrier_by_flags);
}

#[test]
fn counted_barriers_order_what_the_members_do() {
    check_order(2, Rank::barrier_by_count);
}

#[test]
fn members_in_different_operations_leave_counted_barriers_with_the_number_of_the_last() {
    check(|| {
        let script = |mut rank: Rank, earlier: u64| {
            (1..=earlier).for_each(|seq| assert!(!rank.board.enter(seq)));
            [(); 2].map(|()| rank.pass_counted_barrier())
        };
        let threads: Vec<_> = (0..)
            .zip(ranks(2, 0))
            .map(|(earlier, rank)| thread::spawn(move || script(rank, earlier)))
            .collect();
        let numbers: Vec<_> =
            threads.into_iter().map(|thread| thread.join().expect("the member does not panic")).collect();
        // Each barrier has one last member, and the other one learns its number.
        assert_eq!(numbers[0], numbers[1]);
        assert!((1..=2).contains(&numbers[0][0]) && (2..=3).contains(&numbers[0][1]));
    });
}

#[test]
fn reductions_to_all_reuse_their_slots() {
    run(2, Reuse::Waits, |rank| (1..=3).for_each(|operation| reduce_to_all(rank, operation)));
}

#[test]
fn three_members_pass_a_counted_barrier_and_a_broadcast() {
    run(3, Reuse::Waits, |rank| {
        rank.barrier_by_count();
        broadcast(rank, 2, 1);
    });
}

#[test]
fn three_members_pass_a_barrier_by_flags() {
    run(3, Reuse::Waits, Rank::barrier_by_flags);
}
