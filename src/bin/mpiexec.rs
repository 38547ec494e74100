//! `mpiexec`: runs a program as the ranks of a job.
fn main() {}
