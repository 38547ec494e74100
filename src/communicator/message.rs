//! [`Message`]: what a matched probe has taken.

use super::{Request, landing};
use crate::{
    buffer::{Owned, Plain, ReceiveBytes},
    error::{Error, ErrorClass, Result},
    p2p::{Engine, MessageId, RequestId},
    status::Status,
};

/// A message that a matched probe has taken out of matching. Dropped, it is received and thrown away.
///
/// ```
/// use ringmpi::Source;
/// # ringmpi::threads(1, |world| {
/// world.process_at_rank(0).send(&[0.5, 1.5])?;
/// let message = world.any_process().matched_probe()?;
/// assert_eq!(message.status().count::<f64>(), Some(2));
/// assert_eq!(message.receive_vec::<f64>()?, [0.5, 1.5]);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 3.8.2.
#[must_use = "dropping a message throws it away"]
pub struct Message<'c> {
    engine: &'c Engine,
    id: Option<MessageId>,
    status: Status,
}

impl<'c> Message<'c> {
    pub(super) fn new(engine: &'c Engine, id: Option<MessageId>, status: Status) -> Self {
        Self { engine, id, status }
    }

    /// Source, tag and size.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// myself.tag(2).send(b"a text")?;
    /// let message = myself.matched_probe()?;
    /// // The tag says what it is, before anything is received.
    /// match message.status().tag() {
    ///     1 => println!("{:?}", message.receive_vec::<f64>()?),
    ///     _ => assert_eq!(message.receive_vec::<u8>()?, b"a text"),
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.8.2: `MPI_Mprobe`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Receives the message.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// myself.send(b"text")?;
    /// let message = myself.matched_probe()?;
    /// // The type is chosen when it is known what comes.
    /// assert_eq!(String::from_utf8_lossy(&message.receive_vec::<u8>()?), "text");
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Bytes that are no whole number of elements, or no values of the type; no memory for so many: the
    /// message is lost then; the end of the job.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.3: `MPI_Mrecv`.
    pub fn receive_vec<T: Plain>(mut self) -> Result<Vec<T>> {
        let len = self.whole_elements::<T>()?;
        landing::into_vec(len, |memory| self.receive_bytes(memory))
    }

    /// Receives the message into a slice, which may be longer.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// myself.send(&[3, 4])?;
    /// let mut room = [0; 100];
    /// let status = myself.matched_probe()?.receive_into(&mut room)?;
    /// assert_eq!((status.bytes(), &room[..2]), (8, &[3, 4][..]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`receive_vec`](Self::receive_vec), and a message that is longer than the slice: it is lost.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.3: `MPI_Mrecv`.
    pub fn receive_into<T: Plain>(mut self, into: &mut [T]) -> Result<Status> {
        self.check_fits::<T>(size_of_val(into) as u64)?;
        landing::into_slice(into, |memory| self.receive_bytes(memory))
    }

    fn receive_bytes(&mut self, into: ReceiveBytes) -> Result<Status> {
        match self.id.take() {
            Some(id) => self.engine.mreceive(id, into),
            None => Ok(self.status),
        }
    }

    /// Begins to receive the message. Dropping the request throws the message away.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(2, |world| {
    /// let peer = world.process_at_rank(1 - world.rank());
    /// let sending = peer.immediate_send(vec![world.rank(); 100_000])?;
    /// let receiving = world.any_process().matched_probe()?.immediate_receive_vec::<i32>()?;
    /// // Computation goes here.
    /// assert_eq!(receiving.wait()?, vec![peer.rank(); 100_000]);
    /// sending.wait()?;
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Bytes that are no whole number of elements; no memory for so many: the message is lost then; the end
    /// of the job. Bytes that are no values of the type are reported by the request.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.3: `MPI_Imrecv`.
    pub fn immediate_receive_vec<T: Plain>(self) -> Result<Request<'c, Vec<T>>> {
        let len = self.whole_elements::<T>()?;
        Request::begin_receive_vec("immediate_receive_vec", self.engine, len, |into| self.begin(into))
    }

    /// Begins to receive the message into the elements of a buffer, which may be longer, and which the
    /// request holds until [`Request::wait`].
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(1, |world| {
    /// let myself = world.process_at_rank(0);
    /// myself.send(&[3, 4])?;
    /// let room = vec![0; 4].into_boxed_slice();
    /// let receiving = myself.matched_probe()?.immediate_receive_into(room)?;
    /// // Computation goes here.
    /// assert_eq!(*receiving.wait()?, [3, 4, 0, 0]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`immediate_receive_vec`](Self::immediate_receive_vec), and a message that is longer than the
    /// buffer: it is lost.
    ///
    /// # Standard
    /// MPI 5.0, 3.8.3: `MPI_Imrecv`.
    pub fn immediate_receive_into<B: Owned>(self, buffer: B) -> Result<Request<'c, B>> {
        Request::begin_receive(self.engine, buffer, |into| {
            self.check_fits::<B::Item>(into.len())?;
            self.begin(into)
        })
    }

    /// Begins to receive the message; the caller keeps the memory until the request ends.
    pub(super) fn begin(mut self, into: ReceiveBytes) -> Result<RequestId> {
        match self.id.take() {
            Some(id) => self.engine.imreceive(id, into),
            None => Ok(RequestId::FROM_NULL),
        }
    }

    /// Whether the message is of whole elements, and no more than `room` bytes.
    pub(super) fn check_fits<T: Plain>(&self, room: u64) -> Result<()> {
        self.whole_elements::<T>()?;
        super::source::check_room(&self.status, room)
    }

    pub(super) fn engine(&self) -> &'c Engine {
        self.engine
    }

    fn whole_elements<T: Plain>(&self) -> Result<usize> {
        self.status.count::<T>().ok_or_else(|| {
            Error::new(
                ErrorClass::TYPE,
                format!(
                    "rank {} sent {} bytes with tag {}: no whole number of elements of {} bytes",
                    self.status.source(),
                    self.status.bytes(),
                    self.status.tag(),
                    size_of::<T>()
                ),
            )
        })
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // What fails here fails in the next call too, which can report it.
            let _ = self.engine.discard_message(id);
        }
    }
}
