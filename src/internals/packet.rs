//! What cells mean, for fuzzing.

/// The body of the fuzz target `packet`: cells of any content.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    crate::p2p::packet::fuzz(data);
}
