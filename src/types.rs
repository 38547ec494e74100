//! The plain words that every layer shares: ranks, tags, ids.

/// The rank of a process in a communicator, from 0.
pub type Rank = i32;

/// A message's tag, 0 to [`TAG_MAX`].
pub type Tag = i32;

/// The largest tag: 2³¹ − 1.
///
/// # Standard
/// MPI 5.0, 9.1.2: the attribute `MPI_TAG_UB`.
pub const TAG_MAX: Tag = Tag::MAX;

/// The largest number of ranks in a job. Cell rings are virtual memory until a pair talks; this
/// bound keeps their address space (4 KiB a pair) below what a 47-bit address space gives easily.
pub(crate) const RANKS_MAX: usize = 4096;

/// A process in the table of peers of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct PeerId(pub(crate) u32);

impl PeerId {
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names the communicator and the use (point-to-point, collective, …) that a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct ContextId(pub(crate) u32);
