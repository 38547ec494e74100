//! `mpirun`: runs a program as the ranks of a job.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringmpi::launch::main("mpirun")
}
