//! Jobs whose processes meet by a name. The processes are copies of this test binary, which a variable tells
//! what to do. No test harness of Rust's: it cannot say that a test could not be run.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use libtest_mimic::{Arguments, Completion, Trial};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};
use ringmpi::{Communicator, Error, Source, Universe, op};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// What a child does: `BODY JOB RANK SIZE`.
const SCRIPT: &str = "JOIN_TEST";
/// A child that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match std::env::var(SCRIPT) {
        Ok(script) => {
            act(&script);
            ExitCode::SUCCESS
        }
        Err(_) => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

fn trials() -> Vec<Trial> {
    macro_rules! list {
        ($($test:ident),* $(,)?) => {
            vec![$(Trial::test(stringify!($test), || {
                $test();
                Ok(())
            })),*]
        };
    }
    let mut trials = list![
        processes_that_join_exchange_messages_and_leave_nothing,
        a_forked_child_that_leaves_does_not_disturb,
        the_name_is_free_for_the_next_job_as_soon_as_all_have_come,
        init_joins_the_job_that_the_variable_names,
        run_joins_the_job_that_the_variable_names,
        the_name_of_a_job_that_was_killed_while_it_met_is_taken_over,
        a_process_with_another_size_learns_both_numbers_and_does_not_disturb,
        a_rank_that_is_taken_is_refused_with_its_holder_and_does_not_disturb,
        a_process_is_one_rank_of_a_job,
        ranks_that_do_not_come_are_named_after_the_time_out,
        a_process_that_dies_while_the_others_wait_ends_the_meeting,
        a_segment_is_its_users_alone_and_what_is_not_is_refused,
        a_limit_of_file_sizes_is_an_error_and_no_signal,
        ranks_that_wait_for_one_that_was_killed_learn_of_it,
        a_rank_killed_at_any_moment_hangs_nobody_and_leaves_the_name_usable,
    ];
    trials.push(Trial::ignorable_test(
        "a_full_file_system_is_an_error_that_says_how_much_was_needed",
        || {
            Ok(match own_mounts() {
                Some(options) => {
                    a_full_file_system_is_an_error_that_says_how_much_was_needed(options);
                    Completion::Completed
                }
                None => Completion::ignored_with(
                    "this user may not mount a small /dev/shm, in no user namespace either",
                ),
            })
        },
    ));
    trials
}

/// What one process of a job does.
fn act(script: &str) {
    let fields: Vec<&str> = script.split(' ').collect();
    let [body, job, rank, size] = fields[..] else { panic!("not a script: {script}") };
    let (rank, size) = (rank.parse().unwrap(), size.parse().unwrap());
    let outcome = match body {
        "exchange" => ringmpi::join(job, rank, size).and_then(exchange),
        "init" => ringmpi::init().and_then(exchange),
        "run" => ringmpi::run(7, |world| exchange_in(&world).map(|sum| eprintln!("sum {sum}")))
            .map(|()| "run returns".into()),
        "run-fails" => ringmpi::run(7, |world| fail(&world)).map(|()| "run returns".into()),
        "twice" => exchange_twice(job, rank, size),
        "forks" => ringmpi::join(job, rank, size).and_then(fork_and_exchange),
        "receive" => ringmpi::join(job, rank, size).and_then(receive_in_vain),
        "test" => ringmpi::join(job, rank, size).and_then(test_in_vain),
        "send" => ringmpi::join(job, rank, size).and_then(send_in_vain),
        "threads" => join_from_two_threads(job, size),
        other => panic!("no body '{other}'"),
    };
    match outcome {
        Ok(said) => eprintln!("{said}"),
        Err(error) => eprintln!("error: {error}"),
    }
}

fn exchange(universe: Universe) -> Result<String, Error> {
    let sum = exchange_in(&universe.world())?;
    universe.finalize()?;
    Ok(format!("sum {sum}"))
}

/// A message to the next rank, one from the previous, large enough for a rendezvous, and a sum.
fn exchange_in(world: &Communicator<'_>) -> Result<i32, Error> {
    let (rank, size) = (world.rank(), world.size());
    let sending =
        world
            .process_at_rank((rank + 1) % size)
            .immediate_send(vec![u64::from(rank.cast_unsigned()); 100_000])?;
    let previous = (rank + size - 1) % size;
    let (numbers, _) = world.process_at_rank(previous).receive_vec::<u64>()?;
    assert!(
        numbers.len() == 100_000
            && numbers.iter().all(|&number| number == u64::from(previous.cast_unsigned()))
    );
    sending.wait()?;
    world.all_reduce_value(rank, op::Sum)
}

/// The last rank returns an error, while the others wait for it.
fn fail(world: &Communicator<'_>) -> Result<(), Error> {
    world.barrier()?;
    let last = world.process_at_rank(world.size() - 1);
    match world.rank() == last.rank() {
        true => last.tag(-1).send(&[0u8]),
        false => last.receive::<u8>().map(drop),
    }
}

fn exchange_twice(job: &str, rank: usize, size: usize) -> Result<String, Error> {
    ringmpi::join(job, rank, size).and_then(exchange)?;
    ringmpi::join(job, rank, size).and_then(exchange)
}

/// A forked child leaves in its own way: the rank stays what it is.
fn fork_and_exchange(universe: Universe) -> Result<String, Error> {
    // SAFETY: the child uses memory of this thread only.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(universe);
            // SAFETY: no preconditions.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            exchange(universe)
        }
    }
}

fn receive_in_vain(universe: Universe) -> Result<String, Error> {
    eprintln!("in");
    let world = universe.world();
    let (last, _) = world.process_at_rank(world.size() - 1).receive::<u64>()?;
    Ok(format!("received {last:?}"))
}

fn test_in_vain(universe: Universe) -> Result<String, Error> {
    eprintln!("in");
    let world = universe.world();
    let last = world.process_at_rank(world.size() - 1);
    let probed = loop {
        if let Some(probed) = last.immediate_probe()? {
            break probed;
        }
    };
    Ok(format!("probed {probed:?}"))
}

/// Until there is no more credit.
fn send_in_vain(universe: Universe) -> Result<String, Error> {
    eprintln!("in");
    let world = universe.world();
    let last = world.process_at_rank(world.size() - 1);
    if world.rank() == world.size() - 1 {
        return last.receive::<u8>().map(|_| String::new());
    }
    loop {
        last.tag(1).send(&[0u64; 25])?;
    }
}

fn join_from_two_threads(job: &str, size: usize) -> Result<String, Error> {
    let first = std::thread::spawn({
        let job = job.to_owned();
        move || ringmpi::join(&job, 0, size).map(drop)
    });
    while !left().iter().any(|name| name.contains(job)) {
        std::thread::yield_now();
    }
    // Long enough for the first to be in.
    std::thread::sleep(Duration::from_millis(200));
    let second = ringmpi::join(job, 1, size).map(drop);
    eprintln!("first: {}", first.join().unwrap().unwrap_err());
    second.map(|()| String::new())
}

/// A child process, killed if the test fails.
struct Rank {
    process: Child,
    output: BufReader<ChildStderr>,
}

impl Rank {
    fn start(body: &str, job: &str, rank: usize, size: usize, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::start_as(&mut command, body, job, rank, size, variables)
    }

    fn start_as(
        command: &mut Command,
        body: &str,
        job: &str,
        rank: usize,
        size: usize,
        variables: &[(&str, &str)],
    ) -> Self {
        command.env(SCRIPT, format!("{body} {job} {rank} {size}")).envs(variables.iter().copied());
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stderr.take().unwrap());
        Self { process, output }
    }

    /// The next line that the child says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The last line that the child says, once it has ended.
    fn end(mut self) -> String {
        let end = Instant::now() + LIMIT;
        while self.process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "process {} hangs", self.process.id());
            std::thread::sleep(Duration::from_millis(5));
        }
        let lines: Vec<String> = (&mut self.output).lines().map(Result::unwrap).collect();
        lines.last().cloned().unwrap_or_default()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A job name of this test and process.
fn job(test: &str) -> String {
    format!("{test}-{}", std::process::id())
}

/// The names of segments.
fn left() -> Vec<String> {
    let names = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.into_string().unwrap_or_default())
        .filter(|name| name.starts_with("ringmpi-"))
        .collect()
}

fn assert_nothing_is_left(job: &str) {
    let left: Vec<String> = left().into_iter().filter(|name| name.contains(job)).collect();
    assert!(left.is_empty(), "left in /dev/shm: {left:?}");
}

/// Waits until the job's segment has its name.
fn wait_for_name(job: &str) {
    let end = Instant::now() + LIMIT;
    while !left().iter().any(|name| name.ends_with(job)) {
        assert!(Instant::now() < end, "no segment for {job}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn assert_has(text: &str, facts: &[&str]) {
    for fact in facts {
        assert!(text.contains(fact), "'{fact}' is missing in: {text}");
    }
}

fn assert_exchanged(ranks: Vec<Rank>) {
    let size = ranks.len();
    for rank in ranks {
        assert_eq!(rank.end(), format!("sum {}", size * (size - 1) / 2));
    }
}

fn start_all(body: &str, job: &str, size: usize) -> Vec<Rank> {
    (0..size).map(|rank| Rank::start(body, job, rank, size, &[])).collect()
}

fn processes_that_join_exchange_messages_and_leave_nothing() {
    for size in 1..=4 {
        let job = job(&format!("exchange{size}"));
        assert_exchanged(start_all("exchange", &job, size));
        assert_nothing_is_left(&job);
    }
}

fn a_forked_child_that_leaves_does_not_disturb() {
    let job = job("forks");
    assert_exchanged(start_all("forks", &job, 3));
    assert_nothing_is_left(&job);
}

fn the_name_is_free_for_the_next_job_as_soon_as_all_have_come() {
    let job = job("twice");
    assert_exchanged(start_all("twice", &job, 3));
    assert_nothing_is_left(&job);
}

fn init_joins_the_job_that_the_variable_names() {
    let job = job("variable");
    let start = |rank: usize| {
        let variable = format!("{job}:{rank}:2");
        Rank::start("init", "-", 0, 0, &[("RINGMPI_JOIN", &variable)])
    };
    assert_exchanged((0..2).map(start).collect());
    assert_nothing_is_left(&job);
}

fn run_joins_the_job_that_the_variable_names() {
    let job = job("run");
    let start = |body, rank| Rank::start(body, "-", 0, 0, &[("RINGMPI_JOIN", &format!("{job}:{rank}:3"))]);
    let ranks: Vec<Rank> = (0..3).map(|rank| start("run", rank)).collect();
    for mut rank in ranks {
        assert_eq!((rank.line().as_str(), rank.end().as_str()), ("sum 3", "run returns"));
    }
    assert_nothing_is_left(&job);
    let ranks: Vec<Rank> = (0..3).map(|rank| start("run-fails", rank)).collect();
    for (rank, process) in ranks.into_iter().enumerate() {
        let fact = if rank == 2 { "tag -1" } else { "the job has ended" };
        assert_has(&process.end(), &[&format!("error: rank {rank}: "), fact]);
    }
    assert_nothing_is_left(&job);
}

fn the_name_of_a_job_that_was_killed_while_it_met_is_taken_over() {
    let job = job("stale");
    let waiting: Vec<Rank> = (0..2).map(|rank| Rank::start("exchange", &job, rank, 3, &[])).collect();
    wait_for_name(&job);
    waiting.into_iter().for_each(Rank::kill);
    // Also by a job of another size, all of whose processes come at once.
    assert_exchanged(start_all("exchange", &job, 4));
    assert_nothing_is_left(&job);
}

fn a_process_with_another_size_learns_both_numbers_and_does_not_disturb() {
    let job = job("size");
    let first = Rank::start("exchange", &job, 0, 2, &[]);
    wait_for_lock(&job, 0);
    let error = Rank::start("exchange", &job, 1, 3, &[]).end();
    assert_has(&error, &["error:", &job, "2 ranks", "one of 3"]);
    assert_exchanged(vec![first, Rank::start("exchange", &job, 1, 2, &[])]);
    assert_nothing_is_left(&job);
}

fn a_rank_that_is_taken_is_refused_with_its_holder_and_does_not_disturb() {
    let job = job("taken");
    let first = Rank::start("exchange", &job, 0, 2, &[]);
    wait_for_lock(&job, 0);
    let error = Rank::start("exchange", &job, 0, 2, &[]).end();
    assert_has(&error, &["error:", &job, "rank 0", &format!("process {}", first.process.id())]);
    assert_exchanged(vec![first, Rank::start("exchange", &job, 1, 2, &[])]);
    assert_nothing_is_left(&job);
}

/// Waits until a process is in the job: it holds the lock on the byte of its rank.
fn wait_for_lock(job: &str, rank: u64) {
    wait_for_name(job);
    let name = left().into_iter().find(|name| name.ends_with(job)).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(format!("/dev/shm/{name}")).unwrap());
    let byte = (1_u64 << 62) + rank;
    let (file, byte_range) = (format!(":{inode} "), format!(" {byte} {byte}"));
    let end = Instant::now() + LIMIT;
    let is_locked = |line: &str| line.contains(&file) && line.ends_with(&byte_range);
    while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(is_locked) {
        assert!(Instant::now() < end, "nobody locks byte {rank} of {name}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn a_process_is_one_rank_of_a_job() {
    let job = job("threads");
    let mut process = Rank::start("threads", &job, 0, 2, &[("RINGMPI_INIT_TIMEOUT", "1")]);
    assert_has(&process.line(), &["first:", "1 s for rank 1"]);
    assert_has(&process.end(), &["error:", &job, "already"]);
    assert_nothing_is_left(&job);
}

fn ranks_that_do_not_come_are_named_after_the_time_out() {
    let job = job("missing");
    let start = |rank| Rank::start("exchange", &job, rank, 4, &[("RINGMPI_INIT_TIMEOUT", "1")]);
    for error in [2, 0].map(start).map(Rank::end) {
        assert_has(&error, &["error:", "waited", "1, 3"]);
    }
    assert_nothing_is_left(&job);
    assert_exchanged(start_all("exchange", &job, 2));
}

fn a_process_that_dies_while_the_others_wait_ends_the_meeting() {
    let job = job("early");
    let mut ranks: Vec<Rank> = (0..2).map(|rank| Rank::start("exchange", &job, rank, 3, &[])).collect();
    ranks.iter().for_each(|rank| wait_for_claim(&job, rank.process.id()));
    ranks.remove(1).kill();
    assert_has(&ranks.remove(0).end(), &["error:", "rank 1", "gone"]);
    assert_nothing_is_left(&job);
}

/// Waits until a process has written its number into the segment's slots.
fn wait_for_claim(job: &str, pid: u32) {
    use std::os::unix::fs::FileExt;
    wait_for_name(job);
    let path = left().into_iter().find(|name| name.ends_with(job)).map(|name| format!("/dev/shm/{name}"));
    let file = std::fs::File::open(path.unwrap()).unwrap();
    let (mut start, end) = ([0; 64 << 10], Instant::now() + LIMIT);
    while !start.chunks(4).any(|word| word == pid.to_ne_bytes()) {
        assert!(Instant::now() < end, "process {pid} is not in {job}");
        std::thread::sleep(Duration::from_millis(1));
        file.read_exact_at(&mut start, 0).unwrap();
    }
}

fn a_full_file_system_is_an_error_that_says_how_much_was_needed(own_mounts: &[&str]) {
    // Without a single page, too small for what all ranks share, and then for a rank's own part.
    for room in [0, 1, 4] {
        let job = job("full");
        let script = format!(
            "mount -t tmpfs -o size={}m tmpfs /dev/shm && head -c 1M /dev/zero >/dev/shm/filling && \
             echo mounted >&2 && \"$0\" \"$@\" && ls -A -I filling /dev/shm >&2 && echo end >&2",
            room + 1
        );
        let mut unshare = Command::new("unshare");
        unshare.args(own_mounts).args(["sh", "-c", &script]).arg(std::env::current_exe().unwrap());
        let mut process = Rank::start_as(&mut unshare, "exchange", &job, 0, 2, &[]);
        assert_eq!(process.line(), "mounted");
        let error = process.line();
        assert_has(&error, &["MiB for rank 0", "No space left", "df -h /dev/shm"]);
        let needed = error.split_whitespace().find_map(|word| word.parse().ok());
        assert!(needed > Some(room) && needed < Some(8 * room.max(1)), "{room} MiB of room: {error}");
        assert_eq!(process.line(), "end", "left in the small /dev/shm");
    }
}

/// The options by which `unshare` gives a program mounts of its own, if this user may have them.
fn own_mounts() -> Option<&'static [&'static str]> {
    let as_root: &[&str] = &["--mount"];
    let as_user: &[&str] = &["--user", "--map-root-user", "--mount"];
    let mount = ["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"];
    let works = |options: &&[&str]| {
        let mut unshare = Command::new("unshare");
        let unshare = unshare.args(*options).args(mount).stderr(Stdio::null());
        unshare.status().is_ok_and(|status| status.success())
    };
    [as_root, as_user].into_iter().find(works)
}

/// Removed when dropped.
struct Planted(PathBuf);

impl Drop for Planted {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn a_segment_is_its_users_alone_and_what_is_not_is_refused() {
    let job = job("mode");
    let first = Rank::start("exchange", &job, 0, 2, &[]);
    wait_for_name(&job);
    let user = fs::metadata("/proc/self").unwrap().uid();
    let path = PathBuf::from(format!("/dev/shm/ringmpi-{user}-{job}"));
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, user));
    assert_exchanged(vec![first, Rank::start("exchange", &job, 1, 2, &[])]);
    // Only root can give a file away.
    let other = if user == 0 { 12345 } else { user };
    for (mode, owner) in [(0o666, user), (0o640, user), (0o604, other), (0o600, other)] {
        if (mode, owner) == (0o600, user) {
            continue;
        }
        let planted = Planted(path.clone());
        fs::write(&planted.0, "").unwrap();
        fs::set_permissions(&planted.0, fs::Permissions::from_mode(mode)).unwrap();
        chown(&planted.0, Some(owner), None).unwrap();
        let error = Rank::start("exchange", &job, 0, 2, &[]).end();
        let facts =
            [&format!("user {owner} with mode {mode:o}"), &format!("user {user} alone"), "another job name"];
        assert_has(&error, &["error:", path.to_str().unwrap()]);
        assert_has(&error, &facts);
        assert_eq!(fs::metadata(&planted.0).unwrap().len(), 0, "a strange file was changed");
    }
    assert_nothing_is_left(&job);
}

fn a_limit_of_file_sizes_is_an_error_and_no_signal() {
    let job = job("file-size");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let error = Rank::start_as(&mut shell, "exchange", &job, 0, 2, &[]).end();
    assert_has(&error, &["error:", "MiB for 2 ranks", "512 bytes", "ulimit -f"]);
    assert_nothing_is_left(&job);
}

fn ranks_that_wait_for_one_that_was_killed_learn_of_it() {
    for body in ["receive", "test", "send"] {
        let job = job(&format!("killed-{body}"));
        let mut ranks = start_all(body, &job, 3);
        for rank in &mut ranks {
            assert_eq!(rank.line(), "in");
        }
        let dying = ranks.pop().unwrap();
        let pid = dying.process.id().to_string();
        dying.kill();
        let errors: Vec<String> = ranks.into_iter().map(Rank::end).collect();
        assert!(errors.iter().all(|error| error.starts_with("error:")), "{errors:?}");
        assert_has(&errors.join("\n"), &["rank 2", "without finalize", &pid]);
        assert_nothing_is_left(&job);
    }
}

fn a_rank_killed_at_any_moment_hangs_nobody_and_leaves_the_name_usable() {
    let job = job("any-moment");
    for round in 0..12_u64 {
        let start = |rank| Rank::start("exchange", &job, rank, 3, &[("RINGMPI_INIT_TIMEOUT", "1")]);
        let mut ranks: Vec<Rank> = (0..3).map(start).collect();
        // From before the first process is in to after the last has left, in uneven steps.
        std::thread::sleep(Duration::from_micros(round * round * 150));
        ranks.swap_remove(round as usize % 3).kill();
        for rank in ranks {
            let said = rank.end();
            assert!(said == "sum 3" || said.starts_with("error:"), "round {round}: {said}");
        }
    }
    assert_exchanged(start_all("exchange", &job, 2));
    assert_nothing_is_left(&job);
}
