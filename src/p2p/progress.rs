//! Progress: the only event loop, and how a rank waits.
//!
//! Of the threads of a rank that wait, one holds the *role*: it polls, and sleeps on the rank's
//! doorbell. The others sleep on words of their own, until their operation ends or the role comes
//! to them. A thread that holds the role drops the lock after every empty poll.

use super::{Core, Engine, RequestId, job_ended};
use crate::{
    envelope::Pattern,
    error::Result,
    shm::{doorbell::Doorbell, far::Far, slot::Published},
    sync::{AtomicU64, Ordering, spin_hint},
    sys::{
        biased_lock::Guard,
        futex::{FutexWord, Scope, Woken},
    },
    types::PeerId,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What a thread waits for. One type for progress, for the search for cycles and for whoever wants
/// to show what a rank is blocked in.
#[derive(Clone, Copy)]
pub(crate) enum Until<'a> {
    /// The operation has ended.
    Request(RequestId),
    /// One of the operations has ended.
    Any(&'a [RequestId]),
    /// A message that matches is in the unexpected queue.
    Message(&'a Pattern),
    /// All of the words, which other ranks write, have reached the value.
    Words { words: &'a [Far<AtomicU64>], at_least: u64 },
    /// This rank owes nothing: no send that nobody asks for, no packet in a backlog.
    Quiet,
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
/// The first sleep's time-out; it doubles up to the longest. Nothing relies on it.
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

/// Who makes progress, and who waits for its turn.
#[derive(Default)]
pub(super) struct Role {
    is_taken: bool,
    /// The holder sleeps on the doorbell: whoever ends something rings it.
    is_holder_asleep: bool,
    sleepers: Vec<Sleeper>,
    failed_tests: u32,
    failed_since: Option<Instant>,
    /// What the published slot says about this rank.
    is_published_blocked: bool,
    spin: SpinBan,
}

/// The waiter of an operation for which the holder sleeps: it has no word of its own.
const HOLDER: u32 = u32::MAX;

/// A thread that sleeps on its own word.
struct Sleeper {
    word: Arc<FutexWord>,
    is_used: bool,
    wants_messages: bool,
}

impl Role {
    /// Wakes the thread that waits for an operation that has ended.
    pub(super) fn wake(&self, waiter: u32, bell: &Doorbell) {
        match self.sleepers.get(waiter as usize) {
            Some(sleeper) => sleeper.wake(),
            None => self.wake_holder(bell),
        }
    }

    /// Something has changed that the holder may wait for, or has to go on with.
    #[inline]
    pub(super) fn wake_holder(&self, bell: &Doorbell) {
        if self.is_holder_asleep {
            bell.ring();
        }
    }

    /// A message has come that nobody expected: probes may wait for it.
    #[inline]
    pub(super) fn wake_probers(&self, bell: &Doorbell) {
        self.wake_holder(bell);
        self.sleepers.iter().filter(|sleeper| sleeper.wants_messages).for_each(Sleeper::wake);
    }

    /// The role is free: one of those who sleep takes it.
    fn hand_over(&mut self) {
        self.is_taken = false;
        if let Some(next) = self.sleepers.iter().find(|sleeper| sleeper.is_used) {
            next.wake();
        }
    }

    fn add_sleeper(&mut self, wants_messages: bool) -> (u32, Arc<FutexWord>) {
        let free = self.sleepers.iter().position(|sleeper| !sleeper.is_used);
        let index = free.unwrap_or_else(|| {
            let word = Arc::new(FutexWord::default());
            self.sleepers.push(Sleeper { word, is_used: false, wants_messages: false });
            self.sleepers.len() - 1
        });
        let sleeper = &mut self.sleepers[index];
        (sleeper.is_used, sleeper.wants_messages) = (true, wants_messages);
        // Relaxed: written and slept on under the lock's order.
        sleeper.word.word.store(0, Ordering::Relaxed);
        (u32::try_from(index).expect("fewer than 2^32 threads"), Arc::clone(&sleeper.word))
    }

    fn remove_sleeper(&mut self, index: u32) {
        let sleeper = &mut self.sleepers[index as usize];
        (sleeper.is_used, sleeper.wants_messages) = (false, false);
    }

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
        if self.is_published_blocked {
            self.is_published_blocked = false;
            published.slot.unblock();
        }
    }
}

impl Sleeper {
    fn wake(&self) {
        // Release: PROGRESS_ROLE; the lock orders everything else.
        self.word.word.store(1, Ordering::Release);
        self.word.wake(1, Scope::Private);
    }
}

/// For how long nobody spins, because others use this CPU.
#[derive(Default)]
struct SpinBan {
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

/// What to do after an empty poll.
enum Pause {
    Spin,
    Yield,
    Sleep(Duration),
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

impl Engine {
    /// Makes progress until the condition holds. Errs when the job ends, or the shared memory is
    /// corrupted: then it may never hold.
    pub(crate) fn wait_until(&self, until: Until<'_>) -> Result<()> {
        let mut patience = Patience::new(self.may_spin);
        let mut core = self.lock();
        let mut has_role = false;
        let result = loop {
            if core.is_satisfied(&until) {
                break Ok(());
            }
            if !has_role && core.role.is_taken {
                core = self.sleep_behind_holder(core, &until);
                continue;
            }
            (core.role.is_taken, has_role) = (true, true);
            match core.poll() {
                Err(error) => break Err(error),
                Ok(true) => {
                    patience.note_news();
                    continue;
                }
                Ok(false) if self.segment.is_ended() => break Err(job_ended()),
                Ok(false) => {}
            }
            match core.pause(&mut patience, self.core.is_shared()) {
                Pause::Spin => {
                    drop(core);
                    spin_hint();
                    core = self.lock();
                }
                Pause::Yield => {
                    core.publish_all();
                    drop(core);
                    std::thread::yield_now();
                    core = self.lock();
                }
                Pause::Sleep(timeout) => match self.sleep(core, &until, timeout) {
                    Ok((awake, has_news)) => {
                        core = awake;
                        if has_news {
                            patience.note_news();
                        }
                    }
                    Err((awake, error)) => {
                        core = awake;
                        break Err(error);
                    }
                },
            }
        };
        // Also without the role: it may have come to this thread, which has no use for it any more.
        if has_role || !core.role.is_taken {
            core.role.hand_over();
        }
        core.role.note_success(&self.published);
        core.role.publish_running(&self.published);
        result
    }

    /// Another thread makes progress: sleeps until it has ended this one's operation, or has no
    /// more use for the role.
    fn sleep_behind_holder<'a>(&'a self, mut core: Guard<'a, Core>, until: &Until<'_>) -> Guard<'a, Core> {
        let wants_messages = matches!(until, Until::Message(_) | Until::Words { .. } | Until::Quiet);
        let (sleeper, word) = core.role.add_sleeper(wants_messages);
        core.set_waiter(until, Some(sleeper));
        drop(core);
        // A word that only other ranks write ends nothing here: look at it now and then.
        let timeout = if wants_messages { Duration::from_millis(1) } else { SLEEP_MAX };
        let woken = word.wait(0, Some(timeout), Scope::Private);
        let mut core = self.lock();
        // Acquire: PROGRESS_ROLE, pairs with the Release in `Sleeper::wake`.
        let is_forgotten = woken == Woken::TimedOut && word.word.load(Ordering::Acquire) == 0;
        if is_forgotten && !wants_messages && (core.is_satisfied(until) || !core.role.is_taken) {
            // Relaxed: a statistic.
            self.rescues.fetch_add(1, Ordering::Relaxed);
        }
        core.set_waiter(until, None);
        core.role.remove_sleeper(sleeper);
        core
    }

    /// Sleeps on the doorbell; whether there was news.
    fn sleep<'a>(
        &'a self,
        mut core: Guard<'a, Core>,
        until: &Until<'_>,
        timeout: Duration,
    ) -> std::result::Result<(Guard<'a, Core>, bool), (Guard<'a, Core>, crate::error::Error)> {
        core.publish_all();
        core.publish_blocked(&self.published, until);
        let timeout = if core.waits_for_credit() { CYCLE_LOOK } else { timeout };
        self.bell.announce_sleep();
        match core.poll_all() {
            Ok(false) if !core.is_satisfied(until) && !self.segment.is_ended() => {}
            news => {
                self.bell.stay_awake();
                return self.after_sleep(core, news);
            }
        }
        core.role.is_holder_asleep = true;
        // Another thread of this rank may end the operation: then no peer rings.
        core.set_waiter(until, Some(HOLDER));
        drop(core);
        let woken = self.bell.sleep(timeout);
        let mut core = self.lock();
        core.set_waiter(until, None);
        core.role.is_holder_asleep = false;
        let news =
            if woken == Woken::TimedOut { self.after_time_out(&mut core, until) } else { core.poll_all() };
        self.bell.stay_awake();
        self.after_sleep(core, news)
    }

    fn after_sleep<'a>(
        &self,
        mut core: Guard<'a, Core>,
        news: Result<bool>,
    ) -> std::result::Result<(Guard<'a, Core>, bool), (Guard<'a, Core>, crate::error::Error)> {
        core.role.publish_running(&self.published);
        match news {
            Ok(has_news) => Ok((core, has_news)),
            Err(error) => Err((core, error)),
        }
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
        } else if core.waits_for_credit() {
            // What this sets free is no wake-up that somebody owed.
            core.look_for_cycle(&self.published)?;
        } else {
            self.look_for_lost_peer()?;
        }
        Ok(has_news)
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
        core.role.failed_tests += 1;
        match core.role.failed_tests % 64 {
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
        if now - *core.role.failed_since.get_or_insert(now) < core.config.test_patience {
            return Ok(());
        }
        core.role.failed_since = Some(now);
        self.segment.end_without_keeper();
        self.look_for_lost_peer()?;
        core.publish_blocked(&self.published, until);
        core.look_for_cycle(&self.published)
    }
}

impl Core {
    fn pause(&mut self, patience: &mut Patience, is_shared: bool) -> Pause {
        patience.next(&mut self.role.spin, is_shared)
    }

    pub(super) fn is_satisfied(&mut self, until: &Until<'_>) -> bool {
        match until {
            Until::Request(id) => self.requests.is_done(*id),
            Until::Any(ids) => ids.iter().any(|id| self.requests.is_done(*id)),
            Until::Message(pattern) => self.unexpected.find(pattern).is_some(),
            Until::Words { words, at_least } => {
                // Acquire: BOARD_WORD, pairs with the Releases on the board.
                words.iter().all(|word| word.load(Ordering::Acquire) >= *at_least)
            }
            Until::Quiet => self.requests.detached() == 0 && self.backlog.is_empty(),
        }
    }

    fn set_waiter(&mut self, until: &Until<'_>, waiter: Option<u32>) {
        match until {
            Until::Request(id) => self.requests.set_waiter(*id, waiter),
            Until::Any(ids) => ids.iter().for_each(|id| self.requests.set_waiter(*id, waiter)),
            Until::Message(_) | Until::Words { .. } | Until::Quiet => {}
        }
    }

    /// One round: takes what has come, sends what has waited. True if anything moved. Never waits.
    pub(super) fn poll(&mut self) -> Result<bool> {
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
    fn poll_all(&mut self) -> Result<bool> {
        let mut moved = self.poll()?;
        for index in 0..self.disarmed.len() {
            let from = self.disarmed[index];
            if self.peers[from.index()].consumer.peek().is_some() {
                moved |= self.consume(from)?;
            }
        }
        Ok(moved)
    }

    #[inline]
    fn poll_ring(&mut self, from: PeerId) -> Result<bool> {
        let peer = &mut self.peers[from.index()];
        if peer.consumer.peek().is_none() {
            peer.silent_polls += 1;
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
        self.role.is_published_blocked = true;
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
