//! Jobs written by hand, each for one property; and the simulator over a few seeds.

use super::{
    context::awaited,
    job::Job,
    memory::{Memory, contents},
    plan::{AtEnd, Class, Message, Plan, Receive, ReceiveWay, SendWay, Step},
    random::Random,
};
use crate::{
    buffer::{Keep, ReceiveBuffer, SendBuffer},
    envelope::{Envelope, Pattern},
    error::Result,
    p2p::{Config, CreditLimits, Engine, MessageId, Mode, RequestId, Until, send::EAGER_BYTES},
    shm::{
        doorbell::BarrierMode,
        pool::{CLASSES, EAGER_PIECE, eager_class},
        ring::CELLS,
        segment::Segment,
        starts::Starts,
    },
    types::{ContextId, PeerId, Rank, Tag},
};
use std::time::Duration;

const CONTEXT: ContextId = ContextId(16);

fn config(eager: u64, envelopes: u64) -> Config {
    let credit = CreditLimits { eager, envelopes };
    Config { credit, test_patience: Duration::MAX, ..Config::new(BarrierMode::Fence) }
}

/// A job of one task a rank.
fn job(ranks: usize, config: Config) -> Plan {
    Plan {
        config,
        starts: Starts::ZERO,
        hidden: vec![false; ranks],
        loses_places: false,
        messages: Vec::new(),
        classes: Vec::new(),
        receives: Vec::new(),
        programs: vec![vec![Vec::new()]; ranks],
    }
}

impl Plan {
    /// Sends, and waits until the memory may be reused.
    fn send(&mut self, source: usize, dest: usize, tag: Tag, bytes: u64) {
        let message = self.messages.len();
        let envelope = Envelope { context: CONTEXT, source: source as Rank, tag, bytes };
        let (way, at_end, key) = (SendWay::Standard, AtEnd::Wait, message as u64);
        self.messages.push(Message { dest, envelope, way, is_in_arena: false, at_end, key, class: 0 });
        self.programs[source][0].extend([Step::Send { message }, Step::WaitSend { message }]);
    }

    fn receive(&mut self, dest: usize, source: usize, tag: Tag, room: u64) {
        let pattern = Pattern { context: CONTEXT, source: Some(source as Rank), tag: Some(tag) };
        let (class, receive) = (self.classes.len(), self.receives.len());
        self.classes.push(Class { pattern, dest, task: 0, messages: Vec::new(), is_contest: false, key: 0 });
        self.receives.push(Receive { class, pattern, way: ReceiveWay::Posted, room, key: receive as u64 });
        self.programs[dest][0].push(Step::Receive { receive });
    }

    fn finishes(&self) {
        for seed in 0..5 {
            let mut job = Job::new(self, Random::new(seed)).unwrap();
            job.run().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        }
    }
}

#[test]
fn a_thousand_messages_before_the_wanted_one_go_through_with_credit_for_one() {
    let mut job = job(2, config(64, 1));
    for (me, other) in [(0, 1), (1, 0)] {
        (0..1000).for_each(|_| job.send(me, other, 0, 8));
        job.send(me, other, 1, 8);
    }
    for (me, other) in [(0, 1), (1, 0)] {
        job.receive(me, other, 1, 8);
        (0..1000).for_each(|_| job.receive(me, other, 0, 8));
    }
    job.finishes();
}

#[test]
fn ranks_in_a_ring_that_all_send_before_they_receive_finish() {
    let mut job = job(5, config(200, 2));
    for me in 0..5 {
        (0..50).for_each(|number| job.send(me, (me + 1) % 5, number, 300));
    }
    for me in 0..5 {
        (0..50).rev().for_each(|number| job.receive(me, (me + 4) % 5, number, 300));
    }
    job.finishes();
}

#[test]
fn a_rank_that_waits_behind_a_chain_of_ranks_is_freed() {
    let mut job = job(3, config(64, 1));
    (0..20).for_each(|_| job.send(0, 1, 0, 100));
    job.send(0, 2, 7, 8);
    job.receive(2, 0, 7, 8);
    job.send(2, 1, 1, 8);
    job.receive(1, 2, 1, 8);
    (0..20).for_each(|_| job.receive(1, 0, 0, 100));
    job.finishes();
}

#[test]
fn the_first_seeds_go_well() {
    for seed in 0..100 {
        if let Err(wrong) = super::run(seed) {
            panic!("seed {seed}: {wrong}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_job() {
    for seed in 0..30 {
        let [first, second] = [(); 2].map(|()| super::run(seed).unwrap());
        assert_eq!(
            (first.attempts, first.reached.seen),
            (second.attempts, second.reached.seen),
            "seed {seed}"
        );
    }
}

fn engines(ranks: usize, config: Config) -> Vec<Engine> {
    let segment = Segment::on_heap(ranks).unwrap();
    (0..ranks as u32).map(|me| Engine::new(&segment, PeerId(me), config).unwrap()).collect()
}

fn envelope(source: u32, tag: Tag, bytes: u64) -> Envelope {
    Envelope { context: CONTEXT, source: source as Rank, tag, bytes }
}

fn pattern(source: u32, tag: Tag) -> Pattern {
    Pattern { context: CONTEXT, source: Some(source as Rank), tag: Some(tag) }
}

fn send(from: &Engine, to: u32, tag: Tag, memory: &Memory) -> RequestId {
    let envelope = envelope(from.me().0, tag, memory.packed_bytes());
    from.isend(PeerId(to), envelope, Mode::Standard, memory.send_buffer()).unwrap()
}

fn filled(key: u64, bytes: u64) -> Memory {
    let mut memory = Memory::new(key, bytes);
    memory.fill(&contents(key, bytes));
    memory
}

/// Receives into new memory and steps all engines until that has ended.
fn receive(engines: &[Engine], at: usize, pattern: Pattern, room: u64) -> (Result<u64>, Memory) {
    let mut memory = Memory::new(99, room);
    let from = pattern.source.map(|source| PeerId(source as u32));
    let id = engines[at].ireceive(pattern, from, memory.receive_buffer()).unwrap();
    (end(engines, at, id), memory)
}

fn end(engines: &[Engine], at: usize, id: RequestId) -> Result<u64> {
    for _ in 0..100 {
        engines.iter().for_each(|engine| _ = engine.step().unwrap());
    }
    engines[at].take_outcome(id).map(|status| status.bytes())
}

#[test]
fn a_rank_may_wait_for_a_small_send_to_itself_before_it_receives() {
    let engines = engines(1, config(1000, 1));
    let mut memory = filled(5, 100);
    let id = send(&engines[0], 0, 3, &memory);
    assert!(engines[0].test(id).unwrap());
    memory.scribble();
    let (outcome, received) = receive(&engines, 0, pattern(0, 3), 100);
    assert_eq!(outcome.unwrap(), 100);
    received.check(&contents(5, 100)).unwrap();
}

#[test]
fn memory_that_comes_with_a_detached_send_is_not_sent_from_once_it_has_been_copied() {
    let engines = engines(2, config(64, 1));
    let first = filled(1, 100);
    send(&engines[0], 1, 0, &first);
    let memory = filled(2, 100);
    let id = send(&engines[0], 1, 1, &memory);
    assert!(!engines[0].test(id).unwrap());
    // Rank 1 waits for a message that rank 0 has not sent yet: the second send is copied aside.
    engines[1].step_cycle(Until::Message(awaited(&pattern(0, 7)))).unwrap();
    engines[0].step_cycle(Until::Request(id)).unwrap();
    assert!(engines[0].step_is(&Until::Request(id)));
    engines[0].detach(id, Some(memory.into_keep()));
    let _reuses_the_memory_if_any: Vec<Memory> = (0..50).map(|_| filled(3, 100)).collect();
    for (tag, key) in [(0, 1), (1, 2)] {
        let (outcome, received) = receive(&engines, 1, pattern(0, tag), 100);
        assert_eq!(outcome.unwrap(), 100);
        received.check(&contents(key, 100)).unwrap();
    }
    assert_eq!(engines[0].held(), (0, 0, 0));
}

#[test]
fn a_copy_outlives_the_memory_that_is_handed_over_after_it() {
    let bytes = contents(1, 64);
    let mut buffer = SendBuffer::contiguous(bytes.as_ptr(), 64);
    buffer.own();
    buffer.keep(Keep::from(vec![0; 64]));
    drop(bytes);
    assert_eq!(buffer.pack_all(), contents(1, 64));
}

/// Two ranks, and a message of four pieces of which rank 1 has only the first two.
fn half_sent(mode: Mode) -> Vec<Engine> {
    let engines = engines(2, config(1 << 20, 1));
    let small = filled(1, 8);
    (0..CELLS - 2).for_each(|_| _ = send(&engines[0], 1, 0, &small));
    let large = filled(2, EAGER_BYTES);
    let facts = envelope(0, 1, EAGER_BYTES);
    let id = engines[0].isend(PeerId(1), facts, mode, large.send_buffer()).unwrap();
    assert!(!engines[0].step_is(&Until::Request(id)), "there is room for the whole message");
    engines[0].detach(id, Some(large.into_keep()));
    assert!(engines[1].step().unwrap());
    engines
}

fn assert_nothing_is_left(engines: &[Engine]) {
    engines.iter().for_each(Engine::rest);
    engines.iter().for_each(|engine| engine.check_idle().unwrap());
    assert_eq!((engines[0].held(), engines[1].held()), ((0, 0, 0), (0, 0, 0)));
}

fn take_half_sent(engine: &Engine) -> MessageId {
    let (message, status) = engine.improbe(awaited(&pattern(0, 1))).unwrap().expect("its envelope has come");
    assert_eq!(status.bytes(), EAGER_BYTES);
    message
}

/// Nothing else has been harmed.
fn drain(engines: &[Engine]) {
    for _ in 0..CELLS - 2 {
        let (outcome, received) = receive(engines, 1, pattern(0, 0), 8);
        assert_eq!(outcome.unwrap(), 8);
        received.check(&contents(1, 8)).unwrap();
    }
    assert_nothing_is_left(engines);
}

#[test]
fn a_message_that_is_half_sent_goes_to_the_receive_that_takes_it() {
    for mode in [Mode::Standard, Mode::Synchronous] {
        let engines = half_sent(mode);
        let (outcome, received) = receive(&engines, 1, pattern(0, 1), EAGER_BYTES + 5);
        assert_eq!(outcome.unwrap(), EAGER_BYTES);
        received.check(&contents(2, EAGER_BYTES)).unwrap();
        drain(&engines);
    }
}

#[test]
fn a_message_that_is_half_sent_arrives_after_a_probe_has_taken_it() {
    for arrives_before in [true, false] {
        let engines = half_sent(Mode::Standard);
        let message = take_half_sent(&engines[1]);
        if arrives_before {
            engines.iter().for_each(|engine| _ = engine.step().unwrap());
        }
        let mut memory = Memory::new(7, EAGER_BYTES);
        let id = engines[1].imreceive(message, memory.receive_buffer()).unwrap();
        assert_eq!(end(&engines, 1, id).unwrap(), EAGER_BYTES);
        memory.check(&contents(2, EAGER_BYTES)).unwrap();
        drain(&engines);
    }
}

#[test]
fn a_message_that_is_half_sent_may_be_too_long_or_thrown_away() {
    let engines = half_sent(Mode::Standard);
    let (outcome, received) = receive(&engines, 1, pattern(0, 1), EAGER_BYTES - 1);
    let facts = outcome.unwrap_err().as_truncated().unwrap();
    assert_eq!((facts.sent, facts.room), (EAGER_BYTES, EAGER_BYTES - 1));
    received.check(&[]).unwrap();
    drain(&engines);

    let engines = half_sent(Mode::Standard);
    let message = take_half_sent(&engines[1]);
    engines[1].discard_message(message).unwrap();
    end(&engines, 1, RequestId::COMPLETE).unwrap();
    drain(&engines);
}

/// Rank 1 keeps them; none of them waits for that.
fn send_unexpected(engines: &[Engine], tag: Tag, count: u64, bytes: u64) {
    for number in 0..count {
        let id = send(&engines[0], 1, tag, &filled(number, bytes));
        assert_eq!(id, RequestId::COMPLETE, "message {number} of {bytes} bytes is not sent eagerly");
        assert!(engines[1].step().unwrap());
    }
}

fn receive_unexpected(engines: &[Engine], tag: Tag, count: u64, bytes: u64) {
    for number in 0..count {
        let (outcome, received) = receive(engines, 1, pattern(0, tag), bytes);
        assert_eq!(outcome.unwrap(), bytes);
        received.check(&contents(number, bytes)).unwrap();
    }
}

#[test]
fn unexpected_messages_leave_their_sender_most_blocks_of_their_class() {
    for bytes in [41, 256, 257, 2048, 2049, 16_384, 16_385, EAGER_BYTES] {
        let engines = engines(2, config(64 << 20, 1));
        let class = eager_class(bytes).unwrap_or(EAGER_PIECE);
        let count = u64::from(CLASSES[class].blocks) + 100;
        send_unexpected(&engines, 0, count, bytes);
        let out = engines[0].held().2;
        assert!(out <= CLASSES[class].blocks as usize / 2, "{out} blocks are out with {bytes} bytes each");
        receive_unexpected(&engines, 0, count, bytes);
        assert_nothing_is_left(&engines);
    }
}

#[test]
fn a_message_takes_a_larger_block_when_those_of_its_size_are_all_out() {
    let engines = engines(2, config(64 << 20, 1));
    let smallest = u64::from(CLASSES[0].blocks);
    // What probes have taken stays in its blocks.
    let taken: Vec<MessageId> = (0..smallest)
        .map(|_| {
            send_unexpected(&engines, 0, 1, 100);
            engines[1].improbe(awaited(&pattern(0, 0))).unwrap().expect("it has come").0
        })
        .collect();
    send_unexpected(&engines, 1, 500, 100);
    receive_unexpected(&engines, 1, 500, 100);
    for message in taken {
        engines[1].discard_message(message).unwrap();
    }
    assert_nothing_is_left(&engines);
}

#[test]
fn a_ring_may_be_silent_for_longer_than_its_polls_can_be_counted() {
    let engines = engines(2, config(1000, 1));
    let memory = filled(1, 8);
    for round in 0..2 {
        send(&engines[1], 0, round, &memory);
        assert_eq!(receive(&engines, 0, pattern(1, round), 8).0.unwrap(), 8);
        engines[0].inspect(|core| core.peers[1].silent_polls = u32::MAX - 100);
        (0..200).for_each(|_| _ = engines[0].step().unwrap());
    }
}

#[test]
fn a_ring_that_has_been_silent_for_long_is_heard_again() {
    const RANKS: u32 = 7;
    let engines = engines(RANKS as usize, config(1000, 1));
    let (memory, mut word) = (filled(1, 8), [0u8; 8]);
    for round in 0..3 {
        for from in 1..RANKS {
            send(&engines[from as usize], 0, round, &memory);
            let buffer = ReceiveBuffer::contiguous(word.as_mut_ptr(), 8);
            let id = engines[0].ireceive(pattern(from, round), Some(PeerId(from)), buffer).unwrap();
            engines[0].step().unwrap();
            assert_eq!(engines[0].take_outcome(id).unwrap().bytes(), 8, "from {from} in round {round}");
        }
        (0..25_000).for_each(|_| _ = engines[0].step().unwrap());
        assert!(engines[0].inspect(|core| core.disarmed.len()) > 1, "a few are always polled");
    }
}
