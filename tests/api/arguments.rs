//! Every function that can be given a wrong argument says so with its own name, the argument's, and the value. Which
//! functions there are is read from the source.

use ringmpi::{
    CartesianCommunicator, Communicator, Partition, PartitionMut, Rank, Result, Source, Tag,
    dimensions_create, op,
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    mem::MaybeUninit,
    path::{Path, PathBuf},
};

/// Functions that take nothing that can be wrong by itself: any slice will do, or what is wrong is only seen
/// beside what other ranks give, or in the state of the handle.
const TAKES_ANYTHING: &[&str] = &[
    "all_gather",
    "all_gather_varcount",
    "all_reduce",
    "all_reduce_in_place",
    "all_reduce_value",
    "alloc",
    "barrier",
    "barrier_init",
    "cancel",
    "complete",
    "completion",
    "duplicate",
    "exclusive_scan",
    "exclusive_scan_in_place",
    "exclusive_scan_value",
    "finalize",
    "from",
    "immediate_all_gather",
    "immediate_all_reduce",
    "immediate_barrier",
    "immediate_duplicate",
    "immediate_exclusive_scan",
    "immediate_neighbour_all_gather",
    "immediate_receive_vec",
    "immediate_scan",
    "init",
    "neighbour_all_gather",
    "neighbour_all_gather_varcount",
    "scan",
    "scan_in_place",
    "scan_value",
    "scope",
    "split",
    "split_shared",
    "test",
    "wait",
    "wait_status",
];

/// Functions that take a second universe, or processes, to be called wrongly; they are not called here.
const TAKES_MORE: &[&str] = &[
    "difference",
    "immediate_matched_receive_into",
    "intersection",
    "join",
    "merge",
    "split_by_subgroup_collective",
    "start_all",
    "test_all",
    "test_all_of",
    "test_any",
    "test_any_of",
    "test_some",
    "test_some_of",
    "union",
    "wait_all",
    "wait_all_of",
    "wait_any",
    "wait_any_of",
    "wait_some",
    "wait_some_of",
];

const ROOT: Rank = 77;
const RANK: Rank = 99;
const TAG: Tag = -8;

/// The functions whose refusals have been looked at.
#[derive(Default)]
struct Refusals(RefCell<BTreeSet<&'static str>>);

impl Refusals {
    #[track_caller]
    fn check<T>(&self, function: &'static str, outcome: Result<T>, argument: &str, value: impl ToString) {
        let text = outcome.map(drop).expect_err("it should have been refused").to_string();
        let name = text.split(": ").next().unwrap();
        assert_eq!(name.rsplit("::").next(), Some(function), "the function's name in: {text}");
        let facts = &text[name.len()..];
        let has = |fact: &str| facts.split(|letter: char| !is_of_word(letter)).any(|word| word == fact);
        assert!(has(argument), "the argument {argument} in: {text}");
        assert!(has(&value.to_string()), "the value {} in: {text}", value.to_string());
        self.0.borrow_mut().insert(function);
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || ['_', '-'].contains(&letter)
}

#[test]
fn a_refusal_names_the_function_the_argument_and_its_value() {
    let body = |world: Communicator<'_>| {
        let refusals = Refusals::default();
        constructors(&world, &refusals);
        neighbours(&world, &refusals);
        messages(&world, &refusals);
        groups(&world, &refusals);
        roots(&world, &refusals);
        lengths(&world, &refusals);
        counts(&world, &refusals);
        refusals.0.into_inner()
    };
    let mut seen = ringmpi::threads(3, body).unwrap().swap_remove(2);
    let refusals = Refusals::default();
    without_a_job(&refusals);
    seen.append(&mut refusals.0.into_inner());
    let known: BTreeSet<_> = [TAKES_ANYTHING, TAKES_MORE].concat().into_iter().collect();
    for function in functions() {
        let is_known = known.contains(function.as_str());
        assert!(
            seen.contains(function.as_str()) != is_known,
            "{function}: what does it refuse, and what does it say?"
        );
    }
}

/// Functions that all ranks call alike.
fn constructors(world: &Communicator<'_>, refusals: &Refusals) {
    let check = |function, outcome: Result<()>, argument: &str, value: &str| {
        refusals.check(function, outcome, argument, value);
    };
    let graph = |sources: &[Rank]| world.create_graph_adjacent(sources, None, &[], None, false).map(drop);
    check("create_graph_adjacent", graph(&[RANK]), "sources", "99");
    let graph = world.create_graph(&[(0, RANK)], None, false).map(drop);
    check("create_graph", graph, "edges", "99");
    let grid = |dims: &[Rank], periods: &[bool]| world.create_cartesian(dims, periods, false).map(drop);
    check("create_cartesian", grid(&[-2], &[true]), "dims", "-2");
    check("create_cartesian", grid(&[2, 1], &[true]), "periods", "1");
    check("create_cartesian", grid(&[2, 7], &[true; 2]), "dims", "7");
    let other = world.create_intercommunicator(RANK, world, 0, 0).map(drop);
    check("create_intercommunicator", other, "local_leader", "99");
    let other = world.create_intercommunicator(0, world, 0, TAG).map(drop);
    check("create_intercommunicator", other, "tag", "-8");
    let other = world.self_comm().create_intercommunicator(0, world, RANK, 0).map(drop);
    check("create_intercommunicator", other, "remote_leader", "99");
    let other = world.split_by_subgroup(&world.group(), TAG).map(drop);
    check("split_by_subgroup", other, "tag", "-8");
    let grid = grid_of(world);
    check("subgroup", grid.subgroup(&[true; 4]).map(drop), "retain", "4");
    check("rank_to_coordinates", grid.rank_to_coordinates(RANK).map(drop), "rank", "99");
    check("coordinates_to_rank", grid.coordinates_to_rank(&[9]).map(drop), "coordinates", "9");
    check("shift", grid.shift(5, 1).map(drop), "dimension", "5");
}

fn grid_of<'u>(world: &Communicator<'u>) -> CartesianCommunicator<'u> {
    world.create_cartesian(&[3], &[false], false).unwrap().expect("it has a place for all")
}

/// Each rank by itself: the others are not concerned. In the middle of a row a rank has two neighbours.
fn neighbours(world: &Communicator<'_>, refusals: &Refusals) {
    let grid = grid_of(world);
    let own = |len| vec![1u8; len];
    let (mine, mut five) = ([1u8; 2], [1u8; 5]);
    let check = |function, outcome: Result<()>, argument: &str, value: &str| {
        refusals.check(function, outcome, argument, value);
    };
    check("neighbour_all_gather_into", grid.neighbour_all_gather_into(&mine, &mut five), "all", "5");
    let request = grid.neighbour_all_gather_init(own(2), own(5)).map(drop);
    check("neighbour_all_gather_init", request, "all", "5");
    let one = || PartitionMut::new(Vec::leak(vec![0u8; 5]), &[5usize][..]);
    let into = grid.neighbour_all_gather_varcount_into(&mine, one());
    check("neighbour_all_gather_varcount_into", into, "all", "1");
    let request = grid.immediate_neighbour_all_gather_varcount(own(2), &[5]).map(drop);
    check("immediate_neighbour_all_gather_varcount", request, "counts", "1");
    let request = grid.neighbour_all_gather_varcount_init(own(2), own(5), &[5]).map(drop);
    check("neighbour_all_gather_varcount_init", request, "counts", "1");
    check("neighbour_all_to_all", grid.neighbour_all_to_all(&five).map(drop), "mine", "5");
    check("neighbour_all_to_all_into", grid.neighbour_all_to_all_into(&mine, &mut five), "all", "5");
    let request = grid.immediate_neighbour_all_to_all(own(5)).map(drop);
    check("immediate_neighbour_all_to_all", request, "mine", "5");
    let request = grid.neighbour_all_to_all_init(own(5), own(2)).map(drop);
    check("neighbour_all_to_all_init", request, "mine", "5");
    let few = || Partition::new(&mine, &[2usize][..]);
    check("neighbour_all_to_all_varcount", grid.neighbour_all_to_all_varcount(few()).map(drop), "mine", "1");
    let into = grid.neighbour_all_to_all_varcount_into(few(), one());
    check("neighbour_all_to_all_varcount_into", into, "mine", "1");
    let request = grid.immediate_neighbour_all_to_all_varcount(own(2), &[2], &[1, 1]).map(drop);
    check("immediate_neighbour_all_to_all_varcount", request, "counts", "1");
    let request = grid.neighbour_all_to_all_varcount_init(own(2), &[1, 1], own(2), &[2]).map(drop);
    check("neighbour_all_to_all_varcount_init", request, "all_counts", "1");
}

fn messages(world: &Communicator<'_>, refusals: &Refusals) {
    let (nobody, me) = (world.process_at_rank(RANK), world.process_at_rank(world.rank()));
    let (data, own, room) = ([1u8; 2], || vec![1u8; 2], Vec::<u8>::new);
    for (process, argument, value) in [(nobody, "rank", RANK), (me.tag(TAG), "tag", TAG)] {
        let check = |function, outcome: Result<()>| refusals.check(function, outcome, argument, value);
        check("send", process.send(&data));
        check("synchronous_send", process.synchronous_send(&data));
        check("ready_send", process.ready_send(&data));
        check("buffered_send", process.buffered_send(&data));
        check("immediate_send", process.immediate_send(own()).map(drop));
        check("immediate_synchronous_send", process.immediate_synchronous_send(own()).map(drop));
        check("immediate_buffered_send", process.immediate_buffered_send(own()).map(drop));
        check("immediate_ready_send", process.immediate_ready_send(own()).map(drop));
        check("send_init", process.send_init(own()).map(drop));
        check("synchronous_send_init", process.synchronous_send_init(own()).map(drop));
        check("buffered_send_init", process.buffered_send_init(own()).map(drop));
        check("ready_send_init", process.ready_send_init(own()).map(drop));
        let mut into = [0u8; 2];
        check("send_receive_into", process.send_receive_into(&data, me, &mut into).map(drop));
        check("send_receive_into", me.send_receive_into(&data, process, &mut into).map(drop));
        check("send_receive_replace", process.send_receive_replace(&mut into, me).map(drop));
        check("receive", process.receive::<u8>().map(drop));
        check("receive_vec", process.receive_vec::<u8>().map(drop));
        check("receive_into", process.receive_into(&mut into).map(drop));
        check(
            "receive_into_uninit",
            process.receive_into_uninit(&mut [MaybeUninit::<u8>::uninit()]).map(drop),
        );
        check("immediate_receive", process.immediate_receive::<u8>(1).map(drop));
        check("immediate_receive_into", process.immediate_receive_into(room()).map(drop));
        check("receive_init", process.receive_init(room()).map(drop));
        check("probe", process.probe().map(drop));
        check("immediate_probe", process.immediate_probe().map(drop));
        check("matched_probe", process.matched_probe().map(drop));
        check("immediate_matched_probe", process.immediate_matched_probe().map(drop));
        let outcome = world.scope(|scope| {
            check("immediate_send", scope.immediate_send(process, &data).map(drop));
            check("immediate_synchronous_send", scope.immediate_synchronous_send(process, &data).map(drop));
            check("immediate_buffered_send", scope.immediate_buffered_send(process, &data).map(drop));
            check("immediate_ready_send", scope.immediate_ready_send(process, &data).map(drop));
            check("immediate_receive_into", scope.immediate_receive_into(process, &mut into).map(drop));
            Ok(())
        });
        outcome.unwrap();
    }
    let any = world.any_process().tag(TAG);
    refusals.check("receive", any.receive::<u8>(), "tag", TAG);
    let len = usize::MAX / 2;
    refusals.check("immediate_receive", me.immediate_receive::<u32>(len), "count", len);
    let mut receiving = me.tag(5).receive_init(vec![0u8]).unwrap();
    receiving.start().unwrap();
    refusals.check("start", receiving.start(), "request", "active");
    refusals.check("buffer_mut", receiving.buffer_mut(), "request", "active");
    receiving.cancel();
    receiving.wait().unwrap();
    // Rank 0 starts only when the others have been refused.
    let mut barrier = world.barrier_init().unwrap();
    if world.rank() > 0 {
        barrier.start().unwrap();
        refusals.check("start", barrier.start(), "request", "active");
        refusals.check("input_mut", barrier.input_mut(), "request", "active");
        refusals.check("output_mut", barrier.output_mut(), "request", "active");
    }
    world.barrier().unwrap();
    if world.rank() == 0 {
        barrier.start().unwrap();
    }
    barrier.wait().unwrap();
}

fn groups(world: &Communicator<'_>, refusals: &Refusals) {
    let group = world.group();
    refusals.check("include", group.include(&[0, RANK]), "ranks", RANK);
    refusals.check("exclude", group.exclude(&[RANK]), "ranks", RANK);
    refusals.check("range_include", group.range_include(&[(0, RANK, 1)]), "ranges", RANK);
    refusals.check("range_exclude", group.range_exclude(&[(0, 1, 0)]), "ranges", 0);
    refusals.check("translate_rank", group.translate_rank(RANK, &group), "rank", RANK);
    refusals.check("translate_ranks", group.translate_ranks(&[0, RANK], &group), "ranks", RANK);
}

fn roots(world: &Communicator<'_>, refusals: &Refusals) {
    let check = |function, outcome: Result<()>| refusals.check(function, outcome, "root", ROOT);
    let (mut data, mine, own) = ([1u8; 3], [1u8; 3], || vec![1u8; 3]);
    check("broadcast_into", world.broadcast_into(&mut data, ROOT));
    check("broadcast_value", world.broadcast_value(1, ROOT).map(drop));
    check("immediate_broadcast", world.immediate_broadcast(own(), ROOT).map(drop));
    check("broadcast_init", world.broadcast_init(own(), ROOT).map(drop));
    check("gather", world.gather(&mine, ROOT).map(drop));
    check("gather_into", world.gather_into(&mine, None, ROOT));
    check("gather_in_place", world.gather_in_place(&mut data, ROOT));
    check("immediate_gather", world.immediate_gather(own(), ROOT).map(drop));
    check("gather_init", world.gather_init(own(), own(), ROOT).map(drop));
    check("gather_varcount", world.gather_varcount(&mine, ROOT).map(drop));
    check("gather_varcount_into", world.gather_varcount_into(&mine, None, ROOT));
    let parts = || PartitionMut::new(Vec::leak(vec![1u8; 3]), vec![1; 3]);
    check("gather_varcount_in_place", world.gather_varcount_in_place(parts(), ROOT));
    check("immediate_gather_varcount", world.immediate_gather_varcount(own(), &[], ROOT).map(drop));
    check("gather_varcount_init", world.gather_varcount_init(own(), own(), &[], ROOT).map(drop));
    check("scatter", world.scatter::<u8>(None, ROOT).map(drop));
    check("scatter_into", world.scatter_into(None, &mut data, ROOT));
    check("scatter_in_place", world.scatter_in_place(&mut data, ROOT));
    check("immediate_scatter", world.immediate_scatter(own(), 1, ROOT).map(drop));
    check("scatter_init", world.scatter_init(own(), own(), ROOT).map(drop));
    check("scatter_varcount", world.scatter_varcount::<u8>(None, ROOT).map(drop));
    check("scatter_varcount_into", world.scatter_varcount_into(None, &mut data, ROOT));
    check("scatter_varcount_in_place", world.scatter_varcount_in_place(parts(), ROOT));
    check("immediate_scatter_varcount", world.immediate_scatter_varcount(own(), &[], 3, ROOT).map(drop));
    check("scatter_varcount_init", world.scatter_varcount_init(own(), &[], own(), ROOT).map(drop));
    check("reduce", world.reduce(&mine, op::Sum, ROOT).map(drop));
    check("reduce_into", world.reduce_into(&mine, None, op::Sum, ROOT));
    check("reduce_in_place", world.reduce_in_place(&mut data, op::Sum, ROOT));
    check("reduce_value", world.reduce_value(1, op::Sum, ROOT).map(drop));
    check("immediate_reduce", world.immediate_reduce(own(), op::Sum, ROOT).map(drop));
    check("reduce_init", world.reduce_init(own(), own(), op::Sum, ROOT).map(drop));
}

/// Five elements are too many, and no three equal parts. The root's arguments are those of each rank.
fn lengths(world: &Communicator<'_>, refusals: &Refusals) {
    let check = |function, outcome: Result<()>, argument| refusals.check(function, outcome, argument, 5);
    let (me, mine, own) = (world.rank(), [1u8; 2], |len| vec![1u8; len]);
    let mut five = [1u8; 5];
    check("gather_into", world.gather_into(&mine, Some(&mut five), me), "all");
    check("gather_in_place", world.gather_in_place(&mut five, me), "data");
    check("gather_init", world.gather_init(own(2), own(5), me).map(drop), "all");
    check("scatter_into", world.scatter_into(Some(&five), &mut [0; 2], me), "all");
    check("scatter_in_place", world.scatter_in_place(&mut five, me), "data");
    check("immediate_scatter", world.immediate_scatter(own(5), 2, me).map(drop), "all");
    check("scatter_init", world.scatter_init(own(5), own(2), me).map(drop), "all");
    check("all_gather_into", world.all_gather_into(&mine, &mut five), "all");
    check("all_gather_in_place", world.all_gather_in_place(&mut five), "all");
    check("all_gather_init", world.all_gather_init(own(2), own(5)).map(drop), "all");
    check("all_to_all", world.all_to_all(&five).map(drop), "mine");
    check("all_to_all_into", world.all_to_all_into(&[1u8; 3], &mut five), "all");
    check("all_to_all_in_place", world.all_to_all_in_place(&mut five), "data");
    check("immediate_all_to_all", world.immediate_all_to_all(own(5)).map(drop), "mine");
    check("all_to_all_init", world.all_to_all_init(own(6), own(5)).map(drop), "all");
    check("reduce_into", world.reduce_into(&mine, Some(&mut five), op::Sum, me), "result");
    check("reduce_init", world.reduce_init(own(2), own(5), op::Sum, me).map(drop), "result");
    check("all_reduce_into", world.all_reduce_into(&mine, &mut five, op::Sum), "out");
    check("all_reduce_init", world.all_reduce_init(own(2), own(5), op::Sum).map(drop), "result");
    check("scan_into", world.scan_into(&mine, &mut five, op::Sum), "out");
    check("scan_init", world.scan_init(own(2), own(5), op::Sum).map(drop), "result");
    check("exclusive_scan_into", world.exclusive_scan_into(&mine, &mut five, op::Sum), "out");
    check("exclusive_scan_init", world.exclusive_scan_init(own(2), own(5), op::Sum).map(drop), "result");
    check("reduce_scatter_into", world.reduce_scatter_into(&[1u8; 6], &mut five, &[2; 3], op::Sum), "part");
    let equal = world.reduce_scatter_init(own(6), own(5), &[2; 3], op::Sum).map(drop);
    check("reduce_scatter_init", equal, "part");
    check("reduce_scatter_block", world.reduce_scatter_block(&five, op::Sum).map(drop), "mine");
    let into = world.reduce_scatter_block_into(&[1u8; 6], &mut five, op::Sum);
    check("reduce_scatter_block_into", into, "part");
    let in_place = world.reduce_scatter_block_in_place(&mut five, op::Sum);
    check("reduce_scatter_block_in_place", in_place, "data");
    let request = world.immediate_reduce_scatter_block(own(5), op::Sum).map(drop);
    check("immediate_reduce_scatter_block", request, "mine");
    let request = world.reduce_scatter_block_init(own(6), own(5), op::Sum).map(drop);
    check("reduce_scatter_block_init", request, "part");
}

/// Four counts for three ranks.
fn counts(world: &Communicator<'_>, refusals: &Refusals) {
    let check = |function, outcome: Result<()>, argument| refusals.check(function, outcome, argument, 4);
    let (me, counts, own) = (world.rank(), &[2, 2, 1, 1][..], |len| vec![1u8; len]);
    let (six, mine) = ([1u8; 6], [1u8; 2]);
    let from = || Partition::new(&six, counts);
    let into = || PartitionMut::new(Vec::leak(vec![0u8; 6]), counts);
    check("gather_varcount_into", world.gather_varcount_into(&mine, Some(into()), me), "all");
    check("gather_varcount_in_place", world.gather_varcount_in_place(into(), me), "data");
    let request = world.immediate_gather_varcount(own(2), counts, me).map(drop);
    check("immediate_gather_varcount", request, "counts");
    check("gather_varcount_init", world.gather_varcount_init(own(2), own(6), counts, me).map(drop), "counts");
    check("scatter_varcount_into", world.scatter_varcount_into(Some(from()), &mut [0; 2], me), "all");
    check("scatter_varcount_in_place", world.scatter_varcount_in_place(into(), me), "data");
    let request = world.immediate_scatter_varcount(own(6), &[2; 3], 4, me).map(drop);
    check("immediate_scatter_varcount", request, "len");
    check(
        "scatter_varcount_init",
        world.scatter_varcount_init(own(6), counts, own(2), me).map(drop),
        "counts",
    );
    check("all_gather_varcount_into", world.all_gather_varcount_into(&mine, into()), "all");
    check("all_gather_varcount_in_place", world.all_gather_varcount_in_place(into()), "all");
    let request = world.immediate_all_gather_varcount(own(2), counts).map(drop);
    check("immediate_all_gather_varcount", request, "counts");
    check(
        "all_gather_varcount_init",
        world.all_gather_varcount_init(own(2), own(6), counts).map(drop),
        "counts",
    );
    check("all_to_all_varcount", world.all_to_all_varcount(from()).map(drop), "mine");
    let three = Partition::new(&six, &[2usize, 2, 2][..]);
    check("all_to_all_varcount_into", world.all_to_all_varcount_into(three, into()), "all");
    check("all_to_all_varcount_in_place", world.all_to_all_varcount_in_place(into()), "data");
    let request = world.immediate_all_to_all_varcount(own(6), counts, &[2; 3]).map(drop);
    check("immediate_all_to_all_varcount", request, "counts");
    let request = world.all_to_all_varcount_init(own(6), &[2; 3], own(6), counts).map(drop);
    check("all_to_all_varcount_init", request, "all_counts");
    check("reduce_scatter", world.reduce_scatter(&six, counts, op::Sum).map(drop), "counts");
    check("reduce_scatter_in_place", world.reduce_scatter_in_place(&mut own(6), counts, op::Sum), "counts");
    let request = world.immediate_reduce_scatter(own(6), counts, op::Sum).map(drop);
    check("immediate_reduce_scatter", request, "counts");
}

fn without_a_job(refusals: &Refusals) {
    for n in [0, 1_000_000] {
        refusals.check("threads", ringmpi::threads(n, |_| ()), "n", n);
    }
    refusals.check("dimensions_create", dimensions_create(6, &mut [4, 0]), "dims", 4);
    refusals.check("dimensions_create", dimensions_create(-6, &mut [0]), "nodes", -6);
    refusals.check("reduce_local_into", op::reduce_local_into(&[1, 2], &mut [1; 5], op::Sum), "upper", 5);
}

/// The public functions of the library that may fail.
fn functions() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for part in ["coll", "communicator", "constructors", "topology", "group.rs", "op", "run.rs", "world.rs"] {
        files(&source.join(part))
            .iter()
            .for_each(|file| fallible(&fs::read_to_string(file).unwrap(), &mut found));
    }
    // It ends with the first rank's failure, also that to start: in processes, in tests/jobs.
    assert!(found.remove("run"));
    found
}

fn files(path: &Path) -> Vec<PathBuf> {
    match fs::read_dir(path) {
        Ok(entries) => entries.flat_map(|entry| files(&entry.unwrap().path())).collect(),
        Err(_) => vec![path.to_path_buf()],
    }
}

/// The names of functions whose signature, up to its brace or semicolon, has a `Result` behind the arrow.
fn fallible(text: &str, found: &mut BTreeSet<String>) {
    let mut in_trait = false;
    for (at, line) in text.lines().enumerate() {
        in_trait = (in_trait || line.starts_with("pub trait ")) && line != "}";
        let code = line.trim_start();
        let item = code.strip_prefix("pub ").or(in_trait.then_some(code));
        let Some(behind) = item.and_then(|item| item.strip_prefix("fn ")) else { continue };
        let name: String = behind.chars().take_while(|letter| is_of_word(*letter)).collect();
        let mut signature = String::new();
        for line in text.lines().skip(at) {
            signature += line;
            if line.ends_with(['{', ';', '}']) {
                break;
            }
        }
        if signature.rsplit_once("->").is_some_and(|(_, result)| result.contains("Result<")) {
            found.insert(name);
        }
    }
}
