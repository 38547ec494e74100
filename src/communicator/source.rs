//! [`Source`]: where a message is received from; the receives and probes.

use super::{
    Message, Persistent, Request,
    landing::{self, checked},
    process::sealed,
    request::post,
};
use crate::{
    buffer::{self, Owned, Plain},
    envelope::Pattern,
    error::{Error, ErrorClass, Result, Truncated},
    p2p::Awaited,
    status::Status,
    types::PeerId,
};
use bytemuck::Zeroable;
use std::mem::MaybeUninit;

/// What a message is received by: its pattern, and the peer if the source is specific. None from
/// the null process.
pub(crate) type From = Option<(Pattern, Option<PeerId>)>;

/// Where a message is received from: a [`Process`](crate::Process) or [`AnyProcess`](crate::AnyProcess).
///
/// ```
/// use ringmpi::{Communicator, Result, Source};
/// # ringmpi::threads(2, |world| {
///
/// /// From one sender or from any: as the caller likes.
/// fn sum<'c>(source: impl Source<'c>) -> Result<f64> {
///     Ok(source.receive_vec::<f64>()?.0.iter().sum())
/// }
/// # world.process_at_rank(0).send(&[1.5, 2.0])?;
/// # if world.rank() == 0 {
/// #     assert_eq!(sum(world.process_at_rank(1))? + sum(world.any_process())?, 7.0);
/// # }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.2.4: the arguments `source` and `tag`.
pub trait Source<'c>: Sized + Copy + sealed::Sealed {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn from(&self, function: &str) -> Result<From>;

    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn engine(&self) -> &'c crate::p2p::Engine;

    /// Receives a message of exactly one element.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.tag(4).send(&[2.5])?;
    /// let (number, status) = peer.receive::<f64>()?;
    /// assert_eq!((number, status.tag()), (2.5, 4));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`receive_into`](Self::receive_into); a message of no element; the null process, which sends
    /// none.
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_Recv`.
    fn receive<T: Plain>(self) -> Result<(T, Status)> {
        let mut bits = [<T::Bits as Zeroable>::zeroed()];
        let Some((pattern, peer)) = self.from("receive")? else { return Err(nothing_from_null()) };
        let status = self.engine().receive(pattern, peer, buffer::of_aside::<T>(&mut bits))?;
        match checked::<T>(&bits, &status)? {
            [value] => Ok((*value, status)),
            _ => Err(Error::new(
                ErrorClass::COUNT,
                format!(
                    "receive: rank {} sent no element with tag {}, where one was expected",
                    status.source(),
                    status.tag()
                ),
            )),
        }
    }

    /// Receives a message of any size. From the null process comes an empty vector.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.send(&vec!['x'; 1 + world.rank() as usize])?;
    /// let (letters, _) = peer.receive_vec::<char>()?;
    /// assert_eq!(letters.len(), 1 + peer.rank() as usize);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have; bytes that are no whole number of elements, or no
    /// values of the type; no memory for so many: the message is lost then; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Mprobe` and `MPI_Mrecv`.
    fn receive_vec<T: Plain>(self) -> Result<(Vec<T>, Status)> {
        let message = take(self, "receive_vec")?;
        let status = message.status();
        Ok((message.receive_vec()?, status))
    }

    /// Receives into a slice, which may be longer than the message. After an error the slice is
    /// unchanged, unless the job ended while a large message came in.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.send(&[1, 2])?;
    /// let mut room = [0; 4];
    /// let status = peer.receive_into(&mut room)?;
    /// assert_eq!((room, status.count::<i32>()), ([1, 2, 0, 0], Some(2)));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
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
        let Some((pattern, peer)) = self.from("receive_into")? else { return Ok(Status::NULL_PROCESS) };
        landing::into_slice(into, |memory| self.engine().receive(pattern, peer, memory))
    }

    /// Receives into memory that need not hold values; returns the elements that arrived.
    ///
    /// ```
    /// use ringmpi::Source;
    /// use std::mem::MaybeUninit;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.send(&[true, false])?;
    /// let mut room = [MaybeUninit::uninit(); 1000];
    /// let (flags, _) = peer.receive_into_uninit::<bool>(&mut room)?;
    /// assert_eq!(flags, [true, false]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`receive_into`](Self::receive_into).
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_Recv`.
    fn receive_into_uninit<T: Plain>(self, into: &mut [MaybeUninit<T>]) -> Result<(&mut [T], Status)> {
        let Some((pattern, peer)) = self.from("receive_into_uninit")? else {
            return Ok((&mut [], Status::NULL_PROCESS));
        };
        landing::into_uninit(into, |memory| self.engine().receive(pattern, peer, memory))
    }

    /// Begins to receive at most `len` elements; the vector that comes back holds what arrived, and is
    /// shorter if that was less. Dropping the request cancels the receive.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let receiving = peer.immediate_receive::<i32>(100)?; // at most
    /// peer.send(&[1, 2, 3])?;
    /// assert_eq!(receiving.wait()?, [1, 2, 3]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have; more elements than an address space can hold
    /// ([`ErrorClass::COUNT`]), or than there is memory for. What is wrong with the message is reported by
    /// the request.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irecv`.
    fn immediate_receive<T: Plain>(self, len: usize) -> Result<Request<'c, Vec<T>>> {
        let (engine, from) = (self.engine(), self.from("immediate_receive")?);
        Request::begin_receive_vec("immediate_receive", engine, len, |into| post(engine, from, into))
    }

    /// Begins to receive into the elements of a buffer, which the request holds until [`Request::wait`].
    /// A shorter message changes the front; [`Request::wait_status`] tells how much.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut buffer = vec![0; 4];
    /// for step in 1..4 {
    ///     let receiving = peer.immediate_receive_into(buffer)?;
    ///     peer.send(&[step; 2])?;
    ///     let (received, status) = receiving.wait_status()?;
    ///     assert_eq!((&received[..], status.count::<i32>()), (&[step, step, 0, 0][..], Some(2)));
    ///     buffer = received;
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have. What is wrong with the message is reported by the
    /// request.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irecv`.
    #[inline]
    fn immediate_receive_into<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        let (engine, from) = (self.engine(), self.from("immediate_receive_into")?);
        Request::begin_receive(engine, buffer, |into| post(engine, from, into))
    }

    /// A receive that can be started again and again with the same buffer.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut receiving = peer.receive_init(vec![0.0; 2])?;
    /// for step in 0..3 {
    ///     receiving.start()?;
    ///     peer.send(&[f64::from(step), 0.5])?;
    ///     assert_eq!(receiving.wait()?.count::<f64>(), Some(2));
    ///     assert_eq!(receiving.buffer_mut()?, [f64::from(step), 0.5]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Recv_init`.
    fn receive_init<'u, B: Owned>(self, buffer: B) -> Result<Persistent<'c, 'u, B>> {
        Persistent::of_receive(self.engine(), self.from("receive_init")?, buffer)
    }

    /// Waits for a message, without receiving it: its status tells the size.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.tag(2).send(&[1u16, 2, 3])?;
    /// let status = world.any_process().probe()?;
    /// let mut room = vec![0u16; status.count::<u16>().unwrap_or(0)];
    /// // In one thread: others might take the message in between. A matched probe rules that out.
    /// world.process_at_rank(status.source()).tag(status.tag()).receive_into(&mut room)?;
    /// assert_eq!(room, [1, 2, 3]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.1: `MPI_Probe`.
    fn probe(self) -> Result<Status> {
        match self.from("probe")? {
            Some((pattern, from)) => self.engine().probe(Awaited { pattern: &pattern, from }),
            None => Ok(Status::NULL_PROCESS),
        }
    }

    /// Looks for a message, without waiting and without receiving it.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// assert!(world.any_process().immediate_probe()?.is_none());
    /// world.process_at_rank(0).tag(3).send(&[1])?;
    /// let status = world.any_process().immediate_probe()?.expect("it has come");
    /// assert_eq!(status.tag(), 3);
    /// # world.any_process().receive::<i32>()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    ///
    /// # Standard
    /// MPI 5.0, 3.8.1: `MPI_Iprobe`.
    fn immediate_probe(self) -> Result<Option<Status>> {
        match self.from("immediate_probe")? {
            Some((pattern, from)) => self.engine().iprobe(Awaited { pattern: &pattern, from }),
            None => Ok(Some(Status::NULL_PROCESS)),
        }
    }

    /// Waits for a message and takes it: no other receive can match it.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.send(&[0.5; 3])?;
    /// let message = world.any_process().matched_probe()?;
    /// assert_eq!(message.status().source(), peer.rank());
    /// // No other thread can take it away.
    /// assert_eq!(message.receive_vec::<f64>()?, [0.5; 3]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Mprobe`.
    fn matched_probe(self) -> Result<Message<'c>> {
        take(self, "matched_probe")
    }

    /// Takes a message, if there is one, without waiting.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// peer.send(&[peer.rank()])?;
    /// let message = loop {
    ///     match world.any_process().immediate_matched_probe()? {
    ///         Some(message) => break message,
    ///         None => continue, // with other work
    ///     }
    /// };
    /// assert_eq!(message.receive_vec::<i32>()?, [world.rank()]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Improbe`.
    fn immediate_matched_probe(self) -> Result<Option<Message<'c>>> {
        match self.from("immediate_matched_probe")? {
            Some((pattern, from)) => {
                let found = self.engine().improbe(Awaited { pattern: &pattern, from })?;
                Ok(found.map(|(id, status)| Message::new(self.engine(), Some(id), status)))
            }
            None => Ok(Some(Message::new(self.engine(), None, Status::NULL_PROCESS))),
        }
    }
}

/// Waits for a message, and takes it.
fn take<'c>(source: impl Source<'c>, function: &str) -> Result<Message<'c>> {
    match source.from(function)? {
        Some((pattern, from)) => {
            let (id, status) = source.engine().mprobe(Awaited { pattern: &pattern, from })?;
            Ok(Message::new(source.engine(), Some(id), status))
        }
        None => Ok(Message::new(source.engine(), None, Status::NULL_PROCESS)),
    }
}

#[cold]
fn nothing_from_null() -> Error {
    Error::new(ErrorClass::RANK, "receive: the null process sends no element, where one was expected")
        .with_help("receive into a slice: from the null process it stays as it is")
}

/// A message of `sent` bytes has more elements than fit.
pub(super) fn check_room(status: &Status, room: u64) -> Result<()> {
    let (source, tag, sent) = (status.source(), status.tag(), status.bytes());
    if sent > room { Err(Error::truncated(Truncated { source, tag, sent, room })) } else { Ok(()) }
}
