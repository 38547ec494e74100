//! A stress of the doorbell between two processes: does a sleeper ever miss what was sent to it?
//!
//! Models can't know `membarrier(2)`, so the real thing is run many times instead. The sender publishes
//! a packet only when the receiver has taken all before, after a pause of random length: a lost
//! wake-up is not made good by the next packet, and the sends fall everywhere into the receiver's way
//! to sleep. The receiver sleeps whenever its ring is empty; a sleep that ends by its time-out with a
//! packet in the ring is a lost wake-up.

use crate::{
    shm::{
        doorbell::{BarrierMode, Doorbell},
        ring::{Consumer, Producer},
        segment::Segment,
        slot::RankState,
    },
    sync::Ordering,
    sys::{
        futex::Woken,
        membarrier,
        process::{self, Forked},
    },
};
use std::{sync::Arc, time::Duration};

const SENDER: usize = 0;
const RECEIVER: usize = 1;

/// Who has a barrier between what it writes and what it reads then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barriers {
    /// The sleeper has one for both.
    Membarrier,
    /// Both have fences.
    Fence,
    /// The sleeper has a fence, the sender nothing: wrong. Shows whether the stress can find
    /// anything on this machine.
    SleeperOnly,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packets received.
    pub packets: u64,
    /// Times that the receiver slept.
    pub sleeps: u64,
    /// Packets that came while the ring was not polled.
    pub pending: u64,
    /// Wake-ups that were lost. The stress ends with the first.
    pub lost: u64,
}

/// Sends `packets` packets from a forked process to this one.
///
/// # Errors
/// This process has other threads; a system call failed; a packet is wrong; the sender died.
pub fn litmus(packets: u64, barriers: Barriers) -> Result<Report, String> {
    let segment = Segment::create(2).map_err(|error| error.to_string())?;
    register(barriers)?;
    let parent = process::own_pid();
    match process::fork().map_err(|errno| format!("fork: {errno}"))? {
        Forked::Child => process::finish_child(|| {
            let is_ready = process::die_with_parent(parent) && register(barriers).is_ok();
            if is_ready {
                segment.published(SENDER).slot.set_state(RankState::Running);
                Sender::new(&segment, barriers).send(packets);
            }
            i32::from(!is_ready)
        }),
        Forked::Parent(child) => {
            let report = Receiver::new(&segment, barriers, child).receive(packets);
            segment.end();
            process::wait(child);
            report
        }
    }
}

/// Every process registers for itself, before the first barrier that is to reach it.
fn register(barriers: Barriers) -> Result<(), String> {
    match barriers {
        Barriers::Membarrier => {
            membarrier::register_between_processes().map_err(|errno| format!("membarrier: {errno}"))
        }
        Barriers::Fence | Barriers::SleeperOnly => Ok(()),
    }
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Short pauses are as frequent as those twice, four times, … as long.
    fn pause(&mut self) {
        let scale = self.below(12);
        (0..self.below(1 << scale)).for_each(|_| std::hint::spin_loop());
    }
}

struct Sender {
    segment: Arc<Segment>,
    producer: Producer,
    bell: Doorbell,
    random: Random,
}

impl Sender {
    fn new(segment: &Arc<Segment>, barriers: Barriers) -> Self {
        let (cells, line) = segment.ring(RECEIVER, SENDER);
        let mode = match barriers {
            Barriers::Fence => BarrierMode::Fence,
            // In the wrong stress nobody pays for what the sender leaves out.
            Barriers::Membarrier | Barriers::SleeperOnly => BarrierMode::Membarrier,
        };
        Self {
            segment: Arc::clone(segment),
            producer: Producer::new(cells, line, 0),
            bell: segment.doorbell(RECEIVER, mode),
            random: Random(0x9e37_79b9_7f4a_7c15),
        }
    }

    fn send(&mut self, packets: u64) {
        for number in 0..packets {
            if !self.wait_until_all_is_received() {
                return;
            }
            self.random.pause();
            // A ring for nothing, as others may ring: it leaves the receiver's state in this CPU's
            // cache, from where the look at it after the packet is quickest.
            self.bell.ring();
            self.random.pause();
            // The last time, all was received: there is room.
            self.producer.push(0, &[number]);
            self.bell.announce(SENDER as u32);
            assert_eq!(self.producer.find_room(), Ok(true), "one packet is on its way");
        }
    }

    /// False if the stress is over.
    fn wait_until_all_is_received(&self) -> bool {
        // Acquire: RING_ROOM, pairs with the Release in `Consumer::publish`.
        while self.producer.line().head.load(Ordering::Acquire) != self.producer.tail() {
            if self.segment.is_ended() {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }
}

struct Receiver {
    segment: Arc<Segment>,
    child: i32,
    consumer: Consumer,
    bell: Doorbell,
    patience: Duration,
    is_armed: bool,
    is_disarmed_since_barrier: bool,
    random: Random,
    report: Report,
}

impl Receiver {
    fn new(segment: &Arc<Segment>, barriers: Barriers, child: i32) -> Self {
        let (cells, line) = segment.ring(RECEIVER, SENDER);
        let (mode, patience) = match barriers {
            Barriers::Membarrier => (BarrierMode::Membarrier, Duration::from_secs(2)),
            Barriers::Fence => (BarrierMode::Fence, Duration::from_secs(2)),
            Barriers::SleeperOnly => (BarrierMode::Fence, Duration::from_millis(100)),
        };
        Self {
            segment: Arc::clone(segment),
            child,
            consumer: Consumer::new(cells, line, 0),
            bell: segment.doorbell(RECEIVER, mode),
            patience,
            is_armed: false,
            is_disarmed_since_barrier: false,
            random: Random(0xbf58_476d_1ce4_e5b9),
            report: Report::default(),
        }
    }

    fn receive(mut self, packets: u64) -> Result<Report, String> {
        self.wait_for_sender()?;
        while self.report.packets < packets && self.report.lost == 0 {
            if !self.poll()? {
                self.random.pause();
                self.sleep()?;
            }
        }
        Ok(self.report)
    }

    fn wait_for_sender(&self) -> Result<(), String> {
        while self.segment.published(SENDER).slot.state() != RankState::Running {
            self.check_sender()?;
            std::thread::yield_now();
        }
        Ok(())
    }

    fn check_sender(&self) -> Result<(), String> {
        match process::take_ended(Some(self.child)) {
            Some((_, status)) => Err(format!("the sender ended: {status}")),
            None => Ok(()),
        }
    }

    /// As the progress loop does it: only an armed ring is looked at.
    fn poll(&mut self) -> Result<bool, String> {
        let mut is_pending = false;
        self.bell.take_pending(|_| is_pending = true);
        if is_pending {
            self.report.pending += 1;
            self.is_armed = true;
            self.bell.set_armed(SENDER as u32, true);
        }
        if self.is_armed { self.look() } else { Ok(false) }
    }

    fn look(&mut self) -> Result<bool, String> {
        if self.consumer.peek().is_none() {
            return Ok(false);
        }
        let number = self.consumer.word(1);
        if number != self.report.packets {
            return Err(format!("packet {number} instead of {}", self.report.packets));
        }
        self.report.packets += 1;
        let _ = self.consumer.pop();
        self.consumer.publish();
        Ok(true)
    }

    fn sleep(&mut self) -> Result<(), String> {
        if self.is_armed && self.random.below(4) == 0 {
            self.bell.set_armed(SENDER as u32, false);
            (self.is_armed, self.is_disarmed_since_barrier) = (false, true);
        }
        self.bell.announce_sleep();
        if !self.recheck()? {
            self.report.sleeps += 1;
            let woken = self.bell.sleep(self.patience);
            self.look_for_loss(woken)?;
        }
        self.bell.stay_awake();
        Ok(())
    }

    /// After the barrier a ring that was disarmed before is looked at once more.
    fn recheck(&mut self) -> Result<bool, String> {
        let is_due = std::mem::take(&mut self.is_disarmed_since_barrier);
        Ok(self.poll()? || (is_due && self.look()?))
    }

    /// A sender that has published may be preempted before it rings: it is given as long again.
    fn look_for_loss(&mut self, woken: Woken) -> Result<(), String> {
        if woken == Woken::TimedOut {
            self.check_sender()?;
            let is_lost = self.consumer.peek().is_some() && !self.bell.is_rung_within(self.patience);
            self.report.lost += u64::from(is_lost);
        }
        Ok(())
    }
}
