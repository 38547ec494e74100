//! [`Status`]: what a finished receive or probe tells of its message.

use crate::types::{Rank, Tag};

/// The null process: sends and receives with it finish at once and move nothing.
///
/// ```
/// use ringmpi::{PROC_NULL, Source};
/// # ringmpi::threads(1, |world| {
/// let nobody = world.process_at_rank(PROC_NULL);
/// nobody.send(&[1])?; // goes nowhere
/// assert_eq!(nobody.receive_vec::<i32>()?.0, []);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.10: `MPI_PROC_NULL`; the number is the standard ABI's.
pub const PROC_NULL: Rank = -3;

/// The tag in the status of a receive from the null process.
pub(crate) const ANY_TAG: Tag = -2;

/// The source in an empty status.
pub(crate) const ANY_SOURCE: Rank = -1;

/// Source, tag, size and fate of a message.
///
/// ```
/// use ringmpi::Source;
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// myself.tag(7).send(&[1.5f32; 3])?;
/// let status = myself.probe()?;
/// assert_eq!((status.source(), status.tag(), status.bytes()), (0, 7, 12));
/// assert_eq!((status.count::<f32>(), status.count::<f64>()), (Some(3), None));
/// # myself.receive_vec::<f32>()?;
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.2.5 (the status object) and 3.8.4 (cancelled).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status {
    source: Rank,
    tag: Tag,
    /// Bytes, and the flag [`CANCELLED`]: so a status fits two registers.
    size: u64,
}

/// The operation was cancelled instead of finished.
const CANCELLED: u64 = 1 << 63;

/// The longest message that a status can tell of.
pub(crate) const BYTES_MAX: u64 = CANCELLED - 1;

impl Status {
    #[inline]
    pub(crate) const fn of_message(source: Rank, tag: Tag, bytes: u64) -> Self {
        debug_assert!(bytes < CANCELLED);
        Self { source, tag, size: bytes }
    }

    /// The empty status: of a finished send, or an inactive request.
    pub(crate) const EMPTY: Self = Self::of_message(ANY_SOURCE, ANY_TAG, 0);

    /// Of a receive from the null process.
    pub(crate) const NULL_PROCESS: Self = Self::of_message(PROC_NULL, ANY_TAG, 0);

    pub(crate) const CANCELLED: Self = Self { size: CANCELLED, ..Self::EMPTY };

    /// The sender's rank in the communicator; [`PROC_NULL`] for the null process.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// // To whoever has sent something.
    /// world.process_at_rank(1 - world.rank()).send(&[1])?;
    /// let (number, status) = world.any_process().receive::<i32>()?;
    /// world.process_at_rank(status.source()).send(&[number + 1])?;
    /// assert_eq!(world.process_at_rank(1 - world.rank()).receive::<i32>()?.0, 2);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.5: `MPI_SOURCE`.
    #[must_use]
    pub fn source(&self) -> Rank {
        self.source
    }

    /// The message's tag.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// world.process_at_rank(0).tag(42).send(&[0.5])?;
    /// let (_, status) = world.process_at_rank(0).receive::<f64>()?; // whatever its tag
    /// assert_eq!(status.tag(), 42);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.5: `MPI_TAG`.
    #[must_use]
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The message's size in bytes.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// world.process_at_rank(0).send(&[[1u16, 2], [3, 4]])?;
    /// let mut room = [[0u16; 2]; 8];
    /// assert_eq!(world.process_at_rank(0).receive_into(&mut room)?.bytes(), 8);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.5: `MPI_Get_count` of `MPI_BYTE`.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.size & !CANCELLED
    }

    /// The message's size in elements of `T`; `None` if it is no whole number of them.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// world.process_at_rank(0).send(&[1.5f32, 2.5, 3.5])?;
    /// let mut room = [0.0f32; 100];
    /// let status = world.process_at_rank(0).receive_into(&mut room)?;
    /// let received = &room[..status.count::<f32>().unwrap_or(0)];
    /// assert_eq!(received, [1.5, 2.5, 3.5]);
    /// assert_eq!(status.count::<f64>(), None); // 12 bytes
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.5: `MPI_Get_count`.
    #[must_use]
    pub fn count<T>(&self) -> Option<usize> {
        let (bytes, size) = (self.bytes(), size_of::<T>() as u64);
        match size {
            0 => (bytes == 0).then_some(0),
            _ if bytes.is_multiple_of(size) => usize::try_from(bytes / size).ok(),
            _ => None,
        }
    }

    /// Whether the operation was cancelled instead of finished.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let mut receiving = world.process_at_rank(0).receive_init(vec![0; 2])?;
    /// receiving.start()?;
    /// receiving.cancel();
    /// assert!(receiving.wait()?.is_cancelled());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.8.4: `MPI_Test_cancelled`.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.size & CANCELLED != 0
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Status")
            .field("source", &self.source)
            .field("tag", &self.tag)
            .field("bytes", &self.bytes())
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}
