//! Runs the stress of the doorbell in both modes. No test harness: it forks, and a harness has threads.

use ringmpi::internals::litmus::{Barriers, Report, litmus};
use std::{process::ExitCode, time::Instant};

const PACKETS: u64 = 100_000;

fn run(packets: u64, barriers: Barriers) -> Result<Report, String> {
    let start = Instant::now();
    let report = litmus(packets, barriers).map_err(|error| format!("{barriers:?}: {error}"))?;
    println!("{barriers:?}: {report:?} in {:.1} s", start.elapsed().as_secs_f64());
    Ok(report)
}

/// No wake-up is lost, all packets come, and the receiver did sleep.
fn check(barriers: Barriers) -> Result<(), String> {
    match run(PACKETS, barriers)? {
        Report { lost: 0, packets: PACKETS, sleeps: 1.., pending: 1.. } => Ok(()),
        report => Err(format!("{barriers:?}: {report:?}")),
    }
}

fn main() -> ExitCode {
    let result = check(Barriers::Membarrier).and_then(|()| check(Barriers::Fence)).and_then(|()| {
        // Not checked: whether a missing barrier shows depends on the CPU and on what else runs.
        run(5 * PACKETS, Barriers::SleeperOnly).map(drop)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
