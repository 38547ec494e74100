//! Progress: what a rank polls, what its threads wait for, and how patiently.
//!
//! The loop in which they wait is in [`super::role`].

use super::{
    Core, Engine, RequestId, job_ended,
    role::{self, Pause, Role, Wait, Watch, have_reached},
    wakers::Notice,
};
use crate::{
    envelope::Pattern,
    error::Result,
    shm::{doorbell::Doorbell, far::Far, slot::Published},
    sync::{AtomicU64, Ordering},
    sys::futex::Woken,
    types::{ContextId, PeerId},
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
    /// All of the words have reached the value. Other ranks write them; if this one never does, they never will.
    Words { words: &'a [Far<AtomicU64>], at_least: u64, by: Option<Writer> },
    /// A waker is to be called; or the notice is set, or, without one, no waker is left to wait for.
    Woken(Option<&'a Notice>),
    /// Nothing is queued, and no receive goes on that nobody asks for.
    Settled,
    /// The same, and no collective is under way.
    CollectivesOver,
    /// This rank owes nothing: no send that nobody asks for, no packet in a backlog.
    Quiet,
}

impl Until<'_> {
    pub(super) fn is_of_finalize(&self) -> bool {
        matches!(self, Self::Settled | Self::CollectivesOver | Self::Quiet)
    }
}

/// A rank that has a part in a blocking collective, which is on words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    pub(crate) peer: PeerId,
    /// The context of the communicator's blocking collectives.
    pub(crate) context: ContextId,
    /// Nor will they if any other member never has a part in it.
    pub(crate) needs_all: bool,
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
/// A thread that waits looks so often for ranks that have left, whatever else keeps it busy.
pub(super) const LEAVER_LOOK: Duration = Duration::from_millis(500);
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
    /// Tests and probes that have found nothing, of all threads.
    failed_tests: u64,
    /// Since when none has succeeded, once they have been looked at.
    failed_since: Option<Instant>,
    /// What the published slot says about this rank.
    is_published: bool,
}

impl Blocked {
    /// A test or a probe has found what it looked for.
    #[inline]
    pub(super) fn note_success(&mut self, published: &Published) {
        if self.failed_since.take().is_some() {
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
    /// It has not run out, as far as anybody has looked.
    is_on: bool,
    /// When the last one ends, or has ended.
    end: Option<Instant>,
    length: Duration,
}

impl SpinBan {
    fn note_preemption(&mut self, now: Instant) {
        let mut length = (self.length * 2).clamp(SPIN_BAN, SPIN_BAN_MAX);
        let mut calm = self.end.map_or(Duration::ZERO, |end| now.saturating_duration_since(end));
        // Without preemption it is forgotten in steps.
        while length > SPIN_BAN && calm >= length {
            calm -= length;
            length = (length / 2).max(SPIN_BAN);
        }
        (self.is_on, self.end, self.length) = (true, Some(now + length), length);
    }

    fn is_on_at(&mut self, now: Instant) -> bool {
        self.is_on = self.is_on && self.end.is_some_and(|end| now < end);
        self.is_on
    }
}

/// How long a thread has been waiting without news.
struct Patience {
    polls: u32,
    since: Option<Instant>,
    last_look: Option<Instant>,
    next_sleep: Duration,
    /// When this thread has last looked for ranks that have left, or first might have.
    looked_for_leavers: Option<Instant>,
    /// How many notices had come by then.
    notices: u64,
}

impl Patience {
    fn new() -> Self {
        Self {
            polls: 0,
            since: None,
            last_look: None,
            next_sleep: SLEEP,
            looked_for_leavers: None,
            notices: 0,
        }
    }

    fn note_news(&mut self) {
        (self.polls, self.since, self.last_look) = (0, None, None);
        self.next_sleep = SLEEP;
    }

    /// Whether to look for ranks that have left. Counts from the first call.
    fn is_leaver_look_due(&mut self, now: Instant) -> bool {
        let is_due = now - *self.looked_for_leavers.get_or_insert(now) >= LEAVER_LOOK;
        if is_due {
            self.looked_for_leavers = Some(now);
        }
        is_due
    }

    /// Counts an empty poll. True if the thread goes on spinning without a look at the clock.
    #[inline]
    fn spins_on(&mut self, may_spin: bool, ban: &SpinBan) -> bool {
        self.polls += 1;
        may_spin && !ban.is_on && !self.polls.is_multiple_of(POLLS_PER_LOOK)
    }

    /// What the thread does, by the clock.
    fn next(&mut self, now: Instant, may_spin: bool, ban: &mut SpinBan) -> Pause {
        let waited = now - *self.since.get_or_insert(now);
        let gap = now - self.last_look.replace(now).unwrap_or(now);
        if may_spin && waited < SPIN && !ban.is_on_at(now) {
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

    /// Looks for ranks that have left, if that is due: others may keep the rank so busy that no sleep of this
    /// thread ever times out; or a notice has come; or this rank is in finalize, and has heard of something in vain.
    fn look_for_leavers(&mut self, core: &mut Core, now: Instant) -> Result<()> {
        let is_told = std::mem::replace(&mut self.patience.notices, core.notices) != core.notices;
        if self.patience.is_leaver_look_due(now) || is_told || core.is_look_due(&self.until) {
            let has_news = self.noting_news(core.look_for_leavers(&self.until))?;
            core.role.wake_watched(has_news);
        }
        Ok(())
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
            Until::Woken(_) => Watch::Wakers,
            Until::Quiet | Until::CollectivesOver | Until::Settled => Watch::News,
        }
    }

    /// The holder may be asleep for long: what it owes others, and how often it looks for a cycle of
    /// blocked ranks, has changed.
    fn before_sleep(&mut self, core: &mut Core) {
        core.publish_all();
        if core.waits_for_credit() {
            core.role.wake_holder(&core.bell);
        }
        self.patience.looked_for_leavers.get_or_insert_with(Instant::now);
        if let Until::Words { .. } = self.until {
            // A member of a board may ring only if it sees that somebody waits for it to enter
            // (`Board::begin_reuse_wait`): that has been said before the next look at its word.
            self.engine.bell.owner_barrier();
        }
    }

    fn set_waiter(&self, core: &mut Core, waiter: Option<u32>) {
        match self.until {
            Until::Request(id) => core.set_waiter(id, waiter),
            Until::Any(ids) => ids.iter().for_each(|id| core.set_waiter(*id, waiter)),
            Until::Message(_) | Until::Words { .. } => {}
            Until::Woken(_) | Until::Quiet | Until::CollectivesOver | Until::Settled => {}
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
    fn has_work(core: &mut Core) -> bool {
        core.has_combination()
    }

    fn work(&mut self) -> Result<()> {
        self.engine.combine_all()?;
        self.patience.note_news();
        Ok(())
    }

    #[inline]
    fn pause(&mut self, core: &mut Core) -> Result<Pause> {
        let engine = self.engine;
        let may_spin = engine.may_spin && !engine.core.is_shared();
        if self.patience.spins_on(may_spin, &core.spin_ban) {
            return Ok(Pause::Spin);
        }
        let pause = match engine.baton.pause() {
            Some(pause) => pause,
            None => {
                let now = Instant::now();
                self.look_for_leavers(core, now)?;
                let pause = self.patience.next(now, may_spin, &mut core.spin_ban);
                engine.note_spinning(may_spin && !core.spin_ban.is_on);
                pause
            }
        };
        Ok(match pause {
            Pause::Spin => Pause::Spin,
            Pause::Yield => {
                core.publish_all();
                Pause::Yield
            }
            Pause::Sleep(timeout) => {
                core.publish_all();
                core.publish_blocked(&engine.published, &self.until);
                Pause::Sleep(if core.waits_for_credit() { CYCLE_LOOK } else { timeout })
            }
        })
    }

    fn give_way(&self) {
        self.engine.baton.give_way();
    }

    fn sleep(&self, bell: &Doorbell, timeout: Duration) -> Woken {
        self.engine.baton.sleep(bell, timeout, &self.until)
    }

    fn after_time_out(&mut self, core: &mut Core) -> Result<bool> {
        self.noting_news(self.engine.after_time_out(core, &self.until))
    }

    fn after_sleep(&mut self, core: &mut Core) {
        core.blocked.publish_running(&self.engine.published);
    }

    fn after_sleep_behind_holder(&mut self, core: &mut Core) -> Result<()> {
        self.look_for_leavers(core, Instant::now())
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
        self.baton.pass();
        let patience = Patience::new();
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
    /// look for a cycle of blocked ranks see this one. Errs if it will never find anything.
    #[inline]
    pub(super) fn note_failed_test(&self, core: &mut Core, until: Until<'_>) -> Result<()> {
        core.blocked.failed_tests += 1;
        match core.blocked.failed_tests % 64 {
            0 => self.look_at_failed_tests(core, &until),
            _ => Ok(()),
        }
    }

    #[cold]
    fn look_at_failed_tests(&self, core: &mut Core, until: &Until<'_>) -> Result<()> {
        if self.segment.is_ended() {
            return Err(job_ended());
        }
        core.publish_all();
        if core.look_for_leavers(until)? {
            return Ok(());
        }
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
            Until::Woken(notice) => self.wakers.is_due(*notice),
            Until::Settled => self.backlog.is_empty() && !self.requests.has_detached_receives(),
            Until::CollectivesOver => self.schedules.is_empty() && self.is_satisfied(&Until::Settled),
            Until::Quiet => self.requests.detached() == 0 && self.backlog.is_empty(),
        }
    }

    /// When the thread goes, a waker may still wait.
    fn set_waiter(&mut self, id: RequestId, waiter: Option<u32>) {
        let waiter = waiter.or_else(|| self.wakers.waiter_of(id));
        self.requests.set_waiter(id, waiter);
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
        if !self.schedules.is_empty() {
            moved |= self.advance_schedules()?;
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
        envelope::{Envelope, Pattern},
        p2p::{Config, CreditLimits, Mode},
        shm::{doorbell::BarrierMode, segment::Segment},
        types::ContextId,
    };

    const GAP: Duration = Duration::from_micros(25);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Two looks at the clock while spinning, between which this CPU was somebody else's.
    fn preempt(ban: &mut SpinBan, at: Instant) {
        let mut patience = Patience::new();
        assert!(matches!(patience.next(at, true, ban), Pause::Spin));
        assert!(!ban.is_on);
        patience.next(at + GAP, true, ban);
        assert!(ban.is_on);
    }

    #[test]
    fn who_waits_spins_then_yields_then_sleeps_longer_and_longer_until_there_is_news() {
        let (start, mut ban, mut patience) = (Instant::now(), SpinBan::default(), Patience::new());
        for _ in 0..2 {
            let mut looks = 0;
            for micros in (0..SPIN.as_micros() as u64).step_by(10) {
                looks += (0..POLLS_PER_LOOK).filter(|_| !patience.spins_on(true, &ban)).count();
                let at = start + Duration::from_micros(micros);
                assert!(matches!(patience.next(at, true, &mut ban), Pause::Spin), "{micros} us");
            }
            assert_eq!(looks, 5, "one look at the clock every {POLLS_PER_LOOK} polls");
            for waited in [SPIN, SPIN + GAP, YIELD - GAP] {
                assert!(matches!(patience.next(start + waited, true, &mut ban), Pause::Yield), "{waited:?}");
            }
            let sleeps = [50, 100, 200, 400, 800, 1000, 1000].map(|length| {
                let pause = patience.next(start + YIELD, true, &mut ban);
                matches!(pause, Pause::Sleep(sleep) if sleep == ms(length))
            });
            assert_eq!(sleeps, [true; 7]);
            patience.note_news();
        }
        assert!(!ban.is_on, "nobody spun at the gaps");
    }

    #[test]
    fn a_rank_without_a_cpu_of_its_own_looks_at_the_clock_at_once_and_yields() {
        let (mut ban, mut patience) = (SpinBan::default(), Patience::new());
        assert!(!patience.spins_on(false, &ban));
        assert!(matches!(patience.next(Instant::now(), false, &mut ban), Pause::Yield));
    }

    #[test]
    fn nobody_spins_while_others_use_the_cpu_and_the_ban_grows_until_it_is_quiet_again() {
        let (mut now, mut ban) = (Instant::now(), SpinBan::default());
        for length in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            preempt(&mut ban, now);
            let last = now + GAP + ms(length) - GAP;
            let mut patience = Patience::new();
            assert!(!patience.spins_on(true, &ban), "it looks at the clock at once");
            assert!(matches!(patience.next(last, true, &mut ban), Pause::Yield), "{length} ms");
            now = now + GAP + ms(length);
        }
        // 1 s without preemption, and again.
        for (calm, length) in [(1000, 500), (500 + 1000, 250), (100, 500), (10_000, 10)] {
            now += ms(calm);
            preempt(&mut ban, now);
            assert_eq!(ban.length, ms(length), "after {calm} ms");
            now = now + GAP + ms(length);
        }
    }

    /// By the engine's own loop.
    #[test]
    fn receives_look_only_once_at_their_ring_while_nobody_may_spin() {
        let segment = Segment::on_heap(2).unwrap();
        let config = Config { may_spin: true, ..Config::new(BarrierMode::Fence) };
        let engine = &Engine::new(&segment, PeerId(0), config).unwrap();
        // Relaxed: one thread at a time.
        let looks = || engine.fast_looks.load(Ordering::Relaxed);
        let many = looks();
        assert!(many > 100);
        let pattern = Pattern { context: ContextId(16), source: None, tag: None };
        let until = Until::Message(Awaited { pattern: &pattern, from: None });
        let mut wait = EngineWait { engine, until, patience: Patience::new() };
        let mut core = engine.lock();
        core.spin_ban.note_preemption(Instant::now() + Duration::from_secs(60));
        assert!(matches!(wait.pause(&mut core).unwrap(), Pause::Yield));
        assert_eq!(looks(), 1);
        core.spin_ban.end = Some(Instant::now());
        wait.patience.note_news();
        assert!(matches!(wait.pause(&mut core).unwrap(), Pause::Spin));
        assert_eq!(looks(), many);
        drop(core);
        std::thread::scope(|scope| _ = scope.spawn(|| engine.step()));
        wait.patience.note_news();
        assert!(matches!(wait.pause(&mut engine.lock()).unwrap(), Pause::Yield));
        assert_eq!(looks(), 1, "another thread has come");
    }

    #[test]
    fn rings_that_stay_silent_are_not_polled_and_what_comes_in_them_is_seen_all_the_same() {
        const RANKS: u32 = 8;
        let segment = Segment::on_heap(RANKS as usize).unwrap();
        let config = Config::new(BarrierMode::Fence);
        let engines: Vec<Engine> =
            (0..RANKS).map(|rank| Engine::new(&segment, PeerId(rank), config).unwrap()).collect();
        let send = |from: u32| {
            let envelope = Envelope { context: ContextId(16), source: from as i32, tag: 0, bytes: 1 };
            engines[from as usize]
                .send(PeerId(0), envelope, Mode::Standard, of_slice(&[from as u8]))
                .unwrap();
        };
        let poll = |times: u64| (0..times).for_each(|_| _ = engines[0].step().unwrap());
        let seen = || engines[0].held().1;
        let disarmed = || engines[0].lock().disarmed.clone();
        // As a sender's stale look at the bitmap says.
        let seem_armed = |ranks: &[PeerId]| {
            let bell = engines[0].lock().bell.clone();
            ranks.iter().for_each(|rank| bell.set_armed(rank.0, true));
        };
        (1..RANKS).for_each(send);
        poll(1);
        assert_eq!((seen(), disarmed()), (7, vec![]));
        poll(u64::from(SILENT_POLLS));
        // None of the next polls sweeps.
        let polls = engines[0].lock().polls;
        poll(SWEEP_EVERY - polls % SWEEP_EVERY);
        assert!(engines[0].lock().armed.len() <= ALWAYS_POLLED);
        let silent = disarmed();
        assert_eq!(silent.len() + engines[0].lock().armed.len(), 7);
        let (first, rest) = silent.split_first().unwrap();
        send(first.0);
        poll(1);
        assert_eq!((seen(), disarmed()), (8, rest.to_vec()), "the next poll finds it");
        seem_armed(rest);
        send(rest[0].0);
        poll(1);
        assert_eq!(seen(), 8, "nobody has told");
        poll(SWEEP_EVERY * u64::from(RANKS));
        assert_eq!(seen(), 9, "the sweep finds it");
        let silent = disarmed();
        assert!(!silent.is_empty());
        seem_armed(&silent);
        silent.iter().for_each(|rank| send(rank.0));
        engines[0].lock().poll_all().unwrap();
        assert_eq!(seen(), 9 + silent.len(), "a look at everything finds all of it");
    }

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
