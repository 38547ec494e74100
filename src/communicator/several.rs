//! Several requests at once: waiting, testing, starting.
//!
//! A function without `_of` takes requests of one type out of a vector when they have ended, and gives
//! back their buffers. One with `_of` takes requests of any types, leaves them where they are, and tells
//! the places of those that have ended.

use super::{Persistent, PersistentCollective, Request, Scoped};
use crate::{
    buffer::Owned,
    error::{Error, ErrorClass, Result},
    p2p::{Engine, RequestId},
    status::Status,
};

mod sealed {
    pub trait Sealed {}
    impl<B: super::Owned> Sealed for super::Request<'_, B> {}
    impl<B> Sealed for super::Scoped<'_, B> {}
    impl<B: super::Owned> Sealed for super::Persistent<'_, '_, B> {}
    impl<I: super::Owned, O: super::Owned> Sealed for super::PersistentCollective<'_, I, O> {}
    impl<P: Sealed + ?Sized> Sealed for &mut P {}
}

/// An operation that may be in flight, whatever its buffer: a [`Request`], a [`Scoped`], a
/// [`Persistent`] or a [`PersistentCollective`]. For [`wait_any_of`] and its like.
///
/// ```
/// use ringmpi::{Pending, Result, Source, test_some_of};
/// # ringmpi::threads(1, |world| {
/// /// How many have ended.
/// fn ended(operations: &mut [&mut dyn Pending]) -> Result<usize> {
///     Ok(test_some_of(operations)?.len())
/// }
/// let myself = world.process_at_rank(0);
/// let (mut sending, mut receiving) = (myself.immediate_send(vec![1u8])?, myself.tag(3).immediate_receive::<f64>(1)?);
/// assert_eq!(ended(&mut [&mut sending, &mut receiving])?, 1);
/// # world.process_at_rank(0).receive::<u8>()?;
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.7.5: an entry of `array_of_requests`.
pub trait Pending: sealed::Sealed {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn in_flight(&self) -> Option<(&Engine, RequestId)>;
}

/// An operation that gives something back when it ends: its buffer, or itself if it is persistent. For
/// [`wait_any`] and its like.
///
/// ```
/// use ringmpi::{Completion, Result, Source, wait_any};
/// # ringmpi::threads(1, |world| {
///
/// /// Hands each buffer on as soon as it is there.
/// fn as_they_come<C: Completion>(mut requests: Vec<C>, mut take: impl FnMut(C::Buffer)) -> Result<()> {
///     while let Some((_, buffer, _)) = wait_any(&mut requests)? {
///         take(buffer);
///     }
///     Ok(())
/// }
/// # let myself = world.process_at_rank(0);
/// # let receives = vec![myself.immediate_receive::<u8>(1)?, myself.immediate_receive(1)?];
/// # myself.send(&[1u8])?;
/// # myself.send(&[2u8])?;
/// # let mut sum = 0;
/// # as_they_come(receives, |bytes| sum += bytes[0])?;
/// # assert_eq!(sum, 3);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.7.5: an entry of `array_of_requests`.
pub trait Completion: Pending + Sized {
    /// What comes back.
    ///
    /// ```
    /// use ringmpi::{Completion, Result, Source, wait_all};
    /// # ringmpi::threads(1, |world| {
    /// /// What all of them have received, in one vector.
    /// fn joined<C: Completion<Buffer = Vec<u8>>>(receives: Vec<C>) -> Result<Vec<u8>> {
    ///     Ok(wait_all(receives)?.concat())
    /// }
    /// let myself = world.process_at_rank(0);
    /// let receives = vec![myself.tag(1).immediate_receive::<u8>(9)?, myself.tag(2).immediate_receive(9)?];
    /// myself.tag(2).send(b"mpi")?;
    /// myself.tag(1).send(b"ring")?;
    /// assert_eq!(joined(receives)?, b"ringmpi");
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    type Buffer;

    #[doc(hidden)]
    fn complete(self) -> Result<(Self::Buffer, Status)>;
}

/// An operation that can be started: a [`Persistent`] or a [`PersistentCollective`]. For [`start_all`].
///
/// ```
/// use ringmpi::{Source, Startable};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let (mut sending, mut receiving) = (myself.send_init(vec![1u8])?, myself.receive_init(vec![0i8])?);
/// // Of different types, in one list.
/// let operations: [&mut dyn Startable; 2] = [&mut receiving, &mut sending];
/// for operation in operations {
///     operation.start()?;
/// }
/// receiving.wait()?;
/// sending.wait()?;
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.9: an entry of the `array_of_requests` of `MPI_Startall`.
pub trait Startable: Pending {
    /// Starts it: [`Persistent::start`] or [`PersistentCollective::start`].
    ///
    /// ```
    /// use ringmpi::{Result, Startable};
    /// # ringmpi::threads(2, |world| {
    /// /// Starts every operation but the first.
    /// fn start_rest<S: Startable>(operations: &mut [S]) -> Result<()> {
    ///     operations.iter_mut().skip(1).try_for_each(S::start)
    /// }
    /// let mut barriers = [world.barrier_init()?, world.barrier_init()?];
    /// start_rest(&mut barriers)?;
    /// barriers[1].wait()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is active already; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Start`.
    fn start(&mut self) -> Result<()>;
}

impl<B: Owned> Pending for Request<'_, B> {
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn in_flight(&self) -> Option<(&Engine, RequestId)> {
        Some((self.engine, self.id))
    }
}

impl<B> Pending for Scoped<'_, B> {
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn in_flight(&self) -> Option<(&Engine, RequestId)> {
        Some((self.engine, self.id))
    }
}

impl<B: Owned> Pending for Persistent<'_, '_, B> {
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn in_flight(&self) -> Option<(&Engine, RequestId)> {
        self.active.map(|id| (self.engine, id))
    }
}

impl<I: Owned, O: Owned> Pending for PersistentCollective<'_, I, O> {
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn in_flight(&self) -> Option<(&Engine, RequestId)> {
        self.active.map(|id| (self.engine, id))
    }
}

impl<P: Pending + ?Sized> Pending for &mut P {
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn in_flight(&self) -> Option<(&Engine, RequestId)> {
        (**self).in_flight()
    }
}

impl<B: Owned> Completion for Request<'_, B> {
    type Buffer = B;
    #[inline]
    fn complete(self) -> Result<(B, Status)> {
        self.wait_status()
    }
}

impl<B> Completion for Scoped<'_, B> {
    type Buffer = B;
    #[inline]
    fn complete(self) -> Result<(B, Status)> {
        self.wait()
    }
}

impl<B: Owned> Completion for &mut Persistent<'_, '_, B> {
    type Buffer = Self;
    fn complete(self) -> Result<(Self, Status)> {
        let status = self.wait()?;
        Ok((self, status))
    }
}

impl<I: Owned, O: Owned> Completion for &mut PersistentCollective<'_, I, O> {
    type Buffer = Self;
    fn complete(self) -> Result<(Self, Status)> {
        self.wait()?;
        Ok((self, Status::EMPTY))
    }
}

impl<I: Owned, O: Owned> Startable for PersistentCollective<'_, I, O> {
    fn start(&mut self) -> Result<()> {
        PersistentCollective::start(self)
    }
}

impl<B: Owned> Startable for Persistent<'_, '_, B> {
    fn start(&mut self) -> Result<()> {
        Persistent::start(self)
    }
}

impl<S: Startable + ?Sized> Startable for &mut S {
    fn start(&mut self) -> Result<()> {
        (**self).start()
    }
}

/// A request that has ended.
///
/// ```
/// use ringmpi::{Source, wait_some};
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let mut receives = vec![peer.tag(0).immediate_receive::<u8>(1)?, peer.tag(1).immediate_receive::<u8>(9)?];
/// peer.tag(0).send(&[7u8; 5])?; // too long
/// peer.tag(1).send(&[7u8; 5])?;
/// let mut right = 0;
/// while !receives.is_empty() {
///     for ended in wait_some(&mut receives)? {
///         match ended.outcome {
///             Ok((bytes, _)) => right += bytes.len(),
///             Err(error) => println!("{}: {error}", ended.place),
///         }
///     }
/// }
/// assert_eq!(right, 5);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.7.5: an entry of the `array_of_indices` and `array_of_statuses` of `MPI_Waitsome`.
#[derive(Debug)]
#[must_use = "it holds a buffer, or an error"]
pub struct Ended<B> {
    /// Where it was before the call.
    pub place: usize,
    /// Its buffer and status, or what was wrong.
    pub outcome: Result<(B, Status)>,
}

/// Waits for all requests; their buffers come back in the same order.
///
/// ```
/// use ringmpi::{Source, wait_all};
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let receives: Vec<_> = (0..3).map(|tag| peer.tag(tag).immediate_receive::<i32>(1)).collect::<Result<_, _>>()?;
/// for tag in [2, 0, 1] {
///     peer.tag(tag).send(&[tag])?;
/// }
/// assert_eq!(wait_all(receives)?.concat(), [0, 1, 2]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// Of the first request that fails; those behind it are dropped.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitall`.
pub fn wait_all<C: Completion>(requests: impl IntoIterator<Item = C>) -> Result<Vec<C::Buffer>> {
    requests.into_iter().map(|request| Ok(request.complete()?.0)).collect()
}

/// Waits until one of the requests has ended, and takes it out: its place, buffer and status. None
/// if no request is active.
///
/// ```
/// use ringmpi::{Source, wait_any};
/// # ringmpi::threads(3, |world| {
/// if world.rank() > 0 {
///     world.process_at_rank(0).send(&[world.rank()])?;
/// } else {
///     let mut receives: Vec<_> =
///         (1..3).map(|rank| world.process_at_rank(rank).immediate_receive::<i32>(1)).collect::<Result<_, _>>()?;
///     while let Some((_, number, status)) = wait_any(&mut receives)? {
///         assert_eq!(number, [status.source()]); // in the order in which they come
///     }
///     assert!(receives.is_empty());
/// }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// What the request that ended reports: it has been taken out; the end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitany`.
pub fn wait_any<C: Completion>(requests: &mut Vec<C>) -> Result<Option<(usize, C::Buffer, Status)>> {
    match wait_any_of(requests)? {
        Some(place) => take_one(requests, place).map(Some),
        None => Ok(None),
    }
}

/// Waits until at least one of the requests has ended, and takes out all that have, in order: none if no
/// request is active. Each reports its own error, so that none of the others is lost.
///
/// ```
/// use ringmpi::{Source, wait_some};
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let mut receives: Vec<_> = (0..4).map(|tag| peer.tag(tag).immediate_receive::<i32>(1)).collect::<Result<_, _>>()?;
/// for tag in 0..4 {
///     peer.tag(tag).send(&[tag])?;
/// }
/// let mut received = 0;
/// while received < 4 {
///     received += wait_some(&mut receives)?.len(); // as many as have come
/// }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitsome`.
pub fn wait_some<C: Completion>(requests: &mut Vec<C>) -> Result<Vec<Ended<C::Buffer>>> {
    let places = wait_some_of(requests)?;
    Ok(take_some(requests, &places))
}

/// If all requests have ended, takes them out: their buffers, in the same order. Makes progress; does not
/// wait.
///
/// ```
/// use ringmpi::{Source, test_all};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let mut receives = vec![myself.tag(0).immediate_receive::<i32>(1)?, myself.tag(1).immediate_receive(1)?];
/// myself.tag(0).send(&[5])?;
/// assert!(test_all(&mut receives)?.is_none()); // one is missing: both stay
/// myself.tag(1).send(&[6])?;
/// assert_eq!(test_all(&mut receives)?, Some(vec![vec![5], vec![6]]));
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// Of the first request that fails; those behind it are dropped. The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Testall`.
pub fn test_all<C: Completion>(requests: &mut Vec<C>) -> Result<Option<Vec<C::Buffer>>> {
    match test_all_of(requests)? {
        true => wait_all(requests.drain(..)).map(Some),
        false => Ok(None),
    }
}

/// If one of the requests has ended, takes it out: its place, buffer and status. Makes progress; does not
/// wait.
///
/// ```
/// use ringmpi::{Source, test_any};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let mut receives = vec![myself.tag(0).immediate_receive::<i32>(1)?, myself.tag(1).immediate_receive(1)?];
/// assert!(test_any(&mut receives)?.is_none());
/// myself.tag(1).send(&[6])?;
/// let (place, number, _) = test_any(&mut receives)?.expect("it has come");
/// assert_eq!((place, number, receives.len()), (1, vec![6], 1));
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// As [`wait_any`].
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Testany`.
pub fn test_any<C: Completion>(requests: &mut Vec<C>) -> Result<Option<(usize, C::Buffer, Status)>> {
    match test_any_of(requests)? {
        Some(place) => take_one(requests, place).map(Some),
        None => Ok(None),
    }
}

/// Takes out all requests that have ended: as [`wait_some`], but does not wait. Makes progress.
///
/// ```
/// use ringmpi::{Source, test_some};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let mut receives: Vec<_> = (0..3).map(|tag| myself.tag(tag).immediate_receive::<i32>(1)).collect::<Result<_, _>>()?;
/// myself.tag(0).send(&[0])?;
/// myself.tag(2).send(&[2])?;
/// let places: Vec<_> = test_some(&mut receives)?.iter().map(|ended| ended.place).collect();
/// assert_eq!((places, receives.len()), (vec![0, 2], 1));
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Testsome`.
pub fn test_some<C: Completion>(requests: &mut Vec<C>) -> Result<Vec<Ended<C::Buffer>>> {
    let places = test_some_of(requests)?;
    Ok(take_some(requests, &places))
}

/// Waits until all requests have ended. To wait for each of them then takes no time.
///
/// ```
/// use ringmpi::{Pending, Source, wait_all_of};
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let (mut sending, mut receiving) = (peer.immediate_send(vec![0.5])?, peer.immediate_receive::<f64>(1)?);
/// let mut barrier = world.immediate_barrier()?;
/// wait_all_of(&mut [&mut sending as &mut dyn Pending, &mut receiving, &mut barrier])?;
/// assert_eq!(receiving.wait()?, [0.5]); // does not wait
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitall`.
pub fn wait_all_of<P: Pending>(requests: &mut [P]) -> Result<()> {
    match Several::of("wait_all_of", requests)? {
        Some(several) => several.engine.wait_all(&several.ids),
        None => Ok(()),
    }
}

/// Waits until one of the requests has ended; its place. To wait for that one then takes no time. None if
/// no request is active.
///
/// The requests may be of different types:
///
/// ```
/// use ringmpi::{Pending, Source, wait_any_of};
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let mut sending = peer.immediate_send(vec![0.5; 1000])?;
/// let mut receiving = peer.tag(1).immediate_receive::<u8>(10)?;
/// // Nobody sends anything with this tag.
/// assert_eq!(wait_any_of(&mut [&mut receiving as &mut dyn Pending, &mut sending])?, Some(1));
/// assert_eq!(sending.wait()?.len(), 1000);
/// assert_eq!(peer.receive_vec::<f64>()?.0, [0.5; 1000]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitany`.
pub fn wait_any_of<P: Pending>(requests: &mut [P]) -> Result<Option<usize>> {
    Ok(wait_some_of(requests)?.first().copied())
}

/// Waits until at least one of the requests has ended; the places of all that have, in order: none if no
/// request is active.
///
/// ```
/// use ringmpi::{Pending, Source, wait_some_of};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let (mut sending, mut receiving) = (myself.immediate_send(vec![1u8])?, myself.immediate_receive::<u8>(1)?);
/// let mut other = myself.tag(9).immediate_receive::<f64>(1)?;
/// let ended = wait_some_of(&mut [&mut other as &mut dyn Pending, &mut sending, &mut receiving])?;
/// assert!(!ended.is_empty() && !ended.contains(&0)); // nobody has sent with tag 9
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitsome`.
pub fn wait_some_of<P: Pending>(requests: &mut [P]) -> Result<Vec<usize>> {
    match Several::of("wait_some_of", requests)? {
        Some(several) => Ok(several.places_of(&several.engine.wait_some(&several.ids)?)),
        None => Ok(vec![]),
    }
}

/// Whether all requests have ended, as those have that are not active. Makes progress; does not wait.
///
/// ```
/// use ringmpi::{Pending, Source, test_all_of};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let (mut bytes, mut number) = (myself.immediate_receive::<u8>(4)?, myself.tag(1).immediate_receive::<f64>(1)?);
/// myself.tag(0).send(b"four")?;
/// assert!(!test_all_of(&mut [&mut bytes as &mut dyn Pending, &mut number])?);
/// myself.tag(1).send(&[0.5])?;
/// assert!(test_all_of(&mut [&mut bytes as &mut dyn Pending, &mut number])?);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.6: `MPI_Request_get_status_all`.
pub fn test_all_of<P: Pending>(requests: &mut [P]) -> Result<bool> {
    match Several::of("test_all_of", requests)? {
        Some(several) => Ok(several.test(several.ids.len())?.len() == several.ids.len()),
        None => Ok(true),
    }
}

/// The place of a request that has ended, if one has. Makes progress; does not wait.
///
/// ```
/// use ringmpi::{Pending, Source, test_any_of};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let (mut bytes, mut number) = (myself.tag(0).immediate_receive::<u8>(4)?, myself.tag(1).immediate_receive::<f64>(1)?);
/// assert_eq!(test_any_of(&mut [&mut bytes as &mut dyn Pending, &mut number])?, None);
/// myself.tag(1).send(&[0.5])?;
/// assert_eq!(test_any_of(&mut [&mut bytes as &mut dyn Pending, &mut number])?, Some(1));
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.6: `MPI_Request_get_status_any`.
pub fn test_any_of<P: Pending>(requests: &mut [P]) -> Result<Option<usize>> {
    Ok(test_some_of(requests)?.first().copied())
}

/// The places of all requests that have ended, in order. Makes progress; does not wait.
///
/// ```
/// use ringmpi::{Pending, Source, test_some_of};
/// # ringmpi::threads(1, |world| {
/// let myself = world.process_at_rank(0);
/// let (mut bytes, mut number) = (myself.tag(0).immediate_receive::<u8>(4)?, myself.tag(1).immediate_receive::<f64>(1)?);
/// myself.tag(1).send(&[0.5])?;
/// myself.tag(0).send(b"four")?;
/// assert_eq!(test_some_of(&mut [&mut bytes as &mut dyn Pending, &mut number])?, [0, 1]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// The end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.6: `MPI_Request_get_status_some`.
pub fn test_some_of<P: Pending>(requests: &mut [P]) -> Result<Vec<usize>> {
    match Several::of("test_some_of", requests)? {
        Some(several) => several.test(1),
        None => Ok(vec![]),
    }
}

/// Starts all operations.
///
/// ```
/// use ringmpi::{Source, Startable, start_all};
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let mut sending = peer.send_init(vec![0.0f64; 8])?;
/// let mut receiving = peer.receive_init(vec![0.0f64; 8].into_boxed_slice())?;
/// for round in 0..10 {
///     sending.buffer_mut()?.fill(f64::from(round));
///     start_all(&mut [&mut receiving as &mut dyn Startable, &mut sending])?;
///     sending.wait()?;
///     assert_eq!(receiving.wait()?.source(), peer.rank());
///     assert_eq!(receiving.buffer_mut()?, [f64::from(round); 8]);
/// }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Errors
/// Of the first that cannot be started, because it is active already or the job has ended; those before
/// it have been started.
///
/// # Standard
/// MPI 5.0, 3.9: `MPI_Startall`.
pub fn start_all<S: Startable>(operations: &mut [S]) -> Result<()> {
    operations.iter_mut().try_for_each(Startable::start)
}

fn take_one<C: Completion>(requests: &mut Vec<C>, place: usize) -> Result<(usize, C::Buffer, Status)> {
    let (buffer, status) = requests.remove(place).complete()?;
    Ok((place, buffer, status))
}

fn take_some<C: Completion>(requests: &mut Vec<C>, places: &[usize]) -> Vec<Ended<C::Buffer>> {
    let mut place = 0..;
    let has_ended = |_: &mut C| place.next().is_some_and(|place| places.binary_search(&place).is_ok());
    let taken = requests.extract_if(.., has_ended);
    places
        .iter()
        .zip(taken)
        .map(|(place, ended)| Ended { place: *place, outcome: ended.complete() })
        .collect()
}

/// The requests that are active.
struct Several<'r> {
    engine: &'r Engine,
    ids: Vec<RequestId>,
    /// Where each of them is among all.
    places: Vec<usize>,
}

impl<'r> Several<'r> {
    /// None if there are none. (Exclusively borrowed: only one thread may wait for a request.)
    fn of<P: Pending>(function: &str, requests: &'r mut [P]) -> Result<Option<Self>> {
        let (mut ids, mut places, mut first) = (Vec::new(), Vec::new(), None);
        for (place, request) in requests.iter().enumerate() {
            let Some((engine, id)) = request.in_flight() else { continue };
            if !std::ptr::eq(*first.get_or_insert(engine), engine) {
                let what = format!("{function}: requests[{place}] is of another universe than those before");
                return Err(Error::new(ErrorClass::REQUEST, what));
            }
            ids.push(id);
            places.push(place);
        }
        Ok(first.map(|engine| Self { engine, ids, places }))
    }

    fn places_of(&self, ended: &[usize]) -> Vec<usize> {
        ended.iter().map(|index| self.places[*index]).collect()
    }

    fn test(&self, enough: usize) -> Result<Vec<usize>> {
        Ok(self.places_of(&self.engine.test_some(&self.ids, enough)?))
    }
}
