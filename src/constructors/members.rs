//! How the members of a group agree that they have all given it, although others may have given other groups with some
//! of them.
//!
//! The first member leads: it tells all others so, and they tell it that they follow. A rank that leads and is told by one
//! of its members that it leads as well has found a contradiction, and so has the other one. Both then tell each other all
//! their members: who follows one of them, while the other waits for it, is sent there to answer.
//!
//! | from | to | messages, in this order |
//! | --- | --- | --- |
//! | a leader | each of its members | what it leads |
//! | | who follows it | ranks that it is to answer; then what has come of it |
//! | | a member that leads it | the ranks of its own group |
//! | who follows | its leader, and ranks that it is to answer | what it has given |
//!
//! Nobody ends its call before it has taken all of these: nothing is left for a later one.

use super::internal::{Exchange, Hearing};
use crate::{
    communicator::Foundation,
    error::{Error, ErrorClass, Result},
    group::Members,
    types::Rank,
};

/// In which part a rank speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Follows = 0,
    Leads = 1,
    /// It follows another rank, and has been told that this one waits.
    Answers = 2,
}

/// What a rank says of the group that it has given: its part, how many members there are, and a digest. Groups of the same
/// number and digest count as the same.
#[derive(Clone, Copy)]
struct Said([u64; 2]);

impl Said {
    fn new(part: Part, group: &Members) -> Self {
        Self([(group.iter().len() as u64) << 2 | part as u64, group.digest()])
    }

    fn is_part(self, part: Part) -> bool {
        self.0[0] & 3 == part as u64
    }

    fn members(self) -> u64 {
        self.0[0] >> 2
    }

    fn is_of(self, other: Self) -> bool {
        (self.members(), self.0[1]) == (other.members(), other.0[1])
    }
}

/// What a leader tells those that follow it.
enum Told {
    /// Another one leads it too, and waits for it.
    Answer(Rank),
    Contradicted(Rank),
    Laid(Foundation),
}

impl Told {
    /// The first word of a foundation is 0 only if there are no ids; the second one is then 0 as well.
    fn words(&self) -> [u64; 2] {
        match self {
            Self::Answer(rank) => [0, (1 + *rank as u64) << 1],
            Self::Contradicted(rank) => [0, (1 + *rank as u64) << 1 | 1],
            Self::Laid(foundation) => foundation.0,
        }
    }

    fn of(words: [u64; 2]) -> Self {
        let [first, second] = words;
        let rank = (second >> 1).wrapping_sub(1) as Rank;
        match (first, second) {
            (0, 0) | (1.., _) => Self::Laid(Foundation(words)),
            (0, _) if second & 1 == 0 => Self::Answer(rank),
            (0, _) => Self::Contradicted(rank),
        }
    }
}

/// One call of a member.
pub(super) struct Agreement<'a, 'c, 'u> {
    pub(super) function: &'a str,
    pub(super) exchange: &'a Exchange<'c, 'u>,
    pub(super) group: &'a Members,
    /// Of the members, in the communicator.
    pub(super) ranks: &'a [Rank],
}

/// What a leader has heard.
#[derive(Default)]
struct Heard {
    followers: Vec<Rank>,
    /// The members of groups of other leaders.
    leaders: Vec<(Rank, Vec<u64>)>,
    contradictor: Option<Rank>,
}

impl Agreement<'_, '_, '_> {
    /// The first member hears from all, and tells all what has come of it.
    pub(super) fn lead<T>(&self, lay: impl FnOnce() -> Result<(Foundation, T)>) -> Result<T> {
        let mine = Said::new(Part::Leads, self.group);
        let mut heard = Heard::default();
        let mut hearing = Hearing::new(self.exchange);
        for &rank in &self.ranks[1..] {
            self.exchange.send(rank, &mine.0)?;
            hearing.begin(rank, 2)?;
        }
        while let Some((rank, words)) = hearing.next()? {
            match heard.leaders.iter().position(|leader| leader.0 == rank) {
                Some(leader) => self.hear_members(&mut heard, leader, words)?,
                None => self.hear(&mut heard, &mut hearing, rank, Said([words[0], words[1]]))?,
            }
        }
        let (told, laid) = match heard.contradictor {
            Some(rank) => (Told::Contradicted(rank), Err(other_group(self.function, rank))),
            None => match lay() {
                Ok((foundation, mine)) => (Told::Laid(foundation), Ok(mine)),
                Err(error) => (Told::Laid(Foundation::NONE), Err(error)),
            },
        };
        for rank in heard.followers {
            self.exchange.send(rank, &told.words())?;
        }
        laid
    }

    /// The first word of a member.
    fn hear(
        &self,
        heard: &mut Heard,
        hearing: &mut Hearing<'_, '_, '_>,
        rank: Rank,
        said: Said,
    ) -> Result<()> {
        let mine = Said::new(Part::Follows, self.group);
        let follows = said.is_part(Part::Follows);
        if !(follows && said.is_of(mine)) {
            heard.contradictor.get_or_insert(rank);
        }
        if follows {
            heard.followers.push(rank);
            let waiting = heard.leaders.iter().filter(|(_, members)| members.contains(&(rank as u64)));
            return waiting.map(|leader| leader.0).try_for_each(|leader| self.tell_to_answer(rank, leader));
        }
        if said.is_part(Part::Leads) {
            let members: Vec<u64> = self.ranks.iter().map(|rank| *rank as u64).collect();
            self.exchange.send(rank, &members)?;
            // Known as soon as its members are.
            heard.leaders.push((rank, Vec::new()));
            hearing.begin(rank, usize::try_from(said.members()).unwrap_or(usize::MAX))?;
        }
        Ok(())
    }

    /// All members of another leader, which may wait for some that follow this one.
    fn hear_members(&self, heard: &mut Heard, leader: usize, members: Vec<u64>) -> Result<()> {
        let Heard { followers, leaders, .. } = heard;
        let (rank, known) = &mut leaders[leader];
        *known = members;
        let both = followers.iter().filter(|follower| known.contains(&(**follower as u64)));
        both.into_iter().try_for_each(|follower| self.tell_to_answer(*follower, *rank))
    }

    fn tell_to_answer(&self, follower: Rank, leader: Rank) -> Result<()> {
        self.exchange.send(follower, &Told::Answer(leader).words())
    }

    /// All others hear what has come of it.
    pub(super) fn follow(&self) -> Result<Foundation> {
        let (leader, mine) = (self.ranks[0], Said::new(Part::Follows, self.group));
        let theirs = self.swap(leader, mine)?;
        if !theirs.is_part(Part::Leads) {
            // It takes this one for its leader.
            return Err(other_group(self.function, leader));
        }
        loop {
            let mut told = [0; 2];
            self.exchange.receive(leader, &mut told)?;
            match Told::of(told) {
                Told::Answer(rank) if self.exchange.is_rank(rank) => {
                    self.swap(rank, Said::new(Part::Answers, self.group))?;
                }
                Told::Answer(rank) => return Err(Error::corrupt(format!("rank {rank} is to be answered"))),
                _ if !theirs.is_of(mine) => return Err(other_group(self.function, leader)),
                Told::Contradicted(rank) => return Err(other_group(self.function, rank)),
                Told::Laid(foundation) => return Ok(foundation),
            }
        }
    }

    fn swap(&self, with: Rank, said: Said) -> Result<Said> {
        let mut theirs = [0; 2];
        self.exchange.send(with, &said.0)?;
        self.exchange.receive(with, &mut theirs)?;
        Ok(Said(theirs))
    }
}

#[cold]
pub(super) fn other_group(function: &str, rank: Rank) -> Error {
    Error::new(
        ErrorClass::GROUP,
        format!("{function}: rank {rank}, which is in the group, has given another"),
    )
    .with_help("all processes of a group have to give the same, in the same order")
}
