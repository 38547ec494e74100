//! The launcher: `mpiexec`, and what it shares with jobs that are forked from a program.
//!
//! In reading order: `plan` (the command line), `env` (the contract with ranks), `program`, `start` and
//! `spawn` (a job comes to life), `keeper` and `link` (the parent of all ranks), `supervise` (the
//! loop), `ranks`, `failure` and `ending` (who failed, and what follows: no system calls),
//! `output` and `lines` (the ranks' output), `descendants` (nothing stays behind), `limits`, `forked`.

mod descendants;
mod ending;
pub(crate) mod env;
pub(crate) mod failure;
pub(crate) mod forked;
mod keeper;
mod limits;
mod lines;
mod link;
mod output;
pub(crate) mod plan;
mod program;
mod ranks;
mod spawn;
mod start;
mod supervise;

use plan::Plan;
use std::{io::Write, process::ExitCode};

/// Why a job did not run, or did not end well.
#[derive(Debug)]
struct LaunchError {
    /// The launcher's exit code.
    code: u8,
    what: String,
}

/// The exit code of a wrong command line.
const USAGE: u8 = 2;

/// The whole command, under the name that it was installed as.
#[must_use]
pub fn main(name: &str) -> ExitCode {
    match plan::parse(std::env::args_os().skip(1)) {
        Ok(Plan::Help) => print(&plan::help(name)),
        Ok(Plan::Version) => print(&format!("{name} (ringmpi) {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Plan::Run(job)) => match supervise::run(job) {
            Ok(code) => code.into(),
            Err(LaunchError { code, what }) => complain(name, &what, code),
        },
        Err(error) => complain(name, &error.to_string(), USAGE),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// One write: lines of several launchers on one terminal don't mix.
fn complain(name: &str, what: &str, code: u8) -> ExitCode {
    // Nobody to tell if the stream is closed; the exit code says it too.
    let _ = std::io::stderr().write_all(format!("{name}: error: {what}\n").as_bytes());
    code.into()
}
