//! [`PersistentCollective`]: a collective that is started again and again.

use super::{landing::no_value, request::used_up};
use crate::{
    buffer::{self, Held, Keep, Owned, ReceiveBytes, SendBytes},
    error::{Error, ErrorClass, Result},
    p2p::{Engine, RequestId, schedule::Schedule},
    status::Status,
};
use std::{sync::Arc, task::Poll};

/// A collective that can be started again and again with the same buffers: `I` holds what this rank gives, `O` what
/// it gets, and `()` stands for none. If the collective works in place there is an output only, which holds both.
///
/// Made by the `…_init` methods of a [`Communicator`](crate::Communicator), which all ranks call in the same order;
/// and in the same order they start what they have made.
///
/// Dropping it never waits: a collective that has been started goes on by itself.
///
/// ```
/// use ringmpi::op;
/// # ringmpi::threads(3, |world| {
/// let mut sum = world.all_reduce_init(vec![0; 2], vec![0; 2], op::Sum)?;
/// for step in 0..10 {
///     sum.input_mut()?.copy_from_slice(&[step, world.rank()]);
///     sum.start()?;
///     // Computation goes here; neither buffer is to be had until the end.
///     assert!(sum.input_mut().is_err() && sum.output_mut().is_err());
///     sum.wait()?;
///     assert_eq!(sum.output_mut()?, [3 * step, 3]);
/// }
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// A borrow of a buffer ends before the start:
///
/// ```compile_fail,E0499
/// # fn f(world: &ringmpi::Communicator<'_>) -> ringmpi::Result<()> {
/// let mut broadcast = world.broadcast_init(vec![0; 4], 0)?;
/// let numbers = broadcast.output_mut()?;
/// broadcast.start()?;
/// numbers[0] = 1;
/// # Ok(())
/// # }
/// ```
///
/// # Standard
/// MPI 5.0, 6.13.
pub struct PersistentCollective<'c, I: Owned, O: Owned> {
    pub(super) engine: &'c Engine,
    schedule: Arc<Schedule>,
    /// None once they have been given back.
    held: Option<(Held<I>, Held<O>)>,
    /// Where the result comes that has to be checked.
    aside: Option<Aside>,
    pub(super) active: Option<RequestId>,
}

/// Memory that is only ever reached through the pointer that the schedule has.
struct Aside {
    memory: ReceiveBytes,
    keep: Keep,
}

impl<'c, I: Owned, O: Owned> PersistentCollective<'c, I, O> {
    /// `prepare` makes the schedule for the memory of both.
    pub(crate) fn new(
        engine: &'c Engine,
        input: Held<I>,
        mut output: Held<O>,
        prepare: impl FnOnce(SendBytes, ReceiveBytes) -> Result<Arc<Schedule>>,
    ) -> Result<Self> {
        let aside = if buffer::any_bits::<O::Item>() {
            None
        } else {
            let mut bits = buffer::aside_of(output.as_mut_slice())?;
            Some(Aside { memory: buffer::of_aside::<O::Item>(&mut bits), keep: bits.into() })
        };
        let into = aside.as_ref().map_or(output.to_fill(), |aside| aside.memory);
        let schedule = prepare(input.to_send(), into)?;
        Ok(Self { engine, schedule, held: Some((input, output)), aside, active: None })
    }

    fn held(&mut self) -> Result<&mut (Held<I>, Held<O>)> {
        self.held.as_mut().ok_or_else(used_up)
    }

    fn check_inactive(&self, function: &str) -> Result<()> {
        self.engine.check_caller()?;
        match self.active {
            Some(_) => Err(still_active(function)),
            None => Ok(()),
        }
    }

    /// What this rank gives, to fill.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let mut gathering = world.all_gather_init(vec![0; 1], vec![0; 2])?;
    /// gathering.input_mut()?[0] = 10 + world.rank();
    /// gathering.start()?;
    /// assert!(gathering.input_mut().is_err()); // the other rank may be reading it
    /// gathering.wait()?;
    /// gathering.input_mut()?[0] += 1; // what was given is still there
    /// assert_eq!(gathering.output_mut()?, [10, 11]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// While the collective is active.
    pub fn input_mut(&mut self) -> Result<&mut [I::Item]> {
        self.check_inactive("input_mut")?;
        Ok(self.held()?.0.as_mut_slice())
    }

    /// What this rank got, or, in place, what it gives.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let mut broadcast = world.broadcast_init(vec![0.0; 2], 0)?;
    /// for step in [0.5, 1.5] {
    ///     if world.rank() == 0 {
    ///         broadcast.output_mut()?.fill(step); // in place: the root gives here what all get here
    ///     }
    ///     broadcast.start()?;
    ///     broadcast.wait()?;
    ///     assert_eq!(broadcast.output_mut()?, [step; 2]);
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// While the collective is active.
    pub fn output_mut(&mut self) -> Result<&mut [O::Item]> {
        self.check_inactive("output_mut")?;
        Ok(self.held()?.1.as_mut_slice())
    }

    /// Starts the collective.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut largest = world.all_reduce_init(vec![world.rank()], vec![0], op::Max)?;
    /// let mut smallest = world.all_reduce_init(vec![world.rank()], vec![0], op::Min)?;
    /// // Both at the same time, and on all ranks in the same order.
    /// largest.start()?;
    /// smallest.start()?;
    /// smallest.wait()?;
    /// largest.wait()?;
    /// assert_eq!((smallest.output_mut()?[0], largest.output_mut()?[0]), (0, 2));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is active already, or has failed once: then its buffers are gone; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.9: `MPI_Start`.
    pub fn start(&mut self) -> Result<()> {
        self.check_inactive("start")?;
        self.held()?;
        if let (Some(aside), Some((_, output))) = (&self.aside, &self.held) {
            aside.memory.copy_from(output.to_send());
        }
        self.active = Some(self.engine.begin(Arc::clone(&self.schedule), vec![])?);
        Ok(())
    }

    /// Whether the collective has ended for this rank; true if it is not active. Makes progress; does not wait.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let mut barrier = world.barrier_init()?;
    /// barrier.start()?;
    /// while !barrier.test()? {
    ///     // Other work, in small pieces.
    /// }
    /// barrier.wait()?; // takes no time, and makes it inactive
    /// barrier.start()?;
    /// barrier.wait()?;
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

    /// Waits for the end of this rank's part, which is inactive then, as it may be already.
    ///
    /// ```
    /// # ringmpi::threads(2, |world| {
    /// let mut ready = world.barrier_init()?;
    /// for _ in 0..3 {
    ///     ready.start()?;
    ///     // What needs no other rank goes here.
    ///     ready.wait()?; // both have come
    /// }
    /// ready.wait()?; // returns at once: it is not active
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Other ranks that have made another collective, or this one with another root, operation of [`op`](crate::op) or
    /// length; bytes that are no values of the type; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.7.3: `MPI_Wait`.
    pub fn wait(&mut self) -> Result<()> {
        self.engine.check_caller()?;
        let Some(id) = self.active else { return Ok(()) };
        let outcome = self.engine.wait(id);
        self.finish(outcome)
    }

    /// After its end, which makes it inactive. Brings the result to the output, if it came aside.
    fn finish(&mut self, outcome: Result<Status>) -> Result<()> {
        if outcome.is_err() {
            // It may still use the buffers.
            self.let_go();
        }
        self.active = None;
        outcome?;
        if let (Some(aside), Some((_, output))) = (&self.aside, &mut self.held) {
            buffer::fill_from_aside(output.as_mut_slice(), aside.memory).map_err(no_value::<O::Item>)?;
        }
        Ok(())
    }

    /// The end of this rank's part as a future: what [`wait`](Self::wait) returns. Dropping the future leaves the
    /// collective as it is.
    ///
    /// ```
    /// use ringmpi::op;
    /// # ringmpi::threads(3, |world| {
    /// let mut sum = world.all_reduce_init(vec![0], vec![0], op::Sum)?;
    /// let mut barrier = world.barrier_init()?;
    /// world.block_on(async {
    ///     for round in 0..3 {
    ///         sum.input_mut()?.fill(round);
    ///         sum.start()?;
    ///         barrier.start()?;
    ///         barrier.completion().await?;
    ///         sum.completion().await?;
    ///         assert_eq!(sum.output_mut()?, [3 * round]);
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
    pub fn completion(&mut self) -> impl Future<Output = Result<()>> + Unpin {
        std::future::poll_fn(|context| {
            self.engine.check_caller()?;
            let Some(id) = self.active else { return Poll::Ready(Ok(())) };
            let outcome = std::task::ready!(self.engine.poll_outcome(id, context.waker()));
            Poll::Ready(self.finish(outcome))
        })
    }

    /// Leaves the buffers to the engine, until a collective that is under way has ended.
    fn let_go(&mut self) {
        let (Some(id), Some((input, output))) = (self.active.take(), self.held.take()) else { return };
        self.engine.keep(id, input.into_keep());
        self.aside.take().into_iter().for_each(|aside| self.engine.keep(id, aside.keep));
        self.engine.detach(id, Some(output.into_keep()));
    }
}

impl<I: Owned, O: Owned> Drop for PersistentCollective<'_, I, O> {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[cold]
fn still_active(function: &str) -> Error {
    Error::new(ErrorClass::REQUEST, format!("{function}: the buffers are in use: the request is active"))
        .with_help("wait for it first")
}
