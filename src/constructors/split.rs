//! Split.

use super::{Foundation, NOT_FOUNDED};
use crate::{
    coll::Round,
    communicator::{Communicator, SharedBoard},
    error::Result,
    group::Members,
    types::Rank,
};

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
        let mut collective = self.enter_collective()?;
        let round = collective.next_round(self);
        if colour.is_none() {
            return Ok(None);
        }
        let members = members(&wishes, mine[0]);
        let me = members.iter().take_while(|rank| **rank != self.rank()).count();
        let (foundation, board) = self.agree(&round, &members, me)?;
        let group = Members::new(members.iter().filter_map(|rank| self.local().group.peer(*rank)));
        Ok(Some(self.constructed(foundation, group, me as Rank, board)))
    }

    /// The group's first member founds the communicator, and tells the others.
    fn agree(
        &self,
        round: &Round<'_, 'u>,
        members: &[Rank],
        me: usize,
    ) -> Result<(Foundation, Option<SharedBoard>)> {
        if me > 0 {
            let told = round.receive::<u64>(members[0], 2)?;
            let foundation = [told[0], told[1]];
            return Ok((foundation, self.attach(foundation, members.len(), me)?));
        }
        let founded = self.found(members.len());
        let foundation = founded.as_ref().map_or(NOT_FOUNDED, |founded| founded.0);
        for member in &members[1..] {
            round.send(*member, &foundation)?;
        }
        founded
    }
}

/// The ranks of one colour, by key, then by rank.
fn members(wishes: &[Wish], colour: i64) -> Vec<Rank> {
    let mut members: Vec<(i64, Rank)> =
        (0..).zip(wishes).filter(|(_, wish)| wish[0] == colour).map(|(rank, wish)| (wish[1], rank)).collect();
    members.sort_unstable();
    members.into_iter().map(|(_, rank)| rank).collect()
}
