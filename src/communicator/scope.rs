//! [`Communicator::scope`]: nonblocking operations on borrowed buffers.

use super::{
    Communicator, Message, Process, Source,
    request::{post, used_up},
};
use crate::{
    buffer::{self, Plain},
    error::{Error, ErrorClass, Result},
    p2p::{Engine, Mode, RequestId, ScopeId},
    status::Status,
};
use bytemuck::AnyBitPattern;
use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

/// Where nonblocking operations may borrow buffers; see [`Communicator::scope`].
///
/// ```
/// # ringmpi::threads(1, |world| {
/// let (numbers, myself) = ([1, 2], world.process_at_rank(0));
/// let mut room = [0; 2];
/// world.scope(|scope| {
///     let _ = scope.immediate_receive_into(myself, &mut room)?;
///     let _ = scope.immediate_send(myself, &numbers)?;
///     Ok(())
/// })?; // both have ended
/// assert_eq!(room, numbers);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.7.2: the rule that nobody touches a buffer before its operation has completed.
pub struct Scope<'s, 'env: 's> {
    engine: &'env Engine,
    id: ScopeId,
    scope: PhantomData<&'s mut &'s ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// A send or receive in flight on a borrowed buffer. If it is dropped or forgotten, the scope completes
/// it.
///
/// It can be awaited, as a [`Request`](crate::Request), in [`Communicator::block_on`] inside the scope:
///
/// ```
/// use ringmpi::Source;
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let (mine, mut theirs) = ([world.rank()], [-1]);
/// world.scope(|s| {
///     let (sending, receiving) = (s.immediate_send(peer, &mine)?, s.immediate_receive_into(peer, &mut theirs)?);
///     world.block_on(async {
///         sending.await?;
///         let (received, _) = receiving.await?;
///         assert_eq!(*received, [peer.rank()]);
///         Ok(())
///     })
/// })?;
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.7.
#[must_use = "`wait` gives the buffer back inside the scope"]
pub struct Scoped<'s, B> {
    pub(super) engine: &'s Engine,
    pub(super) id: RequestId,
    buffer: B,
}

impl<'u> Communicator<'u> {
    /// Runs `f`, in which nonblocking operations may borrow buffers that outlive the call.
    ///
    /// When `f` returns `Ok`, the scope completes what has not been waited for. When it returns `Err` or
    /// panics, nothing is waited for: receives are withdrawn, and sends go on with copies.
    ///
    /// ```
    /// # use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let (mine, mut theirs) = ([f64::from(world.rank())], [0.0]);
    /// world.scope(|s| {
    ///     let receiving = s.immediate_receive_into(peer, &mut theirs)?;
    ///     let _ = s.immediate_send(peer, &mine)?;
    ///     receiving.wait()?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(theirs, [1.0 - mine[0]]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// The buffer of an operation in flight can't be used:
    ///
    /// ```compile_fail,E0506
    /// # use ringmpi::Source;
    /// fn f(world: ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
    ///     let mut ghost = [0.0f64; 8];
    ///     world.scope(|s| {
    ///         let receiving = s.immediate_receive_into(world.process_at_rank(1), &mut ghost)?;
    ///         ghost[0] = 1.0;
    ///         receiving.wait()?;
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// not even when the request is forgotten:
    ///
    /// ```compile_fail,E0506
    /// # use ringmpi::Source;
    /// fn f(world: ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
    ///     let mut ghost = [0.0f64; 8];
    ///     world.scope(|s| {
    ///         let receiving = s.immediate_receive_into(world.process_at_rank(1), &mut ghost)?;
    ///         std::mem::forget(receiving);
    ///         ghost[0] = 1.0;
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// A request does not leave the scope:
    ///
    /// ```compile_fail,E0521
    /// fn f(world: ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
    ///     let numbers = [1.0; 8];
    ///     let mut escaped = None;
    ///     world.scope(|s| {
    ///         escaped = Some(s.immediate_send(world.process_at_rank(1), &numbers)?);
    ///         Ok(())
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// What `f` returns, or what the completed operations report.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.
    pub fn scope<'env, R>(&'env self, f: impl for<'s> FnOnce(&'s Scope<'s, 'env>) -> Result<R>) -> Result<R> {
        let (engine, id) = (self.engine(), self.engine().open_scope()?);
        let scope = Scope { engine, id, scope: PhantomData, env: PhantomData };
        let guard = AbandonOnUnwind { engine, id };
        let value = f(&scope)?;
        let mut result = Ok(());
        for open in engine.in_scope(id)? {
            let outcome = engine.wait(open);
            result = result.and(outcome.map(drop));
        }
        drop(guard);
        result.map(|()| value)
    }
}

/// Leaves no operation behind that uses a borrowed buffer.
struct AbandonOnUnwind<'a> {
    engine: &'a Engine,
    id: ScopeId,
}

impl Drop for AbandonOnUnwind<'_> {
    fn drop(&mut self) {
        self.engine.in_scope(self.id).into_iter().flatten().for_each(|open| self.engine.abandon(open));
    }
}

impl<'s, 'env> Scope<'s, 'env> {
    /// Begins to send a borrowed slice.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let table = vec![[1.0, 2.0]; 1000];
    /// world.scope(|scope| {
    ///     let sending = scope.immediate_send(peer, &table[500..])?;
    ///     let sum: f64 = table.iter().map(|[_, y]| y).sum(); // reading is fine meanwhile
    ///     assert_eq!(sum, 2000.0);
    ///     assert_eq!(peer.receive_vec::<[f64; 2]>()?.0, table[500..]);
    ///     sending.wait().map(drop)
    /// })?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Process::send`]; a process of another universe than the scope's.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Isend`.
    pub fn immediate_send<T: Plain>(
        &'s self,
        to: Process<'env, '_>,
        data: &'env [T],
    ) -> Result<Scoped<'s, &'env [T]>> {
        self.begin_send("immediate_send", to, Mode::Standard, data)
    }

    /// As [`immediate_send`](Self::immediate_send); the request ends when the receive has been matched.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let number = [5];
    /// world.scope(|scope| {
    ///     let _ = scope.immediate_synchronous_send(peer, &number)?;
    ///     peer.receive::<i32>().map(drop)
    /// })?; // the other one has received
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_send`](Self::immediate_send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Issend`.
    pub fn immediate_synchronous_send<T: Plain>(
        &'s self,
        to: Process<'env, '_>,
        data: &'env [T],
    ) -> Result<Scoped<'s, &'env [T]>> {
        self.begin_send("immediate_synchronous_send", to, Mode::Synchronous, data)
    }

    /// As [`immediate_send`](Self::immediate_send), of a copy, which the engine keeps: the request has ended
    /// already, and the scope waits for nothing.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// let mut number = [5];
    /// world.scope(|scope| scope.immediate_buffered_send(myself, &number).map(drop))?;
    /// number[0] = 6; // what was sent is a copy
    /// assert_eq!(myself.receive::<i32>()?.0, 5);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Process::buffered_send`]; a process of another universe than the scope's.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Ibsend`, with automatic buffering.
    pub fn immediate_buffered_send<T: Plain>(
        &'s self,
        to: Process<'env, '_>,
        data: &'env [T],
    ) -> Result<Scoped<'s, &'env [T]>> {
        const NAME: &str = "immediate_buffered_send";
        self.check_engine(NAME, "to", to.engine())?;
        let id = to.begin_buffered_send(NAME, buffer::of_slice(data))?;
        Ok(Scoped { engine: self.engine, id, buffer: data })
    }

    /// As [`immediate_send`](Self::immediate_send), to a receive that has been posted already, as the caller
    /// knows.
    ///
    /// ```
    /// # ringmpi::threads(1, |world| {
    /// let (number, mut room) = ([5], [0]);
    /// let myself = world.process_at_rank(0);
    /// world.scope(|scope| {
    ///     let _ = scope.immediate_receive_into(myself, &mut room)?;
    ///     let _ = scope.immediate_ready_send(myself, &number)?; // its receive is there
    ///     Ok(())
    /// })?;
    /// assert_eq!(room, [5]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_send`](Self::immediate_send).
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irsend`.
    pub fn immediate_ready_send<T: Plain>(
        &'s self,
        to: Process<'env, '_>,
        data: &'env [T],
    ) -> Result<Scoped<'s, &'env [T]>> {
        self.begin_send("immediate_ready_send", to, Mode::Standard, data)
    }

    #[inline]
    fn begin_send<T: Plain>(
        &'s self,
        function: &str,
        to: Process<'env, '_>,
        mode: Mode,
        data: &'env [T],
    ) -> Result<Scoped<'s, &'env [T]>> {
        self.check_engine(function, "to", to.engine())?;
        let id = to.begin_send(function, mode, buffer::of_slice(data))?;
        Ok(self.opened(id, data))
    }

    /// Begins to receive into a borrowed slice, which may be longer than the message. Only for types of
    /// which every bit pattern is a value: others are checked before they become values, which
    /// [`Source::immediate_receive_into`] does.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// // Two parts of one slice, each for a message of its own.
    /// let mut numbers = [0; 6];
    /// let (left, right) = numbers.split_at_mut(3);
    /// world.scope(|scope| {
    ///     let _ = scope.immediate_receive_into(peer.tag(1), left)?;
    ///     let _ = scope.immediate_receive_into(peer.tag(2), right)?;
    ///     peer.tag(2).send(&[2; 3])?;
    ///     peer.tag(1).send(&[1; 3])
    /// })?;
    /// assert_eq!(numbers, [1, 1, 1, 2, 2, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that the communicator does not have; a process of another universe than the scope's. What is
    /// wrong with the message is reported by `wait`, or by the scope.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.2: `MPI_Irecv`.
    pub fn immediate_receive_into<T: Plain + AnyBitPattern>(
        &'s self,
        from: impl Source<'env>,
        into: &'env mut [T],
    ) -> Result<Scoped<'s, &'env mut [T]>> {
        self.check_engine("immediate_receive_into", "from", from.engine())?;
        let id = post(self.engine, from.from("immediate_receive_into")?, buffer::of_slice_mut(into))?;
        Ok(self.opened(id, into))
    }

    /// Begins to receive a message that a matched probe has taken into a borrowed slice, which may be longer.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// myself.send(&[1, 2])?;
    /// let mut room = [0; 3];
    /// let message = myself.matched_probe()?;
    /// world.scope(|scope| {
    ///     let (received, status) = scope.immediate_matched_receive_into(message, &mut room)?.wait()?;
    ///     assert_eq!((&*received, status.bytes()), (&[1, 2, 0][..], 8));
    ///     Ok(())
    /// })?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Bytes that are no whole number of elements; a message that is longer than the slice: it is lost; a
    /// message of another universe than the scope's.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.3: `MPI_Imrecv`.
    pub fn immediate_matched_receive_into<T: Plain + AnyBitPattern>(
        &'s self,
        message: Message<'env>,
        into: &'env mut [T],
    ) -> Result<Scoped<'s, &'env mut [T]>> {
        self.check_engine("immediate_matched_receive_into", "message", message.engine())?;
        message.check_fits::<T>(size_of_val(into) as u64)?;
        let id = message.begin(buffer::of_slice_mut(into))?;
        Ok(self.opened(id, into))
    }

    /// The scope ends operations of its own engine only.
    #[inline]
    fn check_engine(&self, function: &str, argument: &str, engine: &Engine) -> Result<()> {
        if std::ptr::eq(engine, self.engine) { Ok(()) } else { Err(other_universe(function, argument)) }
    }

    #[inline]
    fn opened<B>(&'s self, id: RequestId, buffer: B) -> Scoped<'s, B> {
        self.engine.put_into_scope(id, self.id);
        Scoped { engine: self.engine, id, buffer }
    }
}

#[cold]
fn other_universe(function: &str, argument: &str) -> Error {
    Error::new(ErrorClass::COMM, format!("{function}: {argument} is of another universe than the scope"))
        .with_help("open a scope of that universe's communicator")
}

impl<B> Scoped<'_, B> {
    /// Whether the operation has ended. Makes progress; does not wait.
    ///
    /// ```
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// let (number, mut room) = ([7], [0]);
    /// world.scope(|scope| {
    ///     let mut receiving = scope.immediate_receive_into(myself, &mut room)?;
    ///     let _ = scope.immediate_send(myself, &number)?;
    ///     while !receiving.test()? {
    ///         // A piece of the computation goes here.
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(room, number);
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
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// let (text, mut room) = (*b"text", [0; 10]);
    /// world.scope(|scope| {
    ///     let receiving = scope.immediate_receive_into(myself, &mut room)?;
    ///     let _ = scope.immediate_send(myself, &text)?;
    ///     let (room, status) = receiving.wait()?;
    ///     room[..status.bytes() as usize].make_ascii_uppercase(); // to be used again, inside the scope
    ///     Ok(())
    /// })?;
    /// assert!(room.starts_with(b"TEXT"));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Of a receive: what was wrong with the message. The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    pub fn wait(self) -> Result<(B, Status)> {
        let status = self.engine.wait(self.id)?;
        Ok((self.buffer, status))
    }

    /// Cancels a receive that has no message yet, and gives the buffer back. Does not wait.
    ///
    /// ```
    /// # ringmpi::threads(1, |world| {
    /// let mut room = [0; 3];
    /// world.scope(|scope| {
    ///     let receiving = scope.immediate_receive_into(world.process_at_rank(0), &mut room)?;
    ///     if let Ok(room) = receiving.cancel() {
    ///         room[0] = 1; // nobody has sent anything: it may be used again
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(room, [1, 0, 0]);
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
    pub fn cancel(self) -> std::result::Result<B, Self> {
        let is_cancelled = self.engine.cancel(self.id) && self.engine.take_outcome(self.id).is_ok();
        if is_cancelled { Ok(self.buffer) } else { Err(self) }
    }
}

impl<'s, B> IntoFuture for Scoped<'s, B> {
    type Output = Result<(B, Status)>;
    type IntoFuture = ScopedFuture<'s, B>;

    fn into_future(self) -> ScopedFuture<'s, B> {
        ScopedFuture { engine: self.engine, id: self.id, buffer: Some(self.buffer) }
    }
}

/// A [`Scoped`] that is awaited. Its value is what [`Scoped::wait`] returns. If it is dropped or forgotten, the
/// scope completes the operation.
///
/// ```
/// use ringmpi::ScopedFuture;
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let (mine, mut theirs) = ([world.rank()], [-1]);
/// world.scope(|scope| {
///     let mut receiving: ScopedFuture<'_, _> = scope.immediate_receive_into(peer, &mut theirs)?.into_future();
///     let _ = scope.immediate_send(peer, &mine)?;
///     let (received, _) = world.block_on(&mut receiving)?; // or in a select, which lets go of it and comes back
///     assert_eq!(*received, [peer.rank()]);
///     Ok(())
/// })?;
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
pub struct ScopedFuture<'s, B> {
    engine: &'s Engine,
    id: RequestId,
    /// None once it has been given back.
    buffer: Option<B>,
}

/// The buffer lies elsewhere.
impl<B> Unpin for ScopedFuture<'_, B> {}

impl<B> Future for ScopedFuture<'_, B> {
    type Output = Result<(B, Status)>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let scoped = self.get_mut();
        if scoped.buffer.is_none() {
            return Poll::Ready(Err(used_up()));
        }
        let outcome = std::task::ready!(scoped.engine.poll_outcome(scoped.id, context.waker()));
        // After an error nobody has the buffer until the scope has ended.
        let buffer = scoped.buffer.take().ok_or_else(used_up)?;
        Poll::Ready(outcome.map(|status| (buffer, status)))
    }
}
