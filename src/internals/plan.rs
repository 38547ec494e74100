//! The launcher's command line, for fuzzing.

/// The body of the fuzz target `plan`: NUL-separated arguments.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    crate::launch::plan::fuzz(data);
}
