//! Wakers: requests as futures. Who makes progress while every task waits, and who calls whom.
//!
//! A request that was polled before it has ended leaves a waker here. When it ends, the waker goes to
//! `woken`, and a *driver* calls it, without the rank's lock: a thread in [`Engine::block_on`], or the
//! *progress thread*, which a poll starts that happens anywhere else. Drivers wait in the same loop as all others,
//! until there is something in `woken` ([`Until::Woken`]). docs/PROTOCOL.md has the argument.
//!
//! Wakers are the user's code: to clone, call or drop one may lead back into the engine. So nothing of that
//! happens under the lock.

use super::{Core, Engine, RequestId, Until, job_ended, progress::LEAVER_LOOK};
use crate::{
    error::{Error, ErrorClass, Result},
    status::Status,
    sync::{AtomicU32, Ordering},
    sys::{biased_lock::Guard, thread},
};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    task::{Context, Poll, Wake, Waker},
    thread::{JoinHandle, Thread},
    time::Instant,
};

/// The waiter of a request for whose end no thread waits, but a waker.
pub(super) const WAKER: u32 = u32::MAX - 1;

/// The wakers of a rank, under its lock.
#[derive(Default)]
pub(super) struct Wakers {
    /// Of requests that have not ended.
    registered: HashMap<RequestId, Waker>,
    /// Why the wait for a request is over although it has not ended.
    failed: HashMap<RequestId, Error>,
    /// To be called by a driver.
    woken: Vec<Waker>,
    /// The tokens of threads in [`Engine::block_on`].
    drivers: Vec<u64>,
    has_thread: bool,
    /// The progress thread, when it has nothing to wait for.
    idle: Option<Thread>,
    is_stopped: bool,
}

/// What is to be done for a waker to be called.
#[must_use]
enum Need {
    Nothing,
    Start,
    Unpark(Thread),
}

impl Wakers {
    /// Whether a driver has something to do.
    pub(super) fn is_due(&self, notice: Option<&Notice>) -> bool {
        let is_over = |notice: Option<&Notice>| match notice {
            Some(notice) => notice.is_set(),
            None => self.is_stopped || self.registered.is_empty(),
        };
        !self.woken.is_empty() || is_over(notice)
    }

    pub(super) fn registered(&self) -> Vec<RequestId> {
        self.registered.keys().copied().collect()
    }

    /// What stays registered for a request when no thread waits for it.
    pub(super) fn waiter_of(&self, id: RequestId) -> Option<u32> {
        (!self.registered.is_empty() && self.registered.contains_key(&id)).then_some(WAKER)
    }

    /// The request has ended. True if a driver has to call its waker.
    fn end(&mut self, id: RequestId) -> bool {
        if self.registered.is_empty() {
            return false;
        }
        let waker = self.registered.remove(&id);
        let has_waker = waker.is_some();
        self.woken.extend(waker);
        has_waker
    }

    /// Nobody will poll the request again.
    fn forget(&mut self, id: RequestId) -> Option<Waker> {
        if !self.failed.is_empty() {
            self.failed.remove(&id);
        }
        if self.registered.is_empty() { None } else { self.registered.remove(&id) }
    }

    /// Nobody is woken by this waker any more. To be dropped without the lock.
    fn forget_all_of(&mut self, waker: &Waker) -> Vec<Waker> {
        let registered = self.registered.extract_if(|_, registered| registered.will_wake(waker));
        let woken = self.woken.extract_if(.., |woken| woken.will_wake(waker));
        registered.map(|(_, waker)| waker).chain(woken).collect()
    }

    /// A waker is registered: who will call it?
    fn need(&mut self) -> Need {
        if self.drivers.contains(&thread::token()) {
            return Need::Nothing;
        }
        if !std::mem::replace(&mut self.has_thread, true) {
            return Need::Start;
        }
        self.idle.take().map_or(Need::Nothing, Need::Unpark)
    }
}

/// The progress thread of an engine, and what it needs to be started.
#[derive(Default)]
pub(super) struct ProgressThread {
    /// The engine itself, which the thread shares.
    engine: OnceLock<Weak<Engine>>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// The waker of a thread in [`Engine::block_on`].
pub(crate) struct Notice {
    is_set: AtomicU32,
    engine: Weak<Engine>,
    token: u64,
    thread: Thread,
}

impl Notice {
    fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst) != 0
    }

    /// Whoever has set it before is seen to have done all that came before that.
    fn clear(&self) {
        self.is_set.swap(0, Ordering::SeqCst);
    }

    fn set(&self) {
        self.is_set.swap(1, Ordering::SeqCst);
    }

    /// Until another thread has set it.
    fn sleep(&self) {
        while !self.is_set() {
            std::thread::park();
        }
    }
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The thread itself is awake, and looks.
        if thread::token() == self.token {
            return self.set();
        }
        let engine = self.engine.upgrade();
        match engine.as_ref().map(|engine| engine.enter_to_drop()) {
            Some(Ok(core)) => {
                self.set();
                core.role.wake_drivers(&core.bell);
            }
            _ => self.set(),
        }
        self.thread.unpark();
    }
}

impl Engine {
    /// An engine that may start its progress thread.
    pub(crate) fn into_shared(self) -> Arc<Self> {
        let engine = Arc::new(self);
        engine.progress_thread.engine.get_or_init(|| Arc::downgrade(&engine));
        engine
    }

    /// The outcome of an operation that has ended; the request is no more. Else the waker is called when this is
    /// to be asked again. After an error the request is no more, either.
    pub(crate) fn poll_outcome(&self, id: RequestId, waker: &Waker) -> Poll<Result<Status>> {
        let outcome = match self.look_or_register(id, waker) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.abandon(id);
        }
        Poll::Ready(outcome)
    }

    fn look_or_register(&self, id: RequestId, waker: &Waker) -> Result<Poll<Result<Status>>> {
        let mut core = self.enter()?;
        if let Some(outcome) = self.test_outcome(&mut core, id)? {
            return Ok(Poll::Ready(outcome));
        }
        let mut core = self.combining(core)?;
        let is_registered = core.wakers.registered.get(&id).is_some_and(|own| own.will_wake(waker));
        if !is_registered {
            drop(core);
            return self.register(id, waker.clone());
        }
        let need = core.wakers.need();
        drop(core);
        self.meet(need).map(|()| Poll::Pending)
    }

    fn register(&self, id: RequestId, waker: Waker) -> Result<Poll<Result<Status>>> {
        let mut unused = Some(waker);
        // Let go of before the waker is dropped.
        let mut core = self.lock();
        // It may have ended meanwhile.
        if let Some(outcome) = self.find_outcome(&mut core, id)? {
            return Ok(Poll::Ready(outcome));
        }
        if let Some(waker) = unused.take() {
            unused = core.wakers.registered.insert(id, waker);
        }
        core.requests.set_waiter(id, Some(WAKER));
        // The holder may be asleep for long.
        if core.lacks_credit(id) {
            core.role.wake_holder(&core.bell);
        }
        let need = core.wakers.need();
        drop(core);
        drop(unused);
        self.meet(need).map(|()| Poll::Pending)
    }

    /// As a test: makes progress if the operation has not ended.
    fn test_outcome(&self, core: &mut Core, id: RequestId) -> Result<Option<Result<Status>>> {
        let mut outcome = self.find_outcome(core, id)?;
        if outcome.is_none() {
            core.poll()?;
            outcome = self.find_outcome(core, id)?;
        }
        if outcome.is_none() {
            self.note_failed_test(core, Until::Request(id))?;
            outcome = self.find_outcome(core, id)?;
        }
        if outcome.is_some() {
            core.blocked.note_success(&self.published);
        }
        Ok(outcome)
    }

    fn find_outcome(&self, core: &mut Core, id: RequestId) -> Result<Option<Result<Status>>> {
        if let Some(outcome) = core.requests.take_outcome(id) {
            return Ok(Some(outcome));
        }
        if let Some(error) = core.wakers.failed.remove(&id) {
            return Err(error);
        }
        core.check_failure()?;
        if self.segment.is_ended() { Err(job_ended()) } else { Ok(None) }
    }

    fn meet(&self, need: Need) -> Result<()> {
        match need {
            Need::Nothing => Ok(()),
            Need::Unpark(thread) => {
                thread.unpark();
                Ok(())
            }
            Need::Start => self.start_progress_thread(),
        }
    }

    fn itself(&self) -> &Weak<Self> {
        self.progress_thread.engine.get().expect("an engine whose requests are polled is shared")
    }

    #[cold]
    fn start_progress_thread(&self) -> Result<()> {
        let engine = self.itself().upgrade().expect("it is in use");
        let spawned =
            std::thread::Builder::new().name("ringmpi".into()).spawn(move || engine.run_progress_thread());
        match spawned {
            Ok(handle) => {
                *self.progress_thread.handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
                Ok(())
            }
            Err(errno) => {
                let error = not_started(&errno);
                let mut core = self.lock();
                core.wakers.has_thread = false;
                // Other tasks may rely on it already.
                core.fail_all(&error);
                drop(core);
                self.call_woken();
                Err(error)
            }
        }
    }

    fn run_progress_thread(&self) {
        let mut driver = Driver::new(self, None);
        loop {
            let mut core = self.lock();
            core.wakers.idle = None;
            if core.wakers.is_stopped {
                return;
            }
            if core.wakers.registered.is_empty() && core.wakers.woken.is_empty() {
                core.wakers.idle = Some(std::thread::current());
                drop(core);
                std::thread::park();
                continue;
            }
            drop(core);
            // A panic in an operation has been reported, and has ended the job, which the next wait says to all.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| driver.drive())) {
                // To drop it might panic again.
                std::mem::forget(panic);
            }
            // An operation may have forked: the child has no other thread, and ends.
            if self.is_inert() {
                return;
            }
        }
    }

    fn call_woken(&self) {
        let Ok(mut core) = self.enter_to_drop() else { return };
        let woken = std::mem::take(&mut core.wakers.woken);
        drop(core);
        for waker in woken {
            // The panic has been reported. The other tasks are to be woken all the same.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                // To drop it might panic again.
                std::mem::forget(panic);
            }
        }
    }

    /// Ends the progress thread, and waits for its end. Nobody polls any more.
    pub(crate) fn stop_progress_thread(&self) {
        if self.is_inert() {
            return;
        }
        let handle = self.progress_thread.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(handle) = handle else { return };
        let mut core = self.lock();
        core.wakers.is_stopped = true;
        core.role.wake_drivers(&core.bell);
        drop(core);
        handle.thread().unpark();
        // It may be this one, in a waker.
        if handle.thread().id() != std::thread::current().id() {
            // It catches all panics.
            let _ = handle.join();
        }
    }

    /// Polls the future until it is ready, and makes progress meanwhile.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let notice = Arc::new(Notice {
            is_set: AtomicU32::new(0),
            engine: Weak::clone(self.itself()),
            token: thread::token(),
            thread: std::thread::current(),
        });
        let waker = Waker::from(Arc::clone(&notice));
        // Dropped after the future, which may drop requests.
        let _driving = Driving::new(self, &waker);
        let mut future = pin!(future);
        let mut context = Context::from_waker(&waker);
        let mut driver = Driver::new(self, Some(&notice));
        let mut knows_child = false;
        loop {
            notice.clear();
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            if notice.is_set() {
                // It has woken itself, perhaps again and again.
                driver.drive_without_waiting();
            }
            while !notice.is_set() {
                if driver.drive() {
                    continue;
                }
                if self.is_inert() && !std::mem::replace(&mut knows_child, true) {
                    // In a child that an operation has forked, requests say so when they are polled.
                    notice.set();
                }
                // Nothing moves any more, and only another thread may set it.
                notice.sleep();
            }
        }
    }
}

/// A thread that drives.
struct Driver<'a> {
    engine: &'a Engine,
    notice: Option<&'a Notice>,
    /// When it has last looked for ranks that have left. Each of its waits may be short.
    looked: Instant,
}

impl<'a> Driver<'a> {
    fn new(engine: &'a Engine, notice: Option<&'a Notice>) -> Self {
        Self { engine, notice, looked: Instant::now() }
    }

    /// Waits until a waker is to be called, and calls it; or until there is something else to be done. False if
    /// the wait has failed: then all tasks that wait have been told.
    fn drive(&mut self) -> bool {
        let waited = self.engine.wait_until(Until::Woken(self.notice)).and_then(|()| self.look_for_leavers());
        self.call_woken(&waited);
        waited.is_ok()
    }

    /// As a test that fails.
    fn drive_without_waiting(&mut self) {
        let engine = self.engine;
        let look = |mut core: Guard<'_, Core>| {
            core.poll()?;
            let mut core = engine.combining(core)?;
            engine.note_failed_test(&mut core, Until::Woken(self.notice))
        };
        let looked = engine.enter().and_then(look).and_then(|()| self.look_for_leavers());
        self.call_woken(&looked);
    }

    fn look_for_leavers(&mut self) -> Result<()> {
        let now = Instant::now();
        if now - self.looked < LEAVER_LOOK {
            return Ok(());
        }
        self.looked = now;
        let mut core = self.engine.enter()?;
        let has_news = core.look_for_leavers(&Until::Woken(self.notice))?;
        core.role.wake_watched(has_news);
        Ok(())
    }

    fn call_woken(&self, waited: &Result<()>) {
        if let Err(error) = waited
            && let Ok(mut core) = self.engine.enter_to_drop()
        {
            core.fail_all(error);
        }
        self.engine.call_woken();
    }
}

/// This thread is in [`Engine::block_on`]: requests that it polls need nobody else to make progress.
struct Driving<'a> {
    engine: &'a Engine,
    waker: &'a Waker,
}

impl<'a> Driving<'a> {
    fn new(engine: &'a Engine, waker: &'a Waker) -> Self {
        if let Ok(mut core) = engine.enter_to_drop() {
            core.wakers.drivers.push(thread::token());
        }
        Self { engine, waker }
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        let Ok(mut core) = self.engine.enter_to_drop() else { return };
        let (wakers, own) = (&mut core.wakers, thread::token());
        if let Some(index) = wakers.drivers.iter().position(|token| *token == own) {
            wakers.drivers.swap_remove(index);
        }
        let forgotten = wakers.forget_all_of(self.waker);
        // Tasks of other executors that this thread has polled.
        let is_needed =
            wakers.drivers.is_empty() && !(wakers.registered.is_empty() && wakers.woken.is_empty());
        let need = if is_needed { wakers.need() } else { Need::Nothing };
        core.wake_drivers_if_idle();
        drop(core);
        drop(forgotten);
        // If it fails, the tasks have been told.
        let _ = self.engine.meet(need);
    }
}

impl Core {
    /// Wakes whoever waits for an operation that has ended.
    pub(super) fn wake_waiter(&mut self, id: RequestId, waiter: u32) {
        if waiter != WAKER {
            self.role.wake(waiter, &self.bell);
        }
        if self.wakers.end(id) {
            self.role.wake_drivers(&self.bell);
        }
    }

    /// The wait for the request is over: whoever polls it next gets the error.
    pub(super) fn fail(&mut self, id: RequestId, error: Error) {
        if self.wakers.end(id) {
            self.wakers.failed.insert(id, error);
            self.role.wake_drivers(&self.bell);
        }
    }

    fn fail_all(&mut self, error: &Error) {
        self.wakers.registered().into_iter().for_each(|id| self.fail(id, error.clone()));
    }

    /// Nobody will poll the request again. The waker is to be dropped without the lock.
    pub(super) fn forget_waker(&mut self, id: RequestId) -> Option<Waker> {
        let waker = self.wakers.forget(id);
        if waker.is_some() {
            self.wake_drivers_if_idle();
        }
        waker
    }

    /// No waker may be left: then the progress thread lets others have the role.
    fn wake_drivers_if_idle(&self) {
        if self.wakers.registered.is_empty() {
            self.role.wake_drivers(&self.bell);
        }
    }
}

#[cold]
fn not_started(errno: &std::io::Error) -> Error {
    Error::new(ErrorClass::OTHER, format!("cannot start the thread that makes progress for futures: {errno}"))
        .with_help("see `ulimit -u` (processes and threads), or use Communicator::block_on, which needs none")
}
