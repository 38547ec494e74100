//! Kills at random instants: nothing hangs, and nothing is left.

use super::{trial, way};
use crate::{
    job::{Ended, Job, Running},
    random::{Random, seed},
    rank::{BODY, FORKS},
    session::Process,
};
use libtest_mimic::Trial;
use std::time::{Duration, Instant};

/// The launcher takes 0.1 s for what follows a failure; ranks that ignore signals would cost it 2 s.
const PROMPT: Duration = Duration::from_secs(5);

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Rank,
    Keeper,
    Mpiexec,
    /// The shell before a rank.
    Shell,
    /// Both that could end the ranks behind shells.
    KeeperAndMpiexec,
    /// A rank that `run` has forked.
    ForkedRank,
    /// The process that called `run`.
    Caller,
}

const VICTIMS: [Victim; 7] = [
    Victim::Rank,
    Victim::Keeper,
    Victim::Mpiexec,
    Victim::Shell,
    Victim::KeeperAndMpiexec,
    Victim::ForkedRank,
    Victim::Caller,
];

pub(super) fn trials() -> Vec<Trial> {
    let kills = std::env::var("RINGMPI_TEST_KILLS").map_or(56, |count| count.parse().unwrap());
    let seed = seed();
    eprintln!("{kills} kills, RINGMPI_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let at_random: Vec<Trial> = (0..kills).map(|_| one(random.next())).collect();
    let scribbled: Vec<Trial> = (0..SCRIBBLED).map(|_| scribbled(random.next())).collect();
    let asleep = [1, 2, 5].map(|ranks| {
        trial(format!("sleepers_behind_shells_see_that_nobody_is_left::{ranks}"), move || nobody_left(ranks))
    });
    at_random.into_iter().chain(scribbled).chain(asleep).collect()
}

/// How many jobs are written over.
const SCRIBBLED: usize = 6;

/// A rank writes anywhere in the job's shared memory, and then ends. Every other one ends with an error, or is
/// ended; and none of them, nor the launcher, breaks in its own memory.
fn scribbled(seed: u64) -> Trial {
    let ranks = 2 + seed as usize % 3;
    trial(format!("scribbled::{ranks}::{seed}"), move || {
        // A length that has been written over asks for more memory than is meant.
        let script = format!("ulimit -v 8000000; exec \"$MPIEXEC\" -n {ranks} \"$ITSELF\"");
        let job = Job::shell(&script).env(BODY, "endless_traffic_over_scribbled_memory");
        let ended = job.env("RINGMPI_TEST_SEED", &seed.to_string()).run();
        assert_ne!(ended.code(), 0, "{ended}");
        ended.expect_report(&["rank "]);
        for signal in ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"] {
            assert!(!ended.stderr.contains(signal), "{ended}");
        }
    })
}

/// The kernel kills the shells, which die with their parent; the ranks see a free lock byte.
fn nobody_left(ranks: usize) {
    let job = Job::mpiexec(ranks, &["sh", "-c", "\"$ITSELF\"; true"]);
    let running = job.env(BODY, "blocks").start();
    while running.stdout().lines().count() < ranks {
        std::thread::sleep(Duration::from_millis(5));
    }
    let victims = find(Victim::KeeperAndMpiexec, &running, &mut Random::new(0));
    assert_eq!(victims.len(), 2);
    victims.iter().for_each(|process| process.signal(libc::SIGKILL));
    running.wait().expect(137);
}

/// Its name says what it does; the same seed gives the same list.
fn one(seed: u64) -> Trial {
    let mut random = Random::new(seed);
    let victim = VICTIMS[random.below(VICTIMS.len() as u64) as usize];
    // Only ranks that wait for others learn that nobody watches over them any more.
    let fewest = if matches!(victim, Victim::KeeperAndMpiexec) { 2 } else { 1 };
    let ranks = [1, 2, 3, 4, 8][random.below(5) as usize].max(fewest);
    // While the job starts, as often as later.
    let latest = [30_000, 400_000][random.below(2) as usize];
    let delay = Duration::from_micros(random.below(latest));
    trial(format!("kill::{victim:?}::{ranks}::after_{}_us", delay.as_micros()), move || {
        kill(victim, ranks, delay, random);
    })
}

fn kill(victim: Victim, ranks: usize, delay: Duration, mut random: Random) {
    const TRAFFIC: &str = "endless_traffic";
    let launched = |script| Job::mpiexec(ranks, &["sh", "-c", script]).env(BODY, TRAFFIC);
    let job = match victim {
        Victim::Shell | Victim::KeeperAndMpiexec => launched("\"$ITSELF\"; true"),
        Victim::Rank | Victim::Keeper | Victim::Mpiexec => launched("exec \"$ITSELF\""),
        Victim::ForkedRank | Victim::Caller => way(FORKS, TRAFFIC, ranks),
    };
    let running = job.start();
    std::thread::sleep(delay);
    let victims = find(victim, &running, &mut random);
    victims.iter().for_each(|process| process.signal(libc::SIGKILL));
    let killed = Instant::now();
    let ended = running.wait();
    // Ranks that find out by themselves look at it now and then, the more rarely the busier the CPUs.
    let is_prompt = killed.elapsed() < PROMPT || matches!(victim, Victim::KeeperAndMpiexec);
    assert!(is_prompt, "{victim:?} {victims:?}\n{ended}");
    expect(victim, &victims, &ended);
}

/// The processes to kill, once they are there.
fn find(victim: Victim, running: &Running, random: &mut Random) -> Vec<Process> {
    let first = running.pid();
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let all = running.session().processes();
        let keeper = all.iter().find(|process| process.name == "ringmpi-keeper");
        let children_of = |parent: i32| all.iter().filter(|process| process.parent == parent).collect();
        let of_keeper: Vec<&Process> = keeper.map_or(vec![], |keeper| children_of(keeper.pid));
        let of_first: Vec<&Process> = children_of(first);
        let launcher = all.iter().filter(|process| process.pid == first);
        let mut one_of = |processes: &[&Process]| {
            processes.get(random.below(processes.len().max(1) as u64) as usize).map(|one| (*one).clone())
        };
        let found: Vec<Process> = match victim {
            Victim::Mpiexec | Victim::Caller => launcher.cloned().collect(),
            Victim::Keeper => keeper.cloned().into_iter().collect(),
            Victim::KeeperAndMpiexec if keeper.is_some() => {
                keeper.into_iter().chain(launcher).cloned().collect()
            }
            Victim::KeeperAndMpiexec => vec![],
            Victim::Rank | Victim::Shell => one_of(&of_keeper).into_iter().collect(),
            Victim::ForkedRank => one_of(&of_first).into_iter().collect(),
        };
        if !found.is_empty() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no {victim:?} to kill among {:?}", running.session().processes());
}

fn expect(victim: Victim, victims: &[Process], ended: &Ended) {
    let code = if matches!(victim, Victim::ForkedRank) { 1 } else { 137 };
    assert_eq!(ended.code(), code, "{ended}");
    let (named, signal) = (format!("(pid {})", victims[0].pid), "signal 9 (SIGKILL)");
    match victim {
        Victim::Rank | Victim::Shell => ended.expect_report(&[&named, signal]),
        Victim::ForkedRank => ended.expect_one_line("Error:", &[&named, signal]),
        Victim::Keeper => ended.expect_report(&["keeper", &victims[0].pid.to_string()]),
        // Nobody is left to report.
        Victim::Mpiexec | Victim::KeeperAndMpiexec | Victim::Caller => {}
    }
}
