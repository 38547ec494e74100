//! [`Persistent`]: an operation that is started again and again.

use super::{
    landing::checked,
    process::Process,
    request::{Bits, post, used_up},
    source::From,
};
use crate::{
    buffer::{self, Held, Owned},
    error::{Error, ErrorClass, Result},
    p2p::{Engine, Mode, RequestId},
    status::Status,
};
use std::task::Poll;

/// An operation that can be started again and again with the same buffer.
///
/// ```
/// use ringmpi::Source;
/// # ringmpi::threads(2, |world| {
/// let peer = world.process_at_rank(1 - world.rank());
/// let (mut sending, mut receiving) = (peer.send_init(vec![0; 3])?, peer.receive_init(vec![0; 3])?);
/// for step in 0..10 {
///     sending.buffer_mut()?.fill(step);
///     receiving.start()?;
///     sending.start()?;
///     // Computation goes here.
///     sending.wait()?;
///     receiving.wait()?;
///     assert_eq!(receiving.buffer_mut()?, [step; 3]);
/// }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.9.
pub struct Persistent<'c, 'u, B: Owned> {
    pub(super) engine: &'c Engine,
    operation: Operation<'c, 'u>,
    held: Option<Held<B>>,
    aside: Vec<Bits<B>>,
    pub(super) active: Option<RequestId>,
}

enum Operation<'c, 'u> {
    Send(Process<'c, 'u>, SendKind),
    Receive(From),
}

#[derive(Clone, Copy)]
pub(super) enum SendKind {
    /// May wait for the receive.
    Waiting(Mode),
    Buffered,
}

impl<'c, 'u, B: Owned> Persistent<'c, 'u, B> {
    pub(super) fn of_send(to: Process<'c, 'u>, kind: SendKind, buffer: B) -> Self {
        let engine = super::Source::engine(&to);
        let held = Some(Held::new(buffer));
        Self { engine, operation: Operation::Send(to, kind), held, aside: vec![], active: None }
    }

    pub(super) fn of_receive(engine: &'c Engine, from: From, buffer: B) -> Result<Self> {
        let held = Held::new(buffer);
        let aside =
            if buffer::any_bits::<B::Item>() { vec![] } else { buffer::aside::<B::Item>(held.len())? };
        Ok(Self { engine, operation: Operation::Receive(from), held: Some(held), aside, active: None })
    }

    fn held(&mut self) -> Result<&mut Held<B>> {
        self.held.as_mut().ok_or_else(used_up)
    }

    /// The buffer, to fill or to read.
    ///
    /// ```
    /// use ringmpi::{ErrorClass, Source};
    /// # ringmpi::threads(1, |world| {
    /// let mut receiving = world.process_at_rank(0).receive_init(vec![0; 2])?;
    /// receiving.start()?;
    /// // It is not to be had while a message may come in.
    /// assert_eq!(receiving.buffer_mut().unwrap_err().class(), ErrorClass::REQUEST);
    /// world.process_at_rank(0).send(&[1, 2])?;
    /// receiving.wait()?;
    /// assert_eq!(receiving.buffer_mut()?, [1, 2]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// While the operation is active.
    pub fn buffer_mut(&mut self) -> Result<&mut [B::Item]> {
        self.engine.check_caller()?;
        match self.active {
            Some(_) => Err(Error::new(
                ErrorClass::REQUEST,
                "buffer_mut: the buffer is in use: the request is active",
            )
            .with_help("wait for it first")),
            None => self.held().map(Held::as_mut_slice),
        }
    }

    /// Starts the operation.
    ///
    /// ```
    /// use ringmpi::{ErrorClass, Source};
    /// # ringmpi::threads(1, |world| {
    /// let mut receiving = world.process_at_rank(0).receive_init(vec![0; 1])?;
    /// receiving.start()?;
    /// assert_eq!(receiving.start().unwrap_err().class(), ErrorClass::REQUEST); // not before its end
    /// world.process_at_rank(0).send(&[5])?;
    /// receiving.wait()?;
    /// receiving.start()?; // for the next message
    /// # receiving.cancel();
    /// # receiving.wait()?;
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
    pub fn start(&mut self) -> Result<()> {
        self.engine.check_caller()?;
        if self.active.is_some() {
            return Err(Error::new(ErrorClass::REQUEST, "start: the request is active already"));
        }
        let held = self.held.as_ref().ok_or_else(used_up)?;
        let id = match &self.operation {
            Operation::Send(to, SendKind::Waiting(mode)) => to.begin_send("start", *mode, held.to_send())?,
            Operation::Send(to, SendKind::Buffered) => to.begin_buffered_send("start", held.to_send())?,
            Operation::Receive(from) => {
                let into = if buffer::any_bits::<B::Item>() {
                    held.to_fill()
                } else {
                    buffer::of_aside::<B::Item>(&mut self.aside)
                };
                post(self.engine, *from, into)?
            }
        };
        self.active = Some(id);
        Ok(())
    }

    /// Whether the operation has ended; true if it is not active. Makes progress; does not wait.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// let mut receiving = myself.receive_init(vec![0; 2])?;
    /// receiving.start()?;
    /// assert!(!receiving.test()?);
    /// myself.send(&[1, 2])?;
    /// while !receiving.test()? {}
    /// assert_eq!(receiving.wait()?.count::<i32>(), Some(2)); // does not wait
    /// assert!(receiving.test()?); // it is not active
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
        self.active.map_or(Ok(true), |id| self.engine.test(id))
    }

    /// Waits for the end of the operation, which is inactive then. If it is inactive already, the status is
    /// empty.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let mut receiving = world.any_process().receive_init(vec![0; 10])?;
    /// receiving.start()?;
    /// world.process_at_rank(1 - world.rank()).send(&vec![7; 3 + world.rank() as usize])?;
    /// let status = receiving.wait()?;
    /// let count = status.count::<i32>().expect("whole elements");
    /// assert_eq!((status.source(), count), (1 - world.rank(), 4 - world.rank() as usize));
    /// assert_eq!(receiving.buffer_mut()?[..count], vec![7; count]);
    /// assert_eq!(receiving.wait()?.bytes(), 0); // it is not active
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
    pub fn wait(&mut self) -> Result<Status> {
        self.engine.check_caller()?;
        let Some(id) = self.active.take() else { return Ok(Status::EMPTY) };
        let status = self.engine.wait(id)?;
        self.finish(&status)?;
        Ok(status)
    }

    /// Brings what has been received to the buffer, if it came aside.
    fn finish(&mut self, status: &Status) -> Result<()> {
        if let Operation::Receive(_) = self.operation
            && !buffer::any_bits::<B::Item>()
        {
            let values = checked::<B::Item>(&self.aside, status)?;
            let held = self.held.as_mut().ok_or_else(used_up)?;
            held.as_mut_slice()[..values.len()].copy_from_slice(values);
        }
        Ok(())
    }

    /// The end of the operation as a future: what [`wait`](Self::wait) returns. Dropping the future leaves the
    /// operation as it is.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut sending = peer.send_init(vec![0; 4])?;
    /// let mut receiving = peer.receive_init(vec![0; 4])?;
    /// world.block_on(async {
    ///     for round in 0..3 {
    ///         sending.buffer_mut()?.fill(round);
    ///         receiving.start()?;
    ///         sending.start()?;
    ///         receiving.completion().await?;
    ///         assert_eq!(receiving.buffer_mut()?, [round; 4]);
    ///         sending.completion().await?;
    ///     }
    ///     ringmpi::Result::Ok(())
    /// })?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn completion(&mut self) -> impl Future<Output = Result<Status>> + Unpin {
        std::future::poll_fn(|context| {
            self.engine.check_caller()?;
            let Some(id) = self.active else { return Poll::Ready(Ok(Status::EMPTY)) };
            let outcome = std::task::ready!(self.engine.poll_outcome(id, context.waker()));
            self.active = None;
            Poll::Ready(outcome.and_then(|status| self.finish(&status).map(|()| status)))
        })
    }

    /// Cancels a receive that has no message yet; its end is still to be waited for, by [`wait`](Self::wait),
    /// which returns at once, with a cancelled status. False, and nothing happens, if it has its message, has
    /// ended, is not active, or is a send.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let mut receiving = world.process_at_rank(0).receive_init(vec![0; 2])?;
    /// receiving.start()?;
    /// assert!(receiving.cancel());
    /// assert!(receiving.wait()?.is_cancelled());
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.8.4: `MPI_Cancel`.
    pub fn cancel(&mut self) -> bool {
        self.active.is_some_and(|id| self.engine.cancel(id))
    }
}

impl<B: Owned> Drop for Persistent<'_, '_, B> {
    fn drop(&mut self) {
        let Some(id) = self.active.take() else { return };
        match self.operation {
            Operation::Send(..) => self.engine.detach(id, self.held.take().map(Held::into_keep)),
            Operation::Receive(_) => self.engine.abandon(id),
        }
    }
}
