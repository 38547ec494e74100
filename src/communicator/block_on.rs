//! [`Communicator::block_on`]: an executor for one future, which makes progress itself.

use super::Communicator;

impl Communicator<'_> {
    /// Polls a future until it is ready, and makes progress while it is not: requests that are awaited in it need
    /// no other thread. It waits as any call does, without a busy CPU, and polls again when one of those requests
    /// has ended, or when another thread calls the waker.
    ///
    /// This is the quick way to await requests. Any other executor works as well, but does not wait in ringmpi: a
    /// thread of the library makes progress for it, so that each wake-up takes a step from thread to thread, and
    /// every call a locked instruction more, as it does wherever several threads communicate.
    ///
    /// Several threads may be in it at the same time, for one communicator or for several. Inside it, do not
    /// block the thread in another executor, or for another thread that waits for a request of this one:
    /// nobody makes progress then.
    ///
    /// A wait for several requests:
    ///
    /// ```
    /// use ringmpi::{Source, Status};
    /// use std::{pin::Pin, task::Poll};
    ///
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let mut receives = [1, 2].map(|tag| peer.tag(tag).immediate_receive::<u8>(10).unwrap());
    /// peer.tag(2).send(&[7u8; 3])?;
    /// let first = std::future::poll_fn(|context| {
    ///     for receive in &mut receives {
    ///         if let Poll::Ready(ended) = Pin::new(receive).poll(context) {
    ///             return Poll::Ready(ended);
    ///         }
    ///     }
    ///     Poll::Pending
    /// });
    /// let (data, status) = world.block_on(first)?;
    /// assert_eq!((&data[..], status.tag()), (&[7; 3][..], 2));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// Errors, the end of the job among them, are what the requests return that the future awaits.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.engine.block_on(future)
    }
}
