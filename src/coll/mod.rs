//! Collective operations.
//!
//! All members of a communicator call the same ones in the same order, with the same root and the
//! same sizes where the standard says so.

mod all_gather;
mod barrier;
mod broadcast;
mod gather;
mod on_board;
mod reduce;
mod select;

use crate::{
    buffer::{self, Plain},
    communicator::{Collective, Communicator, bad_rank},
    envelope::{Envelope, Pattern},
    error::{Error, ErrorClass, Result, Truncated},
    p2p::Mode,
    status::Status,
    types::{PeerId, Rank, Tag},
};

/// Messages of one call of a collective: in the collective context, by its sequence number.
pub(crate) struct Round<'c, 'u> {
    comm: &'c Communicator<'u>,
    tag: Tag,
}

impl Collective {
    /// The next collective on messages.
    pub(crate) fn next_round<'c, 'u>(&mut self, comm: &'c Communicator<'u>) -> Round<'c, 'u> {
        self.sequence += 1;
        // The 31 low bits: calls that far apart are never in flight together.
        Round { comm, tag: (self.sequence & 0x7fff_ffff) as Tag }
    }
}

impl Round<'_, '_> {
    fn peer(&self, rank: Rank) -> Result<PeerId> {
        // A user's operation may have forked this process since the collective began.
        self.comm.check_caller()?;
        self.comm.remote().group.peer(rank).ok_or_else(|| bad_rank(rank, self.comm.remote().group.size()))
    }

    pub(crate) fn send<T: Plain>(&self, to: Rank, data: &[T]) -> Result<()> {
        let buffer = buffer::of_slice(data);
        let envelope = Envelope {
            context: self.comm.remote().contexts.collective(),
            source: self.comm.rank(),
            tag: self.tag,
            bytes: buffer.len(),
        };
        self.comm.engine().send(self.peer(to)?, envelope, Mode::Standard, buffer)
    }

    fn pattern(&self, from: Rank) -> Pattern {
        Pattern { context: self.comm.local().contexts.collective(), source: Some(from), tag: Some(self.tag) }
    }

    /// Receives exactly as many elements as the vector of bit patterns has.
    pub(crate) fn receive_bits<T: Plain>(&self, from: Rank, bits: &mut [T::Bits]) -> Result<()> {
        let into = buffer::of_aside::<T>(bits);
        let expected = into.len();
        let received = self.comm.engine().receive(self.pattern(from), Some(self.peer(from)?), into);
        check_received(from, received, expected)
    }

    /// Sends to one rank and receives exactly `len` elements from another, at the same time.
    pub(crate) fn exchange<T: Plain>(&self, to: Rank, data: &[T], from: Rank, len: usize) -> Result<Vec<T>> {
        let mut bits = buffer::aside::<T>(len)?;
        let (peer, into) = (Some(self.peer(from)?), buffer::of_aside::<T>(&mut bits));
        let expected = into.len();
        let send = || self.send(to, data);
        let received = self.comm.engine().receive_while(self.pattern(from), peer, into, send);
        check_received(from, received, expected)?;
        values::<T>(&bits, from).and_then(buffer::copy_of)
    }

    /// Receives exactly `len` elements.
    pub(crate) fn receive<T: Plain>(&self, from: Rank, len: usize) -> Result<Vec<T>> {
        let mut bits = buffer::aside::<T>(len)?;
        self.receive_bits::<T>(from, &mut bits)?;
        values::<T>(&bits, from).and_then(buffer::copy_of)
    }
}

/// What rank `from` has sent is as long as this rank's part.
fn check_received(from: Rank, received: Result<Status>, expected: u64) -> Result<()> {
    let got = received.map(|status| status.bytes()).or_else(|error| match error.as_truncated() {
        Some(Truncated { sent, .. }) => Ok(sent),
        None => Err(error),
    })?;
    check_size(from, got, expected)
}

/// All parts in a collective are of the same length.
#[inline]
fn check_size(from: Rank, got: u64, expected: u64) -> Result<()> {
    if got == expected { Ok(()) } else { Err(other_size(from, got, expected)) }
}

#[cold]
fn other_size(from: Rank, got: u64, expected: u64) -> Error {
    let class = if got > expected { ErrorClass::TRUNCATE } else { ErrorClass::COUNT };
    Error::new(class, format!("rank {from} took part with {got} bytes, this rank with {expected}"))
        .with_help("all ranks have to call the collective with the same number of elements")
}

fn values<T: Plain>(bits: &[T::Bits], from: Rank) -> Result<&[T]> {
    buffer::check::<T>(bits).map_err(|index| {
        let name = std::any::type_name::<T>();
        Error::new(ErrorClass::TYPE, format!("element {index} from rank {from} is no value of {name}"))
    })
}

/// The root of a collective has to be a rank.
fn check_root(comm: &Communicator<'_>, root: Rank) -> Result<()> {
    if (0..comm.size()).contains(&root) {
        return Ok(());
    }
    let last = comm.size() - 1;
    Err(Error::new(
        ErrorClass::ROOT,
        format!("root {root} does not exist: the communicator has ranks 0 to {last}"),
    ))
}
