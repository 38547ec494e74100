//! A job's segment under a name, where processes that nobody has launched together meet.
//!
//! The segment is a POSIX object, `/dev/shm/ringmpi-UID-JOB`. Its name lives from the first process's
//! arrival to the last one's; then each mapping keeps it alive, and nothing is left when all have
//! gone. Whoever is in it holds a record lock on the byte of its rank, so that death is seen.
//!
//! All that is decided by the name is decided behind the *gate*, a lock on one more byte:
//!
//! | who | behind the gate, after making sure that the name still leads to this file |
//! | --- | --- |
//! | arrives, and no rank's byte is locked | initialises an untouched file and locks its byte; removes the name of any other: its processes are dead |
//! | arrives, and some are | checks the header and locks its byte |
//! | leaves the meeting | removes the name |
//!
//! So a name is removed by one process only, and never that of a younger segment.
//!
//! Every page is allocated before it is used, because in a full `/dev/shm` a first touch would raise
//! SIGBUS: whoever initialises allocates what all share (2 MiB, 5 for 64 ranks), every rank its own
//! rings and blocks (11 to 12 MiB). A segment in a memfd stays sparse; this one does not.

use super::{
    layout::{Header, Layout},
    pool,
    ring::Cells,
    segment::{Segment, checked_layout, no_room},
    slot::RankState,
};
use crate::{
    error::{Error, ErrorClass, Result},
    sync::AtomicU64,
    sys::{io::ByteLimit, memory, process::Pid, record_lock},
    types::RANKS_MAX,
};
use core::ptr::NonNull;
use nix::{errno::Errno, fcntl::posix_fallocate};
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::{
    fs::{self, File, Metadata},
    io,
    ops::Range,
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The bytes that ranks lock, far beyond the segment's.
const RANKS: Range<i64> = 1 << 62..(1 << 62) + RANKS_MAX as i64;
/// The byte that is locked by whoever decides about the name.
const GATE: i64 = RANKS.end;
/// Between two attempts to do what needs another process to act first.
const PAUSE: Duration = Duration::from_millis(1);
/// So young an empty file is still being made.
const BEING_MADE: Duration = Duration::from_millis(500);
/// For so long a process that leaves waits for the gate. Whoever comes later can remove the name too.
const LEAVING: Duration = Duration::from_secs(2);

/// A mapped segment that has, or had, a name.
pub(crate) struct Named {
    // Both hold a descriptor of the file, and are dropped together: closing either gives all locks back.
    map: Shmem,
    file: File,
    path: PathBuf,
    rank: usize,
}

fn byte_of(rank: usize) -> i64 {
    RANKS.start + i64::try_from(rank).expect("at most RANKS_MAX")
}

impl Named {
    pub(super) fn start(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_ptr()).expect("a mapping is not null")
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: `Meeting::map` has checked that there is a header's length; all atomics.
        unsafe { self.start().cast::<Header>().as_ref() }
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// Whether no other process holds the lock of rank `rank`; false if that can't be found out.
    fn is_unlocked(&self, rank: usize) -> bool {
        matches!(record_lock::is_held(self.fd(), byte_of(rank)), Ok(false))
    }

    /// Keeps the mapping out of forked children and of core dumps.
    pub(super) fn hide_from_children(&self) {
        for advice in [libc::MADV_DONTFORK, libc::MADV_DONTDUMP] {
            // An error only costs core-dump space, or a child that must not touch the mapping anyway.
            // SAFETY: the range is one live mapping of ours; neither advice changes its contents.
            unsafe { libc::madvise(self.start().as_ptr().cast(), self.len(), advice) };
        }
    }

    fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn allocate(&self, bytes: Range<usize>) -> Result<()> {
        let offset = |byte: usize| libc::off_t::try_from(byte).expect("an offset in a mapping");
        let (start, len) = (offset(bytes.start), offset(bytes.len()));
        loop {
            match posix_fallocate(&self.file, start, len) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.no_room(bytes.len(), errno)),
            }
        }
    }

    #[cold]
    fn no_room(&self, bytes: usize, errno: Errno) -> Error {
        let [part, all] = [bytes, self.len()].map(|bytes| bytes.div_ceil(1 << 20));
        let call = format!("allocating {part} MiB for rank {} in {}", self.rank, self.path.display());
        Error::system(&call, errno.into())
            .with_help(format!("the job needs {all} MiB there in all; `df -h /dev/shm` shows the room"))
    }

    /// Removes the name, if it has not gone yet. A failure leaves one that the next job takes over.
    fn forget_name(&self) {
        let end = Instant::now() + LEAVING;
        while leads_to(&self.path, &self.file).unwrap_or(false) {
            if record_lock::try_hold(self.fd(), GATE).unwrap_or(false) {
                if leads_to(&self.path, &self.file).unwrap_or(false) {
                    let _ = fs::remove_file(&self.path);
                }
                let _ = record_lock::release(self.fd(), GATE);
            } else if Instant::now() > end {
                return;
            } else {
                thread::sleep(PAUSE);
            }
        }
    }
}

impl Segment {
    /// Meets the job's other ranks: returns its segment, with `rank`'s byte locked. `limit` bounds
    /// how long others may keep this process from entering.
    pub(crate) fn meet(job: &str, rank: usize, ranks: usize, limit: Duration) -> Result<Arc<Self>> {
        let meeting = Meeting::new(job, rank, ranks)?;
        let end = Instant::now() + limit;
        let segment = loop {
            match meeting.attempt()? {
                Attempt::Entered(segment) => break segment,
                Attempt::Again(_) if Instant::now() < end => thread::sleep(PAUSE),
                Attempt::Again(why) => return Err(meeting.kept_out(why, limit)),
            }
        };
        meeting.allocate_own(&segment).map(|()| segment)
    }

    /// Whether the process that became rank `rank` has gone without finalize.
    pub(super) fn has_lost(self: &Arc<Self>, named: &Named, rank: usize) -> bool {
        let slot = self.published(rank).slot;
        let has_left = || matches!(slot.state(), RankState::Finalized | RankState::Aborted);
        // A rank locks its byte before it claims its slot, and finalizes before it unlocks it.
        slot.pid() != 0 && named.is_unlocked(rank) && !has_left()
    }

    /// The meeting is over, for better or worse: the name goes.
    pub(crate) fn forget_name(&self) {
        if let Some(named) = self.named() {
            named.forget_name();
        }
    }
}

/// What one process wants, and where.
struct Meeting<'a> {
    job: &'a str,
    rank: usize,
    layout: Layout,
    os_id: String,
    path: PathBuf,
}

enum Attempt {
    Entered(Arc<Segment>),
    /// Somebody else has to act first.
    Again(&'static str),
}

impl<'a> Meeting<'a> {
    fn new(job: &'a str, rank: usize, ranks: usize) -> Result<Self> {
        check_name(job)?;
        let layout = checked_layout("join: size", ranks)?;
        if rank >= ranks {
            let what =
                format!("join: rank {rank} of job '{job}' with {ranks} ranks: ranks are 0 to {}", ranks - 1);
            return Err(Error::new(ErrorClass::RANK, what));
        }
        let os_id = format!("/ringmpi-{}-{job}", user());
        let path = Path::new("/dev/shm").join(&os_id[1..]);
        Ok(Self { job, rank, layout, os_id, path })
    }

    fn attempt(&self) -> Result<Attempt> {
        self.create_unless_there()?;
        self.refuse_second_entry()?;
        let Some(file) = self.open()? else { return Ok(Attempt::Again("its name comes and goes")) };
        let fd = file.as_raw_fd();
        let is_in = record_lock::try_hold(fd, GATE).map_err(|errno| self.failed("locking", errno))?;
        if !is_in || !leads_to(&self.path, &file).map_err(|errno| self.failed("looking at", errno))? {
            return Ok(Attempt::Again("other processes are entering it"));
        }
        match record_lock::holder(fd, RANKS).map_err(|errno| self.failed("reading the locks of", errno))? {
            Some(_) => self.enter(file),
            None => self.begin(file),
        }
    }

    /// The segment's handle is dropped at once: the creator enters as everybody does, by name.
    fn create_unless_there(&self) -> Result<()> {
        memory::check_file_size(self.layout.size as u64)
            .map_err(|errno| no_room(&self.layout, "making a file", ByteLimit::FileSize, errno))?;
        match ShmemConf::new().os_id(&self.os_id).size(self.layout.size).create() {
            Ok(mut created) => {
                created.set_owner(false);
                Ok(())
            }
            Err(ShmemError::MappingIdExists | ShmemError::LinkExists) => Ok(()),
            Err(error) => Err(self.failed("creating", os_error(error))),
        }
    }

    /// A process that opened the segment twice would lose its locks when it closes the first.
    fn refuse_second_entry(&self) -> Result<()> {
        let Ok(named) = fs::symlink_metadata(&self.path) else { return Ok(()) };
        let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let is_same =
            |entry: fs::DirEntry| fs::metadata(entry.path()).is_ok_and(|open| is_same(&open, &named));
        if !open.into_iter().any(is_same) {
            return Ok(());
        }
        let what = format!("this process is joining job '{}' already: a process is one rank", self.job);
        Err(Error::new(ErrorClass::OTHER, what).with_help("for ranks that are threads use ringmpi::threads"))
    }

    /// `None`: the name has gone.
    fn open(&self) -> Result<Option<File>> {
        let opened = File::options().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(&self.path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|errno| self.failed("opening", errno))?,
        };
        let found = file.metadata().map_err(|errno| self.failed("looking at", errno))?;
        let (mode, own) = (found.mode() & 0o777, user());
        if found.uid() != own || mode & 0o077 != 0 {
            let path = self.path.display();
            let what =
                format!("{path} belongs to user {} with mode {mode:o}, not to user {own} alone", found.uid());
            return Err(Error::new(ErrorClass::OTHER, what).with_help("take another job name"));
        }
        Ok(Some(file))
    }

    /// Nobody is in the segment: it is new, or what a dead job has left.
    fn begin(&self, file: File) -> Result<Attempt> {
        let found = file.metadata().map_err(|errno| self.failed("looking at", errno))?;
        if found.len() == 0 && is_younger(&found, BEING_MADE) {
            return Ok(Attempt::Again("another process is creating it"));
        }
        if found.len() != self.layout.size as u64 {
            return self.remove_stale();
        }
        if is_used(&file).map_err(|errno| self.failed("reading", errno))? {
            return self.remove_stale();
        }
        let named = self.map(file)?;
        if let Err(full) = named.allocate(0..self.layout.rings) {
            self.remove_stale()?;
            return Err(full);
        }
        self.lock_own_byte(&named)?;
        let segment = Segment::over_unused(named, self.layout);
        self.leave_gate(segment.named().expect("made from a named segment"))?;
        Ok(Attempt::Entered(segment))
    }

    fn remove_stale(&self) -> Result<Attempt> {
        fs::remove_file(&self.path).map_err(|errno| self.failed("removing the stale", errno))?;
        Ok(Attempt::Again("a dead job's segment is in its place"))
    }

    /// Others are in the segment, and so it is initialised.
    fn enter(&self, file: File) -> Result<Attempt> {
        let segment = Segment::over_used(self.map(file)?)?;
        if segment.ranks() != self.layout.ranks {
            return Err(self.another_size(segment.ranks()));
        }
        let named = segment.named().expect("made from a named segment");
        let has_lost_any = || (0..segment.ranks()).any(|rank| segment.has_lost(named, rank));
        if segment.is_ended() || has_lost_any() {
            return Ok(Attempt::Again("a job of this name has failed, and some of its processes live"));
        }
        if segment.have_all_attached() {
            return Ok(Attempt::Again("a job of this name runs and keeps it"));
        }
        self.lock_own_byte(named)?;
        self.leave_gate(named)?;
        Ok(Attempt::Entered(segment))
    }

    fn map(&self, file: File) -> Result<Named> {
        let map = ShmemConf::new().os_id(&self.os_id).open();
        let map = map.map_err(|error| self.failed("mapping", os_error(error)))?;
        if map.len() < size_of::<Header>() {
            let what = format!("{} has only {} bytes", self.path.display(), map.len());
            return Err(Error::new(ErrorClass::OTHER, what).with_help("take another job name"));
        }
        Ok(Named { map, file, path: self.path.clone(), rank: self.rank })
    }

    fn lock_own_byte(&self, named: &Named) -> Result<()> {
        let byte = byte_of(self.rank);
        let held = record_lock::try_hold(named.fd(), byte);
        if held.map_err(|errno| self.failed("locking", errno))? {
            return Ok(());
        }
        let holder = record_lock::holder(named.fd(), byte..byte + 1).ok().flatten().unwrap_or(0);
        Err(self.taken_by(holder))
    }

    fn leave_gate(&self, named: &Named) -> Result<()> {
        record_lock::release(named.fd(), GATE).map_err(|errno| self.failed("unlocking", errno))
    }

    /// Allocates the rings to this rank and its blocks. Without them the job can't come about.
    fn allocate_own(&self, segment: &Arc<Segment>) -> Result<()> {
        let named = segment.named().expect("made from a named segment");
        let rings = self.layout.rings + self.layout.pair(self.rank, 0) * size_of::<Cells>();
        let row = self.layout.ranks * size_of::<Cells>();
        let blocks = self.layout.blocks + self.rank * pool::POOL_BYTES;
        let allocated = named
            .allocate(rings..rings + row)
            .and_then(|()| named.allocate(blocks..blocks + pool::POOL_BYTES));
        if allocated.is_err() {
            segment.end();
            segment.forget_name();
        }
        allocated
    }

    #[cold]
    fn failed(&self, doing: &str, errno: io::Error) -> Error {
        Error::system(&format!("{doing} {}", self.path.display()), errno)
    }

    #[cold]
    fn another_size(&self, theirs: usize) -> Error {
        let (job, ours) = (self.job, self.layout.ranks);
        let what = format!("job '{job}' has {theirs} ranks, and this process joins it as one of {ours}");
        Error::new(ErrorClass::SIZE, what).with_help("give all of its processes the same number")
    }

    #[cold]
    fn taken_by(&self, holder: Pid) -> Error {
        let (job, rank, own) = (self.job, self.rank, std::process::id());
        let holder = match holder {
            0 => "a process of another container".to_owned(),
            pid => format!("process {pid}"),
        };
        let what = format!("process {own} cannot be rank {rank} of job '{job}': {holder} is");
        Error::new(ErrorClass::RANK, what).with_help("give each of its processes a rank of its own")
    }

    #[cold]
    fn kept_out(&self, why: &str, limit: Duration) -> Error {
        let (job, path, s) = (self.job, self.path.display(), limit.as_secs());
        let what = format!("job '{job}' could not be joined for {s} s: {path}: {why}");
        Error::new(ErrorClass::OTHER, what).with_help("take another job name, or end its processes")
    }
}

/// The longest job name: with what comes before it, a file name.
const NAME_MAX: usize = 200;

fn check_name(job: &str) -> Result<()> {
    let is_bad = |c: &char| !c.is_ascii_alphanumeric() && !"._-".contains(*c);
    let what = match job.chars().find(is_bad) {
        Some(bad) => format!("join: job name {job:?} has {bad:?} in it"),
        None if job.is_empty() => "join: the job name is empty".to_owned(),
        None if job.len() > NAME_MAX => format!("join: a job name of {} characters is too long", job.len()),
        None => return Ok(()),
    };
    Err(Error::new(ErrorClass::ARG, what)
        .with_help(format!("a job name has 1 to {NAME_MAX} letters, digits, dots, underscores and dashes")))
}

/// The user that this process's files belong to.
fn user() -> u32 {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() }
}

/// Whether somebody has begun to use the segment: its first word is written. The file is read and not
/// the mapping, because a page that is not allocated yet must not be touched.
fn is_used(file: &File) -> io::Result<bool> {
    let mut magic = [0; size_of::<AtomicU64>()];
    file.read_exact_at(&mut magic, std::mem::offset_of!(Header, magic) as u64)?;
    Ok(magic.iter().any(|&byte| byte != 0))
}

/// Whether the name is this file's.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(is_same(&named, &file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn is_younger(file: &Metadata, age: Duration) -> bool {
    file.modified().is_ok_and(|at| at.elapsed().is_ok_and(|found| found < age))
}

fn os_error(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(errno)
        | ShmemError::MapOpenFailed(errno)
        | ShmemError::UnknownOsError(errno) => io::Error::from_raw_os_error(errno.cast_signed()),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_is_a_file_name_on_every_system_and_errors_show_what_is_not() {
        let longest = "a".repeat(200);
        for good in ["a", "Job_7.b-c", longest.as_str()] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(201);
        for (bad, fact) in
            [("", "empty"), ("a/b", "'/'"), ("ä", "'ä'"), ("a\nb", "'\\n'"), (too_long.as_str(), "201")]
        {
            let error = check_name(bad).unwrap_err().to_string();
            assert!(error.contains(fact), "'{fact}' is missing in: {error}");
        }
    }

    #[test]
    fn a_rank_beyond_the_size_is_refused_with_both_numbers() {
        for (rank, ranks) in [(3, 3), (7, 1)] {
            let error = Segment::meet("unit", rank, ranks, Duration::ZERO).err().unwrap().to_string();
            assert!(error.contains(&format!("rank {rank}")) && error.contains(&format!("{ranks} ranks")));
        }
    }
}
