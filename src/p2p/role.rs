//! The progress role: which of a rank's threads polls, how it sleeps, and who wakes whom.
//!
//! Of the threads of a rank that wait, one holds the *role*: it polls, and sleeps on the rank's
//! doorbell. The others sleep on words of their own, until their operation ends or the role comes
//! to them. Everything here is under the rank's lock, which a thread drops after every empty poll and
//! while it sleeps. docs/PROTOCOL.md has the argument.
//!
//! The loop knows the engine only as a [`Wait`], so that models run it as it is.

use super::job_ended;
use crate::{
    error::Result,
    shm::{doorbell::Doorbell, far::Far},
    sync::{AtomicU64, Ordering, poll_hint},
    sys::{
        biased_lock::{BiasedLock, Guard},
        futex::{FutexWord, Scope, Woken},
    },
};
use std::{sync::Arc, time::Duration};

/// The longest sleep behind the holder. Nothing relies on it.
const SLEEP: Duration = Duration::from_secs(1);

/// The waiter of an operation for which the holder sleeps: it has no word of its own.
const HOLDER: u32 = u32::MAX;

/// Who makes progress, and who waits for its turn.
#[derive(Default)]
pub(super) struct Role {
    is_taken: bool,
    /// The holder sleeps on the doorbell.
    is_holder_asleep: bool,
    sleepers: Vec<Sleeper>,
    /// How many sleepers the holder has to look after.
    watched: usize,
}

/// A thread that sleeps on its own word.
struct Sleeper {
    word: Arc<FutexWord>,
    is_used: bool,
    watch: Watch,
}

/// How a thread that sleeps behind the holder learns that its wait is over.
#[derive(Default)]
pub(super) enum Watch {
    /// Whoever ends its operation wakes the waiter that is registered for it.
    #[default]
    Waiter,
    /// Whoever queues an unexpected message wakes it.
    Message,
    /// Whoever has a waker called, or wants a thread that calls them to look at something, wakes it.
    Wakers,
    /// Other ranks write all these words, and ring: the holder looks at them for it.
    Words { words: Vec<Far<AtomicU64>>, at_least: u64 },
    /// Anything that moves may end it: the holder wakes it for all news.
    News,
}

impl Watch {
    /// Whether the holder has to look after it.
    fn is_the_holders(&self) -> bool {
        matches!(self, Self::Words { .. } | Self::News)
    }
}

/// Whether all of the words have reached the value.
pub(super) fn have_reached(words: &[Far<AtomicU64>], value: u64) -> bool {
    // Acquire: BOARD_WORD, pairs with the Releases on the board.
    words.iter().all(|word| word.load(Ordering::Acquire) >= value)
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
        let probers = self.sleepers.iter().filter(|sleeper| matches!(sleeper.watch, Watch::Message));
        probers.for_each(Sleeper::wake);
    }

    /// A waker is to be called, or there is something else for the threads that do that.
    pub(super) fn wake_drivers(&self, bell: &Doorbell) {
        self.wake_holder(bell);
        let drivers = self.sleepers.iter().filter(|sleeper| matches!(sleeper.watch, Watch::Wakers));
        drivers.for_each(Sleeper::wake);
    }

    /// The holder has polled: wakes those whose waits may be over by what it has seen.
    #[inline]
    pub(super) fn wake_watched(&self, has_news: bool) {
        if self.watched > 0 {
            self.look_after_sleepers(has_news);
        }
    }

    #[cold]
    fn look_after_sleepers(&self, has_news: bool) {
        for sleeper in &self.sleepers {
            let is_over = match &sleeper.watch {
                Watch::Words { words, at_least } => have_reached(words, *at_least),
                Watch::News => has_news,
                Watch::Waiter | Watch::Message | Watch::Wakers => false,
            };
            if is_over {
                sleeper.wake();
            }
        }
    }

    /// A thread that has waited goes. Also without the role it may have to hand it over: it may have come
    /// to this thread, which has no use for it any more.
    pub(super) fn leave(&mut self, has_role: bool) {
        if has_role || !self.is_taken {
            self.hand_over();
        }
    }

    /// The role is free: one of those who sleep takes it.
    fn hand_over(&mut self) {
        self.is_taken = false;
        if let Some(next) = self.sleepers.iter().find(|sleeper| sleeper.is_used) {
            next.wake();
        }
    }

    fn add_sleeper(&mut self, watch: Watch) -> (u32, Arc<FutexWord>) {
        let free = self.sleepers.iter().position(|sleeper| !sleeper.is_used);
        let index = free.unwrap_or_else(|| {
            let word = Arc::new(FutexWord::default());
            self.sleepers.push(Sleeper { word, is_used: false, watch: Watch::Waiter });
            self.sleepers.len() - 1
        });
        self.watched += usize::from(watch.is_the_holders());
        let sleeper = &mut self.sleepers[index];
        (sleeper.is_used, sleeper.watch) = (true, watch);
        // Relaxed: written and slept on under the lock's order.
        sleeper.word.word.store(0, Ordering::Relaxed);
        (u32::try_from(index).expect("fewer than 2^32 threads"), Arc::clone(&sleeper.word))
    }

    fn remove_sleeper(&mut self, index: u32) {
        let sleeper = &mut self.sleepers[index as usize];
        sleeper.is_used = false;
        self.watched -= usize::from(std::mem::take(&mut sleeper.watch).is_the_holders());
    }
}

impl Sleeper {
    fn wake(&self) {
        // Relaxed: written under the lock.
        if self.word.word.load(Ordering::Relaxed) == 1 {
            return;
        }
        // Release: PROGRESS_ROLE; the lock orders everything else.
        self.word.word.store(1, Ordering::Release);
        self.word.wake(1, Scope::Private);
    }
}

/// What the holder does after an empty poll.
pub(super) enum Pause {
    Spin,
    Yield,
    /// At most for so long.
    Sleep(Duration),
}

/// One wait of one thread: for what, and how its rank makes progress meanwhile. The engine's is in
/// `progress`; models have one of their own.
pub(super) trait Wait {
    /// What the rank's lock protects.
    type Core;

    fn role(core: &mut Self::Core) -> &mut Role;

    /// Whether the condition holds.
    fn is_satisfied(&self, core: &mut Self::Core) -> bool;

    /// Whether the job has ended: then the condition may never hold.
    fn is_job_ended(&self) -> bool;

    /// Who wakes this thread when it sleeps behind the holder and the condition comes to hold.
    fn watch(&self) -> Watch;

    /// Before this thread sleeps behind the holder. Its condition is looked at once more afterwards.
    fn before_sleep(&mut self, core: &mut Self::Core);

    /// Whom to wake when an operation that this waits for ends.
    fn set_waiter(&self, core: &mut Self::Core, waiter: Option<u32>);

    /// One round of progress; true if anything moved. Never waits.
    fn poll(&mut self, core: &mut Self::Core) -> Result<bool>;

    /// Whether polling has brought up what is done without the lock.
    fn has_work(core: &mut Self::Core) -> bool;

    /// Does it. Errs in a child that it has forked, which is no rank and must touch nothing of one.
    fn work(&mut self) -> Result<()>;

    /// As `poll`, with a look at everything that others may have changed before the last barrier.
    fn poll_all(&mut self, core: &mut Self::Core) -> Result<bool>;

    /// After an empty poll. Before a rank rests, it owes nobody room. Errs if the wait is in vain.
    fn pause(&mut self, core: &mut Self::Core) -> Result<Pause>;

    /// Lets other threads run first.
    fn give_way(&self) {
        std::thread::yield_now();
    }

    /// Until the doorbell is rung, at most for so long.
    fn sleep(&self, bell: &Doorbell, timeout: Duration) -> Woken {
        bell.sleep(timeout)
    }

    /// As `poll_all`, when nobody has rung.
    fn after_time_out(&mut self, core: &mut Self::Core) -> Result<bool>;

    /// The holder is awake again.
    fn after_sleep(&mut self, core: &mut Self::Core);

    /// This thread has slept behind the holder. Errs if the wait is in vain.
    fn after_sleep_behind_holder(&mut self, core: &mut Self::Core) -> Result<()>;

    /// A wake-up was lost.
    fn note_rescue(&self);

    /// The wait is over: [`Role::leave`], and what else is to be done.
    fn leave(&mut self, core: &mut Self::Core, has_role: bool);
}

/// Makes progress until the condition holds. Errs when the job ends, or the shared memory is
/// corrupted: then it may never hold.
pub(super) fn wait_until<W: Wait>(lock: &BiasedLock<W::Core>, bell: &Doorbell, mut wait: W) -> Result<()> {
    let mut core = lock.lock();
    let mut has_role = false;
    let result = loop {
        if wait.is_satisfied(&mut core) {
            break Ok(());
        }
        if !has_role && W::role(&mut core).is_taken {
            let outcome;
            (core, outcome) = sleep_behind_holder(lock, core, &mut wait);
            match outcome {
                Ok(()) => continue,
                Err(error) => break Err(error),
            }
        }
        if W::has_work(&mut core) {
            // It may take long: another thread that waits polls meanwhile.
            let had_role = std::mem::take(&mut has_role);
            W::role(&mut core).leave(had_role);
            drop(core);
            wait.work()?;
            core = lock.lock();
            continue;
        }
        (W::role(&mut core).is_taken, has_role) = (true, true);
        let news = wait.poll(&mut core);
        W::role(&mut core).wake_watched(matches!(news, Ok(true)));
        match news {
            Err(error) => break Err(error),
            Ok(true) => continue,
            Ok(false) if wait.is_job_ended() => break Err(job_ended()),
            Ok(false) => {}
        }
        let pause = match wait.pause(&mut core) {
            Ok(pause) => pause,
            Err(error) => break Err(error),
        };
        match pause {
            Pause::Spin => {
                drop(core);
                poll_hint();
                core = lock.lock();
            }
            Pause::Yield => {
                drop(core);
                wait.give_way();
                core = lock.lock();
            }
            Pause::Sleep(timeout) => {
                let outcome;
                (core, outcome) = sleep(lock, bell, core, &mut wait, timeout);
                if let Err(error) = outcome {
                    break Err(error);
                }
            }
        }
    };
    wait.leave(&mut core, has_role);
    result
}

/// Another thread makes progress: sleeps until it has ended this one's operation, or has no more use
/// for the role.
fn sleep_behind_holder<'a, W: Wait>(
    lock: &'a BiasedLock<W::Core>,
    mut core: Guard<'a, W::Core>,
    wait: &mut W,
) -> (Guard<'a, W::Core>, Result<()>) {
    wait.before_sleep(&mut core);
    if wait.is_satisfied(&mut core) {
        return (core, Ok(()));
    }
    let (sleeper, word) = W::role(&mut core).add_sleeper(wait.watch());
    wait.set_waiter(&mut core, Some(sleeper));
    drop(core);
    let woken = word.wait(0, Some(SLEEP), Scope::Private);
    let mut core = lock.lock();
    // Acquire: PROGRESS_ROLE, pairs with the Release in `Sleeper::wake`.
    let is_forgotten = woken == Woken::TimedOut && word.word.load(Ordering::Acquire) == 0;
    if is_forgotten && (wait.is_satisfied(&mut core) || !W::role(&mut core).is_taken) {
        wait.note_rescue();
    }
    wait.set_waiter(&mut core, None);
    W::role(&mut core).remove_sleeper(sleeper);
    let outcome = wait.after_sleep_behind_holder(&mut core);
    (core, outcome)
}

/// The holder sleeps on the doorbell.
fn sleep<'a, W: Wait>(
    lock: &'a BiasedLock<W::Core>,
    bell: &Doorbell,
    mut core: Guard<'a, W::Core>,
    wait: &mut W,
    timeout: Duration,
) -> (Guard<'a, W::Core>, Result<()>) {
    bell.announce_sleep();
    let mut news = wait.poll_all(&mut core);
    W::role(&mut core).wake_watched(matches!(news, Ok(true)));
    if matches!(news, Ok(false)) && !wait.is_satisfied(&mut core) && !wait.is_job_ended() {
        W::role(&mut core).is_holder_asleep = true;
        // Another thread of this rank may end the operation: then no peer rings.
        wait.set_waiter(&mut core, Some(HOLDER));
        drop(core);
        let woken = wait.sleep(bell, timeout);
        core = lock.lock();
        wait.set_waiter(&mut core, None);
        W::role(&mut core).is_holder_asleep = false;
        news = match woken {
            Woken::TimedOut => wait.after_time_out(&mut core),
            Woken::MaybeReady => wait.poll_all(&mut core),
        };
        W::role(&mut core).wake_watched(matches!(news, Ok(true)));
    }
    bell.stay_awake();
    wait.after_sleep(&mut core);
    (core, news.map(drop))
}

#[cfg(all(test, loom))]
#[path = "role_loom.rs"]
mod models;
