//! The plain words that every layer shares: ranks, tags, ids.

/// The rank of a process in a communicator, from 0.
///
/// ```
/// use ringmpi::Rank;
/// # ringmpi::threads(4, |world| {
/// /// Who gets what this rank has, in a binary tree.
/// fn children(rank: Rank, size: Rank) -> impl Iterator<Item = Rank> {
///     (2 * rank + 1..=2 * rank + 2).filter(move |child| *child < size)
/// }
/// assert_eq!(children(1, world.size()).collect::<Vec<_>>(), [3]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 7.2.1: a rank in a group, an `int` in C.
pub type Rank = i32;

/// A message's tag, 0 to [`TAG_MAX`].
///
/// ```
/// use ringmpi::{Source, Tag};
/// # ringmpi::threads(1, |world| {
/// /// A tag a kind of message.
/// const RESULT: Tag = 1;
/// world.process_at_rank(0).tag(RESULT).send(&[0.5])?;
/// assert_eq!(world.process_at_rank(0).tag(RESULT).receive::<f64>()?.0, 0.5);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.2.3: the argument `tag`.
pub type Tag = i32;

/// The largest tag: 2³¹ − 1.
///
/// ```
/// use ringmpi::{Source, TAG_MAX};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// myself.tag(TAG_MAX).send(&[1])?;
/// assert_eq!(myself.receive::<i32>()?.1.tag(), TAG_MAX);
/// assert!(myself.tag(-1).send(&[1]).is_err()); // below are none
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
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
