//! The point-to-point engine of a rank.
mod matching;
