//! Models of the progress role: the waiting loop as it is, in FENCE mode, over a rank that is nothing but
//! a few operations. Its threads sleep whenever they may, and time-outs never come.

use super::{HOLDER, Pause, Role, Wait, Watch, wait_until};
use crate::{
    error::Result,
    shm::{
        doorbell::{BarrierMode, Doorbell, on_heap},
        far::Far,
    },
    sync::{
        AtomicU64, Ordering, fence,
        model::{check, thread},
    },
    sys::biased_lock::BiasedLock,
};
use std::{sync::Arc, time::Duration};

/// What is done wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// A holder that goes keeps the role.
    KeepsRole,
    /// A thread to which the role has come, and which has no use for it, keeps it.
    KeepsUnusedRole,
    /// A thread that goes gives away what another one holds.
    GivesForeignRole,
    /// The holder does not look again after the doorbell's barrier.
    SleepsUnlooked,
    /// The holder sleeps without being registered for its operation.
    SleepsUnregistered,
    /// The peer rings, and then publishes.
    RingsFirst,
    /// A thread that tests, queues a message, begins work or ends what has a waker wakes nobody.
    ActsSilently,
    /// The waiter is woken, and then the operation ends.
    WakesFirst,
    /// Nobody looks at the word, or wakes for a waker, for a thread that sleeps behind the holder.
    WatchesNothing,
    /// A thread has no barrier of its own before it sleeps behind the holder.
    SleepsUnfenced,
    /// A thread that has brought up jobs leaves them without waking the holder.
    LeavesJobs,
    /// Nobody is woken for what a job has ended.
    EndsJobSilently,
}

/// In place of the engine's core.
struct Core {
    role: Role,
    bell: Doorbell,
    operations: [Operation; 5],
    /// Messages that nobody expected.
    messages: u32,
    /// The operation that has a waker, and how many wakers are to be called.
    with_waker: Option<usize>,
    woken: u32,
    /// An operation that ends at the next poll, as a pull does.
    work: Option<usize>,
    /// Operations whose ends are steps of schedules: each brings up a job, which is done without the lock and ends
    /// another one.
    steps: Vec<(usize, usize)>,
    /// The operations that jobs end which nobody does yet.
    jobs: Vec<usize>,
    /// The peer's ends of operations: how many there are, and how many of them have been seen.
    inbox: Far<AtomicU64>,
    seen: u64,
    /// The operation that the holder of the role waits for.
    holder: Option<Until>,
}

#[derive(Default)]
struct Operation {
    has_ended: bool,
    waiter: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Operation(usize),
    Message,
    Word,
    Woken,
}

impl Core {
    /// The peer ends the operations in the order of their numbers.
    fn poll(&mut self, silently: bool) -> bool {
        // Acquire: pairs with the Release in `write`.
        let published = self.inbox.load(Ordering::Acquire);
        let news = std::mem::replace(&mut self.seen, published)..published;
        let work = self.work.take();
        let has_news = !news.is_empty() || work.is_some();
        for operation in news.map(|operation| operation as usize).chain(work) {
            self.end(operation, silently);
        }
        has_news
    }

    /// As the engine's.
    fn end(&mut self, operation: usize, silently: bool) {
        if self.with_waker.take_if(|with_waker| *with_waker == operation).is_some() {
            self.woken += 1;
            if !silently {
                self.role.wake_drivers(&self.bell);
            }
        }
        let Self { steps, jobs, .. } = self;
        jobs.extend(
            steps.extract_if(.., |(step, _)| *step == operation).map(|(_, ended_by_job)| ended_by_job),
        );
        let operation = &mut self.operations[operation];
        operation.has_ended = true;
        if let Some(waiter) = operation.waiter.take()
            && !silently
        {
            self.role.wake(waiter, &self.bell);
        }
    }
}

/// In place of the engine.
#[derive(Clone)]
struct Rank {
    lock: Arc<BiasedLock<Core>>,
    bell: Doorbell,
    fault: Fault,
    inbox: Far<AtomicU64>,
    /// Others write these, and ring.
    word: Far<AtomicU64>,
    job_end: Far<AtomicU64>,
    /// How many threads want to be rung for the word.
    waiting: Far<AtomicU64>,
    /// The holder polls once more before it sleeps.
    spins: bool,
}

impl Rank {
    fn new(fault: Fault, has_bias: bool) -> Self {
        let word = || Far::on_heap(Box::<AtomicU64>::default());
        let (bell, inbox) = (on_heap(1, BarrierMode::Fence), word());
        let core = Core {
            role: Role::default(),
            bell: bell.clone(),
            operations: Default::default(),
            messages: 0,
            with_waker: None,
            woken: 0,
            work: None,
            steps: Vec::new(),
            jobs: Vec::new(),
            inbox: inbox.clone(),
            seen: 0,
            holder: None,
        };
        let lock = if has_bias { BiasedLock::new(core) } else { BiasedLock::without_bias(core) };
        let (word, job_end, waiting) = (word(), word(), word());
        Self { lock: Arc::new(lock), bell, fault, inbox, word, job_end, waiting, spins: false }
    }

    fn start(&self, f: impl FnOnce(&Rank) + 'static) -> Thread {
        let rank = self.clone();
        Thread(thread::spawn(move || f(&rank)))
    }

    fn start_waiting(&self, operation: usize) -> Thread {
        self.start(move |rank| rank.wait(operation))
    }

    fn wait_until(&self, until: Until) -> Result<()> {
        wait_until(&self.lock, &self.bell, ModelWait { rank: self, until, polls: 0 })
    }

    fn wait(&self, operation: usize) {
        self.wait_until(Until::Operation(operation)).expect("the job goes on");
    }

    /// Another process writes a word that this rank may wait for.
    fn write(&self, word: &Far<AtomicU64>, value: u64) {
        if self.fault == Fault::RingsFirst {
            self.bell.ring();
        }
        // Release: pairs with the Acquires in `poll`, `is_satisfied` and `is_job_ended`.
        word.store(value, Ordering::Release);
        if self.fault != Fault::RingsFirst {
            self.bell.ring();
        }
    }

    /// Another process writes the word, and rings if it sees that somebody waits, as who enters a board.
    fn write_for_who_waits(&self) {
        // Release: as in `write`.
        self.word.store(1, Ordering::Release);
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the barriers on both sides.
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.bell.ring();
        }
    }

    /// Another process: the first `count` operations have ended.
    fn publish(&self, count: u64) {
        self.write(&self.inbox, count);
    }

    /// A thread of this rank polls without waiting, as a test does.
    fn test(&self) {
        self.lock.lock().poll(self.fault == Fault::ActsSilently);
    }

    /// A thread of this rank ends an operation, as a message to the rank itself does.
    fn end(&self, operation: usize) {
        let mut core = self.lock.lock();
        if self.fault == Fault::WakesFirst {
            if let Some(waiter) = core.operations[operation].waiter.take() {
                core.role.wake(waiter, &self.bell);
            }
            drop(core);
            core = self.lock.lock();
            core.operations[operation].waiter = None;
        }
        core.end(operation, false);
    }

    /// A thread of this rank queues a message, as one to the rank itself that nobody expects.
    fn queue_message(&self) {
        let mut core = self.lock.lock();
        core.messages += 1;
        if self.fault != Fault::ActsSilently {
            core.role.wake_probers(&self.bell);
        }
    }

    /// A thread of this rank ends the operation that has a waker, as a message to the rank itself does; or calls
    /// the waker of a thread that drives.
    fn end_with_waker(&self, operation: usize) {
        if self.fault == Fault::WakesFirst {
            let core = self.lock.lock();
            core.role.wake_drivers(&core.bell);
        }
        let silently = matches!(self.fault, Fault::ActsSilently | Fault::WakesFirst);
        self.lock.lock().end(operation, silently);
    }

    /// A thread of this rank begins an operation that ends by polling.
    fn begin_work(&self, operation: usize) {
        let mut core = self.lock.lock();
        core.work = Some(operation);
        if self.fault != Fault::ActsSilently {
            core.role.wake_holder(&self.bell);
        }
    }

    /// As the engine does combinations: each is taken, done and ended by itself.
    fn do_jobs(&self) {
        loop {
            let Some(operation) = self.lock.lock().jobs.pop() else { return };
            // Without the lock: others take it meanwhile.
            thread::yield_now();
            let mut core = self.lock.lock();
            core.end(operation, self.fault == Fault::EndsJobSilently);
            core.role.wake_holder(&self.bell);
        }
    }

    /// A thread of this rank ends a step without waiting, as a call that begins a collective does; the job that
    /// this brings up it leaves to others.
    fn end_step(&self, operation: usize) {
        let mut core = self.lock.lock();
        core.end(operation, false);
        if self.fault != Fault::LeavesJobs {
            core.role.wake_holder(&self.bell);
        }
    }

    /// A thread of this rank polls without waiting, and does the job that this may have brought up.
    fn test_and_work(&self) {
        self.lock.lock().poll(false);
        self.do_jobs();
    }

    /// When all threads have gone. A model of a fault is refused for what the fault leads to.
    fn check_idle(&self) {
        if self.fault != Fault::None {
            return;
        }
        let core = self.lock.lock();
        assert!(!core.role.is_taken && !core.role.is_holder_asleep, "the role is free");
        assert!(core.role.sleepers.iter().all(|sleeper| !sleeper.is_used), "nobody sleeps");
        assert!(core.operations.iter().all(|operation| operation.waiter.is_none()), "nobody is registered");
    }
}

struct Thread(thread::JoinHandle<()>);

impl Thread {
    fn join(self) {
        self.0.join().expect("no thread panics");
    }
}

struct ModelWait<'a> {
    rank: &'a Rank,
    until: Until,
    polls: u32,
}

impl Wait for ModelWait<'_> {
    type Core = Core;

    fn role(core: &mut Core) -> &mut Role {
        &mut core.role
    }

    fn is_satisfied(&self, core: &mut Core) -> bool {
        match self.until {
            Until::Operation(operation) => core.operations[operation].has_ended,
            Until::Message => core.messages > 0,
            Until::Woken => core.woken > 0,
            // Acquire: pairs with the Release in `write`.
            Until::Word => self.rank.word.load(Ordering::Acquire) == 1,
        }
    }

    fn is_job_ended(&self) -> bool {
        // Acquire: pairs with the Release in `write`.
        self.rank.job_end.load(Ordering::Acquire) == 1
    }

    fn watch(&self) -> Watch {
        match self.until {
            Until::Operation(_) => Watch::Waiter,
            Until::Message => Watch::Message,
            Until::Word | Until::Woken if self.rank.fault == Fault::WatchesNothing => Watch::Waiter,
            Until::Woken => Watch::Wakers,
            Until::Word => Watch::Words { words: vec![self.rank.word.clone()], at_least: 1 },
        }
    }

    fn before_sleep(&mut self, _core: &mut Core) {
        if self.until == Until::Word && self.rank.fault != Fault::SleepsUnfenced {
            self.rank.bell.owner_barrier();
        }
    }

    fn set_waiter(&self, core: &mut Core, waiter: Option<u32>) {
        if self.rank.fault == Fault::SleepsUnregistered && waiter == Some(HOLDER) {
            return;
        }
        if let Until::Operation(operation) = self.until {
            core.operations[operation].waiter = waiter;
        }
    }

    fn poll(&mut self, core: &mut Core) -> Result<bool> {
        self.polls += 1;
        assert_eq!(*core.holder.get_or_insert(self.until), self.until, "one thread at a time has the role");
        Ok(core.poll(false))
    }

    /// Nobody has the role but the thread that asks, which lets go of it for a job.
    fn has_work(core: &mut Core) -> bool {
        let has_jobs = !core.jobs.is_empty();
        core.holder.take_if(|_| has_jobs);
        has_jobs
    }

    fn work(&mut self) -> Result<()> {
        self.rank.do_jobs();
        Ok(())
    }

    fn poll_all(&mut self, core: &mut Core) -> Result<bool> {
        Ok(self.rank.fault != Fault::SleepsUnlooked && core.poll(false))
    }

    fn pause(&mut self, _core: &mut Core) -> Result<Pause> {
        Ok(if self.rank.spins && self.polls == 1 { Pause::Spin } else { Pause::Sleep(Duration::MAX) })
    }

    fn after_time_out(&mut self, _core: &mut Core) -> Result<bool> {
        unreachable!("time-outs never come")
    }

    fn after_sleep(&mut self, _core: &mut Core) {}

    fn after_sleep_behind_holder(&mut self, _core: &mut Core) -> Result<()> {
        Ok(())
    }

    fn note_rescue(&self) {
        unreachable!("time-outs never come")
    }

    fn leave(&mut self, core: &mut Core, has_role: bool) {
        if has_role {
            core.holder = None;
        }
        match self.rank.fault {
            Fault::KeepsRole => {}
            Fault::KeepsUnusedRole if !has_role => {}
            Fault::GivesForeignRole => core.role.leave(true),
            _ => core.role.leave(has_role),
        }
    }
}

/// Two threads wait; a peer ends their operations one after the other. Which of them holds the role is
/// not given, so this is either order.
fn a_peer_ends_two_waits(fault: Fault, spins: bool) {
    check(move || {
        let rank = Rank { spins, ..Rank::new(fault, true) };
        let other = rank.start_waiting(1);
        let peer = rank.start(|rank| (1..=2).for_each(|count| rank.publish(count)));
        rank.wait(0);
        [other, peer].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_peer_ends_the_waits_of_two_threads() {
    a_peer_ends_two_waits(Fault::None, false);
}

#[test]
fn a_peer_ends_the_waits_of_two_threads_that_spin() {
    a_peer_ends_two_waits(Fault::None, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_holder_that_does_not_look_again_before_it_sleeps_is_refused() {
    a_peer_ends_two_waits(Fault::SleepsUnlooked, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_peer_that_rings_before_it_publishes_is_refused() {
    a_peer_ends_two_waits(Fault::RingsFirst, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_holder_that_keeps_the_role_is_refused() {
    a_peer_ends_two_waits(Fault::KeepsRole, false);
}

/// When two of three waits are seen to end at once, the role may go to a thread that has no use for it.
fn a_peer_ends_three_waits(fault: Fault, published: &'static [u64]) {
    check(move || {
        let rank = Rank::new(fault, false);
        let others = [1, 2].map(|operation| rank.start_waiting(operation));
        let peer = rank.start(|rank| published.iter().for_each(|&count| rank.publish(count)));
        rank.wait(0);
        others.into_iter().chain([peer]).for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_thread_without_use_for_the_role_hands_it_on() {
    a_peer_ends_three_waits(Fault::None, &[1, 2, 3]);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_thread_that_keeps_the_role_without_use_for_it_is_refused() {
    a_peer_ends_three_waits(Fault::KeepsUnusedRole, &[1, 2, 3]);
}

#[test]
#[should_panic(expected = "one thread at a time has the role")]
fn a_thread_that_gives_away_the_role_of_another_is_refused() {
    a_peer_ends_three_waits(Fault::GivesForeignRole, &[1, 3]);
}

/// A thread that does not wait takes the peer's news, before or after the peer rings. The other wait ends
/// only after the first.
fn a_thread_tests_while_two_wait(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, false);
        let first = rank.start(|rank| {
            rank.wait(0);
            rank.publish(2);
        });
        let peer = rank.start(|rank| rank.publish(1));
        let tester = rank.start(Rank::test);
        rank.wait(1);
        [first, peer, tester].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_thread_that_tests_wakes_those_that_wait() {
    a_thread_tests_while_two_wait(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_test_that_ends_a_wait_silently_is_refused() {
    a_thread_tests_while_two_wait(Fault::ActsSilently);
}

/// No peer rings. The second wait ends only after the first.
fn a_thread_ends_two_waits(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, true);
        let waiting = [0, 1].map(|operation| rank.start_waiting(operation));
        for (operation, thread) in waiting.into_iter().enumerate() {
            rank.end(operation);
            thread.join();
        }
        rank.check_idle();
    });
}

#[test]
fn a_thread_of_the_rank_wakes_the_holder_and_who_sleeps_behind_it() {
    a_thread_ends_two_waits(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_holder_that_sleeps_without_being_registered_is_refused() {
    a_thread_ends_two_waits(Fault::SleepsUnregistered);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_waiter_that_is_woken_before_its_operation_has_ended_is_refused() {
    a_thread_ends_two_waits(Fault::WakesFirst);
}

/// One waits for a message, the other for an operation that ends only afterwards.
fn a_thread_queues_a_message(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, true);
        let prober = rank.start(|rank| rank.wait_until(Until::Message).expect("the job goes on"));
        let other = rank.start_waiting(0);
        rank.queue_message();
        prober.join();
        rank.end(0);
        other.join();
        rank.check_idle();
    });
}

#[test]
fn a_message_wakes_who_waits_for_it() {
    a_thread_queues_a_message(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_message_queued_silently_is_refused() {
    a_thread_queues_a_message(Fault::ActsSilently);
}

/// The operation ends by polling; the holder's only afterwards.
fn a_thread_leaves_work_to_the_holder(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, true);
        let other = rank.start_waiting(0);
        rank.begin_work(1);
        rank.wait(1);
        rank.end(0);
        other.join();
        rank.check_idle();
    });
}

#[test]
fn a_sleeping_holder_goes_on_with_what_another_thread_begins() {
    a_thread_leaves_work_to_the_holder(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn work_left_silently_to_a_sleeping_holder_is_refused() {
    a_thread_leaves_work_to_the_holder(Fault::ActsSilently);
}

/// One waits for a word that a peer writes, the other for an operation that ends only afterwards.
fn a_peer_writes_a_word(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, true);
        let other = rank.start_waiting(0);
        let peer = rank.start(|rank| rank.write(&rank.word, 1));
        rank.wait_until(Until::Word).expect("the job goes on");
        rank.end(0);
        [other, peer].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_word_that_a_peer_writes_wakes_the_holder_and_who_sleeps_behind_it() {
    a_peer_writes_a_word(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_peer_that_rings_before_it_writes_a_word_is_refused() {
    a_peer_writes_a_word(Fault::RingsFirst);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_word_that_the_holder_does_not_look_at_for_others_is_refused() {
    a_peer_writes_a_word(Fault::WatchesNothing);
}

/// As `a_peer_writes_a_word`, but the peer rings only if it sees that somebody waits for the word. The lock
/// has no bias: to take that from its owner would be a barrier, too.
fn a_peer_writes_for_who_waits(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, false);
        let other = rank.start_waiting(0);
        let peer = rank.start(Rank::write_for_who_waits);
        // Relaxed: ordered by the barriers on both sides.
        rank.waiting.fetch_add(1, Ordering::Relaxed);
        rank.wait_until(Until::Word).expect("the job goes on");
        rank.end(0);
        [other, peer].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_word_whose_writer_rings_only_who_waits_wakes_who_sleeps_behind_the_holder() {
    a_peer_writes_for_who_waits(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_sleep_behind_the_holder_without_a_barrier_is_refused() {
    a_peer_writes_for_who_waits(Fault::SleepsUnfenced);
}

/// A thread drives: it waits for the end of an operation that has a waker. The other's operation ends only
/// afterwards. By whom the first ends, is said by `end`.
fn a_waker_is_to_be_called(fault: Fault, end: impl Fn(&Rank) + Copy + Send + Sync + 'static) {
    check(move || {
        let rank = Rank::new(fault, true);
        rank.lock.lock().with_waker = Some(0);
        let other = rank.start_waiting(1);
        let ending = rank.start(end);
        rank.wait_until(Until::Woken).expect("the job goes on");
        rank.end(1);
        [other, ending].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_peer_that_ends_what_has_a_waker_wakes_who_drives() {
    a_waker_is_to_be_called(Fault::None, |rank| rank.publish(1));
}

#[test]
fn a_thread_that_ends_what_has_a_waker_wakes_who_drives() {
    a_waker_is_to_be_called(Fault::None, |rank| rank.end_with_waker(0));
}

#[test]
#[should_panic(expected = "deadlock")]
fn who_drives_behind_the_holder_and_is_woken_by_nobody_is_refused() {
    a_waker_is_to_be_called(Fault::WatchesNothing, |rank| rank.publish(1));
}

#[test]
#[should_panic(expected = "deadlock")]
fn an_end_that_wakes_nobody_who_drives_is_refused() {
    a_waker_is_to_be_called(Fault::ActsSilently, |rank| rank.end_with_waker(0));
}

#[test]
#[should_panic(expected = "deadlock")]
fn who_drives_and_is_woken_before_there_is_a_waker_to_call_is_refused() {
    a_waker_is_to_be_called(Fault::WakesFirst, |rank| rank.end_with_waker(0));
}

/// The step of a schedule ends, by whom is said by `end`, and brings up a job whose end one of two threads waits
/// for. The other's operation ends only afterwards.
fn a_step_brings_up_a_job(fault: Fault, has_bias: bool, end: impl Fn(&Rank) + Copy + Send + Sync + 'static) {
    check(move || {
        let rank = Rank::new(fault, has_bias);
        rank.lock.lock().steps = vec![(0, 1)];
        let other = rank.start_waiting(2);
        let ending = rank.start(end);
        rank.wait(1);
        rank.end(2);
        [other, ending].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn a_job_that_polling_brings_up_is_done_by_who_waits() {
    a_step_brings_up_a_job(Fault::None, true, |rank| rank.publish(1));
}

#[test]
fn a_job_that_a_thread_leaves_is_done_by_the_holder_that_it_wakes() {
    a_step_brings_up_a_job(Fault::None, true, |rank| rank.end_step(0));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_job_left_to_a_sleeping_holder_is_refused() {
    a_step_brings_up_a_job(Fault::LeavesJobs, true, |rank| rank.end_step(0));
}

/// Steps of two schedules end at once and bring up a job each, for whose ends two of three threads wait. The third's
/// operation ends only afterwards. (To have the peer's part done by one of the threads keeps the model small.)
fn two_steps_bring_up_jobs(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, false);
        rank.lock.lock().steps = vec![(0, 2), (1, 3)];
        let (second, third) = (rank.start_waiting(3), rank.start_waiting(4));
        rank.publish(2);
        rank.wait(2);
        second.join();
        rank.end(4);
        third.join();
        rank.check_idle();
    });
}

#[test]
fn two_jobs_are_done_for_those_who_wait_while_a_third_thread_waits() {
    two_steps_bring_up_jobs(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn two_jobs_whose_ends_wake_nobody_are_refused() {
    two_steps_bring_up_jobs(Fault::EndsJobSilently);
}

/// A thread that does not wait takes the peer's news, and does the job.
fn a_thread_tests_and_does_a_job(fault: Fault) {
    a_step_brings_up_a_job(fault, false, |rank| {
        let peer = rank.start(|rank| rank.publish(1));
        rank.test_and_work();
        peer.join();
    });
}

#[test]
fn a_thread_that_tests_does_the_job_and_wakes_who_waits() {
    a_thread_tests_and_does_a_job(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_job_whose_end_wakes_nobody_is_refused() {
    a_thread_tests_and_does_a_job(Fault::EndsJobSilently);
}

/// Both waits end with an error.
fn the_job_ends(fault: Fault) {
    check(move || {
        let rank = Rank::new(fault, true);
        let wait = |rank: &Rank, operation| {
            let outcome = rank.wait_until(Until::Operation(operation));
            assert!(outcome.is_err(), "nobody has ended the operation");
        };
        let other = rank.start(move |rank| wait(rank, 1));
        let peer = rank.start(|rank| rank.write(&rank.job_end, 1));
        wait(&rank, 0);
        [other, peer].into_iter().for_each(Thread::join);
        rank.check_idle();
    });
}

#[test]
fn the_end_of_the_job_reaches_all_who_wait() {
    the_job_ends(Fault::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn an_end_of_the_job_that_only_the_holder_learns_of_is_refused() {
    the_job_ends(Fault::KeepsRole);
}
