//! Communicators and what they offer.

mod alloc;
mod block_on;
pub(crate) mod landing;
mod message;
mod persistent;
mod persistent_collective;
mod process;
mod request;
mod scope;
mod several;

pub use message::Message;
pub use persistent::Persistent;
pub use persistent_collective::PersistentCollective;
pub use process::{AnyProcess, Process, Source};
pub use request::Request;
pub use scope::{Scope, Scoped, ScopedFuture};
pub use several::{
    Completion, Ended, Pending, Startable, start_all, test_all, test_all_of, test_any, test_any_of,
    test_some, test_some_of, wait_all, wait_all_of, wait_any, wait_any_of, wait_some, wait_some_of,
};

use crate::{
    error::{Error, ErrorClass, Result},
    group::Members,
    p2p::Engine,
    shm::{
        board::Board,
        doorbell::BarrierMode,
        segment::{Segment, WORLD_BOARD},
        slot::{Abort, AbortReason},
    },
    status::PROC_NULL,
    types::{ContextId, PeerId, Rank, Tag},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// A group of processes and a context in which they exchange messages: what is sent in one
/// communicator is never received in another.
///
/// Dropping a communicator is local: it sends no message and waits for nobody.
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
    collectives: Arc<Collectives>,
    /// Of the communicator of this process alone.
    alone: &'u Arc<Collectives>,
}

/// A group of processes, and the contexts in which they receive.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) group: Members,
    pub(crate) contexts: Contexts,
}

/// The context ids of a communicator: one draw gives all four.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contexts(u32);

/// Ids that one communicator takes.
pub(crate) const CONTEXTS_EACH: u32 = 4;

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
        ContextId(self.0 + 1)
    }

    /// Of immediate and persistent collectives, which overlap each other and blocking ones.
    pub(crate) fn immediate(self) -> ContextId {
        ContextId(self.0 + 2)
    }
}

/// What the collectives of a communicator keep between calls.
pub(crate) struct Collectives {
    blocking: Mutex<Collective>,
    numbers: Mutex<Numbers>,
}

/// How many collectives have been begun, which all members do in the same order.
#[derive(Default)]
struct Numbers {
    immediate: u32,
    persistent: u32,
}

/// Tags of persistent collectives have this bit, those of immediate ones do not.
const PERSISTENT: u32 = 1 << 30;

/// What blocking collectives of a communicator keep between calls. They are called in the same
/// order on all members, one at a time.
pub(crate) struct Collective {
    /// The number of the last collective on messages.
    pub(crate) sequence: u64,
    /// The board, if the members share one. It goes back to the segment when all have left it.
    pub(crate) board: Option<SharedBoard>,
}

/// A board, and where it belongs.
pub(crate) struct SharedBoard {
    board: Option<Board>,
    segment: Arc<Segment>,
    index: usize,
}

impl SharedBoard {
    pub(crate) fn new(board: Board, segment: &Arc<Segment>, index: usize) -> Self {
        Self { board: Some(board), segment: Arc::clone(segment), index }
    }

    /// The board's number in the segment.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    #[inline]
    pub(crate) fn get(&mut self) -> &mut Board {
        self.board.as_mut().expect("taken by drop only")
    }
}

impl Drop for SharedBoard {
    fn drop(&mut self) {
        if self.segment.is_in_child() {
            return;
        }
        let is_last = self.board.take().is_some_and(Board::leave);
        if is_last && self.index != WORLD_BOARD {
            self.segment.free_board(self.index);
        }
    }
}

impl Collectives {
    /// Blocking ones are counted from `start` on, as the board does.
    pub(crate) fn new(board: Option<SharedBoard>, start: u64) -> Self {
        let blocking = Mutex::new(Collective { sequence: start, board });
        Self { blocking, numbers: Mutex::default() }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'u> Communicator<'u> {
    pub(crate) fn new(
        engine: &'u Engine,
        side: Side,
        rank: Rank,
        collectives: Arc<Collectives>,
        alone: &'u Arc<Collectives>,
    ) -> Self {
        Self { engine, local: side.clone(), remote: side, rank, collectives, alone }
    }

    /// Between two groups, of which this process is in the local one.
    #[cfg(test)]
    pub(crate) fn between(self, local: Side, remote: Side, rank: Rank) -> Self {
        Self { local, remote, rank, ..self }
    }

    /// The communicator of this process alone: the same one from all of its communicators.
    ///
    /// ```
    /// use ringmpi::Source;
    /// ringmpi::threads(3, |world| {
    ///     let alone = world.self_comm();
    ///     assert_eq!((alone.rank(), alone.size()), (0, 1));
    ///     let myself = alone.process_at_rank(0);
    ///     let sending = myself.immediate_send(vec![world.rank()])?;
    ///     assert_eq!(myself.receive::<i32>()?.0, world.rank());
    ///     sending.wait().map(drop)
    /// })?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.2.4: `MPI_COMM_SELF`.
    #[must_use]
    pub fn self_comm(&self) -> Communicator<'u> {
        let side = Side { group: Members::new([self.engine.me()]), contexts: Contexts::SELF };
        Self::new(self.engine, side, 0, Arc::clone(self.alone), self.alone)
    }

    /// This process's rank, from 0.
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
    /// # Standard
    /// MPI 5.0, 7.4.1: `MPI_Comm_size`.
    #[must_use]
    #[inline]
    pub fn size(&self) -> Rank {
        self.local.group.size()
    }

    /// The process with a rank, to send to or receive from. A rank that does not exist is reported
    /// by the operation; [`PROC_NULL`] is the null process.
    #[must_use]
    #[inline]
    pub fn process_at_rank(&self, rank: Rank) -> Process<'_, 'u> {
        Process::new(self, rank)
    }

    /// The process `offset` ranks away; beyond either end the null process, whose sends and receives
    /// finish at once and move nothing.
    #[must_use]
    pub fn neighbour(&self, offset: Rank) -> Process<'_, 'u> {
        let rank = self.rank.checked_add(offset).filter(|rank| (0..self.size()).contains(rank));
        self.process_at_rank(rank.unwrap_or(PROC_NULL))
    }

    /// Any process, to receive from.
    #[must_use]
    pub fn any_process(&self) -> AnyProcess<'_, 'u> {
        AnyProcess::new(self)
    }

    /// Ends the job: all ranks are stopped, and the launcher exits with `code`.
    ///
    /// # Standard
    /// MPI 5.0, 9.6: `MPI_Abort`.
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

    /// What blocking collectives of this process alone keep.
    pub(crate) fn alone(&self) -> &'u Arc<Collectives> {
        self.alone
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

    /// The peer behind a rank of the remote group; None for the null process.
    #[inline]
    pub(crate) fn peer(&self, rank: Rank) -> Result<Option<PeerId>> {
        match self.remote.group.peer(rank) {
            Some(peer) if self.engine.is_open() => Ok(Some(peer)),
            found => self.unusual_peer(rank, found),
        }
    }

    #[cold]
    fn unusual_peer(&self, rank: Rank, found: Option<PeerId>) -> Result<Option<PeerId>> {
        self.check_caller()?;
        match rank {
            _ if found.is_some() => Ok(found),
            PROC_NULL => Ok(None),
            _ => Err(bad_rank(rank, self.remote.group.size())),
        }
    }

    /// Errs in a child made by fork, and in the operation of a reduction.
    #[inline]
    pub(crate) fn check_caller(&self) -> Result<()> {
        self.engine.check_caller()
    }

    /// The tag of the next immediate collective.
    pub(crate) fn next_immediate(&self) -> Tag {
        let mut numbers = self.collectives.numbers();
        // Calls that far apart are never in flight together.
        numbers.immediate = (numbers.immediate + 1) % PERSISTENT;
        numbers.immediate as Tag
    }

    /// The tag of the next persistent collective, in the same context.
    pub(crate) fn next_persistent(&self) -> Tag {
        let mut numbers = self.collectives.numbers();
        numbers.persistent = (numbers.persistent + 1) % PERSISTENT;
        (PERSISTENT | numbers.persistent) as Tag
    }

    /// Enters a blocking collective: one at a time.
    pub(crate) fn enter_collective(&self) -> Result<MutexGuard<'_, Collective>> {
        self.check_caller()?;
        match self.collectives.blocking.try_lock() {
            Ok(collective) => Ok(collective),
            // A panic in there has left nothing half done: the number of its collective is used up.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorClass::COMM,
                "two threads are in a collective of one communicator at the same time",
            )
            .with_help("give every thread a duplicate of the communicator")),
        }
    }
}

#[cold]
pub(crate) fn bad_rank(rank: Rank, size: Rank) -> Error {
    let last = size - 1;
    Error::new(
        ErrorClass::RANK,
        format!("rank {rank} does not exist: the communicator has ranks 0 to {last}"),
    )
}

impl std::fmt::Debug for Communicator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Communicator {{ rank {} of {} }}", self.rank, self.size())
    }
}
