//! A farm: rank 0 hands out numbers, the others find their prime factors. Numbers take different
//! times, so whoever is done gets the next; answers have different lengths.
//!
//! `cargo run --example farm`, or `mpiexec -n 4 target/debug/examples/farm`

use ringmpi::{Communicator, Rank, Result, Source};
use std::collections::BTreeMap;

/// Numbers are made from these, so that their factors are known.
const PRIMES: [u64; 8] = [2, 3, 7, 11, 997, 10_007, 1_000_003, 4_000_037];
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
    println!("{NUMBERS} numbers factored, of up to {longest} factors: {} are wrong", wrong.len());
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
            return message.receive_vec::<u64>().map(drop);
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

/// Some primes, in order: two large ones, which take long to find, or many small ones.
fn chosen_factors(job: usize) -> Vec<u64> {
    let (first, count) = (job % PRIMES.len(), 2 + job / PRIMES.len() % 5);
    let mut factors: Vec<_> = (0..count).map(|k| PRIMES[(first * (k + 1)) % PRIMES.len()]).collect();
    factors.sort_unstable();
    factors
}
