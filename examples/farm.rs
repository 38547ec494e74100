//! A farm: rank 0 hands out numbers, and the other ranks find their prime factors. Some numbers take
//! longer than others, so a worker gets the next when it is done. Answers have different lengths.
//!
//! `cargo run --example farm`, or `mpiexec -n 4 target/debug/examples/farm`

use ringmpi::{Communicator, Rank, Result, Source};
use std::collections::BTreeMap;

const PRIMES: [u64; 6] = [5, 11, 997, 10_007, 1_000_003, 4_000_037];
const NUMBERS: usize = 200;

/// A number to factor.
const JOB: i32 = 1;
/// Its prime factors.
const ANSWER: i32 = 2;
/// There are no more numbers.
const STOP: i32 = 3;

fn main() -> Result<()> {
    ringmpi::run(4, |world| farm(&world))
}

fn farm(world: &Communicator<'_>) -> Result<()> {
    if world.rank() != 0 {
        return work(world);
    }
    let expected: Vec<_> = (0..NUMBERS).map(chosen_factors).collect();
    let numbers: Vec<_> = expected.iter().map(|factors| factors.iter().product()).collect();
    let answers = match world.size() {
        1 => numbers.iter().map(|number| factors(*number)).collect(),
        _ => hand_out(world, &numbers)?,
    };
    let wrong: Vec<_> = (0..NUMBERS).filter(|job| answers[*job] != expected[*job]).collect();
    for &job in &wrong {
        println!("{}: {:?}, expected {:?}", numbers[job], answers[job], expected[job]);
    }
    let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
    let verdict = if wrong.is_empty() { "ok" } else { "wrong" };
    println!("{NUMBERS} numbers, with up to {longest} prime factors: {verdict}");
    if wrong.is_empty() { Ok(()) } else { world.abort(1) }
}

/// Rank 0: the answers, in the order of the numbers.
fn hand_out(world: &Communicator<'_>, numbers: &[u64]) -> Result<Vec<Vec<u64>>> {
    let mut answers = vec![vec![]; numbers.len()];
    let mut jobs = numbers.iter().enumerate();
    let mut idle: Vec<Rank> = (1..world.size()).collect();
    let mut busy = BTreeMap::new();
    let mut done_by = vec![0; idle.len()];
    loop {
        for (worker, (job, number)) in idle.drain(..).zip(&mut jobs) {
            world.process_at_rank(worker).tag(JOB).send(&[*number])?;
            busy.insert(worker, job);
        }
        if busy.is_empty() {
            break;
        }
        // Whose answer comes first, and how long it is, is known only now: the probe takes the
        // message, so that the receive gets this one and no other.
        let answer = world.any_process().tag(ANSWER).matched_probe()?;
        let worker = answer.status().source();
        if let Some(job) = busy.remove(&worker) {
            answers[job] = answer.receive_vec()?;
        }
        done_by[worker as usize - 1] += 1;
        idle.push(worker);
    }
    for worker in 1..world.size() {
        world.process_at_rank(worker).tag(STOP).send::<u64>(&[])?;
    }
    for (worker, jobs) in (1..).zip(done_by) {
        println!("rank {worker} has factored {jobs} numbers");
    }
    Ok(answers)
}

/// All other ranks: answers jobs until told to stop.
fn work(world: &Communicator<'_>) -> Result<()> {
    let boss = world.process_at_rank(0);
    loop {
        let message = boss.matched_probe()?;
        if message.status().tag() == STOP {
            return Ok(());
        }
        for number in message.receive_vec()? {
            boss.tag(ANSWER).send(&factors(number))?;
        }
    }
}

/// The prime factors, from the smallest up, by trial division.
fn factors(mut number: u64) -> Vec<u64> {
    let mut factors = vec![];
    let mut divisor = 2;
    while divisor * divisor <= number {
        while number.is_multiple_of(divisor) {
            factors.push(divisor);
            number /= divisor;
        }
        divisor += 1;
    }
    if number > 1 {
        factors.push(number);
    }
    factors
}

/// What the number of a job is made of: small primes, and two that may be large and take long to find.
fn chosen_factors(job: usize) -> Vec<u64> {
    let (p, q) = (PRIMES[job % PRIMES.len()], PRIMES[job / PRIMES.len() % PRIMES.len()]);
    [vec![2; job % 8], vec![3; job % 6], vec![p.min(q), p.max(q)]].concat()
}
