//! Grids and graphs, and the collectives of neighbours in all forms, against what is computed naively.

use crate::random::{Random, seed};
use ringmpi::{
    Communicator, CommunicatorRelation, Error, ErrorClass, Neighbourhood, PROC_NULL, Partition, PartitionMut,
    Rank, Result,
};

/// For each place among the in-neighbours: whose message comes there, and which one of its out-neighbours this is;
/// None for the null process.
type Incoming = Vec<Option<(Rank, usize)>>;

/// What a rank sends to one of its out-neighbours.
fn part(rank: Rank, place: usize, len: usize) -> Vec<i64> {
    (0..len).map(|index| i64::from(rank) << 40 | (place as i64) << 32 | index as i64).collect()
}

/// How much a rank sends to one of its out-neighbours, where that differs.
fn varied(rank: Rank, place: usize, len: usize) -> usize {
    (rank as usize * 7 + place * 3) % (len + 1)
}

const BLANK: i64 = -1;

/// All collectives, in all forms, with parts of so many elements.
fn exercise(comm: &Neighbourhood<'_>, incoming: &Incoming, len: usize) -> Result<()> {
    let (rank, outs) = (comm.rank(), comm.out_neighbours().len());
    assert_eq!(comm.in_neighbours().len(), incoming.len());
    for (neighbour, from) in comm.in_neighbours().iter().zip(incoming) {
        assert_eq!(*neighbour, from.map_or(PROC_NULL, |from| from.0));
    }
    gathers(comm, incoming, len)?;
    let mine: Vec<i64> = (0..outs).flat_map(|place| part(rank, place, len)).collect();
    // What comes, with what is there without a neighbour.
    let expected = |null: &dyn Fn(usize) -> Vec<i64>| -> Vec<i64> {
        let one = |(place, from): (usize, &Option<(Rank, usize)>)| {
            from.map_or_else(|| null(place), |(from, its)| part(from, its, len))
        };
        incoming.iter().enumerate().flat_map(one).collect()
    };
    let (kept, mirrored) = (expected(&|_| vec![BLANK; len]), expected(&|place| part(rank, place, len)));
    let mut all = vec![BLANK; kept.len()];
    comm.neighbour_all_to_all_into(&mine, &mut all)?;
    assert_eq!(all, kept);
    let mut persistent = comm.neighbour_all_to_all_init(mine.clone(), vec![BLANK; kept.len()])?;
    if outs > 0 || incoming.is_empty() {
        let immediate = comm.immediate_neighbour_all_to_all(mine.clone())?;
        persistent.start()?;
        assert_eq!(comm.neighbour_all_to_all(&mine)?, mirrored);
        assert_eq!(immediate.wait()?, mirrored);
    } else {
        // It has to take part in what it gives nothing to.
        let all_counts = vec![len; incoming.len()];
        let immediate = comm.immediate_neighbour_all_to_all_varcount(vec![], &[], &all_counts)?;
        persistent.start()?;
        comm.neighbour_all_to_all_into(&mine, &mut all)?;
        assert_eq!((&all, immediate.wait()?), (&kept, kept.clone()));
    }
    persistent.wait()?;
    assert_eq!(persistent.output_mut()?, kept);
    persistent.output_mut()?.fill(BLANK);
    persistent.start()?;
    persistent.wait()?;
    assert_eq!(persistent.output_mut()?, kept);
    exchanges_of_different_lengths(comm, incoming, len)
}

fn gathers(comm: &Neighbourhood<'_>, incoming: &Incoming, len: usize) -> Result<()> {
    let mine = part(comm.rank(), 0, len);
    let expected = |null: &[i64]| -> Vec<i64> {
        incoming.iter().flat_map(|from| from.map_or(null.to_vec(), |(from, _)| part(from, 0, len))).collect()
    };
    let (kept, mirrored) = (expected(&vec![BLANK; len]), expected(&mine));
    let mut all = vec![BLANK; kept.len()];
    comm.neighbour_all_gather_into(&mine, &mut all)?;
    assert_eq!(all, kept);
    let immediate = comm.immediate_neighbour_all_gather(mine.clone())?;
    assert_eq!(comm.neighbour_all_gather(&mine)?, mirrored);
    let mut persistent = comm.neighbour_all_gather_init(mine.clone(), vec![BLANK; kept.len()])?;
    for _ in 0..2 {
        persistent.start()?;
        persistent.wait()?;
        assert_eq!(persistent.output_mut()?, kept);
    }
    assert_eq!(immediate.wait()?, mirrored);

    let mine = part(comm.rank(), 0, varied(comm.rank(), 0, len));
    let expected: Vec<Vec<i64>> = incoming
        .iter()
        .map(|from| from.map_or(vec![], |(from, _)| part(from, 0, varied(from, 0, len))))
        .collect();
    let counts: Vec<usize> = expected.iter().map(Vec::len).collect();
    assert_eq!(comm.neighbour_all_gather_varcount(&mine)?, expected);
    let immediate = comm.immediate_neighbour_all_gather_varcount(mine.clone(), &counts)?;
    let mut all = vec![BLANK; counts.iter().sum()];
    comm.neighbour_all_gather_varcount_into(&mine, PartitionMut::new(&mut all, &counts[..]))?;
    assert_eq!(all, expected.concat());
    let mut persistent =
        comm.neighbour_all_gather_varcount_init(mine.clone(), vec![BLANK; all.len()], &counts)?;
    persistent.start()?;
    persistent.wait()?;
    assert_eq!(persistent.output_mut()?, all);
    assert_eq!(immediate.wait()?, all);
    Ok(())
}

fn exchanges_of_different_lengths(comm: &Neighbourhood<'_>, incoming: &Incoming, len: usize) -> Result<()> {
    let given = |rank: Rank, place: usize| part(rank, place, varied(rank, place, len));
    let mine: Vec<Vec<i64>> =
        (0..comm.out_neighbours().len()).map(|place| given(comm.rank(), place)).collect();
    let counts: Vec<usize> = mine.iter().map(Vec::len).collect();
    let mine = mine.concat();
    let expected: Vec<Vec<i64>> =
        incoming.iter().map(|from| from.map_or(vec![], |(from, its)| given(from, its))).collect();
    let got = comm.neighbour_all_to_all_varcount(Partition::new(&mine, &counts[..]))?;
    assert_eq!(got, expected);
    // Parts in the opposite order, with a gap before each; one of the null process is there, and stays.
    let all_counts: Vec<usize> =
        incoming.iter().map(|from| from.map_or(2, |(from, its)| varied(from, its, len))).collect();
    let mut end = all_counts.iter().sum::<usize>() + all_counts.len();
    let len_all = end;
    let displacements: Vec<usize> = all_counts
        .iter()
        .map(|count| {
            end -= count + 1;
            end + 1
        })
        .collect();
    let mut all = vec![BLANK; len_all];
    let into = PartitionMut::with_displacements(&mut all, &all_counts[..], &displacements[..]);
    comm.neighbour_all_to_all_varcount_into(Partition::new(&mine, &counts[..]), into)?;
    let mut naive = vec![BLANK; len_all];
    for (start, part) in displacements.iter().zip(&expected) {
        naive[*start..][..part.len()].copy_from_slice(part);
    }
    assert_eq!(all, naive);
    let got_counts: Vec<usize> = expected.iter().map(Vec::len).collect();
    let immediate = comm.immediate_neighbour_all_to_all_varcount(mine.clone(), &counts, &got_counts)?;
    let all = vec![BLANK; got_counts.iter().sum()];
    let mut persistent = comm.neighbour_all_to_all_varcount_init(mine, &counts, all, &got_counts)?;
    for _ in 0..2 {
        persistent.start()?;
        persistent.wait()?;
        assert_eq!(persistent.output_mut()?, expected.concat());
    }
    assert_eq!(immediate.wait()?, expected.concat());
    Ok(())
}

/// All grids of up to three dimensions with all ranks, or all but one.
fn shapes(ranks: Rank) -> Vec<Vec<Rank>> {
    let is_wanted = |dims: &Vec<Rank>| {
        let places: Rank = dims.iter().product();
        places == ranks || (places == ranks - 1 && dims.len() == 2) || dims.is_empty()
    };
    let of = |dims: usize| {
        let grow = |shapes: Vec<Vec<Rank>>| {
            let longer = |shape: Vec<Rank>| (1..=ranks).map(move |dim| [&shape[..], &[dim]].concat());
            shapes
                .into_iter()
                .flat_map(longer)
                .filter(|dims| dims.iter().product::<Rank>() <= ranks)
                .collect()
        };
        (0..dims).fold(vec![vec![]], |shapes, _| grow(shapes))
    };
    (0..=3).flat_map(of).filter(is_wanted).collect()
}

/// The coordinates of a rank: the last one counts fastest.
fn place_of(rank: Rank, dims: &[Rank]) -> Vec<Rank> {
    (0..dims.len())
        .map(|dimension| rank / dims[dimension + 1..].iter().product::<Rank>() % dims[dimension])
        .collect()
}

/// The rank so far away, by comparing the coordinates of all.
fn rank_away(from: Rank, dims: &[Rank], periods: &[bool], dimension: usize, by: Rank) -> Option<Rank> {
    let mut there = place_of(from, dims);
    there[dimension] += by;
    if periods[dimension] {
        there[dimension] = there[dimension].rem_euclid(dims[dimension]);
    }
    (0..dims.iter().product()).find(|rank| place_of(*rank, dims) == there)
}

pub(crate) fn grids_of_all_shapes(world: &Communicator<'_>) -> Result<()> {
    for (number, dims) in shapes(world.size()).into_iter().enumerate() {
        for pattern in 0..1 << dims.len() {
            let periods: Vec<bool> = (0..dims.len()).map(|dimension| pattern >> dimension & 1 > 0).collect();
            let made = world.create_cartesian(&dims, &periods, number % 2 > 0)?;
            assert_eq!(made.is_some(), world.rank() < dims.iter().product());
            let Some(grid) = made else { continue };
            assert_eq!((grid.dims(), grid.periods()), (&dims[..], &periods[..]));
            assert_eq!((grid.rank(), grid.size()), (world.rank(), dims.iter().product()));
            assert_eq!(grid.coordinates(), place_of(grid.rank(), &dims));
            for rank in 0..grid.size() {
                let place = grid.rank_to_coordinates(rank)?;
                assert_eq!((&place, grid.coordinates_to_rank(&place)?), (&place_of(rank, &dims), rank));
            }
            let away = |dimension, by| rank_away(grid.rank(), &dims, &periods, dimension, by);
            for dimension in 0..dims.len() {
                for by in [-5, -1, 0, 1, 2] {
                    let ends = [-by, by].map(|by| away(dimension, by).unwrap_or(PROC_NULL));
                    assert_eq!(grid.shift(dimension, by)?, ends.into());
                }
            }
            // What a neighbour sent in the direction of this rank, which is behind it if it is ahead.
            let from = |place: usize| {
                let by = if place.is_multiple_of(2) { -1 } else { 1 };
                away(place / 2, by).map(|from| (from, place ^ 1))
            };
            let incoming = (0..2 * dims.len()).map(from).collect();
            let len = [0, 1, 5, 700][(number + pattern) % 4];
            exercise(&grid, &incoming, len)?;
            if pattern == 0 {
                let copy = grid.duplicate()?;
                assert_eq!((copy.dims(), copy.compare(&grid)), (&dims[..], CommunicatorRelation::Congruent));
                exercise(&copy, &incoming, 40_000 / grid.size() as usize)?;
            }
        }
    }
    world.barrier()
}

pub(crate) fn grids_of_grids(world: &Communicator<'_>) -> Result<()> {
    let mut dims = [0; 3];
    ringmpi::dimensions_create(world.size(), &mut dims)?;
    let periods = [true, false, true];
    let grid = world.create_cartesian(&dims, &periods, true)?.expect("it has a place for all");
    for pattern in 0..8 {
        let retain: Vec<bool> = (0..3).map(|dimension| pattern >> dimension & 1 > 0).collect();
        let kept = |all: &[Rank]| -> Vec<Rank> {
            all.iter().zip(&retain).filter(|(_, retain)| **retain).map(|(one, _)| *one).collect()
        };
        let part = grid.subgroup(&retain)?;
        assert_eq!((part.dims(), part.coordinates()), (&kept(&dims)[..], &kept(grid.coordinates())[..]));
        let (place, others) = (grid.coordinates(), part.all_gather(&[grid.rank()])?);
        let expected: Vec<Rank> = (0..grid.size())
            .filter(|rank| {
                let other = place_of(*rank, &dims);
                (0..3).all(|dimension| retain[dimension] || other[dimension] == place[dimension])
            })
            .collect();
        assert_eq!(others, expected);
        // A value that has gone all the way round, or to the end.
        for dimension in 0..part.dims().len() {
            let (from, to) = part.shift(dimension, 1)?;
            let mut got = [BLANK];
            let to = part.process_at_rank(to);
            to.send_receive_into(&[i64::from(part.rank())], part.process_at_rank(from), &mut got)?;
            assert_eq!(got[0], if from == PROC_NULL { BLANK } else { from.into() });
        }
    }
    world.barrier()
}

/// An edge: from, to, weight.
type Edge = (Rank, Rank, u32);

fn edges(random: &mut Random, ranks: Rank) -> Vec<Edge> {
    let rank = |random: &mut Random| random.below(ranks as u64) as Rank;
    let count = random.below(4 * ranks as u64 + 1);
    let mut edges: Vec<Edge> =
        (0..count).map(|_| (rank(random), rank(random), random.below(1000) as u32)).collect();
    // Some several times.
    for _ in 0..edges.len() / 4 {
        let again = edges[random.below(edges.len() as u64) as usize];
        edges.push((again.0, again.1, random.below(1000) as u32));
    }
    edges
}

/// Of each rank, its incoming and outgoing edges, by their numbers.
struct Lists {
    incoming: Vec<Vec<usize>>,
    outgoing: Vec<Vec<usize>>,
}

impl Lists {
    fn new(edges: &[Edge], ranks: Rank) -> Self {
        let of = |end: fn(&Edge) -> Rank| {
            let of_rank = |rank| (0..edges.len()).filter(|edge| end(&edges[*edge]) == rank).collect();
            (0..ranks).map(of_rank).collect()
        };
        Self { incoming: of(|edge| edge.1), outgoing: of(|edge| edge.0) }
    }

    fn shuffle(&mut self, random: &mut Random) {
        for list in self.incoming.iter_mut().chain(&mut self.outgoing) {
            for last in (1..list.len()).rev() {
                list.swap(last, random.below(last as u64 + 1) as usize);
            }
        }
    }

    /// The first edge to a rank in the list of one end is the first from there in that of the other, and so on.
    fn incoming(&self, edges: &[Edge], rank: Rank) -> Incoming {
        let mine = &self.incoming[rank as usize];
        let from = |place: usize| {
            let source = edges[mine[place]].0;
            let before = mine[..place].iter().filter(|edge| edges[**edge].0 == source).count();
            let its = &self.outgoing[source as usize];
            let its = (0..its.len()).filter(|place| edges[its[*place]].1 == rank).nth(before);
            Some((source, its.expect("both ends have as many")))
        };
        (0..mine.len()).map(from).collect()
    }
}

pub(crate) fn random_graphs(world: &Communicator<'_>) -> Result<()> {
    let mut agreed = [seed()];
    world.broadcast_into(&mut agreed, 0)?;
    if world.rank() == 0 {
        println!("seed {}", agreed[0]);
    }
    let (mut random, rank, ranks) = (Random::new(agreed[0]), world.rank(), world.size());
    for round in 0..12 {
        let edges = edges(&mut random, ranks);
        let has_weights = random.below(2) > 0;
        let len = [0, 1, 9, 5000][round % 4];

        let mut lists = Lists::new(&edges, ranks);
        lists.shuffle(&mut random);
        let of = |list: &[usize], end: fn(&Edge) -> Rank| -> Vec<Rank> {
            list.iter().map(|edge| end(&edges[*edge])).collect()
        };
        let weights = |list: &[usize]| -> Option<Vec<u32>> {
            has_weights.then(|| list.iter().map(|edge| edges[*edge].2).collect())
        };
        let (inward, outward) = (&lists.incoming[rank as usize], &lists.outgoing[rank as usize]);
        let (sources, destinations) = (of(inward, |edge| edge.0), of(outward, |edge| edge.1));
        let (source_weights, destination_weights) = (weights(inward), weights(outward));
        let graph = world.create_graph_adjacent(
            &sources,
            source_weights.as_deref(),
            &destinations,
            destination_weights.as_deref(),
            false,
        )?;
        assert_eq!((graph.in_neighbours(), graph.out_neighbours()), (&sources[..], &destinations[..]));
        // A graph without edges has no weights.
        if !edges.is_empty() {
            assert_eq!(graph.in_weights(), source_weights.as_deref());
            assert_eq!(graph.out_weights(), destination_weights.as_deref());
        }
        exercise(&graph, &lists.incoming(&edges, rank), len)?;
        let copy = graph.duplicate()?;
        assert_eq!((copy.in_weights(), copy.out_weights()), (graph.in_weights(), graph.out_weights()));
        exercise(&copy, &lists.incoming(&edges, rank), 1)?;
        if destinations.is_empty() && !sources.is_empty() {
            // Nothing says how long the parts are. After that the copy is of no more use.
            assert_eq!(copy.neighbour_all_to_all::<i64>(&[]).unwrap_err().class(), ErrorClass::COUNT);
        }

        // Any rank gives any of them: what comes of it is in the order of those that gave.
        let givers: Vec<Rank> = edges.iter().map(|_| random.below(ranks as u64) as Rank).collect();
        let of_giver =
            |giver: Rank| -> Vec<usize> { (0..edges.len()).filter(|edge| givers[*edge] == giver).collect() };
        let mine = of_giver(rank);
        let pairs: Vec<(Rank, Rank)> = mine.iter().map(|edge| (edges[*edge].0, edges[*edge].1)).collect();
        let graph = world.create_graph(&pairs, weights(&mine).as_deref(), true)?;
        let edges: Vec<Edge> = (0..ranks).flat_map(of_giver).map(|edge| edges[edge]).collect();
        let lists = Lists::new(&edges, ranks);
        let (inward, outward) = (&lists.incoming[rank as usize], &lists.outgoing[rank as usize]);
        let weights_of = |list: &[usize]| -> Vec<u32> { list.iter().map(|edge| edges[*edge].2).collect() };
        if has_weights && !edges.is_empty() {
            assert_eq!(graph.in_weights(), Some(&weights_of(inward)[..]));
            assert_eq!(graph.out_weights(), Some(&weights_of(outward)[..]));
        }
        let destinations: Vec<Rank> = outward.iter().map(|edge| edges[*edge].1).collect();
        assert_eq!(graph.out_neighbours(), destinations);
        exercise(&graph, &lists.incoming(&edges, rank), len)?;
    }
    world.barrier()
}

/// What has to be checked is, also beyond the ends of a grid.
pub(crate) fn neighbours_of_checked_types(world: &Communicator<'_>) -> Result<()> {
    let grid = world.create_cartesian(&[world.size()], &[false], false)?.expect("it has a place for all");
    let letter = |rank: Rank| char::from(b'a' + rank as u8);
    let (me, last) = (grid.rank(), grid.size() - 1);
    let (before, behind) =
        (if me == 0 { '-' } else { letter(me - 1) }, if me == last { '-' } else { letter(me + 1) });
    let mut all = ['-'; 2];
    grid.neighbour_all_gather_into(&[letter(me)], &mut all)?;
    assert_eq!(all, [before, behind]);
    let mut persistent = grid.neighbour_all_gather_init(vec![letter(me)], vec!['-'; 2])?;
    for _ in 0..2 {
        persistent.start()?;
        persistent.wait()?;
        assert_eq!(persistent.output_mut()?, [before, behind]);
    }
    let own = |c: char| if c == '-' { letter(me) } else { c };
    assert_eq!(grid.neighbour_all_gather(&[letter(me)])?, [own(before), own(behind)]);
    assert_eq!(grid.immediate_neighbour_all_gather(vec![letter(me)])?.wait()?, [own(before), own(behind)]);
    // What rank 0 sends is no `char`: rank 1 says so, and its slice stays as it was.
    let mut letters = ['-'; 2];
    if me == 0 {
        grid.neighbour_all_gather_into(&[0xd800u32], &mut [0u32; 2])?;
    } else {
        let got = grid.neighbour_all_gather_into(&[letter(me)], &mut letters);
        assert_eq!(got.err().map(|error| error.class()), (me == 1).then_some(ErrorClass::TYPE));
        assert_eq!(letters[0], if me == 1 { '-' } else { letter(me - 1) });
    }
    world.barrier()
}

/// One rank's mistake is an error of all, and nobody waits.
pub(crate) fn topologies_that_cannot_be(world: &Communicator<'_>) -> Result<()> {
    let (rank, size) = (world.rank(), world.size());
    let wrong = size / 2;
    let is_wrong = rank == wrong;
    let check = |error: Error, class: ErrorClass, text: &str| {
        let message = error.to_string();
        if is_wrong {
            assert!(error.class() == class && message.contains(text), "{error:?}, {text}");
        } else {
            assert!(
                error.class() == ErrorClass::ARG && message.contains(&format!("rank {wrong} called it")),
                "{error:?}"
            );
        }
    };
    let grids: [(&[Rank], &[bool], ErrorClass, String); 5] = [
        (&[0], &[true], ErrorClass::DIMS, "dims[0] is 0".into()),
        (&[1, -1], &[true; 2], ErrorClass::DIMS, "dims[1] is -1".into()),
        (&[1], &[], ErrorClass::ARG, "1 dims, and 0 periods".into()),
        (&[Rank::MAX, 2], &[true; 2], ErrorClass::DIMS, format!("more places than the {size} ranks")),
        (&[2, 9], &[true; 2], ErrorClass::DIMS, format!("[2, 9] has more places than the {size} ranks")),
    ];
    for (dims, periods, class, text) in grids {
        let (dims, periods) = if is_wrong { (dims, periods) } else { (&[1][..], &[true][..]) };
        check(world.create_cartesian(dims, periods, false).map(drop).unwrap_err(), class, &text);
    }
    for beyond in [-1, PROC_NULL, size] {
        let edge: &[Rank] = if is_wrong { &[beyond] } else { &[] };
        let text = format!("name rank {beyond}; the communicator has ranks 0 to {}", size - 1);
        let made = world.create_graph_adjacent(edge, None, &[], None, false);
        check(made.map(drop).unwrap_err(), ErrorClass::RANK, &text);
        let made = world.create_graph_adjacent(&[], None, edge, None, false);
        check(made.map(drop).unwrap_err(), ErrorClass::RANK, &text);
        let edges: &[_] = if is_wrong { &[(0, beyond)] } else { &[(0, 0)] };
        check(world.create_graph(edges, None, false).map(drop).unwrap_err(), ErrorClass::RANK, &text);
    }
    let weights: &[u32] = if is_wrong { &[1, 2] } else { &[1] };
    let made = world.create_graph(&[(0, 0)], Some(weights), false);
    check(made.map(drop).unwrap_err(), ErrorClass::ARG, "weights has 2 entries, for 1 edges");
    let made = world.create_graph_adjacent(&[rank], Some(weights), &[rank], Some(&[1]), false);
    check(made.map(drop).unwrap_err(), ErrorClass::ARG, "source_weights has 2 entries, for 1 edges");
    let one_side = if is_wrong { None } else { Some(&[1][..]) };
    let made = world.create_graph_adjacent(&[rank], Some(&[1]), &[rank], one_side, false);
    check(made.map(drop).unwrap_err(), ErrorClass::ARG, "one of sources and destinations only");

    if size > 1 {
        let refused = |error: Error, text: &str| {
            assert!(
                error.class() == ErrorClass::ARG && error.to_string().contains(text),
                "{error:?}, {text}"
            );
        };
        // Arguments that can be, but not together.
        let other = world.create_cartesian(&[if is_wrong { 2 } else { 1 }], &[true], false);
        refused(other.map(drop).unwrap_err(), "with other arguments than rank 0");
        let other = world.create_cartesian(&[1], &[is_wrong], false);
        refused(other.map(drop).unwrap_err(), "with other arguments than rank 0");
        let other = world.create_graph(&[(0, 1)], is_wrong.then_some(&[1]), false);
        refused(other.map(drop).unwrap_err(), &format!("rank {wrong} gave weights, rank 0 gave none"));
        let other = world.create_graph(&[(0, 1)], None, is_wrong);
        refused(other.map(drop).unwrap_err(), &format!("ranks 0 and {wrong} differ in reorder"));
        // An edge that one end does not know of.
        let sources: &[Rank] = if rank == 0 { &[1] } else { &[] };
        let error = world.create_graph_adjacent(sources, None, &[], None, false).map(drop).unwrap_err();
        let text =
            if rank == 0 { "rank 0 is 0 times in the destinations of rank 1" } else { "rank 0 called it" };
        refused(error, text);
        let grid = world.create_cartesian(&[size], &[true], false)?.expect("it has a place for all");
        let retain: &[bool] = if is_wrong { &[true, true] } else { &[true] };
        let error = grid.subgroup(retain).map(drop).unwrap_err();
        check(error, ErrorClass::ARG, "retain has 2 entries, for a grid of 1 dimensions");
        let error = grid.subgroup(&[is_wrong]).map(drop).unwrap_err();
        refused(error, "with other arguments than rank 0");
    }
    wrong_calls(world)?;
    world.barrier()
}

/// Those that all ranks make.
fn wrong_calls(world: &Communicator<'_>) -> Result<()> {
    let size = world.size();
    let refused = |error: Error, class: ErrorClass, text: &str| {
        assert!(error.class() == class && error.to_string().contains(text), "{error:?}, {text}");
    };
    let grid = world.create_cartesian(&[size], &[false], false)?.expect("it has a place for all");
    for rank in [-1, size] {
        refused(
            grid.rank_to_coordinates(rank).unwrap_err(),
            ErrorClass::RANK,
            &format!("rank {rank} does not"),
        );
        let text = format!("coordinates[0] is {rank}");
        refused(grid.coordinates_to_rank(&[rank]).unwrap_err(), ErrorClass::ARG, &text);
    }
    refused(grid.coordinates_to_rank(&[]).unwrap_err(), ErrorClass::ARG, "0 coordinates");
    refused(grid.shift(1, 1).unwrap_err(), ErrorClass::ARG, "dimension is 1, in a grid of 1");
    let count = ErrorClass::COUNT;
    refused(grid.neighbour_all_to_all(&[1]).unwrap_err(), count, "neighbour_all_to_all: mine has 1 elements");
    let error = grid.neighbour_all_to_all_into(&[1, 2], &mut [0; 3]).unwrap_err();
    refused(error, count, "neighbour_all_to_all_into: all has 3 elements");
    refused(grid.neighbour_all_gather_into(&[1], &mut [0; 3]).unwrap_err(), count, "all has 3 elements");
    refused(
        grid.neighbour_all_gather_init(vec![1], vec![0; 3]).map(drop).unwrap_err(),
        count,
        "all has 3 elements",
    );
    refused(
        grid.immediate_neighbour_all_to_all(vec![1; 3]).map(drop).unwrap_err(),
        count,
        "mine has 3 elements",
    );
    let error = grid.immediate_neighbour_all_gather_varcount(vec![1], &[1]).map(drop).unwrap_err();
    refused(error, count, "counts has 1 entries, for 2 in-neighbours");
    let error =
        grid.immediate_neighbour_all_to_all_varcount(vec![1], &[1, 1], &[0, 0]).map(drop).unwrap_err();
    refused(error, count, "mine has 1 elements where 2 are needed");
    let error = grid.neighbour_all_to_all_varcount(Partition::new(&[1], &[1, 1][..])).unwrap_err();
    refused(error, count, "the part of out-neighbour 1 is 1 elements from 1 on");
    if world.rank() == 0 {
        let error = grid.immediate_neighbour_all_gather_varcount(vec![1], &[1, 1]).map(drop).unwrap_err();
        refused(error, count, "in-neighbour 0 is the null process");
    }
    // Neighbours that say other lengths.
    if size > 1 {
        let mine = vec![0u8; if grid.rank() == 0 { 2 } else { 1 }];
        let got = grid.neighbour_all_gather(&mine);
        assert_eq!(got.is_err(), grid.rank() < 2);
    }
    Ok(())
}
