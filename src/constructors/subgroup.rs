//! Communicators of subgroups.

use super::internal::Exchange;
use crate::{
    communicator::{Base, Communicator, Foundation, Membership},
    error::{Error, ErrorClass, Result},
    group::{Group, Members},
    types::{Rank, Tag},
};

/// What a rank says about the group that it has given: how many members plus one, and a digest. Two groups of
/// which both are equal count as the same.
type Said = [u64; 2];

/// It has given none that it could be in a communicator with.
const REFUSED: Said = [0; 2];

fn said(group: &Members) -> Said {
    [group.iter().len() as u64 + 1, group.digest()]
}

impl<'u> Communicator<'u> {
    /// A communicator of the processes of a group, in its order. All ranks call it; those that are not in the
    /// group that they give get `None`. Ranks may give different groups if these have no process in common:
    /// each becomes a communicator.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let all = world.group();
    /// let upper = all.include(&[3, 2])?;
    /// let mine = if world.rank() < 2 { all.difference(&upper)? } else { upper };
    /// let pair = world.split_by_subgroup_collective(&mine)?.expect("each rank gives its own group");
    /// assert_eq!((pair.size(), pair.rank()), (2, [0, 1, 1, 0][world.rank() as usize]));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A process that is not in the communicator; a member that has given another group, which each member of
    /// this one learns: then nobody gets this communicator. The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_create`.
    pub fn split_by_subgroup_collective(&self, group: &Group<'_>) -> Result<Option<Communicator<'u>>> {
        const NAME: &str = "Communicator::split_by_subgroup_collective";
        self.tidy();
        let ranks = self.ranks_of(NAME, group);
        let mine = if ranks.is_ok() { said(group.members()) } else { REFUSED };
        let said = self.all_gather_to_construct(&[mine])?;
        let members = ranks.and_then(|ranks| {
            if group.rank().is_none() {
                return Ok(None);
            }
            match ranks.iter().find(|rank| said[**rank as usize] != mine) {
                None => Ok(Some(ranks)),
                Some(rank) => Err(other_group(NAME, *rank)),
            }
        });
        // Takes its part in the collective whatever it has found.
        let made = self.of_members(members.as_ref().ok().and_then(Option::as_deref));
        members.and(made)
    }

    /// A communicator of the processes of a group, in its order, which only these call: others go on
    /// meanwhile. A process that is not in the group gets `None` at once.
    ///
    /// Threads may do so at the same time with different tags. The tag has nothing to do with those of
    /// messages.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let ends = world.group().include(&[2, 0])?;
    /// if ends.rank().is_some() {
    ///     let pair = world.split_by_subgroup(&ends, 7)?.expect("a member");
    ///     assert_eq!((pair.size(), pair.rank()), (2, if world.rank() == 2 { 0 } else { 1 }));
    /// }
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A process that is not in the communicator; a negative tag; a member that has given another group with
    /// the same first process. The end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_create_group`.
    pub fn split_by_subgroup(&self, group: &Group<'_>, tag: Tag) -> Result<Option<Communicator<'u>>> {
        const NAME: &str = "Communicator::split_by_subgroup";
        let exchange = Exchange::of_subgroup(self, NAME, tag)?;
        let ranks = self.ranks_of(NAME, group)?;
        let Some(me) = group.rank() else { return Ok(None) };
        self.check_caller()?;
        self.tidy();
        let base = if me == 0 {
            self.lead_subgroup(&exchange, group.members(), &ranks)?
        } else {
            exchange.send(ranks[0], &said(group.members()))?;
            let mut told = Foundation::NONE;
            exchange.receive(ranks[0], &mut told.0)?;
            if let Some(rank) = contradictor(told) {
                return Err(other_group(NAME, rank));
            }
            told.join(self.engine(), Membership { members: ranks.len(), me: me as usize })?
        };
        Ok(Some(self.on_base(base, group.members().clone(), me)))
    }

    /// The first member hears from all, and tells all what has come of it.
    fn lead_subgroup(&self, exchange: &Exchange<'_, '_>, group: &Members, ranks: &[Rank]) -> Result<Base> {
        let mut contradictor = None;
        for &rank in &ranks[1..] {
            let mut heard = REFUSED;
            exchange.receive(rank, &mut heard)?;
            if heard != said(group) {
                contradictor.get_or_insert(rank);
            }
        }
        let laid = match contradictor {
            None => Foundation::lay(self.engine(), ranks.len()),
            Some(rank) => Err(other_group("Communicator::split_by_subgroup", rank)),
        };
        let told = contradictor.map_or_else(|| Foundation::of(&laid), contradicted);
        for &rank in &ranks[1..] {
            exchange.send(rank, &told.0)?;
        }
        laid.map(|laid| laid.1)
    }

    /// The ranks of the group's processes in this communicator.
    fn ranks_of(&self, function: &str, group: &Group<'_>) -> Result<Vec<Rank>> {
        if !group.is_of(self.engine()) {
            let what = format!("{function}: group is of another universe than the communicator");
            return Err(Error::new(ErrorClass::GROUP, what));
        }
        let ranks = self.local().group.ranks();
        let rank_of = |(index, peer)| {
            ranks.get(&peer).copied().ok_or_else(|| {
                let what = format!("{function}: rank {index} of the group is not in the communicator");
                Error::new(ErrorClass::GROUP, what)
            })
        };
        group.members().iter().enumerate().map(rank_of).collect()
    }
}

/// What the leader tells instead of a foundation, whose first word is never 0.
fn contradicted(rank: Rank) -> Foundation {
    Foundation([0, 1 + u64::from(rank.unsigned_abs())])
}

fn contradictor(told: Foundation) -> Option<Rank> {
    match told.0 {
        [0, rank] => rank.checked_sub(1).and_then(|rank| Rank::try_from(rank).ok()),
        _ => None,
    }
}

#[cold]
fn other_group(function: &str, rank: Rank) -> Error {
    Error::new(
        ErrorClass::GROUP,
        format!("{function}: rank {rank}, which is in the group, has given another"),
    )
    .with_help("all processes of a group have to give the same, in the same order")
}
