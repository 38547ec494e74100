//! How the leaders of two groups meet that become an intercommunicator, and how one refuses.
//!
//! Each call of a leader sends the other one a first message, and takes one: of two leaders, peer communicator and tag the
//! first call of one belongs to the first of the other, and so on. Who refuses waits for nobody: the message that it has
//! not taken is dropped at its next call.

use super::{agreement::refused_by, internal::Exchange};
use crate::{
    communicator::{Communicator, bad_rank},
    error::{Error, ErrorClass, Result},
    types::{PeerId, Rank, Tag},
};

/// The first message: how many processes the group has (0: it refuses), and how many other ranks of the group refuse at
/// the same time, whose ranks are in a second message.
type First = [u64; 2];

/// Of a rank that cannot be meant: its messages are paired, and nothing else.
const VOID: First = [0; 2];

/// One leader before the other one.
pub(super) struct Meeting<'c, 'u> {
    exchange: Exchange<'c, 'u>,
    peer_comm: &'c Communicator<'u>,
    remote_leader: Rank,
    other: PeerId,
    tag: Tag,
}

/// Why the leaders have not agreed.
pub(super) enum Failure {
    /// The other one, of this rank in the peer communicator, has refused.
    Refused(Rank),
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a rank says of its arguments.
#[derive(Clone, Copy)]
struct Said {
    is_right: bool,
    local_leader: Rank,
    /// Whom it could tell that the group refuses: the process plus one; where; and which rank it is there.
    other: u64,
    place: u64,
    rank: Rank,
}

impl Said {
    const WORDS: usize = 4;

    fn words(self) -> [u64; Self::WORDS] {
        let ranks = u64::from(self.local_leader as u32) << 32 | u64::from(self.rank as u32);
        [self.is_right.into(), ranks, self.other, self.place]
    }

    fn of(words: [u64; Self::WORDS]) -> Self {
        let [is_right, ranks, other, place] = words;
        Self {
            is_right: is_right == 1,
            local_leader: (ranks >> 32) as Rank,
            other,
            place,
            rank: ranks as Rank,
        }
    }

    fn can_tell_as(&self, other: &Self) -> bool {
        self.other != 0 && (self.other, self.place) == (other.other, other.place)
    }
}

impl<'c, 'u> Meeting<'c, 'u> {
    /// With the leader that these arguments name, of a process whose universe this is.
    pub(super) fn new(
        function: &str,
        comm: &Communicator<'_>,
        peer_comm: &'c Communicator<'u>,
        remote_leader: Rank,
        tag: Tag,
    ) -> Result<Self> {
        let exchange = Exchange::of_leaders(peer_comm, function, tag)?;
        let refused = |what: &str| Err(Error::new(ErrorClass::COMM, format!("{function}: {what}")));
        if !std::ptr::eq(comm.engine(), peer_comm.engine()) {
            return refused("peer_comm is of another universe");
        }
        let group = &peer_comm.remote().group;
        let other = group
            .peer(remote_leader)
            .ok_or_else(|| bad_rank(function, "remote_leader", remote_leader, group.size()))?;
        if other == comm.engine().me() {
            return refused(&format!("remote_leader is {remote_leader}, which leads no other group"));
        }
        Ok(Self { exchange, peer_comm, remote_leader, other, tag })
    }

    pub(super) fn exchange(&self) -> &Exchange<'c, 'u> {
        &self.exchange
    }

    pub(super) fn remote_leader(&self) -> Rank {
        self.remote_leader
    }

    pub(super) fn other(&self) -> PeerId {
        self.other
    }

    /// Tells the other leader how many processes this group has, and hears that of it.
    pub(super) fn greet(&self, members: u64) -> Result<u64, Failure> {
        self.exchange.send(self.remote_leader, &[members, 0])?;
        for _ in 0..self.peer_comm.take_untaken(self.other, self.tag) {
            self.hear()?;
        }
        match self.hear()? {
            0 => Err(Failure::Refused(self.remote_leader)),
            members => Ok(members),
        }
    }

    /// Tells the other leader that this group refuses, as do `others`, each for itself: ranks of the peer communicator of
    /// which one may be whom it waits for.
    pub(super) fn refuse(&self, others: &[u64]) -> Result<()> {
        self.peer_comm.leave_untaken(self.other, self.tag);
        self.exchange.send(self.remote_leader, &[0, others.len() as u64])?;
        if others.is_empty() { Ok(()) } else { self.exchange.send(self.remote_leader, others) }
    }

    /// The first word of a first message of the other leader. What others of its group have sent at the same time is
    /// taken too, and they get theirs.
    fn hear(&self) -> Result<u64> {
        let (members, others) = self.hear_from(self.remote_leader)?;
        for rank in others {
            self.exchange.send(rank, &VOID)?;
            self.hear_from(rank)?;
        }
        Ok(members)
    }

    fn hear_from(&self, rank: Rank) -> Result<(u64, Vec<Rank>)> {
        let mut first = VOID;
        self.exchange.receive(rank, &mut first)?;
        let (ranks, [members, others]) = (self.peer_comm.size(), first);
        if others >= ranks as u64 {
            return Err(Error::corrupt(format!("{others} other leaders of {ranks} ranks")));
        }
        let mut words = vec![0; others as usize];
        if !words.is_empty() {
            self.exchange.receive(rank, &mut words)?;
        }
        if let Some(word) = words.iter().find(|word| **word >= ranks as u64) {
            return Err(Error::corrupt(format!("leader {word} of {ranks} ranks")));
        }
        Ok((members, words.into_iter().map(|word| word as Rank).collect()))
    }
}

impl<'u> Communicator<'u> {
    /// The meeting, at the leader, if the arguments of all ranks can be. Else all ranks err, and who may be whom the other
    /// leader waits for tells it.
    pub(super) fn agree_on_leader<'c, 'p>(
        &self,
        function: &str,
        local_leader: Rank,
        meeting: Result<Meeting<'c, 'p>>,
    ) -> Result<Option<Meeting<'c, 'p>>> {
        let is_leader = local_leader == self.rank();
        let (meeting, wrong) = match meeting {
            // What the others give as the leader's arguments does not matter, but the tag has to be one.
            Err(error) if !is_leader && error.class() != ErrorClass::TAG => (None, None),
            Err(error) => (None, Some(error)),
            Ok(meeting) => (Some(meeting), None),
        };
        // It may lead another group as well, and is told.
        let common = meeting
            .as_ref()
            .filter(|meeting| is_leader && self.local().group.rank_of(meeting.other).is_some());
        let wrong = wrong.or_else(|| common.map(|meeting| in_this_group(function, meeting)));
        let is_rank = (0..self.size()).contains(&local_leader);
        let wrong =
            if is_rank { wrong } else { Some(bad_rank(function, "local_leader", local_leader, self.size())) };
        let mine = self.say(local_leader, meeting.as_ref(), wrong.is_none());
        let said = self.all_gather_to_construct(&[mine.words()])?;
        let said: Vec<Said> = said.into_iter().map(Said::of).collect();
        let refusing = said.iter().position(|said| !said.is_right);
        let differing = said.iter().position(|it| it.local_leader != said[0].local_leader);
        let error = match (wrong, refusing, differing) {
            (None, None, None) => return Ok(meeting.filter(|_| is_leader)),
            (Some(error), ..) => error,
            (None, Some(rank), _) => refused_by(function, rank as Rank),
            (None, None, Some(rank)) => {
                let leaders = (said[rank].local_leader, said[0].local_leader);
                let what = format!(
                    "{function}: local_leader is {} on rank {rank}, {} on rank 0",
                    leaders.0, leaders.1
                );
                Error::new(ErrorClass::ARG, what).with_help("all ranks of a group have to name the same")
            }
        };
        if let Some(meeting) = meeting {
            self.refuse(&meeting, mine, &said)?;
        }
        Err(error)
    }

    fn say(&self, local_leader: Rank, meeting: Option<&Meeting<'_, '_>>, is_right: bool) -> Said {
        let (other, place, rank) = match meeting {
            None => (0, 0, 0),
            Some(Meeting { peer_comm, other, tag, .. }) => {
                let context = peer_comm.local().contexts.immediate();
                (1 + u64::from(other.0), u64::from(context.0) << 32 | *tag as u64, peer_comm.rank())
            }
        };
        Said { is_right, local_leader, other, place, rank }
    }

    /// Whoever says that it leads tells the other leader; if nobody does, all that can.
    fn refuse(&self, meeting: &Meeting<'_, '_>, mine: Said, said: &[Said]) -> Result<()> {
        let leads = |(rank, said): (Rank, &Said)| rank == said.local_leader;
        let has_leader = (0..).zip(said).any(leads);
        let is_within = self.local().group.rank_of(meeting.other).is_some();
        let tells = |rank: Rank, it: &Said| {
            it.can_tell_as(&mine) && if has_leader { leads((rank, it)) } else { !is_within }
        };
        if !tells(self.rank(), &mine) {
            return Ok(());
        }
        let tellers = (0..).zip(said).filter(|(rank, it)| *rank != self.rank() && tells(*rank, it));
        let others: Vec<u64> = tellers.map(|(_, it)| it.rank as u64).collect();
        meeting.refuse(&others)
    }
}

#[cold]
fn in_this_group(function: &str, meeting: &Meeting<'_, '_>) -> Error {
    let (rank, process) = (meeting.remote_leader, meeting.other.0);
    let what = format!(
        "{function}: remote_leader is {rank}, process {process} of the job, which is in this group too"
    );
    Error::new(ErrorClass::COMM, what)
}
