//! The bare machine.
fn main() {}
