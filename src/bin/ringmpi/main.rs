//! `ringmpi`: benchmarks and information.
fn main() {}
