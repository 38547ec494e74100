//! Kills at random instants: nothing hangs, and nothing is left.

use super::trial;
use crate::{
    job::{Ended, Job, Running},
    random::{Random, seed},
    rank::BODY,
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
}

pub(super) fn trials() -> Vec<Trial> {
    let kills = std::env::var("RINGMPI_TEST_KILLS").map_or(40, |count| count.parse().unwrap());
    let seed = seed();
    eprintln!("{kills} kills, RINGMPI_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let at_random = (0..kills).map(|_| one(random.next()));
    let asleep = [1, 2, 5].map(|ranks| {
        trial(format!("sleepers_behind_shells_see_that_nobody_is_left::{ranks}"), move || nobody_left(ranks))
    });
    at_random.chain(asleep).collect()
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
    let victims = [Victim::Rank, Victim::Keeper, Victim::Mpiexec, Victim::Shell, Victim::KeeperAndMpiexec];
    let victim = victims[random.below(5) as usize];
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
    let is_behind_shells = matches!(victim, Victim::Shell | Victim::KeeperAndMpiexec);
    let program: &[&str] =
        if is_behind_shells { &["sh", "-c", "\"$ITSELF\"; true"] } else { &["sh", "-c", "exec \"$ITSELF\""] };
    let running = Job::mpiexec(ranks, program).env(BODY, "endless_traffic").start();
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
    let mpiexec = running.pid();
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let all = running.session().processes();
        let keeper = all.iter().find(|process| process.name == "ringmpi-keeper");
        let of_keeper: Vec<&Process> =
            all.iter().filter(|process| keeper.is_some_and(|keeper| process.parent == keeper.pid)).collect();
        let launcher = all.iter().filter(|process| process.pid == mpiexec);
        let found: Vec<Process> = match victim {
            Victim::Mpiexec => launcher.cloned().collect(),
            Victim::Keeper => keeper.cloned().into_iter().collect(),
            Victim::KeeperAndMpiexec if keeper.is_some() => {
                keeper.into_iter().chain(launcher).cloned().collect()
            }
            Victim::Rank | Victim::Shell if !of_keeper.is_empty() => {
                vec![of_keeper[random.below(of_keeper.len() as u64) as usize].clone()]
            }
            _ => vec![],
        };
        if !found.is_empty() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no {victim:?} to kill among {:?}", running.session().processes());
}

fn expect(victim: Victim, victims: &[Process], ended: &Ended) {
    assert_eq!(ended.code(), 137, "{ended}");
    match victim {
        Victim::Rank | Victim::Shell => {
            ended.expect_report(&[&format!("(pid {})", victims[0].pid), "signal 9 (SIGKILL)"]);
        }
        Victim::Keeper => ended.expect_report(&["keeper", &victims[0].pid.to_string()]),
        // Nobody is left to report.
        Victim::Mpiexec | Victim::KeeperAndMpiexec => {}
    }
}
