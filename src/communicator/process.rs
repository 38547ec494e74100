//! [`Process`] and [`AnyProcess`]: whom a message goes to or comes from; the sends.

use super::{
    Communicator, Persistent, Request, landing,
    persistent::SendKind,
    source::{From, Source},
};
use crate::{
    buffer::{self, Held, Owned, Plain, SendBytes},
    envelope::{Envelope, Pattern},
    error::{Error, ErrorClass, Result},
    p2p::{Mode, RequestId},
    status::Status,
    types::{PeerId, Rank, Tag},
};

/// One process of a communicator, and perhaps a tag.
///
/// ```
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// peer.send(&[1])?; // with tag 0
/// let answers = peer.tag(7); // for more than one message
/// answers.send(&[2])?;
/// answers.send(&[3])?;
/// # use ringmpi::Source;
/// assert_eq!(answers.receive::<i32>()?.0, 2);
/// assert_eq!(peer.receive::<i32>()?.0, 1); // of any tag
/// assert_eq!(peer.receive::<i32>()?.0, 3);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.2.3 and 3.2.4: the arguments `dest`, `source` and `tag`.
#[derive(Clone, Copy, Debug)]
pub struct Process<'c, 'u> {
    comm: &'c Communicator<'u>,
    rank: Rank,
    tag: Option<Tag>,
}

/// Any process of a communicator, and perhaps a tag.
///
/// ```
/// use ringmpi::Source;
/// # ringmpi::threads(2, |world| {
/// world.process_at_rank(0).tag(world.rank()).send(&[0.5])?;
/// if world.rank() == 0 {
///     let (_, status) = world.any_process().tag(1).receive::<f64>()?;
///     assert_eq!((status.source(), status.tag()), (1, 1));
///     world.any_process().receive::<f64>()?;
/// }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.2.4: `MPI_ANY_SOURCE`.
#[derive(Clone, Copy, Debug)]
pub struct AnyProcess<'c, 'u> {
    comm: &'c Communicator<'u>,
    tag: Option<Tag>,
}

pub(super) mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Process<'_, '_> {}
    impl Sealed for super::AnyProcess<'_, '_> {}
}

impl<'c, 'u> Process<'c, 'u> {
    pub(super) fn new(comm: &'c Communicator<'u>, rank: Rank) -> Self {
        Self { comm, rank, tag: None }
    }

    /// With this tag. Without one, sends have tag 0 and receives accept any.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// const NUMBERS: ringmpi::Tag = 1;
    /// const NAMES: ringmpi::Tag = 2;
    /// let myself = world.process_at_rank(0);
    /// myself.tag(NAMES).send(b"pi")?;
    /// myself.tag(NUMBERS).send(&[3.14])?;
    /// assert_eq!(myself.tag(NUMBERS).receive::<f64>()?.0, 3.14); // though it came second
    /// assert_eq!(myself.tag(NAMES).receive_vec::<u8>()?.0, b"pi");
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.3: the argument `tag`; 3.2.4: `MPI_ANY_TAG`.
    #[must_use]
    #[inline]
    pub fn tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// The rank that this is.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// let next = world.process_at_rank((world.rank() + 1) % 3);
    /// next.send(&[next.rank()])?; // who it is for
    /// assert_eq!(world.any_process().receive::<i32>()?.0, world.rank());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Whether this is the null process.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let has_right = !world.neighbour(1).is_null();
    /// assert_eq!(has_right, world.rank() == 0);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.10: `MPI_PROC_NULL`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.rank == crate::status::PROC_NULL
    }

    #[inline]
    fn send_tag(&self, function: &str) -> Result<Tag> {
        let tag = self.tag.unwrap_or(0);
        if tag < 0 { Err(bad_tag(function, tag)) } else { Ok(tag) }
    }

    /// The peer and the envelope of a message of `bytes` bytes; None if this is the null process.
    #[inline(always)]
    fn envelope(&self, function: &str, bytes: u64) -> Result<Option<(PeerId, Envelope)>> {
        let tag = self.send_tag(function)?;
        let Some(peer) = self.comm.peer(function, self.rank)? else { return Ok(None) };
        let context = self.comm.remote().contexts.point_to_point();
        Ok(Some((peer, Envelope { context, source: self.comm.rank(), tag, bytes })))
    }

    #[inline]
    fn send_mode(self, function: &str, mode: Mode, buffer: SendBytes) -> Result<()> {
        match self.envelope(function, buffer.len())? {
            Some((peer, envelope)) => self.comm.engine().send(peer, envelope, mode, buffer),
            None => Ok(()),
        }
    }

    /// Sends a slice; returns when it may be changed again. Small messages return at once, large
    /// ones may wait for the receive.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.tag(7).send(&[1.5, 2.5])?;
    /// use ringmpi::Source;
    /// let (numbers, status) = peer.tag(7).receive_vec::<f64>()?;
    /// assert_eq!((numbers, status.tag()), (vec![1.5, 2.5], 7));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have, a negative tag; the end of the job while waiting.
    ///
    /// # Standard
    /// MPI 5.0, 3.2.1: `MPI_Send`.
    #[inline]
    pub fn send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.send_mode("send", Mode::Standard, buffer::of_slice(data))
    }

    /// Sends a slice; returns when the receive has been matched.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// if world.rank() == 0 {
    ///     world.process_at_rank(1).synchronous_send(&[1])?;
    ///     // Rank 1 has come to its receive.
    /// } else {
    ///     assert_eq!(world.process_at_rank(0).receive::<i32>()?.0, 1);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.4: `MPI_Ssend`.
    pub fn synchronous_send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.send_mode("synchronous_send", Mode::Synchronous, buffer::of_slice(data))
    }

    /// Sends a slice whose receive has been posted already, as the caller knows. Treated as
    /// [`send`](Self::send).
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let receiving = peer.immediate_receive::<i32>(1)?;
    /// world.barrier()?; // behind it both receives have been posted
    /// peer.ready_send(&[world.rank()])?;
    /// assert_eq!(receiving.wait()?, [peer.rank()]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.4: `MPI_Rsend`.
    pub fn ready_send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.send_mode("ready_send", Mode::Standard, buffer::of_slice(data))
    }

    /// Sends a copy of a slice; never waits. The engine keeps the copy: nothing is to be attached.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// // Both send first, however much it is.
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.buffered_send(&vec![world.rank(); 100_000])?;
    /// assert_eq!(peer.receive_vec::<i32>()?.0, vec![peer.rank(); 100_000]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); no memory for the copy.
    ///
    /// # Standard
    /// MPI 5.0, 3.4 and 3.6: `MPI_Bsend`, with automatic buffering.
    pub fn buffered_send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.begin_buffered_send("buffered_send", buffer::of_slice(data)).map(drop)
    }

    /// Begins to send a buffer, which the request holds until [`Request::wait`]. Dropping the request
    /// lets the send go on by itself.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut buffer = vec![0; 50_000];
    /// for step in 0..3 {
    ///     buffer.fill(step);
    ///     let sending = peer.immediate_send(buffer)?;
    ///     assert_eq!(peer.receive_vec::<i32>()?.0, vec![step; 50_000]);
    ///     buffer = sending.wait()?; // the same memory again
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Isend`.
    #[inline]
    pub fn immediate_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        self.immediate_mode("immediate_send", Mode::Standard, buffer)
    }

    /// As [`immediate_send`](Self::immediate_send); the request ends when the receive has been matched.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut sending = peer.immediate_synchronous_send(vec![7])?;
    /// assert!(!sending.test()?);
    /// world.barrier()?; // nobody receives before it
    /// assert_eq!(peer.receive::<i32>()?.0, 7);
    /// sending.wait()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Issend`.
    pub fn immediate_synchronous_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        self.immediate_mode("immediate_synchronous_send", Mode::Synchronous, buffer)
    }

    /// As [`immediate_send`](Self::immediate_send), of a copy, which the engine keeps: the request has ended
    /// already.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let buffer = peer.immediate_buffered_send(vec![world.rank(); 10_000])?.wait()?;
    /// assert_eq!(buffer.len(), 10_000); // at once, though nobody has received
    /// assert_eq!(peer.receive_vec::<i32>()?.0, vec![peer.rank(); 10_000]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`buffered_send`](Self::buffered_send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Ibsend`, with automatic buffering.
    pub fn immediate_buffered_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        let held = Held::new(buffer);
        let id = self.begin_buffered_send("immediate_buffered_send", held.to_send())?;
        Ok(Request::of_send(self.comm.engine(), id, held))
    }

    /// As [`immediate_send`](Self::immediate_send), to a receive that has been posted already, as the caller
    /// knows.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let receiving = peer.immediate_receive::<i32>(2)?;
    /// world.barrier()?;
    /// let sending = peer.immediate_ready_send(vec![1, 2])?;
    /// assert_eq!(receiving.wait()?, [1, 2]);
    /// sending.wait()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irsend`.
    pub fn immediate_ready_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        self.immediate_mode("immediate_ready_send", Mode::Standard, buffer)
    }

    #[inline]
    fn immediate_mode<B: Owned>(self, function: &str, mode: Mode, buffer: B) -> Result<Request<'c, B>> {
        let held = Held::new(buffer);
        let id = self.begin_send(function, mode, held.to_send())?;
        Ok(Request::of_send(self.comm.engine(), id, held))
    }

    /// Begins a send; the caller keeps the memory until the request ends.
    #[inline]
    pub(super) fn begin_send(&self, function: &str, mode: Mode, buffer: SendBytes) -> Result<RequestId> {
        match self.envelope(function, buffer.len())? {
            Some((peer, envelope)) => self.comm.engine().isend(peer, envelope, mode, buffer),
            None => Ok(RequestId::COMPLETE),
        }
    }

    /// Sends a copy of the bytes; the caller may reuse the memory at once.
    pub(super) fn begin_buffered_send(&self, function: &str, buffer: SendBytes) -> Result<RequestId> {
        if let Some((peer, envelope)) = self.envelope(function, buffer.len())? {
            self.comm.engine().send_buffered(peer, envelope, buffer)?;
        }
        Ok(RequestId::COMPLETE)
    }

    /// A send that can be started again and again with the same buffer.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut sending = peer.tag(1).send_init(vec![0; 2])?;
    /// for step in 0..3 {
    ///     sending.buffer_mut()?.fill(step);
    ///     sending.start()?;
    ///     assert_eq!(peer.tag(1).receive_vec::<i32>()?.0, [step; 2]);
    ///     sending.wait()?;
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have, a negative tag.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Send_init`.
    pub fn send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init("send_init", SendKind::Waiting(Mode::Standard), buffer)
    }

    /// A synchronous send that can be started again and again with the same buffer.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut token = peer.synchronous_send_init(vec![()])?; // no data: that it comes is what counts
    /// for _ in 0..3 {
    ///     token.start()?;
    ///     peer.receive_vec::<()>()?;
    ///     token.wait()?; // the other one has received as well
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send_init`](Self::send_init).
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Ssend_init`.
    pub fn synchronous_send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init("synchronous_send_init", SendKind::Waiting(Mode::Synchronous), buffer)
    }

    /// A buffered send that can be started again and again with the same buffer.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut sending = peer.buffered_send_init(vec![0; 2])?;
    /// for step in 0..3 {
    ///     sending.buffer_mut()?.fill(step);
    ///     sending.start()?;
    ///     sending.wait()?; // at once
    /// }
    /// for step in 0..3 {
    ///     assert_eq!(peer.receive_vec::<i32>()?.0, [step; 2]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send_init`](Self::send_init).
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Bsend_init`, with automatic buffering.
    pub fn buffered_send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init("buffered_send_init", SendKind::Buffered, buffer)
    }

    /// A ready send that can be started again and again with the same buffer, each time after the receive
    /// has been posted, as the caller knows. Treated as [`send_init`](Self::send_init).
    ///
    /// ```
    /// use ringmpi::{Source, wait_all};
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let (mut sending, mut receiving) = (peer.ready_send_init(vec![3])?, peer.receive_init(vec![0])?);
    /// for _ in 0..3 {
    ///     receiving.start()?;
    ///     world.barrier()?;
    ///     sending.start()?;
    ///     wait_all([&mut receiving, &mut sending])?;
    ///     assert_eq!(receiving.buffer_mut()?, [3]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send_init`](Self::send_init).
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Rsend_init`.
    pub fn ready_send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init("ready_send_init", SendKind::Waiting(Mode::Standard), buffer)
    }

    fn init<B: Owned>(self, function: &str, kind: SendKind, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.send_tag(function)?;
        self.comm.peer(function, self.rank)?;
        Ok(Persistent::of_send(self, kind, buffer))
    }

    /// Sends to this process and receives from `from` at the same time: neither waits for the other.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// // Round the ring: nobody waits for the others' order.
    /// let (rank, size) = (world.rank(), world.size());
    /// let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    /// let mut from = vec![0; 20_000];
    /// world.process_at_rank(next).send_receive_into(&vec![rank; 20_000], world.process_at_rank(previous), &mut from)?;
    /// assert_eq!(from, vec![previous; 20_000]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Source::receive_into`].
    ///
    /// # Standard
    /// MPI 5.0, 3.2.7: `MPI_Sendrecv`.
    pub fn send_receive_into<T: Plain, U: Plain>(
        self,
        data: &[T],
        from: impl Source<'c>,
        into: &mut [U],
    ) -> Result<Status> {
        self.exchange("send_receive_into", data, from, into)
    }

    fn exchange<T: Plain, U: Plain>(
        self,
        function: &str,
        data: &[T],
        from: impl Source<'c>,
        into: &mut [U],
    ) -> Result<Status> {
        let send = || self.send_mode(function, Mode::Standard, buffer::of_slice(data));
        let Some((pattern, peer)) = from.from(function)? else {
            return send().map(|()| Status::NULL_PROCESS);
        };
        landing::into_slice(into, |memory| from.engine().receive_while(pattern, peer, memory, send))
    }

    /// Sends the slice to this process, and receives into it from `from`.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let (rank, size) = (world.rank(), world.size());
    /// let (next, previous) = (world.process_at_rank((rank + 1) % size), world.process_at_rank((rank + size - 1) % size));
    /// let mut token = [rank];
    /// for _ in 0..size {
    ///     next.send_receive_replace(&mut token, previous)?;
    /// }
    /// assert_eq!(token, [rank]); // once round
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send_receive_into`](Self::send_receive_into); no memory for a copy of the slice.
    ///
    /// # Standard
    /// MPI 5.0, 3.2.7: `MPI_Sendrecv_replace`.
    pub fn send_receive_replace<T: Plain>(self, data: &mut [T], from: impl Source<'c>) -> Result<Status> {
        let copy = buffer::copy_of(data)?;
        self.exchange("send_receive_replace", &copy, from, data)
    }
}

impl<'c, 'u> AnyProcess<'c, 'u> {
    pub(super) fn new(comm: &'c Communicator<'u>) -> Self {
        Self { comm, tag: None }
    }

    /// With this tag; without one, any.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// const STOP: ringmpi::Tag = 9;
    /// world.process_at_rank(1 - world.rank()).tag(STOP).send::<u8>(&[])?;
    /// // From whoever says so.
    /// let (_, status) = world.any_process().tag(STOP).receive_vec::<u8>()?;
    /// assert_eq!(status.source(), 1 - world.rank());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: the argument `tag`, and `MPI_ANY_TAG`.
    #[must_use]
    pub fn tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

impl<'c> Source<'c> for Process<'c, '_> {
    #[inline]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn from(&self, function: &str) -> Result<From> {
        let Some(peer) = self.comm.peer(function, self.rank)? else { return Ok(None) };
        let tag = receive_tag(function, self.tag)?;
        let context = self.comm.local().contexts.point_to_point();
        Ok(Some((Pattern { context, source: Some(self.rank), tag }, Some(peer))))
    }

    #[inline]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn engine(&self) -> &'c crate::p2p::Engine {
        self.comm.engine()
    }
}

impl<'c> Source<'c> for AnyProcess<'c, '_> {
    #[inline]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn from(&self, function: &str) -> Result<From> {
        self.comm.check_caller()?;
        let tag = receive_tag(function, self.tag)?;
        let context = self.comm.local().contexts.point_to_point();
        Ok(Some((Pattern { context, source: None, tag }, None)))
    }

    #[inline]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn engine(&self) -> &'c crate::p2p::Engine {
        self.comm.engine()
    }
}

#[inline]
fn receive_tag(function: &str, tag: Option<Tag>) -> Result<Option<Tag>> {
    match tag {
        Some(tag) if tag < 0 => Err(bad_tag(function, tag)),
        any_or_one => Ok(any_or_one),
    }
}

#[cold]
fn bad_tag(function: &str, tag: Tag) -> Error {
    let last = crate::types::TAG_MAX;
    Error::new(ErrorClass::TAG, format!("{function}: tag {tag} is not allowed: tags are 0 to {last}"))
}
