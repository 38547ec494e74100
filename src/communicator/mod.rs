//! Communicators and what they offer.

mod alloc;
mod announcement;
mod block_on;
mod foundation;
mod inter;
pub(crate) mod landing;
mod message;
mod persistent;
mod persistent_collective;
mod process;
mod request;
mod scope;
mod several;
mod source;

pub(crate) use announcement::Announcement;
pub(crate) use foundation::{Base, Foundation, Membership};
pub use inter::InterCommunicator;
pub use message::Message;
pub use persistent::Persistent;
pub use persistent_collective::PersistentCollective;
pub use process::{AnyProcess, Process};
pub use request::Request;
pub use scope::{Scope, Scoped, ScopedFuture};
pub use several::{
    Completion, Ended, Pending, Startable, start_all, test_all, test_all_of, test_any, test_any_of,
    test_some, test_some_of, wait_all, wait_all_of, wait_any, wait_any_of, wait_some, wait_some_of,
};
pub use source::Source;

use crate::{
    envelope::PERSISTENT_TAG,
    error::{Error, ErrorClass, Result},
    group::{GroupRelation, Members},
    p2p::{Engine, Hold, notices::Passage},
    shm::{
        board::Board,
        contexts::{CONSECUTIVE, CONTEXTS_EACH, OVERLAPPING},
        doorbell::BarrierMode,
        segment::{Segment, WORLD_BOARD},
        slot::{Abort, AbortReason},
        stage::Stage,
    },
    status::PROC_NULL,
    sys::biased_lock::{BiasedLock, Guard},
    types::{ContextId, PeerId, Rank, Tag},
};
use announcement::Orphan;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A group of processes and a context in which they exchange messages: what is sent in one
/// communicator is never received in another.
///
/// Dropping a communicator is local: it sends no message and waits for nobody.
///
/// ```
/// use ringmpi::{Source, op};
/// # ringmpi::threads(3, |world| {
/// // The same tag in two communicators: the messages do not meet.
/// let library = world.duplicate()?;
/// let myself = world.rank();
/// library.process_at_rank(myself).tag(5).send(&[1])?;
/// world.process_at_rank(myself).tag(5).send(&[2])?;
/// assert_eq!(world.process_at_rank(myself).tag(5).receive::<i32>()?.0, 2);
/// assert_eq!(library.process_at_rank(myself).tag(5).receive::<i32>()?.0, 1);
/// assert_eq!(library.all_reduce_value(1, op::Sum)?, world.size());
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, chapter 7.
pub struct Communicator<'u> {
    engine: &'u Engine,
    /// This process's side, on which it receives.
    local: Side,
    /// The side that it sends to: the same, but in an intercommunicator.
    remote: Side,
    /// In the local group.
    rank: Rank,
    shared: Arc<Shared>,
    home: &'u Home,
}

/// What this process keeps of a communicator, for all its handles.
pub(crate) struct Shared {
    collectives: Collectives,
    name: Mutex<String>,
    /// None if the ids are not given again.
    _hold: Option<Hold>,
}

/// What the communicators of a process have in common.
pub(crate) struct Home {
    world: Arc<Shared>,
    /// Of the communicator of this process alone.
    alone: Arc<Shared>,
    /// All processes of the job.
    all: Members,
    /// Of duplicates whose handle was dropped before they were made.
    orphans: Mutex<Vec<Orphan>>,
}

/// How two communicators compare.
///
/// ```
/// use ringmpi::{Communicator, CommunicatorRelation};
/// # ringmpi::threads(2, |world| {
/// /// Whether messages to a rank of one go to the same process as those to that rank of the other.
/// fn have_same_ranks(one: &Communicator<'_>, other: &Communicator<'_>) -> bool {
///     matches!(one.compare(other), CommunicatorRelation::Identical | CommunicatorRelation::Congruent)
/// }
/// assert!(have_same_ranks(&world, &world.duplicate()?));
/// assert!(!have_same_ranks(&world, &world.self_comm()));
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 7.4.1: `MPI_IDENT`, `MPI_CONGRUENT`, `MPI_SIMILAR`, `MPI_UNEQUAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommunicatorRelation {
    /// The same communicator.
    Identical,
    /// The same processes in the same order, in different contexts.
    Congruent,
    /// The same processes in another order.
    Similar,
    /// Other processes.
    Unequal,
}

impl From<GroupRelation> for CommunicatorRelation {
    /// Of communicators in different contexts with such groups.
    fn from(groups: GroupRelation) -> Self {
        match groups {
            GroupRelation::Identical => Self::Congruent,
            GroupRelation::Similar => Self::Similar,
            GroupRelation::Unequal => Self::Unequal,
        }
    }
}

/// A group of processes, and the contexts in which they receive.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) group: Members,
    pub(crate) contexts: Contexts,
}

/// The context ids of a communicator: one draw gives all four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contexts(u32);

impl Contexts {
    pub(crate) const WORLD: Self = Self(0);
    pub(crate) const SELF: Self = Self(CONTEXTS_EACH);

    pub(crate) fn from_first(first: u32) -> Self {
        Self(first)
    }

    pub(crate) fn point_to_point(self) -> ContextId {
        ContextId(self.0)
    }

    pub(crate) fn collective(self) -> ContextId {
        ContextId(self.0 + CONSECUTIVE)
    }

    /// Of immediate and persistent collectives, which overlap each other and blocking ones.
    pub(crate) fn immediate(self) -> ContextId {
        ContextId(self.0 + OVERLAPPING)
    }

    /// Of what the library tells itself while it makes communicators, at any time and in any thread.
    pub(crate) fn internal(self) -> ContextId {
        ContextId(self.0 + 3)
    }
}

/// What the collectives of a communicator keep between calls.
pub(crate) struct Collectives {
    blocking: BiasedLock<Collective>,
    numbers: Mutex<Numbers>,
}

/// How many collectives have been begun, which all members do in the same order.
#[derive(Default)]
struct Numbers {
    immediate: u32,
    persistent: u32,
    duplicates: u32,
    /// How many first messages of leaders this process has not taken, because it refused: by process and tag.
    untaken: HashMap<(PeerId, Tag), u32>,
}

/// Calls that far apart are never in flight together.
const NUMBERS: u32 = PERSISTENT_TAG as u32;

/// What blocking collectives of a communicator keep between calls. They are called in the same
/// order on all members, one at a time.
pub(crate) struct Collective {
    /// The number of the last collective that this rank has taken part in.
    pub(crate) passage: Arc<Passage>,
    pub(crate) standing: Standing,
    /// The number of the last collective on messages.
    pub(crate) sequence: u64,
    /// The board, if the members share one. It goes back to the segment when all have left it.
    pub(crate) board: Option<SharedBoard>,
}

/// Whether collectives of a communicator have gone well here: what a rank may begin after others that have failed.
pub(crate) enum Standing {
    Sound,
    /// Since the last one that this rank has taken part in it was refused so many, as the others have been told.
    Refused(u64),
    /// One has failed on the way, which the error says, and the ranks no longer agree.
    Failed(String),
}

/// A board, and where it belongs.
pub(crate) struct SharedBoard {
    board: Option<Board>,
    segment: Arc<Segment>,
    index: usize,
    pub(crate) stage: StageState,
}

/// The stage of a board's members.
pub(crate) enum StageState {
    /// They have not needed one yet.
    Unknown,
    /// Some of them have no blocks for one.
    None,
    Ready(Stage),
}

impl SharedBoard {
    pub(crate) fn new(board: Board, segment: &Arc<Segment>, index: usize) -> Self {
        Self { board: Some(board), segment: Arc::clone(segment), index, stage: StageState::Unknown }
    }

    /// The board's number in the segment.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    #[inline]
    pub(crate) fn get(&mut self) -> &mut Board {
        self.parts().0
    }

    /// The board, and the stage if there is one.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut Board, Option<&mut Stage>) {
        let stage = match &mut self.stage {
            StageState::Ready(stage) => Some(stage),
            StageState::Unknown | StageState::None => None,
        };
        (self.board.as_mut().expect("taken by drop only"), stage)
    }
}

impl Drop for SharedBoard {
    fn drop(&mut self) {
        if self.segment.is_in_child() {
            return;
        }
        let is_last = self.board.take().is_some_and(Board::leave);
        if is_last && self.index != WORLD_BOARD {
            if let StageState::Ready(stage) = &self.stage {
                stage.hand_back();
            }
            self.segment.free_board(self.index);
        }
    }
}

impl Collectives {
    /// Blocking ones are counted from `start` on, as the board does.
    pub(crate) fn new(board: Option<SharedBoard>, start: u64, passage: Arc<Passage>) -> Self {
        let standing = Standing::Sound;
        let blocking = BiasedLock::new(Collective { passage, standing, sequence: start, board });
        Self { blocking, numbers: Mutex::default() }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn new(collectives: Collectives, name: &str, hold: Option<Hold>) -> Arc<Self> {
        Arc::new(Self { collectives, name: Mutex::new(name.into()), _hold: hold })
    }
}

impl Home {
    /// Of a process whose world has a board; numbers of collectives count from `start` on.
    pub(crate) fn new(engine: &Engine, board: SharedBoard, start: u64) -> Self {
        let shared = |board, name, contexts: Contexts, rank| {
            let passage = engine.passage(contexts.collective(), rank);
            Shared::new(Collectives::new(board, start, passage), name, None)
        };
        Self {
            world: shared(Some(board), "MPI_COMM_WORLD", Contexts::WORLD, engine.me().0 as Rank),
            alone: shared(None, "MPI_COMM_SELF", Contexts::SELF, 0),
            all: Members::new((0..engine.ranks()).map(PeerId)),
            orphans: Mutex::default(),
        }
    }

    /// The communicator of all ranks.
    pub(crate) fn world<'u>(&'u self, engine: &'u Engine) -> Communicator<'u> {
        let side = Side { group: self.all.clone(), contexts: Contexts::WORLD };
        // At most RANKS_MAX.
        Communicator::new(engine, side, engine.me().0 as Rank, Arc::clone(&self.world), self)
    }
}

impl<'u> Communicator<'u> {
    fn new(engine: &'u Engine, side: Side, rank: Rank, shared: Arc<Shared>, home: &'u Home) -> Self {
        Self { engine, local: side.clone(), remote: side, rank, shared, home }
    }

    /// A new communicator of some of the processes of this one.
    pub(crate) fn on_base(&self, base: Base, group: Members, rank: Rank) -> Self {
        let Base { contexts, board, hold } = base;
        let passage = self.engine.passage(contexts.collective(), rank);
        let collectives = Collectives::new(board, self.engine.segment().starts().collective, passage);
        let side = Side { group, contexts };
        Self::new(self.engine, side, rank, Shared::new(collectives, "", hold), self.home)
    }

    /// Between two groups, of which this process is in the local one.
    pub(crate) fn between(self, local: Side, remote: Side, rank: Rank) -> Self {
        Self { local, remote, rank, ..self }
    }

    /// The communicator of this process alone: the same one from all of its communicators.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// let alone = world.self_comm();
    /// assert_eq!((alone.rank(), alone.size()), (0, 1));
    /// let myself = alone.process_at_rank(0);
    /// let sending = myself.immediate_send(vec![world.rank()])?;
    /// assert_eq!(myself.receive::<i32>()?.0, world.rank());
    /// sending.wait()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.2.4: `MPI_COMM_SELF`.
    #[must_use]
    pub fn self_comm(&self) -> Communicator<'u> {
        let side = Side { group: Members::new([self.engine.me()]), contexts: Contexts::SELF };
        Self::new(self.engine, side, 0, Arc::clone(&self.home.alone), self.home)
    }

    /// This process's rank, from 0.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Of ten items, every third one, from this rank's first on.
    /// let mine: Vec<i32> = (world.rank()..10).step_by(3).collect();
    /// let counts = world.all_gather(&[mine.len()])?;
    /// assert_eq!(counts, [4, 3, 3]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.4.1: `MPI_Comm_rank`.
    #[must_use]
    #[inline]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// How many processes the communicator has.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(4, |world| {
    /// let mean = world.all_reduce_value(f64::from(world.rank()), op::Sum)? / f64::from(world.size());
    /// assert_eq!(mean, 1.5);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.4.1: `MPI_Comm_size`.
    #[must_use]
    #[inline]
    pub fn size(&self) -> Rank {
        self.local.group.size()
    }

    /// Whether both are the same communicator, or have the same processes, and in the same order. Communicators
    /// of different universes are unequal.
    ///
    /// ```
    /// use ringmpi::CommunicatorRelation;
    /// # ringmpi::threads(3, |world| {
    /// assert_eq!(world.compare(&world), CommunicatorRelation::Identical);
    /// assert_eq!(world.compare(&world.duplicate()?), CommunicatorRelation::Congruent);
    /// let turned = world.split_shared(-world.rank())?;
    /// assert_eq!(world.compare(&turned), CommunicatorRelation::Similar);
    /// assert_eq!(world.compare(&world.self_comm()), CommunicatorRelation::Unequal);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.4.1: `MPI_Comm_compare`.
    #[must_use]
    pub fn compare(&self, other: &Communicator<'_>) -> CommunicatorRelation {
        if !std::ptr::eq(self.engine, other.engine) {
            return CommunicatorRelation::Unequal;
        }
        if self.local.contexts == other.local.contexts {
            return CommunicatorRelation::Identical;
        }
        self.local.group.compare(&other.local.group).into()
    }

    /// Names the communicator, in this process: all its handles here have the name.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let pair = world.duplicate()?;
    /// assert_eq!((world.name().as_str(), pair.name().as_str()), ("MPI_COMM_WORLD", ""));
    /// pair.set_name("pair");
    /// assert_eq!(pair.name(), "pair");
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.8: `MPI_Comm_set_name`.
    pub fn set_name(&self, name: &str) {
        *unpoisoned(&self.shared.name) = name.into();
    }

    /// The name that [`set_name`](Self::set_name) has given; empty if it has none. The world is called
    /// `MPI_COMM_WORLD`, the communicator of one process alone `MPI_COMM_SELF`.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let place = format!("rank {} of {}", world.rank(), world.name());
    /// assert!(place.ends_with("of MPI_COMM_WORLD"));
    /// assert_eq!(world.self_comm().name(), "MPI_COMM_SELF");
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.8: `MPI_Comm_get_name`.
    #[must_use]
    pub fn name(&self) -> String {
        unpoisoned(&self.shared.name).clone()
    }

    /// The process with a rank, to send to or receive from. A rank that does not exist is reported
    /// by the operation; [`PROC_NULL`] is the null process.
    ///
    /// ```
    /// use ringmpi::{ErrorClass, Source};
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.tag(3).send(&[world.rank()])?;
    /// assert_eq!(peer.tag(3).receive::<i32>()?.0, peer.rank());
    /// assert_eq!(world.process_at_rank(2).send(&[0]).unwrap_err().class(), ErrorClass::RANK);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.3 and 3.2.4: the arguments `dest` and `source`.
    #[must_use]
    #[inline]
    pub fn process_at_rank(&self, rank: Rank) -> Process<'_, 'u> {
        Process::new(self, rank)
    }

    /// The process `offset` ranks away; beyond either end the null process, whose sends and receives
    /// finish at once and move nothing.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// world.neighbour(1).send(&[world.rank()])?;
    /// let mut left = [-1];
    /// world.neighbour(-1).receive_into(&mut left)?;
    /// // Rank 0 has no left neighbour, and its slice stays as it was.
    /// assert_eq!(left, [world.rank() - 1]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.10: `MPI_PROC_NULL`.
    #[must_use]
    pub fn neighbour(&self, offset: Rank) -> Process<'_, 'u> {
        let rank = self.rank.checked_add(offset).filter(|rank| (0..self.size()).contains(rank));
        self.process_at_rank(rank.unwrap_or(PROC_NULL))
    }

    /// Any process, to receive from.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// world.process_at_rank(0).send(&[world.rank()])?;
    /// if world.rank() == 0 {
    ///     for _ in 0..3 {
    ///         let (number, status) = world.any_process().receive::<i32>()?;
    ///         assert_eq!(number, status.source());
    ///     }
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_ANY_SOURCE`.
    #[must_use]
    pub fn any_process(&self) -> AnyProcess<'_, 'u> {
        AnyProcess::new(self)
    }

    /// Ends the job: all ranks are stopped, and the launcher exits with `code`.
    ///
    /// ```
    /// # ringmpi::threads(1, |world| {
    /// let input = "12";
    /// let number: i32 = input.parse().unwrap_or_else(|error| {
    ///     eprintln!("'{input}': {error}");
    ///     world.abort(2)
    /// });
    /// # assert_eq!(number, 12);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 11.4.2: `MPI_Abort`.
    pub fn abort(&self, code: i32) -> ! {
        self.engine.abort(Abort { code, reason: AbortReason::Call });
        std::process::exit(code)
    }

    /// Lost wake-ups of this rank, in all communicators: tests expect none.
    #[doc(hidden)]
    #[must_use]
    pub fn rescues(&self) -> u32 {
        self.engine.rescues()
    }

    /// Whether senders pay for fences, as all ranks of a job do or none.
    #[doc(hidden)]
    #[must_use]
    pub fn has_fences(&self) -> bool {
        self.engine.mode() == BarrierMode::Fence
    }

    pub(crate) fn engine(&self) -> &'u Engine {
        self.engine
    }

    /// Frees what is left of communicators that were dropped: before another one is made.
    pub(crate) fn tidy(&self) {
        self.home.end_orphans(self.engine);
        self.engine.tidy_contexts();
    }

    /// The number of an immediate duplicate that begins.
    pub(crate) fn next_duplicate(&self) -> u32 {
        let mut numbers = self.shared.collectives.numbers();
        numbers.duplicates = numbers.duplicates.wrapping_add(1);
        numbers.duplicates
    }

    /// A leader of another group sends a message with a tag that this process does not wait for.
    pub(crate) fn leave_untaken(&self, leader: PeerId, tag: Tag) {
        *self.shared.collectives.numbers().untaken.entry((leader, tag)).or_default() += 1;
    }

    /// How many such messages come first: the caller takes them.
    pub(crate) fn take_untaken(&self, leader: PeerId, tag: Tag) -> u32 {
        self.shared.collectives.numbers().untaken.remove(&(leader, tag)).unwrap_or(0)
    }

    /// Nobody waits for what will be announced in this communicator.
    pub(crate) fn leave_behind(&self, announcement: Announcement) {
        // In a child nothing will.
        if !self.engine.is_inert() {
            self.home.leave_behind(announcement, &self.shared);
        }
    }

    /// The side on which this process receives.
    #[inline]
    pub(crate) fn local(&self) -> &Side {
        &self.local
    }

    /// The side that this process sends to.
    #[inline]
    pub(crate) fn remote(&self) -> &Side {
        &self.remote
    }

    /// The peer behind a rank of the remote group that a function was given; None for the null process.
    #[inline]
    pub(crate) fn peer(&self, function: &str, rank: Rank) -> Result<Option<PeerId>> {
        match self.remote.group.peer(rank) {
            Some(peer) if self.engine.is_open() => Ok(Some(peer)),
            found => self.unusual_peer(function, rank, found),
        }
    }

    #[cold]
    fn unusual_peer(&self, function: &str, rank: Rank, found: Option<PeerId>) -> Result<Option<PeerId>> {
        self.check_caller()?;
        match rank {
            _ if found.is_some() => Ok(found),
            PROC_NULL => Ok(None),
            _ => Err(bad_rank(function, "rank", rank, self.remote.group.size())),
        }
    }

    /// Errs in a child made by fork, and in the operation of a reduction.
    #[inline]
    pub(crate) fn check_caller(&self) -> Result<()> {
        self.engine.check_caller()
    }

    /// The tag of the next immediate collective.
    pub(crate) fn next_immediate(&self) -> Tag {
        let mut numbers = self.shared.collectives.numbers();
        numbers.immediate = (numbers.immediate + 1) % NUMBERS;
        numbers.immediate as Tag
    }

    /// The tag of the next persistent collective, in the same context.
    pub(crate) fn next_persistent(&self) -> Tag {
        let mut numbers = self.shared.collectives.numbers();
        numbers.persistent = (numbers.persistent + 1) % NUMBERS;
        PERSISTENT_TAG | numbers.persistent as Tag
    }

    /// Enters a blocking collective: one at a time.
    #[inline]
    pub(crate) fn enter_collective(&self, function: impl std::fmt::Display) -> Result<Guard<'_, Collective>> {
        self.check_caller()?;
        self.shared.collectives.blocking.try_lock().ok_or_else(|| two_threads(&function))
    }
}

/// What a lock protects that no panic leaves half changed.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
fn two_threads(function: &impl std::fmt::Display) -> Error {
    let what = format!("{function}: two threads are in a collective of one communicator at the same time");
    Error::new(ErrorClass::COMM, what).with_help("give every thread a duplicate of the communicator")
}

/// A function was given a rank that is none.
#[cold]
pub(crate) fn bad_rank(function: &str, argument: &str, rank: Rank, size: Rank) -> Error {
    let last = size - 1;
    let what =
        format!("{function}: {argument} {rank} does not exist: the communicator has ranks 0 to {last}");
    Error::new(ErrorClass::RANK, what)
}

impl std::fmt::Debug for Communicator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Communicator {{ rank {} of {} }}", self.rank, self.size())
    }
}
