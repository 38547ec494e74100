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
    let Command::Bench(arguments) = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => return refuse(&error),
    };
    match bench::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a wrong command line.
const USAGE: u8 = 2;

/// Says in one line what is wrong with the command line; help that was asked for is printed as it is.
fn refuse(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;

    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let text = error.to_string();
    // The facts, without hints and usage, which follow after empty lines.
    let facts: Vec<&str> = text.split("\n\n").take(1).flat_map(str::lines).map(str::trim).collect();
    eprintln!("{} (help: see `ringmpi bench --help`)", facts.join(" "));
    USAGE.into()
}
