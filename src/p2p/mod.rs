//! The point-to-point engine of a rank: matching, progress and everything that moves a message.
//!
//! Reading order: [`packet`] (what a cell means), [`peers`] (the table of peers), [`matching`],
//! [`request`], [`send`], [`arrive`] (what packets do), [`rendezvous`], [`pull`], [`bulk_choice`] and
//! [`copy_clock`] (large messages), [`receive`], [`probe`], [`progress`] and [`role`] (the only event
//! loop), [`several`], [`schedule`] and [`stage`] (collectives), [`wakers`] (requests as futures), [`credit`] and [`cycle`] (flow
//! control), [`contexts`] (freed communicators), [`leave`] and [`inquiry`] (finalize), [`notices`] (collectives that fail elsewhere), [`failure`] (corrupted
//! shared memory), [`gate`] (who may call). `sim` runs many engines against an oracle, which `arrivals`
//! tells in what order messages came; where ranks are threads, [`baton`] lets it decide which one runs.
//!
//! The engine knows context ids and peer ids, never a communicator. It may be entered by any number
//! of threads; its state, [`Core`], is behind one biased lock.

mod arrivals;
mod arrive;
mod baton;
mod bulk_choice;
#[cfg(all(test, not(loom)))]
mod bulk_tests;
mod contexts;
mod copy_clock;
mod credit;
mod cycle;
mod failure;
mod gate;
mod inquiry;
mod leave;
pub(crate) mod matching;
pub(crate) mod notices;
pub(crate) mod packet;
mod peers;
mod probe;
pub(crate) mod progress;
mod pull;
mod receive;
mod rendezvous;
mod request;
mod role;
pub(crate) mod schedule;
mod send;
mod several;
#[cfg(any(all(test, not(loom)), feature = "internals"))]
pub(crate) mod sim;
mod stage;
mod wakers;

pub(crate) use bulk_choice::BulkOption;
pub(crate) use contexts::Hold;
pub(crate) use copy_clock::CopyClock;
pub(crate) use credit::CreditLimits;
pub(crate) use probe::MessageId;
pub(crate) use progress::{Awaited, Until, Writer};
pub(crate) use request::{Mode, RequestId, ScopeId};

use crate::{
    error::{Error, Result},
    shm::{
        arena::{Arena, ArenaId},
        doorbell::{BarrierMode, Doorbell},
        pool::{Blocks, Pool},
        segment::Segment,
        slot::{Abort, Published, Slot},
        stage::StageBlocks,
        tuning::Tuning,
    },
    status::Status,
    sync::{AtomicU32, Ordering},
    sys::biased_lock::{BiasedLock, Guard},
    types::{PeerId, RANKS_MAX},
};
use arrivals::Arrivals;
use arrive::Arrived;
use baton::Baton;
use bulk_choice::Choices;
use contexts::{Contexts, Dropped};
use gate::Gate;
use inquiry::Inquiries;
use matching::{PostedQueue, UnexpectedQueue};
use notices::{Passages, RefusedCalls};
use peers::Peer;
use probe::Messages;
use progress::{Blocked, SpinBan};
use request::{Requests, inactive};
use role::Role;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use wakers::{ProgressThread, Wakers};

/// What an engine is told when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Who pays for the barrier between publishing and looking for sleepers; one for the job.
    pub(crate) mode: BarrierMode,
    /// The ranks fit the CPUs: a rank that waits may spin.
    pub(crate) may_spin: bool,
    /// Neither limit may be 0.
    pub(crate) credit: CreditLimits,
    /// The largest message that is sent without being asked for.
    pub(crate) eager_bytes: u64,
    /// Failed tests or probes for this long count as waiting. Simulations, which must not depend on
    /// time, take zero or for ever.
    pub(crate) test_patience: Duration,
    /// How larger ones travel.
    pub(crate) bulk: BulkOption,
    /// What says how long that took.
    pub(crate) copy_clock: CopyClock,
}

impl Config {
    pub(crate) fn new(mode: BarrierMode) -> Self {
        Self {
            mode,
            may_spin: mode == BarrierMode::Membarrier,
            credit: CreditLimits::default(),
            eager_bytes: send::EAGER_BYTES,
            test_patience: progress::TEST_PATIENCE,
            bulk: BulkOption::Auto,
            copy_clock: CopyClock::Machine,
        }
    }
}

/// All state of a rank.
pub(crate) struct Engine {
    core: BiasedLock<Core>,
    me: PeerId,
    ranks: u32,
    may_spin: bool,
    /// How often a receive looks at its ring before it takes the slow path.
    fast_looks: AtomicU32,
    bell: Doorbell,
    /// Everyone's doorbell.
    bells: Box<[Doorbell]>,
    published: Published,
    segment: Arc<Segment>,
    gate: Gate,
    /// Communicators that have been dropped, and not been dealt with.
    dropped: Arc<Dropped>,
    /// Time-outs of sleeps that found work: a lost wake-up. Tests expect none.
    rescues: AtomicU32,
    progress_thread: ProgressThread,
    baton: Baton,
}

/// What the lock protects.
pub(crate) struct Core {
    me: PeerId,
    config: Config,
    segment: Arc<Segment>,
    peers: Box<[Peer]>,
    posted: PostedQueue<RequestId>,
    unexpected: UnexpectedQueue<Arrived>,
    messages: Messages,
    arrivals: Arrivals,
    contexts: Contexts,
    requests: Requests,
    pool: Pool,
    /// This rank's own blocks.
    blocks: Blocks,
    bell: Doorbell,
    /// Peers whose rings are polled.
    armed: Vec<PeerId>,
    /// Peers whose rings were polled once and have been silent: looked at now and then, and before
    /// every sleep.
    disarmed: Vec<PeerId>,
    /// Peers with something queued.
    backlog: Vec<PeerId>,
    /// Receives that read the data where it lies.
    pulls: Vec<RequestId>,
    /// Blocks that communicators have, until they hand them back.
    stages: Vec<StageBlocks>,
    /// Collectives under way.
    schedules: Vec<RequestId>,
    /// Those that have come to a combination, which is done without the lock.
    combinations: VecDeque<RequestId>,
    /// Collectives that have ended, with the user's operations.
    over: Vec<schedule::Running>,
    inquiries: Inquiries,
    /// Notices that have come and nobody had asked for.
    notices: u64,
    refused: RefusedCalls,
    passages: Passages,
    /// Schedules are being advanced: a poll out of one of their steps leaves them alone.
    is_advancing: bool,
    choices: Choices,
    /// The segment's nonce, at an address that peers may read to see that they can.
    nonce: Box<u64>,
    /// This rank's memory that peers read in place, once something has been allocated there.
    arena: Option<Arc<Arena>>,
    role: Role,
    wakers: Wakers,
    blocked: Blocked,
    spin_ban: SpinBan,
    /// The first error that said that shared memory is corrupted.
    failure: Option<Error>,
    ticks: u32,
    polls: u64,
}

impl Engine {
    /// The engine of rank `me` over a segment that all ranks have attached to.
    pub(crate) fn new(segment: &Arc<Segment>, me: PeerId, config: Config) -> Result<Self> {
        let ranks = u32::try_from(segment.ranks()).expect("at most RANKS_MAX");
        debug_assert!(segment.ranks() <= RANKS_MAX);
        let bell = segment.doorbell(me.index(), config.mode);
        let peers = (0..ranks).map(|id| Peer::new(segment, me, PeerId(id), &config)).collect();
        let (blocks, released) = segment.blocks(me.index());
        let generation = segment.starts().generation;
        // Relaxed: constant once the segment is ready.
        let nonce = Box::new(segment.header().nonce.load(Ordering::Relaxed));
        let published = segment.published(me.index());
        published.slot.set_nonce_address(&raw const *nonce as u64);
        let core = Core {
            me,
            config,
            segment: Arc::clone(segment),
            peers,
            posted: PostedQueue::new(),
            unexpected: UnexpectedQueue::new(),
            messages: Messages::new(generation),
            arrivals: Arrivals::default(),
            contexts: Contexts::new(segment.contexts()),
            requests: Requests::new(generation),
            pool: Pool::new(released, generation),
            blocks,
            bell: bell.clone(),
            armed: Vec::new(),
            disarmed: Vec::new(),
            backlog: Vec::new(),
            pulls: Vec::new(),
            stages: Vec::new(),
            schedules: Vec::new(),
            combinations: VecDeque::new(),
            over: Vec::new(),
            inquiries: Inquiries::default(),
            notices: 0,
            refused: RefusedCalls::default(),
            passages: Passages::default(),
            is_advancing: false,
            choices: Choices::new(config.bulk, Tuning::new(segment)),
            nonce,
            arena: None,
            role: Role::default(),
            wakers: Wakers::default(),
            blocked: Blocked::default(),
            spin_ban: SpinBan::default(),
            failure: None,
            ticks: 0,
            polls: 0,
        };
        Ok(Self {
            core: BiasedLock::new(core),
            me,
            ranks,
            may_spin: config.may_spin,
            fast_looks: AtomicU32::new(Self::fast_looks(config.may_spin)),
            bell,
            bells: (0..segment.ranks()).map(|rank| segment.doorbell(rank, config.mode)).collect(),
            published,
            segment: Arc::clone(segment),
            gate: Gate::new()?,
            dropped: Arc::new(Dropped::new()),
            rescues: AtomicU32::new(0),
            progress_thread: ProgressThread::default(),
            baton: Baton::default(),
        })
    }

    /// Behind the gate, which every call passes once.
    #[inline]
    fn lock(&self) -> Guard<'_, Core> {
        self.core.lock()
    }

    /// For calls that have not passed the gate yet.
    #[inline]
    fn enter(&self) -> Result<Guard<'_, Core>> {
        self.gate.check()?;
        Ok(self.lock())
    }

    /// For what is dropped, wherever that happens; not in a child.
    fn enter_to_drop(&self) -> Result<Guard<'_, Core>> {
        self.gate.refuse_child()?;
        Ok(self.lock())
    }

    pub(crate) fn me(&self) -> PeerId {
        self.me
    }

    pub(crate) fn ranks(&self) -> u32 {
        self.ranks
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Rings a rank, after making a word true that it may wait for.
    #[inline]
    pub(crate) fn ring(&self, peer: PeerId) {
        if peer != self.me {
            self.baton.pass();
            self.bells[peer.index()].ring();
        }
    }

    /// Who pays for the barrier between publishing and looking for sleepers.
    pub(crate) fn mode(&self) -> BarrierMode {
        self.bell.mode()
    }

    /// Whether every rank has a CPU of its own.
    pub(crate) fn may_spin(&self) -> bool {
        self.may_spin
    }

    /// Whether this process was forked from the rank's, and so is no rank.
    #[inline]
    pub(crate) fn is_inert(&self) -> bool {
        self.gate.is_in_child()
    }

    /// Whether any thread may call the engine: else [`Self::check_caller`] says whether this one may.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    /// Errs in a child made by fork, and in the operation of a reduction.
    #[inline]
    pub(crate) fn check_caller(&self) -> Result<()> {
        self.gate.check()
    }

    /// What this rank says about itself.
    pub(crate) fn slot(&self) -> &Slot {
        &self.published.slot
    }

    /// The memory of this rank that its peers read in place; made at first use.
    pub(crate) fn arena(&self) -> Result<Arc<Arena>> {
        let mut core = self.enter()?;
        if let Some(arena) = &core.arena {
            return Ok(Arc::clone(arena));
        }
        let id = ArenaId { nonce: *core.nonce, rank: self.me.0 };
        let made = Arena::new(id).map_err(|errno| Error::system("making a rank's shared memory", errno))?;
        self.slot().set_arena(made.fd());
        Ok(Arc::clone(core.arena.insert(Arc::new(made))))
    }

    /// Ends the job. Does not wait.
    pub(crate) fn abort(&self, abort: Abort) {
        if self.is_inert() {
            return;
        }
        self.slot().set_aborted(abort);
        self.segment.end_by(self.me);
    }

    /// How often a sleep ended by its time-out although there was work: lost wake-ups.
    pub(crate) fn rescues(&self) -> u32 {
        // Relaxed: a statistic.
        self.rescues.load(Ordering::Relaxed)
    }

    /// Makes progress, then says whether the operation has ended. Its outcome is fetched by
    /// [`Self::take_outcome`].
    pub(crate) fn test(&self, id: RequestId) -> Result<bool> {
        let mut core = self.enter()?;
        if core.requests.is_done(id) {
            core.blocked.note_success(&self.published);
            return Ok(true);
        }
        core.poll()?;
        let mut core = self.combining(core)?;
        let is_done = core.requests.is_done(id);
        if !is_done {
            self.note_failed_test(&mut core, Until::Request(id))?;
        }
        Ok(is_done)
    }

    /// The outcome of an operation that has ended; the request is no more.
    pub(crate) fn take_outcome(&self, id: RequestId) -> Result<Status> {
        self.enter()?.requests.take_outcome(id).unwrap_or_else(|| Err(inactive()))
    }

    /// Waits for the operation's end. The request is no more afterwards, whatever comes of it.
    #[inline(always)]
    pub(crate) fn wait(&self, id: RequestId) -> Result<Status> {
        if self.is_open() {
            let outcome = self.lock().requests.take_outcome(id);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
        self.wait_slow(id)
    }

    fn wait_slow(&self, id: RequestId) -> Result<Status> {
        let unwinding = GivenUp { engine: self, id };
        let waited = self.wait_until(Until::Request(id)).and_then(|()| self.take_outcome(id));
        if waited.is_ok() {
            std::mem::forget(unwinding);
        }
        waited
    }

    /// A scope for operations on borrowed memory.
    pub(crate) fn open_scope(&self) -> Result<ScopeId> {
        Ok(self.enter()?.requests.open_scope())
    }

    /// From now on the operation belongs to the scope.
    #[inline]
    pub(crate) fn put_into_scope(&self, id: RequestId, scope: ScopeId) {
        if id != RequestId::COMPLETE {
            self.lock().requests.put_into_scope(id, scope);
        }
    }

    /// The operations of a scope that nobody has waited for.
    pub(crate) fn in_scope(&self, scope: ScopeId) -> Result<Vec<RequestId>> {
        Ok(self.enter_to_drop()?.requests.in_scope(scope))
    }

    /// The memory of the operation goes away although it has not ended: nothing is waited for. A
    /// send goes on with a copy, a receive is withdrawn or its data dropped.
    pub(crate) fn abandon(&self, id: RequestId) {
        let Ok(mut core) = self.enter_to_drop() else { return };
        let waker = core.forget_waker(id);
        core.abandon(id);
        drop(core);
        drop(waker);
    }

    /// Nobody will ask for the outcome: a send goes on by itself, and a receive is withdrawn if it
    /// has not been matched. `keep` is the memory that the operation uses, if it goes on.
    pub(crate) fn detach(&self, id: RequestId, keep: Option<crate::buffer::Keep>) {
        let Ok(mut core) = self.enter_to_drop() else { return };
        let waker = core.forget_waker(id);
        core.cancel_receive(id);
        core.requests.detach(id, keep);
        drop(core);
        drop(waker);
    }

    /// Withdraws a receive that has not been matched; it then ends with a cancelled status. False if it has
    /// been, or is a send: these are not cancelled.
    pub(crate) fn cancel(&self, id: RequestId) -> bool {
        self.enter().is_ok_and(|mut core| core.cancel_receive(id))
    }

    /// Makes progress once. For simulations, which never wait.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn step(&self) -> Result<bool> {
        let moved = self.lock().poll()?;
        self.combine_all()?;
        Ok(moved)
    }

    /// What a rank does before it rests: peers learn what has been consumed.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn rest(&self) {
        self.lock().publish_all();
    }

    /// Doubles the credit wherever a cycle of blocked ranks goes through its lack.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn step_cycle(&self, until: Until<'_>) -> Result<()> {
        let mut core = self.lock();
        core.publish_all();
        core.publish_blocked(&self.published, &until);
        core.look_for_cycle(&self.published)
    }

    /// What is still held: (requests, unexpected messages, blocks out). Zero when all is well at
    /// the end.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn held(&self) -> (usize, usize, usize) {
        let core = self.lock();
        (core.requests.in_use(), core.unexpected.len(), core.pool.blocks_out())
    }
}

/// Abandons a request when it is dropped: also while the panic of an operation unwinds, which a thread does that
/// waits for something else.
struct GivenUp<'a> {
    engine: &'a Engine,
    id: RequestId,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.engine.abandon(self.id);
    }
}

impl Core {
    /// As [`Engine::abandon`].
    fn abandon(&mut self, id: RequestId) {
        self.cancel_receive(id);
        let is_send = self.requests.send(id).is_some();
        self.requests.abandon(id);
        if is_send {
            self.revoke_places();
        }
    }
}

/// The job has ended while this rank was in it.
#[cold]
fn job_ended() -> Error {
    Error::consequence("the job has ended: another rank failed or called abort")
}
