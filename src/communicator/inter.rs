//! [`InterCommunicator`]: two groups, each of which sends to the other.

use super::{AnyProcess, Communicator, CommunicatorRelation, Process};
use crate::{
    group::{Group, GroupRelation},
    types::Rank,
};

/// Two groups without a common process: messages go from one to the other. Made by
/// [`Communicator::create_intercommunicator`].
///
/// Ranks to send to and receive from are those of the remote group. It has no collectives; what both groups do
/// together they do in what [`merge`](Self::merge) makes.
///
/// ```
/// use ringmpi::{CommunicatorRelation, GroupRelation, Source};
/// # ringmpi::threads(4, |world| {
/// let half = world.split(Some(world.rank() as u32 % 2), 0)?.expect("a colour was given");
/// let bridge = half.create_intercommunicator(0, &world, (world.rank() + 1) % 2, 0)?;
/// assert_eq!((bridge.rank(), bridge.size(), bridge.remote_size()), (half.rank(), 2, 2));
/// assert_eq!(bridge.group().compare(&half.group()), GroupRelation::Identical);
/// assert_eq!(bridge.remote_group().translate_rank(0, &world.group())?, Some((world.rank() + 1) % 2));
/// bridge.process_at_rank(bridge.rank()).tag(1).send(&[world.rank()])?;
/// let (_, status) = bridge.any_process().tag(1).receive::<i32>()?;
/// assert_eq!(status.source(), bridge.rank());
/// bridge.set_name("even and odd");
/// assert_eq!(bridge.name(), "even and odd");
/// assert_eq!(bridge.compare(&bridge.duplicate()?), CommunicatorRelation::Congruent);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 7.6.
pub struct InterCommunicator<'u> {
    /// To the remote group.
    pub(crate) bridge: Communicator<'u>,
    /// Of the local group: in which it agrees.
    pub(crate) inside: Communicator<'u>,
}

impl<'u> InterCommunicator<'u> {
    /// This process's rank in the local group.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// # let half = world.split(Some(world.rank() as u32 % 2), 0)?.expect("a colour was given");
    /// # let bridge = half.create_intercommunicator(0, &world, (world.rank() + 1) % 2, 0)?;
    /// // `bridge` is between the even and the odd ranks of four.
    /// assert_eq!(bridge.rank(), world.rank() / 2);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.6.1: `MPI_Comm_rank`.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.bridge.rank()
    }

    /// How many processes the local group has.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1 on one side and rank 2 on the other.
    /// assert_eq!(bridge.size(), if world.rank() == 2 { 1 } else { 2 });
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.6.1: `MPI_Comm_size`.
    #[must_use]
    pub fn size(&self) -> Rank {
        self.bridge.size()
    }

    /// How many processes the remote group has.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1 on one side and rank 2 on the other: everyone writes to all on the other side.
    /// for rank in 0..bridge.remote_size() {
    ///     bridge.process_at_rank(rank).send(&[world.rank()])?;
    /// }
    /// for _ in 0..bridge.remote_size() {
    ///     bridge.any_process().receive::<i32>()?;
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.6.1: `MPI_Comm_remote_size`.
    #[must_use]
    pub fn remote_size(&self) -> Rank {
        self.bridge.remote().group.size()
    }

    /// The local group.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// # let half = world.split(Some(world.rank() as u32 % 2), 0)?.expect("a colour was given");
    /// # let bridge = half.create_intercommunicator(0, &world, (world.rank() + 1) % 2, 0)?;
    /// // `bridge` is between the even and the odd ranks of four: who is on this side?
    /// let same_side = bridge.group().translate_ranks(&[0, 1], &world.group())?;
    /// assert_eq!(same_side, [Some(world.rank() % 2), Some(world.rank() % 2 + 2)]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.6.1: `MPI_Comm_group`.
    #[must_use]
    pub fn group(&self) -> Group<'u> {
        self.bridge.group()
    }

    /// The remote group.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1 on one side and rank 2 on the other.
    /// let both = bridge.group().union(&bridge.remote_group())?;
    /// assert_eq!(both.size(), 3);
    /// assert_eq!(bridge.remote_group().rank(), None); // this process is not in it
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.6.1: `MPI_Comm_remote_group`.
    #[must_use]
    pub fn remote_group(&self) -> Group<'u> {
        Group::new(self.bridge.engine(), self.bridge.remote().group.clone())
    }

    /// The process of the remote group with a rank, to send to or receive from.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(4, |world| {
    /// # let half = world.split(Some(world.rank() as u32 % 2), 0)?.expect("a colour was given");
    /// # let bridge = half.create_intercommunicator(0, &world, (world.rank() + 1) % 2, 0)?;
    /// // `bridge` is between the even and the odd ranks of four: a rank and its opposite.
    /// let opposite = bridge.process_at_rank(bridge.rank());
    /// opposite.send(&[world.rank()])?;
    /// assert_eq!(opposite.receive::<i32>()?.0, world.rank() ^ 1);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.3 and 3.2.4: the arguments `dest` and `source`.
    #[must_use]
    pub fn process_at_rank(&self, rank: Rank) -> Process<'_, 'u> {
        self.bridge.process_at_rank(rank)
    }

    /// Any process of the remote group, to receive from.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1, which ask, and rank 2, which answers who comes first.
    /// if world.rank() < 2 {
    ///     let server = bridge.process_at_rank(0);
    ///     server.send(&[10 + world.rank()])?;
    ///     assert_eq!(server.receive::<i32>()?.0, 20 + 2 * world.rank());
    /// } else {
    ///     for _ in 0..2 {
    ///         let (question, status) = bridge.any_process().receive::<i32>()?;
    ///         bridge.process_at_rank(status.source()).send(&[2 * question])?;
    ///     }
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 3.2.4: `MPI_ANY_SOURCE`.
    #[must_use]
    pub fn any_process(&self) -> AnyProcess<'_, 'u> {
        self.bridge.any_process()
    }

    /// Names the intercommunicator, in this process.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1 on one side and rank 2 on the other. Each side may call it as it likes.
    /// bridge.set_name(if world.rank() < 2 { "to the server" } else { "to the clients" });
    /// assert!(bridge.name().starts_with("to the "));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.8: `MPI_Comm_set_name`.
    pub fn set_name(&self, name: &str) {
        self.bridge.set_name(name);
    }

    /// The name that [`set_name`](Self::set_name) has given; empty if it has none.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1 on one side and rank 2 on the other.
    /// assert_eq!(bridge.name(), "");
    /// bridge.set_name("clients and server");
    /// assert_eq!(bridge.name(), "clients and server");
    /// assert_eq!(bridge.duplicate()?.name(), ""); // a communicator of its own
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.8: `MPI_Comm_get_name`.
    #[must_use]
    pub fn name(&self) -> String {
        self.bridge.name()
    }

    /// Whether both are the same, or have the same local and the same remote processes, and in the same orders.
    ///
    /// ```
    /// use ringmpi::CommunicatorRelation;
    /// # ringmpi::threads(3, |world| {
    /// # let side = (world.rank() == 2) as u32;
    /// # let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// # let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // `bridge` is between ranks 0 and 1 on one side and rank 2 on the other.
    /// assert_eq!(bridge.compare(&bridge), CommunicatorRelation::Identical);
    /// assert_eq!(bridge.compare(&bridge.duplicate()?), CommunicatorRelation::Congruent);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.6.1: `MPI_Comm_compare`.
    #[must_use]
    pub fn compare(&self, other: &InterCommunicator<'_>) -> CommunicatorRelation {
        let local = self.bridge.compare(&other.bridge);
        if matches!(local, CommunicatorRelation::Identical | CommunicatorRelation::Unequal) {
            return local;
        }
        match self.remote_group().compare(&other.remote_group()) {
            GroupRelation::Identical => local,
            GroupRelation::Similar => CommunicatorRelation::Similar,
            GroupRelation::Unequal => CommunicatorRelation::Unequal,
        }
    }
}

impl std::fmt::Debug for InterCommunicator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "InterCommunicator {{ rank {} of {}, remote {} }}",
            self.rank(),
            self.size(),
            self.remote_size()
        )
    }
}
