//! Context ids that are given again: whatever a communicator has left, the next one with its ids sees none of it.

use super::{Core, Dropped, Engine, Hold};
use crate::{
    buffer::{of_slice, of_slice_mut},
    envelope::{Envelope, Pattern},
    p2p::{Awaited, Config, CreditLimits, Mode, RequestId},
    shm::{doorbell::BarrierMode, segment::Segment},
    types::{ContextId, PeerId, Tag},
};

/// Two ranks in one thread, and the communicator that both are in.
struct Job {
    engines: [Engine; 2],
    first: u32,
    holds: Vec<Hold>,
}

impl Job {
    fn new(credit: CreditLimits) -> Self {
        let segment = Segment::on_heap(2).unwrap();
        let config = Config { credit, ..Config::new(BarrierMode::Fence) };
        let engines = [0, 1].map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap());
        let mut job = Self { engines, first: 0, holds: Vec::new() };
        job.make();
        job
    }

    /// A new communicator of both.
    fn make(&mut self) {
        self.tidy();
        self.first = self.engines[0].draw_contexts(2).unwrap();
        self.holds = self.engines.iter().map(|engine| engine.hold_contexts(self.first).unwrap()).collect();
    }

    fn tidy(&self) {
        self.engines.iter().for_each(Engine::tidy_contexts);
    }

    /// Drops the communicator, and makes new ones until one has the same ids; how many were made before.
    fn remake(&mut self) -> usize {
        let old = self.first;
        for made in 0..10 {
            self.holds.clear();
            self.make();
            if self.first == old {
                return made;
            }
        }
        panic!("the ids are not given again: {:?}", self.engines.each_ref().map(Engine::held));
    }

    fn envelope(&self, bytes: usize, tag: Tag) -> Envelope {
        Envelope { context: ContextId(self.first), source: 0, tag, bytes: bytes as u64 }
    }

    fn pattern(&self) -> Pattern {
        Pattern { context: ContextId(self.first), source: None, tag: None }
    }

    /// From rank 0 to rank 1. Nobody waits for it.
    fn send_detached(&self, data: &[u8], tag: Tag, mode: Mode) {
        let [sender, _] = &self.engines;
        let id = sender.isend(PeerId(1), self.envelope(data.len(), tag), mode, of_slice(data)).unwrap();
        sender.abandon(id);
    }

    fn has_message(&self) -> bool {
        let pattern = self.pattern();
        self.engines[1].iprobe(Awaited { pattern: &pattern, from: None }).unwrap().is_some()
    }

    /// The communicator works, and has nothing of the one before.
    fn check(&self) {
        assert!(!self.has_message(), "a message of the old communicator");
        self.send_detached(b"new", 5, Mode::Standard);
        let mut into = [0u8; 8];
        let status = self.engines[1].receive(self.pattern(), None, of_slice_mut(&mut into)).unwrap();
        assert_eq!((&into[..3], status.bytes(), status.tag()), (&b"new"[..], 3, 5));
        self.engines.iter().for_each(|engine| _ = engine.step().unwrap());
        for (rank, engine) in self.engines.iter().enumerate() {
            let (requests, unexpected, _) = engine.held();
            assert_eq!((requests, unexpected), (0, 0), "rank {rank} keeps something");
        }
    }

    fn in_use(&self) -> u32 {
        self.engines[0].segment().contexts().in_use()
    }
}

fn job() -> Job {
    Job::new(CreditLimits::default())
}

/// More than is sent before it is asked for.
const LARGE: usize = 100_000;
const SIZES: [usize; 5] = [0, 20, 3000, 60_000, LARGE];

#[test]
fn ids_are_given_again_while_two_communicators_are_alive_in_turn() {
    let mut job = job();
    for _ in 0..10_000 {
        job.remake();
        assert!(job.in_use() <= 4);
    }
    job.check();
}

#[test]
fn messages_that_are_still_in_the_ring_are_thrown_away() {
    for size in SIZES {
        for mode in [Mode::Standard, Mode::Synchronous] {
            let mut job = job();
            (0..3).for_each(|tag| job.send_detached(&vec![1; size], tag, mode));
            job.remake();
            job.check();
        }
    }
}

#[test]
fn messages_in_the_unexpected_queue_are_thrown_away() {
    for size in SIZES {
        for mode in [Mode::Standard, Mode::Synchronous] {
            let mut job = job();
            (0..3).for_each(|tag| job.send_detached(&vec![1; size], tag, mode));
            assert!(job.has_message());
            job.remake();
            job.check();
        }
    }
}

#[test]
fn messages_of_other_communicators_stay() {
    let mut job = job();
    let other = Envelope { context: ContextId(0), ..job.envelope(3, 7) };
    let [sender, receiver] = &job.engines;
    for _ in 0..30 {
        sender.send(PeerId(1), other, Mode::Standard, of_slice(b"old")).unwrap();
    }
    job.send_detached(&[1; 10], 7, Mode::Standard);
    receiver.step().unwrap();
    job.remake();
    assert!(!job.has_message());
    let (pattern, mut into) = (Pattern { context: ContextId(0), source: Some(0), tag: Some(7) }, [0u8; 3]);
    for _ in 0..30 {
        let status = job.engines[1].receive(pattern, Some(PeerId(0)), of_slice_mut(&mut into)).unwrap();
        assert_eq!((status.bytes(), &into), (3, b"old"));
    }
    job.check();
}

#[test]
fn a_message_to_the_rank_itself_is_thrown_away() {
    for mode in [Mode::Standard, Mode::Synchronous] {
        let mut job = job();
        let engine = &job.engines[1];
        let envelope = Envelope { source: 1, ..job.envelope(10, 1) };
        let id = engine.isend(PeerId(1), envelope, mode, of_slice(&[1u8; 10])).unwrap();
        engine.abandon(id);
        job.remake();
        job.check();
    }
}

#[test]
fn a_send_that_waits_for_credit_keeps_the_ids_until_it_is_out() {
    let mut job = Job::new(CreditLimits { eager: 200, envelopes: 1 });
    // The first takes the eager credit, the second the envelope, and the third neither.
    (0..3).for_each(|tag| job.send_detached(&[1; 100], tag, Mode::Standard));
    let old = job.first;
    for _ in 0..5 {
        job.holds.clear();
        job.make();
        assert_ne!(job.first, old, "a message is still to come");
    }
    // Another communicator gives credit back.
    let [sender, receiver] = &job.engines;
    let pattern = Pattern { context: ContextId(old), source: None, tag: Some(0) };
    let mut into = [0u8; 100];
    receiver.receive(pattern, None, of_slice_mut(&mut into)).unwrap();
    receiver.rest();
    let pattern = Pattern { tag: Some(1), ..pattern };
    let second = receiver.ireceive(pattern, None, of_slice_mut(&mut into)).unwrap();
    for _ in 0..10 {
        sender.step().unwrap();
        receiver.step().unwrap();
        receiver.rest();
    }
    receiver.wait(second).unwrap();
    let ids: Vec<u32> = (0..3)
        .map(|_| {
            job.holds.clear();
            job.make();
            job.first
        })
        .collect();
    assert!(ids.contains(&old), "{ids:?}");
    while job.first != old {
        job.holds.clear();
        job.make();
    }
    job.check();
}

#[test]
fn half_of_a_message_is_thrown_away_and_so_is_the_rest_when_it_comes() {
    let mut job = job();
    let (data, ring) = (vec![1u8; 60_000], crate::shm::ring::CELLS as usize);
    // All but one cell of the ring is full: of the pieces of a large eager message only the first is out.
    (0..ring - 1).for_each(|_| job.send_detached(&[2], 2, Mode::Standard));
    job.send_detached(&data, 1, Mode::Standard);
    assert!(job.has_message());
    let old = job.first;
    job.holds.clear();
    job.make();
    assert_ne!(job.first, old);
    for _ in 0..10 {
        job.engines.iter().for_each(|engine| _ = engine.step().unwrap());
        job.engines[1].rest();
        job.holds.clear();
        job.make();
    }
    while job.first != old {
        job.holds.clear();
        job.make();
    }
    job.check();
}

#[test]
fn a_receive_that_was_posted_and_forgotten_takes_nothing_of_the_next_communicator() {
    let mut job = job();
    // As memory that is never freed.
    let forgotten: &mut [u8] = Vec::leak(vec![0u8; 8]);
    let _id: RequestId = job.engines[1].ireceive(job.pattern(), None, of_slice_mut(forgotten)).unwrap();
    job.remake();
    job.check();
    assert_eq!(forgotten, [0; 8]);
}

#[test]
fn announced_sends_that_nobody_can_receive_end() {
    let mut job = job();
    let data = vec![1u8; LARGE];
    let [sender, _] = &job.engines;
    let announced = sender.isend(PeerId(1), job.envelope(LARGE, 1), Mode::Standard, of_slice(&data)).unwrap();
    let synchronous =
        sender.isend(PeerId(1), job.envelope(3, 1), Mode::Synchronous, of_slice(b"old")).unwrap();
    job.remake();
    for id in [announced, synchronous] {
        assert!(job.engines[0].test(id).unwrap());
        job.engines[0].take_outcome(id).unwrap();
    }
    job.check();
}

#[test]
fn a_rank_that_leaves_frees_what_it_has_dropped_and_others_use_the_ids() {
    let mut job = job();
    job.send_detached(&[1; 10], 1, Mode::Standard);
    job.holds.clear();
    let [leaver, other] = &job.engines;
    leaver.leave().unwrap();
    assert_eq!(job.in_use(), 1, "the other one has not cleaned");
    other.tidy_contexts();
    assert_eq!(job.in_use(), 0);
    assert_eq!(other.held().1, 0);
}

#[test]
fn a_forgotten_communicator_keeps_its_ids() {
    let mut job = job();
    let kept = job.holds.pop().unwrap();
    for _ in 0..100 {
        job.holds.clear();
        let old = job.first;
        job.make();
        assert_ne!(job.first, 16, "it is not free");
        assert!(old == 16 || job.in_use() <= 5);
    }
    drop(kept);
    job.holds.clear();
    (0..3).for_each(|_| job.tidy());
    assert_eq!(job.in_use(), 0);
}

#[test]
fn a_miscount_is_corruption() {
    let job = job();
    let table = job.engines[0].segment().contexts();
    (0..2).for_each(|_| table.let_go(0).unwrap());
    drop(job.holds);
    let tidied = |core: &mut Core, dropped: &Dropped| core.tidy_contexts(dropped);
    let engine = &job.engines[1];
    let error = tidied(&mut engine.lock(), &engine.dropped).unwrap_err().to_string();
    assert!(error.contains("corrupted"), "{error}");
}
