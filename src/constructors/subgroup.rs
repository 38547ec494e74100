//! Communicators of subgroups.

use super::{
    internal::Exchange,
    members::{Agreement, other_group},
};
use crate::{
    communicator::{Communicator, Foundation, Membership},
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
    /// A process that is not in the communicator; a negative tag; a member that has given another group, if it has this
    /// group's first process in it, and is the first of its own or has the same first one: then nobody gets this
    /// communicator. (Another member might call it with this group yet.) The end of the job; all context ids used up.
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
        let agreement =
            Agreement { function: NAME, exchange: &exchange, group: group.members(), ranks: &ranks };
        let base = if me == 0 {
            agreement.lead(|| Foundation::lay(self.engine(), ranks.len()))?
        } else {
            let membership = Membership { members: ranks.len(), me: me as usize };
            agreement.follow()?.join(self.engine(), membership)?
        };
        Ok(Some(self.on_base(base, group.members().clone(), me)))
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
