//! Progress: what a rank polls, what its threads wait for, and how patiently.
//!
//! The loop in which they wait is in [`super::role`].

use super::{
    Core, Engine, RequestId, job_ended,
    role::{self, Pause, Role, Wait, Watch, have_reached},
};
use crate::{
    envelope::Pattern,
    error::Result,
    shm::{doorbell::Doorbell, far::Far, slot::Published},
    sync::{AtomicU64, Ordering},
    types::PeerId,
};
use std::time::{Duration, Instant};

/// What a thread waits for. One type for progress, for the search for cycles and for whoever wants
/// to show what a rank is blocked in.
#[derive(Clone, Copy)]
pub(crate) enum Until<'a> {
    /// The operation has ended.
    Request(RequestId),
    /// One of the operations has ended.
    Any(&'a [RequestId]),
    /// A message that matches is in the unexpected queue.
    Message(Awaited<'a>),
    /// All of the words have reached the value. Other ranks write them; if `by` never does, they never will.
    Words { words: &'a [Far<AtomicU64>], at_least: u64, by: Option<PeerId> },
    /// Nothing is queued, and no receive goes on that nobody asks for.
    Settled,
    /// This rank owes nothing: no send that nobody asks for, no packet in a backlog.
    Quiet,
}

/// The message that a probe waits for; `from` is the peer if the source is specific.
#[derive(Clone, Copy)]
pub(crate) struct Awaited<'a> {
    pub(crate) pattern: &'a Pattern,
    pub(crate) from: Option<PeerId>,
}

/// Spinning ends after this long without news,
const SPIN: Duration = Duration::from_micros(50);
/// and yielding after this long: a sleeper costs its waker a system call, and itself up to 50 µs.
const YIELD: Duration = Duration::from_micros(400);
/// A longer gap between two looks at the clock, while spinning, means that others want this CPU.
const PREEMPTED: Duration = Duration::from_micros(20);
/// Then nobody spins for this long, doubling with every preemption up to a second.
const SPIN_BAN: Duration = Duration::from_millis(10);
const SPIN_BAN_MAX: Duration = Duration::from_secs(1);
/// Empty polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 16;
/// The first sleep's time-out; it doubles up to the longest. No wake-up relies on it; that a rank has left, or
/// that one has died and nobody is there to end the job, is looked for at time-outs.
const SLEEP: Duration = Duration::from_millis(50);
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How often a rank that waits for credit looks for a cycle.
const CYCLE_LOOK: Duration = Duration::from_millis(5);
/// Failed tests or probes for this long count as waiting.
pub(super) const TEST_PATIENCE: Duration = Duration::from_millis(10);
/// A ringer that has published may be preempted before it rings: so long it is given before a
/// time-out that finds work counts as a lost wake-up.
const LATE_RING: Duration = Duration::from_millis(200);
/// A ring that has been silent for so many polls is no longer polled at every one,
const SILENT_POLLS: u32 = 20_000;
/// unless so few are polled that it does not matter.
const ALWAYS_POLLED: usize = 4;
/// Of the rings that are not polled, one is looked at every so many polls.
const SWEEP_EVERY: u64 = 64;

/// A rank behind a shell that never sleeps learns after so many polls that nobody else will end it.
const LOOK_FOR_KEEPER_EVERY: u64 = 1 << 12;

/// Whether this rank counts as blocked: it sleeps, or its tests have failed for long.
#[derive(Default)]
pub(super) struct Blocked {
    failed_tests: u64,
    failed_since: Option<Instant>,
    /// What the published slot says about this rank.
    is_published: bool,
}

impl Blocked {
    /// A test or a probe has found what it looked for.
    #[inline]
    pub(super) fn note_success(&mut self, published: &Published) {
        if self.failed_tests > 0 {
            self.failed_tests = 0;
            self.failed_since = None;
            self.publish_running(published);
        }
    }

    pub(super) fn publish_running(&mut self, published: &Published) {
        if self.is_published {
            self.is_published = false;
            published.slot.unblock();
        }
    }
}

/// For how long nobody spins, because others use this CPU.
#[derive(Default)]
pub(super) struct SpinBan {
    until: Option<Instant>,
    length: Duration,
}

impl SpinBan {
    fn note_preemption(&mut self, now: Instant) {
        self.length = (self.length * 2).clamp(SPIN_BAN, SPIN_BAN_MAX);
        self.until = Some(now + self.length);
    }

    fn is_on(&mut self, now: Instant) -> bool {
        let is_on = self.until.is_some_and(|until| now < until);
        // A ban that has run its course without another preemption is forgotten in steps.
        if !is_on && self.until.take().is_some() {
            self.length /= 2;
        }
        is_on
    }
}

/// How long a thread has been waiting without news.
struct Patience {
    may_spin: bool,
    polls: u32,
    since: Option<Instant>,
    last_look: Option<Instant>,
    next_sleep: Duration,
}

impl Patience {
    fn new(may_spin: bool) -> Self {
        Self { may_spin, polls: 0, since: None, last_look: None, next_sleep: SLEEP }
    }

    fn note_news(&mut self) {
        (self.polls, self.since, self.last_look) = (0, None, None);
        self.next_sleep = SLEEP;
    }

    #[inline]
    fn next(&mut self, ban: &mut SpinBan, is_shared: bool) -> Pause {
        self.polls += 1;
        let spins = self.may_spin && !is_shared;
        if spins && !self.polls.is_multiple_of(POLLS_PER_LOOK) {
            return Pause::Spin;
        }
        let now = Instant::now();
        let waited = now - *self.since.get_or_insert(now);
        let gap = now - self.last_look.replace(now).unwrap_or(now);
        if spins && waited < SPIN && !ban.is_on(now) {
            if gap > PREEMPTED {
                ban.note_preemption(now);
            }
            return Pause::Spin;
        }
        if waited < YIELD {
            return Pause::Yield;
        }
        let sleep = self.next_sleep;
        self.next_sleep = (sleep * 2).min(SLEEP_MAX);
        Pause::Sleep(sleep)
    }
}

/// A wait of one of the engine's threads.
struct EngineWait<'a> {
    engine: &'a Engine,
    until: Until<'a>,
    patience: Patience,
}

impl EngineWait<'_> {
    #[inline]
    fn noting_news(&mut self, has_news: Result<bool>) -> Result<bool> {
        if let Ok(true) = has_news {
            self.patience.note_news();
        }
        has_news
    }
}

impl Wait for EngineWait<'_> {
    type Core = Core;

    #[inline]
    fn role(core: &mut Core) -> &mut Role {
        &mut core.role
    }

    #[inline]
    fn is_satisfied(&self, core: &mut Core) -> bool {
        core.is_satisfied(&self.until)
    }

    fn is_job_ended(&self) -> bool {
        self.engine.segment.is_ended()
    }

    fn watch(&self) -> Watch {
        match self.until {
            Until::Request(_) | Until::Any(_) => Watch::Waiter,
            Until::Message(_) => Watch::Message,
            Until::Words { words, at_least, .. } => Watch::Words { words: words.to_vec(), at_least },
            Until::Quiet | Until::Settled => Watch::News,
        }
    }

    /// The holder may be asleep for long: what it owes others, and how often it looks for a cycle of
    /// blocked ranks, has changed.
    fn before_sleep(&mut self, core: &mut Core) {
        core.publish_all();
        if core.waits_for_credit() {
            core.role.wake_holder(&core.bell);
        }
        if let Until::Words { .. } = self.until {
            // A member of a board may ring only if it sees that somebody waits for it to enter
            // (`Board::begin_reuse_wait`): that has been said before the next look at its word.
            self.engine.bell.owner_barrier();
        }
    }

    fn set_waiter(&self, core: &mut Core, waiter: Option<u32>) {
        match self.until {
            Until::Request(id) => core.requests.set_waiter(id, waiter),
            Until::Any(ids) => ids.iter().for_each(|id| core.requests.set_waiter(*id, waiter)),
            Until::Message(_) | Until::Words { .. } | Until::Quiet | Until::Settled => {}
        }
    }

    #[inline]
    fn poll(&mut self, core: &mut Core) -> Result<bool> {
        self.noting_news(core.poll())
    }

    fn poll_all(&mut self, core: &mut Core) -> Result<bool> {
        self.noting_news(core.poll_all())
    }

    #[inline]
    fn pause(&mut self, core: &mut Core) -> Pause {
        match self.patience.next(&mut core.spin_ban, self.engine.core.is_shared()) {
            Pause::Spin => Pause::Spin,
            Pause::Yield => {
                core.publish_all();
                Pause::Yield
            }
            Pause::Sleep(timeout) => {
                core.publish_all();
                core.publish_blocked(&self.engine.published, &self.until);
                Pause::Sleep(if core.waits_for_credit() { CYCLE_LOOK } else { timeout })
            }
        }
    }

    fn after_time_out(&mut self, core: &mut Core) -> Result<bool> {
        self.noting_news(self.engine.after_time_out(core, &self.until))
    }

    fn after_sleep(&mut self, core: &mut Core) {
        core.blocked.publish_running(&self.engine.published);
    }

    fn note_rescue(&self) {
        // Relaxed: a statistic.
        self.engine.rescues.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&mut self, core: &mut Core, has_role: bool) {
        core.role.leave(has_role);
        core.blocked.note_success(&self.engine.published);
        core.blocked.publish_running(&self.engine.published);
    }
}

impl Engine {
    /// Makes progress until the condition holds. Errs when the job ends, or the shared memory is
    /// corrupted: then it may never hold.
    pub(crate) fn wait_until(&self, until: Until<'_>) -> Result<()> {
        self.check_caller()?;
        let patience = Patience::new(self.may_spin);
        role::wait_until(&self.core, &self.bell, EngineWait { engine: self, until, patience })
    }

    /// Nobody has rung: there should be no news. If there is, and the doorbell is not rung within a
    /// generous time, a wake-up was lost.
    fn after_time_out(&self, core: &mut Core, until: &Until<'_>) -> Result<bool> {
        self.segment.end_without_keeper();
        let has_news = core.poll_all()?;
        if has_news || core.is_satisfied(until) {
            if !self.bell.is_rung_within(LATE_RING) {
                // Relaxed: a statistic.
                self.rescues.fetch_add(1, Ordering::Relaxed);
            }
        } else {
            if core.waits_for_credit() {
                // Another thread of this rank, which waits no longer, may have said that the rank runs.
                if !core.blocked.is_published {
                    core.publish_blocked(&self.published, until);
                }
                // What this sets free is no wake-up that somebody owed.
                core.look_for_cycle(&self.published)?;
            }
            self.look_for_lost_peer()?;
        }
        Ok(has_news || core.look_for_leavers(until)?)
    }

    /// In a job without a launcher only its ranks can see that one of them has died.
    fn look_for_lost_peer(&self) -> Result<()> {
        let Some(lost) = self.segment.lost_peer() else { return Ok(()) };
        self.segment.end();
        Err(self.segment.peer_lost(lost))
    }

    /// A test or probe found nothing. When that goes on for long it counts as waiting: others that
    /// look for a cycle of blocked ranks see this one.
    #[inline]
    pub(super) fn note_failed_test(&self, until: Until<'_>) -> Result<()> {
        let mut core = self.lock();
        core.blocked.failed_tests += 1;
        match core.blocked.failed_tests % 64 {
            0 => self.look_at_failed_tests(&mut core, &until),
            _ => Ok(()),
        }
    }

    #[cold]
    fn look_at_failed_tests(&self, core: &mut Core, until: &Until<'_>) -> Result<()> {
        if self.segment.is_ended() {
            return Err(job_ended());
        }
        core.publish_all();
        let now = Instant::now();
        if now - *core.blocked.failed_since.get_or_insert(now) < core.config.test_patience {
            return Ok(());
        }
        core.blocked.failed_since = Some(now);
        self.segment.end_without_keeper();
        self.look_for_lost_peer()?;
        core.publish_blocked(&self.published, until);
        core.look_for_cycle(&self.published)
    }
}

impl Core {
    pub(super) fn is_satisfied(&mut self, until: &Until<'_>) -> bool {
        match until {
            Until::Request(id) => self.requests.is_done(*id),
            Until::Any(ids) => ids.iter().any(|id| self.requests.is_done(*id)),
            Until::Message(awaited) => self.unexpected.find(awaited.pattern).is_some(),
            Until::Words { words, at_least, .. } => have_reached(words, *at_least),
            Until::Settled => self.backlog.is_empty() && !self.requests.has_detached_receives(),
            Until::Quiet => self.requests.detached() == 0 && self.backlog.is_empty(),
        }
    }

    /// One round: takes what has come, sends what has waited. True if anything moved. Never waits.
    pub(super) fn poll(&mut self) -> Result<bool> {
        self.unless_failed(Self::try_poll)
    }

    fn try_poll(&mut self) -> Result<bool> {
        self.polls += 1;
        self.arm_pending();
        let mut moved = false;
        for index in 0..self.armed.len() {
            moved |= self.poll_ring(self.armed[index])?;
        }
        if self.polls.is_multiple_of(LOOK_FOR_KEEPER_EVERY) {
            self.segment.end_without_keeper();
        }
        if self.polls.is_multiple_of(SWEEP_EVERY) {
            self.disarm_silent();
            moved |= self.sweep()?;
        }
        if !self.backlog.is_empty() {
            moved |= self.flush_backlog()?;
        }
        if !self.pulls.is_empty() {
            moved |= self.advance_pulls()?;
        }
        Ok(moved)
    }

    /// As `poll`, with a look at every ring that was ever used: after the barrier that precedes a sleep.
    pub(super) fn poll_all(&mut self) -> Result<bool> {
        let mut moved = self.poll()?;
        for index in 0..self.disarmed.len() {
            let from = self.disarmed[index];
            if self.peers[from.index()].consumer.peek().is_some() {
                moved |= self.unless_failed(|core| core.consume(from))?;
            }
        }
        Ok(moved)
    }

    #[inline]
    fn poll_ring(&mut self, from: PeerId) -> Result<bool> {
        let peer = &mut self.peers[from.index()];
        if peer.consumer.peek().is_none() {
            peer.silent_polls = peer.silent_polls.saturating_add(1);
            return Ok(false);
        }
        peer.silent_polls = 0;
        self.consume(from)
    }

    /// From now on polls the rings whose senders have rung for the first time in a while.
    #[inline]
    fn arm_pending(&mut self) {
        let Self { bell, peers, armed, disarmed, .. } = self;
        bell.take_pending(|sender| {
            if let Some(peer) = peers.get_mut(sender as usize) {
                arm(PeerId(sender), peer, bell, armed, disarmed);
            }
        });
    }

    /// Rings that stay silent are looked at only now and then: polling must not cost more with every
    /// rank that has ever spoken.
    fn disarm_silent(&mut self) {
        let Self { bell, peers, armed, disarmed, .. } = self;
        if armed.len() <= ALWAYS_POLLED {
            return;
        }
        armed.retain(|id| {
            let peer = &mut peers[id.index()];
            let stays = peer.silent_polls < SILENT_POLLS;
            if !stays {
                peer.is_armed = false;
                bell.set_armed(id.0, false);
                disarmed.push(*id);
            }
            stays
        });
    }

    /// A sender may have seen a ring armed just before it was disarmed: no message stays unseen for
    /// ever.
    fn sweep(&mut self) -> Result<bool> {
        if self.disarmed.is_empty() {
            return Ok(false);
        }
        let turn = (self.polls / SWEEP_EVERY) as usize % self.disarmed.len();
        let from = self.disarmed[turn];
        if self.peers[from.index()].consumer.peek().is_none() {
            return Ok(false);
        }
        let Self { bell, peers, armed, disarmed, .. } = self;
        arm(from, &mut peers[from.index()], bell, armed, disarmed);
        self.consume(from)
    }

    fn flush_backlog(&mut self) -> Result<bool> {
        let mut moved = false;
        for index in 0..self.backlog.len() {
            moved |= self.flush(self.backlog[index])?;
        }
        let peers = &mut self.peers;
        self.backlog.retain(|id| {
            let peer = &mut peers[id.index()];
            peer.is_backlogged = peer.has_backlog();
            peer.is_backlogged
        });
        Ok(moved)
    }

    /// Tells every sender what has been consumed: before a rank rests, it owes nobody room.
    pub(super) fn publish_all(&mut self) {
        for id in self.armed.iter().chain(&self.disarmed) {
            self.peers[id.index()].publish_consumed();
        }
    }

    /// Publishes that this rank is blocked, and on whom.
    pub(super) fn publish_blocked(&mut self, published: &Published, until: &Until<'_>) {
        let targets = self.targets(until);
        published.block_on(targets.into_iter());
        self.blocked.is_published = true;
    }
}

fn arm(
    id: PeerId,
    peer: &mut super::Peer,
    bell: &Doorbell,
    armed: &mut Vec<PeerId>,
    disarmed: &mut Vec<PeerId>,
) {
    peer.silent_polls = 0;
    if !peer.is_armed {
        peer.is_armed = true;
        bell.set_armed(id.0, true);
        disarmed.retain(|other| *other != id);
        armed.push(id);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        buffer::of_slice,
        envelope::Envelope,
        p2p::{Config, CreditLimits, Mode},
        shm::{doorbell::BarrierMode, segment::Segment},
        types::ContextId,
    };

    /// While the holder of the role sleeps, without the lock.
    #[test]
    fn another_thread_that_stops_waiting_does_not_hide_that_the_holder_waits_for_credit() {
        let segment = Segment::on_heap(2).unwrap();
        let config =
            Config { credit: CreditLimits { eager: 64, envelopes: 1 }, ..Config::new(BarrierMode::Fence) };
        let engines = [0, 1].map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap());
        let engine = &engines[0];
        let data = [7u8; 100];
        let send = || {
            let envelope = Envelope { context: ContextId(16), source: 0, tag: 0, bytes: 100 };
            engine.isend(PeerId(1), envelope, Mode::Standard, of_slice(&data)).unwrap()
        };
        let sends = [send(), send()];
        let until = Until::Request(sends[1]);
        let mut core = engine.lock();
        assert!(core.waits_for_credit());
        core.publish_blocked(&engine.published, &until);
        core.blocked.publish_running(&engine.published);
        assert!(!engine.after_time_out(&mut core, &until).unwrap());
        assert_eq!(engine.slot().epoch() % 2, 1, "it is blocked");
        drop(core);
        sends.into_iter().for_each(|send| engine.abandon(send));
    }
}
