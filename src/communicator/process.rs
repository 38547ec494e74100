//! [`Process`] and [`AnyProcess`]: whom a message goes to or comes from.

use super::{
    Communicator, Message, Persistent, Request,
    landing::{self, checked},
    persistent::SendKind,
    request::post,
};
use crate::{
    buffer::{self, Held, Owned, Plain, SendBytes},
    envelope::{Envelope, Pattern},
    error::{Error, ErrorClass, Result, Truncated},
    p2p::{Awaited, Mode, RequestId},
    status::Status,
    types::{ContextId, PeerId, Rank, Tag},
};
use bytemuck::Zeroable;
use std::mem::MaybeUninit;

/// One process of a communicator, and perhaps a tag.
#[derive(Clone, Copy, Debug)]
pub struct Process<'c, 'u> {
    comm: &'c Communicator<'u>,
    rank: Rank,
    tag: Option<Tag>,
}

/// Any process of a communicator, and perhaps a tag.
///
/// # Standard
/// MPI 5.0, 3.2.4: `MPI_ANY_SOURCE`.
#[derive(Clone, Copy, Debug)]
pub struct AnyProcess<'c, 'u> {
    comm: &'c Communicator<'u>,
    tag: Option<Tag>,
}

/// What a message is received by: its pattern, and the peer if the source is specific. None from
/// the null process.
pub(crate) type From = Option<(Pattern, Option<PeerId>)>;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Process<'_, '_> {}
    impl Sealed for super::AnyProcess<'_, '_> {}
}

impl<'c, 'u> Process<'c, 'u> {
    pub(super) fn new(comm: &'c Communicator<'u>, rank: Rank) -> Self {
        Self { comm, rank, tag: None }
    }

    /// With this tag. Without one, sends have tag 0 and receives accept any.
    #[must_use]
    #[inline]
    pub fn tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// The rank that this is.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Whether this is the null process.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.rank == crate::status::PROC_NULL
    }

    #[inline]
    fn send_tag(&self) -> Result<Tag> {
        let tag = self.tag.unwrap_or(0);
        if tag < 0 { Err(bad_tag(tag)) } else { Ok(tag) }
    }

    /// The peer and the envelope of a message of `bytes` bytes; None if this is the null process.
    #[inline(always)]
    fn envelope(&self, bytes: u64) -> Result<Option<(PeerId, Envelope)>> {
        let tag = self.send_tag()?;
        let Some(peer) = self.comm.peer(self.rank)? else { return Ok(None) };
        let context = self.comm.remote().contexts.point_to_point();
        Ok(Some((peer, Envelope { context, source: self.comm.rank(), tag, bytes })))
    }

    #[inline]
    fn send_mode(self, mode: Mode, buffer: SendBytes) -> Result<()> {
        match self.envelope(buffer.len())? {
            Some((peer, envelope)) => self.comm.engine().send(peer, envelope, mode, buffer),
            None => Ok(()),
        }
    }

    /// Sends a slice; returns when it may be changed again. Small messages return at once, large
    /// ones may wait for the receive.
    ///
    /// ```
    /// ringmpi::threads(2, |world| {
    ///     let peer = world.process_at_rank(1 - world.rank());
    ///     peer.tag(7).send(&[1.5, 2.5])?;
    ///     use ringmpi::Source;
    ///     let (numbers, status) = peer.tag(7).receive_vec::<f64>()?;
    ///     assert_eq!((numbers, status.tag()), (vec![1.5, 2.5], 7));
    ///     ringmpi::Result::Ok(())
    /// })?.into_iter().collect::<ringmpi::Result<()>>()?;
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
        self.send_mode(Mode::Standard, buffer::of_slice(data))
    }

    /// Sends a slice; returns when the receive has been matched.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.4: `MPI_Ssend`.
    pub fn synchronous_send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.send_mode(Mode::Synchronous, buffer::of_slice(data))
    }

    /// Sends a slice whose receive has been posted already, as the caller knows. Treated as
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.4: `MPI_Rsend`.
    pub fn ready_send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.send(data)
    }

    /// Sends a copy of a slice; never waits. The engine keeps the copy: nothing is to be attached.
    ///
    /// # Errors
    /// As [`send`](Self::send); no memory for the copy.
    ///
    /// # Standard
    /// MPI 5.0, 3.4 and 3.6: `MPI_Bsend`, with automatic buffering.
    pub fn buffered_send<T: Plain>(self, data: &[T]) -> Result<()> {
        self.begin_buffered_send(buffer::of_slice(data)).map(drop)
    }

    /// Begins to send a buffer, which the request holds until [`Request::wait`]. Dropping the request
    /// lets the send go on by itself.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Isend`.
    #[inline]
    pub fn immediate_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        self.immediate_mode(Mode::Standard, buffer)
    }

    /// As [`immediate_send`](Self::immediate_send); the request ends when the receive has been matched.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Issend`.
    pub fn immediate_synchronous_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        self.immediate_mode(Mode::Synchronous, buffer)
    }

    /// As [`immediate_send`](Self::immediate_send), of a copy, which the engine keeps: the request has ended
    /// already.
    ///
    /// # Errors
    /// As [`buffered_send`](Self::buffered_send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Ibsend`, with automatic buffering.
    pub fn immediate_buffered_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        let held = Held::new(buffer);
        let id = self.begin_buffered_send(held.to_send())?;
        Ok(Request::of_send(self.comm.engine(), id, held))
    }

    /// As [`immediate_send`](Self::immediate_send), to a receive that has been posted already, as the caller
    /// knows.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irsend`.
    pub fn immediate_ready_send<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        self.immediate_send(buffer)
    }

    #[inline]
    fn immediate_mode<B: Owned>(self, mode: Mode, buffer: B) -> Result<Request<'c, B>> {
        let held = Held::new(buffer);
        let id = self.begin_send(mode, held.to_send())?;
        Ok(Request::of_send(self.comm.engine(), id, held))
    }

    /// Begins a send; the caller keeps the memory until the request ends.
    #[inline]
    pub(super) fn begin_send(&self, mode: Mode, buffer: SendBytes) -> Result<RequestId> {
        match self.envelope(buffer.len())? {
            Some((peer, envelope)) => self.comm.engine().isend(peer, envelope, mode, buffer),
            None => Ok(RequestId::COMPLETE),
        }
    }

    /// Sends a copy of the bytes; the caller may reuse the memory at once.
    pub(super) fn begin_buffered_send(&self, buffer: SendBytes) -> Result<RequestId> {
        if let Some((peer, envelope)) = self.envelope(buffer.len())? {
            self.comm.engine().send_buffered(peer, envelope, buffer)?;
        }
        Ok(RequestId::COMPLETE)
    }

    /// A send that can be started again and again with the same buffer.
    ///
    /// # Errors
    /// A rank that the communicator does not have, a negative tag.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Send_init`.
    pub fn send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init(SendKind::Waiting(Mode::Standard), buffer)
    }

    /// A synchronous send that can be started again and again with the same buffer.
    ///
    /// # Errors
    /// As [`send_init`](Self::send_init).
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Ssend_init`.
    pub fn synchronous_send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init(SendKind::Waiting(Mode::Synchronous), buffer)
    }

    /// A buffered send that can be started again and again with the same buffer.
    ///
    /// # Errors
    /// As [`send_init`](Self::send_init).
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Bsend_init`, with automatic buffering.
    pub fn buffered_send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.init(SendKind::Buffered, buffer)
    }

    /// A ready send that can be started again and again with the same buffer, each time after the receive
    /// has been posted, as the caller knows. Treated as [`send_init`](Self::send_init).
    ///
    /// # Errors
    /// As [`send_init`](Self::send_init).
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Rsend_init`.
    pub fn ready_send_init<B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.send_init(buffer)
    }

    fn init<B: Owned>(self, kind: SendKind, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        self.send_tag()?;
        self.comm.peer(self.rank)?;
        Ok(Persistent::of_send(self, kind, buffer))
    }

    /// Sends to this process and receives from `from` at the same time: neither waits for the other.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Source::receive_into`].
    ///
    /// # Standard
    /// MPI 5.0, 3.10: `MPI_Sendrecv`.
    pub fn send_receive_into<T: Plain, U: Plain>(
        self,
        data: &[T],
        from: impl Source<'c>,
        into: &mut [U],
    ) -> Result<Status> {
        let Some((pattern, peer)) = from.from()? else {
            return self.send(data).map(|()| Status::NULL_PROCESS);
        };
        landing::into_slice(into, |memory| {
            from.engine().receive_while(pattern, peer, memory, || self.send(data))
        })
    }

    /// Sends the slice to this process, and receives into it from `from`.
    ///
    /// # Errors
    /// As [`send_receive_into`](Self::send_receive_into); no memory for a copy of the slice.
    ///
    /// # Standard
    /// MPI 5.0, 3.10: `MPI_Sendrecv_replace`.
    pub fn send_receive_replace<T: Plain>(self, data: &mut [T], from: impl Source<'c>) -> Result<Status> {
        let copy = buffer::copy_of(data)?;
        self.send_receive_into(&copy, from, data)
    }
}

impl<'c, 'u> AnyProcess<'c, 'u> {
    pub(super) fn new(comm: &'c Communicator<'u>) -> Self {
        Self { comm, tag: None }
    }

    /// With this tag; without one, any.
    #[must_use]
    pub fn tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }
}

/// Where a message is received from: a [`Process`] or [`AnyProcess`].
pub trait Source<'c>: Sized + Copy + sealed::Sealed {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn from(&self) -> Result<From>;

    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn engine(&self) -> &'c crate::p2p::Engine;

    /// Receives a message of exactly one element.
    ///
    /// # Errors
    /// As [`receive_into`](Self::receive_into); a message of no element; the null process, which sends
    /// none.
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_Recv`.
    fn receive<T: Plain>(self) -> Result<(T, Status)> {
        let mut bits = [<T::Bits as Zeroable>::zeroed()];
        let Some((pattern, peer)) = self.from()? else { return Err(nothing_from_null()) };
        let status = self.engine().receive(pattern, peer, buffer::of_aside::<T>(&mut bits))?;
        match checked::<T>(&bits, &status)? {
            [value] => Ok((*value, status)),
            _ => Err(Error::new(
                ErrorClass::COUNT,
                format!(
                    "rank {} sent no element with tag {}, where one was expected",
                    status.source(),
                    status.tag()
                ),
            )),
        }
    }

    /// Receives a message of any size. From the null process comes an empty vector.
    ///
    /// # Errors
    /// A rank that the communicator does not have; bytes that are no whole number of elements, or no
    /// values of the type; no memory for so many: the message is lost then; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Mprobe` and `MPI_Mrecv`.
    fn receive_vec<T: Plain>(self) -> Result<(Vec<T>, Status)> {
        let message = self.matched_probe()?;
        let status = message.status();
        Ok((message.receive_vec()?, status))
    }

    /// Receives into a slice, which may be longer than the message. After an error the slice is
    /// unchanged, unless the job ended while a large message came in.
    ///
    /// # Errors
    /// A rank that the communicator does not have; a longer message ([`ErrorClass::TRUNCATE`], with
    /// source, tag and both sizes); bytes that are no whole number of elements, or no values of the
    /// type: the message is lost then; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_Recv`.
    #[inline]
    fn receive_into<T: Plain>(self, into: &mut [T]) -> Result<Status> {
        let Some((pattern, peer)) = self.from()? else { return Ok(Status::NULL_PROCESS) };
        landing::into_slice(into, |memory| self.engine().receive(pattern, peer, memory))
    }

    /// Receives into memory that need not hold values; returns the elements that arrived.
    ///
    /// # Errors
    /// As [`receive_into`](Self::receive_into).
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_Recv`.
    fn receive_into_uninit<T: Plain>(self, into: &mut [MaybeUninit<T>]) -> Result<(&mut [T], Status)> {
        let Some((pattern, peer)) = self.from()? else { return Ok((&mut [], Status::NULL_PROCESS)) };
        landing::into_uninit(into, |memory| self.engine().receive(pattern, peer, memory))
    }

    /// Begins to receive at most `len` elements; the vector that comes back holds what arrived, and is
    /// shorter if that was less. Dropping the request cancels the receive.
    ///
    /// # Errors
    /// A rank that the communicator does not have; more elements than an address space can hold
    /// ([`ErrorClass::COUNT`]), or than there is memory for. What is wrong with the message is reported by
    /// the request.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irecv`.
    fn immediate_receive<T: Plain>(self, len: usize) -> Result<Request<'c, Vec<T>>> {
        let (engine, from) = (self.engine(), self.from()?);
        Request::begin_receive_vec(engine, len, |into| post(engine, from, into))
    }

    /// Begins to receive into the elements of a buffer, which the request holds until [`Request::wait`].
    /// A shorter message changes the front; [`Request::wait_status`] tells how much.
    ///
    /// # Errors
    /// A rank that the communicator does not have. What is wrong with the message is reported by the
    /// request.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irecv`.
    #[inline]
    fn immediate_receive_into<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        let (engine, from) = (self.engine(), self.from()?);
        Request::begin_receive(engine, buffer, |into| post(engine, from, into))
    }

    /// A receive that can be started again and again with the same buffer.
    ///
    /// # Errors
    /// A rank that the communicator does not have.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Recv_init`.
    fn receive_init<'u, B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        Persistent::of_receive(self.engine(), self.from()?, buffer)
    }

    /// Waits for a message, without receiving it: its status tells the size.
    ///
    /// # Errors
    /// A rank that the communicator does not have; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.1: `MPI_Probe`.
    fn probe(self) -> Result<Status> {
        match self.from()? {
            Some((pattern, from)) => self.engine().probe(Awaited { pattern: &pattern, from }),
            None => Ok(Status::NULL_PROCESS),
        }
    }

    /// Looks for a message, without waiting and without receiving it.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    ///
    /// # Standard
    /// MPI 5.0, 3.8.1: `MPI_Iprobe`.
    fn immediate_probe(self) -> Result<Option<Status>> {
        match self.from()? {
            Some((pattern, from)) => self.engine().iprobe(Awaited { pattern: &pattern, from }),
            None => Ok(Some(Status::NULL_PROCESS)),
        }
    }

    /// Waits for a message and takes it: no other receive can match it.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Mprobe`.
    fn matched_probe(self) -> Result<Message<'c>> {
        match self.from()? {
            Some((pattern, from)) => {
                let (id, status) = self.engine().mprobe(Awaited { pattern: &pattern, from })?;
                Ok(Message::new(self.engine(), Some(id), status))
            }
            None => Ok(Message::new(self.engine(), None, Status::NULL_PROCESS)),
        }
    }

    /// Takes a message, if there is one, without waiting.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Improbe`.
    fn immediate_matched_probe(self) -> Result<Option<Message<'c>>> {
        match self.from()? {
            Some((pattern, from)) => {
                let found = self.engine().improbe(Awaited { pattern: &pattern, from })?;
                Ok(found.map(|(id, status)| Message::new(self.engine(), Some(id), status)))
            }
            None => Ok(Some(Message::new(self.engine(), None, Status::NULL_PROCESS))),
        }
    }
}

impl<'c> Source<'c> for Process<'c, '_> {
    #[inline]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn from(&self) -> Result<From> {
        let Some(peer) = self.comm.peer(self.rank)? else { return Ok(None) };
        let pattern = pattern(self.comm.local().contexts.point_to_point(), Some(self.rank), self.tag)?;
        Ok(Some((pattern, Some(peer))))
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
    fn from(&self) -> Result<From> {
        self.comm.check_caller()?;
        Ok(Some((pattern(self.comm.local().contexts.point_to_point(), None, self.tag)?, None)))
    }

    #[inline]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn engine(&self) -> &'c crate::p2p::Engine {
        self.comm.engine()
    }
}

#[inline]
fn pattern(context: ContextId, source: Option<Rank>, tag: Option<Tag>) -> Result<Pattern> {
    match tag {
        Some(tag) if tag < 0 => Err(bad_tag(tag)),
        _ => Ok(Pattern { context, source, tag }),
    }
}

#[cold]
fn bad_tag(tag: Tag) -> Error {
    Error::new(ErrorClass::TAG, format!("tag {tag} is not allowed: tags are 0 to {}", crate::types::TAG_MAX))
}

#[cold]
fn nothing_from_null() -> Error {
    Error::new(ErrorClass::RANK, "the null process sends no element, where one was expected")
        .with_help("receive into a slice: from the null process it stays as it is")
}

/// A message of `sent` bytes has more elements than fit.
pub(super) fn check_room(status: &Status, room: u64) -> Result<()> {
    let (source, tag, sent) = (status.source(), status.tag(), status.bytes());
    if sent > room { Err(Error::truncated(Truncated { source, tag, sent, room })) } else { Ok(()) }
}
