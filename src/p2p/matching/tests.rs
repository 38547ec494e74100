//! What both queues promise: MPI's order, ids that never lie, no allocation once warm.

use super::*;
use crate::{envelope::marked, shm::contexts, types::ContextId};

const CONTEXT: ContextId = ContextId(8);

fn message(source: i32, tag: i32) -> Envelope {
    Envelope { context: CONTEXT, source, tag, bytes: 0 }
}

fn receive(source: impl Into<Option<i32>>, tag: impl Into<Option<i32>>) -> Pattern {
    Pattern { context: CONTEXT, source: source.into(), tag: tag.into() }
}

/// SplitMix64: seeded bytes for the fuzz body.
fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut word = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31).to_le_bytes()
    };
    std::iter::repeat_with(&mut word).flatten().take(count).collect()
}

#[test]
fn queues_agree_with_a_plain_search_over_random_operations() {
    for seed in 0..400 {
        let mut bytes = random_bytes(seed, 4001);
        bytes[0] = seed as u8;
        fuzz(&bytes);
    }
}

#[test]
fn deep_queues_agree_with_a_plain_search_over_random_operations() {
    for seed in 0..8 {
        let mut bytes = random_bytes(1000 + seed, 40_001);
        bytes[0] = seed as u8;
        fuzz(&bytes);
    }
}

#[test]
fn the_earliest_posted_receive_wins_among_ten_thousand_exact_ones_and_a_wildcard() {
    for wildcard in [receive(0, None), receive(None, 9_999), receive(None, None)] {
        let mut queue = PostedQueue::new();
        queue.post(wildcard, -1);
        (0..10_000).for_each(|tag| _ = queue.post(receive(0, tag), tag));
        queue.post(wildcard, -2);
        let matches: Vec<_> = (0..3).map(|_| queue.take_match(&message(0, 9_999))).collect();
        assert_eq!(matches, [Some(-1), Some(9_999), Some(-2)], "{wildcard:?} first and last");
        assert_eq!(queue.take_match(&message(0, 9_999)), None);
        assert_eq!(queue.len(), 9_999);
    }
}

#[test]
fn the_earliest_message_wins_for_every_class_of_pattern_in_a_deep_queue() {
    let mut queue = UnexpectedQueue::new();
    for number in 0..10_000 {
        queue.push(message(number % 100, number / 100), number);
    }
    let mut take = |pattern| queue.take(&pattern).map(|(_, number)| number);
    assert_eq!(take(receive(99, 99)), Some(9_999));
    assert_eq!(take(receive(None, 99)), Some(9_900));
    assert_eq!(take(receive(99, None)), Some(99));
    assert_eq!(take(receive(None, None)), Some(0));
    assert_eq!(take(receive(None, None)), Some(1));
    assert_eq!(take(receive(None, 0)), Some(2));
    assert_eq!(take(receive(2, None)), Some(102));
    assert_eq!(take(receive(99, 99)), None);
}

#[test]
fn messages_of_one_key_leave_in_the_order_in_which_they_came() {
    let mut queue = UnexpectedQueue::new();
    (0..10_000).for_each(|number| _ = queue.push(message(1, 2), number));
    for number in 0..10_000 {
        let pattern = [receive(1, 2), receive(1, None), receive(None, 2), receive(None, None)][number % 4];
        assert_eq!(queue.take(&pattern).map(|(_, message)| message), Some(number));
    }
    assert!(queue.is_empty());
}

/// The context of overlapping collectives of the same communicator.
const OVERLAPPING: ContextId = ContextId(CONTEXT.0 + contexts::OVERLAPPING);

#[test]
fn messages_with_marks_find_their_receives_at_any_depth() {
    let with_mark = |rank: i32, mark| Envelope { context: OVERLAPPING, ..message(marked(rank, mark), rank) };
    for depth in [1, SCAN_MAX as i32, 1000] {
        let (mut posted, mut unexpected) = (PostedQueue::new(), UnexpectedQueue::new());
        for rank in 0..depth {
            posted.post(Pattern { context: OVERLAPPING, ..receive(rank, rank) }, rank);
            unexpected.push(with_mark(rank, rank as u32), rank);
        }
        for rank in (0..depth).rev() {
            assert_eq!(posted.take_match(&message(marked(rank, 1), rank)), None, "a mark elsewhere");
            assert_eq!(posted.take_match(&with_mark(rank, 3)), Some(rank));
            let pattern = Pattern { context: OVERLAPPING, ..receive(rank, rank) };
            assert_eq!(unexpected.take(&pattern), Some((with_mark(rank, rank as u32), rank)));
        }
    }
}

#[test]
fn receives_of_another_context_never_match() {
    let mut queue = PostedQueue::new();
    let other = Pattern { context: ContextId(9), source: None, tag: None };
    (0..100).for_each(|number| _ = queue.post(other, number));
    assert_eq!(queue.take_match(&message(0, 0)), None);
}

#[test]
fn the_id_of_a_matched_receive_does_not_withdraw_the_one_in_its_place() {
    let mut queue = PostedQueue::new();
    let old = queue.post(receive(0, 0), 'o');
    assert_eq!(queue.take_match(&message(0, 0)), Some('o'));
    let new = queue.post(receive(0, 0), 'n');
    assert_eq!(queue.withdraw(old), None);
    assert_eq!(queue.get(old), None);
    assert_eq!(queue.get_mut(old), None);
    assert_eq!(queue.withdraw(new), Some('n'));
}

#[test]
fn the_id_of_a_taken_message_does_not_remove_the_one_in_its_place() {
    let mut queue = UnexpectedQueue::new();
    let old = queue.push(message(0, 0), 'o');
    assert_eq!(queue.take(&receive(0, 0)), Some((message(0, 0), 'o')));
    let new = queue.push(message(0, 0), 'n');
    assert_eq!(queue.remove(old), None);
    assert_eq!(queue.get(old), None);
    assert_eq!(queue.get_mut(old), None);
    assert_eq!(queue.remove(new), Some((message(0, 0), 'n')));
}

#[test]
fn a_warm_posted_queue_does_not_grow() {
    let mut queue = PostedQueue::new();
    let mut round = |first: i32| {
        for tag in first..first + 1000 {
            queue.post(receive((tag % 3 != 0).then_some(tag % 7), (tag % 5 != 0).then_some(tag)), tag);
        }
        let mut matched = 0;
        for tag in first..first + 1000 {
            matched += usize::from(queue.take_match(&message(tag % 7, tag)).is_some());
        }
        assert_eq!((matched, queue.len()), (1000, 0));
        queue.capacity()
    };
    let warm = round(0);
    for first in (1..100).map(|n| n * 1001) {
        assert_eq!(round(first), warm);
    }
}

#[test]
fn a_warm_unexpected_queue_does_not_grow() {
    let mut queue = UnexpectedQueue::new();
    let mut round = |first: i32| {
        for tag in first..first + 1000 {
            queue.push(message(tag % 7, tag), tag);
        }
        for tag in first..first + 1000 {
            let pattern = receive((tag % 3 != 0).then_some(tag % 7), (tag % 5 != 0).then_some(tag));
            queue.find(&pattern).and_then(|id| queue.remove(id)).expect("a message for every receive");
        }
        assert_eq!(queue.len(), 0);
        queue.capacity()
    };
    let warm = round(0);
    for first in (1..100).map(|n| n * 1001) {
        assert_eq!(round(first), warm);
    }
}

#[test]
fn order_holds_while_a_queue_becomes_deep_and_short_again() {
    let mut queue = UnexpectedQueue::new();
    let (mut next, mut oldest) = (0, 0);
    for depth in [SCAN_MAX as i32, SCAN_MAX as i32 + 1, 3 * SCAN_MAX as i32] {
        for short in [INDEX_MIN as i32 + 1, INDEX_MIN as i32, 1, 0] {
            // Others are before them, so that the way leads through the index.
            (0..SCAN_MAX).for_each(|_| _ = queue.push(message(9, 9), -1));
            while next - oldest < depth {
                queue.push(message(next % 3, next % 2), next);
                next += 1;
            }
            while next - oldest > short {
                let wanted = receive(Some(oldest % 3), Some(oldest % 2));
                assert_eq!(queue.take(&wanted), Some((message(oldest % 3, oldest % 2), oldest)));
                oldest += 1;
            }
            (0..SCAN_MAX)
                .for_each(|_| assert_eq!(queue.take(&receive(None, Some(9))), Some((message(9, 9), -1))));
        }
    }
}
