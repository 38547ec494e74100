//! Models of a context record's life: two members send in an old communicator, free it, and the leader makes a
//! new one as soon as the record is free.

use super::ContextTable;
use crate::sync::{
    AtomicU32, Ordering,
    model::{check, thread},
};
use std::sync::Arc;

const OLD: u32 = 1;
const NEW: u32 = 2;

/// Mistakes that loom has to refuse.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// A member cleans although the other may still send.
    CleansEarly,
    /// A member lets go before it has sent all.
    SendsLate,
}

/// What a member has got from the other: the cells of a ring, in order. Both messages carry the same id.
#[derive(Default)]
struct Ring([AtomicU32; 2]);

impl Ring {
    fn send(&self, cell: usize, message: u32) {
        // Release: stands for RING_PUBLISH.
        self.0[cell].store(message, Ordering::Release);
    }

    fn peek(&self, cell: usize) -> Option<u32> {
        // Acquire: stands for RING_PUBLISH.
        Some(self.0[cell].load(Ordering::Acquire)).filter(|message| *message != 0)
    }
}

struct Member {
    table: ContextTable,
    rings: Arc<[Ring; 2]>,
    me: usize,
    /// Cells that it has taken out of its ring.
    taken: usize,
}

impl Member {
    /// The old communicator, from its last message until this member has nothing more of it.
    fn free(&mut self, mistake: Mistake) {
        let other = 1 - self.me;
        if mistake == Mistake::SendsLate {
            self.let_go();
        }
        self.rings[other].send(0, OLD);
        if mistake != Mistake::SendsLate {
            self.let_go();
        }
        while mistake != Mistake::CleansEarly && !self.table.is_over(0) {
            thread::yield_now();
        }
        // Nobody can receive what is there.
        while self.taken < 2 && self.rings[self.me].peek(self.taken).is_some() {
            self.taken += 1;
        }
        self.table.clean(0).expect("once a member");
    }

    fn let_go(&self) {
        self.table.let_go(0).expect("once a member");
    }

    /// The first message with the new communicator's id.
    fn receive(&mut self) -> u32 {
        loop {
            if let Some(message) = self.rings[self.me].peek(self.taken) {
                return message;
            }
            thread::yield_now();
        }
    }
}

fn run(mistake: Mistake) {
    check(move || {
        let (table, rings) = (ContextTable::on_heap(16), Arc::<[Ring; 2]>::default());
        assert_eq!(table.draw(2), Some(16));
        let member = |me| Member { table: table.clone(), rings: Arc::clone(&rings), me, taken: 0 };
        let (mut leader, mut other) = (member(0), member(1));
        let there = thread::spawn(move || {
            other.free(mistake);
            assert_eq!(other.receive(), NEW, "of the old communicator");
        });
        leader.free(mistake);
        while leader.table.take(2).is_none() {
            thread::yield_now();
        }
        assert!(!leader.table.is_over(0), "it holds two members again");
        leader.rings[1].send(1, NEW);
        there.join().expect("the member does not panic");
    });
}

#[test]
fn an_id_that_is_given_again_brings_no_old_message() {
    run(Mistake::None);
}

#[test]
#[should_panic(expected = "of the old communicator")]
fn a_member_that_cleans_before_all_have_let_go_is_refused() {
    run(Mistake::CleansEarly);
}

#[test]
#[should_panic(expected = "of the old communicator")]
fn a_member_that_lets_go_before_it_has_sent_all_is_refused() {
    run(Mistake::SendsLate);
}
