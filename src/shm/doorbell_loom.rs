//! Models of the doorbell in FENCE mode: whoever sleeps is woken for whatever has been published.

use super::{ASLEEP, BarrierMode, Doorbell, on_heap, sleep_until};
use crate::{
    shm::far::Far,
    sync::{
        AtomicU64, Ordering,
        model::{check, thread},
    },
};
use std::time::Duration;

const A_LONG_TIME: Duration = Duration::from_secs(60);

/// Stands in for a ring: how many packets its sender has published.
type Published = Far<AtomicU64>;

fn published() -> Published {
    Far::on_heap(Box::default())
}

#[derive(Clone)]
struct Sender {
    index: u32,
    ring: Published,
    bell: Doorbell,
}

impl Sender {
    fn publish(&self) {
        // Relaxed: only this sender writes.
        let count = self.ring.load(Ordering::Relaxed);
        // Release: as RING_PUBLISH, pairs with the Acquire in `look_at`.
        self.ring.store(count + 1, Ordering::Release);
    }

    fn send(&self) {
        self.publish();
        self.bell.announce(self.index);
    }

    /// As `send`, without the barrier between publishing and looking at the owner's state.
    fn send_without_barrier(&self) {
        self.publish();
        self.bell.wake_if_asleep();
    }

    /// As `send` to a disarmed ring, without the barrier between marking it and looking at the state.
    fn send_marking_without_barrier(&self) {
        self.publish();
        self.bell.mode.after_publishing();
        // Release: BELL_PENDING, as in `mark_pending`.
        self.bell.pending[0].fetch_or(1 << self.index, Ordering::Release);
        self.bell.wake_if_asleep();
    }
}

/// The owner, as the progress loop does it: it looks at armed rings only, and when it sleeps also at
/// those that it has disarmed since its last barrier.
struct Owner {
    bell: Doorbell,
    rings: Vec<Published>,
    is_armed: Vec<bool>,
    to_recheck: Vec<usize>,
    received: u64,
    taken: Vec<u64>,
}

impl Owner {
    fn new(senders: u32) -> (Self, Vec<Sender>) {
        let bell = on_heap(senders as usize, BarrierMode::Fence);
        let senders: Vec<Sender> =
            (0..senders).map(|index| Sender { index, ring: published(), bell: bell.clone() }).collect();
        let count = senders.len();
        let owner = Self {
            bell,
            rings: senders.iter().map(|sender| sender.ring.clone()).collect(),
            is_armed: vec![false; count],
            to_recheck: vec![],
            received: 0,
            taken: vec![0; count],
        };
        (owner, senders)
    }

    fn arm(&mut self, index: usize) {
        if !std::mem::replace(&mut self.is_armed[index], true) {
            self.bell.set_armed(index as u32, true);
        }
    }

    /// Without a barrier: a sender may see the ring armed for some time yet.
    fn disarm(&mut self, index: usize) {
        self.is_armed[index] = false;
        self.bell.set_armed(index as u32, false);
        self.to_recheck.push(index);
    }

    fn look_at(&mut self, index: usize) -> bool {
        // Acquire: pairs with the Release in `publish`.
        let count = self.rings[index].load(Ordering::Acquire);
        let news = count - std::mem::replace(&mut self.taken[index], count);
        self.received += news;
        news > 0
    }

    fn poll(&mut self) -> bool {
        let mut pending = vec![];
        self.bell.take_pending(|sender| pending.push(sender as usize));
        pending.into_iter().for_each(|index| self.arm(index));
        (0..self.rings.len()).fold(false, |news, index| news | (self.is_armed[index] && self.look_at(index)))
    }

    /// After the barrier of a sleep.
    fn recheck(&mut self) -> bool {
        let disarmed = std::mem::take(&mut self.to_recheck);
        disarmed.into_iter().fold(self.poll(), |news, index| news | self.look_at(index))
    }

    fn sleep_until_received(&mut self, count: u64) {
        while self.received < count {
            if self.poll() {
                continue;
            }
            self.bell.announce_sleep();
            if self.recheck() {
                self.bell.stay_awake();
            } else {
                self.bell.sleep(A_LONG_TIME);
            }
        }
    }
}

#[test]
fn two_senders_to_disarmed_rings_wake_one_sleeper() {
    check(|| {
        let (mut owner, senders) = Owner::new(2);
        let threads: Vec<_> =
            senders.into_iter().map(|sender| thread::spawn(move || sender.send())).collect();
        owner.sleep_until_received(2);
        threads.into_iter().for_each(|thread| thread.join().expect("the sender does not panic"));
    });
}

#[test]
fn a_sleeper_that_was_woken_sleeps_again_and_is_woken_again() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        let sender = senders.remove(0);
        let thread = thread::spawn(move || (0..3).for_each(|_| sender.send()));
        (1..=3).for_each(|count| owner.sleep_until_received(count));
        thread.join().expect("the sender does not panic");
    });
}

#[test]
fn a_ring_disarmed_without_a_barrier_is_not_forgotten_by_a_sleeper() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        owner.arm(0);
        let sender = senders.remove(0);
        let thread = thread::spawn(move || (0..2).for_each(|_| sender.send()));
        owner.poll();
        owner.disarm(0);
        owner.sleep_until_received(2);
        thread.join().expect("the sender does not panic");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_disarmed_ring_that_is_not_looked_at_after_the_barrier_is_refused() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        owner.arm(0);
        let sender = senders.remove(0);
        let thread = thread::spawn(move || sender.send());
        owner.disarm(0);
        owner.to_recheck.clear();
        owner.sleep_until_received(1);
        thread.join().expect("the sender does not panic");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_ringer_without_a_barrier_is_refused() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        owner.arm(0);
        let sender = senders.remove(0);
        let thread = thread::spawn(move || sender.send_without_barrier());
        owner.sleep_until_received(1);
        thread.join().expect("the sender does not panic");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_ringer_without_a_barrier_after_marking_the_ring_is_refused() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        let sender = senders.remove(0);
        let thread = thread::spawn(move || sender.send_marking_without_barrier());
        owner.sleep_until_received(1);
        thread.join().expect("the sender does not panic");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_sleeper_without_a_barrier_is_refused() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        owner.arm(0);
        let sender = senders.remove(0);
        let thread = thread::spawn(move || sender.send());
        while owner.received < 1 {
            owner.bell.state.word.swap(ASLEEP, Ordering::Relaxed);
            if !owner.recheck() {
                owner.bell.sleep(A_LONG_TIME);
            }
        }
        thread.join().expect("the sender does not panic");
    });
}

#[test]
fn the_end_of_the_job_wakes_a_sleeper_also_while_it_is_rung() {
    check(|| {
        let (mut owner, mut senders) = Owner::new(1);
        let ended: Far<AtomicU64> = published();
        let (sender, bell, end) = (senders.remove(0), owner.bell.clone(), ended.clone());
        let sending = thread::spawn(move || sender.send());
        let ending = thread::spawn(move || {
            end.store(1, Ordering::Release);
            bell.ring();
        });
        let bell = owner.bell.clone();
        sleep_until(&bell, || {
            owner.poll();
            // Acquire: pairs with the Release above.
            ended.load(Ordering::Acquire) == 1
        });
        owner.sleep_until_received(1);
        for thread in [sending, ending] {
            thread.join().expect("no ringer panics");
        }
    });
}
