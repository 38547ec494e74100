//! Constructors of communicators that some ranks call wrongly: every rank's call ends, and the next one goes well.

use super::refused::refused;
use ringmpi::{Communicator, InterCommunicator, Rank, Result, Source, op};
use std::{sync::mpsc, time::Duration};

/// What hangs ends here.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `f` as the ranks of a job, each of which has to end well, and in time.
fn run(ranks: usize, f: impl Fn(&Communicator<'_>) -> Result<()> + Send + Sync + 'static) {
    in_time(move || super::run(ranks, f));
}

fn in_time(job: impl FnOnce() + Send + 'static) {
    let (end, ended) = mpsc::channel();
    let job = std::thread::spawn(move || {
        job();
        end.send(()).unwrap();
    });
    let hangs = ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
    assert!(!hangs, "some ranks wait for each other");
    job.join().unwrap();
}

/// The arguments of a group's rank that differ from right ones.
#[derive(Clone, Copy)]
struct Arguments {
    local_leader: Rank,
    remote_leader: Rank,
    tag: i32,
}

/// Two groups, the even and the odd ranks of the world, led by the world's ranks 0 and 1.
struct Halves<'c, 'u> {
    world: &'c Communicator<'u>,
    half: Communicator<'u>,
    is_odd: bool,
}

impl<'c, 'u> Halves<'c, 'u> {
    fn new(world: &'c Communicator<'u>) -> Result<Self> {
        let colour = world.rank() as u32 % 2;
        let half = world.split(Some(colour), 0)?.expect("a colour was given");
        Ok(Self { world, half, is_odd: colour == 1 })
    }

    fn right(&self) -> Arguments {
        Arguments { local_leader: 0, remote_leader: i32::from(!self.is_odd), tag: 3 }
    }

    fn create(&self, with: Arguments) -> Result<InterCommunicator<'u>> {
        self.half.create_intercommunicator(with.local_leader, self.world, with.remote_leader, with.tag)
    }

    /// With the same tag, and with leaders that have not met before.
    fn goes_well(&self) -> Result<()> {
        let mut last = self.right();
        let odd_ranks = self.world.size() / 2;
        (last.local_leader, last.remote_leader) = match self.is_odd {
            true => (odd_ranks - 1, self.world.size() - 1 - (self.world.size() - 1) % 2),
            false => (self.half.size() - 1, 2 * odd_ranks - 1),
        };
        for with in [self.right(), last, self.right()] {
            let bridge = self.create(with)?;
            let opposite = bridge.process_at_rank(bridge.rank() % bridge.remote_size());
            opposite.immediate_send(vec![self.world.rank()])?.wait()?;
            assert_eq!(bridge.remote_size() + bridge.size(), self.world.size());
            if bridge.rank() < bridge.remote_size() {
                let from = bridge.process_at_rank(bridge.rank()).receive::<Rank>()?.0;
                assert_eq!(from, 2 * bridge.rank() + i32::from(!self.is_odd));
            }
            let sum = bridge.duplicate()?.merge(self.is_odd)?.all_reduce_value(1, op::Sum)?;
            assert_eq!(sum, self.world.size());
        }
        Ok(())
    }
}

/// Of the arguments that the odd ranks give, `spoil` makes what the rank in their group gives.
fn is_told(
    facts: &'static [&'static str],
    spoil: impl Fn(Rank, Rank, &mut Arguments) + Send + Sync + Copy + 'static,
) {
    for ranks in [2, 3, 4, 7] {
        for rounds in [1, 3] {
            run(ranks, move |world| {
                let halves = Halves::new(world)?;
                for _ in 0..rounds {
                    let mut with = halves.right();
                    if halves.is_odd {
                        spoil(halves.half.rank(), halves.half.size(), &mut with);
                    }
                    let told: &[_] =
                        if halves.is_odd { facts } else { &["other group", "rank 1", "refuses"] };
                    refused(halves.create(with), &[&["create_intercommunicator"], told].concat());
                }
                halves.goes_well()
            });
        }
    }
}

#[test]
fn a_group_without_a_leader_tells_the_other_one() {
    is_told(&["local_leader 9"], |_, _, with| with.local_leader = 9);
}

#[test]
fn a_group_whose_last_rank_names_a_leader_that_does_not_exist_tells_the_other_one() {
    is_told(&[], |rank, size, with| {
        if rank == size - 1 {
            with.local_leader = -1;
        }
    });
}

#[test]
fn a_group_whose_ranks_name_different_leaders_tells_the_other_one() {
    // A single rank has to be wrong in another way.
    is_told(&["local_leader"], |rank, size, with| with.local_leader = if size == 1 { 1 } else { rank });
    is_told(&["local_leader"], |rank, size, with| {
        with.local_leader = if size == 1 { 1 } else { (rank + 1) % size }
    });
}

#[test]
fn a_group_one_of_whose_ranks_gives_a_negative_tag_tells_the_other_one() {
    is_told(&[], |rank, size, with| match size {
        1 => with.local_leader = -1,
        _ => with.tag -= if rank == size - 1 { 10 } else { 0 },
    });
}

#[test]
fn groups_that_both_refuse_do_not_wait() {
    for ranks in [2, 3, 5, 8] {
        run(ranks, |world| {
            let halves = Halves::new(world)?;
            for local_leader in [-1, world.size(), halves.half.rank()] {
                let mut with = Arguments { local_leader, ..halves.right() };
                if halves.half.size() == 1 {
                    with.local_leader = 1;
                }
                refused(halves.create(with), &["create_intercommunicator", "local_leader"]);
            }
            let with = Arguments { tag: -2, ..halves.right() };
            refused(halves.create(with), &["create_intercommunicator", "tag is -2"]);
            halves.goes_well()
        });
    }
}

/// Each of them in turn, the other one next: no call takes what was meant for another.
#[test]
fn groups_that_refuse_in_turn_stay_in_step() {
    for ranks in [2, 5, 6] {
        run(ranks, |world| {
            let halves = Halves::new(world)?;
            for round in 0..12 {
                let (evens_err, odds_err) = (round % 2 == 0, round % 3 == 0);
                let mut with = halves.right();
                if if halves.is_odd { odds_err } else { evens_err } {
                    with.local_leader = 9;
                }
                let made = halves.create(with);
                match evens_err || odds_err {
                    true => refused(made, &["create_intercommunicator"]),
                    false => made.map(drop)?,
                }
            }
            halves.goes_well()
        });
    }
}

/// The other leader follows this one, and does not know that it is to lead.
#[test]
fn a_remote_leader_of_the_own_group_is_an_error() {
    for ranks in [2, 3, 5] {
        run(ranks, |world| {
            for remote in 1..world.size() {
                let error = world.create_intercommunicator(0, world, remote, remote).map(drop).unwrap_err();
                let facts =
                    ["create_intercommunicator", if world.rank() == 0 { "in this group" } else { "rank 0" }];
                assert!(facts.iter().all(|fact| error.to_string().contains(fact)), "{error}");
            }
            world.barrier()
        });
    }
}

/// Of which only the leader can know.
#[test]
fn a_leader_of_whom_nothing_can_be_told_leaves_its_own_group_with_an_error() {
    for ranks in [3, 4, 7] {
        run(ranks, |world| {
            let halves = Halves::new(world)?;
            if halves.is_odd {
                for (remote_leader, fact) in
                    [(-1, "remote_leader -1"), (99, "remote_leader 99"), (1, "no other group")]
                {
                    let fact = if halves.half.rank() == 0 { fact } else { "rank 0" };
                    refused(halves.create(Arguments { remote_leader, ..halves.right() }), &[fact]);
                }
            }
            halves.goes_well()
        });
    }
}

#[test]
fn ranks_of_a_group_that_differ_in_high_leave_nobody_waiting() {
    for ranks in [3, 4, 7] {
        run(ranks, |world| {
            let halves = Halves::new(world)?;
            let bridge = halves.create(halves.right())?;
            for _ in 0..3 {
                // The even ones are always several.
                let high = !halves.is_odd && bridge.rank() == 0;
                refused(bridge.merge(high), &["InterCommunicator::merge"]);
            }
            assert_eq!(bridge.merge(halves.is_odd)?.all_reduce_value(1, op::Sum)?, world.size());
            halves.goes_well()
        });
    }
}

/// All ordered groups of some of so many ranks.
fn groups_of(ranks: Rank) -> Vec<Vec<Rank>> {
    let mut groups = vec![vec![]];
    let mut at = 0;
    while at < groups.len() {
        for next in (0..ranks).filter(|next| !groups[at].contains(next)).collect::<Vec<_>>() {
            let longer = [&groups[at][..], &[next]].concat();
            groups.push(longer);
        }
        at += 1;
    }
    groups
}

/// What each rank gives; nothing if it does not call.
type Given<'a> = [&'a [Rank]];

fn leads(given: &Given<'_>, rank: Rank) -> bool {
    given[rank as usize].first() == Some(&rank)
}

fn names(given: &Given<'_>, rank: Rank, other: Rank) -> bool {
    given[rank as usize].contains(&other)
}

/// Whether a rank's call has to end: all that it waits for speak to it in theirs.
fn ends(given: &Given<'_>, rank: Rank) -> bool {
    let Some(&leader) = given[rank as usize].first() else { return true };
    if leader != rank {
        let is_followed_by_its_leader = given[leader as usize].first() == Some(&rank);
        return is_followed_by_its_leader
            || leads(given, leader) && names(given, leader, rank) && ends(given, leader);
    }
    given[rank as usize][1..].iter().all(|&member| match given[member as usize].first() {
        None => false,
        Some(&theirs) if theirs == rank => true,
        Some(&theirs) if theirs == member => names(given, member, rank),
        // It is sent here by its leader.
        Some(&theirs) => {
            leads(given, theirs)
                && [(theirs, member), (theirs, rank), (rank, theirs)]
                    .iter()
                    .all(|(one, other)| names(given, *one, *other))
        }
    })
}

fn splits(world: &Communicator<'_>, given: &Given<'_>, tag: i32) -> Result<()> {
    let mine = given[world.rank() as usize];
    if mine.is_empty() {
        return Ok(());
    }
    let made = world.split_by_subgroup(&world.group().include(mine)?, tag);
    if mine.iter().any(|member| given[*member as usize] != mine) {
        refused(made, &["split_by_subgroup", "which is in the group, has given another"]);
        return Ok(());
    }
    let made = made?.expect("it is a member");
    assert_eq!(made.all_gather(&[world.rank()])?, mine);
    Ok(())
}

fn group_of(rank: Rank, of: &[Vec<Rank>]) -> Vec<&[Rank]> {
    of.iter().filter(|group| group.is_empty() || group.contains(&rank)).map(|group| &group[..]).collect()
}

#[test]
fn subgroups_of_three_ranks_that_contradict_each_other_leave_nobody_waiting() {
    run(3, |world| {
        let groups = groups_of(3);
        let of: Vec<_> = (0..3).map(|rank| group_of(rank, &groups)).collect();
        let (all, mut tried) = ([2, 0, 1], 0);
        for number in 0..of.iter().map(Vec::len).product() {
            let lens = [of[0].len(), of[1].len()];
            let at = [number % lens[0], number / lens[0] % lens[1], number / lens[0] / lens[1]];
            let given: [&[Rank]; 3] = std::array::from_fn(|rank| of[rank][at[rank]]);
            if (0..3).all(|rank| ends(&given, rank)) {
                splits(world, &given, 5)?;
                splits(world, &[&all[..]; 3], 5)?;
                tried += 1;
            }
        }
        assert!(tried > 100, "{tried}");
        Ok(())
    });
}

#[test]
fn subgroups_of_five_ranks_that_contradict_each_other_leave_nobody_waiting() {
    run(5, |world| {
        let groups = groups_of(5);
        let of: Vec<_> = (0..5).map(|rank| group_of(rank, &groups)).collect();
        let (mut seed, mut contradictions) = (1u64, 0);
        let mut below = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % limit
        };
        for _ in 0..200_000 {
            // A few groups, of which each rank gives one that it is in.
            let few: [usize; 3] = std::array::from_fn(|_| below(groups.len()));
            let given: [&[Rank]; 5] = std::array::from_fn(|rank| {
                let group = &groups[few[below(3)]][..];
                if group.contains(&(rank as Rank)) { group } else { of[rank][below(of[rank].len())] }
            });
            let differs = |rank: Rank| {
                let mine = given[rank as usize];
                mine.iter().any(|member| given[*member as usize] != mine)
            };
            if (0..5).all(|rank| ends(&given, rank)) && (0..5).filter(|rank| differs(*rank)).count() > 2 {
                splits(world, &given, 5)?;
                splits(world, &[&groups[groups.len() - 1][..]; 5], 5)?;
                contradictions += 1;
            }
        }
        assert!(contradictions > 100, "{contradictions}");
        Ok(())
    });
}

/// Each turns the same group round.
#[test]
fn ranks_that_all_lead_the_others_err() {
    for ranks in [2, 3, 4, 9] {
        run(ranks, |world| {
            let size = world.size();
            for round in 0..3 {
                let turned: Vec<Rank> = (0..size).map(|at| (world.rank() + at) % size).collect();
                let made = world.split_by_subgroup(&world.group().include(&turned)?, round % 2);
                refused(made, &["split_by_subgroup", "has given another"]);
            }
            let pair = world.split_by_subgroup(&world.group(), 1)?.expect("it is a member");
            assert_eq!(pair.all_reduce_value(1, op::Sum)?, size);
            Ok(())
        });
    }
}

/// Whoever has given a group that all its members have given gets it, whatever the others do.
#[test]
fn all_groups_that_three_ranks_give_together_are_made_or_refused() {
    run(3, |world| {
        let groups = groups_of(3);
        for number in 0..groups.len().pow(3) {
            let at = [number, number / groups.len(), number / groups.len().pow(2)];
            let given: [&[Rank]; 3] = std::array::from_fn(|rank| &groups[at[rank] % groups.len()][..]);
            let mine = given[world.rank() as usize];
            let made = world.split_by_subgroup_collective(&world.group().include(mine)?);
            if !mine.contains(&world.rank()) {
                assert!(made?.is_none());
            } else if mine.iter().any(|member| given[*member as usize] != mine) {
                refused(made, &["split_by_subgroup_collective", "has given another"]);
            } else {
                assert_eq!(made?.expect("a member").all_gather(&[world.rank()])?, mine);
            }
        }
        Ok(())
    });
}

/// Gives the ids of dropped communicators up, on all ranks.
#[cfg(feature = "internals")]
fn settle(world: &Communicator<'_>) -> Result<()> {
    for _ in 0..3 {
        world.barrier()?;
        refused(world.create_cartesian(&[-1], &[false], false), &["dims"]);
    }
    world.barrier()
}

/// As many duplicates as there are ids for, but a few.
#[cfg(feature = "internals")]
fn all_but<'u>(world: &Communicator<'u>, few: usize) -> Result<Vec<Communicator<'u>>> {
    settle(world)?;
    let mut made: Vec<_> = std::iter::from_fn(|| world.duplicate().ok()).collect();
    made.truncate(made.len() - few);
    settle(world)?;
    Ok(made)
}

/// One of the groups, or both, has no ids for the communicator inside; or the leaders have none for what is between.
#[cfg(feature = "internals")]
#[test]
fn groups_that_have_no_ids_for_an_intercommunicator_all_err() {
    let says = ["all context ids of the job", "the other group", "could not agree"];
    let is_used_up = move |error: ringmpi::Error| {
        let error = error.to_string();
        assert!(says.iter().any(|says| error.contains(says)), "{error}");
    };
    for ranks in 2..=5 {
        let body = move |world: Communicator<'_>| -> Result<()> {
            let halves = Halves::new(&world)?;
            let bridge = halves.create(halves.right())?;
            // It needs three.
            for few in (0..3).chain([1, 1, 0, 2]) {
                let filled = all_but(&world, few)?;
                is_used_up(halves.create(halves.right()).map(drop).unwrap_err());
                settle(&world)?;
                is_used_up(bridge.duplicate().map(drop).unwrap_err());
                settle(&world)?;
                if few == 0 {
                    is_used_up(bridge.merge(halves.is_odd).map(drop).unwrap_err());
                }
                drop(filled);
                settle(&world)?;
                assert_eq!(bridge.duplicate()?.merge(halves.is_odd)?.size(), world.size());
                drop(halves.create(halves.right())?);
            }
            Ok(())
        };
        in_time(move || {
            let ended = ringmpi::internals::late::threads_with_few_ids(ranks, 20, body).unwrap();
            ended.into_iter().for_each(|outcome| outcome.unwrap());
        });
    }
}
