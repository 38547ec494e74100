//! Models of the ring (of 2 cells), alone and with blocks and doorbells (FENCE mode).

use super::{CELLS, Consumer, Producer, on_heap};
use crate::{
    shm::{
        doorbell::{self, BarrierMode, Doorbell, sleep_until},
        far::Far,
        pool::{BLOCKS, Block, Pool, release},
    },
    sync::{
        AtomicU32,
        model::{CheckedCell, check, thread},
    },
};
use std::sync::Arc;

/// A ring's last lap before the 31-bit sequence wraps to that of the first, at its last cell.
const JUST_BELOW_WRAP: u64 = ((1 << 31) - 1) * CELLS + CELLS - 1;

/// What stands beside every cell, or in every block: loom refuses any access that is not ordered with
/// the one before.
type Contents = Arc<Vec<CheckedCell<u64>>>;

fn contents() -> Contents {
    Arc::new((0..CELLS).map(|_| CheckedCell::new(0)).collect())
}

fn write(contents: &Contents, index: u64, value: u64) {
    // SAFETY: loom checks that nobody else accesses the cell.
    contents[index as usize].with_mut(|content| unsafe { *content = value });
}

fn read(contents: &Contents, index: u64) -> u64 {
    // SAFETY: loom checks that nobody writes the cell at the same time.
    contents[index as usize].with(|content| unsafe { *content })
}

fn send(producer: &mut Producer, beside: &Contents, number: u64) {
    while producer.find_room() != Ok(true) {
        thread::yield_now();
    }
    write(beside, producer.tail() % CELLS, number);
    producer.push(number as u32, &[number, !number]);
}

fn receive(consumer: &mut Consumer, beside: &Contents) -> (u32, u64, u64, u64) {
    let head = loop {
        match consumer.peek() {
            Some(head) => break head,
            None => thread::yield_now(),
        }
    };
    (head, consumer.word(1), consumer.word(2), read(beside, consumer.head % CELLS))
}

fn packets_cross(start: u64, count: u64, publishes_early: bool) {
    check(move || {
        let (mut producer, mut consumer) = on_heap(start);
        let beside = contents();
        let there = Arc::clone(&beside);
        let sender = thread::spawn(move || (0..count).for_each(|number| send(&mut producer, &there, number)));
        for number in 0..count {
            if publishes_early {
                while consumer.peek().is_none() {
                    thread::yield_now();
                }
                consumer.head += 1;
                consumer.publish();
                consumer.head -= 1;
            }
            assert_eq!(receive(&mut consumer, &beside), (number as u32, number, !number, number));
            if consumer.pop() {
                consumer.publish();
            }
        }
        sender.join().expect("the sender does not panic");
    });
}

#[test]
fn packets_come_complete_and_in_order_through_several_laps() {
    packets_cross(0, 5, false);
}

#[test]
fn packets_come_complete_and_in_order_across_the_wrap_of_the_sequence() {
    packets_cross(JUST_BELOW_WRAP, 4, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_cell_given_back_before_it_is_read_is_refused() {
    packets_cross(0, 3, true);
}

/// A sender that needs room and a block for every packet, and sleeps for both.
struct Sender {
    producer: Producer,
    pool: Pool,
    contents: Contents,
    own: Doorbell,
    receiver: Doorbell,
}

impl Sender {
    fn send(&mut self, number: u64) {
        let mut block = None;
        sleep_until(&self.own, || {
            block = block.or_else(|| self.pool.take(0));
            block.is_some() && self.producer.find_room() == Ok(true)
        });
        let block = block.expect("the wait was for one");
        write(&self.contents, block.index.into(), number);
        self.producer.push(0, &[block.to_word()]);
        self.receiver.announce(0);
    }
}

/// What a receiver does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// It rests without having told the sender what it has consumed.
    RestsUnpublished,
    /// It tells the sender, but does not ring.
    PublishesSilently,
    /// It hands blocks back before it has read them.
    ReleasesEarly,
    /// It keeps blocks while it publishes that it has consumed their cells, and hands them back
    /// without ringing again.
    ReleasesSilently,
}

/// A receiver that publishes only before it rests, and polls only armed rings.
struct Receiver {
    consumer: Consumer,
    released: Far<[AtomicU32]>,
    contents: Contents,
    own: Doorbell,
    sender: Doorbell,
    is_armed: bool,
    flaw: Flaw,
    next: u64,
    /// Blocks that it keeps for a while, as the unexpected queue does.
    kept: Vec<Block>,
    keeps: bool,
}

impl Receiver {
    fn poll(&mut self) -> bool {
        let mut is_pending = false;
        self.own.take_pending(|_| is_pending = true);
        if is_pending && !self.is_armed {
            self.is_armed = true;
            self.own.set_armed(0, true);
        }
        self.is_armed && self.consumer.peek().is_some() && self.consume()
    }

    fn consume(&mut self) -> bool {
        let block = Block::from_word(self.consumer.word(1));
        if self.flaw == Flaw::ReleasesEarly {
            release(&self.released, block);
        }
        assert_eq!(read(&self.contents, block.index.into()), self.next);
        self.kept.push(block);
        self.next += 1;
        let _ = self.consumer.pop();
        true
    }

    /// As `Peer::publish_consumed`: one ring for the head and for the blocks.
    fn publish(&mut self) {
        if self.flaw == Flaw::RestsUnpublished {
            return;
        }
        let mut is_news = self.consumer.publish();
        if !self.keeps {
            is_news |= !self.kept.is_empty();
            self.hand_back();
        }
        if is_news && self.flaw != Flaw::PublishesSilently {
            self.sender.ring();
        }
    }

    fn hand_back(&mut self) {
        self.kept.drain(..).for_each(|block| release(&self.released, block));
    }

    /// A block that comes back is room: the sender may wait for it.
    fn hand_back_late(&mut self) {
        if !self.kept.is_empty() {
            self.hand_back();
            if self.flaw != Flaw::ReleasesSilently {
                self.sender.ring();
            }
        }
    }

    fn receive(&mut self, count: u64) {
        while self.next < count {
            if self.poll() {
                continue;
            }
            self.publish();
            if self.keeps {
                self.hand_back_late();
            }
            let own = self.own.clone();
            sleep_until(&own, || self.poll());
        }
        self.publish();
    }
}

fn blocks_cross(count: u64, flaw: Flaw, keeps: bool) {
    check(move || {
        let (producer, consumer) = on_heap(JUST_BELOW_WRAP);
        let bell = || doorbell::on_heap(1, BarrierMode::Fence);
        let (senders_bell, receivers_bell) = (bell(), bell());
        let words: Box<[AtomicU32]> = (0..BLOCKS).map(|_| AtomicU32::new(0)).collect();
        let released = Far::on_heap(words);
        let contents = contents();
        let mut sender = Sender {
            producer,
            pool: Pool::new(released.clone(), u32::MAX),
            contents: Arc::clone(&contents),
            own: senders_bell.clone(),
            receiver: receivers_bell.clone(),
        };
        let mut receiver = Receiver {
            consumer,
            released,
            contents,
            own: receivers_bell,
            sender: senders_bell,
            is_armed: false,
            flaw,
            next: 0,
            kept: vec![],
            keeps,
        };
        let sending = thread::spawn(move || (0..count).for_each(|number| sender.send(number)));
        receiver.receive(count);
        sending.join().expect("the sender does not panic");
    });
}

#[test]
fn a_sender_without_room_or_blocks_and_a_receiver_without_packets_wake_each_other() {
    blocks_cross(4, Flaw::None, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_receiver_that_rests_without_publishing_is_refused() {
    blocks_cross(4, Flaw::RestsUnpublished, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_receiver_that_publishes_without_ringing_is_refused() {
    blocks_cross(4, Flaw::PublishesSilently, false);
}

#[test]
#[should_panic(expected = "ausality")]
fn a_block_handed_back_before_it_is_read_is_refused() {
    blocks_cross(4, Flaw::ReleasesEarly, false);
}

#[test]
fn a_sender_without_blocks_is_woken_when_kept_blocks_come_back() {
    blocks_cross(3, Flaw::None, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_receiver_that_hands_kept_blocks_back_without_ringing_is_refused() {
    blocks_cross(3, Flaw::ReleasesSilently, true);
}
