//! Groups: ordered sets of processes.

use crate::{
    communicator::Communicator,
    error::{Error, ErrorClass, Result},
    p2p::Engine,
    status::PROC_NULL,
    types::{PeerId, Rank},
};
use std::{collections::HashMap, sync::Arc};

/// Processes by rank: what a communicator looks a peer up in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Members(Arc<[PeerId]>);

impl Members {
    pub(crate) fn new(members: impl IntoIterator<Item = PeerId>) -> Self {
        Self(members.into_iter().collect())
    }

    /// How many processes there are.
    #[inline]
    pub(crate) fn size(&self) -> Rank {
        // At most RANKS_MAX.
        self.0.len() as Rank
    }

    /// The process with a rank.
    #[inline]
    pub(crate) fn peer(&self, rank: Rank) -> Option<PeerId> {
        self.0.get(usize::try_from(rank).ok()?).copied()
    }

    /// All members, in the order of their ranks.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = PeerId> + '_ {
        self.0.iter().copied()
    }

    /// The rank of a process.
    pub(crate) fn rank_of(&self, peer: PeerId) -> Option<Rank> {
        self.0.iter().position(|member| *member == peer).map(|rank| rank as Rank)
    }

    /// The ranks of all members, for looking up many.
    pub(crate) fn ranks(&self) -> HashMap<PeerId, Rank> {
        self.iter().zip(0..).collect()
    }

    /// A number that other members, in another number or order, hardly ever have too.
    pub(crate) fn digest(&self) -> u64 {
        let mix = |digest: u64, peer: PeerId| {
            (digest ^ u64::from(peer.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        };
        self.iter().fold(0xcbf2_9ce4_8422_2325, mix)
    }

    pub(crate) fn compare(&self, other: &Self) -> GroupRelation {
        if self == other {
            return GroupRelation::Identical;
        }
        let ranks = other.ranks();
        let is_similar = self.size() == other.size() && self.iter().all(|member| ranks.contains_key(&member));
        if is_similar { GroupRelation::Similar } else { GroupRelation::Unequal }
    }
}

/// An ordered set of processes of one job. Local: no call on it communicates.
///
/// ```
/// # ringmpi::threads(4, |world| {
/// let all = world.group();
/// let even = all.range_include(&[(0, 3, 2)])?;
/// let odd = all.difference(&even)?;
/// assert_eq!((even.size(), odd.rank().is_some()), (2, world.rank() % 2 == 1));
/// // Rank 0 of the odd ones is rank 1 of all, and no even one.
/// assert_eq!(odd.translate_rank(0, &all)?, Some(1));
/// assert_eq!(odd.translate_rank(0, &even)?, None);
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 7.3.
#[derive(Clone)]
pub struct Group<'u> {
    /// Says whose processes they are: those of two universes are strangers to each other.
    engine: &'u Engine,
    members: Members,
}

/// How two groups compare.
///
/// ```
/// use ringmpi::GroupRelation;
/// # ringmpi::threads(3, |world| {
/// let (all, turned) = (world.group(), world.group().include(&[2, 1, 0])?);
/// let advice = match all.compare(&turned) {
///     GroupRelation::Identical => "use ranks as they are",
///     GroupRelation::Similar => "translate ranks first",
///     GroupRelation::Unequal => "some are missing",
/// };
/// assert_eq!(advice, "translate ranks first");
/// # ringmpi::Result::Ok(())
/// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
/// # Ok::<(), ringmpi::Error>(())
/// ```
///
/// # Standard
/// MPI 5.0, 7.3.1: `MPI_IDENT`, `MPI_SIMILAR`, `MPI_UNEQUAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRelation {
    /// The same processes in the same order.
    Identical,
    /// The same processes in another order.
    Similar,
    /// Other processes.
    Unequal,
}

/// Ranks `first`, `first + stride`, … up to `last`, or down to it.
type Range = (Rank, Rank, Rank);

impl<'u> Group<'u> {
    pub(crate) fn new(engine: &'u Engine, members: Members) -> Self {
        Self { engine, members }
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// Whether the processes are those of the engine's job, as this process knows them.
    pub(crate) fn is_of(&self, engine: &Engine) -> bool {
        std::ptr::eq(self.engine, engine)
    }

    /// How many processes there are; 0 for the empty group.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// assert_eq!(world.group().size(), 4);
    /// assert_eq!(world.group().include(&[])?.size(), 0);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.3.1: `MPI_Group_size`.
    #[must_use]
    pub fn size(&self) -> Rank {
        self.members.size()
    }

    /// The rank of this process; `None` if it is no member.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let upper = world.group().exclude(&[0, 1])?;
    /// assert_eq!(upper.rank(), (world.rank() > 1).then_some(world.rank() - 2));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.3.1: `MPI_Group_rank`.
    #[must_use]
    pub fn rank(&self) -> Option<Rank> {
        self.members.rank_of(self.engine.me())
    }

    /// All processes of this group, in its order, then those of the other one that are not in this one, in
    /// its order.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let (ends, lower) = (world.group().include(&[3, 0])?, world.group().include(&[0, 1])?);
    /// let all = ends.union(&lower)?;
    /// assert_eq!(all.translate_ranks(&[0, 1, 2], &world.group())?, [Some(3), Some(0), Some(1)]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A group of another universe.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_union`.
    pub fn union(&self, other: &Self) -> Result<Self> {
        self.check_universe("Group::union", other)?;
        let ranks = self.members.ranks();
        let others = other.members.iter().filter(|peer| !ranks.contains_key(peer));
        Ok(self.of(self.members.iter().chain(others)))
    }

    /// The processes of this group that are in the other one too, in the order of this one.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let (ends, lower) = (world.group().include(&[3, 0])?, world.group().include(&[0, 1])?);
    /// let both = ends.intersection(&lower)?;
    /// assert_eq!((both.size(), both.translate_rank(0, &world.group())?), (1, Some(0)));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A group of another universe.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_intersection`.
    pub fn intersection(&self, other: &Self) -> Result<Self> {
        self.check_universe("Group::intersection", other)?;
        let ranks = other.members.ranks();
        Ok(self.of(self.members.iter().filter(|peer| ranks.contains_key(peer))))
    }

    /// The processes of this group that are not in the other one, in the order of this one.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let (ends, lower) = (world.group().include(&[3, 0])?, world.group().include(&[0, 1])?);
    /// let upper = ends.difference(&lower)?;
    /// assert_eq!((upper.size(), upper.translate_rank(0, &world.group())?), (1, Some(3)));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A group of another universe.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_difference`.
    pub fn difference(&self, other: &Self) -> Result<Self> {
        self.check_universe("Group::difference", other)?;
        let ranks = other.members.ranks();
        Ok(self.of(self.members.iter().filter(|peer| !ranks.contains_key(peer))))
    }

    /// The processes with these ranks, in this order: rank `i` of the result is rank `ranks[i]` of this group.
    /// No ranks give the empty group.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let turned = world.group().include(&[3, 2, 1, 0])?;
    /// assert_eq!(turned.rank(), Some(3 - world.rank()));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that does not exist, or that is there twice.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_incl`.
    pub fn include(&self, ranks: &[Rank]) -> Result<Self> {
        self.included(ranks, |index| format!("Group::include: ranks[{index}]"))
    }

    /// The processes but those with these ranks, in the order of this group.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let others = world.group().exclude(&[0])?;
    /// assert_eq!(others.rank(), (world.rank() > 0).then_some(world.rank() - 1));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that does not exist, or that is there twice.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_excl`.
    pub fn exclude(&self, ranks: &[Rank]) -> Result<Self> {
        self.excluded(ranks, |index| format!("Group::exclude: ranks[{index}]"))
    }

    /// As [`include`](Self::include), of the ranks of ranges (first, last, stride): `first`,
    /// `first + stride`, … as far as they do not go beyond `last`. A negative stride counts down.
    ///
    /// ```
    /// # ringmpi::threads(1, |world| {
    /// let refused = world.group().range_include(&[(0, 0, 0)]).map(drop).unwrap_err();
    /// assert!(refused.to_string().contains("ranges[0] is (0, 0, 0)"));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A stride of 0, or one that leads away from `last`; a rank that does not exist, or that is there
    /// twice.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_range_incl`.
    pub fn range_include(&self, ranges: &[Range]) -> Result<Self> {
        const NAME: &str = "Group::range_include";
        let (ranks, origins) = self.expand(NAME, ranges)?;
        self.included(&ranks, |index| of_range(NAME, ranges, origins[index]))
    }

    /// As [`exclude`](Self::exclude), of the ranks of ranges, which are written as in
    /// [`range_include`](Self::range_include).
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let odd = world.group().range_exclude(&[(0, 3, 2)])?;
    /// assert_eq!(odd.translate_ranks(&[0, 1], &world.group())?, [Some(1), Some(3)]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`range_include`](Self::range_include).
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Group_range_excl`.
    pub fn range_exclude(&self, ranges: &[Range]) -> Result<Self> {
        const NAME: &str = "Group::range_exclude";
        let (ranks, origins) = self.expand(NAME, ranges)?;
        self.excluded(&ranks, |index| of_range(NAME, ranges, origins[index]))
    }

    /// The rank in the other group of the process that has this rank here; `None` if it is not in there.
    /// [`PROC_NULL`] stays what it is.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let ends = world.group().include(&[3, 0])?;
    /// assert_eq!(world.group().translate_rank(3, &ends)?, Some(0));
    /// assert_eq!(world.group().translate_rank(1, &ends)?, None);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank that does not exist; a group of another universe.
    ///
    /// # Standard
    /// MPI 5.0, 7.3.1: `MPI_Group_translate_ranks`.
    pub fn translate_rank(&self, rank: Rank, other: &Self) -> Result<Option<Rank>> {
        self.check_universe("Group::translate_rank", other)?;
        let peer = self.peer_or_null(rank, || "Group::translate_rank: rank".into())?;
        Ok(peer.map_or(Some(PROC_NULL), |peer| other.members.rank_of(peer)))
    }

    /// As [`translate_rank`](Self::translate_rank), for many.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// let ends = world.group().include(&[3, 0])?;
    /// assert_eq!(world.group().translate_ranks(&[0, 1, 3], &ends)?, [Some(1), None, Some(0)]);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`translate_rank`](Self::translate_rank).
    ///
    /// # Standard
    /// MPI 5.0, 7.3.1: `MPI_Group_translate_ranks`.
    pub fn translate_ranks(&self, ranks: &[Rank], other: &Self) -> Result<Vec<Option<Rank>>> {
        self.check_universe("Group::translate_ranks", other)?;
        let others = other.members.ranks();
        let translate = |(index, rank): (usize, &Rank)| {
            let peer = self.peer_or_null(*rank, || format!("Group::translate_ranks: ranks[{index}]"))?;
            Ok(peer.map_or(Some(PROC_NULL), |peer| others.get(&peer).copied()))
        };
        ranks.iter().enumerate().map(translate).collect()
    }

    /// Whether both have the same processes, and in the same order. Groups of different universes are unequal.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// use ringmpi::GroupRelation;
    /// let turned = world.group().include(&[3, 2, 1, 0])?;
    /// assert_eq!(turned.compare(&world.group()), GroupRelation::Similar);
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.3.1: `MPI_Group_compare`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> GroupRelation {
        if other.is_of(self.engine) { self.members.compare(&other.members) } else { GroupRelation::Unequal }
    }

    fn of(&self, members: impl IntoIterator<Item = PeerId>) -> Self {
        Self { engine: self.engine, members: Members::new(members) }
    }

    fn check_universe(&self, function: &str, other: &Self) -> Result<()> {
        if other.is_of(self.engine) { Ok(()) } else { Err(strange_group(function)) }
    }

    fn included(&self, ranks: &[Rank], name: impl Fn(usize) -> String) -> Result<Self> {
        self.check_ranks(ranks, name)?;
        Ok(self.of(ranks.iter().filter_map(|rank| self.members.peer(*rank))))
    }

    fn excluded(&self, ranks: &[Rank], name: impl Fn(usize) -> String) -> Result<Self> {
        let is_named = self.check_ranks(ranks, name)?;
        Ok(self.of(self.members.iter().zip(is_named).filter(|(_, is_named)| !is_named).map(|(peer, _)| peer)))
    }

    /// Whether each rank of the group is among these; errs if one does not exist or comes twice.
    fn check_ranks(&self, ranks: &[Rank], name: impl Fn(usize) -> String) -> Result<Vec<bool>> {
        let mut is_named = vec![false; self.members.0.len()];
        for (index, &rank) in ranks.iter().enumerate() {
            let place = usize::try_from(rank).ok().and_then(|rank| is_named.get_mut(rank));
            match place {
                None => return Err(self.no_rank(&name(index), rank)),
                Some(is_named) if *is_named => {
                    let what = format!("{} is {rank}, which is named twice", name(index));
                    return Err(Error::new(ErrorClass::RANK, what));
                }
                Some(is_named) => *is_named = true,
            }
        }
        Ok(is_named)
    }

    /// The ranks of ranges, and of which range each is.
    fn expand(&self, function: &str, ranges: &[Range]) -> Result<(Vec<Rank>, Vec<usize>)> {
        let (mut ranks, mut origins) = (Vec::new(), Vec::new());
        for (index, &(first, last, stride)) in ranges.iter().enumerate() {
            let [start, end, step] = [first, last, stride].map(i64::from);
            if stride == 0 || (end - start) * step.signum() < 0 {
                let what = format!("{function}: ranges[{index}] is {:?}", ranges[index]);
                return Err(Error::new(ErrorClass::ARG, what)
                    .with_help("give first, last, and a stride that leads from one to the other"));
            }
            for number in 0..=(end - start) / step {
                let rank = start + number * step;
                let rank = Rank::try_from(rank).expect("between two ranks");
                // Before a long list is made of ranks that do not exist.
                if self.members.peer(rank).is_none() {
                    return Err(self.no_rank(&of_range(function, ranges, index), rank));
                }
                ranks.push(rank);
                origins.push(index);
            }
        }
        Ok((ranks, origins))
    }

    fn peer_or_null(&self, rank: Rank, name: impl FnOnce() -> String) -> Result<Option<PeerId>> {
        match self.members.peer(rank) {
            None if rank == PROC_NULL => Ok(None),
            None => Err(self.no_rank(&name(), rank)),
            peer => Ok(peer),
        }
    }

    #[cold]
    fn no_rank(&self, name: &str, rank: Rank) -> Error {
        let has = match self.size() {
            0 => "the group is empty".into(),
            size => format!("the group has ranks 0 to {}", size - 1),
        };
        Error::new(ErrorClass::RANK, format!("{name} is {rank}: {has}"))
    }
}

/// What a rank of a range is called in an error.
fn of_range(function: &str, ranges: &[Range], index: usize) -> String {
    format!("{function}: a rank of ranges[{index}], {:?},", ranges[index])
}

#[cold]
fn strange_group(function: &str) -> Error {
    Error::new(ErrorClass::GROUP, format!("{function}: the groups are of different universes"))
}

impl std::fmt::Debug for Group<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let members: Vec<u32> = self.members.iter().map(|peer| peer.0).collect();
        write!(f, "Group {{ processes {members:?} }}")
    }
}

impl<'u> Communicator<'u> {
    /// The communicator's processes.
    ///
    /// ```
    /// # ringmpi::threads(4, |world| {
    /// assert_eq!(world.group().rank(), Some(world.rank()));
    /// # ringmpi::Result::Ok(())
    /// # })?.into_iter().collect::<ringmpi::Result<()>>()?;
    /// # Ok::<(), ringmpi::Error>(())
    /// ```
    ///
    /// # Standard
    /// MPI 5.0, 7.3.2: `MPI_Comm_group`.
    #[must_use]
    pub fn group(&self) -> Group<'u> {
        Group::new(self.engine(), self.local().group.clone())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{
        p2p::Config,
        shm::{doorbell::BarrierMode, segment::Segment},
    };

    fn engine(me: u32) -> Engine {
        let segment = Segment::on_heap(8).unwrap();
        Engine::new(&segment, PeerId(me), Config::new(BarrierMode::Fence)).unwrap()
    }

    fn group<'u>(engine: &'u Engine, members: &[u32]) -> Group<'u> {
        Group::new(engine, Members::new(members.iter().copied().map(PeerId)))
    }

    fn members(group: &Group<'_>) -> Vec<u32> {
        group.members.iter().map(|peer| peer.0).collect()
    }

    #[test]
    fn the_first_group_decides_the_order() {
        let engine = &engine(3);
        let (a, b) = (group(engine, &[5, 3, 1]), group(engine, &[1, 2, 3, 7]));
        assert_eq!(members(&a.union(&b).unwrap()), [5, 3, 1, 2, 7]);
        assert_eq!(members(&b.union(&a).unwrap()), [1, 2, 3, 7, 5]);
        assert_eq!(members(&a.intersection(&b).unwrap()), [3, 1]);
        assert_eq!(members(&b.intersection(&a).unwrap()), [1, 3]);
        assert_eq!(members(&a.difference(&b).unwrap()), [5]);
        assert_eq!(members(&b.difference(&a).unwrap()), [2, 7]);
        let empty = a.include(&[]).unwrap();
        assert_eq!((empty.size(), empty.rank()), (0, None));
        assert_eq!(members(&empty.union(&a).unwrap()), [5, 3, 1]);
        assert_eq!((a.rank(), b.rank(), a.difference(&b).unwrap().rank()), (Some(1), Some(2), None));
    }

    #[test]
    fn ranks_and_ranges_are_taken_in_their_order_and_left_out_in_the_groups() {
        let engine = &engine(0);
        let all = group(engine, &[10, 11, 12, 13, 14, 15, 16, 17]);
        assert_eq!(members(&all.include(&[3, 0, 7]).unwrap()), [13, 10, 17]);
        assert_eq!(members(&all.exclude(&[3, 0, 7]).unwrap()), [11, 12, 14, 15, 16]);
        assert_eq!(members(&all.exclude(&[]).unwrap()), members(&all));
        for (range, expected) in [
            ((1, 6, 2), vec![11, 13, 15]),
            ((6, 1, -2), vec![16, 14, 12]),
            ((4, 4, 9), vec![14]),
            ((4, 4, -1), vec![14]),
            ((0, 100, 200), vec![10]),
        ] {
            assert_eq!(members(&all.range_include(&[range]).unwrap()), expected, "{range:?}");
        }
        let two = all.range_include(&[(7, 6, -1), (0, 2, 1)]).unwrap();
        assert_eq!(members(&two), [17, 16, 10, 11, 12]);
        assert_eq!(members(&all.range_exclude(&[(7, 6, -1), (0, 2, 1)]).unwrap()), [13, 14, 15]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_function_argument_and_value() {
        let engine = &engine(0);
        let all = group(engine, &[10, 11, 12, 13]);
        let empty = all.include(&[]).unwrap();
        let refused = |result: Result<Group<'_>>, class, facts: &[&str]| {
            let error = result.map(drop).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.class(), class, "{text}");
            facts.iter().for_each(|fact| assert!(text.contains(fact), "{fact} is missing in: {text}"));
        };
        let (rank, arg) = (ErrorClass::RANK, ErrorClass::ARG);
        refused(all.include(&[0, 4]), rank, &["Group::include", "ranks[1] is 4", "0 to 3"]);
        refused(all.include(&[-1]), rank, &["ranks[0] is -1"]);
        refused(all.include(&[2, 1, 2]), rank, &["Group::include", "ranks[2] is 2", "twice"]);
        refused(all.exclude(&[9]), rank, &["Group::exclude", "ranks[0] is 9"]);
        refused(all.exclude(&[1, 1]), rank, &["Group::exclude", "ranks[1] is 1"]);
        refused(empty.exclude(&[0]), rank, &["ranks[0] is 0", "empty"]);
        refused(
            all.range_include(&[(0, 1, 1), (3, 3, 0)]),
            arg,
            &["range_include", "ranges[1] is (3, 3, 0)"],
        );
        refused(all.range_include(&[(0, 3, -1)]), arg, &["ranges[0] is (0, 3, -1)"]);
        refused(all.range_exclude(&[(0, i32::MAX, 1)]), rank, &["range_exclude", "is 4"]);
        refused(all.range_include(&[(i32::MIN, i32::MAX, 1)]), rank, &["ranges[0]", &i32::MIN.to_string()]);
        refused(all.range_include(&[(0, 3, 1), (2, 2, 1)]), rank, &["ranges[1]", "is 2", "twice"]);
    }

    #[test]
    fn ranks_are_translated_and_the_null_process_stays_what_it_is() {
        let engine = &engine(0);
        let (a, b) = (group(engine, &[4, 5, 6]), group(engine, &[6, 0, 4]));
        let all = a.translate_ranks(&[0, 1, 2, 2, PROC_NULL], &b).unwrap();
        assert_eq!(all, [Some(2), None, Some(0), Some(0), Some(PROC_NULL)]);
        for (rank, expected) in [0, 1, 2, 2, PROC_NULL].into_iter().zip(all) {
            assert_eq!(a.translate_rank(rank, &b).unwrap(), expected);
        }
        let error = a.translate_ranks(&[0, 3], &b).unwrap_err().to_string();
        assert!(error.contains("Group::translate_ranks: ranks[1] is 3"), "{error}");
        assert_eq!(a.translate_rank(-1, &b).unwrap_err().class(), ErrorClass::RANK);
    }

    #[test]
    fn groups_compare_by_their_processes_and_order() {
        let engine = &engine(0);
        let [a, same, turned, other, more] =
            [&[4, 5, 6][..], &[4, 5, 6], &[5, 4, 6], &[4, 5, 7], &[4, 5, 6, 7]].map(|all| group(engine, all));
        assert_eq!(a.compare(&same), GroupRelation::Identical);
        assert_eq!(a.compare(&turned), GroupRelation::Similar);
        assert_eq!(a.compare(&other), GroupRelation::Unequal);
        assert_eq!(a.compare(&more), GroupRelation::Unequal);
        assert_eq!(more.compare(&a), GroupRelation::Unequal);
        let empty = a.include(&[]).unwrap();
        assert_eq!(empty.compare(&empty.clone()), GroupRelation::Identical);
    }

    #[test]
    fn groups_of_different_universes_are_not_combined() {
        let (one, another) = (engine(0), engine(0));
        let (a, b) = (group(&one, &[0, 1]), group(&another, &[0, 1]));
        for result in [a.union(&b), a.intersection(&b), a.difference(&b)] {
            assert_eq!(result.map(drop).unwrap_err().class(), ErrorClass::GROUP);
        }
        assert_eq!(a.translate_rank(0, &b).unwrap_err().class(), ErrorClass::GROUP);
        assert_eq!(a.translate_ranks(&[], &b).unwrap_err().class(), ErrorClass::GROUP);
        assert_eq!(a.compare(&b), GroupRelation::Unequal);
    }
}
