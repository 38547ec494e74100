//! The point-to-point engine of a rank.
pub(crate) mod matching;
