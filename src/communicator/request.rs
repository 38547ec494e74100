//! [`Request`] and [`Persistent`]: operations that go on while the caller does something else.

use super::process::{Process, checked};
use crate::{
    buffer::{self, Held, Owned, Plain},
    error::{Error, ErrorClass, Result},
    p2p::{Engine, Mode, RequestId, Until},
    status::Status,
};
use bytemuck::CheckedBitPattern;

type Bits<B> = <<B as Owned>::Item as CheckedBitPattern>::Bits;

/// A send or receive in flight. It holds the buffer until [`wait`](Self::wait) gives it back.
///
/// Dropping it never waits: a send goes on by itself; a receive is cancelled, and if it has its message
/// already, that is lost.
///
/// # Standard
/// MPI 5.0, 3.7.
#[must_use = "dropping a receive cancels it"]
pub struct Request<'c, B: Owned> {
    engine: &'c Engine,
    id: RequestId,
    outcome: Option<Result<Status>>,
    held: Option<Held<B>>,
    kind: Kind<B>,
}

enum Kind<B: Owned> {
    Send,
    Receive,
    /// The message is checked before it becomes values of the buffer.
    ReceiveAside(Vec<Bits<B>>),
    /// Into the spare room of a vector, which then holds what arrived.
    ReceiveRoom(fn(Held<B>, &Kind<B>, &Status) -> Result<B>, Vec<Bits<B>>),
}

impl<'c, B: Owned> Request<'c, B> {
    pub(super) fn of_send(engine: &'c Engine, id: RequestId, held: Held<B>) -> Self {
        // A send that was complete at once is not asked for again.
        let outcome = (id == RequestId::COMPLETE).then_some(Ok(Status::EMPTY));
        Self { engine, id, outcome, held: Some(held), kind: Kind::Send }
    }

    pub(super) fn begin_receive(engine: &'c Engine, from: super::process::From, buffer: B) -> Result<Self> {
        let held = Held::new(buffer);
        let (into, kind) = if buffer::any_bits::<B::Item>() {
            (held.receive_buffer(), Kind::Receive)
        } else {
            let mut bits = buffer::aside::<B::Item>(held.len());
            (buffer::of_aside::<B::Item>(&mut bits), Kind::ReceiveAside(bits))
        };
        let (id, outcome) = post(engine, from, into)?;
        Ok(Self { engine, id, outcome, held: Some(held), kind })
    }

    /// Whether the operation has ended. Makes progress; does not wait.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Test`.
    pub fn test(&mut self) -> Result<bool> {
        Ok(self.outcome.is_some() || self.engine.test(self.id)?)
    }

    /// Waits for the end, and gives the buffer back.
    ///
    /// # Errors
    /// Of a receive: what was wrong with the message. The end of the job. The buffer is lost.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    pub fn wait(self) -> Result<B> {
        self.wait_status().map(|(buffer, _)| buffer)
    }

    /// As [`wait`](Self::wait), with the status.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_status(mut self) -> Result<(B, Status)> {
        let outcome = match self.outcome.take() {
            Some(outcome) => outcome,
            None => self.engine.wait(self.id),
        };
        self.finish(outcome?)
    }

    /// Cancels a receive that has no message yet, and gives the buffer back. `None` if it has one, or if
    /// this is a send: it is too late then, and the request has been dropped, with the message. To keep
    /// a message, ask [`test`](Self::test) first.
    ///
    /// # Errors
    /// The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.4: `MPI_Cancel`.
    pub fn cancel(mut self) -> Result<Option<B>> {
        self.engine.cancel(self.id);
        if self.outcome.is_none() && !self.engine.test(self.id)? {
            return Ok(None);
        }
        let outcome = match self.outcome.take() {
            Some(outcome) => outcome,
            None => self.engine.take_outcome(self.id),
        };
        self.outcome = Some(Ok(Status::EMPTY));
        let is_cancelled = outcome?.is_cancelled();
        Ok(self.held.take().filter(|_| is_cancelled).map(Held::into_inner))
    }

    fn finish(mut self, status: Status) -> Result<(B, Status)> {
        self.outcome = Some(Ok(Status::EMPTY));
        let mut held = self.held.take().ok_or_else(used_up)?;
        if status.is_cancelled() {
            return Ok((held.into_inner(), status));
        }
        match &self.kind {
            Kind::Send | Kind::Receive => {}
            Kind::ReceiveAside(bits) => {
                let values = checked::<B::Item>(bits, &status)?;
                held.as_mut_slice()[..values.len()].copy_from_slice(values);
            }
            Kind::ReceiveRoom(rebuild, _) => return Ok((rebuild(held, &self.kind, &status)?, status)),
        }
        Ok((held.into_inner(), status))
    }
}

impl<'c, T: Plain> Request<'c, Vec<T>> {
    pub(super) fn begin_receive_vec(
        engine: &'c Engine,
        from: super::process::From,
        len: usize,
    ) -> Result<Self> {
        let held = Held::<Vec<T>>::with_room(len);
        let mut aside = vec![];
        let into = if buffer::any_bits::<T>() {
            held.room(len)
        } else {
            aside = buffer::aside::<T>(len);
            buffer::of_aside::<T>(&mut aside)
        };
        let (id, outcome) = post(engine, from, into)?;
        Ok(Self { engine, id, outcome, held: Some(held), kind: Kind::ReceiveRoom(rebuild_vec::<T>, aside) })
    }
}

fn rebuild_vec<T: Plain>(held: Held<Vec<T>>, kind: &Kind<Vec<T>>, status: &Status) -> Result<Vec<T>> {
    match kind {
        Kind::ReceiveRoom(_, bits) if !buffer::any_bits::<T>() => {
            checked::<T>(bits, status).map(<[T]>::to_vec)
        }
        _ => Ok(held.into_received(status.count::<T>().unwrap_or(0))),
    }
}

/// Posts a receive; from the null process it has ended already.
fn post(
    engine: &Engine,
    from: super::process::From,
    into: crate::buffer::ReceiveBuffer,
) -> Result<(RequestId, Option<Result<Status>>)> {
    match from {
        Some((pattern, peer)) => Ok((engine.ireceive(pattern, peer, into)?, None)),
        None => Ok((RequestId::COMPLETE, Some(Ok(Status::NULL_PROCESS)))),
    }
}

impl<B: Owned> Drop for Request<'_, B> {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        match self.kind {
            Kind::Send => self.engine.detach(self.id, self.held.take().map(Held::into_keep)),
            // What is matched already comes in and is dropped.
            _ => self.engine.abandon(self.id),
        }
    }
}

impl<B: Owned> std::fmt::Debug for Request<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// Waits for all requests; their buffers come back in the same order.
///
/// # Errors
/// Of the first request that fails; those behind it are dropped.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitall`.
pub fn wait_all<'c, B: Owned + 'c>(requests: impl IntoIterator<Item = Request<'c, B>>) -> Result<Vec<B>> {
    requests.into_iter().map(Request::wait).collect()
}

/// Waits until one of the requests has ended, and takes it out: its place, buffer and status. None
/// if there are no requests.
///
/// # Errors
/// What the request that ended reports; the end of the job.
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitany`.
pub fn wait_any<B: Owned>(requests: &mut Vec<Request<'_, B>>) -> Result<Option<(usize, B, Status)>> {
    let Some(index) = wait_for_first(requests)? else { return Ok(None) };
    let (buffer, status) = requests.remove(index).wait_status()?;
    Ok(Some((index, buffer, status)))
}

/// Waits until at least one of the requests has ended, and takes out all that have: their places
/// before the call, buffers and statuses.
///
/// # Errors
/// As [`wait_any`].
///
/// # Standard
/// MPI 5.0, 3.7.5: `MPI_Waitsome`.
pub fn wait_some<B: Owned>(requests: &mut Vec<Request<'_, B>>) -> Result<Vec<(usize, B, Status)>> {
    let Some(first) = wait_for_first(requests)? else { return Ok(vec![]) };
    let mut ended = Vec::new();
    let mut place = first;
    let mut index = first;
    while index < requests.len() {
        if requests[index].test()? {
            let (buffer, status) = requests.remove(index).wait_status()?;
            ended.push((place, buffer, status));
        } else {
            index += 1;
        }
        place += 1;
    }
    Ok(ended)
}

/// The place of a request that has ended.
fn wait_for_first<B: Owned>(requests: &mut [Request<'_, B>]) -> Result<Option<usize>> {
    let Some(engine) = requests.first().map(|request| request.engine) else { return Ok(None) };
    if requests.iter().all(|request| request.outcome.is_none()) {
        let ids: Vec<RequestId> = requests.iter().map(|request| request.id).collect();
        engine.wait_until(Until::Any(&ids))?;
    }
    for (index, request) in requests.iter_mut().enumerate() {
        if request.test()? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// An operation that can be started again and again with the same buffer.
///
/// # Standard
/// MPI 5.0, 3.9.
pub struct Persistent<'c, 'u, B: Owned> {
    engine: &'c Engine,
    operation: Operation<'c, 'u>,
    held: Option<Held<B>>,
    aside: Vec<Bits<B>>,
    active: Option<RequestId>,
}

enum Operation<'c, 'u> {
    Send(Process<'c, 'u>),
    Receive(super::process::From),
}

impl<'c, 'u, B: Owned> Persistent<'c, 'u, B> {
    pub(super) fn of_send(to: Process<'c, 'u>, buffer: B) -> Self {
        let engine = super::Source::engine(&to);
        let held = Some(Held::new(buffer));
        Self { engine, operation: Operation::Send(to), held, aside: vec![], active: None }
    }

    pub(super) fn of_receive(engine: &'c Engine, from: super::process::From, buffer: B) -> Self {
        let held = Held::new(buffer);
        let aside = if buffer::any_bits::<B::Item>() { vec![] } else { buffer::aside::<B::Item>(held.len()) };
        Self { engine, operation: Operation::Receive(from), held: Some(held), aside, active: None }
    }

    fn held(&mut self) -> Result<&mut Held<B>> {
        self.held.as_mut().ok_or_else(used_up)
    }

    /// The buffer, to fill or to read.
    ///
    /// # Errors
    /// While the operation is active.
    pub fn buffer_mut(&mut self) -> Result<&mut [B::Item]> {
        match self.active {
            Some(_) => Err(Error::new(ErrorClass::REQUEST, "the buffer is in use: the request is active")
                .with_help("wait for it first")),
            None => self.held().map(Held::as_mut_slice),
        }
    }

    /// Starts the operation.
    ///
    /// # Errors
    /// If it is active already; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Start`.
    pub fn start(&mut self) -> Result<()> {
        if self.active.is_some() {
            return Err(Error::new(ErrorClass::REQUEST, "the request is active already"));
        }
        let held = self.held.as_ref().ok_or_else(used_up)?;
        let id = match &self.operation {
            Operation::Send(to) => to.begin_send(Mode::Standard, held.send_buffer())?,
            Operation::Receive(None) => RequestId::COMPLETE,
            Operation::Receive(Some((pattern, peer))) => {
                let into = if buffer::any_bits::<B::Item>() {
                    held.receive_buffer()
                } else {
                    buffer::of_aside::<B::Item>(&mut self.aside)
                };
                self.engine.ireceive(*pattern, *peer, into)?
            }
        };
        self.active = Some(id);
        Ok(())
    }

    /// Whether the operation has ended; true if it is not active. Makes progress; does not wait.
    ///
    /// # Errors
    /// The end of the job.
    pub fn test(&mut self) -> Result<bool> {
        self.active.map_or(Ok(true), |id| self.engine.test(id))
    }

    /// Waits for the end of the operation, if it is active.
    ///
    /// # Errors
    /// Of a receive: what was wrong with the message. The end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    pub fn wait(&mut self) -> Result<Status> {
        let Some(id) = self.active.take() else { return Ok(Status::EMPTY) };
        let status = self.engine.wait(id)?;
        match self.operation {
            Operation::Receive(None) => return Ok(Status::NULL_PROCESS),
            Operation::Receive(_) if !buffer::any_bits::<B::Item>() => {
                let values = checked::<B::Item>(&self.aside, &status)?;
                let held = self.held.as_mut().ok_or_else(used_up)?;
                held.as_mut_slice()[..values.len()].copy_from_slice(values);
            }
            _ => {}
        }
        Ok(status)
    }
}

impl<B: Owned> Drop for Persistent<'_, '_, B> {
    fn drop(&mut self) {
        let Some(id) = self.active.take() else { return };
        match self.operation {
            Operation::Send(_) => self.engine.detach(id, self.held.take().map(Held::into_keep)),
            Operation::Receive(_) => self.engine.abandon(id),
        }
    }
}

#[cold]
fn used_up() -> Error {
    Error::new(ErrorClass::REQUEST, "the request has given its buffer back")
}
