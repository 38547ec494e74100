//! Init and finalize: a process becomes a rank, and leaves.

use crate::{
    communicator::{Communicator, Home, SharedBoard},
    error::{Error, ErrorClass, Result},
    join,
    launch::env::Place,
    p2p::{BulkOption, Config, Engine},
    shm::{
        board::{self, Board},
        doorbell::BarrierMode,
        lock_bytes::LockByte,
        segment::{Segment, WORLD_BOARD},
        slot::{Abort, AbortReason, RankState},
    },
    sys::{cma, cpus, membarrier, presence::Presence, process, process_stat},
    types::PeerId,
};
use std::{fs::File, sync::Arc, time::Duration};

/// This process's part in a job, from init to finalize. Dropping it finalizes, as [`finalize`](Self::finalize)
/// does; while a panic unwinds it does not wait, but ends the job.
///
/// A `main` that returns an error drops it like one that returns `Ok`: nobody can tell one from the other
/// before the process has ended. So other ranks may still receive what this one has sent, and only then does
/// the process end and `mpiexec`, which sees that it failed, end the job. Calls in which other ranks wait for
/// this one in vain fail within about a second, and so do tests and probes that they repeat in vain.
/// [`run`](crate::run) knows what its closure returns, and waits for nothing after an error.
///
/// ```
/// let universe = ringmpi::init()?; // from here on
/// universe.world().barrier()?;
/// drop(universe); // up to here
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// Communicators can't outlive it:
///
/// ```compile_fail,E0597
/// let world = { let universe = ringmpi::init().unwrap(); universe.world() };
/// world.rank();
/// ```
///
/// ```compile_fail,E0505
/// let universe = ringmpi::init().unwrap();
/// let world = universe.world();
/// std::mem::forget(universe);
/// world.rank();
/// ```
///
/// # Standard
/// MPI 5.0, 11.2: `MPI_Init` and `MPI_Finalize`.
pub struct Universe {
    engine: Arc<Engine>,
    home: Home,
    is_finalized: bool,
    _presence: Presence,
}

/// How long init waits for the other ranks, unless [`INIT_TIMEOUT`] says otherwise.
const INIT_LIMIT: Duration = Duration::from_secs(300);
/// Seconds that init waits for the other ranks.
const INIT_TIMEOUT: &str = "RINGMPI_INIT_TIMEOUT";
/// A day.
const INIT_TIMEOUT_MAX: u64 = 24 * 60 * 60;

/// Makes this process a rank: of the job that `RINGMPI_JOIN=JOB:RANK:SIZE` names (feature `join`), else
/// of the job whose launcher started it, else rank 0 of 1.
///
/// ```
/// let universe = ringmpi::init()?;
/// let world = universe.world();
/// assert_eq!((world.rank(), world.size()), (0, 1)); // not started by mpiexec
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// Dropping the [`Universe`] finalizes, also when `main` returns an error; what that means is said there.
///
/// # Errors
/// A launcher of another build; a slot that another process holds; ranks that do not come.
///
/// # Standard
/// MPI 5.0, 11.2.1: `MPI_Init_thread` with `MPI_THREAD_MULTIPLE`.
pub fn init() -> Result<Universe> {
    if let Some(universe) = join::from_environment()? {
        return Ok(universe);
    }
    match Place::from_environment()? {
        Some(place) => join_launched(&place),
        None => Universe::singleton(),
    }
}

fn join_launched(place: &Place) -> Result<Universe> {
    let segment = open_segment(place)?;
    if segment.ranks() != place.size || place.slot >= place.size {
        let (slot, size, ranks) = (place.slot, place.size, segment.ranks());
        return Err(Error::corrupt(format!("slot {slot} of {size} in a segment of {ranks} ranks")));
    }
    let own = process::own_pid();
    if let Err(holder) = segment.published(place.slot).slot.claim(own) {
        return not_first(&segment, place, own, holder);
    }
    segment.hold(LockByte::Rank(place.slot));
    if process::parent_pid() == place.keeper && !process::die_with_parent(place.keeper) {
        return Err(Error::new(ErrorClass::PROC_ABORTED, "the launcher has gone"));
    }
    let universe = Universe::attach(&segment, place.slot, init_limit(INIT_LIMIT)?)?;
    segment.hide_from_children()?;
    Ok(universe)
}

/// How long init waits for the other ranks.
pub(crate) fn init_limit(default: Duration) -> Result<Duration> {
    let Some(value) = std::env::var_os(INIT_TIMEOUT) else { return Ok(default) };
    match value.to_str().and_then(|seconds| seconds.parse().ok()) {
        Some(seconds @ 1..=INIT_TIMEOUT_MAX) => Ok(Duration::from_secs(seconds)),
        _ => {
            let what = format!("{INIT_TIMEOUT}='{}' is no number of seconds", value.display());
            Err(Error::new(ErrorClass::ARG, what)
                .with_help(format!("give 1 to {INIT_TIMEOUT_MAX}, or unset it")))
        }
    }
}

/// By the inherited descriptor; or, where something between closed or reused it, by the keeper's.
fn open_segment(place: &Place) -> Result<Arc<Segment>> {
    let paths =
        [format!("/proc/self/fd/{}", place.memfd), format!("/proc/{}/fd/{}", place.keeper, place.memfd)];
    let mut last = None;
    for path in &paths {
        let opened = File::options().read(true).write(true).open(path);
        match opened
            .map_err(|errno| Error::system(&format!("opening {path}"), errno))
            .and_then(Segment::attach)
        {
            Ok(segment) => return Ok(segment),
            Err(error) => last = Some(error),
        }
    }
    let error = last.expect("two paths were tried");
    Err(Error::new(error.class(), format!("cannot reach the job's shared memory: {error}")))
}

/// Another process is the rank already: this one is its child, and so none; or something is wrong.
fn not_first(segment: &Segment, place: &Place, own: i32, holder: i32) -> Result<Universe> {
    if holder == own {
        return Err(Error::new(ErrorClass::OTHER, "this process is a rank already: init was called twice"));
    }
    if process_stat::is_ancestor(holder) {
        return Universe::singleton();
    }
    let slot = place.slot;
    let is = if segment.is_held(LockByte::Rank(slot)) { "is" } else { "was" };
    Err(Error::new(ErrorClass::OTHER, format!("process {own} cannot be rank {slot}: process {holder} {is}"))
        .with_help("start every MPI program of a job by its own mpiexec"))
}

/// Freezes how large messages travel.
const BULK: &str = "RINGMPI_BULK";

fn bulk_option() -> Result<BulkOption> {
    let Some(value) = std::env::var_os(BULK) else { return Ok(BulkOption::Auto) };
    let value = value.to_string_lossy();
    value.parse().map_err(|()| {
        Error::new(ErrorClass::ARG, format!("{BULK} is {value:?}"))
            .with_help("set it to auto, pipelined, pipelined-large, cma or direct, or not at all")
    })
}

impl Universe {
    /// Rank 0 of 1.
    fn singleton() -> Result<Self> {
        let segment = Segment::on_heap(1)?;
        Self::claim_and_attach(&segment, 0)
    }

    pub(crate) fn claim_and_attach(segment: &Arc<Segment>, slot: usize) -> Result<Self> {
        Self::claim_and_attach_within(segment, slot, INIT_LIMIT)
    }

    /// As [`Self::claim_and_attach`], waiting for the other ranks no longer than `limit`.
    pub(crate) fn claim_and_attach_within(
        segment: &Arc<Segment>,
        slot: usize,
        limit: Duration,
    ) -> Result<Self> {
        let own = process::own_pid();
        segment.published(slot).slot.claim(own).map_err(|holder| {
            Error::new(ErrorClass::OTHER, format!("process {own} cannot be rank {slot}: process {holder} is"))
        })?;
        Self::attach(segment, slot, limit)
    }

    /// Becomes the rank whose slot is claimed, when all ranks are there.
    fn attach(segment: &Arc<Segment>, slot: usize, limit: Duration) -> Result<Self> {
        let bulk = bulk_option()?;
        let presence =
            Presence::new().map_err(|errno| Error::system("mapping what says that this is a rank", errno))?;
        if membarrier::register_between_processes().is_err() {
            segment.require_fences();
        }
        segment.add_cpus(&cpus::affinity());
        cma::permit_readers();
        segment.attach_and_wait_for_all(limit)?;
        let mode = if segment.needs_fences() { BarrierMode::Fence } else { BarrierMode::Membarrier };
        let me = PeerId(u32::try_from(slot).expect("at most RANKS_MAX"));
        let config = Config { may_spin: segment.has_cpus_for_all(), bulk, ..Config::new(mode) };
        let engine = Engine::new(segment, me, config)?.into_shared();
        engine.slot().set_state(RankState::Running);
        let place = board::Place { board: WORLD_BOARD, members: segment.ranks(), me: slot };
        let start = segment.starts().collective;
        let board = Board::attach(segment, place, mode, start);
        let home = Home::new(&engine, SharedBoard::new(board, segment, WORLD_BOARD), start);
        Ok(Self { engine, home, is_finalized: false, _presence: presence })
    }

    /// The communicator of all ranks.
    ///
    /// ```
    /// let universe = ringmpi::init()?;
    /// // Each call gives another handle to the same communicator.
    /// let (one, other) = (universe.world(), universe.world());
    /// assert_eq!(one.compare(&other), ringmpi::CommunicatorRelation::Identical);
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.2.4: `MPI_COMM_WORLD`.
    #[must_use]
    pub fn world(&self) -> Communicator<'_> {
        self.home.world(&self.engine)
    }

    /// The communicator of this process alone.
    ///
    /// ```
    /// let universe = ringmpi::init()?;
    /// let alone = universe.self_comm();
    /// assert_eq!((alone.rank(), alone.size()), (0, 1));
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.2.4: `MPI_COMM_SELF`.
    #[must_use]
    pub fn self_comm(&self) -> Communicator<'_> {
        self.world().self_comm()
    }

    /// Completes this rank's own sends and leaves the job. Does not wait for other ranks beyond that: messages
    /// that nobody can receive any more, because their receiver has left or is this rank itself, are dropped.
    ///
    /// Calls of other ranks that wait for a message that this rank has not sent, or for it to receive one, fail
    /// from then on.
    ///
    /// ```
    /// let universe = ringmpi::init()?;
    /// universe.world().barrier()?;
    /// universe.finalize()?; // as dropping it, but errors are reported
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 11.2.2: `MPI_Finalize`.
    pub fn finalize(mut self) -> Result<()> {
        self.leave()
    }

    /// Ends the job because this rank has failed. False if the job had ended before. In a child made by fork
    /// there is no job to end: the failure is its own.
    pub(crate) fn fail(mut self, code: i32) -> bool {
        self.is_finalized = true;
        let is_first = self.engine.is_inert() || !self.engine.segment().is_ended();
        if is_first {
            self.engine.abort(Abort { code, reason: AbortReason::Error });
        }
        is_first
    }

    fn leave(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_finalized, true) || self.engine.is_inert() {
            return Ok(());
        }
        self.home.leave(&self.engine);
        self.engine.leave()
    }

    /// Dropped without `finalize`.
    fn end(&mut self) {
        if self.is_finalized || self.engine.is_inert() {
            return;
        }
        if std::thread::panicking() {
            self.engine.abort(Abort::PANIC);
            return;
        }
        // An error here is the job's end, which the launcher reports.
        let _ = self.leave();
    }
}

impl Drop for Universe {
    fn drop(&mut self) {
        self.end();
        self.engine.stop_progress_thread();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::communicator::{Source, test_all_of, wait_any};

    #[test]
    fn a_scope_refuses_operations_of_another_universe() {
        let (own, strange) = (Universe::singleton().unwrap(), Universe::singleton().unwrap());
        let (own, strange) = (own.world(), strange.world());
        let stranger = strange.process_at_rank(0);
        stranger.buffered_send(&[7u8]).unwrap();
        let message = stranger.matched_probe().unwrap();
        let (data, mut first, mut second) = ([1u8], [2u8], [3u8]);
        own.scope(|s| {
            let refused = |result: Result<()>| assert_eq!(result.unwrap_err().class(), ErrorClass::COMM);
            refused(s.immediate_synchronous_send(stranger, &data).map(drop));
            refused(s.immediate_buffered_send(stranger, &data).map(drop));
            refused(s.immediate_receive_into(stranger, &mut first).map(drop));
            refused(s.immediate_matched_receive_into(message, &mut second).map(drop));
            Ok(())
        })
        .unwrap();
        assert_eq!((first, second), ([2], [3]));
        assert_eq!(stranger.immediate_probe().unwrap(), None);
    }

    #[test]
    fn requests_of_two_universes_are_not_waited_for_together() {
        let (one, other) = (Universe::singleton().unwrap(), Universe::singleton().unwrap());
        let (one, other) = (one.world(), other.world());
        let receives =
            [&one, &other].map(|world| world.process_at_rank(0).immediate_receive::<u8>(1).unwrap());
        let mut requests = Vec::from(receives);
        assert_eq!(wait_any(&mut requests).unwrap_err().class(), ErrorClass::REQUEST);
        assert_eq!(test_all_of(&mut requests).unwrap_err().class(), ErrorClass::REQUEST);
        assert_eq!(requests.len(), 2);
    }
}
