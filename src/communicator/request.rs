//! [`Request`]: an operation that goes on while the caller does something else.

use super::landing::{all_checked, checked};
use crate::{
    buffer::{self, Growing, Held, Owned, Plain, ReceiveBytes},
    error::{Error, ErrorClass, Result},
    p2p::{Engine, RequestId},
    status::Status,
};
use bytemuck::CheckedBitPattern;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pub(super) type Bits<B> = <<B as Owned>::Item as CheckedBitPattern>::Bits;

/// A send, a receive or a collective in flight. It holds the buffer until [`wait`](Self::wait) gives it back.
///
/// Dropping it never waits: a send and a collective go on by themselves; a receive is cancelled, and if it has its
/// message already, that is lost.
///
/// It is also a future, for any executor: awaiting it gives the buffer and the status, and what
/// [`wait_status`](Self::wait_status) reports. Whoever polls it elsewhere than in
/// [`Communicator::block_on`](crate::Communicator::block_on) has a thread started that makes progress for all
/// futures of this rank, until finalize. Each future waits by itself: a receive from a rank that has finalized
/// ends with an error, also while others may still be ready. Polled again after its end, it is an error of the
/// class `REQUEST`.
///
/// ```
/// use ringmpi::Source;
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let sending = peer.immediate_send(vec![world.rank(); 3])?;
/// let receiving = peer.immediate_receive::<i32>(10)?;
/// let received = world.block_on(async {
///     sending.await?;
///     let (received, status) = receiving.await?;
///     assert_eq!(status.source(), peer.rank());
///     ringmpi::Result::Ok(received)
/// })?;
/// assert_eq!(received, [peer.rank(); 3]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// The buffer is the request's until then:
///
/// ```compile_fail,E0382
/// # fn f(world: &ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
/// let numbers = vec![1, 2];
/// let summing = world.immediate_all_reduce(numbers, ringmpi::op::Sum)?;
/// println!("{}", numbers[0]);
/// # summing.wait().map(drop)
/// # }
/// ```
///
/// A request does not outlive its communicator:
///
/// ```compile_fail,E0597
/// # fn f(world: &ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
/// let barrier = {
///     let library = world.duplicate()?;
///     library.immediate_barrier()?
/// };
/// barrier.wait()
/// # }
/// ```
///
/// ```compile_fail,E0505
/// # fn f(library: ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
/// let barrier = library.immediate_barrier()?;
/// drop(library);
/// barrier.wait()
/// # }
/// ```
///
/// # Standard
/// MPI 5.0, 3.7.
#[must_use = "dropping a receive cancels it"]
pub struct Request<'c, B: Owned> {
    pub(super) engine: &'c Engine,
    pub(super) id: RequestId,
    /// None once it has been given back.
    held: Option<Held<B>>,
    kind: Kind<B>,
}

enum Kind<B: Owned> {
    Send,
    Receive,
    /// Into the spare room of a vector, which then holds so many elements.
    ReceiveRoom(fn(Held<B>, usize) -> B),
    ReceiveAside(Box<Aside<B>>),
    Collective(Box<Filled<B>>),
}

/// How the result of a collective gets into the buffer.
pub(super) struct Filled<B: Owned> {
    len: usize,
    /// Where it is, if it has to be checked.
    bits: Option<Vec<Bits<B>>>,
    finish: fn(Held<B>, usize) -> B,
    place: fn(Held<B>, &[B::Item]) -> B,
}

impl<B: Owned> Filled<B> {
    fn finish(&self, held: Held<B>) -> Result<B> {
        match &self.bits {
            None => Ok((self.finish)(held, self.len)),
            Some(bits) => Ok((self.place)(held, all_checked::<B::Item>(bits)?)),
        }
    }
}

/// A message that is checked before it becomes values of the buffer.
struct Aside<B: Owned> {
    bits: Vec<Bits<B>>,
    place: fn(Held<B>, &[B::Item]) -> B,
}

impl<'c, B: Owned> Request<'c, B> {
    #[inline]
    pub(super) fn of_send(engine: &'c Engine, id: RequestId, held: Held<B>) -> Self {
        Self { engine, id, held: Some(held), kind: Kind::Send }
    }

    /// Begins to receive into a buffer; `post` says what.
    #[inline]
    pub(super) fn begin_receive(
        engine: &'c Engine,
        buffer: B,
        post: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
    ) -> Result<Self> {
        let held = Held::new(buffer);
        let (into, len) = (held.to_fill(), held.len());
        Self::begin(engine, post, (into, len), held, Kind::Receive, fill_front)
    }

    /// Begins to receive `len` elements: in place if every bit pattern is a value, else aside, from where
    /// `place` brings them to the buffer.
    #[inline]
    fn begin(
        engine: &'c Engine,
        post: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
        (into, len): (ReceiveBytes, usize),
        held: Held<B>,
        kind: Kind<B>,
        place: fn(Held<B>, &[B::Item]) -> B,
    ) -> Result<Self> {
        let (into, kind) = if buffer::any_bits::<B::Item>() {
            (into, kind)
        } else {
            let mut bits = buffer::aside::<B::Item>(len)?;
            (buffer::of_aside::<B::Item>(&mut bits), Kind::ReceiveAside(Box::new(Aside { bits, place })))
        };
        let id = post(into)?;
        Ok(Self { engine, id, held: Some(held), kind })
    }

    /// A collective that changes its buffer; `begin` says what.
    pub(crate) fn begin_in_place(
        engine: &'c Engine,
        buffer: B,
        begin: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
    ) -> Result<Self> {
        let mut held = Held::new(buffer);
        let (into, len) = (held.to_fill(), held.len());
        let bits =
            if buffer::any_bits::<B::Item>() { None } else { Some(buffer::aside_of(held.as_mut_slice())?) };
        let filled = Filled { len, bits, finish: |held, _| held.into_inner(), place: fill_front };
        Self::begin_collective(engine, held, into, filled, begin)
    }

    fn begin_collective(
        engine: &'c Engine,
        held: Held<B>,
        into: ReceiveBytes,
        mut filled: Filled<B>,
        begin: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
    ) -> Result<Self> {
        let into = filled.bits.as_mut().map_or(into, |bits| buffer::of_aside::<B::Item>(bits));
        let id = begin(into)?;
        Ok(Self { engine, id, held: Some(held), kind: Kind::Collective(Box::new(filled)) })
    }

    /// Whether the operation has ended. Makes progress; does not wait.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut receiving = peer.immediate_receive::<i32>(100_000)?;
    /// let sending = peer.immediate_send(vec![1; 100_000])?;
    /// while !receiving.test()? {
    ///     // A piece of the computation goes here: large messages move during the test.
    /// }
    /// assert_eq!(receiving.wait()?.len(), 100_000); // does not wait
    /// sending.wait()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Test`.
    pub fn test(&mut self) -> Result<bool> {
        self.engine.test(self.id)
    }

    /// Waits for the end, and gives the buffer back.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let receiving = peer.immediate_receive::<i32>(1)?;
    /// let sending = peer.immediate_send(vec![world.rank()])?;
    /// assert_eq!(receiving.wait()?, [peer.rank()]);
    /// assert_eq!(sending.wait()?, [world.rank()]); // the buffer that was sent
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Of a receive: what was wrong with the message. Of a collective: other ranks that call another one, or this one
    /// with another root, operation of [`op`](crate::op) or length. The end of the job. The buffer is lost.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    #[inline]
    pub fn wait(self) -> Result<B> {
        self.wait_status().map(|(buffer, _)| buffer)
    }

    /// As [`wait`](Self::wait), with the status.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let receiving = world.any_process().immediate_receive::<i32>(10)?;
    /// world.process_at_rank(1 - world.rank()).tag(6).send(&[8, 9])?;
    /// let (numbers, status) = receiving.wait_status()?;
    /// assert_eq!((&numbers[..], status.source(), status.tag()), (&[8, 9][..], 1 - world.rank(), 6));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    #[inline]
    pub fn wait_status(mut self) -> Result<(B, Status)> {
        let status = self.engine.wait(self.id)?;
        Ok((self.finish(&status)?, status))
    }

    /// Cancels a receive that has no message yet, and gives the buffer back. Does not wait.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// let receiving = myself.tag(1).immediate_receive_into(vec![7; 3])?;
    /// assert_eq!(receiving.cancel().unwrap(), [7; 3]);
    ///
    /// let receiving = myself.tag(2).immediate_receive::<i32>(3)?;
    /// myself.tag(2).send(&[5])?;
    /// let has_message = receiving.cancel().unwrap_err();
    /// assert_eq!(has_message.wait()?, [5]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The request itself, as it was, if it has its message, has ended, or is a send: wait for it.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.4: `MPI_Cancel`.
    pub fn cancel(mut self) -> std::result::Result<B, Self> {
        let is_cancelled = self.engine.cancel(self.id) && self.engine.take_outcome(self.id).is_ok();
        match self.held.take_if(|_| is_cancelled) {
            Some(held) => Ok(held.into_inner()),
            None => Err(self),
        }
    }

    #[inline]
    fn finish(&mut self, status: &Status) -> Result<B> {
        let held = self.held.take().ok_or_else(used_up)?;
        match &self.kind {
            _ if status.is_cancelled() => Ok(held.into_inner()),
            Kind::Send | Kind::Receive => Ok(held.into_inner()),
            Kind::ReceiveRoom(received) => Ok(received(held, status.count::<B::Item>().unwrap_or(0))),
            Kind::ReceiveAside(aside) => Ok((aside.place)(held, checked::<B::Item>(&aside.bits, status)?)),
            Kind::Collective(filled) => filled.finish(held),
        }
    }
}

impl<'c, T: Plain> Request<'c, Vec<T>> {
    /// Begins to receive at most `len` elements into a new vector; `post` says what.
    #[inline]
    pub(super) fn begin_receive_vec(
        function: &str,
        engine: &'c Engine,
        len: usize,
        post: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
    ) -> Result<Self> {
        let held = Held::<Vec<T>>::with_room(len).map_err(|error| error.of(function))?;
        let (into, kind) = (held.room(len), Kind::ReceiveRoom(Held::into_received));
        Self::begin(engine, post, (into, len), held, kind, |held, values| {
            let mut buffer = held.into_inner();
            buffer.extend_from_slice(values);
            buffer
        })
    }
}

impl<'c, T: Plain> Request<'c, Vec<T>> {
    /// A collective whose result is a new vector of `len` elements; `begin` says what.
    pub(crate) fn begin_new(
        function: &str,
        engine: &'c Engine,
        len: usize,
        begin: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
    ) -> Result<Self> {
        let held = Held::<Vec<T>>::with_room(len).map_err(|error| error.of(function))?;
        Self::begin_growing(engine, held, len, begin, |held, values| {
            let mut buffer = held.into_inner();
            buffer.extend_from_slice(values);
            buffer
        })
    }
}

impl<'c, T: Plain> Request<'c, Option<Vec<T>>> {
    /// As [`Request::begin_new`]; without a length there is no result.
    pub(crate) fn begin_new_if(
        function: &str,
        engine: &'c Engine,
        len: Option<usize>,
        begin: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
    ) -> Result<Self> {
        let held = Held::new(len.map(buffer::with_capacity).transpose().map_err(|error| error.of(function))?);
        Self::begin_growing(engine, held, len.unwrap_or(0), begin, |held, values| {
            let mut buffer = held.into_inner();
            buffer.iter_mut().for_each(|buffer| buffer.extend_from_slice(values));
            buffer
        })
    }
}

#[expect(private_bounds, reason = "for this crate only")]
impl<'c, B: Growing> Request<'c, B> {
    fn begin_growing(
        engine: &'c Engine,
        held: Held<B>,
        len: usize,
        begin: impl FnOnce(ReceiveBytes) -> Result<RequestId>,
        place: fn(Held<B>, &[B::Item]) -> B,
    ) -> Result<Self> {
        let into = held.room(len);
        let bits = if buffer::any_bits::<B::Item>() { None } else { Some(buffer::aside::<B::Item>(len)?) };
        let filled = Filled { len, bits, finish: Held::into_received, place };
        Self::begin_collective(engine, held, into, filled, begin)
    }
}

fn fill_front<B: Owned>(mut held: Held<B>, values: &[B::Item]) -> B {
    held.as_mut_slice()[..values.len()].copy_from_slice(values);
    held.into_inner()
}

/// Posts a receive; from the null process it has ended already.
#[inline]
pub(super) fn post(engine: &Engine, from: super::source::From, into: ReceiveBytes) -> Result<RequestId> {
    match from {
        Some((pattern, peer)) => engine.ireceive(pattern, peer, into),
        None => Ok(RequestId::FROM_NULL),
    }
}

impl<B: Owned> Request<'_, B> {
    /// As when it is dropped.
    #[inline]
    fn let_go(&mut self) {
        let Some(held) = self.held.take() else { return };
        match &mut self.kind {
            Kind::Send => self.engine.detach(self.id, Some(held.into_keep())),
            // The other ranks rely on this one's part.
            Kind::Collective(filled) => {
                filled.bits.take().into_iter().for_each(|bits| self.engine.keep(self.id, bits.into()));
                self.engine.detach(self.id, Some(held.into_keep()));
            }
            // What is matched already comes in and is dropped.
            _ => self.engine.abandon(self.id),
        }
    }
}

impl<B: Owned> Drop for Request<'_, B> {
    #[inline]
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The buffer lies elsewhere, and the request only names the operation.
impl<B: Owned> Unpin for Request<'_, B> {}

impl<B: Owned> Future for Request<'_, B> {
    type Output = Result<(B, Status)>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let request = self.get_mut();
        if request.held.is_none() {
            return Poll::Ready(Err(used_up()));
        }
        let outcome = std::task::ready!(request.engine.poll_outcome(request.id, context.waker()));
        if outcome.is_err() {
            request.let_go();
        }
        let status = outcome?;
        Poll::Ready(request.finish(&status).map(|buffer| (buffer, status)))
    }
}

impl<B: Owned> std::fmt::Debug for Request<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cold]
pub(super) fn used_up() -> Error {
    Error::new(ErrorClass::REQUEST, "the request has given its buffer back")
}
