//! The segment of a job: made by a launcher, attached to by its ranks, checked before it is trusted.

#[cfg(feature = "join")]
use super::named::Named;
use super::{
    contexts::ContextTable,
    directory,
    doorbell::{BarrierMode, Doorbell},
    far::{Far, Span, Words},
    layout::{BOARDS, FINGERPRINT, Header, Layout, MAGIC},
    pool::{self, Blocks},
    ring::{Cells, ReceiverLine},
    slot::{Published, RankState, Slot},
    starts::Starts,
};
use crate::{
    error::{Error, ErrorClass, Result},
    sync::{AtomicU32, AtomicU64, Ordering},
    sys::{
        cpus::{self, CpuSetWords},
        fork::ForkMark,
        futex::{FutexWord, Scope},
        io::ByteLimit,
        memory::{self, FileId},
    },
    types::{PeerId, RANKS_MAX},
};
use core::ptr::NonNull;
use memmap2::MmapRaw;
use std::{
    fs::File,
    mem::ManuallyDrop,
    os::fd::{AsFd, AsRawFd, IntoRawFd, RawFd},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// Below are the context ids of the world and of the ranks' communicators with themselves alone.
pub(crate) const FIRST_FREE_CONTEXT: u32 = 16;

/// The world's board: in use from the start, and set up by being zero.
pub(crate) const WORLD_BOARD: usize = 0;

/// What the word that ends the job says if no rank did it.
const ENDED_BY_NO_RANK: u32 = u32::MAX;

/// A mapped segment.
pub(crate) struct Segment {
    /// Never dropped in a child that does not have the mapping.
    memory: ManuallyDrop<Memory>,
    layout: Layout,
    starts: Starts,
    /// Tells this process from its children, once the mapping is hidden from them.
    hidden: OnceLock<ForkMark>,
}

enum Memory {
    Mapped {
        map: MmapRaw,
        memfd: Option<Memfd>,
    },
    Private(MmapRaw),
    #[cfg(feature = "join")]
    Named(Named),
}

/// The memfd behind a mapping. Never closed: that would drop the record locks on its lock bytes.
#[derive(Clone, Copy)]
pub(super) struct Memfd {
    pub(super) fd: RawFd,
    /// Tells it from what a program may have opened after closing all descriptors.
    id: FileId,
}

impl Memfd {
    /// Whether the descriptor still is the memfd's.
    pub(super) fn is_open(self) -> bool {
        memory::file_id(self.fd).is_ok_and(|id| id == self.id)
    }
}

// SAFETY: the memory is shared bytes, reached through atomics and raw copies only.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes the segment of a job of `ranks` ranks in a memfd that children inherit.
    pub(crate) fn create(ranks: usize) -> Result<Arc<Self>> {
        let (file, layout) = Self::make_file(ranks)?;
        let segment = Self::map_file(file, layout)?;
        segment.initialise();
        Ok(segment)
    }

    /// As [`Self::create`], for children that only inherit the mapping: there are no lock bytes, and nothing
    /// is left when it is dropped.
    pub(crate) fn create_without_descriptor(ranks: usize) -> Result<Arc<Self>> {
        let (file, layout) = Self::make_file(ranks)?;
        let memory = Memory::Mapped { map: Self::map_all(&file, &layout)?, memfd: None };
        let segment = Arc::new(Self::new(memory, layout, Starts::ZERO));
        segment.initialise();
        Ok(segment)
    }

    fn make_file(ranks: usize) -> Result<(File, Layout)> {
        let layout = checked_layout("n", ranks)?;
        let file = memory::create_memfd("ringmpi", layout.size as u64)
            .map_err(|errno| no_room(&layout, "memfd_create", ByteLimit::FileSize, errno))?;
        Ok((file, layout))
    }

    /// Attaches to the segment behind a descriptor, after checking that it is one, of this layout.
    pub(crate) fn attach(file: File) -> Result<Arc<Self>> {
        let size = memory::file_size(file.as_raw_fd()).map_err(|errno| Error::system("fstat", errno))?;
        if size < size_of::<Header>() as u64 {
            return Err(Error::new(
                ErrorClass::OTHER,
                format!("{size} bytes are too few for a ringmpi segment"),
            ));
        }
        let head = memory::map_shared(file.as_fd(), size_of::<Header>())
            .map_err(|errno| Error::system("mmap of a segment's header", errno))?;
        // SAFETY: the mapping is page-aligned, large enough, lives to the end of the function, and
        // `Header` is all atomics.
        let layout = check_header(unsafe { &*head.as_ptr().cast::<Header>() }, size)?;
        Self::map_file(file, layout)
    }

    fn map_file(file: File, layout: Layout) -> Result<Arc<Self>> {
        let map = Self::map_all(&file, &layout)?;
        let id = memory::file_id(file.as_raw_fd()).map_err(|errno| Error::system("fstat", errno))?;
        let memory = Memory::Mapped { map, memfd: Some(Memfd { fd: file.into_raw_fd(), id }) };
        Ok(Arc::new(Self::new(memory, layout, Starts::ZERO)))
    }

    fn map_all(file: &File, layout: &Layout) -> Result<MmapRaw> {
        memory::map_shared(file.as_fd(), layout.size)
            .map_err(|errno| no_room(layout, "mmap", ByteLimit::Addresses, errno))
    }

    fn new(memory: Memory, layout: Layout, starts: Starts) -> Self {
        Self { memory: ManuallyDrop::new(memory), layout, starts, hidden: OnceLock::new() }
    }

    /// A segment in this process's own memory, for ranks that are threads, and for simulation.
    pub(crate) fn on_heap(ranks: usize) -> Result<Arc<Self>> {
        Self::on_heap_from(ranks, Starts::ZERO)
    }

    /// As [`Self::on_heap`], with counters that start elsewhere.
    pub(crate) fn on_heap_from(ranks: usize, starts: Starts) -> Result<Arc<Self>> {
        let layout = checked_layout("n", ranks)?;
        let map = memory::map_private(layout.size)
            .map_err(|errno| no_room(&layout, "mmap", ByteLimit::Addresses, errno))?;
        let segment = Arc::new(Self::new(Memory::Private(map), layout, starts));
        starts.write(&segment);
        segment.initialise();
        Ok(segment)
    }

    /// Over a named segment that is untouched and of the layout's size.
    #[cfg(feature = "join")]
    pub(super) fn over_unused(named: Named, layout: Layout) -> Arc<Self> {
        assert_eq!(named.len(), layout.size);
        let segment = Self::new(Memory::Named(named), layout, Starts::ZERO);
        segment.initialise();
        Arc::new(segment)
    }

    /// Over a named segment that another process has initialised, after checking it.
    #[cfg(feature = "join")]
    pub(super) fn over_used(named: Named) -> Result<Arc<Self>> {
        let layout = check_header(named.header(), named.len() as u64)?;
        Ok(Arc::new(Self::new(Memory::Named(named), layout, Starts::ZERO)))
    }

    fn initialise(&self) {
        let header = self.header();
        let set = |word: &AtomicU64, value: u64| {
            // Relaxed: SEGMENT_READY, the Release of the magic below, publishes them.
            word.store(value, Ordering::Relaxed);
        };
        set(&header.fingerprint, FINGERPRINT);
        set(&header.ranks, self.layout.ranks as u64);
        set(&header.size, self.layout.size as u64);
        set(&header.nonce, random_word());
        for (word, bytes) in header.version.iter().zip(env!("CARGO_PKG_VERSION").as_bytes().chunks(8)) {
            set(word, bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        directory::write(header, &self.layout);
        // Relaxed: SEGMENT_READY publishes it.
        header.boards[WORLD_BOARD / 64].store(1 << (WORLD_BOARD % 64), Ordering::Relaxed);
        self.set_cpus(cpus::allowed());
        // Release: SEGMENT_READY, pairs with the Acquire in `check_header`.
        header.magic.store(MAGIC, Ordering::Release);
    }

    /// How many CPUs the ranks may keep busy at once.
    fn set_cpus(&self, cpus: usize) {
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        // Relaxed: INIT_ALL, the attaching of all ranks, orders it for the ranks.
        self.header().cpus.store(cpus, Ordering::Relaxed);
    }

    /// Before a rank attaches: on which CPUs it may run. What started it may have put all ranks on the same few.
    pub(crate) fn add_cpus(&self, cpus: &CpuSetWords) {
        for (all, own) in self.header().cpus_of_ranks.iter().zip(cpus) {
            // Relaxed: INIT_ALL orders it.
            all.fetch_or(*own, Ordering::Relaxed);
        }
    }

    /// A rank cannot register for membarrier: all pay for fences.
    pub(crate) fn require_fences(&self) {
        // Relaxed: INIT_ALL orders it.
        self.header().needs_fences.store(1, Ordering::Relaxed);
    }

    /// Whether senders pay for fences: also with fewer CPUs than ranks. Final once all ranks have attached.
    pub(crate) fn needs_fences(&self) -> bool {
        // Relaxed: INIT_ALL orders it.
        self.header().needs_fences.load(Ordering::Relaxed) != 0 || !self.has_cpus_for_all()
    }

    /// Whether every rank has a CPU of its own. Final once all ranks have attached.
    pub(crate) fn has_cpus_for_all(&self) -> bool {
        let header = self.header();
        // Relaxed: INIT_ALL orders them.
        let of_ranks =
            header.cpus_of_ranks.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        self.layout.ranks <= header.cpus.load(Ordering::Relaxed).min(of_ranks) as usize
    }

    /// Counts this rank as attached, and waits until all are.
    pub(crate) fn attach_and_wait_for_all(self: &Arc<Self>, limit: Duration) -> Result<()> {
        let attached = &self.header().attached;
        // AcqRel: INIT_ALL; what every rank has written before is visible to all after.
        let mut count = attached.word.fetch_add(1, Ordering::AcqRel) + 1;
        let end = Instant::now() + limit;
        while (count as usize) < self.layout.ranks {
            if self.is_ended() {
                let what = format!("the job has ended while init waited for rank {}", self.missing());
                return Err(Error::consequence(what));
            }
            if let Some(lost) = self.lost_peer() {
                return Err(self.peer_lost(lost));
            }
            if Instant::now() > end {
                // AcqRel: INIT_ALL. Who waits no longer is not there for those who come late.
                if (attached.word.fetch_sub(1, Ordering::AcqRel) as usize) < self.layout.ranks {
                    let what = format!("init waited {} s for rank {}", limit.as_secs(), self.missing());
                    return Err(Error::new(ErrorClass::OTHER, what)
                        .with_help("every rank of a job has to call init, or none"));
                }
                // AcqRel: INIT_ALL. The last has come at this moment.
                attached.word.fetch_add(1, Ordering::AcqRel);
                break;
            }
            attached.wait(count, Some(Duration::from_millis(50)), Scope::Shared);
            self.end_without_keeper();
            // Acquire: INIT_ALL.
            count = attached.word.load(Ordering::Acquire);
        }
        attached.wake(i32::MAX, Scope::Shared);
        Ok(())
    }

    /// The ranks that have not come.
    fn missing(self: &Arc<Self>) -> String {
        let is_missing = |rank: &usize| self.published(*rank).slot.state() == RankState::Free;
        let missing: Vec<String> =
            (0..self.layout.ranks).filter(is_missing).map(|rank| rank.to_string()).collect();
        missing.join(", ")
    }

    /// Whether init is over, but for what every rank does by itself.
    #[cfg(feature = "join")]
    pub(super) fn have_all_attached(&self) -> bool {
        // Acquire: INIT_ALL.
        self.header().attached.word.load(Ordering::Acquire) as usize >= self.layout.ranks
    }

    /// A rank whose process has gone without finalize, if the job is one that tells: its processes
    /// have joined, and hold locks. To be asked at time-outs: it costs a system call a rank.
    pub(crate) fn lost_peer(self: &Arc<Self>) -> Option<usize> {
        match &*self.memory {
            #[cfg(feature = "join")]
            Memory::Named(named) => {
                (0..self.layout.ranks).find(|&rank| rank != named.rank() && self.has_lost(named, rank))
            }
            _ => None,
        }
    }

    /// What a rank says that has found a peer lost.
    #[cold]
    pub(crate) fn peer_lost(self: &Arc<Self>, rank: usize) -> Error {
        let pid = self.published(rank).slot.pid();
        let what = format!("rank {rank} has gone without finalize: it was process {pid}");
        Error::new(ErrorClass::PROC_ABORTED, what)
    }

    /// Which context ids are in use.
    pub(crate) fn contexts(self: &Arc<Self>) -> ContextTable {
        ContextTable::new(self.far(self.layout.contexts), self.starts.context)
    }

    /// The memfd's descriptor, if there is one.
    pub(crate) fn fd(&self) -> Option<RawFd> {
        self.memfd().map(|memfd| memfd.fd)
    }

    pub(super) fn memfd(&self) -> Option<Memfd> {
        match &*self.memory {
            Memory::Mapped { memfd, .. } => *memfd,
            _ => None,
        }
    }

    #[cfg(feature = "join")]
    pub(super) fn named(&self) -> Option<&Named> {
        match &*self.memory {
            Memory::Named(named) => Some(named),
            _ => None,
        }
    }

    /// How many ranks the job has.
    pub(crate) fn ranks(&self) -> usize {
        self.layout.ranks
    }

    /// Keeps the mapping out of forked children. Not for a launcher, whose children are the ranks.
    /// Private memory is none of theirs anyway: they have a copy.
    pub(crate) fn hide_from_children(&self) -> Result<()> {
        if let Memory::Private(_) = &*self.memory {
            return Ok(());
        }
        let mark = ForkMark::new().map_err(|errno| Error::system("madvise(MADV_WIPEONFORK)", errno))?;
        self.hidden.get_or_init(|| mark);
        match &*self.memory {
            Memory::Mapped { map, .. } => memory::hide_from_children(map),
            Memory::Private(_) => {}
            #[cfg(feature = "join")]
            Memory::Named(named) => named.hide_from_children(),
        }
        Ok(())
    }

    /// Whether this is a child that the mapping has been kept out of: nothing of it may be touched.
    pub(crate) fn is_in_child(&self) -> bool {
        self.hidden.get().is_some_and(ForkMark::is_in_child)
    }

    fn start(&self) -> NonNull<u8> {
        match &*self.memory {
            Memory::Mapped { map, .. } | Memory::Private(map) => {
                NonNull::new(map.as_mut_ptr()).expect("a mapping is not null")
            }
            #[cfg(feature = "join")]
            Memory::Named(named) => named.start(),
        }
    }

    fn at<T>(&self, offset: usize) -> NonNull<T> {
        assert!(offset + size_of::<T>() <= self.layout.size && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: inside the mapping, by the assertion.
        unsafe { self.start().add(offset) }.cast()
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: every segment is at least a header long, page-aligned, and the header is atomics.
        unsafe { self.start().cast::<Header>().as_ref() }
    }

    pub(super) fn far<T: Words>(self: &Arc<Self>, offset: usize) -> Far<T> {
        // SAFETY: `at` checks bounds and alignment; the layout gives every word one type.
        unsafe { Far::in_segment(self.at(offset), Arc::clone(self)) }
    }

    pub(super) fn far_slice<T: Words>(self: &Arc<Self>, offset: usize, len: usize) -> Far<[T]> {
        assert!(offset + len * size_of::<T>() <= self.layout.size);
        let words = NonNull::slice_from_raw_parts(self.at::<T>(offset), len);
        // SAFETY: bounds and alignment are checked; the layout gives every word one type.
        unsafe { Far::in_segment(words, Arc::clone(self)) }
    }

    /// Bytes at an offset that the caller took from the layout.
    #[inline]
    pub(super) fn span(&self, offset: usize, len: usize) -> Span<'_> {
        assert!(offset + len <= self.layout.size);
        // SAFETY: inside the mapping, by the assertion.
        let start = unsafe { self.start().add(offset) };
        // SAFETY: as above, and the mapping lives as long as `self`.
        unsafe { Span::new(start, len) }
    }

    /// What rank `rank` publishes about itself.
    pub(crate) fn published(self: &Arc<Self>, rank: usize) -> Published {
        assert!(rank < self.layout.ranks);
        let words = Layout::bitmap_words(self.layout.ranks);
        let waits = self.layout.waits + rank * Layout::bitmap_stride(self.layout.ranks);
        Published {
            slot: self.far::<Slot>(self.layout.slots + rank * size_of::<Slot>()),
            waits_for: self.far_slice(waits, words),
        }
    }

    /// Rank `rank`'s doorbell.
    pub(crate) fn doorbell(self: &Arc<Self>, rank: usize, mode: BarrierMode) -> Doorbell {
        assert!(rank < self.layout.ranks);
        let ranks = self.layout.ranks;
        let (start, words) =
            (self.layout.bells + rank * Layout::bell_stride(ranks), Layout::bitmap_words(ranks));
        Doorbell::new(
            self.far::<FutexWord>(start),
            self.far_slice(start + Layout::BELL_ARMED, words),
            self.far_slice(start + Layout::bell_pending(ranks), words),
            mode,
        )
    }

    /// The ring from `sender` to `receiver`.
    pub(crate) fn ring(self: &Arc<Self>, receiver: usize, sender: usize) -> (Far<Cells>, Far<ReceiverLine>) {
        assert!(receiver < self.layout.ranks && sender < self.layout.ranks);
        let pair = self.layout.pair(receiver, sender);
        (
            self.far(self.layout.rings + pair * size_of::<Cells>()),
            self.far(self.layout.lines + pair * size_of::<ReceiverLine>()),
        )
    }

    /// Rank `rank`'s blocks, and the words by which receivers hand them back.
    pub(crate) fn blocks(self: &Arc<Self>, rank: usize) -> (Blocks, Far<[AtomicU32]>) {
        assert!(rank < self.layout.ranks);
        let released = self.layout.released + rank * Layout::released_stride();
        let released: Far<[AtomicU32]> = self.far_slice(released, pool::BLOCKS as usize);
        let offset = self.layout.blocks + rank * pool::POOL_BYTES;
        (Blocks::new(Arc::clone(self), offset, released.clone()), released)
    }

    /// Where the job's counters start.
    pub(crate) fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Whether the job has ended: whoever is blocked leaves.
    pub(crate) fn is_ended(&self) -> bool {
        // Acquire: JOB_ENDED, pairs with the Release in `end_once`.
        self.header().ended.load(Ordering::Acquire) != 0
    }

    /// The rank that has ended the job by itself, before anyone else did.
    pub(crate) fn ended_by(&self) -> Option<usize> {
        // Acquire: JOB_ENDED, pairs with the Release in `end_once`.
        let ended = self.header().ended.load(Ordering::Acquire);
        ended.checked_sub(1).map(|rank| rank as usize).filter(|rank| *rank < self.layout.ranks)
    }

    /// Ends the job: wakes every rank that sleeps.
    pub(crate) fn end(self: &Arc<Self>) {
        self.end_once(ENDED_BY_NO_RANK);
    }

    /// As [`Self::end`], by a rank whose slot says why.
    pub(crate) fn end_by(self: &Arc<Self>, rank: PeerId) {
        self.end_once(rank.0 + 1);
    }

    /// The first one counts: ranks that end because the job has ended abort it again.
    fn end_once(self: &Arc<Self>, by: u32) {
        // Release: JOB_ENDED, pairs with the Acquires in `is_ended` and `ended_by`. Relaxed: the word
        // that stays says what it said.
        let _ = self.header().ended.compare_exchange(0, by, Ordering::Release, Ordering::Relaxed);
        self.header().attached.wake(i32::MAX, Scope::Shared);
        for rank in 0..self.layout.ranks {
            self.doorbell(rank, BarrierMode::Fence).ring();
        }
    }

    /// Ends the job if its keeper has died: nobody else may be left to tell ranks behind shells.
    pub(crate) fn end_without_keeper(self: &Arc<Self>) {
        if self.has_lost_keeper() {
            self.end();
        }
    }

    /// Takes a free board, if there is one.
    pub(crate) fn take_board(&self) -> Option<usize> {
        (0..BOARDS).find(|board| {
            let bit = 1 << (board % 64);
            // AcqRel: BOARD_OWNER; the last user's `free_board` happens before the next user's writes.
            self.header().boards[board / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0
        })
    }

    /// Gives a board back, after its last member has left it.
    pub(crate) fn free_board(&self, board: usize) {
        // AcqRel: BOARD_OWNER, pairs with `take_board`.
        self.header().boards[board / 64].fetch_and(!(1 << (board % 64)), Ordering::AcqRel);
    }

    /// Where board `board` starts.
    pub(super) fn board_place(&self, board: usize) -> usize {
        assert!(board < BOARDS);
        self.layout.boards + board * Layout::board_stride(self.layout.ranks)
    }

    /// The table of measured copy speeds that the ranks share.
    pub(crate) fn tuning(self: &Arc<Self>) -> Far<[AtomicU64]> {
        self.far_slice(self.layout.tuning, super::layout::TUNING_BYTES / 8)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.is_in_child() {
            // SAFETY: dropped once, and not used any more.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}

/// `argument` is what the caller of the library calls the number of ranks.
pub(super) fn checked_layout(argument: &str, ranks: usize) -> Result<Layout> {
    if (1..=RANKS_MAX).contains(&ranks) {
        return Ok(Layout::new(ranks));
    }
    Err(Error::new(ErrorClass::ARG, format!("{argument} is {ranks}: a job has 1 to {RANKS_MAX} ranks")))
}

/// The system refuses a segment's memory, perhaps because of a limit of this process.
#[cold]
pub(super) fn no_room(layout: &Layout, call: &str, limit: ByteLimit, errno: std::io::Error) -> Error {
    let ranks = layout.ranks;
    let in_mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let s = if ranks == 1 { "" } else { "s" };
    let call = format!("{call} of {} MiB for {ranks} rank{s}", in_mib(layout.size as u64));
    let help = limit.get().map(|bytes| match limit {
        ByteLimit::Addresses => format!("the limit of addresses is {} MiB, see `ulimit -v`", in_mib(bytes)),
        ByteLimit::FileSize => format!("the limit of file sizes is {bytes} bytes, see `ulimit -f`"),
    });
    Error::system(&call, errno).with_help(help.unwrap_or_else(|| "start fewer ranks".into()))
}

/// The layout of a segment whose header is of this build's kind.
fn check_header(header: &Header, size: u64) -> Result<Layout> {
    // Acquire: SEGMENT_READY, pairs with the Release in `initialise`.
    let magic = header.magic.load(Ordering::Acquire);
    if magic != MAGIC {
        let what = format!("not a ringmpi segment: it starts with {magic:#018x} instead of {MAGIC:#018x}");
        return Err(Error::new(ErrorClass::OTHER, what));
    }
    // Relaxed: SEGMENT_READY published them.
    let fingerprint = header.fingerprint.load(Ordering::Relaxed);
    if fingerprint != FINGERPRINT {
        return Err(foreign_build(header, fingerprint));
    }
    // Relaxed: SEGMENT_READY published them.
    let ranks = header.ranks.load(Ordering::Relaxed);
    let layout = checked_layout("the number of ranks", usize::try_from(ranks).unwrap_or(usize::MAX))
        .map_err(Error::corrupt)?;
    if layout.size as u64 > size {
        let what = format!("a segment of {ranks} ranks has {} bytes, this one {size}", layout.size);
        return Err(Error::corrupt(what));
    }
    // Relaxed: SEGMENT_READY published it.
    let said = header.size.load(Ordering::Relaxed);
    if said != layout.size as u64 {
        let what = format!("a segment of {ranks} ranks has {} bytes, its header says {said}", layout.size);
        return Err(Error::corrupt(what));
    }
    directory::check(header, &layout, size)?;
    Ok(layout)
}

fn foreign_build(header: &Header, fingerprint: u64) -> Error {
    // Relaxed: SEGMENT_READY published it.
    let words = header.version.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
    let version: String = words.take_while(|&byte| byte != 0).map(char::from).collect();
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), version.escape_default());
    Error::new(
        ErrorClass::OTHER,
        format!(
            "the launcher is ringmpi {theirs} with layout {fingerprint:016x}, \
             this program has ringmpi {ours} with layout {FINGERPRINT:016x}"
        ),
    )
    .with_help("build the program and install mpiexec from the same ringmpi version")
}

/// A word that differs from job to job.
fn random_word() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_one_process_creates_another_can_attach() {
        let made = Segment::create(3).unwrap();
        let fd = made.fd().unwrap();
        let path = format!("/proc/self/fd/{fd}");
        let attached = Segment::attach(File::options().read(true).write(true).open(path).unwrap()).unwrap();
        assert_eq!(attached.ranks(), 3);
        made.published(2).slot.claim(42).unwrap();
        assert_eq!(attached.published(2).slot.pid(), 42);
    }

    #[test]
    fn a_foreign_file_is_refused_with_what_it_starts_with() {
        let file = memory::create_memfd("foreign", 1 << 20).unwrap();
        let error = Segment::attach(file).err().unwrap().to_string();
        assert!(error.contains("not a ringmpi segment"), "{error}");
        let short = memory::create_memfd("short", 100).unwrap();
        assert!(Segment::attach(short).err().unwrap().to_string().contains("100 bytes"));
    }

    #[test]
    fn another_layout_is_refused_with_both_versions() {
        let made = Segment::create(1).unwrap();
        made.header().fingerprint.store(1, Ordering::SeqCst);
        let error = check_header(made.header(), u64::MAX).err().unwrap().to_string();
        assert!(error.contains("0000000000000001") && error.contains(env!("CARGO_PKG_VERSION")), "{error}");
    }

    #[test]
    fn a_header_that_lies_about_the_ranks_is_refused() {
        let made = Segment::create(2).unwrap();
        let size = made.layout.size as u64;
        for ranks in [0, 5, u64::MAX] {
            made.header().ranks.store(ranks, Ordering::SeqCst);
            assert!(check_header(made.header(), size).is_err(), "{ranks} ranks");
        }
    }

    #[test]
    fn a_header_or_directory_that_lies_about_sizes_is_refused() {
        let made = Segment::create(2).unwrap();
        let (header, size) = (made.header(), made.layout.size as u64);
        for word in [&header.size, &header.regions[3].size] {
            let good = word.fetch_add(4096, Ordering::SeqCst);
            let path = format!("/proc/self/fd/{}", made.fd().unwrap());
            let file = File::options().read(true).write(true).open(path).unwrap();
            let error = Segment::attach(file).err().unwrap().to_string();
            assert!(error.contains("corrupted") && error.contains(&(good + 4096).to_string()), "{error}");
            word.store(good, Ordering::SeqCst);
        }
        check_header(header, size).unwrap();
    }

    #[test]
    fn ranks_have_a_cpu_each_if_there_are_enough_for_the_creator_and_for_all_of_them_together() {
        let cpus = |some: &[usize]| {
            let mut words = CpuSetWords::default();
            some.iter().for_each(|cpu| words[cpu / 64] |= 1 << (cpu % 64));
            words
        };
        for (of_creator, of_ranks, is_enough) in [
            (2, [cpus(&[0, 65]), cpus(&[0, 65])], true),
            (8, [cpus(&[65]), cpus(&[65])], false),
            (8, [cpus(&[3]), cpus(&[64])], true),
            (8, [cpus(&[3]), cpus(&[0, 1, 2, 3])], true),
            (1, [cpus(&[3]), cpus(&[4])], false),
        ] {
            let made = Segment::on_heap(2).unwrap();
            made.set_cpus(of_creator);
            of_ranks.iter().for_each(|own| made.add_cpus(own));
            assert_eq!(made.has_cpus_for_all(), is_enough, "{of_creator}, {of_ranks:?}");
            assert_eq!(made.needs_fences(), !is_enough);
        }
    }

    #[test]
    fn too_many_ranks_are_refused_with_the_limit() {
        let error = Segment::create(RANKS_MAX + 1).err().unwrap().to_string();
        assert!(error.contains("4097") && error.contains("4096"), "{error}");
    }

    #[test]
    fn boards_are_given_once_until_freed() {
        let made = Segment::on_heap(1).unwrap();
        let all: Vec<usize> = std::iter::from_fn(|| made.take_board()).collect();
        assert_eq!(all, (WORLD_BOARD + 1..BOARDS).collect::<Vec<_>>());
        made.free_board(70);
        assert_eq!(made.take_board(), Some(70));
    }
}
