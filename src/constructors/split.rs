//! Split.

use crate::{
    coll::Round,
    communicator::{Base, Communicator, Foundation, Membership},
    error::{Error, ErrorClass, Result},
    group::Members,
    types::Rank,
};

/// What a rank says about the group that it wants to be in: colour (−1 for none) and key.
type Wish = [i64; 2];

impl<'u> Communicator<'u> {
    /// Splits the communicator: ranks of one colour form a new one, ordered by key, then by rank. All ranks
    /// call it.
    ///
    /// Where MPI takes a negative number for "no communicator" (`MPI_UNDEFINED`), the colour is `None`, and so
    /// is what comes back; every number is a colour.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// // The last rank stays out; the others are turned round.
    /// let colour = (world.rank() < 3).then_some(0);
    /// let split = world.split(colour, -world.rank())?;
    /// assert_eq!(split.map(|comm| comm.rank()), colour.map(|_| 2 - world.rank()));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that took part by another call; the end of the job; all context ids used up.
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_split`.
    pub fn split(&self, colour: Option<u32>, key: i32) -> Result<Option<Communicator<'u>>> {
        self.tidy();
        let mine: Wish = [colour.map_or(-1, i64::from), key.into()];
        let wishes = self.all_gather_to_construct(&[mine])?;
        check_wishes(&wishes)?;
        let members = colour.map(|_| members(&wishes, mine[0]));
        self.of_members(members.as_deref())
    }

    /// The ranks that can share memory, ordered by key, then by rank: all of them, since a job is on one
    /// machine. All ranks call it.
    ///
    /// ```
    /// # ringmpi::threads(3, |world| {
    /// let machine = world.split_shared(0)?;
    /// assert_eq!((machine.rank(), machine.size()), (world.rank(), world.size()));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`split`](Self::split).
    ///
    /// # Standard
    /// MPI 5.0, 7.4.2: `MPI_Comm_split_type` with `MPI_COMM_TYPE_SHARED`.
    pub fn split_shared(&self, key: i32) -> Result<Communicator<'u>> {
        Ok(self.split(Some(0), key)?.expect("a colour was given"))
    }

    /// The last step of a constructor that all ranks call: every rank knows which ones, in which order, it is
    /// with in a new communicator, if any.
    pub(super) fn of_members(&self, members: Option<&[Rank]>) -> Result<Option<Communicator<'u>>> {
        self.in_round(|round| {
            let Some(members) = members else { return Ok(Ok(None)) };
            let me = members.iter().take_while(|rank| **rank != self.rank()).count();
            let group = Members::new(members.iter().filter_map(|rank| self.local().group.peer(*rank)));
            let base = self.agree(round, members, me)?;
            Ok(base.map(|base| Some(self.on_base(base, group, me as Rank))))
        })?
    }

    /// The group's first member lays the foundation, and tells the others: also if there is none.
    fn agree(&self, round: &Round<'_, 'u>, members: &[Rank], me: usize) -> Result<Result<Base>> {
        let membership = Membership { members: members.len(), me };
        if me > 0 {
            let told = round.receive::<u64>(members[0], 2)?;
            return Ok(Foundation([told[0], told[1]]).join(self.engine(), membership));
        }
        let laid = Foundation::lay(self.engine(), members.len());
        let foundation = Foundation::of(&laid);
        for member in &members[1..] {
            round.send(*member, &foundation.0)?;
        }
        Ok(laid.map(|laid| laid.1))
    }
}

/// The ranks of one colour, by key, then by rank.
fn members(wishes: &[Wish], colour: i64) -> Vec<Rank> {
    let mut members: Vec<(i64, Rank)> =
        (0..).zip(wishes).filter(|(_, wish)| wish[0] == colour).map(|(rank, wish)| (wish[1], rank)).collect();
    members.sort_unstable();
    members.into_iter().map(|(_, rank)| rank).collect()
}

/// All ranks see the same wishes, so that all find the same one wrong.
fn check_wishes(wishes: &[Wish]) -> Result<()> {
    let is_wish =
        |wish: &Wish| (-1..=i64::from(u32::MAX)).contains(&wish[0]) && i32::try_from(wish[1]).is_ok();
    match wishes.iter().position(|wish| !is_wish(wish)) {
        None => Ok(()),
        Some(rank) => {
            let what = format!("split: rank {rank} took part without a colour and a key");
            Err(Error::new(ErrorClass::COMM, what)
                .with_help("all ranks have to call split, as the same call"))
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_colour_and_key_that_can_be_given_is_a_wish() {
        check_wishes(&[[-1, 0], [u32::MAX.into(), i32::MIN.into()], [0, i32::MAX.into()]]).unwrap();
        for wish in [[-2, 0], [1 << 32, 0], [0, 1 << 31], [0, -(1 << 31) - 1]] {
            check_wishes(&[[0, 0], wish]).unwrap_err();
        }
    }
}
