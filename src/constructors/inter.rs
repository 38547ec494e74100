//! Constructors of intercommunicators, and of what their groups are together.
//!
//! In each, a leader of either group agrees with the other one, and then tells its own group.

use super::{
    internal::Exchange,
    leaders::{Failure, Meeting},
};
use crate::{
    communicator::{Base, Communicator, Foundation, InterCommunicator, Membership, Side},
    error::{Error, ErrorClass, Result},
    group::Members,
    op,
    types::{PeerId, RANKS_MAX, Rank, Tag},
};

/// What a leader brings back to its group: the leader's part in what is laid, and a word for the others.
struct Met {
    foundation: Foundation,
    base: Base,
    word: u64,
}

const NAME: &str = "Communicator::create_intercommunicator";
const DUPLICATE: &str = "InterCommunicator::duplicate";

impl<'u> Communicator<'u> {
    /// An intercommunicator between this group and another one, whose ranks call it at the same time with the
    /// other's leader. `local_leader` is a rank of this communicator; `remote_leader` is the rank of the other
    /// group's leader in `peer_comm`, a communicator of both leaders. What the other ranks give as
    /// `peer_comm` and `remote_leader` does not matter.
    ///
    /// ```
    /// use ringmpi::Source;
    /// # ringmpi::threads(4, |world| {
    /// let colour = world.rank() % 2;
    /// let half = world.split(Some(colour as u32), 0)?.expect("a colour was given");
    /// // World ranks 0 and 1 lead the even and the odd ones.
    /// let other = half.create_intercommunicator(0, &world, 1 - colour, 0)?;
    /// assert_eq!((other.size(), other.remote_size()), (2, 2));
    /// other.process_at_rank(half.rank()).send(&[world.rank()])?;
    /// let opposite = other.any_process().receive::<i32>()?.0;
    /// assert_eq!(opposite, world.rank() + 1 - 2 * colour);
    /// let all = other.merge(colour == 1)?;
    /// assert_eq!(all.all_gather(&[world.rank()])?, [0, 2, 1, 3]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A leader that does not exist, or leads itself; local leaders that differ; a negative tag; a peer communicator of
    /// another universe; groups with a common process. An error of one rank is one of all its group, and if the leader's
    /// own arguments say who the other leader is, of the other group as well. A call that errs counts: the other group's
    /// call that goes with it errs whenever it comes. The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.6.2: `MPI_Intercomm_create`.
    pub fn create_intercommunicator(
        &self,
        local_leader: Rank,
        peer_comm: &Communicator<'_>,
        remote_leader: Rank,
        tag: Tag,
    ) -> Result<InterCommunicator<'u>> {
        self.check_caller()?;
        let meeting = Meeting::new(NAME, self, peer_comm, remote_leader, tag);
        let meeting = self.agree_on_leader(NAME, local_leader, meeting)?;
        let inside = match (self.duplicate(), &meeting) {
            (Ok(inside), _) => inside,
            (Err(error), None) => return Err(error),
            (Err(error), Some(meeting)) => {
                meeting.refuse(&[])?;
                return Err(error);
            }
        };
        let mut remote = Vec::new();
        let met = meeting.map(|meeting| {
            let met = self.meet(&meeting)?;
            remote = met.1;
            Ok(met.0)
        });
        let (base, remote_size) = inside.tell(NAME, local_leader, met)?;
        remote.resize(usize::try_from(remote_size).unwrap_or(0).min(RANKS_MAX), 0);
        inside.broadcast_to_construct(&mut remote, local_leader)?;
        let remote = Members::new(remote.into_iter().map(|id| PeerId(id as u32)));
        Ok(inside.bridge_to(base, remote))
    }

    /// One leader's meeting with the other: what is laid for both groups, and the processes of the other one.
    fn meet(&self, meeting: &Meeting<'_, '_>) -> Result<(Met, Vec<u64>), Failure> {
        let (exchange, other) = (meeting.exchange(), meeting.remote_leader());
        let local: Vec<u64> = self.local().group.iter().map(|peer| peer.0.into()).collect();
        let size = meeting.greet(local.len() as u64)?;
        let ranks = u64::from(self.engine().ranks());
        if size > ranks {
            return Err(Error::corrupt(format!("a group of {size} processes of {ranks}")).into());
        }
        exchange.send(other, &local)?;
        let mut remote = vec![0; size as usize];
        exchange.receive(other, &mut remote)?;
        if let Some(id) = remote.iter().find(|id| **id >= ranks) {
            return Err(Error::corrupt(format!("process {id} of {ranks}")).into());
        }
        // Both leaders see the same.
        if let Some(common) = local.iter().find(|id| remote.contains(id)) {
            let what = format!("{NAME}: process {common} of the job is in both groups");
            return Err(Error::new(ErrorClass::COMM, what).into());
        }
        let membership = Membership { members: local.len() + remote.len(), me: 0 };
        let lay = || Foundation::lay_without_board(self.engine(), membership.members);
        let is_founder = self.engine().me() < meeting.other();
        let (foundation, base) = exchange.agree(other, is_founder, membership, lay)?;
        Ok((Met { foundation, base, word: size }, remote))
    }

    /// The leader tells its group what has come of meeting the other one; `met` is None for all others. A
    /// board is told of by [`InterCommunicator::merge`] only.
    fn tell(&self, function: &str, leader: Rank, met: Option<Result<Met, Failure>>) -> Result<(Base, u64)> {
        // No context is 0 here: the world has that one.
        let mut told = match &met {
            Some(Ok(met)) => [met.foundation.0[0], met.word],
            Some(Err(Failure::Refused(rank))) => [0, 1 + *rank as u64],
            Some(Err(Failure::Error(_))) | None => [0; 2],
        };
        self.broadcast_to_construct(&mut told, leader)?;
        match (met, told) {
            (Some(Ok(met)), _) => Ok((met.base, met.word)),
            (Some(Err(Failure::Error(error))), _) => Err(error),
            (Some(Err(Failure::Refused(rank))), _) => Err(other_refuses(function, rank)),
            (None, [0, 0]) => Err(leader_failed(function, leader)),
            (None, [0, rank]) => Err(other_refuses(function, (rank - 1) as Rank)),
            (None, [first, word]) => {
                Ok((Foundation([first, 0]).join(self.engine(), self.membership())?, word))
            }
        }
    }

    /// From this group, which becomes the intercommunicator's inside, to another one.
    fn bridge_to(self, base: Base, remote: Members) -> InterCommunicator<'u> {
        let (group, rank) = (self.local().group.clone(), self.rank());
        let bridge = self.on_base(base, group.clone(), rank);
        // Both directions have the same ids: nobody is in both groups.
        let contexts = bridge.local().contexts;
        let bridge = bridge.between(Side { group, contexts }, Side { group: remote, contexts }, rank);
        InterCommunicator { bridge, inside: self }
    }
}

impl<'u> InterCommunicator<'u> {
    /// An intercommunicator of the same groups in a context of its own. All ranks of both groups call it.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let side = (world.rank() == 2) as u32;
    /// let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// let other = bridge.duplicate()?;
    /// assert_eq!((other.size(), other.remote_size()), (bridge.size(), bridge.remote_size()));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_dup`.
    pub fn duplicate(&self) -> Result<InterCommunicator<'u>> {
        let inside = self.inside.duplicate();
        let exchange = Exchange::of_groups(&self.bridge);
        // Whatever has come of it: the other group waits, or has failed itself.
        let is_ready = (self.rank() == 0).then(|| exchange.swap(0, u64::from(inside.is_ok())));
        let inside = inside?;
        let met = is_ready.map(|is_ready| {
            if is_ready? == 0 {
                return Err(Failure::Refused(0));
            }
            let membership = Membership { members: self.both(), me: 0 };
            let lay = || Foundation::lay_without_board(self.bridge.engine(), membership.members);
            let (foundation, base) = exchange.agree(0, self.is_before(), membership, lay)?;
            Ok(Met { foundation, base, word: 0 })
        });
        let (base, _) = inside.tell(DUPLICATE, 0, met)?;
        Ok(inside.bridge_to(base, self.bridge.remote().group.clone()))
    }

    /// A communicator of both groups. All ranks of both call it; those of one group give the same `high`. The
    /// group that gives `true` comes behind the other; if both give the same, the order is the same for all.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let side = (world.rank() == 2) as u32;
    /// let group = world.split(Some(side), 0)?.expect("a colour was given");
    /// let bridge = group.create_intercommunicator(0, &world, if side == 0 { 2 } else { 0 }, 0)?;
    /// // Rank 2 comes first.
    /// let all = bridge.merge(side == 0)?;
    /// assert_eq!(all.all_gather(&[world.rank()])?, [2, 0, 1]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks of one group that differ in `high`; the end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.6.2: `MPI_Intercomm_merge`.
    pub fn merge(&self, high: bool) -> Result<Communicator<'u>> {
        let (engine, inside) = (self.bridge.engine(), &self.inside);
        self.bridge.tidy();
        let highs = inside.all_reduce_value(i32::from(high), op::Sum)?;
        let mine = match highs {
            0 => LOW,
            all if all == self.size() => HIGH,
            _ => MIXED,
        };
        let members = self.both();
        let mut told = [0; 3];
        let mut laid = None;
        if self.rank() == 0 {
            let outcome = self.lead_merge(mine, members);
            if let Ok((foundation, is_first, _)) = &outcome {
                told = [foundation.0[0], foundation.0[1], u64::from(*is_first)];
            }
            laid = Some(outcome);
        }
        inside.broadcast_to_construct(&mut told, 0)?;
        let [first, board, is_first] = told;
        let is_first = is_first == 1;
        let rank = self.rank() + if is_first { 0 } else { self.remote_size() };
        let base = match laid {
            Some(outcome) => outcome?.2,
            None if first == 0 => return Err(leader_failed("InterCommunicator::merge", 0)),
            None => Foundation([first, board]).join(engine, Membership { members, me: rank as usize })?,
        };
        let (local, remote) = (&self.bridge.local().group, &self.bridge.remote().group);
        let (low, high) = if is_first { (local, remote) } else { (remote, local) };
        Ok(self.bridge.on_base(base, Members::new(low.iter().chain(high.iter())), rank))
    }

    /// The leaders tell each other where their groups belong; the first group's lays the foundation.
    fn lead_merge(&self, mine: u64, members: usize) -> Result<(Foundation, bool, Base)> {
        let (engine, exchange) = (self.bridge.engine(), Exchange::of_groups(&self.bridge));
        let is_first = match (mine, exchange.swap(0, mine)?) {
            (MIXED, _) | (_, MIXED) => {
                return Err(Error::new(
                    ErrorClass::ARG,
                    "InterCommunicator::merge: high is not the same in all ranks of a group",
                ));
            }
            (mine, theirs) if mine != theirs => mine == LOW,
            _ => self.is_before(),
        };
        let membership = Membership { members, me: if is_first { 0 } else { self.remote_size() as usize } };
        let lay = || Foundation::lay(engine, members);
        let (foundation, base) = exchange.agree(0, is_first, membership, lay)?;
        Ok((foundation, is_first, base))
    }

    /// How many processes both groups have.
    fn both(&self) -> usize {
        (self.size() + self.remote_size()) as usize
    }

    /// Which of the two groups is the first where nothing else says so.
    fn is_before(&self) -> bool {
        self.bridge.local().group.peer(0) < self.bridge.remote().group.peer(0)
    }
}

/// What the ranks of a group give as `high`.
const LOW: u64 = 0;
const HIGH: u64 = 1;
/// Not all the same.
const MIXED: u64 = 2;

/// On all ranks of the group whose leader has been told so.
#[cold]
fn other_refuses(function: &str, rank: Rank) -> Error {
    let what =
        format!("{function}: the other group, whose leader is rank {rank} where the leaders meet, refuses");
    Error::new(ErrorClass::COMM, what).with_help("its own errors say why")
}

#[cold]
fn leader_failed(function: &str, leader: Rank) -> Error {
    let what = format!(
        "{function}: rank {leader}, which leads this group, could not agree with the other group's leader"
    );
    Error::new(ErrorClass::COMM, what).with_help("its own error says why")
}
