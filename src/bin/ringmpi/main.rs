//! `ringmpi`: benchmarks, each beside what the bare machine can do.

mod bench;
#[path = "../../../benches/limit/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it measures more than is shown beside the library")]
mod limit;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Benchmarks of ringmpi on this machine.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the library beside the bare machine.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    if bench::is_launcher() {
        return ringmpi::launch::main(bench::LAUNCHER);
    }
    let Command::Bench(arguments) = Arguments::parse().command;
    match bench::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
