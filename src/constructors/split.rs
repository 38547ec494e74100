//! Split.

use crate::{coll::Round, communicator::Communicator, error::Result, group::Group, types::Rank};

/// What a rank says about the group that it wants to be in: colour (−1 for none) and key.
type Wish = [i64; 2];

impl<'u> Communicator<'u> {
    /// Splits the communicator: ranks of one colour form a new one, ordered by key, then by rank. `None`
    /// as colour gives none. All ranks call it.
    ///
    /// # Errors
    /// The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_split`.
    pub fn split(&self, colour: Option<u32>, key: i32) -> Result<Option<Communicator<'u>>> {
        let mine: Wish = [colour.map_or(-1, i64::from), key.into()];
        let wishes = self.all_gather(&[mine])?;
        let collective = self.enter_collective()?;
        let round = Round::new(self, collective.sequence);
        if colour.is_none() {
            return Ok(None);
        }
        let members = members(&wishes, mine[0]);
        let first = self.agree_on_contexts(&round, &members)?;
        let group = Group::new(members.iter().filter_map(|rank| self.group().peer(*rank)));
        let rank = members.iter().take_while(|rank| **rank != self.rank()).count();
        Ok(Some(self.constructed(first, group, rank as Rank)))
    }

    /// The group's first member draws, and tells the others.
    fn agree_on_contexts(&self, round: &Round<'_, 'u>, members: &[Rank]) -> Result<u32> {
        let leader = members[0];
        if leader != self.rank() {
            return Ok(round.receive::<u32>(leader, 1)?[0]);
        }
        let first = self.draw_contexts()?;
        for member in &members[1..] {
            round.send(*member, &[first])?;
        }
        Ok(first)
    }
}

/// The ranks of one colour, by key, then by rank.
fn members(wishes: &[Wish], colour: i64) -> Vec<Rank> {
    let mut members: Vec<(i64, Rank)> =
        (0..).zip(wishes).filter(|(_, wish)| wish[0] == colour).map(|(rank, wish)| (wish[1], rank)).collect();
    members.sort_unstable();
    members.into_iter().map(|(_, rank)| rank).collect()
}
