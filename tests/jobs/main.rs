//! Process tests: jobs of real processes, through `mpiexec`, through `run`, and ranks as threads.
//!
//! Harness and rank are one program. The harness starts `mpiexec -n N` with itself as the program and a
//! variable that names the body to run; a trial is called `body::N`. Every trial runs in a session of
//! its own, under a time limit; what hangs is described, then killed, and a trial that leaves a process
//! or a file behind has failed.
//!
//! `RINGMPI_TEST_SEED` repeats a random run, `RINGMPI_TEST_KILLS` sets how many jobs are killed at
//! random instants, `RINGMPI_TEST_MILLION` makes a million communicators where it is fewer.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod bodies;
mod executor;
mod filter;
mod job;
mod programs;
mod random;
mod rank;
mod session;
mod trials;

use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    match rank::Role::from_environment() {
        Some(role) => role.play(),
        None => test(),
    }
}

fn test() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let chosen = arguments.test_threads;
    let mut run = |threads, trials| {
        arguments.test_threads = Some(threads);
        !libtest_mimic::run(&arguments, trials).has_failed()
    };
    let (idle, busy) = trials::together();
    let outcomes = [
        run(chosen.unwrap_or(2), busy),
        run(chosen.unwrap_or(8), idle),
        // What needs the machine's memory, or its quiet, for itself.
        run(1, trials::alone()),
    ];
    if outcomes.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
